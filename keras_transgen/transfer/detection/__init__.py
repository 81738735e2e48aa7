"""Detection of objects by transfer: a small head on the scales of any pretrained network."""

from __future__ import annotations

from keras_transgen.public_names import lazy_names

__all__, __getattr__, __dir__ = lazy_names(
    __name__,
    {
        "BoxAugmentation": "augmentation",
        "classify_boxes": "box_classes",
        "crop_boxes": "box_crops",
        "Detector": "detector",
        "suppress": "suppression",
    },
)
