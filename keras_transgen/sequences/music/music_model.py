"""A model of music: the probability of the notes of each frame after the frames before."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import tensorflow as tf

from keras_transgen.sequences.decoding.token_choice import Choice
from keras_transgen.sequences.endpoint_inputs import refuse_signature
from keras_transgen.sequences.music.endpoints import music_endpoints
from keras_transgen.sequences.music.frame_generation import completed
from keras_transgen.sequences.music.frame_network import FrameNetwork, notes_above
from keras_transgen.sequences.music.melodies import melody_tokens
from keras_transgen.sequences.music.note_codec import END, PADDING, NoteCodec
from keras_transgen.sequences.music.piece_likelihood import mean_log_likelihoods
from keras_transgen.sequences.music.piece_rows import (
    cropped,
    frames_counted,
    piece_rows,
    present,
)
from keras_transgen.sequences.music.pieces import as_list, holds_pieces
from keras_transgen.sequences.music.transposition import checked_steps, transposed
from keras_transgen.sequences.sequence_model import SequenceModel
from keras_transgen.sequences.sizes import check_sizes, check_whole
from keras_transgen.training import loss_weight
from keras_transgen.training.config_from_file import arguments_from_file
from keras_transgen.training.serving import Endpoint

# Of a piece that is made; all its numbers are drawn before.
_MOST_FRAMES, _MOST_TOGETHER = 1_000_000, 100_000_000


@keras.saving.register_keras_serializable(package="keras_transgen")
class MusicModel(SequenceModel):
    """Frames of notes in time: gated recurrent units over frames, notes from the highest down.

    A frame is the set of MIDI pitches that sound; a piece a list of frames, which
    `datasets.read_midi` reads and `datasets.write_midi` writes. The notes of a frame are predicted
    one after the other in the one order that a set has, so that log p of a frame is exact:
    the sum over its notes, and over the end of them where there is room for more.

    `loss` is the mean of -log p over frames, in nats a frame. How long a piece is, is not modelled.

    Args:
        pitch_range: The lowest and the highest pitch. Defaults to `(21, 108)`, a piano's.
        max_notes: Most notes of a frame. Defaults to 8.
        context_length: Frames that a training step sees of a longer piece, in windows that each
            epoch cuts anew. Defaults to 128. What is written may have any length.
        num_layers: Layers of recurrent units. Defaults to 2.
        model_dim: Units of a layer. Defaults to 256.
        note_dim: Units of the layers that read the notes above. Defaults to 256.
        dropout: Share dropped in training. Defaults to 0.3.
        period: Frames after which places begin again, such as those of some bars: the network is
            told the place of a frame in them, counted from the beginning of the piece. Defaults to
            16.
        transpose: In training each window sounds by some number of semitones higher or lower, from
            the least to the most, as far as its pitches stay in the range: `(-5, 6)`, or one number
            for both. Defaults to 0. Where all pieces are in one key, a training in other keys is
            worth a beginning: set `model.transpose = 0` and go on.
        seed: Seed of order, windows, keys and dropout. See `TrainerModel`.
        **kwargs: Passed to `keras.Model`.

    Raises:
        ValueError: An argument is out of its range.

    Example:
        ```python
        import keras_transgen as ktg

        cadence = [[48, 64, 67, 72], [53, 65, 69, 72], [55, 62, 67, 71], [48, 64, 67, 72]]
        model = ktg.MusicModel(max_notes=4, num_layers=1, model_dim=32, transpose=(-5, 6))
        model.fit([cadence * 2] * 8, epochs=1, verbose=0)
        pieces = model.sample(2, frames=8, seed=0)
        longer = model.continue_from([cadence], frames=4, seed=0)
        (chorale,) = model.harmonize([[72, 72, 71, 72]], seed=0)
        assert [max(frame) for frame in chorale] == [72, 72, 71, 72]
        nats_a_frame = model.log_likelihood([cadence])
        ```

    Reference:
        Boulanger-Lewandowski, Bengio and Vincent, "Modeling temporal dependencies in
        high-dimensional sequences", 2012 (recurrent networks over frames, and how they are
        measured); Larochelle and Murray, "The neural autoregressive distribution estimator", 2011
        (one note after the other).
    """

    default_rate = 2e-3

    def __init__(
        self,
        pitch_range: tuple[int, int] = (21, 108),
        max_notes: int = 8,
        context_length: int = 128,
        num_layers: int = 2,
        model_dim: int = 256,
        note_dim: int = 256,
        dropout: float = 0.3,
        period: int = 16,
        transpose: int | tuple[int, int] = 0,
        seed: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(seed=seed, **kwargs)
        check_sizes(
            max_notes=max_notes,
            context_length=context_length,
            num_layers=num_layers,
            model_dim=model_dim,
            note_dim=note_dim,
            period=period,
            dropout=dropout,
        )
        self.codec = NoteCodec.of_range(pitch_range, max_notes)
        self._transpose = checked_steps(transpose)
        self.context_length, self.feature_dim = context_length, model_dim
        self.network = FrameNetwork(
            self.codec.size,
            max_notes,
            num_layers,
            model_dim,
            note_dim,
            dropout,
            period,
            name="network",
            dtype=self.dtype_policy,
        )
        self.build()

    def build(self, input_shape: Any = None) -> None:
        self.network.build()
        self.built = True

    @property
    def transpose(self) -> tuple[int, int]:
        """The least and the most semitones by which training transposes."""
        return self._transpose

    @transpose.setter
    def transpose(self, value: int | tuple[int, int]) -> None:
        self._transpose = checked_steps(value)
        # What is compiled knows the old ones.
        self.train_function = None

    # Data on their way in

    def batch_shape(self) -> tuple[int | None, ...]:
        return None, None, self.codec.max_notes + 1

    def refuse_labels(self, name: str) -> None:
        """Say that pieces are all that it takes."""
        raise ValueError(
            f"A model of music takes pieces alone, neither labels nor weights. Received: {name}"
        )

    def entered(self, name: str, value: Any, training: bool) -> Any:
        """Pieces as rows of tokens; rows of tokens, and data sets of them, as they are."""
        if name in ("x", "validation_data") and isinstance(value, (str, bytes)):
            raise ValueError(
                "A model of music takes pieces, lists of frames, each a list of pitches; "
                "datasets.read_midi reads a file. "
                f"Received: {name} of type {type(value).__name__}"
            )
        if name in ("x", "validation_data") and holds_pieces(value, name):
            pieces = self.codec.tokens(as_list(value), name)
            return piece_rows(pieces, self.context_length, training and name == "x")
        return super().entered(name, value, training)

    def check_data(self, x: Any, y: Any, sample_weight: Any, training: bool) -> None:
        """Refuse what is no row of tokens, and labels."""
        if y is not None or sample_weight is not None:
            self.refuse_labels("sample_weight" if y is None else "y")
        rows, width = np.asarray(x), self.codec.max_notes + 1
        tokens = rows[..., :-1]
        is_row = rows.dtype.kind in "iu" and rows.ndim == 3 and rows.shape[2] == width
        if (
            not is_row
            or rows.shape[1] < 2
            or not rows.size
            or not 0 <= tokens.min() <= tokens.max() < self.codec.size
        ):
            raise ValueError(
                "A model of music takes pieces, each a list of frames, each a list of MIDI "
                f"pitches; or rows of their tokens, whole numbers [count, frames + 1, {width}] "
                f"below {self.codec.size}. "
                f"Received: x of type {rows.dtype} and shape {list(rows.shape)}"
            )

    def fit(self, x: Any = None, y: Any = None, *args: Any, **kwargs: Any) -> Any:
        """Train the model, with the arguments and the result of `keras.Model.fit`.

        Args:
            x: Pieces: a list of them, each a list of frames, each a list of MIDI pitches, empty
                for a rest; pitches that sound twice are one.
            y: Nothing; there are no labels.
            *args: As in `keras.Model.fit`.
            **kwargs: As in `keras.Model.fit`; `validation_data` is pieces too, which are read
                whole (up to eight contexts at a time) and in their own key.

        Raises:
            ValueError: The data are no pieces, one is empty, or a pitch is no whole number or out
                of the range.
        """
        return super().fit(x, y, *args, **kwargs)

    # Training

    def draw_noise(self, data: Any, seed: tf.Tensor, training: bool) -> Any:
        """Where the window of each row begins, and how far it is transposed, `[2, batch]`."""
        rows = keras.utils.unpack_x_y_sample_weight(data)[0]
        return tf.random.stateless_uniform([2, tf.shape(rows)[0]], seed)

    def update_step(self, data: Any, noise: Any) -> dict[str, tf.Tensor]:
        rows = cropped(_rows(data), noise[0], self.context_length)
        if self.transpose != (0, 0):
            rows = transposed(rows, noise[1], self.transpose, self.codec.size)
        rows, count = self._without_padding(rows), frames_counted(rows)
        variables = self.trainable_variables
        gradients, loss, _ = self.gradients_of(
            lambda: (self._mean_nats(rows, training=True), ()),
            variables,
            loss_weight(count, self.optimizer),
        )
        self.apply_gradients(self.optimizer, gradients, variables)
        return self.track_loss(loss, count)

    def evaluation_step(self, data: Any, noise: Any) -> dict[str, tf.Tensor]:
        rows = self._without_padding(_rows(data))
        loss = self.replica_function(self._mean_nats)(rows, training=False)
        return self.track_loss(loss, frames_counted(rows))

    def _without_padding(self, rows: tf.Tensor) -> tf.Tensor:
        """Rows as long as the longest of the batch, where shapes need not be known."""
        if self.jit_compile:
            return rows
        longest = tf.reduce_max(tf.reduce_sum(tf.cast(present(rows), tf.int32), axis=1))
        return rows[:, : tf.maximum(longest, 2)]

    # Computing

    def call(self, rows: Any, training: bool = False) -> Any:
        """Logits of the notes of each frame after the first.

        Args:
            rows: Ints `[batch, frames + 1, max_notes + 1]`: what stands before the first frame, and
                the frames; of each the tokens, the highest note first, and the place in the piece.
            training: Whether to drop.

        Returns:
            float32 `[batch, frames, max_notes, tokens]`; of notes that cannot be -1e9.
        """
        return self._logits(rows, None, training)[0]

    def _logits(self, rows: Any, states: Any, training: bool) -> tuple[Any, Any]:
        rows = tf.cast(rows, tf.int32)
        tokens, places = rows[:, :, :-1], rows[:, 1:, -1]
        return self.network(tokens[:, :-1], tokens[:, 1:], places, states, training=training)

    def frame_nats(self, rows: Any, states: Any, training: bool) -> tuple[Any, Any]:
        """-log p of each frame after the first, and the states behind them.

        Args:
            rows: As `call` takes them.
            states: Of the network before them; `None` before a piece.
            training: Whether to drop.

        Returns:
            `[batch, frames]`, zero where there is no frame; and the states.
        """
        logits, states = self._logits(rows, states, training)
        following = rows[:, 1:, :-1]
        nats = tf.nn.sparse_softmax_cross_entropy_with_logits(labels=following, logits=logits)
        # What follows the end of a frame is certain.
        counted = (following != PADDING) & (notes_above(following, self.codec.size) != END)
        return tf.reduce_sum(tf.where(counted, nats, 0.0), axis=2), states

    def _mean_nats(self, rows: tf.Tensor, training: bool) -> tf.Tensor:
        nats, _ = self.frame_nats(rows, None, training)
        return tf.math.divide_no_nan(tf.reduce_sum(nats), frames_counted(rows))

    # What the model says of pieces

    def log_likelihood(self, pieces: Any) -> np.ndarray:
        """Mean log p of a frame of each piece, in nats: their sum divided by their number.

        Each frame is predicted from all frames before it, however long the piece.

        Args:
            pieces: As `fit` takes them.

        Returns:
            float64 `[count]`.
        """
        return mean_log_likelihoods(self, self.codec.tokens(as_list(pieces)))

    # What it writes

    def sample(
        self,
        count: int = 1,
        frames: int = 64,
        temperature: float = 1.0,
        top_p: float | None = None,
        seed: int | None = None,
    ) -> list[list[list[int]]]:
        """Pieces of the model's own.

        Args:
            count: How many. Defaults to 1.
            frames: Of each. Defaults to 64.
            temperature: Divides the logits; 0 takes the likeliest note each time. Defaults to 1.
            top_p: Only the likeliest notes that together have this probability. Defaults to all.
            seed: Of the draws. `None` (default) draws afresh each time; with a seed, a piece
                depends on it and the piece's number alone.

        Returns:
            Pieces, each a list of frames, each a list of pitches from the lowest up.

        Raises:
            ValueError: A number is out of its range.
        """
        check_whole("frames", frames, most=_MOST_FRAMES)
        check_whole("count", count, most=_MOST_TOGETHER // frames)
        return self._completed([self._open(frames)] * count, temperature, top_p, seed)

    def continue_from(
        self,
        pieces: Any,
        frames: int = 64,
        temperature: float = 1.0,
        top_p: float | None = None,
        seed: int | None = None,
    ) -> list[list[list[int]]]:
        """Frames that go on where pieces end.

        Args:
            pieces: As `fit` takes them, of any lengths.
            frames: How many for each. Defaults to 64.
            temperature: As in `sample`.
            top_p: As in `sample`.
            seed: As in `sample`.

        Returns:
            The continuations, without what they continue.

        Raises:
            ValueError: The pieces are none, or a number is out of its range.
        """
        check_whole("frames", frames, most=_MOST_FRAMES)
        begun = self.codec.tokens(as_list(pieces))
        given = [np.concatenate([each, self._open(frames)]) for each in begun]
        return [piece[-frames:] for piece in self._completed(given, temperature, top_p, seed)]

    def harmonize(
        self,
        melodies: Any,
        temperature: float = 1.0,
        top_p: float | None = None,
        seed: int | None = None,
    ) -> list[list[list[int]]]:
        """Notes below melodies, each after the frames before it.

        Args:
            melodies: A list of melodies, each a list with one pitch a frame, which is kept as the
                highest; or `None`, where the model chooses that too.
            temperature: As in `sample`.
            top_p: As in `sample`.
            seed: As in `sample`.

        Returns:
            Pieces as long as their melodies.

        Raises:
            ValueError: The melodies are none, a pitch is no whole number or out of the range, or a
                number is out of its range.
        """
        return self._completed(melody_tokens(melodies, self.codec), temperature, top_p, seed)

    def _open(self, frames: int) -> np.ndarray:
        return np.full((frames, self.codec.max_notes), PADDING, "int32")

    def _completed(
        self, given: list[np.ndarray], temperature: float, top_p: float | None, seed: int | None
    ) -> list[list[list[int]]]:
        choice = Choice(temperature, None, top_p)
        choice.check()
        return [self.codec.frames(each) for each in completed(self, given, choice, seed)]

    def serving_endpoints(self, input_signature: Any = None) -> dict[str, Endpoint]:
        """See `sequences.music.endpoints.music_endpoints`; of `context_length` frames."""
        refuse_signature(self, input_signature)
        return music_endpoints(self, self.context_length)

    # Saving

    def get_config(self) -> dict[str, Any]:
        network, codec = self.network, self.codec
        return {
            **super().get_config(),
            "pitch_range": (codec.low, codec.high),
            "max_notes": codec.max_notes,
            "context_length": self.context_length,
            "num_layers": network.num_layers,
            "model_dim": network.model_dim,
            "note_dim": network.note_dim,
            "dropout": network.dropout_rate,
            "period": network.period,
            "transpose": self.transpose,
        }

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> MusicModel:
        return cls(**arguments_from_file(cls, config))


def _rows(data: Any) -> tf.Tensor:
    return tf.cast(keras.utils.unpack_x_y_sample_weight(data)[0], tf.int32)
