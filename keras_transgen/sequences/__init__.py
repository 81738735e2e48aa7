"""Models of sequences: vocabularies, language models, sequence to sequence, and what generates."""

from __future__ import annotations

from keras_transgen.public_names import lazy_names

__all__, __getattr__, __dir__ = lazy_names(
    __name__,
    {
        "LanguageModel": "language_model",
        "MusicModel": "music.music_model",
        "dilated_sequence_network": "sequence_networks",
        "MaskedSequenceModel": "masked_sequence_model",
        "SequenceToSequence": "sequence_to_sequence",
        "TextEncoder": "convolutional_text_encoder",
        "TextVAE": "text_vae",
        "transformer_sequence_network": "sequence_networks",
        "Vocabulary": "vocabulary",
        "WaveNet": "wavenet.wavenet",
    },
)
