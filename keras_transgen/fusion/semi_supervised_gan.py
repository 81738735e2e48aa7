"""A classifier from few labels and many examples without, and a generator that helps it."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from numbers import Real
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from keras_transgen.datasets.class_names import checked_class_names
from keras_transgen.fusion.semi_supervised_model import LOGS, SemiSupervisedModel
from keras_transgen.generative.adversarial.batch_coupling import is_batch_coupled
from keras_transgen.generative.adversarial.player_networks import (
    known_latent_dim,
    known_shape,
    one_shape,
)
from keras_transgen.generative.generative_model import graph, in_parts, sampling_seed
from keras_transgen.generative.moving_average import MovingAverage, averaged
from keras_transgen.generative.network_calls import called
from keras_transgen.generative.network_ends import refuse_other_range
from keras_transgen.generative.networks.semi_supervised import (
    OUTPUTS,
    class_logits_layer,
    semi_supervised_discriminator,
    semi_supervised_generator,
)
from keras_transgen.generative.parts_range import refuse_other_ranges
from keras_transgen.generative.serving import examples_spec, generator_endpoints
from keras_transgen.training.config_from_file import Nested, arguments_from_file
from keras_transgen.training.counts import check_count, is_count
from keras_transgen.training.serving import Endpoint

_DEFAULT_LATENT_DIM = 100
_DENSE_WIDTH = 250
_FILTERS = 32


@keras.saving.register_keras_serializable(package="keras_transgen")
class SemiSupervisedGAN(SemiSupervisedModel):
    """Classifies from few labels and many examples without any, by `fit(x, y, unlabelled=...)`.

    The discriminator gives K class logits l; with Z = logsumexp(l) an example is real with the
    probability sigmoid(Z), as if a class "generated" had the logit 0. It minimises

        supervised loss  = mean over labelled examples of logsumexp(l) - l[y]
        unlabelled loss  = 1/2 mean over examples of softplus(-Z) + 1/2 mean over samples of
                           softplus(Z)

    and the generator the matching loss, the mean over features of the squared difference between
    the mean features of samples and of examples.

    A step takes `batch_size` examples without their labels, as many that have labels, and as many
    samples. An epoch is a pass over all examples, labelled ones included; those with labels come in
    turns beside them. Data sets and generators give their own batches, in which the label -1 says
    that there is none; half as many samples as rows go with them.

    The unlabelled loss tells how the game stands: at 0.25 to 0.45 there is a gain; at 0, with a
    matching loss above 10, there is none, and a warning says so. On a backbone's features with
    balanced labels no gain over `FeatureTransfer` was shown.

    Args:
        num_classes: Number of classes K.
        example_shape: `(features,)` of vectors or `(size, size, channels)` of images. Defaults to
            what the networks handed in say.
        latent_dim: Length of the latent vectors, standard normal. Defaults to what the generator
            handed in takes, else to 100.
        generator: Keras model from `[batch, latent_dim]` to `[batch, *example_shape]`; built by
            default.
        discriminator: Keras model from `[batch, *example_shape]` to features `[batch, features]`,
            to which the model adds the class logits; built by default. No example's features may
            depend on another's, as they do by batch normalization.
        width: Of the networks that are built: units of the last dense layers (250 by default), or
            channels of the largest maps (32).
        input_noise: Standard deviation of uniform noise that a discriminator built here adds to
            examples in training, in units of the data. Defaults to 0.3.
        hidden_noise: The same, before its other layers. Defaults to 0.5.
        generator_output: How a generator built here makes values of the range: `"softplus"` or
            `"linear"`, which do not saturate within it, so that `sample` cuts off what lies
            outside, or `"sigmoid"`, as published, with which the discriminator wins. `"auto"`, the
            default, is softplus; without a range it is linear.
        ema_decay: Decay of the moving average of all weights, by which the model predicts and
            samples; `None` for none. Defaults to 0.999.
        value_range: `(low, high)` of float examples and of samples; uint8 is scaled to it. `None`
            for vectors without bounds. `"auto"`, the default, is `(-1, 1)` for images and `None`
            for vectors.
        class_names: Names of the classes, in the order of their numbers, instead of `num_classes`
            or with it.
        image_shape: Another name of `example_shape`.
        **kwargs: `seed` and others of `TrainerModel`.

    Raises:
        ValueError: If an argument is out of its range, or the networks do not fit together.

    Example:
        ```python
        import keras_transgen as ktg

        images, labels = ktg.datasets.load_digits()
        rows = ktg.datasets.sample_per_class(labels, 2, 0)
        gan = ktg.fusion.SemiSupervisedGAN(10, (8, 8, 1), width=4, value_range=(0.0, 1.0))
        gan.compile(jit_compile=False)
        gan.fit(images[rows], labels[rows], unlabelled=images[:100], batch_size=50, verbose=0)
        assert gan.predict(images[:4], verbose=0).shape == (4, 10)
        classes = gan.classify(images[:4])
        ```

    Reference:
        Salimans et al., Improved techniques for training GANs, 2016; Salimans and Kingma, Weight
        normalization, 2016.
    """

    def __init__(
        self,
        num_classes: int | None = None,
        example_shape: tuple[int, ...] | None = None,
        latent_dim: int | None = None,
        generator: keras.Model | None = None,
        discriminator: keras.Model | None = None,
        width: int | None = None,
        input_noise: float = 0.3,
        hidden_noise: float = 0.5,
        generator_output: str = "auto",
        ema_decay: float | None = 0.999,
        value_range: tuple[float, float] | str | None = "auto",
        class_names: Any = None,
        image_shape: tuple[int, ...] | None = None,
        **kwargs: Any,
    ) -> None:
        num_classes = _checked_classes(num_classes, class_names)
        shape = (
            one_shape(example_shape, image_shape)
            or known_shape(discriminator, "input")
            or known_shape(generator, "output")
        )
        if shape is None:
            raise ValueError(
                "Give example_shape=: (features,) of vectors or (size, size, channels) of images. "
                "Received: example_shape=None"
            )
        if isinstance(value_range, str):
            if value_range != "auto":
                raise ValueError(
                    "value_range must be (low, high), None or 'auto'. "
                    f"Received: value_range={value_range!r:.100}"
                )
            value_range = (-1.0, 1.0) if len(tuple(shape)) == 3 else None
        super().__init__(shape, value_range, **kwargs)
        if latent_dim is None:
            latent_dim = known_latent_dim(generator) or _DEFAULT_LATENT_DIM
        self.latent_dim = latent_dim
        self.num_classes = num_classes
        self.width = width
        self.input_noise, self.hidden_noise = input_noise, hidden_noise
        self.output_setting = generator_output
        self.ema_decay = ema_decay
        self._handed_in = {
            "generator": generator is not None,
            "discriminator": discriminator is not None,
        }
        self._check_settings()
        self.set_class_names(class_names)
        self.generator = generator if generator is not None else self._default_generator()
        self.discriminator = (
            discriminator if discriminator is not None else self._default_discriminator()
        )
        self._build_networks()
        layers = [*self.generator_layers, *self.discriminator_layers]
        self.average = None if ema_decay is None else MovingAverage(layers, ema_decay)
        self._started = False
        self._trackers = [keras.metrics.Mean(name=name) for name in LOGS]
        self.built = True
        self.check_parts()

    # The networks

    def _default_generator(self) -> keras.Model:
        output = self.output_setting
        if output == "auto":
            output = "linear" if self.value_range is None else "softplus"
        return semi_supervised_generator(
            self.example_shape, self.latent_dim, self._built_width(), output, self.value_range
        )

    def _default_discriminator(self) -> keras.Model:
        return semi_supervised_discriminator(
            self.example_shape, self._built_width(), self.input_noise, self.hidden_noise
        )

    def _built_width(self) -> int:
        if len(self.example_shape) not in (1, 3):
            raise ValueError(
                "Networks are built for vectors (features,) and images (size, size, channels); "
                "hand in generator= and discriminator= for other examples. "
                f"Received: example_shape={self.example_shape}"
            )
        return self.width or (_DENSE_WIDTH if len(self.example_shape) == 1 else _FILTERS)

    def _build_networks(self) -> None:
        made = called(self.generator, keras.Input((self.latent_dim,)), "generator")
        if tuple(getattr(made, "shape", ())[1:]) != self.example_shape:
            raise ValueError(
                "The generator's output must have the shape of the examples, "
                f"[batch, {', '.join(map(str, self.example_shape))}]. "
                f"Received: a generator with output of shape {getattr(made, 'shape', made)}"
            )
        inputs = keras.Input(self.example_shape)
        found = called(self.discriminator, inputs, "discriminator")
        shape = tuple(getattr(found, "shape", ()))
        if len(shape) != 2 or shape[1] is None:
            raise ValueError(
                "The discriminator must give features [batch, features], of which the model makes "
                f"class logits. Received: a discriminator with output of shape {shape}"
            )
        if is_batch_coupled(self.discriminator, [self.discriminator], inputs):
            raise ValueError(
                "Labelled, unlabelled and generated examples share a pass of the discriminator, so "
                "that no example's features may depend on another's: take layer normalization or "
                "generative.networks.weight_normalization. Received: a discriminator with batch "
                "normalization or the like"
            )
        self.classifier = class_logits_layer(self.num_classes)
        self.classifier.build((None, shape[1]))

    def check_parts(self) -> None:
        """Refuse a generator of another range.

        Raises:
            ValueError: If the last activation of one that was handed in makes values of another.
        """
        refuse_other_ranges(self, self.value_range)
        if self._handed_in["generator"]:
            refuse_other_range(self.generator, "generator", self.value_range)

    # Using the model

    def call(self, x: Any, training: bool = False) -> tf.Tensor:
        """Class logits `[batch, num_classes]` of examples, by the averaged weights."""
        with averaged(self.average):
            return self.class_logits(self.features(self.scaled(x), training=False))

    def check_inputs(self, x: Any) -> None:
        """Refuse what is no batch of examples; see `TrainerModel.check_inputs`."""
        self.check_examples(x)

    def classify(self, x: Any, names: bool = False, **kwargs: Any) -> np.ndarray:
        """The most probable class.

        Args:
            x: Examples, as `predict` takes them.
            names: Whether to give the names of classes instead of their numbers.
            **kwargs: As in `predict`.

        Returns:
            int64 `[count]`, or with `names` strings.

        Raises:
            ValueError: The model knows no names.
        """
        known = np.array(self._names_needed("names=True")) if names else None
        numbers = np.argmax(self.predict(x, **kwargs), axis=-1)
        return numbers if known is None else known[numbers]

    def sample(self, count: int = 64, seed: int | None = None, batch_size: int = 128) -> np.ndarray:
        """Draw samples from the averaged generator; values beyond the range are cut off.

        Args:
            count: How many.
            seed: Any integer for the same samples every time; `None` for fresh ones.
            batch_size: Samples made at once.

        Returns:
            Float32 `[count, *example_shape]` in `value_range`. They serve the classifier: their
            features have the right mean, and they need not look like examples.

        Raises:
            ValueError: If `count` is not positive.
        """
        if isinstance(count, bool) or not isinstance(count, (int, np.integer)) or count < 1:
            raise ValueError(f"count must be a positive integer. Received: count={count!r}")
        self.average_what_was_loaded()
        latent = tf.random.stateless_normal([count, self.latent_dim], sampling_seed(seed))
        return in_parts(self._sampling_function, (latent,), batch_size)

    @functools.cached_property
    def _sampling_function(self) -> Callable[..., tf.Tensor]:
        return graph(self._by_average)

    def _by_average(self, latent: tf.Tensor) -> tf.Tensor:
        with averaged(self.average):
            samples = self.generate(latent, (), training=False)
        return samples if self.value_range is None else tf.clip_by_value(samples, *self.value_range)

    # Saving and serving

    def serving_endpoints(self, input_signature: Any = None) -> dict[str, Endpoint]:
        """`predict`, class logits of examples, and the generator's `sample` and `decode`."""

        def predict(inputs: tf.Tensor) -> dict[str, tf.Tensor]:
            return {"logits": self(inputs)}

        spec = examples_spec(self.example_shape, input_signature)
        return {"predict": Endpoint(predict, spec), **generator_endpoints(self, self._by_average)}

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "num_classes": self.num_classes,
            "example_shape": self.example_shape,
            "latent_dim": self.latent_dim,
            **self._networks_handed_in(),
            "width": self.width,
            "input_noise": self.input_noise,
            "hidden_noise": self.hidden_noise,
            "generator_output": self.output_setting,
            "ema_decay": self.ema_decay,
            "value_range": self.value_range,
            **({} if self.class_names is None else {"class_names": list(self.class_names)}),
        }

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> SemiSupervisedGAN:
        """Make the model again from what `get_config` returned."""
        network = Nested(keras.Model, optional=True)
        return cls(**arguments_from_file(cls, config, generator=network, discriminator=network))

    def _check_settings(self) -> None:
        check_count("latent_dim", self.latent_dim)
        if self.width is not None:
            check_count("width", self.width)
        noises = (self.input_noise, self.hidden_noise)
        if not all(isinstance(noise, Real) and 0 <= noise < math.inf for noise in noises):
            raise ValueError(
                "input_noise and hidden_noise must be finite and not negative. "
                f"Received: input_noise={noises[0]!r}, hidden_noise={noises[1]!r}"
            )
        self.input_noise, self.hidden_noise = map(float, noises)
        if not isinstance(self.output_setting, str) or self.output_setting not in (
            "auto",
            *OUTPUTS,
        ):
            raise ValueError(
                f"generator_output must be 'auto' or one of {list(OUTPUTS)}. "
                f"Received: generator_output={self.output_setting!r:.100}"
            )


def _checked_classes(num_classes: Any, class_names: Any) -> int:
    if num_classes is None and class_names is not None:
        return len(checked_class_names(class_names))
    if not is_count(num_classes, 2):
        raise ValueError(
            "num_classes must be a whole number of at least 2. "
            f"Received: num_classes={num_classes!r:.100}"
        )
    return int(num_classes)
