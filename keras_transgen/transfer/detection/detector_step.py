"""A detector's step: what each point shall say, what it says, and the sums between them."""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf

from keras_transgen.training.gradients import loss_weight, num_replicas
from keras_transgen.training.trainer import batch_size_of
from keras_transgen.transfer.deltas.delta_training import DeltaTraining
from keras_transgen.transfer.detection.assignment import assign_to_points
from keras_transgen.transfer.detection.boxes import BOX_LOSSES
from keras_transgen.transfer.detection.losses import CLASS_LOSSES, normalizer
from keras_transgen.transfer.detection.point_outputs import PointOutputs, detection_losses
from keras_transgen.transfer.detection.points import Points

_WEIGHTS = {"class_loss": 1.0, "centreness_loss": 0.5}


class DetectorStep(DeltaTraining):
    """The part of `Detector` that the training core calls; no use for it alone.

    Attributes:
        parts: Means of the parts of the loss, by whose names they are logged.
    """

    augmentation: Any
    parts: list[Any]
    _settings: dict[str, Any]
    _points: dict[str, Points]

    def scaled(self, images: Any) -> tf.Tensor:
        """Images as floats in the range of the model."""
        raise NotImplementedError

    def point_outputs(self, inputs: Any, training: bool = False) -> PointOutputs:
        """Classes and boxes at each point."""
        raise NotImplementedError

    def draw_noise(self, data: Any, seed: tf.Tensor, training: bool) -> dict[str, Any]:
        """A step's images, varied if training, what each point shall say, and by what to divide."""
        inputs, objects, _ = keras.utils.unpack_x_y_sample_weight(data)
        boxes, labels = objects["boxes"], objects["labels"]
        if not isinstance(inputs, dict):
            inputs = self.scaled(inputs)
            if training and self.augmentation is not None:
                inputs, boxes, labels = self.augmentation(inputs, boxes, labels, seed=seed)
        assigned = assign_to_points(boxes, labels, self._points["points"])
        return {
            "inputs": inputs,
            "assigned": assigned,
            "normalizer": normalizer(assigned.labels),
            "share": loss_weight(batch_size_of(data)),
        }

    def update_step(self, data: Any, noise: dict[str, Any]) -> dict[str, tf.Tensor]:
        """Move what trains, and return the logs."""
        variables = self.trainable_variables
        weight = tf.cast(self.optimizer.scale_loss(1.0 / noise["normalizer"]), tf.float32)
        gradients, loss, parts = self.gradients_of(
            lambda: self._sums(noise, training=True), variables, weight
        )
        self.apply_gradients(self.optimizer, gradients, variables)
        return self._logged(loss, parts, noise)

    def evaluation_step(self, data: Any, noise: dict[str, Any]) -> dict[str, tf.Tensor]:
        """The losses of a batch."""
        loss, parts = self.replica_function(lambda each: self._sums(each, training=False))(noise)
        return self._logged(loss, parts, noise)

    def _sums(self, noise: dict[str, Any], training: bool) -> tuple[tf.Tensor, dict[str, Any]]:
        outputs = self.point_outputs(noise["inputs"], training)
        settings = self._settings
        parts = detection_losses(
            outputs,
            noise["assigned"],
            self._points["points"],
            CLASS_LOSSES[settings["class_loss"]],
            BOX_LOSSES[settings["box_loss"]],
        )
        weights = {**_WEIGHTS, "box_loss": settings["box_weight"]}
        total = tf.add_n([weights[name] * value for name, value in parts.items()])
        penalties = [tf.cast(loss, tf.float32) for loss in self.losses]
        if penalties:
            # Divided by the normalizer later, and added once for all replicas.
            total += tf.add_n(penalties) * noise["normalizer"] * noise["share"]
        return total, parts

    def _logged(
        self, loss: tf.Tensor, parts: dict[str, tf.Tensor], noise: dict[str, Any]
    ) -> dict[str, tf.Tensor]:
        count = noise["normalizer"] / num_replicas()
        for metric in self.parts:
            metric.update_state(parts[metric.name] / count, sample_weight=count)
        return self.track_loss(loss / count, count)
