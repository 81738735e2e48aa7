"""The part of flow matching that trains: the network, what it is told, and its step."""

from __future__ import annotations

import math
import types
import warnings
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from keras_transgen.generative.conditional_model import ConditionalModel
from keras_transgen.generative.flow.alignment import FeatureAlignment, network_with_tap
from keras_transgen.generative.flow.straight_paths import PREDICTIONS, Prediction, place_at
from keras_transgen.generative.flow.times import TIMES
from keras_transgen.generative.flow.velocity_networks import check_network, default_network
from keras_transgen.generative.moving_average import MovingAverage
from keras_transgen.training import loss_weight
from keras_transgen.training.trainer import batch_size_of

# Standard deviations between which numbers without a range are as large as the noise.
_USUAL_DEVIATION = (0.1, 10.0)


class FlowModel(ConditionalModel):
    """Learns the velocity from noise to data; a model derives from it and follows the velocity.

    It expects the attributes that `FlowMatching.__init__` sets before it calls
    `build_networks`.
    """

    network: keras.Model
    prediction: Prediction
    prediction_setting: str
    times_setting: str
    ema_decay: float | None
    average: MovingAverage | None
    width: int | None
    align_with: Any
    align_layer: str | None
    alignment_weight: float
    alignment: FeatureAlignment | None

    # The network

    @property
    def has_conditions(self) -> bool:
        """Whether examples have conditions."""
        known = (self.num_classes, self.condition_shape, self.condition_encoder)
        return any(each is not None for each in known)

    def build_networks(self, network: keras.Model | str | None, given: bool) -> None:
        """Make, or take and check, the network; then what conditions need, and the average.

        Args:
            network: As given to the constructor.
            given: Whether it is a network.
        """
        embedding_dim = self.embedding_dim if self.has_conditions else None
        self.prediction = PREDICTIONS.find(self.prediction_setting)()
        self.draw_times = TIMES.find(self.times_setting)
        self.network = (
            network
            if given
            else default_network(network, self.example_shape, self.width, embedding_dim)
        )
        check_network(self.network, self.example_shape, embedding_dim)
        self.condition_embedding = None
        if self.has_conditions:
            if self.condition_encoder is not None:
                self.make_condition_scale()
            self.condition_embedding = self.make_condition_embedding("condition_embedding", 1.0)
        self.alignment = None
        if self.align_with is not None:
            # In a namespace, since Keras would save the network's weights a second time.
            self._tapped = types.SimpleNamespace(
                network=network_with_tap(self.network, self.align_layer)
            )
            inner = self._tapped.network.outputs[1].shape[1:]
            self.alignment = FeatureAlignment(self.align_with, name="alignment")
            self.alignment.build_for(tuple(inner), self.example_shape)
            self._alignment_tracker = keras.metrics.Mean(name="alignment")
        self.average = (
            None
            if self.ema_decay is None
            else MovingAverage(self.averaged_layers, self.ema_decay, name="average")
        )
        self.built = True

    @property
    def averaged_layers(self) -> list[keras.layers.Layer]:
        """The layers that train, and that the moving average follows."""
        layers = [self.network, self.condition_embedding, self.condition_encoder]
        return [layer for layer in layers if layer is not None]

    # The range of values

    def inward(self, x: tf.Tensor) -> tf.Tensor:
        """Examples in their value range as the network sees them, in [-1, 1]."""
        middle, factor = self._scale()
        return (x - middle) * factor

    def outward(self, x: tf.Tensor) -> tf.Tensor:
        """What the network makes, in the value range and within its ends."""
        middle, factor = self._scale()
        x = x / factor + middle
        return x if self.value_range is None else tf.clip_by_value(x, *self.value_range)

    def log_volume(self) -> float:
        """What `inward` adds to the logarithm of a density of one example, in nats."""
        return math.prod(self.example_shape) * math.log(self._scale()[1])

    def _scale(self) -> tuple[float, float]:
        if self.value_range is None:
            return 0.0, 1.0
        low, high = self.value_range
        return (high + low) / 2.0, 2.0 / (high - low)

    def check_data(self, x: Any, y: Any, sample_weight: Any, training: bool) -> None:
        """Refuse data that are no examples of this model; see `TrainerModel.check_data`."""
        super().check_data(x, y, sample_weight, training)
        if not training or self.value_range is not None or len(x) < 2:
            return
        values = np.asarray(self.scaled(x), "float64")
        # Columns of a table may be of sizes of their own; pixels and samples of a wave are not.
        columns = values if values.ndim == 2 else values.reshape(-1, 1)
        deviations, means = columns.std(axis=0), columns.mean(axis=0)
        low, high = _USUAL_DEVIATION
        unusual = (deviations < low) | (deviations > high) | (abs(means) > high * deviations)
        # Of a constant there is nothing to standardise.
        unusual &= deviations > 0
        if unusual.any():
            first = int(np.argmax(unusual))
            where = f" in column {first}" if values.ndim == 2 else ""
            warnings.warn(
                "A flow starts from standard normal noise, and the data are of another size: "
                "standardise them, (x - x.mean(0)) / x.std(0), or pass value_range=(low, high). "
                f"Received: x with a mean of {means[first]:.3g} and a standard deviation of "
                f"{deviations[first]:.3g}{where}",
                stacklevel=3,
            )

    def check_labels(self, y: Any) -> None:
        """Refuse conditions that are none of this model's, and any where it has none."""
        if self.has_conditions:
            super().check_labels(y)
        elif y is not None:
            raise ValueError(
                f"{type(self).__name__} without conditions learns from examples alone, and would "
                "not see their labels: pass num_classes= (or condition_shape=, condition_encoder=) "
                "to the constructor, or leave them out: fit(images). "
                "Received: labels or targets with the examples"
            )

    # The velocity

    def embedded(self, y: Any, training: bool, dropped: Any = None) -> tf.Tensor | None:
        """Vectors `[batch, embedding_dim]` of conditions; `None` where there are none.

        Args:
            y: Conditions, as `fit` takes them.
            training: Whether an encoder trains.
            dropped: Booleans `[batch]`: whose condition is not told.
        """
        if self.condition_embedding is None:
            return None
        encoded = self._encoded(y, training)
        return self.condition_embedding(*([encoded] if dropped is None else [encoded, dropped]))

    def unconditional(self, count: tf.Tensor) -> tf.Tensor | None:
        """The vector of no condition for as many examples; `None` where there are none at all."""
        if self.condition_embedding is None:
            return None
        nothing = tf.convert_to_tensor(self.condition_embedding.nothing)
        return tf.repeat(nothing[tf.newaxis], count, axis=0)

    def predicted(
        self, place: tf.Tensor, time: tf.Tensor, embedding: tf.Tensor | None, training: bool = False
    ) -> tf.Tensor:
        """What the network says, float32 of the shape of the places."""
        said = self.network(_inputs(place, time, embedding), training=training)
        return tf.ensure_shape(tf.cast(said, tf.float32), place.shape)

    def velocity(
        self,
        place: tf.Tensor,
        time: tf.Tensor,
        embedding: tf.Tensor | None = None,
        guidance: tf.Tensor | None = None,
    ) -> tf.Tensor:
        """The velocity at places on the way from noise to data, in the network's own scale.

        With guidance g it is that of `v(x) + g (v(x | condition) - v(x))`.

        Args:
            place: `[batch, *example_shape]`.
            time: `[batch]`, 0 for noise and 1 for data.
            embedding: What `embedded` gave of the conditions.
            guidance: g, a scalar; `None` for the conditional velocity, g = 1, at half the cost.

        Reference:
            Ho and Salimans, Classifier-free diffusion guidance, 2022.
        """
        time = self.prediction.asked_at(time)
        if guidance is None or embedding is None:
            said = self.predicted(place, time, embedding)
        else:
            nothing = tf.cast(self.unconditional(tf.shape(place)[0]), embedding.dtype)
            both = self.predicted(
                tf.concat([place, place], 0),
                tf.concat([time, time], 0),
                tf.concat([embedding, nothing], 0),
            )
            told, untold = tf.split(both, 2)
            said = tf.ensure_shape(untold + guidance * (told - untold), place.shape)
        return self.prediction.velocity(said, place, time)

    # Compiling and training

    def compile(
        self,
        optimizer: Any = None,
        run_eagerly: bool = False,
        steps_per_execution: int = 1,
        jit_compile: bool | str = "auto",
        auto_scale_loss: bool = True,
    ) -> None:
        """Configure training; `fit` does it with these defaults where it has not been called.

        Args:
            optimizer: Keras optimizer or its name. Defaults to Adam with a learning rate of 0.001.
            run_eagerly: See `TrainerModel.compile`.
            steps_per_execution: See `TrainerModel.compile`.
            jit_compile: See `TrainerModel.compile`.
            auto_scale_loss: See `TrainerModel.compile`.
        """
        # An optimizer's own variables belong to the strategy too.
        with self.distribute_strategy.scope():
            optimizer = keras.optimizers.get(
                keras.optimizers.Adam(1e-3) if optimizer is None else optimizer
            )
        settings = {
            "optimizer": optimizer,
            "run_eagerly": run_eagerly,
            "steps_per_execution": steps_per_execution,
            "auto_scale_loss": auto_scale_loss,
        }
        super().compile(jit_compile=jit_compile, **settings)
        self.remember_compile(**settings)

    def build_for_batch(self, data: Any) -> None:
        """Nothing waits for data: the constructor builds the network."""

    def draw_noise(self, data: Any, seed: tf.Tensor, training: bool) -> tuple[tf.Tensor, ...]:
        """Noise `[batch, *example_shape]`, times `[batch]`, and whose condition is dropped."""
        size = batch_size_of(data)
        seeds = [tf.random.experimental.stateless_fold_in(seed, place) for place in range(3)]
        noise = tf.random.stateless_normal([size, *self.example_shape], seeds[0])
        drawn = (noise, self.draw_times(size, seeds[1]))
        if not self.has_conditions or not self._drop_probability:
            return drawn
        # In evaluation all are told: the loss is that of what is sampled.
        probability = self._drop_probability if training else 0.0
        return (*drawn, tf.random.stateless_uniform([size], seeds[2]) < probability)

    def update_step(self, data: Any, noise: tuple[tf.Tensor, ...]) -> dict[str, tf.Tensor]:
        """Move the network towards the paths' velocities, and the average after it."""
        x, y, _ = self.unpack(data)
        size = batch_size_of(x)
        variables = self.trainable_variables
        gradients, loss, distance = self.gradients_of(
            lambda: self._loss(x, y, noise, True),
            variables,
            loss_weight(size, self.optimizer),
        )
        self.apply_gradients(self.optimizer, gradients, variables)
        if self.average is not None:
            self.average.update(self.progress.step.value)
        return self._logged(loss, distance, size)

    def evaluation_step(self, data: Any, noise: tuple[tf.Tensor, ...]) -> dict[str, tf.Tensor]:
        """The loss on held-out data, of the network as it is; every condition is told."""
        x, y, _ = self.unpack(data)
        size = batch_size_of(x)
        loss, distance = self.replica_function(self._loss)(x, y, noise, False)
        return self._logged(loss, distance, size)

    def _loss(
        self, x: tf.Tensor, y: Any, drawn: tuple[tf.Tensor, ...], training: bool
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """Mean squared error of what the network predicts, over examples and their values.

        With an alignment its weighted distance is in it, and comes as the second value besides.
        """
        noise, time, *dropped = drawn
        data = self.inward(x)
        place = place_at(time, noise, data)
        distance = tf.constant(0.0)
        if self.alignment is None:
            said = self.predicted(place, time, self.embedded(y, training, *dropped), training)
        else:
            features, y = self.aligned_features(x, y)
            inputs = _inputs(place, time, self.embedded(y, training, *dropped))
            said, inner = self._tapped.network(inputs, training=training)
            said = tf.ensure_shape(tf.cast(said, tf.float32), place.shape)
            distance = tf.reduce_mean(self.alignment([inner, features]))
        loss = tf.reduce_mean(tf.square(said - self.prediction.target(noise, data)))
        loss += self.alignment_weight * distance
        if self.losses:
            loss += tf.add_n([tf.cast(extra, tf.float32) for extra in self.losses])
        return loss, distance

    def aligned_features(self, x: tf.Tensor, y: Any) -> tuple[tf.Tensor, Any]:
        """The pretrained network's features of clean examples, and their conditions.

        Args:
            x: The step's examples, in their value range.
            y: What came with them.
        """
        assert self.alignment is not None
        return self.alignment.features_of(x), y

    def _logged(
        self, loss: tf.Tensor, distance: tf.Tensor, size: tf.Tensor
    ) -> dict[str, tf.Tensor]:
        if self.alignment is not None:
            self._alignment_tracker.update_state(
                tf.where(size > 0, distance, 0.0), sample_weight=size
            )
        return self.track_loss(tf.where(size > 0, loss, 0.0), size)

    # The average of the weights

    def average_what_was_loaded(self) -> None:
        """Start the moving average anew if the network was given other weights by hand."""
        if self.average is not None:
            self.average.restart_if_replaced()

    def make_predict_function(self, force: bool = False) -> Callable[..., Any]:
        """Make the function that predicts on the next batches from an iterator."""
        self.average_what_was_loaded()
        return super().make_predict_function(force)

    def export(self, *args: Any, **kwargs: Any) -> None:
        """Export the model for inference; see `keras_transgen.training.TrainerModel.export`."""
        self.average_what_was_loaded()
        super().export(*args, **kwargs)


def _inputs(place: tf.Tensor, time: tf.Tensor, embedding: tf.Tensor | None) -> list[tf.Tensor]:
    return [place, time] if embedding is None else [place, time, embedding]
