"""Generative adversarial networks that make what they are asked for."""

from __future__ import annotations

import types
from typing import TYPE_CHECKING, Any

import keras
import numpy as np
import tensorflow as tf

from keras_transgen.datasets.as_arrays import takes_any_data
from keras_transgen.datasets.class_names import checked_class_names
from keras_transgen.generative.adversarial.condition_checks import check_condition_arguments
from keras_transgen.generative.adversarial.contract import Judgement
from keras_transgen.generative.adversarial.gan import GAN
from keras_transgen.generative.adversarial.player_networks import (
    check_networks,
    default_discriminator,
    default_generator,
)
from keras_transgen.generative.adversarial.step_noise import Phase
from keras_transgen.generative.conditional_model import ConditionalModel
from keras_transgen.generative.serving import conditional_endpoints
from keras_transgen.generative.text_conditions import encodes_texts
from keras_transgen.plotting.sample_grid import plot_sample_grid
from keras_transgen.training.compilation import flat_layers
from keras_transgen.training.config_from_file import Nested
from keras_transgen.training.serving import Endpoint

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@keras.saving.register_keras_serializable(package="keras_transgen")
class ConditionalGAN(ConditionalModel, GAN):
    """A GAN that makes examples for a condition, by `fit(images, conditions)`.

    A condition is a class (`num_classes`), a vector (`condition_shape`) or anything that a Keras
    layer turns into a vector (`condition_encoder`: text, an image). Each network maps it to an
    embedding of its own.

    Args:
        num_classes: Number of classes, for integer labels `[batch]`.
        example_shape: As in `GAN`.
        condition_shape: Shape of a condition, for vectors `[batch, features]`, or of what the
            encoder takes where it does not say so itself.
        condition_encoder: Keras layer from conditions to `[batch, features]`. If it has trainable
            weights they train with the generator. With `ktg.TextEncoder(vocabulary)` conditions are
            texts.
        standardize_conditions: Whether what the encoder gives is brought to zero mean and unit
            deviation before it enters the networks, by some conditions of the first `fit`: with
            vectors as small as Keras' `Embedding` starts with, the networks would not hear them.
            An encoder that trains then moves by as much less as its outputs are scaled up.
            Defaults to `True`. Models of files from before have it not.
        class_names: Names of the classes, in the order of their numbers, instead of `num_classes`
            or with it; `fit` and `sample` then take names, too. Labels that are names give them.
        embedding_dim: Length of the embeddings. Defaults to 128.
        generator_conditioning: `"concatenation"` with the latent vector, or `"normalization"`:
            scale and offset of the batch normalization depend on the condition.
        discriminator_conditioning: `"projection"`, `"concatenation"` as a further channel, or
            `None` for a discriminator that only classifies (needs `auxiliary_classifier`).
        auxiliary_classifier: The discriminator also learns to tell the classes of real images, and
            the generator to be told right. Odena et al. let it learn from samples too; early ones
            show no class, so here, as in later work, it learns from real images only.
        unlabelled_probability: Probability that an example's condition is dropped in training, so
            that `sample(None)` makes examples without one.
        generator: Keras model from `[latent [batch, latent_dim], embedding [batch, embedding_dim]]`
            to examples; built by default.
        discriminator: Keras model from `[examples, embedding]` (from examples alone with
            `discriminator_conditioning=None`) to logits `[batch, 1]`, and `[batch, num_classes]`
            besides with an auxiliary classifier; built by default.
        **kwargs: Further arguments of `GAN`.

    Raises:
        ValueError: As `GAN`, or if it is not clear what a condition is.

    Example:
        ```python
        import numpy as np
        import keras_transgen as ktg

        images, labels = ktg.datasets.load_digits()
        cgan = ktg.ConditionalGAN(
            num_classes=10, example_shape=(8, 8, 1), filters=8, value_range=(0.0, 1.0)
        )
        cgan.fit(images, labels, batch_size=64, epochs=1, verbose=0)
        sevens = cgan.sample(np.full(16, 7), seed=0)
        ```

    Reference:
        Mirza and Osindero, Conditional generative adversarial nets, 2014; Miyato and Koyama, cGANs
        with projection discriminator, 2018; Odena, Olah and Shlens, Conditional image synthesis
        with auxiliary classifier GANs, 2017.
    """

    def __init__(
        self,
        num_classes: int | None = None,
        example_shape: tuple[int, ...] | None = None,
        condition_shape: tuple[int, ...] | None = None,
        condition_encoder: keras.layers.Layer | None = None,
        embedding_dim: int = 128,
        generator_conditioning: str = "concatenation",
        discriminator_conditioning: str | None = "projection",
        auxiliary_classifier: bool = False,
        unlabelled_probability: float = 0.0,
        standardize_conditions: bool = True,
        class_names: Any = None,
        **kwargs: Any,
    ) -> None:
        if num_classes is None and class_names is not None:
            num_classes = len(checked_class_names(class_names))
        check_condition_arguments(
            num_classes,
            condition_shape,
            condition_encoder,
            generator_conditioning,
            discriminator_conditioning,
            auxiliary_classifier,
            unlabelled_probability,
        )
        # Set first, since the base's constructor builds the networks and needs them.
        self.num_classes = num_classes
        self.set_class_names(class_names)
        self.condition_shape = None if condition_shape is None else tuple(condition_shape)
        self.embedding_dim = embedding_dim
        self.generator_conditioning = generator_conditioning
        self.discriminator_conditioning = discriminator_conditioning
        self.has_class_logits = auxiliary_classifier
        self._drop_probability = unlabelled_probability
        self.condition_encoder = condition_encoder
        self.standardize_conditions = bool(standardize_conditions)
        self.condition_scale = None
        # In a namespace, since Keras would track a list.
        self._encoder = types.SimpleNamespace(before=[])
        super().__init__(example_shape, **kwargs)

    # The networks

    def _default_generator(self) -> keras.Model:
        return default_generator(
            self.example_shape,
            self.latent_dim,
            self.filters,
            self.value_range,
            self.networks,
            embedding_dim=self.embedding_dim,
            conditioning=self.generator_conditioning,
        )

    def _default_discriminator(self) -> keras.Model:
        return default_discriminator(
            self.example_shape,
            self.filters,
            self.networks,
            embedding_dim=self.embedding_dim,
            conditioning=self.discriminator_conditioning,
            auxiliary_classes=self.num_classes if self.has_class_logits else None,
        )

    def _build_networks(self) -> None:
        check_networks(
            self.generator,
            [keras.Input((self.latent_dim,)), keras.Input((self.embedding_dim,))],
            self.discriminator,
            self.discriminator_inputs(),
            self.example_shape,
            self.num_classes if self.has_class_logits else None,
        )
        if self.condition_encoder is not None and self.standardize_conditions:
            self.make_condition_scale()
        # As long as a one-hot vector: the weights of a condition all learn in one direction, those
        # of the noise do not, and a longer one soon drowns the noise (one image a class).
        self.generator_embedding = self.make_condition_embedding(
            "generator_embedding", self.embedding_dim**-0.5
        )
        self.discriminator_embedding = None
        if self.discriminator_conditioning is not None:
            # Where the map of its projection is normalized, the embedding is a layer of the same.
            normalized = any(
                getattr(layer, "spectral_normalization", False)
                for layer in flat_layers(self.discriminator)
            )
            self.discriminator_embedding = self.make_condition_embedding(
                "discriminator_embedding", 1.0, normalized
            )
        self._judge_together()

    def discriminator_inputs(self) -> Any:
        """Symbolic inputs of the discriminator."""
        if self.discriminator_conditioning is None:
            return keras.Input(self.example_shape)
        return [keras.Input(self.example_shape), keras.Input((self.embedding_dim,))]

    @property
    def generator_layers(self) -> list[keras.layers.Layer]:
        """The layers that train as the generator; an encoder of conditions is one of them."""
        layers = [self.generator, self.generator_embedding]
        return layers if self.condition_encoder is None else [*layers, self.condition_encoder]

    @property
    def discriminator_layers(self) -> list[keras.layers.Layer]:
        """The layers that train as the discriminator."""
        if self.discriminator_embedding is None:
            return [self.discriminator]
        return [self.discriminator, self.discriminator_embedding]

    # What a step is made of

    def condition_for(self, y: Any, phase: Phase) -> Any:
        """The conditions of a pass, and which of them are dropped."""
        if "dropped" in phase:
            return (y, phase["dropped"])
        return (y,)

    def generate(self, latent: tf.Tensor, condition: Any, training: bool) -> tf.Tensor:
        """Examples, float32, from latent vectors and conditions by the generator as it is."""
        y, *dropped = condition
        embedding = self.generator_embedding(self._encoded(y, training), *dropped)
        return tf.cast(self.generator([latent, embedding], training=training), tf.float32)

    def _discriminator_call(self, examples: tf.Tensor, condition: Any, training: bool) -> Any:
        if self.discriminator_embedding is None:
            return examples
        y, *dropped = condition
        # An encoder that trains does so with the generator alone.
        encoded = tf.stop_gradient(self._encoded(y, training=False))
        return [examples, self.discriminator_embedding(encoded, *dropped, training=training)]

    def _before_train_step(self) -> None:
        super()._before_train_step()
        # In the graph of this very step, between whose ends the encoder moves.
        self._encoder.before = [tf.identity(each.value) for each, _ in self._slowed()]

    def _after_train_step(self, logs: dict[str, tf.Tensor]) -> None:
        super()._after_train_step(logs)
        if not self._encoder.before:
            return
        for (variable, share), before in zip(self._slowed(), self._encoder.before):
            moved = tf.cast(share, before.dtype) * (variable.value - before)
            variable.assign(before + moved)
        if self.average is not None:
            self.average.remember()

    def _slowed(self) -> list[tuple[keras.Variable, Any]]:
        """What makes an embedding of what an encoder gives, and the share of its moves that counts.

        Adam moves every weight as far, whatever its gradient. An embedding of a class is moved by
        weights of its own; one of many features by as many weights at once, and would grow until
        the noise is not heard (one image a condition). With the root of their number the length is
        that of classes. Moves of an encoder are scaled up besides, as its small outputs are:
        unslowed, what a condition means would change faster than the generator learns it.
        """
        if self.condition_scale is None or self.condition_encoder is None:
            return []
        table = self.generator_embedding.table
        features = self.condition_scale.features
        of_encoder = self.condition_scale.share() / features
        moving = [(each, of_encoder) for each in self.condition_encoder.trainable_variables]
        return [(table, features**-0.5), *moving]

    def class_loss(self, judgement: Judgement, condition: Any) -> tf.Tensor:
        """Mean cross-entropy of the auxiliary classifier, over examples that kept their class."""
        if judgement.class_logits is None:
            return tf.constant(0.0)
        y, *dropped = condition
        losses = tf.nn.sparse_softmax_cross_entropy_with_logits(
            labels=tf.cast(tf.reshape(y, [-1]), tf.int32),
            logits=tf.cast(judgement.class_logits, tf.float32),
        )
        if dropped:
            # By the number that is kept on average: replicas keep different ones.
            losses = tf.where(dropped[0], 0.0, losses) / (1.0 - self._drop_probability)
        return tf.reduce_mean(losses)

    # Using the model

    def call(self, inputs: Any, training: bool = False) -> tf.Tensor:
        """Samples from `(latent, condition)` by the averaged generator."""
        latent, condition = inputs
        return self._by_average(latent, (condition,))

    @takes_any_data("condition")
    def sample(
        self,
        condition: Any = None,
        seed: int | None = None,
        batch_size: int = 128,
        count: int | None = None,
    ) -> np.ndarray:
        """Draw a sample for each condition, from the averaged generator.

        Args:
            condition: Labels `[count]`, vectors `[count, features]`, or what the encoder takes.
                `None` for samples without a condition, if the model was trained with
                `unlabelled_probability`.
            seed: Any integer for the same samples every time; `None` for fresh ones.
            batch_size: Samples made at once; it does not change them.
            count: How many, without a condition. Defaults to 64.

        Returns:
            Float32 `[count, *example_shape]` in `value_range`.

        Raises:
            ValueError: If the conditions are none of this model's.
        """
        if condition is None:
            return self._sampled_unlabelled(64 if count is None else count, seed, batch_size)
        condition = condition if isinstance(condition, tf.Tensor) else np.asarray(condition)
        self._check_conditions(condition, "condition")
        if count is not None and count != len(condition):
            raise ValueError(
                "There is one sample a condition; leave count out. Received: "
                f"count={count} for {len(condition)} conditions"
            )
        parts: tuple[Any, ...] = (condition,)
        if self._drop_probability:
            parts = (condition, np.zeros(len(condition), bool))
        return self._sampled(self._latent(len(condition), seed), parts, batch_size)

    def _sampled_unlabelled(self, count: int, seed: int | None, batch_size: int) -> np.ndarray:
        if not self._drop_probability or self.condition_encoder is not None:
            raise ValueError(
                "Samples without a condition need a model that was made with "
                "unlabelled_probability=... above 0 and without a condition_encoder. Received: "
                f"condition=None, unlabelled_probability={self._drop_probability}"
            )
        if self.num_classes is not None:
            placeholder = np.zeros(count, "int32")
        else:
            placeholder = np.zeros((count, *(self.condition_shape or ())), "float32")
        parts = (placeholder, np.ones(count, bool))
        return self._sampled(self._latent(count, seed), parts, batch_size)

    @takes_any_data("images", "condition")
    def discriminate(self, images: Any, condition: Any = None, batch_size: int = 128) -> np.ndarray:
        """The discriminator's probability that examples are real, given their conditions.

        Args:
            images: Examples, as for `fit`.
            condition: As for `fit`; not needed with `discriminator_conditioning=None`.
            batch_size: Examples judged at once.

        Returns:
            Float32 `[batch]`, the sigmoid of the logits, whatever the loss.

        Raises:
            ValueError: If the examples or conditions are none of this model.
        """
        self.check_examples(images, self.examples_name)
        if self.discriminator_conditioning is None:
            return self._judged(images, (), batch_size)
        self._check_conditions(condition, "condition")
        if len(condition) != len(images):
            raise ValueError(
                "There must be a condition for every example. "
                f"Received: {len(images)} {self.examples_name}, {len(condition)} conditions"
            )
        return self._judged(images, (condition,), batch_size)

    def sample_grid(
        self, count: int = 10, seed: int | None = None, conditions: Any = None
    ) -> Figure:
        """A grid with a row a class and `count` samples in each, as a Matplotlib figure.

        Without classes, a row for each of `conditions`, or `count` samples without a condition.

        Args:
            count: Samples in a row.
            seed: As in `sample`.
            conditions: As in `sample`; classes and texts stand beside their rows. Defaults to all
                classes.
        """
        span = self.value_range or (0.0, 1.0)
        if conditions is not None:
            asked = self.entered("condition", conditions, False)
            rows = np.repeat(np.arange(len(asked)), count)
            names = self.row_names(conditions, asked)
            return plot_sample_grid(
                self.sample(np.asarray(asked)[rows], seed),
                labels=rows,
                class_names=names,
                columns=count,
                value_range=span,
            )
        if self.num_classes is None:
            return plot_sample_grid(self.sample(None, seed, count=count), value_range=span)
        labels = np.repeat(np.arange(self.num_classes), count)
        return plot_sample_grid(
            self.sample(labels, seed),
            labels=labels,
            class_names=self.class_names,
            columns=count,
            value_range=span,
        )

    # Saving and serving

    def serving_endpoints(self, input_signature: Any = None) -> dict[str, Endpoint]:
        """`sample` and `decode` for conditions; see `conditional_endpoints`.

        Args:
            input_signature: Shape and dtype of conditions, for an encoder that does not say it.
        """

        def generate(latents: tf.Tensor, condition: tf.Tensor) -> tf.Tensor:
            parts: tuple[tf.Tensor, ...] = (condition,)
            if self._drop_probability:
                parts = (condition, tf.zeros(tf.shape(condition)[:1], tf.bool))
            return self._by_average(latents, parts)

        condition = self.condition_spec(input_signature)
        return conditional_endpoints(self, self.condition_encoder, generate, condition)

    @classmethod
    def nested_arguments(cls) -> dict[str, Nested]:
        """The arguments that a file gives as objects."""
        encoder = Nested(keras.layers.Layer, optional=True)
        return {**super().nested_arguments(), "condition_encoder": encoder}

    def averaged_generator(self) -> keras.Model:
        """The generator with its averaged weights, to be used or saved on its own.

        Returns:
            A functional model from `[latent [batch, latent_dim], conditions]`, the labels, vectors
            or what the encoder takes, to examples: everything between is part of it, as copies.
        """
        latent = keras.Input((self.latent_dim,), name="latent")
        if self.num_classes is not None:
            condition = keras.Input((), dtype="int32", name="condition")
        elif encodes_texts(self.condition_encoder):
            condition = keras.Input((), dtype="string", name="condition")
        else:
            dtype = self.compute_dtype
            given = getattr(self.condition_encoder, "inputs", None)
            if given:
                dtype = given[0].dtype
            condition = keras.Input(self._expected_condition() or (), dtype=dtype, name="condition")
        encoded: Any = condition
        if self.condition_encoder is not None:
            encoded = self._averaged_copy(self.condition_encoder)(condition)
            if self.condition_scale is not None:
                encoded = self._averaged_copy(self.condition_scale)(encoded)
        embedding = self._averaged_copy(self.generator_embedding)(encoded)
        examples = self._averaged_copy(self.generator)([latent, embedding])
        return keras.Model([latent, condition], examples, name="averaged_generator")

    def get_config(self) -> dict[str, Any]:
        encoder = self.condition_encoder
        return {
            **super().get_config(),
            "num_classes": self.num_classes,
            "condition_shape": self.condition_shape,
            "condition_encoder": (
                None if encoder is None else keras.saving.serialize_keras_object(encoder)
            ),
            "embedding_dim": self.embedding_dim,
            "generator_conditioning": self.generator_conditioning,
            "discriminator_conditioning": self.discriminator_conditioning,
            "auxiliary_classifier": self.has_class_logits,
            "unlabelled_probability": self._drop_probability,
            "standardize_conditions": self.standardize_conditions,
            **({} if self.class_names is None else {"class_names": list(self.class_names)}),
        }

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> ConditionalGAN:
        """Make the model again from what `get_config` returned."""
        return super().from_config({"standardize_conditions": False, **config})
