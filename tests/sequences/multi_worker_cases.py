"""The models of sequences that two workers train, each with whether XLA compiles its step."""

from tests.sequences import test_language_model, test_sequence_to_sequence, test_text_vae
from tests.sequences.music import test_music_model
from tests.sequences.wavenet import test_wavenet

EPOCHS, BATCH = 2, 8

CASES = {
    "language model": (test_language_model.CASES["rotary"], True),
    "translator": (test_sequence_to_sequence.CASES["one vocabulary, copying"], False),
    "text vae": (test_text_vae.CASES["free bits"], True),
    "recurrent": (test_text_vae.CASES["recurrent"], False),
    "wavenet": (test_wavenet.CASES["mu_law"], False),
    "music": (test_music_model.CASES["whole pieces"], False),
}
