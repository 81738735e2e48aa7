"""Transfer of features: the pretrained network stays, and a classifier is fitted to its output."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np

from keras_transgen.backbones import (
    Backbone,
    KerasBackbone,
    SavedModelBackbone,
    load_backbone,
)
from keras_transgen.datasets.as_arrays import takes_any_data
from keras_transgen.datasets.class_names import checked_class_names
from keras_transgen.training.batches import split_last
from keras_transgen.training.config_from_file import arguments_from_file
from keras_transgen.training.entrance import FIT_DATA, PARTS
from keras_transgen.training.example_weights import weights_by_class
from keras_transgen.training.padded_sequences import gives_padded, is_padded
from keras_transgen.training.stored_model import refuse_hdf5_checkpoints
from keras_transgen.transfer.cached_features import CachedFeatures, FeatureBatches, cache_features
from keras_transgen.transfer.head_fitting import fit_dense_head
from keras_transgen.transfer.heads import dense_of
from keras_transgen.transfer.kept_features import BatchDigests, KeptFeatures, keep_features
from keras_transgen.transfer.neighbours import KNearestNeighbours, NearestCentroid
from keras_transgen.transfer.training_data import is_in_memory, take_steps
from keras_transgen.transfer.transfer_model import TransferModel

CLASSIFIERS = ("linear", "nearest_centroid", "k_nearest_neighbours")
SOLVERS = ("auto", "lbfgs", "sgd")
# Features of more bytes than this, in float64, are not brought into memory.
LARGEST_IN_MEMORY = 2**30


@keras.saving.register_keras_serializable(package="keras_transgen")
class FeatureTransfer(TransferModel):
    """Extracts features once and fits a classifier to them: seconds instead of epochs.

    `fit` runs the data through the frozen backbone once, to a cache on the disk, and solves for
    the head: softmax regression (sigmoid for several labels, ridge for regression) by L-BFGS in
    float64, with the L2 penalty chosen by cross-validation on the training data. Validation data
    are only measured. The result is one ordinary model from raw input to logits.

    Args:
        backbone: A backbone, or anything `keras_transgen.load_backbone` takes.
        num_classes: Number of classes, labels or regression outputs.
        classifier: `"linear"` (default), `"nearest_centroid"` or `"k_nearest_neighbours"`.
        l2: `"sweep"` (default) or the penalty: the loss gains `l2 / 2` times the squared norm of
            the head's kernel. scikit-learn's `C` is `1 / (l2 * count)`, for three or more classes;
            where examples weigh, the sum of their weights stands for the count.
        k: Neighbours that vote. Defaults to 5.
        metric: Of the neighbours: `"euclidean"` (default) or `"cosine"`.
        layers: Names of the backbone's layers (`layer_names`) whose features are used together,
            each pooled and normalised (Head2Toe's idea). Defaults to the backbone's own output.
        views: How many views of each training example to extract, the plain one and augmented
            ones. More than one needs `augmentation`, and are its default: 4.
        cache_dir: Where features are kept, to be found again. Defaults to nowhere.
        data_key: Text that names a data set in the cache; arrays need none.
        solver: `"lbfgs"`, `"sgd"` (features are streamed from the disk for `epochs` epochs by the
            compiled optimizer; also for heads of one's own), or `"auto"` (default): L-BFGS where
            head and memory allow it.
        **kwargs: As in `TransferModel`.

    Raises:
        ValueError: An argument is none of its values.

    Example:
        ```python
        import keras_transgen as ktg
        from keras_transgen.transfer import FeatureTransfer

        images, labels = ktg.datasets.load_digits()
        model = FeatureTransfer("digits", num_classes=10)
        history = model.fit(images[:200], labels[:200], verbose=0)
        assert history.history["accuracy"][-1] > 0.9
        ```

    Reference:
        Razavian et al., CNN Features off-the-shelf, 2014; Kornblith, Shlens and Le, Do Better
        ImageNet Models Transfer Better?, 2019; Evci et al., Head2Toe, 2022.
    """

    def __init__(
        self,
        backbone: Any,
        num_classes: int | None = None,
        *,
        classifier: str = "linear",
        l2: float | str = "sweep",
        k: int = 5,
        metric: str = "euclidean",
        layers: Sequence[str] | None = None,
        views: int | None = None,
        cache_dir: str | os.PathLike[str] | None = None,
        data_key: str | None = None,
        solver: str = "auto",
        **kwargs: Any,
    ) -> None:
        _check_choices(classifier, solver, l2, kwargs)
        augmented = kwargs.get("augmentation") is not None
        views = (4 if augmented else 1) if views is None else views
        if views < 1 or (views > 1) != augmented:
            raise ValueError(
                "views of 2 or more go with augmentation=, and 1 without: the first view is the "
                f"plain one. Received: views={views}, augmentation={kwargs.get('augmentation')!r}"
            )
        if num_classes is None and kwargs.get("class_names") is not None:
            num_classes = len(checked_class_names(kwargs["class_names"], 1))
        backbone = load_backbone(backbone)
        if layers is not None:
            backbone = _with_layers(backbone, list(layers))
            kwargs.setdefault("normalize_features", True)
        backbone.trainable = False
        if classifier == "nearest_centroid":
            kwargs["head"] = NearestCentroid(_count(num_classes), name="head")
        elif classifier == "k_nearest_neighbours":
            kwargs["head"] = kwargs.get("head") or KNearestNeighbours(
                _count(num_classes), k, metric, name="head"
            )
        if classifier != "linear":
            kwargs.setdefault("pooling", "average")
        super().__init__(backbone, num_classes, **kwargs)
        self.classifier = classifier
        self.l2 = l2
        self.k = k
        self.metric = metric
        self.layers_used = None if layers is None else list(layers)
        self.views = views
        self.cache_dir = None if cache_dir is None else os.fspath(cache_dir)
        self.data_key = data_key
        self.solver = solver
        self.fitted_l2: float | None = None
        self._kept: KeptFeatures | None = None
        self._reading_features = False

    # Fitting

    def needs_data_twice(self) -> bool:
        """Whether all of the data are wanted at once: features are extracted, then fitted to."""
        return True

    @takes_any_data(*FIT_DATA, training=True)
    def fit(
        self,
        x: Any = None,
        y: Any = None,
        batch_size: int | None = None,
        epochs: int = 1,
        verbose: Any = "auto",
        callbacks: Any = None,
        validation_split: float = 0.0,
        validation_data: Any = None,
        shuffle: bool = True,
        class_weight: dict[int, float] | None = None,
        sample_weight: Any = None,
        initial_epoch: int = 0,
        steps_per_epoch: int | None = None,
        **kwargs: Any,
    ) -> keras.callbacks.History:
        """Extract features, fit the head, and measure it.

        Args:
            x: As in `keras.Model.fit`.
            y: As in `keras.Model.fit`.
            batch_size: Examples a batch of arrays in the extraction. Defaults to 32.
            epochs: Only for the `"sgd"` solver; a head that is solved for at once takes none.
            verbose: As in `keras.Model.fit`.
            callbacks: As in `keras.Model.fit`; without steps they see one epoch.
            validation_split: As in `keras.Model.fit`.
            validation_data: As in `keras.Model.fit`. Extracted once, measured, never fitted to; a
                `predict` of the same data that follows needs no further extraction.
            shuffle: Only for the `"sgd"` solver.
            class_weight: As in `keras.Model.fit`.
            sample_weight: As in `keras.Model.fit`.
            initial_epoch: Only for the `"sgd"` solver.
            steps_per_epoch: Of an endless data set: how many batches to extract.
            **kwargs: Keras' further arguments, for the `"sgd"` solver.

        Returns:
            Keras' history with `loss`, `accuracy`, and `val_` with validation data.

        Raises:
            ValueError: The data do not fit the model.
        """
        self.refuse_probabilities()
        self._refuse_unfrozen()
        refuse_hdf5_checkpoints(callbacks)
        if class_weight is not None:
            weights_by_class(class_weight, self.weighed_classes(class_weight))
            if self.classifier == "nearest_centroid":
                raise ValueError(
                    "The mean of a class is the same whatever the class weighs: leave class_weight "
                    "out, or take classifier='linear'. Received: class_weight with "
                    "classifier='nearest_centroid'"
                )
        y = self.with_positions(x, y)
        validation_data = self.with_labels_alike(y, validation_data)
        if validation_split and validation_data is None and is_in_memory(x, y):
            (x, y, sample_weight), validation_data = split_last(
                (x, y, sample_weight), validation_split
            )
        options: dict[str, Any] = {
            "batch_size": batch_size or 32,
            "cache_dir": self.cache_dir,
            "data_key": self.data_key,
            "progress": verbose not in (0, 2),
            # One trace for training and validation data.
            "compiled": {},
        }
        if self._seed is not None:
            options["seed"] = self._seed
        taken = take_steps(x, steps_per_epoch)
        if taken is not x and self.data_key is not None:
            # The same name, and other rows.
            options["data_key"] = type(self.data_key)(f"{self.data_key} ({steps_per_epoch} steps)")
        found = cache_features(
            self,
            taken,
            y,
            sample_weight,
            class_weight,
            views=self.views,
            **options,
        )
        measured = None
        self._kept = None
        if validation_data is not None:
            parts = keras.utils.unpack_x_y_sample_weight(validation_data)
            if self.data_key is not None:
                options["data_key"] = type(self.data_key)(f"{self.data_key} (validation)")
            # Whoever labels a validation set may leave classes out.
            seen = BatchDigests()
            measured = cache_features(self, *parts, training=False, watch=seen, **options)
            if self.task != "sequence_labelling":
                self._kept = keep_features(self, seen, measured, options)
        if not self.compiled:
            self.compile_by_default()
        if self._chosen_solver(found) == "sgd":
            return self._fit_by_steps(
                found,
                measured,
                batch_size=batch_size,
                epochs=epochs,
                verbose=verbose,
                callbacks=callbacks,
                shuffle=shuffle,
                initial_epoch=initial_epoch,
                **kwargs,
            )
        if not self.passes_over_epochs:
            _refuse_epochs(epochs, initial_epoch, kwargs)
        return self._fit_at_once(found, measured, callbacks, verbose)

    def _refuse_unfrozen(self) -> None:
        if self.backbone.trainable_variables:
            raise ValueError(
                "FeatureTransfer extracts features once and never trains the backbone. To train it "
                "use ParameterTransfer or StructureTransfer, or TransferModel(model.backbone, "
                "head=model.head) to go on from here; otherwise set "
                "model.backbone.trainable = False. Received: a backbone with "
                f"{len(self.backbone.trainable_variables)} trainable variables"
            )

    def _chosen_solver(self, found: CachedFeatures) -> str:
        if self.classifier != "linear":
            return "memory"
        if dense_of(self.head) is None:
            if self.solver == "lbfgs":
                raise ValueError(
                    "L-BFGS fits a dense head; use solver='sgd' with a head of one's own. "
                    f"Received: solver='lbfgs', head of type {type(self.head).__name__}"
                )
            return "sgd"
        if self.solver != "auto":
            return self.solver
        rows, size = found.features.shape
        return "lbfgs" if rows * min(rows, size) * 8 <= LARGEST_IN_MEMORY else "sgd"

    def _fit_at_once(
        self,
        found: CachedFeatures,
        measured: CachedFeatures | None,
        callbacks: Any,
        verbose: Any,
    ) -> keras.callbacks.History:
        given = callbacks if isinstance(callbacks, (list, tuple)) else [callbacks]
        callbacks = keras.callbacks.CallbackList(
            [each for each in given if each is not None],
            add_history=True,
            model=self,
            epochs=1,
            steps=1,
            verbose=0,
        )
        self.stop_training = False
        callbacks.on_train_begin()
        callbacks.on_epoch_begin(0)
        started = time.monotonic()
        if self.classifier == "linear":
            self.fitted_l2 = fit_dense_head(self, found, self.l2, seed=self._seed or 0).l2
        else:
            self._remember(found)
        logs = self._measure(found)
        if measured is not None:
            logs.update({f"val_{name}": value for name, value in self._measure(measured).items()})
        callbacks.on_epoch_end(0, logs)
        callbacks.on_train_end(logs)
        if verbose:
            shown = " - ".join(f"{name}: {value:.4f}" for name, value in logs.items())
            print(f"fitted in {time.monotonic() - started:.1f} s - {shown}", flush=True)
        return self.history

    def _remember(self, found: CachedFeatures) -> None:
        head: Any = self.head
        rows = len(found.targets)
        if self.classifier == "k_nearest_neighbours" and head.count != rows:
            # What it remembers are weights of the layer, and weights keep their shape.
            with self.distribute_strategy.scope():
                head = KNearestNeighbours(self.num_classes, self.k, self.metric, rows, name="head")
                head.build((None, found.features.shape[-1]))
                head.built = True
            self.head = head
            self.predict_function = self.test_function = None
        weights = None if np.ptp(found.weights) == 0 else found.weights
        head.remember(found.features, found.targets.argmax(axis=1), weights)

    def _measure(self, found: CachedFeatures) -> dict[str, float]:
        """The logs that `evaluate` would give, from features at hand."""
        self.reset_metrics()
        logs: dict[str, Any] = {}
        has_weights = bool((found.weights != 1.0).any())
        for start in range(0, len(found.labels), 4096):
            part = slice(start, start + 4096)
            labels = keras.ops.convert_to_tensor(found.labels[part])
            weights = None
            if has_weights:
                # Of the examples times those of their classes, as Keras logs the loss.
                weights = keras.ops.convert_to_tensor(found.weights[part].astype("float32"))
            logits = self.head(keras.ops.convert_to_tensor(np.asarray(found.features[part])))
            loss = self.compute_loss(None, labels, logits, weights, training=False)
            self._loss_tracker.update_state(loss, sample_weight=len(found.labels[part]))
            logs = self.compute_metrics(None, labels, logits, weights)
        return {name: float(value) for name, value in logs.items()}

    @takes_any_data("x")
    def predict(
        self,
        x: Any,
        batch_size: int | None = None,
        verbose: Any = "auto",
        steps: int | None = None,
        callbacks: Any = None,
    ) -> Any:
        """Predict, with the arguments and the result of `keras.Model.predict`.

        The validation data of the last `fit`, known by their bytes, do not go through the backbone
        again as long as it computes the same.
        """
        features = None
        if self._kept is not None and steps is None and not callbacks:
            features = self._kept.of(self, x)
        if features is None:
            return super().predict(x, batch_size, verbose, steps, callbacks)
        parts = [
            self.head(keras.ops.convert_to_tensor(features[start : start + 4096]), training=False)
            for start in range(0, len(features), 4096)
        ]
        return np.concatenate([keras.ops.convert_to_numpy(part) for part in parts])

    @takes_any_data(*PARTS)
    def evaluate(self, x: Any = None, y: Any = None, *args: Any, **kwargs: Any) -> Any:
        """Evaluate, with the arguments and the result of `keras.Model.evaluate`."""
        carries = self.backbone.carries_masks()
        if carries or not (is_padded(x) or gives_padded(x)):
            return super().evaluate(x, y, *args, **kwargs)
        if not self.compiled:
            self.compile_by_default()
        _, y = self.with_labels_alike(None, (x, self.with_positions(x, y)))
        logs = self._measure(
            cache_features(self, x, y, kwargs.get("sample_weight"), training=False)
        )
        return logs if kwargs.get("return_dict") else list(logs.values())

    def load_weights(self, filepath: Any, skip_mismatch: bool = False, **kwargs: Any) -> None:
        """Load weights; see `keras_transgen.training.TrainerModel.load_weights`."""
        super().load_weights(filepath, skip_mismatch=skip_mismatch, **kwargs)
        # Neighbours remember as many examples as the file has, in new variables.
        self.predict_function = self.test_function = None

    # Streaming features from the disk through the training core

    def _fit_by_steps(
        self, found: CachedFeatures, measured: CachedFeatures | None, **arguments: Any
    ) -> keras.callbacks.History:
        batch_size = arguments.pop("batch_size") or 128
        shuffle = arguments.pop("shuffle")
        batches = FeatureBatches(found, batch_size, shuffle, self.progress)
        validation = measured and FeatureBatches(measured, batch_size, False, self.progress)
        self._set_reading(True)
        try:
            return super(TransferModel, self).fit(
                batches, validation_data=validation, shuffle=False, **arguments
            )
        finally:
            self._set_reading(False)

    def _set_reading(self, reading: bool) -> None:
        self._reading_features = reading
        self.train_function = self.test_function = None

    def call(self, inputs: Any, training: bool = False, prepared: bool = False) -> Any:
        """Compute logits; see `TransferModel.call`."""
        if self._reading_features and prepared:
            return self.head(inputs, training=training)
        return super().call(inputs, training=training, prepared=prepared)

    def draw_noise(self, data: Any, seed: Any, training: bool) -> Any:
        """Prepare the batch; features are prepared already."""
        if self._reading_features:
            return keras.utils.unpack_x_y_sample_weight(data)[0]
        return super().draw_noise(data, seed, training)

    def check_data(self, x: Any, y: Any, sample_weight: Any, training: bool) -> None:
        """Refuse data that do not fit; features were checked when they were made."""
        if not self._reading_features:
            super().check_data(x, y, sample_weight, training)

    def build_for_batch(self, data: Any) -> None:
        """Create the metrics' variables, which wait for the first labels and logits."""
        if not self._reading_features:
            super().build_for_batch(data)
            return
        x, y, sample_weight = keras.utils.unpack_x_y_sample_weight(data)
        logits = self.head(keras.ops.convert_to_tensor(x))
        self.compute_loss(None, y, logits, sample_weight, training=False)
        self.compute_metrics(None, y, logits, sample_weight)
        self.reset_metrics()

    def get_config(self) -> dict[str, Any]:
        """Configuration to rebuild the model from, backbone included."""
        config = super().get_config()
        if self.classifier == "nearest_centroid":
            del config["head"]
        settings = ("classifier", "l2", "k", "metric", "views", "solver")
        config |= {name: getattr(self, name) for name in settings}
        return {**config, "layers": self.layers_used}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> FeatureTransfer:
        """Rebuild a model from what `get_config` gave; where features are kept is not in it.

        Files of earlier versions name a folder, and the data in it. Whoever loads one says anew
        where the features of his own data go: `model.cache_dir = ...`.
        """
        config = {key: value for key, value in config.items() if key not in _USERS_OWN}
        return cls(**arguments_from_file(cls, config, **cls.nested_arguments()))


_USERS_OWN = ("cache_dir", "data_key")


def _check_choices(classifier: str, solver: str, l2: float | str, kwargs: dict[str, Any]) -> None:
    if classifier not in CLASSIFIERS:
        raise ValueError(
            f"classifier must be one of {CLASSIFIERS}. Received: classifier={classifier!r}"
        )
    if solver not in SOLVERS:
        raise ValueError(f"solver must be one of {SOLVERS}. Received: solver={solver!r}")
    if l2 != "sweep" and (isinstance(l2, str) or not 0 < l2 < float("inf")):
        raise ValueError(f"l2 must be a number above zero, or 'sweep'. Received: l2={l2!r}")
    if classifier != "linear" and kwargs.get("task", "classification") != "classification":
        raise ValueError(
            "Neighbours tell classes apart and nothing else: use classifier='linear'. "
            f"Received: classifier={classifier!r}, task={kwargs['task']!r}"
        )


def _refuse_epochs(epochs: int, initial_epoch: int, further: dict[str, Any]) -> None:
    """Refuse what a head that is solved for at once has no use for."""
    if epochs != 1 or initial_epoch:
        raise ValueError(
            "This head is solved for at once, which takes no epochs: leave epochs out, or train it "
            "step by step with solver='sgd', or the backbone too with ParameterTransfer. "
            f"Received: epochs={epochs}, initial_epoch={initial_epoch}"
        )
    given = {name: value for name, value in further.items() if value not in (None, 1)}
    if given:
        raise ValueError(
            "This head is solved for at once, and validation data are measured once, whole: hand "
            "over as much as shall be measured, such as validation_data=data.take(steps), or use "
            f"solver='sgd'. Received: {', '.join(f'{name}={given[name]!r}' for name in given)}"
        )


def _count(num_classes: int | None) -> int:
    if num_classes is None:
        raise ValueError("num_classes must be given. Received: num_classes=None")
    return num_classes


def _with_layers(backbone: Backbone, layers: list[str]) -> Backbone:
    """The same network with the outputs of several layers."""
    if isinstance(backbone, SavedModelBackbone):
        return backbone if backbone.layers == layers else backbone.tap(layers)
    if not isinstance(backbone, KerasBackbone):
        raise ValueError(
            "layers= needs a backbone of a Keras model or a SavedModel, whose layers have names. "
            f"Received: layers={layers}, backbone {backbone.name!r} of type "
            f"{type(backbone).__name__}"
        )
    if backbone.output_layers == layers:
        return backbone
    return KerasBackbone(
        backbone.network,
        normalization=backbone.normalization,
        output_layers=layers,
        value_range=backbone.value_range,
        name=backbone.name,
        dtype=backbone.dtype_policy,
    )
