"""The part of adversarial models that trains: two players, their step and their optimizers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import tensorflow as tf

from keras_transgen.generative.adversarial.batch_coupling import is_batch_coupled
from keras_transgen.generative.adversarial.contract import Judgement, Logs
from keras_transgen.generative.adversarial.optimizers import PlayersOptimizers, default_optimizers
from keras_transgen.generative.adversarial.player_networks import check_networks, logits_per_example
from keras_transgen.generative.adversarial.score_warning import ScoreWarning
from keras_transgen.generative.adversarial.step_noise import Phase, draw_phases
from keras_transgen.generative.adversarial.steps import STEPS, regularization
from keras_transgen.generative.generative_model import GenerativeModel
from keras_transgen.generative.network_ends import refuse_bounded_logits, refuse_other_range
from keras_transgen.generative.networks.phase_shuffle import phases_from, shuffled_phases
from keras_transgen.training.moving_statistics import statistics_without_gaps
from keras_transgen.training.trainer import batch_size_of

_LOGS = (
    "generator_loss",
    "discriminator_loss",
    "real_score",
    "fake_score",
    "generator_gradient_norm",
    "discriminator_gradient_norm",
)


class AdversarialModel(GenerativeModel):
    """Two players on the training core; a model derives from it and makes the networks.

    It expects the attributes that `GAN.__init__` sets: both networks, the loss, the penalty, the
    augmentation, the moving average and the numbers that go with them.
    """

    has_class_logits = False
    generator: keras.Model
    discriminator: keras.Model
    latent_dim: int
    # A game that has none of the registered losses has no scores to watch.
    loss_setting: Any = None
    _drop_probability = 0.0

    # The networks

    def _build_networks(self) -> None:
        check_networks(
            self.generator,
            keras.Input((self.latent_dim,)),
            self.discriminator,
            self.discriminator_inputs(),
            self.example_shape,
        )
        self._judge_together()

    def _judge_together(self) -> None:
        """Find out whether real examples and samples may share a pass of the discriminator."""
        self._logits_per_example = logits_per_example(self.discriminator)
        self._batch_coupled = is_batch_coupled(
            self.discriminator, self.discriminator_layers, self.discriminator_inputs()
        )

    def discriminator_inputs(self) -> Any:
        """Symbolic inputs of the discriminator."""
        return keras.Input(self.example_shape)

    @property
    def generator_layers(self) -> list[keras.layers.Layer]:
        """The layers that train as the generator, and that the moving average follows."""
        return [self.generator]

    @property
    def discriminator_layers(self) -> list[keras.layers.Layer]:
        """The layers that train as the discriminator."""
        return [self.discriminator]

    @property
    def generator_variables(self) -> list[keras.Variable]:
        """The variables that the generator's optimizer moves."""
        return _trainable(self.generator_layers)

    @property
    def discriminator_variables(self) -> list[keras.Variable]:
        """The variables that the discriminator's optimizer moves."""
        return _trainable(self.discriminator_layers)

    # What a step is made of

    def condition_for(self, y: Any, phase: Phase) -> Any:
        """The condition of a pass; nothing for an unconditional model."""
        return ()

    def generate(self, latent: tf.Tensor, condition: Any, training: bool) -> tf.Tensor:
        """Examples, float32, from latent vectors by the generator as it is."""
        return tf.cast(self.generator(latent, training=training), tf.float32)

    def judge(
        self, examples: tf.Tensor, condition: Any, corruption: dict[str, tf.Tensor], training: bool
    ) -> Judgement:
        """What the discriminator says of examples, after augmentation and instance noise.

        Args:
            examples: `[batch, *example_shape]`.
            condition: What `condition_for` returned.
            corruption: Random numbers; without any the examples are judged as they are.
            training: Whether the discriminator trains.
        """
        if "uniform" in corruption and self.augmentation is not None:
            examples = self.augmentation(examples, corruption["uniform"])
        if "normal" in corruption:
            examples = examples + self.instance_noise * corruption["normal"]
        with phases_from(corruption.get("shuffle")):
            outputs = self.discriminator(
                self._discriminator_call(examples, condition, training), training=training
            )
        logit, classes = outputs if isinstance(outputs, (list, tuple)) else (outputs, None)
        views = self._logits_per_example
        return Judgement(
            tf.reshape(tf.cast(logit, tf.float32), [-1] if views == 1 else [-1, views]), classes
        )

    def judge_both(
        self, real: tf.Tensor, fake: tf.Tensor, condition: Any, phase: Phase, training: bool
    ) -> tuple[Judgement, Judgement]:
        """Judge real examples and samples: in one pass, unless it would mix their statistics."""
        if self._batch_coupled:
            return (
                self.judge(real, condition, phase["real"], training),
                self.judge(fake, condition, phase["fake"], training),
            )
        size = batch_size_of(real)
        both = keras.tree.map_structure(
            lambda one, other: tf.concat([one, other], axis=0),
            (real, condition, phase["real"]),
            (fake, condition, phase["fake"]),
        )
        logits, classes = self.judge(both[0], both[1], both[2], training)
        return (
            Judgement(logits[:size], None if classes is None else classes[:size]),
            Judgement(logits[size:], None if classes is None else classes[size:]),
        )

    def _discriminator_call(self, examples: tf.Tensor, condition: Any, training: bool) -> Any:
        return examples

    def class_loss(self, judgement: Judgement, condition: Any) -> tf.Tensor:
        """What an auxiliary classifier adds to both losses; nothing here."""
        return tf.constant(0.0)

    def sample_loss(self, real: tf.Tensor, fake: tf.Tensor) -> tuple[tf.Tensor, Logs]:
        """What the samples themselves add to the generator's loss, and logs; nothing here.

        Where samples and real examples are pairs, it is their distance.
        """
        return tf.constant(0.0), {}

    # Saving

    # By network's name, whether the user gave it: a file keeps it, and others are built again.
    _handed_in: dict[str, bool]

    def check_parts(self) -> None:
        """Refuse parts of another range, and networks that end in what they are not for.

        Raises:
            ValueError: If a part's `value_range` is not the model's, a discriminator gives
                probabilities, or a generator's last activation makes values of another range.
        """
        super().check_parts()
        for name in (name for name, given in self._handed_in.items() if given):
            if name.startswith("generator"):
                refuse_other_range(getattr(self, name), name, self.value_range)
            else:
                refuse_bounded_logits(getattr(self, name), name, "the losses apply the sigmoid")

    def _networks_handed_in(self) -> dict[str, Any]:
        return {
            name: keras.saving.serialize_keras_object(getattr(self, name)) if given else None
            for name, given in self._handed_in.items()
        }

    # Compiling and training

    def compile(
        self,
        generator_optimizer: Any = None,
        discriminator_optimizer: Any = None,
        jit_compile: bool | str = "auto",
        **kwargs: Any,
    ) -> None:
        """Configure the model for training; `fit` does it with the defaults if nobody has.

        Args:
            generator_optimizer: Keras optimizer or its name. Defaults to Adam with a learning rate
                of 2e-4 and `beta_1=0.5`, or to what the discriminator's `default_optimizers` says,
                if it has one.
            discriminator_optimizer: Another one. Defaults to Adam with twice the learning rate, or
                likewise.
            jit_compile: `True`, `False` or `"auto"`; see `TrainerModel.compile`.
            **kwargs: `run_eagerly`, `steps_per_execution`; see `TrainerModel.compile`.

        Raises:
            ValueError: If one optimizer is given twice.
        """
        wrong = sorted(
            {"optimizer", "loss", "loss_weights", "metrics", "weighted_metrics"} & {*kwargs}
        )
        if any(kwargs[name] is not None for name in wrong):
            raise ValueError(
                f"{type(self).__name__} trains two networks by losses of its own: give compile "
                "generator_optimizer= and discriminator_optimizer=, the constructor the losses. It "
                f"logs its own measures. Received: {', '.join(wrong)}"
            )
        if generator_optimizer is discriminator_optimizer and isinstance(
            generator_optimizer, keras.optimizers.Optimizer
        ):
            raise ValueError(
                "The two networks need an optimizer each, since an optimizer keeps a state for the "
                "variables it trains. Make a second one. Received: the same instance "
                f"{generator_optimizer.name!r} twice"
            )
        with self.distribute_strategy.scope():
            if generator_optimizer is None or discriminator_optimizer is None:
                defaults = default_optimizers(self.discriminator)
                generator_optimizer = generator_optimizer or defaults[0]
                discriminator_optimizer = discriminator_optimizer or defaults[1]
        super().compile(optimizer=None, jit_compile=jit_compile, **kwargs)
        self.generator_optimizer = self.prepare_optimizer(
            generator_optimizer, self.generator_variables
        )
        self.discriminator_optimizer = self.prepare_optimizer(
            discriminator_optimizer, self.discriminator_variables
        )
        self.optimizer = PlayersOptimizers([self.generator_optimizer, self.discriminator_optimizer])
        self.remember_compile(
            generator_optimizer=generator_optimizer,
            discriminator_optimizer=discriminator_optimizer,
            **kwargs,
        )

    def optimized(self) -> list[tuple[Any, list[keras.Variable]]]:
        """Each player's optimizer, and what it trains."""
        return [
            (self.generator_optimizer, self.generator_variables),
            (self.discriminator_optimizer, self.discriminator_variables),
        ]

    def average_what_was_loaded(self) -> None:
        """Start the moving average anew if the generator was given other weights by hand."""
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

    def build_for_batch(self, data: Any) -> None:
        """Nothing waits for data: the constructor builds both networks."""

    def draw_noise(self, data: Any, seed: tf.Tensor, training: bool) -> list[Phase]:
        """The random numbers of a step: a set for each pass of the generator."""
        passes = self.discriminator_steps + (self.step_kind == "two_stage") if training else 1
        return draw_phases(
            passes,
            batch_size_of(data),
            seed,
            self.latent_dim,
            noisy_shape=self.example_shape if training and self.instance_noise else None,
            augmented=training and self.augmentation is not None,
            positions=self.penalty is not None,
            drop_probability=self._drop_probability if training else 0.0,
            shuffled=shuffled_phases(self.discriminator) if training else 0,
        )

    def update_step(self, data: Any, noise: list[Phase]) -> Logs:
        """Move both players and return the logs."""
        real, y, _ = self.unpack(data)
        # Before the average looks at the statistics.
        with statistics_without_gaps(self, batch_size_of(real)):
            logs = STEPS[self.step_kind](self, real, y, noise)
        if self.average is not None:
            self.average.update(self.progress.step.value)
        real_sign = logs.pop("real_sign")
        if self.augmentation is not None and self.augmentation.target is not None:
            self.augmentation.adapt_to(real_sign, batch_size_of(real))
            logs["augmentation_probability"] = self.augmentation.probability.value
        return self._epoch_means(logs, batch_size_of(real))

    def _with_own_callbacks(self, callbacks: Any, passed: Any = None) -> Any:
        found = super()._with_own_callbacks(callbacks, passed)
        return [*found, ScoreWarning(self.loss_setting)] if isinstance(found, list) else found

    def evaluation_step(self, data: Any, noise: list[Phase]) -> Logs:
        """Losses and scores on held-out data, against samples of the generator as it is.

        The losses are those of training, penalties included; augmentation and instance noise, which
        make training harder, are left out.
        """
        real, y, _ = self.unpack(data)
        size = batch_size_of(real)

        def evaluated(phase: Phase) -> Logs:
            condition = self.condition_for(y, phase)
            fake = self.generate(phase["latent"], condition, training=False)
            on_real = self.judge(real, condition, {}, training=False)
            on_fake = self.judge(fake, condition, {}, training=False)
            losses = self.adversarial_loss(on_real.logits, on_fake.logits)
            made = losses.generator + self.class_loss(on_fake, condition)
            judged = losses.discriminator + self.class_loss(on_real, condition)
            logs = {
                "generator_loss": made + regularization(self.generator_layers),
                "discriminator_loss": judged + regularization(self.discriminator_layers),
                "real_score": tf.reduce_mean(on_real.logits),
                "fake_score": tf.reduce_mean(on_fake.logits),
            }
            if self.penalty is not None:

                def score(examples: tf.Tensor) -> tf.Tensor:
                    return self.judge(examples, condition, {}, training=False).of_examples()

                slopes = self.penalty(score, real, fake, phase["position"])
                logs["gradient_penalty"] = slopes
                logs["discriminator_loss"] += self.gradient_penalty_weight * slopes
            return logs

        return self._epoch_means(self.replica_function(evaluated)(noise[0]), size)

    def _log_names(self) -> list[str]:
        names = list(_LOGS)
        if self.penalty is not None:
            names.append("gradient_penalty")
        if self.augmentation is not None and self.augmentation.target is not None:
            names.append("augmentation_probability")
        return names


def _trainable(layers: list[keras.layers.Layer]) -> list[keras.Variable]:
    found = {id(v): v for layer in layers for v in layer.trainable_variables}
    return list(found.values())
