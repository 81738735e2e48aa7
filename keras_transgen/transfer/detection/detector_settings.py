"""What a detector's arguments must be, and which layers of a network its scales are."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from keras_transgen.backbones.load import load_backbone
from keras_transgen.transfer.deltas import DELTAS, ParameterDelta
from keras_transgen.transfer.deltas.delta import plain_methods
from keras_transgen.transfer.deltas.group_delta import GroupDelta
from keras_transgen.transfer.detection.boxes import BOX_LOSSES
from keras_transgen.transfer.detection.losses import CLASS_LOSSES

TRANSFERS = ("feature", "parameter", "structure")
_COUNTS = ("num_classes", "image_size", "head_width", "head_depth", "max_boxes", "max_detections")

# More takes all memory for one image; a file that says so is no detector's.
_MOST = {"image_size": 4096, "head_depth": 32}


def check_settings(settings: dict[str, Any], delta_arguments: Any) -> None:
    """Refuse what no detector can be made of, before a network is loaded.

    Args:
        settings: The constructor's arguments by name.
        delta_arguments: The argument of that name.

    Raises:
        ValueError: One is out of its range, or goes with another kind of transfer.
    """
    for name in _COUNTS:
        value = settings[name]
        if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < 1:
            raise ValueError(
                f"{name} must be a whole number of at least 1. Received: {name}={value!r}"
            )
    for name, most in _MOST.items():
        if settings[name] > most:
            raise ValueError(f"{name} must be at most {most}. Received: {name}={settings[name]}")
    transfer, scales = settings["transfer"], settings["scales"]
    if transfer not in TRANSFERS:
        raise ValueError(f"transfer must be one of {TRANSFERS}. Received: transfer={transfer!r}")
    CLASS_LOSSES.find(settings["class_loss"])
    BOX_LOSSES.find(settings["box_loss"])
    if not settings["box_weight"] > 0.0:
        raise ValueError(
            f"box_weight must be positive. Received: box_weight={settings['box_weight']!r}"
        )
    if not scales or len(set(scales)) != len(scales):
        raise ValueError(
            "scales must be strides such as (8, 16, 32) or names of layers, each once. "
            f"Received: scales={scales}"
        )
    _check_kind(settings, delta_arguments)


def _check_kind(settings: dict[str, Any], delta_arguments: Any) -> None:
    transfer = settings["transfer"]
    if settings["freeze_to"] is not None and transfer != "parameter":
        raise ValueError(
            "freeze_to goes with transfer='parameter'; the others freeze all parameters. "
            f"Received: freeze_to={settings['freeze_to']!r}, transfer={transfer!r}"
        )
    if delta_arguments and transfer != "structure":
        raise ValueError(
            "delta_arguments are for transfer='structure'. "
            f"Received: delta_arguments={dict(delta_arguments)}, transfer={transfer!r}"
        )
    if settings["method"] not in _methods():
        raise ValueError(
            f"method must be one of {_methods()}. Received: method={settings['method']!r}"
        )
    if settings["views"] is not None and (transfer != "feature" or settings["views"] < 1):
        raise ValueError(
            "views says how often each image is extracted, with transfer='feature'; the other "
            "kinds vary images in every step. Received: "
            f"views={settings['views']!r}, transfer={transfer!r}"
        )


def trains_in_place(transfer: str, method: str) -> bool:
    """Whether the network's own parameters train: all or some of them, not what a delta adds."""
    return transfer == "parameter" or (
        transfer == "structure" and issubclass(DELTAS[method], GroupDelta)
    )


def _methods() -> list[str]:
    """Methods whose change the tapped copy of a network can hold: of parameters, not of layers."""
    return [
        name for name in plain_methods() if issubclass(DELTAS[name], (GroupDelta, ParameterDelta))
    ]


def tapped_layers(
    backbone: Any, scales: Sequence[int | str], image_size: int
) -> tuple[Any, list[str]]:
    """A backbone, and the last layer of each stride.

    Args:
        backbone: A backbone, or anything `load_backbone` takes.
        scales: Strides, or names of layers.
        image_size: Height and width of the images, which the coarsest stride may not exceed.

    Raises:
        ValueError: There is no layer of a stride; those there are are told.
    """
    loaded = load_backbone(backbone)
    if all(isinstance(scale, str) for scale in scales):
        return loaded, [str(scale) for scale in scales]
    last: dict[Any, str] = {stride: name for name, stride in loaded.layer_reductions().items()}
    strides = [scale for scale in scales if isinstance(scale, int)]
    known_ones = [stride for stride in strides if stride in last and 1 < stride <= image_size]
    if known_ones != list(scales) or sorted(strides) != strides:
        known = ", ".join(f"{stride} ({last[stride]!r})" for stride in sorted(last) if stride > 1)
        raise ValueError(
            "scales must be strides at which this network has feature maps, ascending: "
            f"{known or 'none is known'}. Or name layers, scales=[...], as backbone.layer_names() "
            f"lists them. Received: scales={tuple(scales)}, image_size={image_size}, backbone "
            f"{loaded.name!r}"
        )
    return loaded, [last[stride] for stride in strides]
