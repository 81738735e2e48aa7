"""Searches for the generative adversarial network whose samples are nearest to real images."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import keras

from keras_transgen.generative import GAN
from keras_transgen.generative.adversarial.gradient_penalties import GRADIENT_PENALTIES
from keras_transgen.generative.adversarial.losses import ADVERSARIAL_LOSSES
from keras_transgen.generative.adversarial.steps import STEPS
from keras_transgen.tuning.domains import log_range
from keras_transgen.tuning.fresh_parts import fresh
from keras_transgen.tuning.package_hyper_model import (
    BATCH_SIZE,
    JIT_COMPILE,
    model_arguments,
    present,
)
from keras_transgen.tuning.sample_distance import SampleDistanceHyperModel, checked_shape
from keras_transgen.tuning.search_space import Hyperparameter

_OF_MODEL = (
    "latent_dim",
    "filters",
    "loss",
    "gradient_penalty_weight",
    "discriminator_steps",
    "ema_decay",
    "label_smoothing",
    "instance_noise",
    "step",
)
_EXCLUDED = (
    "example_shape",
    "image_shape",
    "gradient_penalty",
    "augmentation",
    "generator",
    "discriminator",
)


class GANHyperModel(SampleDistanceHyperModel):
    """A search over generative adversarial networks.

    It goes into any tuner of Keras Tuner as it is. `space=` changes the search space as in
    `TransferHyperModel`:

    | name | default | exists for |
    | --- | --- | --- |
    | `latent_dim` | 32, 64, 128 | |
    | `filters` | 16, 32, 64 | |
    | `loss` | `non_saturating`, `hinge` | |
    | `generator_learning_rate` | 1e-4 to 1e-3, log; of Adam | |
    | `discriminator_learning_rate` | 1e-4 to 1e-3, log; of Adam | |
    | `beta_1` | 0.5, of both | |
    | `gradient_penalty` | `none`, `r1` | |
    | `gradient_penalty_weight` | 0.1, 1, 10 | a gradient penalty |
    | `augmentation` | `none`, `color,translation,cutout` | images |
    | `discriminator_steps` | 1, 2 | |
    | `ema_decay` | 0.99, 0.999 | |
    | `batch_size` | that of `tuner.search` | |
    | `label_smoothing`, `instance_noise`, `step` | the model's | |
    | `jit_compile` | `"auto"` (also: `True`, `False`), as in `GAN.compile` | |

    The objective is the kernel distance of samples to real images on the features of a network,
    `kernel_distance[name]`, never a loss of the game, which says nothing about samples. It is taken
    on the `validation_data` of `tuner.search`, else on the training images.

    Args:
        image_shape: `(height, width, channels)` of the images, or `(features,)` of vectors.
        space: What to change in the space above.
        extractor: Whose features are compared: what `load_backbone` takes, or a Keras layer. The
            default is `"digits"` for images, which sees them grey (for photographs, give a network
            that knows photographs), and the values themselves for vectors.
        samples: How many samples, and at most as many real images, are compared. Defaults to 1000.
        every: Epochs from one measurement to the next. Defaults to 1.
        chief_timeout: As in `TransferHyperModel`.
        name: As in `keras_tuner.HyperModel`.
        tunable: As in `keras_tuner.HyperModel`.
        **arguments: Further arguments of the model for all trials: `value_range`, `seed`, ...

    Raises:
        ValueError: A hyperparameter, a choice or an argument does not exist, or there is nothing to
            choose from.
        ConnectionError: The chief of a distributed search does not answer.

    Example:
        ```python
        import keras_tuner
        import keras_transgen as ktg

        images, _ = ktg.datasets.load_digits()
        search = ktg.tuning.GANHyperModel(
            (8, 8, 1),
            space={"filters": 4, "latent_dim": 8, "augmentation": "none"},
            samples=100,
            value_range=(0.0, 1.0),
        )
        tuner = keras_tuner.RandomSearch(search, search.objective, max_trials=1, directory="runs")
        tuner.search(images[:256], batch_size=128, epochs=1, verbose=0)
        (best,) = tuner.get_best_models()
        best.save("gan.keras")
        ```

    Reference:
        Binkowski et al., Demystifying MMD GANs, 2018; Lucic et al., Are GANs Created Equal?, 2018.
    """

    model_class: type[GAN] = GAN

    def __init__(
        self,
        image_shape: Sequence[int],
        *,
        space: Mapping[str, Any] | None = None,
        extractor: Any = None,
        samples: int = 1000,
        every: int = 1,
        chief_timeout: float = 600.0,
        name: str | None = None,
        tunable: bool = True,
        **arguments: Any,
    ) -> None:
        known = self.known(len(checked_shape(image_shape)) == 3)
        taken = [*_EXCLUDED, *(each.name for each in known)]
        arguments = model_arguments(type(self).__name__, self.model_class, arguments, taken)
        fixed = {
            **self.prepare_distance(image_shape, extractor, samples, every),
            **self.fixed(),
        }
        super().__init__(known, space, fixed, arguments, chief_timeout, name, tunable)

    def known(self, images: bool) -> list[Hyperparameter]:
        """The hyperparameters there are, for images or for vectors."""
        rates = log_range(1e-4, 1e-3, 2e-4), log_range(1e-4, 1e-3, 4e-4)
        policies = ("none", "color,translation,cutout") if images else ("none",)
        return [
            Hyperparameter("latent_dim", (32, 64, 128)),
            Hyperparameter("filters", (16, 32, 64)),
            Hyperparameter("loss", ("non_saturating", "hinge"), allowed=tuple(ADVERSARIAL_LOSSES)),
            Hyperparameter("generator_learning_rate", rates[0]),
            Hyperparameter("discriminator_learning_rate", rates[1]),
            Hyperparameter("beta_1", 0.5),
            Hyperparameter(
                "gradient_penalty", ("none", "r1"), allowed=["none", *GRADIENT_PENALTIES]
            ),
            Hyperparameter(
                "gradient_penalty_weight",
                (0.1, 1.0, 10.0),
                {"gradient_penalty": lambda value: value not in (None, "none")},
            ),
            Hyperparameter("augmentation", policies),
            Hyperparameter("discriminator_steps", (1, 2)),
            Hyperparameter("ema_decay", (0.99, 0.999)),
            BATCH_SIZE,
            JIT_COMPILE,
            Hyperparameter("label_smoothing"),
            Hyperparameter("instance_noise"),
            Hyperparameter("step", allowed=("auto", *STEPS)),
        ]

    def fixed(self) -> dict[str, Any]:
        """What else makes the search what it is."""
        return {}

    def make(self, values: dict[str, Any]) -> keras.Model:
        model = self.model_class(
            image_shape=self.image_shape,
            gradient_penalty=_or_none(values["gradient_penalty"]),
            augmentation=_or_none(values["augmentation"]),
            **self.settings(values),
            **fresh(self.arguments),
        )
        model.compile(
            generator_optimizer=_adam(values, "generator"),
            discriminator_optimizer=_adam(values, "discriminator"),
            **present(values, ["jit_compile"]),
        )
        return model

    def settings(self, values: dict[str, Any]) -> dict[str, Any]:
        """The hyperparameters that are the model's own arguments."""
        return present(values, _OF_MODEL)


def _or_none(value: Any) -> Any:
    return None if value in (None, "none") else value


def _adam(values: dict[str, Any], player: str) -> keras.optimizers.Adam:
    return keras.optimizers.Adam(values[f"{player}_learning_rate"], beta_1=values["beta_1"])
