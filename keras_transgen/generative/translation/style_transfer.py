"""A network that paints any image in the style it was trained on, or in one of several."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import keras
import numpy as np
import tensorflow as tf

from keras_transgen.datasets.as_arrays import takes_any_data
from keras_transgen.generative.adversarial.contract import Logs
from keras_transgen.generative.adversarial.steps import gradient_norm, regularization
from keras_transgen.generative.generative_model import GenerativeModel, graph, in_parts
from keras_transgen.generative.network_calls import called
from keras_transgen.generative.networks.style_network import STRIDE, style_network
from keras_transgen.generative.one_replica import of_one_replica
from keras_transgen.generative.translation.style_features import StyleFeatures
from keras_transgen.generative.translation.style_images import (
    checked_image,
    covering,
    image_list,
    padded_to,
)
from keras_transgen.generative.translation.style_losses import checked_weights, style_objective
from keras_transgen.generative.translation.translation_model import checked_image_shape
from keras_transgen.plotting.translations import plot_translations
from keras_transgen.training import loss_weight
from keras_transgen.training.config_from_file import (
    FileConfigError,
    Nested,
    arguments_from_file,
    shown,
)
from keras_transgen.training.serving import Endpoint, named_specs
from keras_transgen.training.trainer import batch_size_of

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_RATE = 1e-3
_SMALLEST = 8
_LOGS = ("loss", "content", "style", "total_variation", "gradient_norm")


@keras.saving.register_keras_serializable(package="keras_transgen")
class StyleTransfer(GenerativeModel):
    """Learns to paint images in one style or in several, by `fit` on any photographs.

    A feed-forward network makes the image, a frozen pretrained network judges it: by its features
    of `content_layers`, which shall be those of the photograph, and by the Gram matrices of
    `style_layers`, which shall be the style image's. With several styles each image of a batch
    meets one by chance; they share the network but for the scales and offsets of its
    normalization, so that styles can be mixed.

    Training images have `image_shape`; images of any size can be painted.

    Any backbone serves, but MobileNet's features work less well than VGG's: see `stylize`, and
    `vgg_backbone` for handing in VGG.

    Args:
        styles: A style image `[height, width, channels]`, or several of any sizes: uint8, or float
            in `value_range`. They are resized to cover `image_shape` and cut to it. Or a number of
            styles, whose images come with a file of weights.
        backbone: A backbone, or anything `keras_transgen.load_backbone` takes. It is copied.
        image_shape: `(height, width, channels)` of the training images.
        content_layers: See `StyleFeatures`, also for the default.
        style_layers: See `StyleFeatures`.
        content_weight: Of the content's distance. Distances are normalised, see
            `normalized_distance`, so that the same weights serve all networks.
        style_weight: Of the style's distance.
        total_variation_weight: Of the mean absolute difference between neighbouring pixels.
        network: Keras model from `[images, mixture]` to images in `value_range`, where a mixture is
            a row of weights `[num_styles]`; built by default: see `style_network`.
        value_range: `(low, high)` of float images; uint8 is scaled to it.
        filters: Width of the network that is built.
        blocks: Its residual blocks.
        **kwargs: Passed to `TrainerModel` (`seed`, `name`).

    Raises:
        ValueError: If a style is no image or too small for the deepest layer, there is no such
            layer, the network does not fit, or an argument is out of its range.

    Example:
        ```python
        import numpy as np
        import keras_transgen as ktg
        from keras_transgen.generative.translation import StyleTransfer

        images, _ = ktg.datasets.load_digits()
        stripes = np.tile(np.float32([[[0.0]], [[1.0]]]), (8, 16, 1))
        model = StyleTransfer(
            [stripes, stripes.transpose(1, 0, 2)],
            "digits",
            image_shape=(8, 8, 1),
            value_range=(0.0, 1.0),
            filters=2,
            blocks=1,
        )
        model.fit(images[:32], batch_size=8, verbose=0)
        painted = model.stylize(images[:4], style=1)
        assert painted.shape == (4, 8, 8, 1)
        ```

    Reference:
        Johnson, Alahi and Fei-Fei, Perceptual losses for real-time style transfer and
        super-resolution, 2016; Dumoulin, Shlens and Kudlur, A learned representation for artistic
        style, 2017.
    """

    def __init__(
        self,
        styles: Any,
        backbone: Any,
        image_shape: tuple[int, ...] = (256, 256, 3),
        content_layers: Sequence[str] | None = None,
        style_layers: Sequence[str] | None = None,
        content_weight: float = 1.0,
        style_weight: float = 10.0,
        total_variation_weight: float = 1.0,
        network: keras.Model | None = None,
        value_range: tuple[float, float] = (-1.0, 1.0),
        filters: int = 32,
        blocks: int = 5,
        **kwargs: Any,
    ) -> None:
        super().__init__(checked_image_shape(image_shape, "image_shape"), value_range, **kwargs)
        self.weights_of_parts = checked_weights(
            content_weight, style_weight, total_variation_weight
        )
        self.filters = filters
        self.blocks = blocks
        size = (self.example_shape[0], self.example_shape[1])
        self.features = StyleFeatures(backbone, content_layers, style_layers, value_range, size)
        images = [] if isinstance(styles, int) else self._checked_styles(styles)
        self.num_styles = styles if isinstance(styles, int) else len(images)
        if self.num_styles < 1:
            raise ValueError(
                f"styles must be images, or a number from 1 on. Received: styles={styles}"
            )
        self._handed_in = network is not None
        self.network = network if network is not None else self._default_network()
        self._check_network()
        self._make_targets(images)
        self._trackers = [keras.metrics.Mean(name=name) for name in _LOGS]
        self.built = True
        self.check_parts()

    def _checked_styles(self, styles: Any) -> list[np.ndarray]:
        assert self.value_range is not None
        found = []
        for number, style in enumerate(image_list(styles, "styles")):
            image = checked_image(style, f"styles[{number}]", self.value_range)
            self.features.check_style(*image.shape[:2])
            found.append(covering(image, self.example_shape))
        return found

    def _default_network(self) -> keras.Model:
        sides = self.example_shape[:2]
        if min(sides) < _SMALLEST or any(side % STRIDE for side in sides):
            raise ValueError(
                f"The network needs training images whose sides can be divided by {STRIDE} and "
                f"have at least {_SMALLEST} pixels. Resize them, or hand in a network of your own. "
                f"Received: image_shape={self.example_shape}"
            )
        return style_network(
            self.example_shape[2], self.num_styles, self.filters, self.blocks, self.value_range
        )

    def _check_network(self) -> None:
        inputs = [keras.Input(self.example_shape), keras.Input((self.num_styles,))]
        made = called(self.network, inputs, "network")
        if tuple(getattr(made, "shape", ()))[1:] != self.example_shape:
            raise ValueError(
                "The network must make images of the shape it is given, "
                f"{list(self.example_shape)}. Received: a network with output of shape "
                f"{getattr(made, 'shape', made)}"
            )

    def _make_targets(self, images: list[np.ndarray]) -> None:
        """The styles' images and Gram matrices, as weights, so that a file holds them."""

        def constant(name: str, shape: tuple[int, ...]) -> keras.Variable:
            return self.add_weight(
                name=name, shape=shape, initializer="zeros", trainable=False, dtype="float32"
            )

        self.style_images = constant("style_images", (self.num_styles, *self.example_shape))
        self.style_grams = [
            constant(f"style_gram_{number}", (self.num_styles, channels, channels))
            for number, channels in enumerate(self.features.style_channels)
        ]
        if not images:
            return
        self.style_images.assign(np.stack(images))

        def grams_of(image: np.ndarray) -> list[tf.Tensor]:
            return of_one_replica(lambda: self.features(image[None])[1])

        for variable, each in zip(self.style_grams, zip(*map(grams_of, images))):
            variable.assign(tf.concat(each, axis=0))

    # Training

    def compile(
        self, optimizer: Any = None, jit_compile: bool | str = "auto", **kwargs: Any
    ) -> None:
        """Configure the model for training; `fit` does it with the defaults if nobody has.

        Args:
            optimizer: Keras optimizer or its name. Defaults to Adam with a learning rate of 1e-3.
            jit_compile: `True`, `False` or `"auto"`; see `TrainerModel.compile`.
            **kwargs: `run_eagerly`, `steps_per_execution`; see `TrainerModel.compile`.
        """
        with self.distribute_strategy.scope():
            if optimizer is None:
                optimizer = keras.optimizers.Adam(_RATE)
        super().compile(optimizer=optimizer, jit_compile=jit_compile, **kwargs)

    def build_for_batch(self, data: Any) -> None:
        """Nothing waits for data: the constructor builds everything."""

    @property
    def metrics(self) -> list[keras.metrics.Metric]:
        """The means of the logs, which every epoch begins anew."""
        return self._trackers

    def draw_noise(self, data: Any, seed: tf.Tensor, training: bool) -> tf.Tensor:
        """The number of each image's style, int32 `[batch]`."""
        size = batch_size_of(data)
        return tf.random.stateless_uniform([size], seed, 0, self.num_styles, tf.int32)

    def update_step(self, data: Any, noise: tf.Tensor) -> Logs:
        """Move the network and return the logs."""
        images, _, _ = self.unpack(data)
        size = batch_size_of(images)
        weight = loss_weight(size, self.optimizer)
        gradients, loss, logs = self.gradients_of(
            lambda: self._objective(images, noise, training=True), self.trainable_variables, weight
        )
        self.apply_gradients(self.optimizer, gradients, self.trainable_variables)
        norm = gradient_norm(gradients, weight)
        return self._epoch_means({**logs, "loss": loss, "gradient_norm": norm}, size)

    def evaluation_step(self, data: Any, noise: tf.Tensor) -> Logs:
        """The loss and its parts on held-out images."""
        images, _, _ = self.unpack(data)

        def evaluated() -> Logs:
            loss, logs = self._objective(images, noise, training=False)
            return {**logs, "loss": loss}

        return self._epoch_means(self.replica_function(evaluated)(), batch_size_of(images))

    def _objective(
        self, images: tf.Tensor, styles: tf.Tensor, training: bool
    ) -> tuple[tf.Tensor, Logs]:
        made = self._painted(images, tf.one_hot(styles, self.num_styles), training)
        content_targets, _ = self.features(images)
        gram_targets = [tf.gather(gram.value, styles) for gram in self.style_grams]
        targets = content_targets, gram_targets
        loss, logs = style_objective(made, self.features(made), targets, self.weights_of_parts)
        return loss + regularization([self.network]), logs

    def _painted(self, images: tf.Tensor, mixture: tf.Tensor, training: bool) -> tf.Tensor:
        return tf.cast(self.network([images, mixture], training=training), tf.float32)

    # Using the model

    def call(self, inputs: Any, training: bool = False) -> tf.Tensor:
        """Images in the first style; what `predict` gives."""
        images = self.scaled(inputs)
        first = tf.one_hot(tf.zeros([tf.shape(images)[0]], tf.int32), self.num_styles)
        return self._painted(images, first, training=False)

    @takes_any_data("images")
    def stylize(
        self, images: Any, style: int | Sequence[float] = 0, batch_size: int = 16
    ) -> np.ndarray:
        """Paint images of any size in a style, or in a mixture of styles.

        Args:
            images: `[count, height, width, channels]`, uint8, or float in `value_range`; sides of
                at least 8 pixels.
            style: Number of a style, or a weight for each.
            batch_size: Images painted at once.

        Returns:
            Float32 in `value_range`, of the images' shape.

        Raises:
            ValueError: If the images or the style are none of this model's.
        """
        mixture = self._mixture(style)
        self.check_inputs(images)
        paint = functools.partial(self._painting, mixture=mixture)
        return in_parts(paint, (images,), batch_size)

    def check_inputs(self, x: Any) -> None:
        """Refuse what is no image to be painted; see `TrainerModel.check_inputs`."""
        shape = tuple(np.shape(x))
        if len(shape) != 4 or shape[3] != self.example_shape[2] or min(shape[1:3]) < _SMALLEST:
            raise ValueError(
                f"Expected images [count, height, width, {self.example_shape[2]}] with sides of at "
                f"least {_SMALLEST} pixels. Received: images of shape {list(shape)}"
            )
        self.check_examples(x, "images", shape[1:])

    def _mixture(self, style: int | Sequence[float]) -> tf.Tensor:
        if isinstance(style, (int, np.integer)) and 0 <= style < self.num_styles:
            return tf.one_hot(int(style), self.num_styles)
        weights = np.asarray(style, "float32")
        if weights.shape != (self.num_styles,) or not np.isfinite(weights).all():
            raise ValueError(
                f"style must be a number from 0 to {self.num_styles - 1}, or {self.num_styles} "
                f"weights, one for each style. Received: style={style}"
            )
        return tf.constant(weights)

    @functools.cached_property
    def _painting(self) -> Callable[..., tf.Tensor]:
        def painted(images: tf.Tensor, mixture: tf.Tensor) -> tf.Tensor:
            size = tf.shape(images)
            mixtures = tf.repeat(mixture[None], size[0], axis=0)
            padded = padded_to(self.scaled(images), STRIDE)
            return self._painted(padded, mixtures, training=False)[:, : size[1], : size[2]]

        return graph(painted)

    @takes_any_data("images")
    def style_grid(self, images: Any) -> Figure:
        """Images in a row, and below them a row for each style.

        Args:
            images: About eight images, as for `stylize`.

        Returns:
            A Matplotlib figure.
        """
        rows = {"content": np.asarray(self.scaled(images))}
        for number in range(self.num_styles):
            rows[f"style {number}"] = self.stylize(images, number)
        return plot_translations(rows, value_range=self.value_range or (0.0, 1.0))

    # Saving

    def serving_endpoints(self, input_signature: Any = None) -> dict[str, Endpoint]:
        """`stylize`: images of any size and a weight for each style, `[num_styles]`."""

        def stylize(inputs: tf.Tensor, style: tf.Tensor) -> dict[str, tf.Tensor]:
            return {"images": self._painting(inputs, style)}

        if input_signature is None:
            channels = self.example_shape[2]
            input_signature = tf.TensorSpec([None, None, None, channels], tf.float32)
        styles = tf.TensorSpec([self.num_styles], tf.float32, "style")
        return {"stylize": Endpoint(stylize, (*named_specs(input_signature), styles))}

    def get_config(self) -> dict[str, Any]:
        features = self.features.get_config()
        weights = self.weights_of_parts
        return {
            **super().get_config(),
            # Their images are weights.
            "styles": self.num_styles,
            "backbone": features["backbone"],
            "image_shape": self.example_shape,
            "content_layers": features["content_layers"],
            "style_layers": features["style_layers"],
            "content_weight": weights.content,
            "style_weight": weights.style,
            "total_variation_weight": weights.total_variation,
            "network": (
                keras.saving.serialize_keras_object(self.network) if self._handed_in else None
            ),
            "value_range": self.value_range,
            "filters": self.filters,
            "blocks": self.blocks,
        }

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> StyleTransfer:
        """Make the model again from what `get_config` returned."""
        styles = config.get("styles")
        if isinstance(styles, bool) or not isinstance(styles, int):
            raise FileConfigError(
                "A file holds its styles as weights, and says how many there are. "
                f"Received: styles={shown(styles)}"
            )
        return cls(
            **arguments_from_file(
                cls,
                config,
                backbone=Nested(keras.layers.Layer),
                network=Nested(keras.Model, optional=True),
            )
        )
