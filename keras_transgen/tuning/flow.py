"""Searches for the flow whose samples are nearest to real data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import keras
import keras_tuner
import numpy as np

from keras_transgen.generative import FlowMatching
from keras_transgen.generative.flow.straight_paths import PREDICTIONS
from keras_transgen.generative.flow.times import TIMES
from keras_transgen.training.counts import check_count
from keras_transgen.tuning.domains import log_range
from keras_transgen.tuning.fresh_parts import fresh
from keras_transgen.tuning.package_hyper_model import (
    BATCH_SIZE,
    JIT_COMPILE,
    model_arguments,
    present,
)
from keras_transgen.tuning.sample_distance import (
    SampleDistanceHyperModel,
    checked_shape,
    some_rows,
)
from keras_transgen.tuning.search_space import Hyperparameter

_OF_MODEL = (
    "network",
    "width",
    "prediction",
    "times",
    "ema_decay",
    "unlabelled_probability",
    "embedding_dim",
)
_NETWORKS = {1: ("dense",), 2: ("patch_transformer",), 3: ("unet", "patch_transformer")}


class FlowHyperModel(SampleDistanceHyperModel):
    """A search over flows, with classes or without.

    It goes into any tuner of Keras Tuner as it is. `space=` changes the search space as in
    `TransferHyperModel`:

    | name | default | exists for |
    | --- | --- | --- |
    | `network` | `unet`, `patch_transformer`; the one that fits for sequences and vectors | |
    | `width` | 16, 32, 64 for images; 64, 128, 256 for others | |
    | `learning_rate` | 3e-4 to 3e-3, log; of Adam | |
    | `times` | `logit_normal`, `uniform` | |
    | `ema_decay` | 0.99, 0.999 | |
    | `prediction` | `velocity` | |
    | `batch_size` | that of `tuner.search` | |
    | `unlabelled_probability`, `embedding_dim` | the model's | classes or other conditions |
    | `jit_compile` | `"auto"` (also: `True`, `False`), as in `FlowMatching.compile` | |

    The objective is that of `GANHyperModel`: the kernel distance of samples to real images on the
    features of a network, for the labels of the real images where there are classes. The loss is
    none: it is another number for each `times` and `prediction`.

    Args:
        example_shape: Shape of the examples.
        num_classes: Number of classes; `None` without conditions.
        space: What to change in the space above.
        extractor: As in `GANHyperModel`.
        samples: How many samples, and at most as many real examples, are compared. Defaults to
            1000.
        every: Epochs from one measurement to the next. Defaults to 1.
        chief_timeout: As in `TransferHyperModel`.
        name: As in `keras_tuner.HyperModel`.
        tunable: As in `keras_tuner.HyperModel`.
        **arguments: Further arguments of `FlowMatching` for all trials: `value_range`, `seed`, ...

    Raises:
        ValueError: A hyperparameter, a choice or an argument does not exist, or there is nothing to
            choose from.
        ConnectionError: The chief of a distributed search does not answer.

    Example:
        ```python
        import keras_tuner
        import keras_transgen as ktg

        images, labels = ktg.datasets.load_digits()
        search = ktg.tuning.FlowHyperModel(
            (8, 8, 1),
            num_classes=10,
            space={"network": "unet", "width": [4, 8]},
            samples=50,
            value_range=(0.0, 1.0),
        )
        tuner = keras_tuner.RandomSearch(search, search.objective, max_trials=1, directory="runs")
        tuner.search(images[:256], labels[:256], batch_size=128, epochs=1, verbose=0)
        (best,) = tuner.get_best_models()
        best.save("flow.keras")
        ```

    Reference:
        Binkowski et al., Demystifying MMD GANs, 2018; Esser et al., Scaling rectified flow
        transformers for high-resolution image synthesis, 2024.
    """

    def __init__(
        self,
        example_shape: Sequence[int],
        num_classes: int | None = None,
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
        if num_classes is not None:
            check_count("num_classes", num_classes, 2)
        self.num_classes = num_classes
        of_condition = ("class_names", "condition_shape", "condition_encoder")
        given = [num_classes, *(arguments.get(name) for name in of_condition)]
        self._has_conditions = any(each is not None for each in given)
        known = self.known(len(checked_shape(example_shape)))
        taken = ["example_shape", "image_shape", "num_classes", *_OF_MODEL]
        arguments = model_arguments(type(self).__name__, FlowMatching, arguments, taken)
        fixed = {
            **self.prepare_distance(example_shape, extractor, samples, every),
            "num_classes": num_classes,
        }
        super().__init__(known, space, fixed, arguments, chief_timeout, name, tunable)

    def known(self, rank: int) -> list[Hyperparameter]:
        """The hyperparameters there are, for examples of so many dimensions."""
        networks = _NETWORKS.get(rank, ())
        if not networks:
            raise ValueError(
                "A search is over networks for vectors (features,), sequences (length, channels) "
                f"and images (height, width, channels). Received: a shape of {rank} dimensions"
            )
        of_classes = ("unlabelled_probability", "embedding_dim") if self._has_conditions else ()
        return [
            Hyperparameter("network", networks, allowed=networks),
            Hyperparameter("width", (16, 32, 64) if rank == 3 else (64, 128, 256)),
            Hyperparameter("learning_rate", log_range(3e-4, 3e-3, 1e-3)),
            Hyperparameter("times", ("logit_normal", "uniform"), allowed=tuple(TIMES)),
            Hyperparameter("ema_decay", (0.99, 0.999)),
            Hyperparameter("prediction", "velocity", allowed=tuple(PREDICTIONS)),
            BATCH_SIZE,
            JIT_COMPILE,
            *(Hyperparameter(name) for name in of_classes),
        ]

    def make(self, values: dict[str, Any]) -> keras.Model:
        model = FlowMatching(
            self.image_shape,
            self.num_classes,
            **present(values, _OF_MODEL),
            **fresh(self.arguments),
        )
        model.compile(
            keras.optimizers.Adam(values["learning_rate"]), **present(values, ["jit_compile"])
        )
        return model

    def _real(self, parts: Sequence[Any]) -> tuple[np.ndarray, Any]:
        if not self._has_conditions:
            return super()._real(parts)
        rows = some_rows(parts, self.samples)
        if len(rows) < 2:
            raise keras_tuner.errors.FatalValueError(
                "Samples are drawn for the labels (or other conditions) of real examples: give "
                "tuner.search examples with labels. Received: data without labels"
            )
        return rows[0], rows[1]
