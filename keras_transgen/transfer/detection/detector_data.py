"""What a detector makes of data: the one way from any form of them into its training."""

from __future__ import annotations

import itertools
import math
import types
from typing import Any

import keras
import tensorflow as tf

from keras_transgen.datasets.class_names import checked_class_names
from keras_transgen.training.batches import check_epochs
from keras_transgen.transfer.detection.augmentation import (
    AUGMENTATIONS,
    BoxAugmentation,
    named_augmentation,
)
from keras_transgen.transfer.detection.detector_step import DetectorStep
from keras_transgen.transfer.detection.feature_views import ViewBatches, extract_views
from keras_transgen.transfer.detection.objects import (
    as_arrays,
    fitted,
    may_fit_in_memory,
    objects_dataset,
    padded_batches,
)
from keras_transgen.transfer.detection.square import Square
from keras_transgen.transfer.schedules import warm_up_and_decay

BATCH_SIZE = 16
# Passes where nobody names them: as many as make so many steps, within bounds.
_STEPS, _FEWEST_EPOCHS, _MOST_EPOCHS = 1000, 5, 100
_RATE, _WARM_UP, _DECAY, _CLIPPED = 3e-3, 0.05, 1e-3, 10.0
_VIEWS_OF_CROPS = 4


class DetectorData(DetectorStep):
    """The part of `Detector` that takes data; no use for it alone.

    Attributes:
        features: The tapped backbone, a `MultiScaleFeatures`.
        default_rate: The highest learning rate of the optimizer that `fit` takes where `compile`
            was not called; `None` for that of the kind of transfer.
    """

    default_rate: float | None = None

    features: Any
    num_classes: Any
    image_size: int
    square: Square
    max_boxes: int
    transfer: str
    class_names: tuple[str, ...] | None

    def _set_data(
        self,
        value_range: tuple[float, float],
        augmentation: Any,
        views: int | None,
        cache_dir: Any,
        data_key: str | None,
    ) -> None:
        low, high = value_range
        self.value_range = (float(low), float(high))
        if isinstance(augmentation, str) and augmentation in AUGMENTATIONS:
            augmentation = named_augmentation(augmentation, self.value_range)
        if not isinstance(augmentation, (BoxAugmentation, type(None))):
            raise ValueError(
                "augmentation must be a BoxAugmentation, 'flip', 'crop' or None; Keras' layers do "
                f"not all move boxes rightly. Received: augmentation={augmentation!r}"
            )
        if augmentation is not None and augmentation.value_range != self.value_range:
            raise ValueError(
                "The augmentation must know the range of the images: "
                f"BoxAugmentation(value_range={self.value_range}). "
                f"Received: one with value_range={augmentation.value_range}"
            )
        if views is not None and views > 1 and augmentation is None:
            raise ValueError(
                "views of 2 or more go with an augmentation: the first view is the plain one. "
                f"Received: views={views}, augmentation=None"
            )
        self.augmentation = augmentation
        self.views = _default_views(augmentation) if views is None else views
        self.cache_dir, self.data_key = cache_dir, data_key
        self._compiled_by_default = False

    def set_class_names(self, names: Any) -> None:
        """Give the classes names.

        Args:
            names: In the order of the labels; `None` for none.

        Raises:
            ValueError: They are not as many as the classes.
        """
        checked = None if names is None else checked_class_names(names, 1)
        if checked is not None and len(checked) != self.num_classes:
            raise ValueError(
                f"class_names must name every class, {self.num_classes} in all. "
                f"Received: {len(checked)} names"
            )
        self.class_names = checked

    def scaled(self, images: Any) -> tf.Tensor:
        """Images as floats in `value_range`; integers go from 0 to 255."""
        images = tf.convert_to_tensor(images)
        low, high = self.value_range
        if images.dtype.is_integer:
            return tf.cast(images, tf.float32) * ((high - low) / 255.0) + low
        return tf.cast(images, tf.float32)

    def fit(
        self,
        x: Any = None,
        y: Any = None,
        batch_size: int | None = None,
        epochs: int | None = None,
        verbose: Any = "auto",
        callbacks: Any = None,
        validation_data: Any = None,
        shuffle: bool = True,
        initial_epoch: int = 0,
        steps_per_epoch: int | None = None,
        **kwargs: Any,
    ) -> keras.callbacks.History:
        """Train the detector, with the arguments of `keras.Model.fit`.

        With `transfer="feature"` the images go through the network once before training starts.
        Otherwise they are held in memory, shuffled anew in every epoch, where that takes no more
        than 2 GiB, and else come in the data set's own order.

        Args:
            x: A data set of `(image, {"boxes": [n, 4], "labels": [n]})`, as `datasets.voc_boxes`
                gives it, single images or batches; or images of any sizes, with `y`.
            y: `{"boxes": ..., "labels": ...}` of each image, edges in its pixels; label -1 is
                padding.
            batch_size: Images a step. Defaults to 16.
            epochs: Passes over the data. Defaults to about 1,000 steps, from 5 to 100 passes.
            verbose: As in `keras.Model.fit`.
            callbacks: As in `keras.Model.fit`.
            validation_data: A data set, or `(images, objects)`: logs `val_loss` and its parts.
            shuffle: Whether each epoch takes another order.
            initial_epoch: As in `keras.Model.fit`.
            steps_per_epoch: As in `keras.Model.fit`.
            **kwargs: Keras' further arguments. Images and classes have no weights.

        Returns:
            Keras' history.

        Raises:
            ValueError: If the data do not fit the model, before training starts.
        """
        wrong = [
            name
            for name in ("sample_weight", "class_weight", "validation_split")
            if _is_given(kwargs.pop(name, None))
        ]
        if wrong:
            raise ValueError(
                "A detector weighs no images and splits no data: give validation_data. "
                f"Received: {', '.join(wrong)}"
            )
        if epochs is not None:
            check_epochs(epochs)
        if batch_size is not None and batch_size < 1:
            raise ValueError(f"batch_size must be positive. Received: batch_size={batch_size}")
        self._learn_names(x)
        size = batch_size or BATCH_SIZE
        show = verbose not in (0, 2)
        if isinstance(x, types.GeneratorType) and steps_per_epoch is not None:
            x = itertools.islice(x, steps_per_epoch)
            x = (batch for batch in x)
        given = self._entered_objects(x, y, size, shuffle, self.views, show, steps=steps_per_epoch)
        held_out = None
        if validation_data is not None:
            is_pair = isinstance(validation_data, (tuple, list)) and len(validation_data) == 2
            images, objects = validation_data if is_pair else (validation_data, None)
            held_out = self._entered_objects(images, objects, size, False, 1, show, held_out=True)
        steps = steps_per_epoch or _steps_of(given, size)
        if epochs is None:
            epochs = self.usual_epochs(steps)
        if not self.compiled or self._compiled_by_default:
            total = steps * (epochs - initial_epoch) if steps else None
            self.compile(self.default_optimizer(total))
            self._compiled_by_default = True
        arrays = isinstance(given, tuple)
        return super().fit(
            *(given if arrays else (given,)),
            batch_size=size if arrays else None,
            epochs=epochs,
            verbose=verbose,
            callbacks=callbacks,
            validation_data=held_out,
            shuffle=shuffle if arrays else False,
            initial_epoch=initial_epoch,
            steps_per_epoch=steps_per_epoch,
            **kwargs,
        )

    def usual_epochs(self, steps: int | None) -> int:
        """Passes over data of so many steps, where nobody says how many; 1 if not known."""
        enough = math.ceil(_STEPS / steps) if steps else 1
        return min(max(enough, _FEWEST_EPOCHS), _MOST_EPOCHS) if steps else 1

    def default_optimizer(self, steps: int | None = None) -> keras.optimizers.Optimizer:
        """AdamW, whose rate rises and falls; a tenth of it for a network that trains as a whole.

        Args:
            steps: Of the coming `fit`; `None` if not known.
        """
        rate = usual_rate(self.transfer) if self.default_rate is None else self.default_rate
        return keras.optimizers.AdamW(
            warm_up_and_decay(rate, steps, _WARM_UP),
            weight_decay=_DECAY,
            global_clipnorm=_CLIPPED,
        )

    def compile(self, optimizer: Any = None, **kwargs: Any) -> None:
        """Configure the model for training.

        Args:
            optimizer: Keras optimizer or its name. Defaults to AdamW.
            **kwargs: Further arguments of `TrainerModel.compile`. The losses are the model's own.

        Raises:
            ValueError: A loss or metrics are given.
        """
        given = [name for name in ("loss", "metrics", "weighted_metrics") if kwargs.get(name)]
        if given:
            raise ValueError(
                "A detector has losses of its own: choose them by class_loss and box_loss, and "
                f"measure by evaluate. Received: {', '.join(given)}"
            )
        super().compile(self.default_optimizer() if optimizer is None else optimizer, **kwargs)
        self._compiled_by_default = False

    def get_compile_config(self) -> dict[str, Any] | None:
        """The arguments of `compile`; none where `fit` compiles anew."""
        return None if self._compiled_by_default else super().get_compile_config()

    def _learn_names(self, x: Any) -> None:
        names = getattr(x, "class_names", None)
        if not names or self.class_names is not None:
            return
        if len(names) != self.num_classes:
            raise ValueError(
                "The data set must have as many classes as the detector. Received: "
                f"num_classes={self.num_classes}, a data set of {len(names)}: "
                f"{', '.join(map(str, names[:5]))}"
            )
        self.set_class_names(list(names))

    def fitted(self, x: Any, y: Any = None, sizes: bool = False) -> tf.data.Dataset:
        """Images brought into the square, one by one, with their boxes; see `objects.fitted`."""
        return fitted(objects_dataset(x, y), self.square, self.num_classes, self.max_boxes, sizes)

    def _refuse_endless(self, data: tf.data.Dataset, steps: int | None = None) -> None:
        """Refuse data that have no end where all of them are wanted.

        Raises:
            ValueError: If they have none.
        """
        is_endless = data.cardinality() == tf.data.INFINITE_CARDINALITY
        if is_endless and (steps is None or self.transfer == "feature"):
            raise ValueError(
                "All images are read, so they must have an end: leave repeat() out, or take(count) "
                "so many; transfer='parameter' and 'structure' train on endless ones by "
                "steps_per_epoch=. Received: a data set that never ends"
            )

    def _entered_objects(
        self,
        x: Any,
        y: Any,
        batch_size: int,
        shuffle: bool,
        views: int,
        progress: bool,
        held_out: bool = False,
        steps: int | None = None,
    ) -> Any:
        """`(images, objects)` as arrays, or batches of images or of features with objects."""
        data = self.fitted(x, y)
        self._refuse_endless(data, steps)
        if self.transfer != "feature":
            arrays = as_arrays(data, x) if may_fit_in_memory(data) else None
            return arrays or padded_batches(data, batch_size, self.max_boxes)
        found = extract_views(
            self.features,
            data,
            self.scaled,
            augmentation=self.augmentation,
            views=views,
            max_boxes=self.max_boxes,
            seed=int(self.progress.seed.numpy()) % 2**31,
            cache_dir=self.cache_dir,
            data_key=_key_of(self.data_key, self.square, held_out),
            progress=progress,
            given=x,
        )
        return ViewBatches(found, batch_size, shuffle, self.progress)


def usual_rate(transfer: str) -> float:
    """The highest learning rate of a kind of transfer, where nobody says another."""
    # A network that knows much already is moved by smaller steps than the new head needs.
    return {"feature": _RATE, "structure": _RATE / 3, "parameter": _RATE / 10}[transfer]


def _default_views(augmentation: BoxAugmentation | None) -> int:
    if augmentation is None:
        return 1
    flips = len(augmentation.flips())
    draws = augmentation.smallest_crop < 1.0 or augmentation.brightness or augmentation.contrast
    return max(flips, _VIEWS_OF_CROPS) if draws else flips


def _is_given(value: Any) -> bool:
    return value is not None and not (isinstance(value, float) and value == 0.0)


def _key_of(key: str | None, square: Square, held_out: bool) -> str | None:
    """The name of data as the model sees them, in the folder of features."""
    if key is None:
        return None
    seen = f"{key} as {square.side}{' with its ratio' if square.keep_ratio else ''}"
    return f"{seen} (validation)" if held_out else seen


def _steps_of(data: Any, batch_size: int) -> int | None:
    if isinstance(data, tuple):
        return math.ceil(len(data[0]) / batch_size)
    if isinstance(data, keras.utils.PyDataset):
        return data.num_batches
    count = int(data.cardinality())
    return count if count > 0 else None
