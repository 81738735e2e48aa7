"""Searches for the best transfer of a pretrained network: which one, which kind, and how."""

from __future__ import annotations

import inspect
import os
from collections.abc import Mapping, Sequence
from typing import Any

import keras
import keras_tuner

from keras_transgen.training.batches import split_last
from keras_transgen.training.entrance import FIT_DATA
from keras_transgen.transfer import (
    FeatureTransfer,
    ParameterTransfer,
    StructureTransfer,
    TransferModel,
)
from keras_transgen.transfer.deltas.delta import methods_by_argument, plain_methods
from keras_transgen.transfer.parameter_transfer import SETTINGS
from keras_transgen.transfer.training_data import is_in_memory, take_steps
from keras_transgen.tuning.domains import log_range
from keras_transgen.tuning.package_hyper_model import (
    BATCH_SIZE,
    PackageHyperModel,
    model_arguments,
    present,
)
from keras_transgen.tuning.search_space import Condition, Hyperparameter
from keras_transgen.tuning.trial_backbones import TrialBackbones
from keras_transgen.tuning.trial_features import SharedFeatures

KINDS = ("feature", "parameter", "structure")
HEADS = ("linear", "hidden", "nearest_centroid")
_OBJECTIVES = {
    "classification": ("val_accuracy", "max"),
    "multi_label": ("val_accuracy", "max"),
    "regression": ("val_mean_absolute_error", "min"),
}


class TransferHyperModel(PackageHyperModel):
    """A search over pretrained networks and the ways to transfer them.

    It goes into any tuner of Keras Tuner as it is. The search space is a dict of defaults, and
    `space=` changes it: a list of choices narrows or widens a line, one value fixes it, and a dict
    of `min_value`, `max_value` (`step`, `sampling`, `default`) gives a range; layers are named by a
    dict from labels to them. Lines without a default are searched for once they are given.

    | name | default | exists for |
    | --- | --- | --- |
    | `backbone` | all of `backbones` | |
    | `kind` | `feature`, `parameter`, `structure` | |
    | `head` | `linear`, `hidden` (also: `nearest_centroid`, layers) | feature |
    | `l2` | `"sweep"`, by cross-validation | feature, `head` linear |
    | `hidden_units` | 64, 128, 256 | `head` hidden |
    | `dropout` | 0, 0.2, 0.5 | `head` hidden |
    | `head_learning_rate` | 3e-4 to 1e-2, log | `head` hidden or layers |
    | `head_epochs` | 5 passes over the features for an epoch of the search | the same |
    | `method` | `lora`, `ia3`, `last` (also: all that need no further network) | structure |
    | `rank` | 4, 8, 16 | a `method` that takes it |
    | `learning_rate_factor` | 0.3 to 3, log; times the method's own rate | structure |
    | `learning_rate` | 3e-5 to 3e-3, log | parameter |
    | `layer_decay` | 1, 0.9, 0.75: rate from a group to the one before | parameter |
    | `normalization` | `frozen`, `adapt` | parameter |
    | `augmentation` | `none`, `shift`: moved and zoomed a little | parameter, structure; images |
    | `batch_size` | that of `tuner.search` | |
    | `label_smoothing`, `weight_decay`, `warm_up`, `gradual_unfreezing` | the model's | parameter |
    | `alpha`, `targets`, `groups`, ... | the method's | a `method` that takes it |

    Frozen networks run once for all trials: features are kept and shared, for feature transfer and
    for the linear probe that the other kinds start from, keyed by the backbone's digest, the
    preprocessing and the data.

    The objective is the accuracy on the validation data that `tuner.search` is given (for
    regression, the mean absolute error).

    Args:
        backbones: What `keras_transgen.load_backbone` takes; several in a list, or in a dict by the
            names that trials shall show.
        num_classes: Number of classes, labels or regression outputs.
        space: What to change in the space above.
        task: `"classification"` (default), `"multi_label"` or `"regression"`.
        cache_dir: Folder for the features, to be found by later searches and shared by workers.
            Defaults to a temporary one.
        data_key: Text that names `tf.data` sets in the cache; see `FeatureTransfer`.
        chief_timeout: Seconds that a worker of a distributed search waits for its chief. Defaults
            to 600; see `keras_transgen.tuning.wait_for_chief`.
        name: As in `keras_tuner.HyperModel`.
        tunable: As in `keras_tuner.HyperModel`.
        **arguments: Arguments of `TransferModel` for all trials: `preprocessing`, `seed`, ...

    Raises:
        ValueError: A hyperparameter, a choice or an argument does not exist, there is nothing to
            choose from, or a backbone cannot be loaded.
        ConnectionError: The chief of a distributed search does not answer.

    Example:
        ```python
        import keras_tuner
        import keras_transgen as ktg

        (x, y), validation = ktg.datasets.load_digits_split(test_fraction=0.5)
        search = ktg.tuning.TransferHyperModel(
            ["digits"], 10, space={"kind": "feature", "head": ["linear", "nearest_centroid"]}
        )
        tuner = keras_tuner.RandomSearch(search, search.objective, max_trials=2, directory="runs")
        tuner.search(x[:200], y[:200], validation_data=validation, verbose=0)
        (best,) = tuner.get_best_models()
        best.save("best.keras")
        ```

    Reference:
        Li and Talwalkar, Random Search and Reproducibility for Neural Architecture Search, 2019;
        Kornblith, Shlens and Le, Do Better ImageNet Models Transfer Better?, 2019.
    """

    def __init__(
        self,
        backbones: Any,
        num_classes: int | None = None,
        *,
        space: Mapping[str, Any] | None = None,
        task: str = "classification",
        cache_dir: str | os.PathLike[str] | None = None,
        data_key: str | None = None,
        chief_timeout: float = 600.0,
        name: str | None = None,
        tunable: bool = True,
        **arguments: Any,
    ) -> None:
        if task not in _OBJECTIVES:
            raise ValueError(f"task must be one of {list(_OBJECTIVES)}. Received: task={task!r}")
        arguments = model_arguments(
            type(self).__name__,
            TransferModel,
            arguments,
            ("backbone", "num_classes", "task", "augmentation", "dropout", "head", "views"),
        )
        self.backbones = TrialBackbones(backbones)
        self.num_classes = num_classes
        self.task = task
        self._features = SharedFeatures(cache_dir, data_key)
        fixed = {"num_classes": num_classes, "task": task, "backbones": self.backbones.digests()}
        super().__init__(
            _known(self.backbones, task), space, fixed, arguments, chief_timeout, name, tunable
        )

    @property
    def objective(self) -> keras_tuner.Objective:
        """Validation accuracy, or for regression the mean absolute error."""
        return keras_tuner.Objective(*_OBJECTIVES[self.task])

    def logged(self, model: Any, validated: bool) -> set[str]:
        names = {"loss", _OBJECTIVES[self.task][0].removeprefix("val_")}
        return names | ({f"val_{name}" for name in names} if validated else set())

    # Making

    def make(self, values: dict[str, Any]) -> keras.Model:
        makers = {"feature": self._feature, "parameter": self._parameter}
        make = makers.get(values["kind"], self._structure)
        return make(values)

    def _common(self, values: dict[str, Any]) -> dict[str, Any]:
        common = {"num_classes": self.num_classes, "task": self.task, **self.arguments}
        augmentation = _augmentation(values.get("augmentation"))
        return common if augmentation is None else {**common, "augmentation": augmentation}

    def _feature(self, values: dict[str, Any]) -> keras.Model:
        backbone = self.backbones.shared(values["backbone"])
        common = self._common(values)
        if not _is_trained(values["head"]):
            return FeatureTransfer(
                backbone, classifier=values["head"], l2=values.get("l2", "sweep"), **common
            )
        own = values["head"] != "hidden"
        head = _own_layer(values["head"]) if own else self._hidden_head(values)
        pooling = {"pooling": "average"}
        model = FeatureTransfer(backbone, head=head, solver="sgd", **{**pooling, **common})
        model.compile(keras.optimizers.Adam(values["head_learning_rate"]))
        return model

    def _hidden_head(self, values: dict[str, Any]) -> keras.Model:
        outputs = 1 if self.num_classes is None else self.num_classes
        return keras.Sequential(
            [
                keras.layers.Dense(values["hidden_units"], activation="relu"),
                keras.layers.Dropout(values["dropout"]),
                keras.layers.Dense(outputs, dtype="float32"),
            ],
            name="head",
        )

    def _parameter(self, values: dict[str, Any]) -> keras.Model:
        backbone = self.backbones.fresh(values["backbone"], values["normalization"])
        arguments = present(values, SETTINGS)
        if arguments["layer_decay"] == 1.0:
            # The same rate for all needs one optimizer, not one a group.
            arguments["layer_decay"] = None
        return ParameterTransfer(backbone, **arguments, **self._common(values))

    def _structure(self, values: dict[str, Any]) -> keras.Model:
        backbone = self.backbones.fresh(values["backbone"])
        model = StructureTransfer(
            backbone,
            method=values["method"],
            **present(values, list(_of_methods())),
            **self._common(values),
        )
        (delta,) = model.deltas.values()
        model.learning_rate = delta.learning_rate * values["learning_rate_factor"]
        return model

    # Training

    def train(
        self, model: Any, values: dict[str, Any], x: Any, y: Any, **kwargs: Any
    ) -> keras.callbacks.History:
        # By what they are before they enter, a data set is known again.
        named = (x, y, kwargs.get("validation_data"))
        kwargs |= {"x": x, "y": y}
        for name in FIT_DATA:
            if kwargs.get(name) is not None:
                kwargs[name] = model.entered(name, kwargs[name], name != "validation_data")
        x, y = kwargs.pop("x"), kwargs.pop("y")
        share = kwargs.pop("validation_split", 0.0)
        if share and kwargs.get("validation_data") is None and is_in_memory(x, y):
            # Held out here, so that what is extracted for the probe is what is trained on.
            parts = (x, y, kwargs.pop("sample_weight", None))
            (x, y, weight), kwargs["validation_data"] = split_last(parts, share)
            if weight is not None:
                kwargs["sample_weight"] = weight
        steps = kwargs.get("steps_per_epoch")
        held_out = kwargs.get("validation_data")
        known = (x, y, held_out) if is_in_memory(x, y) else named
        place = self._features.place(*known, steps)
        if isinstance(model, FeatureTransfer):
            # The search's epochs are for all its models; one that solves for its head needs none.
            model.passes_over_epochs = True
            passes = values.get("head_epochs", 1)
            kwargs["epochs"] = passes * kwargs.get("epochs", 1)
            kwargs["initial_epoch"] = passes * kwargs.get("initial_epoch", 0)
            return _fit_on_shared(model, place, x, y, kwargs)
        if model.head_initialization == "probe" and not int(model.progress.step.numpy()):
            model.initialize_head(
                take_steps(x, steps),
                y,
                kwargs.get("sample_weight"),
                kwargs.get("class_weight"),
                kwargs.get("batch_size"),
                kwargs.get("verbose", 0),
                **place,
            )
        return model.fit(x, y, **kwargs)


def _fit_on_shared(
    model: FeatureTransfer, place: dict[str, Any], x: Any, y: Any, kwargs: dict[str, Any]
) -> keras.callbacks.History:
    model.cache_dir, model.data_key = place["cache_dir"], place["data_key"]
    try:
        return model.fit(x, y, **kwargs)
    finally:
        # The search's folders are nothing that a finished model should remember.
        model.cache_dir = model.data_key = None


def _known(backbones: TrialBackbones, task: str) -> Sequence[Hyperparameter]:
    feature: dict[str, Condition] = {"kind": ("feature",)}
    hidden, trained = {**feature, "head": ("hidden",)}, {**feature, "head": _is_trained}
    parameter, structure = {"kind": ("parameter",)}, {"kind": ("structure",)}
    of_methods = {name: {**structure, "method": methods} for name, methods in _of_methods().items()}
    heads = HEADS if task == "classification" else HEADS[:-1]
    images = backbones.take_images()
    return (
        Hyperparameter("backbone", backbones.names, allowed=backbones.names),
        Hyperparameter("kind", KINDS, allowed=KINDS),
        Hyperparameter("head", ("linear", "hidden"), feature, heads),
        Hyperparameter("l2", "sweep", {**feature, "head": ("linear",)}),
        Hyperparameter("hidden_units", (64, 128, 256), hidden),
        Hyperparameter("dropout", (0.0, 0.2, 0.5), hidden),
        Hyperparameter("head_learning_rate", log_range(3e-4, 1e-2, 1e-3), trained),
        Hyperparameter("head_epochs", 5, trained),
        Hyperparameter("method", ("lora", "ia3", "last"), structure, plain_methods()),
        Hyperparameter("rank", (4, 8, 16), of_methods.pop("rank")),
        Hyperparameter("learning_rate_factor", log_range(0.3, 3.0, 1.0), structure),
        Hyperparameter("learning_rate", log_range(3e-5, 3e-3, 3e-4), parameter),
        Hyperparameter("layer_decay", (1.0, 0.9, 0.75), parameter),
        Hyperparameter("normalization", ("frozen", "adapt"), parameter, ("frozen", "adapt")),
        Hyperparameter(
            "augmentation",
            ("none", "shift") if images else "none",
            {"kind": ("parameter", "structure")},
        ),
        BATCH_SIZE,
        *(Hyperparameter(name, when=parameter) for name in SETTINGS[2:]),
        *(Hyperparameter(name, when=condition) for name, condition in of_methods.items()),
    )


def _of_methods() -> dict[str, tuple[str, ...]]:
    """Arguments of the methods that can be searched for, with the methods that take them."""
    models_own = inspect.signature(TransferModel).parameters
    found = methods_by_argument(plain_methods())
    return {name: methods for name, methods in found.items() if name not in models_own}


def _augmentation(value: Any) -> keras.layers.Layer | None:
    if value in (None, "none"):
        return None
    if isinstance(value, str):
        if value != "shift":
            raise ValueError(
                "augmentation must be 'none', 'shift', a Keras layer, or a function that makes "
                f"one; a dict names layers. Received: augmentation={value!r}"
            )
        return keras.Sequential(
            [keras.layers.RandomTranslation(0.1, 0.1), keras.layers.RandomZoom(0.1)],
            name="augmentation",
        )
    return _own_layer(value)


def _is_trained(head: Any) -> bool:
    """Whether a head trains by steps over the features: a hidden layer, or layers of one's own."""
    return head == "hidden" or not isinstance(head, str)


def _own_layer(value: Any) -> keras.layers.Layer:
    """A layer for one trial alone, of a layer or of a function that makes one."""
    if isinstance(value, keras.layers.Layer):
        return keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(value))
    return value()
