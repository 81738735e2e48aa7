"""Detection of objects by transfer: where in an image there is what."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from keras_transgen.backbones.multi_scale_features import MultiScaleFeatures
from keras_transgen.datasets.class_names import checked_class_names
from keras_transgen.evaluation.mean_average_precision import SIZES
from keras_transgen.training.batch_assertions import own_words
from keras_transgen.training.config_from_file import Nested, arguments_from_file
from keras_transgen.training.serving import Endpoint, named_specs
from keras_transgen.transfer.deltas import DeltaSet
from keras_transgen.transfer.deltas.delta import arguments_of, check_from_file
from keras_transgen.transfer.detection.augmentation import BoxAugmentation
from keras_transgen.transfer.detection.detections import (
    Detections,
    found_in,
    images_dataset,
    precision_on,
)
from keras_transgen.transfer.detection.detector_data import BATCH_SIZE, DetectorData
from keras_transgen.transfer.detection.detector_settings import (
    check_settings,
    tapped_layers,
    trains_in_place,
)
from keras_transgen.transfer.detection.feature_views import scale_name
from keras_transgen.transfer.detection.head import detection_head
from keras_transgen.transfer.detection.objects import padded_batches
from keras_transgen.transfer.detection.point_outputs import PointOutputs, taken_apart
from keras_transgen.transfer.detection.points import grid_points
from keras_transgen.transfer.detection.square import Square, check_kind
from keras_transgen.transfer.detection.suppression import Suppressed, suppress

_SCORE, _IOU = 0.3, 0.5
# What is less sure adds hardly anything to a mean average precision.
_EVALUATED_FROM = 0.01


@keras.saving.register_keras_serializable(package="keras_transgen")
class Detector(DetectorData):
    """Finds objects in images: a small head on the scales of any pretrained network.

    | transfer | what trains beside the head |
    | --- | --- |
    | `"feature"` | nothing: features of all scales are extracted once, of flipped images too |
    | `"parameter"` | all parameters of the network, or with `freeze_to` those after a group |
    | `"structure"` | a delta of it: one of the methods of `StructureTransfer` |

    Every point of the scales says how probable each class is there, and where the edges of the
    object are. Boxes of one class that overlap a better one are suppressed in the model itself, so
    `predict` and an exported model give objects, not points. Images are brought into a square.

    `compile` need not be called: `fit` then takes AdamW with a rate that rises and falls.

    Args:
        backbone: A backbone, or anything `keras_transgen.load_backbone` takes. It is copied.
        num_classes: Number of classes; may be left out with `class_names`.
        image_size: Height and width in pixels at which the network sees images. Defaults to 256.
        pad_to_aspect_ratio: Whether images keep their ratio of width to height, with free space to
            the right or below; otherwise they are stretched. Defaults to `False`.
        scales: Strides of the feature maps, powers of two, or names of the backbone's layers, from
            fine to coarse. Defaults to `(8, 16, 32)`; 4 for objects of a few pixels.
        transfer: See the table. Defaults to `"feature"`.
        class_names: Names of the classes in the order of their labels. Defaults to those of the
            data set that `fit` is given, where it has some.
        class_loss: `"focal"` (default), with centre-ness, or `"quality_focal"`.
        box_loss: `"giou"` (default) or `"ciou"`.
        box_weight: Of the loss of boxes beside that of classes. Defaults to 1.
        head_width: Channels of the head. Defaults to 96.
        head_depth: Convolutions of each of its two towers. Defaults to 2.
        augmentation: A `BoxAugmentation`; `"flip"` (default) for one that exchanges left and right,
            `"crop"` for one that also crops down to 0.6 of each side and varies the light by a
            fifth; or `None`. With `"feature"` it makes the further `views`.
        views: How often each training image is extracted with `"feature"`, plain at first. Defaults
            to as many as there are ways to flip it, and to 4 at least with crops or lights.
        freeze_to: Name or index of the last group of the network's parameters that stays as it is;
            for `"parameter"`.
        method: For `"structure"`: `"lora"` (default) or another method that changes parameters.
        rank: For LoRA. Defaults to 8.
        delta_arguments: Further arguments of the method by name, as in `StructureTransfer`.
        max_boxes: Most objects an image of the data may have. Defaults to 100.
        max_detections: Most objects that are found in an image. Defaults to 100.
        value_range: `(low, high)` of float images; uint8 is scaled to it. Defaults to
            `(0.0, 1.0)`.
        cache_dir: Where features are kept to be found again, by `data_key`. Defaults to nowhere.
        data_key: Text that names the training data in the cache.
        **kwargs: `seed`, `name` and `dtype`, as in `TrainerModel`.

    Raises:
        ValueError: An argument is out of its range or goes with another kind, or the network has no
            feature maps of these strides.

    Example:
        ```python
        import numpy as np
        import keras_transgen as ktg

        images = np.zeros((8, 32, 32, 1), "float32")
        images[:, 8:20, 4:24] = 1.0
        objects = {"boxes": [[[4, 8, 24, 20]]] * 8, "labels": [[0]] * 8}
        model = ktg.Detector("digits", 1, image_size=32, scales=(2, 4), head_width=8)
        model.fit(images, objects, epochs=1, verbose=0)
        found = model.detect(images[:2], score=0.0)
        assert found[0].boxes.shape[1] == 4
        ```

    Reference:
        Tian, Shen, Chen and He, FCOS: Fully convolutional one-stage object detection, 2019; Li et
        al., Generalized focal loss, 2020.
    """

    def __init__(
        self,
        backbone: Any,
        num_classes: int | None = None,
        image_size: int = 256,
        scales: Sequence[int | str] = (8, 16, 32),
        transfer: str = "feature",
        class_names: Sequence[str] | None = None,
        *,
        pad_to_aspect_ratio: bool = False,
        class_loss: str = "focal",
        box_loss: str = "giou",
        box_weight: float = 1.0,
        head_width: int = 96,
        head_depth: int = 2,
        augmentation: Any = "flip",
        views: int | None = None,
        freeze_to: int | str | None = None,
        method: str = "lora",
        rank: int = 8,
        delta_arguments: Mapping[str, Any] | None = None,
        max_boxes: int = 100,
        max_detections: int = 100,
        value_range: tuple[float, float] = (0.0, 1.0),
        cache_dir: str | os.PathLike[str] | None = None,
        data_key: str | None = None,
        **kwargs: Any,
    ) -> None:
        if num_classes is None and class_names is not None:
            num_classes = len(checked_class_names(class_names, 1))
        settings: dict[str, Any] = {
            "num_classes": num_classes,
            "image_size": image_size,
            "pad_to_aspect_ratio": bool(pad_to_aspect_ratio),
            "scales": tuple(scales),
            "transfer": transfer,
            "class_loss": class_loss,
            "box_loss": box_loss,
            "box_weight": box_weight,
            "head_width": head_width,
            "head_depth": head_depth,
            "views": views,
            "freeze_to": freeze_to,
            "method": method,
            "rank": rank,
            "max_boxes": max_boxes,
            "max_detections": max_detections,
        }
        check_settings(settings, delta_arguments)
        # Images must not be coarsened by a half-precision policy on their way in.
        super().__init__(autocast=False, **kwargs)
        self._settings = settings
        self.num_classes: Any = num_classes
        self.image_size = image_size
        self.transfer = transfer
        self.max_boxes, self.max_detections = max_boxes, max_detections
        self.set_class_names(class_names)
        self._set_data(value_range, augmentation, views, cache_dir, data_key)
        self.square = Square(image_size, self.value_range, bool(pad_to_aspect_ratio))
        loaded, layers = tapped_layers(backbone, scales, image_size)
        self.features = MultiScaleFeatures(
            loaded,
            layers,
            self.value_range,
            (image_size, image_size),
            trains_in_place(transfer, method),
            name="features",
        )
        if freeze_to is not None:
            self.backbone.freeze_to(freeze_to)
        self._build_head()
        self.delta_set: DeltaSet | None = None
        if transfer == "structure":
            self.delta_set = DeltaSet(self.backbone, list)
            sized = {"rank": rank} if "rank" in arguments_of(method) else {}
            self.delta_set.add(method, method, {**sized, **(delta_arguments or {})})
            self.delta_set.activate(method)
        self.built = True

    def _build_head(self) -> None:
        settings = self._settings
        images = keras.KerasTensor((None, *self.image_shape), "float32")
        shapes = [tuple(each.shape[1:]) for each in self.features.compute_output_spec(images)]
        if any(len(shape) != 3 or None in shape for shape in shapes):
            raise ValueError(
                "The scales must give feature maps [batch, height, width, channels] of known "
                f"sizes: name other layers. Received: outputs of shapes {shapes}"
            )
        if sorted(shapes, key=lambda shape: -shape[0]) != shapes:
            raise ValueError(
                "scales must go from fine to coarse. "
                f"Received: scales={settings['scales']}, of shapes {shapes}"
            )
        # Arrays, which Keras would track in a tuple of an attribute.
        self._points = {"points": grid_points(self.image_size, [shape[:2] for shape in shapes])}
        is_focal = settings["class_loss"] == "focal"
        self.head = detection_head(
            shapes,
            self.num_classes,
            settings["head_width"],
            settings["head_depth"],
            centreness=is_focal,
        )
        names = ["class_loss", "box_loss", *(["centreness_loss"] if is_focal else [])]
        self.parts = [keras.metrics.Mean(name=name) for name in names]

    @property
    def backbone(self) -> Any:
        """The copy of the backbone, which gives the outputs of the scales' layers."""
        return self.features.backbone

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """`(height, width, channels)` of what `predict` takes."""
        shape = self.backbone.input_contract.shape
        return (self.image_size, self.image_size, shape[-1] or 3)

    # From images to objects

    def check_inputs(self, x: Any) -> None:
        """Refuse what `predict` would misread; see `TrainerModel.check_inputs`.

        Raises:
            ValueError: The images are of another size than the model's, or of a type without range.
        """
        shape = tuple(getattr(x, "shape", np.shape(x)))
        if shape[1:] != self.image_shape:
            raise ValueError(
                f"predict takes images [batch, {', '.join(map(str, self.image_shape))}]; detect "
                "takes images of any size, and gives boxes in their own pixels. "
                f"Received: images of shape {shape}"
            )
        check_kind(x.dtype)

    def point_outputs(self, inputs: Any, training: bool = False) -> PointOutputs:
        """Classes and boxes at each point, before anything is suppressed.

        Args:
            inputs: Images, or the scales' features as `extract_views` gives them.
            training: Whether the network is in training mode, where it trains.
        """
        if isinstance(inputs, dict):
            maps = [inputs[scale_name(place)] for place in range(len(inputs))]
        else:
            maps = self.features(self.scaled(inputs), training=training)
        maps = [tf.cast(each, self.compute_dtype) for each in maps]
        raw = self.head(maps, training=training)
        return taken_apart(raw, self.num_classes, self._points["points"])

    def suppressed(self, images: Any, score: Any, iou: Any) -> Suppressed:
        """The objects in images of the model's size; see `suppress`."""
        outputs = self.point_outputs(images)
        boxes = tf.clip_by_value(outputs.boxes, 0.0, float(self.image_size))
        return suppress(boxes, outputs.scores(), score, iou, self.max_detections)

    def call(self, images: Any, training: bool = False) -> dict[str, tf.Tensor]:
        """Find objects, at the thresholds that `detect` has by default.

        Args:
            images: `[batch, image_size, image_size, channels]`.
            training: Taken for Keras' sake, and unused.

        Returns:
            `boxes` `[batch, max_detections, 4]` in pixels, `scores` and `labels` `[batch,
            max_detections]`, zeros and -1 behind the last object, and `counts` `[batch]`.
        """
        return self.suppressed(images, _SCORE, _IOU)._asdict()

    def detect(
        self, images: Any, score: float = _SCORE, iou: float = _IOU, batch_size: int | None = None
    ) -> list[Detections]:
        """Find objects in images of any size.

        Args:
            images: A list of images `[height, width, channels]`, an array of them, or a data set;
                uint8, or floats in `value_range`.
            score: Objects of which the model is no surer are left out. Defaults to 0.3.
            iou: Boxes of one class that overlap by more are one object. Defaults to 0.5.
            batch_size: Images at once. Defaults to 16.

        Returns:
            For each image its `boxes` in its own pixels, `labels`, `scores`, and `names` where the
            classes have some.
        """
        data = images_dataset(images)
        return list(
            found_in(
                data,
                self.square,
                batch_size or BATCH_SIZE,
                self._finder(score, iou),
                self.class_names,
            )
        )

    def _finder(self, score: float, iou: float) -> Any:
        if not 0.0 <= score < 1.0 or not 0.0 <= iou <= 1.0:
            raise ValueError(
                f"score must be in [0, 1), iou in [0, 1]. Received: score={score}, iou={iou}"
            )
        compiled = getattr(self, "_compiled_finder", None)
        if compiled is None:
            compiled = tf.function(self.suppressed, reduce_retracing=True)
            self._compiled_finder = compiled
        limits = tf.constant(score, tf.float32), tf.constant(iou, tf.float32)
        return lambda batch: compiled(batch, *limits)

    def evaluate(self, x: Any = None, y: Any = None, *args: Any, **kwargs: Any) -> Any:
        """Mean average precision on labelled images, as COCO's tool computes it.

        Args:
            x: As in `fit`.
            y: As in `fit`.
            *args: `batch_size` may follow.
            **kwargs: `batch_size`, 16 by default; Keras' other arguments are taken and unused.

        Returns:
            A dict: `map50`, `map`, `map75`, `recall`, those of sizes as
            `evaluation.mean_average_precision` tells them, `map_small`, `map_medium` and
            `map_large`, in pixels of the images themselves, NaN where there are none; and
            `by_class`, the `map50` of each class by its name or label.
        """
        if self._is_fitting:
            return super().evaluate(x, y, *args, **kwargs)
        return self.precision(x, y, args[0] if args else kwargs.get("batch_size"))

    def precision(self, x: Any, y: Any = None, batch_size: int | None = None) -> dict[str, Any]:
        """What `evaluate` returns, within `fit` too, where that gives Keras the losses.

        Args:
            x: As in `fit`.
            y: As in `fit`.
            batch_size: Images at once. Defaults to 16.
        """
        find = self._finder(_EVALUATED_FROM, _IOU)
        with own_words(x):
            data = self.fitted(x, y, sizes=True)
            self._refuse_endless(data)
            batches = padded_batches(data, batch_size or BATCH_SIZE)
            result = precision_on(batches, find)
        names = self.class_names or range(self.num_classes)
        by_class = {names[label]: value for label, value in result.by_class50.items()}
        measured = ("map50", "map", "map75", "recall", *SIZES)
        return {**{name: getattr(result, name) for name in measured}, "by_class": by_class}

    # Files

    def serving_endpoints(self, input_signature: Any = None) -> dict[str, Endpoint]:
        """What `export` writes: `detect`, from images of the model's size to objects.

        Args:
            input_signature: Defaults to float32 images in `value_range`; uint8 is possible.
        """
        signature = input_signature or tf.TensorSpec([None, *self.image_shape], tf.float32)

        def detect(inputs: Any) -> dict[str, tf.Tensor]:
            return self.call(inputs)

        resources = (self.backbone.resource_holder(), self.head)
        return {"detect": Endpoint(detect, named_specs(signature), resources)}

    def get_config(self) -> dict[str, Any]:
        """Configuration to rebuild the model from, backbone included."""
        delta = None if self.delta_set is None else self.delta_set.in_force()
        return {
            **super().get_config(),
            **self._settings,
            "backbone": keras.saving.serialize_keras_object(self.backbone),
            # By name: strides are those of the whole network.
            "scales": list(self.features.layer_names),
            "class_names": None if self.class_names is None else list(self.class_names),
            "augmentation": keras.saving.serialize_keras_object(self.augmentation),
            "value_range": self.value_range,
            "delta_arguments": None if delta is None else delta.arguments(),
        }

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Detector:
        """Rebuild a model from what `get_config` gave; where features are kept is not in it."""
        if config.get("delta_arguments") is not None:
            check_from_file(config.get("method"), config["delta_arguments"])
        parts = {
            "backbone": Nested(keras.layers.Layer),
            "augmentation": Nested(BoxAugmentation, optional=True),
        }
        config = {key: value for key, value in config.items() if key not in _USERS_OWN}
        return cls(**arguments_from_file(cls, config, **parts))


_USERS_OWN = ("cache_dir", "data_key")
