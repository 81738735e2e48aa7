"""What every sample is told: its class, its speaker, its place in the clip, or what was encoded."""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf


class ClipConditions(keras.layers.Layer):
    """Vectors for every sample, from what is known of its clip.

    Classes and speakers have a vector for each of `places` that lie equally spaced from the clip's
    beginning to its end; in between they are interpolated. Encoded features are mapped linearly;
    frames are stretched to samples, interpolated between the frames' middles.

    Args:
        channels: Of the vectors.
        places: How many; 1 for vectors that are the same all over the clip.
        num_classes: Classes, or `None`.
        num_speakers: Speakers, or `None`.
        features: Of what an encoder gives, or `None`.
        samples_per_frame: Of frames, or `None` where the encoder gives one vector a clip.
        **kwargs: As in `keras.layers.Layer`.
    """

    def __init__(
        self,
        channels: int,
        places: int,
        num_classes: int | None = None,
        num_speakers: int | None = None,
        features: int | None = None,
        samples_per_frame: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.channels, self.places = channels, places
        self.samples_per_frame = samples_per_frame
        # One row where nothing is known but the place.
        sizes = [each for each in (num_classes, num_speakers) if each is not None] or [1]
        self.tables = [
            self.add_weight(
                name=f"table_{number}",
                shape=(size, places, channels),
                initializer=keras.initializers.RandomNormal(stddev=0.1),
                dtype="float32",
            )
            for number, size in enumerate(sizes)
        ]
        self.projection = None
        if features is not None:
            self.projection = keras.layers.Dense(channels, name="projection", dtype="float32")
            self.projection.build((None, features))
        self.built = True

    def call(self, known: Any, times: Any, lengths: Any) -> tf.Tensor:
        """Vectors of samples, float32 `[batch, samples, channels]`.

        Args:
            known: Numbers of class and speaker, int32 `[batch, 1 or 2]`, or encoded features
                `[batch, features]` or `[batch, frames, features]`.
            times: Of the samples, int32 `[batch, samples]`, 0 where the clip begins.
            lengths: Samples of the clips, int32 `[batch]`.
        """
        vectors: Any = 0.0
        if self.projection is not None:
            vectors = self._of_encoded(self.projection(known), times, lengths)
        table = self._tables_of(known)
        share = tf.cast(times, tf.float32) / tf.cast(lengths[:, None], tf.float32)
        place = tf.clip_by_value(share, 0.0, 1.0)[..., None] * (self.places - 1)
        near = tf.nn.relu(1.0 - tf.abs(place - tf.range(self.places, dtype=tf.float32)))
        return vectors + tf.matmul(near, table)

    def _tables_of(self, known: Any) -> tf.Tensor:
        if self.projection is not None or known is None:
            return self.tables[0].value
        rows = [tf.gather(table.value, known[:, at]) for at, table in enumerate(self.tables)]
        return tf.add_n(rows)

    def _of_encoded(self, vectors: tf.Tensor, times: Any, lengths: Any) -> tf.Tensor:
        if self.samples_per_frame is None:
            return vectors[:, None]
        # Frames behind a clip's own end are those of longer ones in its batch.
        frames = tf.minimum(-(-lengths // self.samples_per_frame), tf.shape(vectors)[1])
        last = frames[:, None] - 1
        frame = (tf.cast(times, tf.float32) + 0.5) / self.samples_per_frame - 0.5
        frame = tf.clip_by_value(frame, 0.0, tf.cast(last, tf.float32))
        below = tf.cast(tf.floor(frame), tf.int32)
        share = (frame - tf.floor(frame))[..., None]
        first = tf.gather(vectors, below, batch_dims=1)
        second = tf.gather(vectors, tf.minimum(below + 1, last), batch_dims=1)
        return first + share * (second - first)
