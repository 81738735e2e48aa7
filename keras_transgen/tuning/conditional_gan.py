"""Searches for the conditional GAN whose samples are nearest to real images of their classes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras_tuner
import numpy as np

from keras_transgen.generative import ConditionalGAN
from keras_transgen.training.counts import check_count
from keras_transgen.tuning.gan import GANHyperModel
from keras_transgen.tuning.package_hyper_model import present
from keras_transgen.tuning.sample_distance import some_rows
from keras_transgen.tuning.search_space import Hyperparameter

_OF_MODEL = (
    "generator_conditioning",
    "discriminator_conditioning",
    "auxiliary_classifier",
    "embedding_dim",
    "unlabelled_probability",
)
_GENERATOR = ("concatenation", "normalization")


class ConditionalGANHyperModel(GANHyperModel):
    """A search over conditional GANs of classes.

    The space and the objective are those of `GANHyperModel`, with samples drawn for the labels of
    the real images, and besides:

    | name | default |
    | --- | --- |
    | `generator_conditioning` | `concatenation`, `normalization` |
    | `auxiliary_classifier` | False, True |
    | `discriminator_conditioning`, `embedding_dim`, `unlabelled_probability` | the model's |

    The kernel distance compares all images with all samples; a generator that mixed up the classes
    would not be told by it. `keras_transgen.evaluation` and a classifier do.

    Args:
        image_shape: As in `GANHyperModel`.
        num_classes: Number of classes.
        **kwargs: As in `GANHyperModel`.

    Raises:
        ValueError: As in `GANHyperModel`.

    Example:
        ```python
        import keras_tuner
        import keras_transgen as ktg

        images, labels = ktg.datasets.load_digits()
        search = ktg.tuning.ConditionalGANHyperModel(
            (8, 8, 1),
            num_classes=10,
            space={"filters": 4, "latent_dim": 8, "augmentation": "none"},
            samples=100,
            value_range=(0.0, 1.0),
        )
        tuner = keras_tuner.RandomSearch(search, search.objective, max_trials=1, directory="runs")
        tuner.search(images[:256], labels[:256], batch_size=128, epochs=1, verbose=0)
        (best,) = tuner.get_best_models()
        best.save("conditional_gan.keras")
        ```

    Reference:
        Miyato and Koyama, cGANs with projection discriminator, 2018.
    """

    model_class = ConditionalGAN

    def __init__(self, image_shape: Sequence[int], num_classes: int, **kwargs: Any) -> None:
        check_count("num_classes", num_classes, 2)
        self.num_classes = num_classes
        super().__init__(image_shape, **kwargs)

    def known(self, images: bool) -> list[Hyperparameter]:
        return [
            *super().known(images),
            Hyperparameter("generator_conditioning", _GENERATOR, allowed=_GENERATOR),
            Hyperparameter("auxiliary_classifier", (False, True), allowed=(False, True)),
            *(Hyperparameter(name) for name in ("discriminator_conditioning", *_OF_MODEL[3:])),
        ]

    def fixed(self) -> dict[str, Any]:
        return {"num_classes": self.num_classes}

    def settings(self, values: dict[str, Any]) -> dict[str, Any]:
        return {
            **super().settings(values),
            **present(values, _OF_MODEL),
            "num_classes": self.num_classes,
        }

    def _real(self, parts: Sequence[Any]) -> tuple[np.ndarray, Any]:
        rows = some_rows(parts, self.samples)
        if len(rows) < 2:
            raise keras_tuner.errors.FatalValueError(
                "A conditional GAN's samples are drawn for the labels of real images: give "
                "tuner.search images with labels. Received: data without labels"
            )
        return rows[0], rows[1]
