"""What raw input a transfer model takes, and a word where nobody knows the range of its values."""

from __future__ import annotations

import warnings
import weakref
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np

from keras_transgen.backbones import KerasBackbone
from keras_transgen.backbones.first_rescaling import read_value_range
from keras_transgen.backbones.image_preprocessing import CONVENTIONS, ImagePreprocessing
from keras_transgen.backbones.input_contract import measured_range, takes_images
from keras_transgen.backbones.unknown_range import has_unknown_range
from keras_transgen.backbones.unknown_range import warn_of_unknown_range as tell_unknown_range
from keras_transgen.training.loading import loading_a_file

# Whose user was told already.
_TOLD_OF_PADDING: weakref.WeakSet[Any] = weakref.WeakSet()
_TOLD_OF_EMPTY_TEXTS: weakref.WeakSet[Any] = weakref.WeakSet()
# Positions that a warning names.
_NAMED = 5


def named_preprocessing(preprocessing: Any) -> Any:
    """The layer that a name stands for, in a list too; anything else as it is.

    Args:
        preprocessing: What the user gave.

    Raises:
        ValueError: There is no such name.
    """
    if isinstance(preprocessing, str):
        if preprocessing not in CONVENTIONS:
            raise ValueError(
                f"preprocessing must be one of {list(CONVENTIONS)}, a Keras layer, a model or a "
                f"list of layers. Received: preprocessing={preprocessing!r}"
            )
        return ImagePreprocessing(preprocessing)
    if isinstance(preprocessing, Sequence):
        return [named_preprocessing(each) for each in preprocessing]
    return preprocessing


def refuse_second_rescaling(backbone: Any, preprocessing: Any) -> None:
    """Refuse a convention of `keras.applications` before a network that rescales itself.

    Args:
        backbone: The backbone.
        preprocessing: The layer before it.

    Raises:
        ValueError: Images would be rescaled twice.
    """
    if loading_a_file() or not isinstance(preprocessing, ImagePreprocessing):
        return
    own = read_value_range(backbone.network) if isinstance(backbone, KerasBackbone) else None
    if own is not None:
        raise ValueError(
            "This network begins with its own rescaling: give it images with values from "
            f"{own[0]:g} to {own[1]:g} and leave preprocessing away. "
            f"Received: preprocessing={preprocessing.convention!r}, backbone {backbone.name!r}"
        )


def raw_contract(backbone: Any, preprocessing: Any) -> Any:
    """What raw input must be: an `InputContract`, or a dict or list of them; `None` if unknown.

    Args:
        backbone: The backbone.
        preprocessing: The layer before it, or `None`.
    """
    if preprocessing is None:
        return backbone.input_contract
    if isinstance(preprocessing, ImagePreprocessing) and takes_images(backbone.input_contract):
        return preprocessing.raw_contract(backbone.input_contract)
    return None


def warn_of_unseen_padding(backbone: Any, preprocessing: Any, prepared: Any) -> None:
    """Say once that the words of other texts in a batch change what a network says of one.

    So it is where texts become numbers as many as the longest one has, and the network cannot be
    told which are padding.

    Args:
        backbone: The backbone.
        preprocessing: The layer before it, or `None`.
        prepared: What it made of inputs.
    """
    is_of_any_length = (
        isinstance(preprocessing, keras.layers.TextVectorization)
        and len(prepared.shape) == 2
        and preprocessing.get_config()["output_mode"] == "int"
        and preprocessing.get_config()["output_sequence_length"] is None
    )
    if not is_of_any_length or backbone.carries_masks() or backbone in _TOLD_OF_PADDING:
        return
    _TOLD_OF_PADDING.add(backbone)
    warnings.warn(
        "This network cannot be told which words are padding, so what it says of a text depends on "
        "the longest text of its batch. Give the preprocessing one length, "
        "TextVectorization(output_sequence_length=...), or take layers that know masks. "
        f"Received: the backbone {backbone.name!r} behind a TextVectorization of any length",
        stacklevel=3,
    )


def warn_of_unknown_range(backbone: Any, preprocessing: Any, x: Any) -> None:
    """Say once of a Keras network for images that nobody knows what range it was trained on.

    Nothing is said where the range is known, where there is a preprocessing, and where values are
    negative, since whoever made them so has thought of it.

    Args:
        backbone: The backbone.
        preprocessing: The layer before it, or `None`.
        x: Inputs.
    """
    if preprocessing is not None or not has_unknown_range(backbone):
        return
    low = measured_range(x)[0]
    if low is not None and low >= 0.0:
        tell_unknown_range(
            backbone,
            "KerasBackbone(model, value_range=(0, 255)), or let the model rescale: "
            'preprocessing="caffe", "torch" or "tf" for networks of keras.applications, or a layer',
        )


def warn_of_empty_texts(model: Any, x: Any) -> None:
    """Say once of a model that texts to train on are empty, which is mostly a gap in a table.

    Networks take them, and so does a prediction; a label on nothing teaches the head nothing.

    Args:
        model: Whose training it is.
        x: Inputs; texts are looked at where they are an array or a tensor `[count]`, or
            `[count, 1]`.
    """
    # Of arrays and of tensors.
    is_text = getattr(getattr(x, "dtype", None), "name", None) in ("object", "string")
    if not is_text or len(x.shape) not in (1, 2) or model in _TOLD_OF_EMPTY_TEXTS:
        return
    texts = np.asarray(x)
    empty = [row for row, text in enumerate(texts.reshape(len(texts), -1)) if not _has_words(text)]
    if not empty:
        return
    _TOLD_OF_EMPTY_TEXTS.add(model)
    more = ", ..." if len(empty) > _NAMED else ""
    warnings.warn(
        "Some texts to train on are empty, and nothing can be learnt of their labels. Leave them "
        f"out if they are gaps in a table. Received: {len(empty)} of {len(texts)} texts without a "
        f"word, in rows {', '.join(map(str, empty[:_NAMED]))}{more}",
        stacklevel=5,
    )


def _has_words(row: Any) -> bool:
    return any(part.strip() for part in row)
