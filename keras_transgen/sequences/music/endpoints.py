"""What an exported model of music answers: pitches of frames."""

from __future__ import annotations

import tensorflow as tf

from keras_transgen.generative.serving import COUNT, SEED
from keras_transgen.sequences.decoding.compiled_choice import compiled_loop
from keras_transgen.sequences.endpoint_inputs import TEMPERATURE, chosen_at, uniforms_of
from keras_transgen.sequences.music.frame_generation import Composer, generate_frames
from keras_transgen.sequences.music.note_codec import FIRST, PADDING
from keras_transgen.training.serving import Endpoint

# A frame has fewer notes than there is room for; a melody says nothing of a frame.
_NO_PITCH = -1


def music_endpoints(model: Composer, frames: int) -> dict[str, Endpoint]:
    """`sample(count, temperature, seed)` and `harmonize(melody, temperature, seed)`.

    Both give `pitches`, int32 `[count, frames, max_notes]`, the highest first, -1 where there is no
    further note. A melody is int32 `[count, frames]`, -1 where the model chooses.

    Args:
        model: The model.
        frames: Of samples and melodies; shorter melodies are continued.
    """
    codec = model.codec
    notes = frames * codec.max_notes

    @compiled_loop
    def written(given: tf.Tensor, uniforms: tf.Tensor, temperature: tf.Tensor) -> tf.Tensor:
        choose = chosen_at(temperature, codec.size)
        return generate_frames(model.network, choose, given, uniforms, tf.constant(frames))

    def pitches(given: tf.Tensor, temperature: tf.Tensor, seed: tf.Tensor) -> dict[str, tf.Tensor]:
        uniforms = tf.reshape(
            uniforms_of(seed, tf.shape(given)[0], notes), [-1, frames, codec.max_notes]
        )
        tokens = written(given, uniforms, temperature)
        return {"pitches": tf.where(tokens >= FIRST, tokens - FIRST + codec.low, _NO_PITCH)}

    def sample(count: tf.Tensor, temperature: tf.Tensor, seed: tf.Tensor) -> dict[str, tf.Tensor]:
        return pitches(tf.fill([count, frames, codec.max_notes], PADDING), temperature, seed)

    def harmonize(melody: tf.Tensor, temperature: tf.Tensor, seed: tf.Tensor) -> dict:
        said = (melody >= codec.low) & (melody <= codec.high)
        top = tf.where(said, melody - codec.low + FIRST, PADDING)[:, :frames]
        missing = frames - tf.shape(top)[1]
        given = tf.pad(top[:, :, None], [[0, 0], [0, missing], [0, codec.max_notes - 1]])
        return pitches(tf.ensure_shape(given, [None, frames, codec.max_notes]), temperature, seed)

    melody = tf.TensorSpec([None, None], tf.int32, "melody")
    return {
        "sample": Endpoint(sample, (COUNT, TEMPERATURE, SEED), draws_noise=True),
        "harmonize": Endpoint(harmonize, (melody, TEMPERATURE, SEED), draws_noise=True),
    }
