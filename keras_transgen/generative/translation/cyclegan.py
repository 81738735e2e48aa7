"""Images of one set from images of another, learnt without pairs."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import keras
import numpy as np
import tensorflow as tf

from keras_transgen.datasets.as_arrays import takes_any_data
from keras_transgen.generative.adversarial.contract import Logs
from keras_transgen.generative.adversarial.losses import AdversarialLoss
from keras_transgen.generative.adversarial.player_networks import known_shape
from keras_transgen.generative.adversarial.step_noise import Phase
from keras_transgen.generative.adversarial.steps import regularization
from keras_transgen.generative.generative_model import graph, in_parts
from keras_transgen.generative.moving_average import averaged
from keras_transgen.generative.networks.patch_discriminator import patch_discriminator
from keras_transgen.generative.networks.residual_translator import residual_translator
from keras_transgen.generative.serving import image_endpoint
from keras_transgen.generative.translation.cycle_step import (
    cycle_step,
    discriminator_objective,
    generator_objective,
)
from keras_transgen.generative.translation.image_pool import ImagePool
from keras_transgen.generative.translation.translation_model import (
    TranslationModel,
    check_judge,
    check_translator,
)
from keras_transgen.generative.translation.unpaired_batches import unpaired_batches
from keras_transgen.plotting.translations import plot_translations
from keras_transgen.training.batches import is_arrays, split_last
from keras_transgen.training.counts import check_weights
from keras_transgen.training.entrance import FIT_DATA, PARTS
from keras_transgen.training.replica_batches import refuse_idle_replicas
from keras_transgen.training.serving import Endpoint
from keras_transgen.training.trainer import batch_size_of

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_DEFAULT_IMAGE_SHAPE = (256, 256, 3)
_DEFAULT_BATCH_SIZE = 32
_NETWORKS = ("generator_ab", "generator_ba", "discriminator_a", "discriminator_b")


@keras.saving.register_keras_serializable(package="keras_transgen")
class CycleGAN(TranslationModel):
    """Learns to turn images of A into images of B and back, by `fit` on batches `(a, b)`.

    No image needs a partner: each direction is held to what real images of the other side look
    like, by a discriminator of patches, and to bringing an image back when the two follow each
    other (`cycle` in the logs: the sum of both mean absolute differences).

    `fit` takes a data set of `(a, b)` batches, or two arrays, of different lengths if need be.
    Arrays are shuffled anew each epoch and independently of each other, so that chance pairs them;
    an epoch shows each image of the longer array once. The discriminators see images out of pools
    of older ones. With several replicas each has its own pools.

    Args:
        image_shape: `(height, width, channels)` of A. Defaults to what `generator_ab` takes, else
            to `(256, 256, 3)`. The built-in networks need sides that can be divided by four.
        target_shape: The same of B; defaults to that of A, from which it may differ in channels.
        generator_ab: Keras model from A to B in `value_range`; built by default, as the others:
            see `residual_translator` and `patch_discriminator`.
        generator_ba: From B to A.
        discriminator_a: From images to logits of patches, for A.
        discriminator_b: For B.
        loss: Name of an adversarial loss, or a callable; see `generative.adversarial.losses`.
        label_smoothing: How far the discriminators' label of real images lies below 1.
        adversarial_weight: Of the generators' adversarial losses. `"least_squares"` is half the
            squared distance, as in the LSGAN paper; the reference implementation of CycleGAN takes
            the whole for the generators, which is a weight of 2.
        cycle_weight: Of the mean absolute differences after a cycle.
        identity_weight: Of the mean absolute difference that a generator makes to images that are
            of its own kind already (it keeps colours). Defaults to half of `cycle_weight` where A
            and B have the same shape, else it must be 0.
        pool_size: Images in each pool; 0 for none.
        ema_decay: Decay of the moving average of the generators that is used after training;
            `None` for the generators themselves.
        value_range: `(low, high)` of float images; uint8 is scaled to it.
        filters: Width of the networks that are built.
        blocks: Residual blocks of the generators that are built; by default 6, or 9 from 256
            pixels on.
        **kwargs: Passed to `TrainerModel` (`seed`, `name`).

    Raises:
        ValueError: If the networks cannot be built for the shapes or do not fit them, or an
            argument is unknown or out of its range.

    Example:
        ```python
        import keras
        import keras_transgen as ktg
        from keras_transgen.generative.translation import CycleGAN

        def pixelwise():
            layer = keras.layers.Conv2D(1, 1, activation="sigmoid")
            return keras.Sequential([keras.Input((8, 8, 1)), layer])

        images, _ = ktg.datasets.load_digits()
        model = CycleGAN(
            generator_ab=pixelwise(), generator_ba=pixelwise(), filters=4, value_range=(0.0, 1.0)
        )
        model.fit(images[:96], 1.0 - images[128:192], batch_size=32, verbose=0)
        negative = model.a_to_b(images[:4])
        assert negative.shape == (4, 8, 8, 1)
        ```

    Reference:
        Zhu, Park, Isola and Efros, Unpaired image-to-image translation using cycle-consistent
        adversarial networks, 2017.
    """

    def __init__(
        self,
        image_shape: tuple[int, ...] | None = None,
        target_shape: tuple[int, ...] | None = None,
        generator_ab: keras.Model | None = None,
        generator_ba: keras.Model | None = None,
        discriminator_a: keras.Model | None = None,
        discriminator_b: keras.Model | None = None,
        loss: str | AdversarialLoss = "least_squares",
        label_smoothing: float = 0.0,
        adversarial_weight: float = 1.0,
        cycle_weight: float = 10.0,
        identity_weight: float | None = None,
        pool_size: int = 50,
        ema_decay: float | None = 0.99,
        value_range: tuple[float, float] | None = (-1.0, 1.0),
        filters: int = 64,
        blocks: int | None = None,
        **kwargs: Any,
    ) -> None:
        image_shape = image_shape or known_shape(generator_ab, "input") or _DEFAULT_IMAGE_SHAPE
        target_shape = target_shape or known_shape(generator_ab, "output") or image_shape
        super().__init__(
            image_shape,
            target_shape,
            loss,
            label_smoothing,
            adversarial_weight,
            ema_decay,
            value_range,
            filters,
            **kwargs,
        )
        self.cycle_weight = float(cycle_weight)
        self.identity_setting = identity_weight
        self.identity_weight = self._resolved_identity(identity_weight)
        self.pool_size = pool_size
        self.blocks = blocks
        given = (generator_ab, generator_ba, discriminator_a, discriminator_b)
        self._handed_in = {name: network is not None for name, network in zip(_NETWORKS, given)}
        for name, network in zip(_NETWORKS, given):
            setattr(self, name, network if network is not None else self._default(name))
        self._build_networks()
        self.pool_a = ImagePool(pool_size, self.example_shape, name="pool_a")
        self.pool_b = ImagePool(pool_size, self.target_shape, name="pool_b")
        self._make_ready()

    def _default(self, name: str) -> keras.Model:
        here, there = self.example_shape, self.target_shape
        if name.endswith("a"):
            here, there = there, here
        if name.startswith("discriminator"):
            network = patch_discriminator(there, filters=self.filters)
            network.name = name
            return network
        return residual_translator(
            here, there[2], self.filters, self.blocks, value_range=self.value_range, name=name
        )

    def _build_networks(self) -> None:
        a, b = keras.Input(self.example_shape), keras.Input(self.target_shape)
        check_translator(self.generator_ab, a, self.target_shape, "generator_ab")
        check_translator(self.generator_ba, b, self.example_shape, "generator_ba")
        check_judge(self.discriminator_a, a, "discriminator_a")
        check_judge(self.discriminator_b, b, "discriminator_b")

    def _resolved_identity(self, identity_weight: float | None) -> float:
        equal = self.example_shape == self.target_shape
        if identity_weight is None:
            identity_weight = 0.5 * self.cycle_weight if equal else 0.0
        check_weights(cycle_weight=self.cycle_weight, identity_weight=identity_weight)
        if identity_weight and not equal:
            raise ValueError(
                "An image of one shape cannot stay as it is on its way to another: pass "
                "identity_weight=0. Received: "
                f"identity_weight={identity_weight}, image_shape={self.example_shape}, "
                f"target_shape={self.target_shape}"
            )
        return float(identity_weight)

    @property
    def generator_layers(self) -> list[keras.layers.Layer]:
        """Both generators."""
        return [self.generator_ab, self.generator_ba]

    @property
    def discriminator_layers(self) -> list[keras.layers.Layer]:
        """Both discriminators."""
        return [self.discriminator_a, self.discriminator_b]

    # What a step is made of

    def make_b(self, a: tf.Tensor, training: bool) -> tf.Tensor:
        """Images of B, float32, from scaled images of A by the generator as it is."""
        return tf.cast(self.generator_ab(a, training=training), tf.float32)

    def make_a(self, b: tf.Tensor, training: bool) -> tf.Tensor:
        """Images of A, float32, from scaled images of B."""
        return tf.cast(self.generator_ba(b, training=training), tf.float32)

    def judge_as(self, kind: str, images: tf.Tensor, training: bool) -> tf.Tensor:
        """Logits `[batch, patches]` of images as images of `"a"` or `"b"`."""
        discriminator = self.discriminator_a if kind == "a" else self.discriminator_b
        return self._patches(discriminator, images, training).logits

    def unpack(self, data: Any) -> tuple[tf.Tensor, Any, Any]:
        """Split a step's batch into images of A and of B, both scaled, and no weights."""
        a, b, _ = keras.utils.unpack_x_y_sample_weight(data)
        return self.scaled(a), self.scaled(b), None

    def draw_noise(self, data: Any, seed: tf.Tensor, training: bool) -> list[Phase]:
        """What the pools need to draw from; nothing where they are off or nothing trains."""
        if not training or not self.pool_size:
            return []
        size = batch_size_of(data)
        first, second = (tf.random.experimental.stateless_fold_in(seed, n) for n in (0, 1))
        return [{"pool_a": self.pool_a.draw(size, first), "pool_b": self.pool_b.draw(size, second)}]

    def update_step(self, data: Any, noise: list[Phase]) -> Logs:
        """Move all four networks and return the logs."""
        a, b, _ = self.unpack(data)
        logs = cycle_step(self, a, b, noise)
        if self.average is not None:
            self.average.update(self.progress.step.value)
        return self._epoch_means(logs, batch_size_of(a))

    def evaluation_step(self, data: Any, noise: list[Phase]) -> Logs:
        """Losses and scores of the averaged generators."""
        a, b, _ = self.unpack(data)

        def evaluated() -> Logs:
            with averaged(self.average):
                loss, logs, made = generator_objective(self, a, b, training=False)
                loss += regularization(self.generator_layers)
            judged, scores = discriminator_objective(self, a, b, made, training=False)
            judged += regularization(self.discriminator_layers)
            return {**logs, **scores, "generator_loss": loss, "discriminator_loss": judged}

        return self._epoch_means(self.replica_function(evaluated)(), batch_size_of(a))

    def _log_names(self) -> list[str]:
        names = [*super()._log_names(), "cycle"]
        return [*names, "identity"] if self.identity_weight else names

    # Data

    def examples_in(self, x: Any, y: Any) -> list[tuple[Any, str]]:
        """Both images of each pair."""
        return [(x, "images of A"), (y, "images of B")]

    def check_labels(self, y: Any) -> None:
        """Refuse images that are none of B."""
        if y is None:
            raise ValueError(
                "CycleGAN learns from two sets of images: fit(a, b), or a data set of (a, b) "
                "batches. Received: one set"
            )
        self.check_examples(y, "images of B (the second part of the data)", self.target_shape)

    @takes_any_data(*FIT_DATA, training=True)
    def fit(
        self,
        x: Any = None,
        y: Any = None,
        batch_size: int | None = None,
        epochs: int = 1,
        **kwargs: Any,
    ) -> keras.callbacks.History:
        """Train the model on a data set of `(a, b)` batches, or on two arrays.

        Takes the arguments of `keras.Model.fit` and returns its history. Arrays, also those of
        `validation_data`, may have different lengths; see the class for how they meet. With
        `shuffle=False` they meet in their order, the shorter one over and over.

        Raises:
            ValueError: If the data are no images of this model, before training starts.
        """
        if not is_arrays(x):
            return super().fit(x, y, batch_size, epochs, **kwargs)
        self.check_data(x, y, kwargs.get("sample_weight"), training=True)
        refuse_idle_replicas(self.distribute_strategy, x, batch_size)
        fraction = kwargs.pop("validation_split", 0.0)
        if fraction and kwargs.get("validation_data") is None:
            (x, held_a), (y, held_b) = (split_last(side, fraction) for side in (x, y))
            kwargs["validation_data"] = (held_a, held_b)
        batch_size = batch_size or _DEFAULT_BATCH_SIZE
        held_out = kwargs.get("validation_data")
        if isinstance(held_out, (tuple, list)) and is_arrays(tuple(held_out)):
            kwargs["validation_data"] = self._in_order(
                *held_out[:2], batch_size=kwargs.get("validation_batch_size") or batch_size
            )
            kwargs.pop("validation_batch_size", None)
        progress = self.progress if kwargs.pop("shuffle", True) else None
        data = unpaired_batches(x, y, batch_size, progress)
        return super().fit(data, None, None, epochs, shuffle=False, **kwargs)

    @takes_any_data(*PARTS)
    def evaluate(
        self, x: Any = None, y: Any = None, batch_size: int | None = None, **kwargs: Any
    ) -> Any:
        """Evaluate the model, with the arguments and the result of `keras.Model.evaluate`."""
        if is_arrays(x):
            x, y = self._in_order(x, y, batch_size=batch_size or _DEFAULT_BATCH_SIZE), None
            batch_size = None
        return super().evaluate(x, y, batch_size=batch_size, **kwargs)

    def _in_order(self, a: Any, b: Any = None, *, batch_size: int) -> tf.data.Dataset:
        self.check_data(a, b, None, training=False)
        return unpaired_batches(a, b, batch_size)

    # Using the model

    def call(self, inputs: Any, training: bool = False) -> tf.Tensor:
        """Images of B from images of A by the averaged generator."""
        return self._made("ab", inputs)

    def _made(self, direction: str, images: tf.Tensor) -> tf.Tensor:
        make = self.make_b if direction == "ab" else self.make_a
        with averaged(self.average):
            return make(self.scaled(images), training=False)

    @takes_any_data("images")
    def a_to_b(self, images: Any, batch_size: int = 16) -> np.ndarray:
        """Turn images of A into images of B.

        Args:
            images: Images of A, as for `fit`.
            batch_size: Images made at once.

        Returns:
            Float32 `[count, *target_shape]` in `value_range`.

        Raises:
            ValueError: If the images are none of A.
        """
        self.check_examples(images, "images")
        self.average_what_was_loaded()
        return in_parts(self._making["ab"], (images,), batch_size)

    @takes_any_data("images")
    def b_to_a(self, images: Any, batch_size: int = 16) -> np.ndarray:
        """Turn images of B into images of A; see `a_to_b`."""
        self.check_examples(images, "images", self.target_shape)
        self.average_what_was_loaded()
        return in_parts(self._making["ba"], (images,), batch_size)

    @functools.cached_property
    def _making(self) -> dict[str, Callable[..., tf.Tensor]]:
        return {way: graph(functools.partial(self._made, way)) for way in ("ab", "ba")}

    @takes_any_data("images")
    def translation_grid(self, images: Any, direction: str = "a_to_b") -> Figure:
        """Images, what the model makes of them, and what it makes of that on the way back.

        Args:
            images: About eight images of the side that `direction` begins with.
            direction: `"a_to_b"` or `"b_to_a"`.

        Returns:
            A Matplotlib figure.

        Raises:
            ValueError: If the direction is unknown or the images are none of its side.
        """
        if direction not in ("a_to_b", "b_to_a"):
            raise ValueError(
                f"direction must be 'a_to_b' or 'b_to_a'. Received: direction={direction!r}"
            )
        there, back = (self.a_to_b, self.b_to_a)[:: 1 if direction == "a_to_b" else -1]
        made = there(images)
        rows = {"input": np.asarray(self.scaled(images)), "made": made, "back": back(made)}
        return plot_translations(rows, value_range=self.value_range or (0.0, 1.0))

    # Saving

    def serving_endpoints(self, input_signature: Any = None) -> dict[str, Endpoint]:
        """`a_to_b` and `b_to_a`."""

        def endpoint(direction: str, shape: tuple[int, ...]) -> Endpoint:
            made = functools.partial(self._made, direction)
            return image_endpoint(shape, made, input_signature)

        return {
            "a_to_b": endpoint("ab", self.example_shape),
            "b_to_a": endpoint("ba", self.target_shape),
        }

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            **self._networks_handed_in(),
            "adversarial_weight": self.adversarial_weight,
            "cycle_weight": self.cycle_weight,
            "identity_weight": self.identity_setting,
            "pool_size": self.pool_size,
            "blocks": self.blocks,
        }
