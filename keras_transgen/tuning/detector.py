"""Searches for the detector that finds most of what is in held-out images."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any

import keras
import keras_tuner

from keras_transgen.transfer.detection.augmentation import AUGMENTATIONS
from keras_transgen.transfer.detection.boxes import BOX_LOSSES
from keras_transgen.transfer.detection.detector import Detector
from keras_transgen.transfer.detection.detector_data import usual_rate
from keras_transgen.transfer.detection.detector_settings import TRANSFERS
from keras_transgen.transfer.detection.losses import CLASS_LOSSES
from keras_transgen.tuning.domains import log_range
from keras_transgen.tuning.package_hyper_model import (
    BATCH_SIZE,
    PackageHyperModel,
    model_arguments,
    present,
)
from keras_transgen.tuning.search_space import Hyperparameter
from keras_transgen.tuning.trial_backbones import TrialBackbones
from keras_transgen.tuning.trial_features import SharedFeatures

PRECISION = "val_map50"
_AUGMENTATIONS = ("none", *AUGMENTATIONS)
_OF_MODEL = (
    *("transfer", "class_loss", "box_loss", "head_width"),
    *("head_depth", "box_weight", "views", "rank", "freeze_to"),
)


class HeldOutPrecision(keras.callbacks.Callback):
    """Logs `val_map50`, the mean average precision on held-out images, after each epoch.

    Args:
        held_out: A data set of images with boxes, or a pair of images and their objects.
    """

    def __init__(self, held_out: Any) -> None:
        super().__init__()
        self._held_out = held_out

    def __deepcopy__(self, memo: dict) -> HeldOutPrecision:
        # Keras Tuner copies callbacks; data sets cannot be copied.
        return self

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        if logs is not None:
            pair = self._held_out if isinstance(self._held_out, tuple) else (self._held_out,)
            model: Any = self.model
            logs[PRECISION] = model.precision(*pair)["map50"]


class DetectorHyperModel(PackageHyperModel):
    """A search over detectors of objects: which network, what trains, and how.

    It goes into any tuner of Keras Tuner as it is, whose `search` takes what `Detector.fit` takes.
    `space=` changes the search space as in `TransferHyperModel`:

    | name | default | exists for |
    | --- | --- | --- |
    | `backbone` | all of `backbones` | |
    | `transfer` | `feature`, `parameter`, `structure` | |
    | `learning_rate_factor` | 0.3 to 3, log; times the rate of the kind of transfer | |
    | `class_loss` | `focal`, `quality_focal` | |
    | `box_loss` | `giou`, `ciou` | |
    | `augmentation` | `flip`, `crop` (also: `none`, a `BoxAugmentation`) | |
    | `head_width` | 64, 96, 128 | |
    | `batch_size` | that of `tuner.search` | |
    | `head_depth`, `box_weight` | the model's | |
    | `views` | the model's | feature |
    | `rank` | the model's | structure |
    | `freeze_to` | the model's | parameter |

    `crop` flips, crops down to 0.6 of each side, and varies the light by a fifth.

    The objective is `val_map50`, the mean average precision at an overlap of one half, on the
    held-out images that `tuner.search` is given as `validation_data`. It is measured after each
    epoch. Features of frozen networks are extracted once for all trials of one augmentation, size
    and number of views.

    Args:
        backbones: What `keras_transgen.load_backbone` takes; several in a list, or in a dict by the
            names that trials shall show.
        num_classes: As in `Detector`; may be left out with `class_names`.
        image_size: As in `Detector`. Defaults to 256.
        scales: As in `Detector`. Defaults to `(8, 16, 32)`.
        space: What to change in the space above.
        cache_dir: Folder for the features. Defaults to a temporary one.
        data_key: Text that names the training data in the cache.
        chief_timeout: As in `TransferHyperModel`.
        name: As in `keras_tuner.HyperModel`.
        tunable: As in `keras_tuner.HyperModel`.
        **arguments: Further arguments of `Detector` for all trials, such as `class_names`; `seed`
            is 0 unless it is given, so that trials see the same crops.

    Raises:
        ValueError: A hyperparameter, a choice or an argument does not exist or is out of its range.
        ConnectionError: The chief of a distributed search does not answer.

    Example:
        ```python
        import keras_tuner
        import numpy as np
        import keras_transgen as ktg

        images = np.zeros((8, 16, 16, 1), "float32")
        images[:, 4:10, 2:12] = 1.0
        objects = {"boxes": [[[2, 4, 12, 10]]] * 8, "labels": [[0]] * 8}
        search = ktg.tuning.DetectorHyperModel(
            "digits", 1, 16, (2, 4), space={"transfer": "feature", "head_width": [4, 8]}
        )
        tuner = keras_tuner.RandomSearch(search, search.objective, max_trials=1, directory="runs")
        tuner.search(images, objects, validation_data=(images, objects), epochs=1, verbose=0)
        (best,) = tuner.get_best_models()
        best.save("detector.keras")
        ```

    Reference:
        Li and Talwalkar, Random Search and Reproducibility for Neural Architecture Search, 2019.
    """

    def __init__(
        self,
        backbones: Any,
        num_classes: int | None = None,
        image_size: int = 256,
        scales: Sequence[int | str] = (8, 16, 32),
        *,
        space: Mapping[str, Any] | None = None,
        cache_dir: str | os.PathLike[str] | None = None,
        data_key: str | None = None,
        chief_timeout: float = 600.0,
        name: str | None = None,
        tunable: bool = True,
        **arguments: Any,
    ) -> None:
        taken = ("backbone", "num_classes", "image_size", "scales", "augmentation", *_OF_MODEL)
        arguments = model_arguments(
            type(self).__name__, Detector, arguments, (*taken, "cache_dir", "data_key")
        )
        self.backbones = TrialBackbones(backbones)
        self.num_classes = num_classes
        self.image_size, self.scales = image_size, tuple(scales)
        self._features = SharedFeatures(cache_dir, data_key)
        fixed = {
            "num_classes": num_classes,
            "image_size": image_size,
            "scales": list(self.scales),
            "backbones": self.backbones.digests(),
        }
        known = _known(self.backbones.names)
        arguments = {"seed": 0, **arguments}
        super().__init__(known, space, fixed, arguments, chief_timeout, name, tunable)

    @property
    def objective(self) -> keras_tuner.Objective:
        """The mean average precision on held-out images, at an overlap of one half."""
        return keras_tuner.Objective(PRECISION, "max")

    def logged(self, model: Any, validated: bool) -> set[str]:
        names = {"loss", *(part.name for part in model.parts)}
        return names | ({PRECISION, *(f"val_{name}" for name in names)} if validated else set())

    def watchers(self, x: Any, y: Any, kwargs: dict[str, Any]) -> list[keras.callbacks.Callback]:
        held_out = kwargs.get("validation_data")
        return [] if held_out is None else [HeldOutPrecision(held_out)]

    def make(self, values: dict[str, Any]) -> keras.Model:
        # Each model copies it.
        backbone = self.backbones.shared(values["backbone"])
        model = Detector(
            backbone,
            self.num_classes,
            self.image_size,
            self.scales,
            augmentation=None if values["augmentation"] == "none" else values["augmentation"],
            **present(values, _OF_MODEL),
            **self.arguments,
        )
        # Not compiled, so that `fit` fits the schedule of the rate to the steps it will take.
        model.default_rate = usual_rate(values["transfer"]) * values["learning_rate_factor"]
        return model

    def train(
        self, model: Any, values: dict[str, Any], x: Any, y: Any, **kwargs: Any
    ) -> keras.callbacks.History:
        if model.transfer == "feature":
            held_out = kwargs.get("validation_data")
            named = self._features.data_key is not None
            find = self._features.place if named else self._features.place_of_objects
            place = find(x, y, held_out, None)
            model.cache_dir, model.data_key = place["cache_dir"], place["data_key"]
        try:
            return model.fit(x, y, **kwargs)
        finally:
            # The search's folders are nothing that a finished model should remember.
            model.cache_dir = model.data_key = None


def _known(backbones: Sequence[str]) -> tuple[Hyperparameter, ...]:
    return (
        Hyperparameter("backbone", backbones, allowed=backbones),
        Hyperparameter("transfer", TRANSFERS, allowed=TRANSFERS),
        Hyperparameter("learning_rate_factor", log_range(0.3, 3.0, 1.0)),
        Hyperparameter("class_loss", ("focal", "quality_focal"), allowed=tuple(CLASS_LOSSES)),
        Hyperparameter("box_loss", ("giou", "ciou"), allowed=tuple(BOX_LOSSES)),
        Hyperparameter("augmentation", ("flip", "crop"), allowed=_AUGMENTATIONS),
        Hyperparameter("head_width", (64, 96, 128)),
        BATCH_SIZE,
        Hyperparameter("head_depth"),
        Hyperparameter("box_weight"),
        Hyperparameter("views", when={"transfer": ("feature",)}),
        Hyperparameter("rank", when={"transfer": ("structure",)}),
        Hyperparameter("freeze_to", when={"transfer": ("parameter",)}),
    )
