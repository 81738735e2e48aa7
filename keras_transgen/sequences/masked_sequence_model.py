"""Pretraining on sequences without labels: letters are hidden, and told from the others."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import tensorflow as tf

from keras_transgen.sequences.optimizer_schedule import scheduled_adamw
from keras_transgen.sequences.sequence_networks import dilated_sequence_network
from keras_transgen.training import TrainerModel
from keras_transgen.training.config_from_file import Nested, arguments_from_file
from keras_transgen.training.padded_sequences import values_and_mask
from keras_transgen.transfer.sequence_labels import (
    NOT_COUNTED,
    CountedAccuracy,
    SequenceLabellingLoss,
)

# Of what is hidden: shown as any letter, as a drawn letter, as it is.
_SHOWN_AS_ANY, _SHOWN_AS_DRAWN = 0.8, 0.1
# A code for several letters has no letter of its own to tell.
_CERTAIN = 0.999


@keras.saving.register_keras_serializable(package="keras_transgen")
class MaskedSequenceModel(TrainerModel):
    """A network pretrained on one-hot sequences, DNA or proteins, by letters hidden from it.

    Of the letters of each sequence a share is chosen at random in every step. Of these, 80 % are
    shown to the network as any letter (each alike, as the codes `N` and `X` are), 10 % as a letter
    drawn at random and 10 % as they are; the loss is the cross-entropy of the true letters there,
    in nats, `accuracy` the share of them that is told. Rows of zeros are padding, codes for several
    letters are never chosen.

    `load_backbone(model)`, also of its file, is the network without its last layer, for transfer
    to a few labels.

    Args:
        network: A `keras.Model` from `[batch, length, letters]` to a vector for each position, such
            as `dilated_sequence_network(4)`.
        share: Of the letters that are chosen, above 0 and below 1. Defaults to 0.15.
        **kwargs: `seed`, `name` and `dtype`, as in `TrainerModel`.

    Raises:
        ValueError: The network takes or gives something else, or the share is out of its range.

    Example:
        ```python
        import keras_transgen as ktg

        x = ktg.datasets.one_hot_sequences(["TATAAT" * 4, "GCGC" * 5])
        network = ktg.sequences.dilated_sequence_network(4, filters=8, dilations=(1, 2))
        model = ktg.MaskedSequenceModel(network, seed=0)
        model.fit(x, epochs=1, verbose=0)
        backbone = ktg.load_backbone(model)
        assert backbone(x).shape == (2, 24, 8)
        ```

    Reference:
        Devlin et al., BERT: Pre-training of Deep Bidirectional Transformers for Language
        Understanding, 2019.
    """

    # The highest rate of the default optimizer.
    default_rate = 2e-3

    def __init__(
        self, network: keras.Model | None = None, share: float = 0.15, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        network = dilated_sequence_network(4) if network is None else network
        _check_network(network)
        if isinstance(share, bool) or not 0.0 < share < 1.0:
            raise ValueError(f"share must be above 0 and below 1. Received: share={share!r}")
        self.network = network
        self.share = share
        self.letters = int(network.input_shape[-1])
        self.to_letters = keras.layers.Dense(self.letters, name="to_letters", dtype="float32")
        self.to_letters.build(network.output_shape)
        self.built = True

    def call(self, x: Any, training: bool = False) -> Any:
        """Logits of the letter at each position, `[batch, length, letters]`.

        Args:
            x: One-hot sequences `[batch, length, letters]`.
            training: Whether to drop.
        """
        values, _ = values_and_mask(x)
        return self.to_letters(self.network(values, training=training))

    def feature_network(self) -> keras.Model:
        """The network, from one-hot sequences to features; what `load_backbone` makes one of."""
        return self.network

    # Data on their way in

    def batch_shape(self) -> tuple[int | None, ...]:
        """Shape of a batch of sequences."""
        return (None, *self.network.input_shape[1:])

    def takes_several_inputs(self) -> bool:
        """Sequences are one input."""
        return False

    def takes_sequences(self) -> bool:
        """Whether the network takes sequences of any length."""
        return self.network.input_shape[1] is None

    def build_for_batch(self, data: Any) -> None:
        """Create what waits for data, with letters to tell in the place of labels."""
        values, _ = values_and_mask(keras.utils.unpack_x_y_sample_weight(data)[0])
        super().build_for_batch((values, tf.zeros(tf.shape(values)[:2], tf.int32)))

    # Training

    def compile(self, optimizer: Any = None, **kwargs: Any) -> None:
        """Configure training; `fit` does it with its defaults where it has not been called.

        Args:
            optimizer: Keras optimizer or its name. Defaults to AdamW at a rate of 0.002.
            **kwargs: `jit_compile`, `run_eagerly`, `steps_per_execution` and `auto_scale_loss`, as
                in `TrainerModel.compile`.
        """
        with self.distribute_strategy.scope():
            given = keras.optimizers.get(
                scheduled_adamw(rate=self.default_rate) if optimizer is None else optimizer
            )
            loss, accuracy = SequenceLabellingLoss(), CountedAccuracy()
        super().compile(optimizer=given, loss=loss, metrics=[accuracy], **kwargs)
        self.remember_compile(optimizer=given, **kwargs)

    def fit(self, x: Any = None, y: Any = None, **kwargs: Any) -> keras.callbacks.History:
        """Train, with the arguments of `keras.Model.fit` but labels.

        Args:
            x: One-hot sequences `[count, length, letters]` padded with zeros, a list of arrays
                `[length, letters]`, or a data set of batches.
            y: Taken for Keras' sake: there are no labels.
            **kwargs: As in `keras.Model.fit`; `validation_data` is sequences too.
        """
        if not self.compiled:
            self.compile()
        return super().fit(x, y, **kwargs)

    def evaluate(self, x: Any = None, y: Any = None, **kwargs: Any) -> Any:
        """Loss and accuracy on sequences, in which the same letters are hidden each time."""
        if not self.compiled:
            self.compile()
        return super().evaluate(x, y, **kwargs)

    def check_data(self, x: Any, y: Any, sample_weight: Any, training: bool) -> None:
        """Refuse labels, and what is no one-hot sequences.

        Raises:
            ValueError: There are labels or weights, the inputs have another shape or values, or no
                letter that could be hidden.
        """
        if y is not None or sample_weight is not None:
            raise ValueError(
                "Pretraining takes sequences alone, without labels and weights. To learn labels "
                "take TransferModel(model, num_classes). Received: "
                + ("labels" if y is not None else "weights")
            )
        self.check_inputs(x)
        values = np.asarray(values_and_mask(x)[0])
        if values.size and not (values.max(axis=-1) > _CERTAIN).any():
            raise ValueError(
                "Expected sequences with letters that can be hidden: one-hot ones, not codes for "
                "several letters (N, X) or padding alone. "
                f"Received: none in x of shape {list(values.shape)}"
            )

    def check_inputs(self, x: Any) -> None:
        """Refuse what is no one-hot sequences.

        Raises:
            ValueError: The inputs have another shape, or values outside of 0 to 1.
        """
        values = np.asarray(values_and_mask(x)[0])
        if values.ndim != 3 or values.shape[-1] != self.letters:
            raise ValueError(
                f"Expected one-hot sequences [count, length, {self.letters}], as "
                "datasets.one_hot_sequences makes them for an alphabet of as many letters. "
                f"Received: x of shape {list(values.shape)}"
            )
        if not (values >= 0).all() or not (values <= 1).all():
            raise ValueError(
                "Expected one-hot sequences, with values from 0 to 1. "
                f"Received: x with values from {values.min()} to {values.max()}"
            )

    def draw_noise(self, data: Any, seed: tf.Tensor, training: bool) -> tuple[Any, tf.Tensor]:
        """Sequences with letters hidden, and which letters these are: -1 where none is."""
        values, _ = values_and_mask(keras.utils.unpack_x_y_sample_weight(data)[0])
        values = tf.cast(values, tf.float32)
        shape = tf.shape(values)[:2]
        seeds = tf.random.experimental.stateless_split(seed, 3)
        chance = tf.random.stateless_uniform(shape, seeds[0])
        how = tf.random.stateless_uniform(shape, seeds[1])
        drawn = tf.random.stateless_uniform(shape, seeds[2], 0, self.letters, tf.int32)
        chosen = (tf.reduce_max(values, axis=-1) > _CERTAIN) & (chance < self.share)
        as_any = chosen & (how < _SHOWN_AS_ANY)
        as_drawn = chosen & ~as_any & (how < _SHOWN_AS_ANY + _SHOWN_AS_DRAWN)
        shown = tf.where(as_drawn[..., None], tf.one_hot(drawn, self.letters), values)
        shown = tf.where(as_any[..., None], 1.0 / self.letters, shown)
        told = tf.argmax(values, axis=-1, output_type=tf.int32)
        return shown, tf.where(chosen, told, NOT_COUNTED)

    def update_step(self, data: Any, noise: Any) -> dict[str, tf.Tensor]:
        """Take one training step on what `draw_noise` has hidden."""
        return super().update_step(noise, None)

    def evaluation_step(self, data: Any, noise: Any) -> dict[str, tf.Tensor]:
        """Evaluate what `draw_noise` has hidden."""
        return super().evaluation_step(noise, None)

    def counted(self, x: Any, y: Any, sample_weight: Any) -> tf.Tensor:
        """The number of letters that are hidden."""
        return tf.reduce_sum(tf.cast(y != NOT_COUNTED, tf.float32))

    # Saving

    def get_config(self) -> dict[str, Any]:
        network = keras.saving.serialize_keras_object(self.network)
        return {**super().get_config(), "network": network, "share": self.share}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> MaskedSequenceModel:
        return cls(**arguments_from_file(cls, config, network=Nested(keras.Model)))


def _check_network(network: Any) -> None:
    is_network = isinstance(network, keras.Model) and getattr(network, "inputs", None)
    taken = tuple(network.input_shape) if is_network and len(network.inputs) == 1 else ()
    given = tuple(network.output_shape) if taken and len(network.outputs) == 1 else ()
    if len(taken) != 3 or len(given) != 3 or taken[1] != given[1] or taken[2] is None:
        raise ValueError(
            "network must be a functional keras.Model from [batch, length, letters] to a vector "
            "for each position, such as sequences.dilated_sequence_network(4). "
            + (f"Received: one from {taken} to {given}" if taken else f"Received: {network!r:.80}")
        )
