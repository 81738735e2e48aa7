"""Fine-tuning on a labelled domain that keeps features like those of an unlabelled one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from keras_transgen.datasets.as_arrays import takes_any_data
from keras_transgen.training import loss_weight
from keras_transgen.training.config_from_file import Nested
from keras_transgen.training.entrance import FIT_DATA
from keras_transgen.training.gradients import num_replicas
from keras_transgen.training.trainer import batch_size_of
from keras_transgen.transfer.maximum_mean_discrepancy import MaximumMeanDiscrepancy
from keras_transgen.transfer.parameter_transfer import ParameterTransfer
from keras_transgen.transfer.training_data import is_in_memory, rows_of, some_rows

_LOG = "discrepancy"


@keras.saving.register_keras_serializable(package="keras_transgen")
class DomainAdaptation(ParameterTransfer):
    """Parameter transfer with a penalty on the difference between two domains' features.

    `fit(x, y, target=...)` takes labelled examples of the source domain and unlabelled ones of the
    target domain. In each step as many rows of the target as the batch has are drawn at random
    (by the model's seed and the step), and what is minimised is

        loss of the source's labels + penalty_weight * penalty(source features, target features)

    where the features are those that the head receives. The logs show the first part as `loss`, so
    that `val_loss`, for which there is no other domain, means the same, and the penalty as
    `discrepancy`. Validation and prediction are those of any transfer model.

    On several replicas the penalty is each replica's own, of its share of the batch, averaged: its
    estimate has the bias of the smaller batch, so a step is not that of one replica.

    Args:
        backbone: As in `ParameterTransfer`.
        num_classes: As in `ParameterTransfer`.
        penalty_weight: Weight of the penalty, at least 0. Defaults to 1.
        penalty: Callable of two batches of features `[batch, features]` that returns a scalar;
            a Keras-serialisable one can be saved. Defaults to `MaximumMeanDiscrepancy()`.
        learning_rate: As in `ParameterTransfer`. Defaults to 3e-5: held-out examples of the source
            say nothing of what is lost or gained on the target.
        **kwargs: As in `ParameterTransfer`.

    Raises:
        ValueError: If an argument is none of its values.

    Example:
        ```python
        import keras_transgen as ktg
        from keras_transgen.transfer import DomainAdaptation

        images, labels = ktg.datasets.load_digits()
        model = DomainAdaptation("digits", num_classes=10)
        darker = 0.7 * images[200:264]
        history = model.fit(images[:64], labels[:64], target=darker, epochs=1, verbose=0)
        assert history.history["discrepancy"][0] > 0.0
        ```

    Reference:
        Tzeng et al., Deep Domain Confusion, 2014; Long et al., Learning Transferable Features with
        Deep Adaptation Networks, 2015.
    """

    def __init__(
        self,
        backbone: Any,
        num_classes: int | None = None,
        *,
        penalty_weight: float = 1.0,
        penalty: Callable[[Any, Any], Any] | None = None,
        learning_rate: float | str = 3e-5,
        **kwargs: Any,
    ) -> None:
        if not 0.0 <= penalty_weight < float("inf"):
            raise ValueError(
                "penalty_weight must be a number of at least 0. "
                f"Received: penalty_weight={penalty_weight!r}"
            )
        if penalty is not None and not callable(penalty):
            raise ValueError(
                "penalty must be a callable of two batches of features, such as "
                f"MaximumMeanDiscrepancy(). Received: penalty={penalty!r}"
            )
        super().__init__(backbone, num_classes, learning_rate=learning_rate, **kwargs)
        self.penalty_weight = float(penalty_weight)
        self.penalty = MaximumMeanDiscrepancy() if penalty is None else penalty
        self._discrepancy_tracker = keras.metrics.Mean(name=_LOG)
        self._target: Any = None

    @takes_any_data(*FIT_DATA, training=True)
    def fit(
        self, x: Any = None, y: Any = None, *args: Any, target: Any = None, **kwargs: Any
    ) -> keras.callbacks.History:
        """Train, with the arguments and the result of `keras.Model.fit`, and with `target`.

        Args:
            x: Examples of the source domain; see `TransferModel.fit`.
            y: Their labels.
            *args: Further arguments of `TransferModel.fit`.
            target: Unlabelled examples of the target domain: an array, or a structure of arrays,
                of the shape of the source's.
            **kwargs: Further arguments of `TransferModel.fit`.

        Raises:
            ValueError: If there is no target, or the data do not fit the model, before training
                starts.
        """
        target = self.entered("target", target, True)
        if target is None or not is_in_memory(target):
            raise ValueError(
                "DomainAdaptation needs unlabelled examples of the target domain as an array: "
                "fit(x, y, target=images). Without any use ParameterTransfer. "
                f"Received: target of type {type(target).__name__}"
            )
        if not rows_of(target):
            raise ValueError(
                "target must hold at least one example. Received: target of shape "
                f"{np.shape(keras.tree.flatten(target)[0])}"
            )
        self.check_inputs(some_rows(target))
        # Training functions hold on to the target they were traced with.
        self.train_function = None
        self._target = keras.tree.map_structure(tf.convert_to_tensor, target)
        try:
            return super().fit(x, y, *args, **kwargs)
        finally:
            self._target = self.train_function = None

    def draw_noise(self, data: Any, seed: tf.Tensor, training: bool) -> Any:
        """Prepare the batch, and in training as many rows of the target."""
        source = super().draw_noise(data, seed, training)
        if not training:
            return source
        count = rows_of(self._target)
        drawn = tf.random.stateless_uniform([batch_size_of(data)], seed, 0, count, tf.int32)
        rows = keras.tree.map_structure(lambda leaf: tf.gather(leaf, drawn), self._target)
        return source, super().draw_noise((rows,), seed, training)

    def update_step(self, data: Any, noise: Any) -> dict[str, tf.Tensor]:
        """Take one training step on prepared input of both domains."""
        source, target = noise
        _, y, sample_weight = keras.utils.unpack_x_y_sample_weight(data)
        size = batch_size_of(source)
        variables = self.trainable_variables
        gradients, _, (logits, loss, discrepancy) = self.gradients_of(
            lambda: self._objective(source, target, y, sample_weight),
            variables,
            loss_weight(size, self.optimizer),
        )
        self.apply_gradients(self.optimizer, gradients, variables)
        self._loss_tracker.update_state(loss, sample_weight=size)
        self._discrepancy_tracker.update_state(discrepancy, sample_weight=size)
        return self.compute_metrics(source, y, logits, sample_weight=sample_weight)

    def _objective(
        self, source: Any, target: Any, y: Any, sample_weight: Any
    ) -> tuple[tf.Tensor, tuple[tf.Tensor, tf.Tensor, tf.Tensor]]:
        features = self.features(source, training=True, prepared=True)
        others = self.features(target, training=True, prepared=True)
        logits = self.head(features, training=True)
        loss = self.compute_loss(source, y, logits, sample_weight, training=True)
        discrepancy = self.penalty(features, others)
        # Keras' losses divide by the number of replicas; the training core does so itself.
        loss = loss * num_replicas()
        return loss + self.penalty_weight * discrepancy, (logits, loss, discrepancy)

    def evaluation_step(self, data: Any, noise: Any) -> dict[str, tf.Tensor]:
        """Evaluate prepared input, of whichever domain."""
        logs = super().evaluation_step(data, noise)
        logs.pop(_LOG, None)
        return logs

    def get_config(self) -> dict[str, Any]:
        """Configuration to rebuild the model from, backbone included."""
        return {
            **super().get_config(),
            "penalty_weight": self.penalty_weight,
            "penalty": keras.saving.serialize_keras_object(self.penalty),
        }

    @classmethod
    def nested_arguments(cls) -> dict[str, Nested]:
        """The arguments that a file gives as objects."""
        penalty = Nested(Callable, optional=True, functions=True)
        return {**super().nested_arguments(), "penalty": penalty}
