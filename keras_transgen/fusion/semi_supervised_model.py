"""The part of a semi-supervised GAN that trains: data in pairs, two players, their logs."""

from __future__ import annotations

import math
import warnings
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from keras_transgen.datasets.as_arrays import takes_any_data
from keras_transgen.fusion.game_health import GameHealth
from keras_transgen.fusion.labelled_and_unlabelled import (
    check_labels_where_known,
    labelled_and_all,
)
from keras_transgen.fusion.paired_batches import NO_LABEL, paired_batches
from keras_transgen.fusion.semi_supervised_losses import (
    generated_losses,
    matching_loss,
    mean_where,
    real_losses,
)
from keras_transgen.fusion.semi_supervised_step import (
    labelled_rows,
    mean_over_replicas,
    move_discriminator,
    move_generator,
    supervised_part,
)
from keras_transgen.generative.adversarial.adversarial_model import AdversarialModel
from keras_transgen.generative.moving_average import MovingAverage, averaged
from keras_transgen.generative.networks.condition_scale import some_rows
from keras_transgen.generative.networks.semi_supervised import last_bias, start_at_mean
from keras_transgen.generative.networks.weight_normalization import has_started, start_from_data
from keras_transgen.training.batch_assertions import stop_at_wrong_labels
from keras_transgen.training.batches import check_lengths, is_arrays, split_last
from keras_transgen.training.counts import check_count
from keras_transgen.training.entrance import FIT_DATA, is_batches
from keras_transgen.training.named_classes import NamesClasses
from keras_transgen.training.replica_batches import refuse_idle_replicas
from keras_transgen.training.trainer import batch_size_of

_BATCH_SIZE = 100
# Of examples, from which built networks start.
_START_ROWS = 500
_DENSE_RATE = 3e-3
_RATE = 3e-4
LOGS = ("supervised_loss", "accuracy", "unlabelled_loss", "matching_loss")


class SemiSupervisedModel(NamesClasses, AdversarialModel):
    """Two players on the training core, of which one classifies; `SemiSupervisedGAN` makes them.

    It expects the attributes that `SemiSupervisedGAN.__init__` sets: both networks, the layer of
    class logits, the moving average, and whether built networks have started.
    """

    num_classes: int
    classifier: keras.layers.Layer
    average: MovingAverage | None
    _started: bool

    @property
    def discriminator_layers(self) -> list[keras.layers.Layer]:
        """The discriminator and the layer of class logits."""
        return [self.discriminator, self.classifier]

    def features(self, examples: tf.Tensor, training: bool) -> tf.Tensor:
        """The discriminator's features `[batch, features]` of examples, float32, as it is now."""
        return tf.cast(self.discriminator(examples, training=training), tf.float32)

    def class_logits(self, features: tf.Tensor) -> tf.Tensor:
        """Class logits `[batch, num_classes]` of features, float32, as the layer is now."""
        return tf.cast(self.classifier(features), tf.float32)

    # Data

    def count_of_classes(self) -> int | None:
        """The number of classes."""
        return self.num_classes

    def knows_classes_by_number(self) -> bool:
        """Whether a training has begun."""
        return bool(int(self.progress.step.numpy()))

    def check_labels(self, y: Any) -> None:
        """Refuse labels that are neither classes nor -1, or none at all."""
        check_labels_where_known(y, self.num_classes)

    def stop_at_misfits(self, data: Any) -> list[tf.Operation]:
        """Assertions that a batch's examples are in their range and its labels classes or -1."""
        found = super().stop_at_misfits(data)
        y = tf.cast(data[1], tf.int32)
        return found + stop_at_wrong_labels(
            tf.where(y == -1, tf.zeros_like(y), y), self.num_classes
        )

    @takes_any_data(*FIT_DATA, "unlabelled", training=True)
    def fit(
        self, x: Any = None, y: Any = None, *args: Any, unlabelled: Any = None, **kwargs: Any
    ) -> Any:
        """Train the model; see `TrainerModel.fit` for the other arguments.

        Args:
            x: Examples, or a data set of `(examples, labels)`.
            y: Their classes `[count]`, by number or name; the number -1 where there is none.
            *args: As in `keras.Model.fit`.
            unlabelled: Further examples without labels, an array of the type of x.
            **kwargs: As in `keras.Model.fit`. `batch_size` (100 by default) is how many examples
                without labels a step takes.

        Returns:
            The history: `supervised_loss` and `accuracy` of the labelled examples as they train,
            with their noise, `unlabelled_loss` and `matching_loss`.

        Raises:
            ValueError: If the data do not fit, before training starts.
        """
        if args:
            # In the order of Keras, whose third argument is the size of a batch.
            names = ("batch_size", "epochs", "verbose", "callbacks", "validation_split")
            kwargs = {**dict(zip(names, args, strict=False)), **kwargs}
            if len(args) > len(names):
                raise ValueError("Give the arguments after validation_split by name.")
        if is_batches(x) or not is_arrays((x, y)):
            if unlabelled is not None:
                raise ValueError(
                    "unlabelled= goes with arrays x and y; in a data set the label -1 says that "
                    f"there is none. Received: unlabelled with x of type {type(x).__name__}"
                )
            return super().fit(x, y, **kwargs)
        if kwargs.get("sample_weight") is not None:
            raise self._weighs_nothing("sample weights")
        fraction = kwargs.pop("validation_split", 0.0)
        if fraction and kwargs.get("validation_data") is None:
            (x, y), kwargs["validation_data"] = split_last((x, y), fraction)
        self._check_held_out(kwargs.get("validation_data"))
        self.check_data(x, y, None, training=False)
        check_lengths((x, y))
        if is_batches(unlabelled):
            raise ValueError(
                "unlabelled= takes an array, beside arrays x and y. Of data sets make one of "
                "(examples, labels), in which the label -1 says that there is none. "
                f"Received: unlabelled of type {type(unlabelled).__name__}"
            )
        if unlabelled is not None:
            self.check_examples(unlabelled, "unlabelled")
        batch_size = kwargs.pop("batch_size", None)
        batch_size = _BATCH_SIZE if batch_size is None else batch_size
        check_count("batch_size", batch_size)
        refuse_idle_replicas(self.distribute_strategy, x, batch_size)
        every, some, labels = labelled_and_all(x, y, unlabelled, self.num_classes)
        self._start_from(every)
        shuffle = kwargs.pop("shuffle", True)
        data = paired_batches(every, some, labels, batch_size, self.progress, bool(shuffle))
        return super().fit(data, **kwargs)

    def evaluate(self, x: Any = None, y: Any = None, *args: Any, **kwargs: Any) -> Any:
        """The losses, and the accuracy of rows that have labels; see `keras.Model.evaluate`.

        Raises:
            ValueError: If no row has one: what was judged of the labels would be that of nothing.
                Within `fit` a warning says so, and the two are NaN.
        """
        found = super().evaluate(x, y, *args, **kwargs)
        if any(float(each.count) for each in self._trackers if each.name == "accuracy"):
            return found
        if self._is_fitting and isinstance(found, dict):
            # An epoch has been trained, which an error would lose.
            warnings.warn(
                "validation_data has no label to be judged by: supervised_loss and accuracy of it "
                f"are NaN. Give some of its rows their labels. Received: labels all {NO_LABEL}",
                stacklevel=2,
            )
            return {**found, "supervised_loss": math.nan, "accuracy": math.nan}
        raise ValueError(
            "What is evaluated needs labels to be judged by, one at least. "
            f"Received: labels that are all {NO_LABEL}"
        )

    def _check_held_out(self, held_out: Any) -> None:
        """Refuse arrays without one label: their accuracy would be that of nothing."""
        if not isinstance(held_out, (tuple, list)) or len(held_out) < 2:
            return
        labels = np.asarray(held_out[1])
        if labels.dtype.kind == "i" and labels.size and (labels == NO_LABEL).all():
            raise ValueError(
                "What is held out needs labels to be judged by, one at least: validation_split "
                "takes the last rows, so mix them, or give validation_data=(x, y). "
                f"Received: {len(labels)} held-out labels, all {NO_LABEL}"
            )

    def check_data(self, x: Any, y: Any, sample_weight: Any, training: bool) -> None:
        """Refuse data that are none of this model's; built networks start from the first."""
        super().check_data(x, y, sample_weight, training)
        if training:
            self._start_from(x)

    def _start_from(self, x: Any) -> None:
        """Standardise what built networks compute of examples, and begin at their mean; once."""
        if self._started or int(self.progress.step.numpy()):
            return
        self._started = True
        rows = self.scaled(tf.convert_to_tensor(some_rows(x)[:_START_ROWS]))
        with self.distribute_strategy.scope():
            layers = [*self.discriminator.layers, self.classifier]
            # What was given weights of its own keeps them.
            if not self._handed_in["discriminator"] and not has_started(layers):
                start_from_data(layers, rows)
            if not self._handed_in["generator"]:
                bias = keras.ops.convert_to_numpy(last_bias(self.generator))
                if not bias.any():
                    start_at_mean(self.generator, rows.numpy())
            self.average_what_was_loaded()

    # Training

    def compile(
        self,
        generator_optimizer: Any = None,
        discriminator_optimizer: Any = None,
        jit_compile: bool | str = "auto",
        **kwargs: Any,
    ) -> None:
        """Configure the model for training; see `AdversarialModel.compile`.

        Args:
            generator_optimizer: Keras optimizer or its name. Defaults to Adam with `beta_1=0.5` and
                a rate of 3e-3 for vectors, 3e-4 for others.
            discriminator_optimizer: Another one, with the same default.
            jit_compile: `True`, `False` or `"auto"`.
            **kwargs: `run_eagerly`, `steps_per_execution`.
        """
        rate = _DENSE_RATE if len(self.example_shape) == 1 else _RATE
        with self.distribute_strategy.scope():
            chosen = [
                keras.optimizers.Adam(rate, beta_1=0.5) if each is None else each
                for each in (generator_optimizer, discriminator_optimizer)
            ]
        super().compile(chosen[0], chosen[1], jit_compile, **kwargs)

    def _with_own_callbacks(self, callbacks: Any, passed: Any = None) -> Any:
        found = super()._with_own_callbacks(callbacks, passed)
        return [*found, GameHealth()] if isinstance(found, list) else found

    def draw_noise(self, data: Any, seed: tf.Tensor, training: bool) -> Any:
        """Latent vectors of the samples that a step judges, and of those that it moves."""
        count = (batch_size_of(data) + 1) // 2
        seeds = [tf.random.experimental.stateless_fold_in(seed, number) for number in range(2)]
        latents = [tf.random.stateless_normal([count, self.latent_dim], each) for each in seeds]
        return [{"latent": latent} for latent in latents[: 2 if training else 1]]

    def update_step(self, data: Any, noise: Any) -> dict[str, tf.Tensor]:
        """Move the classifier, then the generator, then the averages."""
        x, y, _ = self.unpack(data)
        labels = _as_numbers(y)
        means = move_discriminator(self, x, labels, noise[0]["latent"])
        means |= move_generator(self, x, labels, noise[1]["latent"])
        if self.average is not None:
            self.average.update(self.progress.step.value)
        return self._epoch_means_of(means)

    def evaluation_step(self, data: Any, noise: Any) -> dict[str, tf.Tensor]:
        """The losses by the averages: of labels where there are any, the others of all examples."""
        x, y, _ = self.unpack(data)
        labels, latent = _as_numbers(y), noise[0]["latent"]

        def evaluated() -> tuple[tf.Tensor, ...]:
            with averaged(self.average):
                samples = self.generate(latent, (), training=False)
                rows = batch_size_of(x)
                both = self.features(tf.concat([x, samples], axis=0), training=False)
                logits = self.class_logits(both)
            real = mean_where(real_losses(logits[:rows]), tf.ones([rows]))
            made = mean_where(generated_losses(logits[rows:]), tf.ones([batch_size_of(latent)]))
            means = [
                mean_where(each, tf.ones_like(each[:, 0])) for each in (both[:rows], both[rows:])
            ]
            return *supervised_part(logits[:rows], labels), 0.5 * (real + made), *means

        supervised, accuracy, unlabelled, *means = self.replica_function(evaluated)()
        count = tf.reduce_sum(labelled_rows(labels))
        all_rows = tf.cast(batch_size_of(x), tf.float32)
        matching = matching_loss(
            mean_over_replicas(means[0], all_rows),
            mean_over_replicas(means[1], batch_size_of(latent)),
        )
        return self._epoch_means_of(
            {
                "supervised_loss": (supervised, count),
                "accuracy": (accuracy, count),
                "unlabelled_loss": (unlabelled, all_rows),
                "matching_loss": (matching, all_rows),
            }
        )

    def _epoch_means_of(
        self, means: dict[str, tuple[tf.Tensor, tf.Tensor]]
    ) -> dict[str, tf.Tensor]:
        results = {}
        for tracker in self._trackers:
            if tracker.name in means:
                mean, count = means[tracker.name]
                tracker.update_state(tf.where(count > 0, mean, 0.0), sample_weight=count)
                results[tracker.name] = tracker.result()
        return results


def _as_numbers(y: Any) -> tf.Tensor:
    return tf.reshape(tf.cast(y, tf.int32), [-1])
