"""One way in: a backbone from whatever the user has."""

import difflib
import os
from pathlib import Path
from typing import Any

import keras

from keras_transgen.backbones.backbone import Backbone
from keras_transgen.backbones.digits_network import digits_backbone
from keras_transgen.backbones.keras_model import KerasBackbone
from keras_transgen.backbones.load_model import load_model
from keras_transgen.backbones.saved_model import SavedModelBackbone

SHIPPED = {"digits": digits_backbone}


def load_backbone(source: Any, **kwargs: Any) -> Backbone:
    """Make a backbone from a module's handle, a file, a Keras model, or a name.

    Args:
        source: A TF-Hub or Kaggle handle, an archive's address, a folder or archive with a
            SavedModel; a `.keras` file; a `keras.Model`; `"digits"`, the small network that comes
            with the package; or a backbone, which is returned as it is.
        **kwargs: As in `SavedModelBackbone` or `KerasBackbone`: `trainable`, `normalization`, ...

    Returns:
        The backbone.

    Raises:
        ValueError: The source is nothing that a backbone can be made from.

    Example:
        ```python
        import numpy as np
        import keras_transgen as ktg

        backbone = ktg.load_backbone("digits")
        features = backbone(np.zeros((2, 8, 8, 1), "float32"))
        assert features.shape == (2, 128)
        ```
    """
    if isinstance(source, Backbone):
        if kwargs:
            raise ValueError(
                "This is a backbone already: set its properties on it. "
                f"Received: source={source.name!r}, {kwargs}"
            )
        return source
    if isinstance(source, keras.Model):
        return KerasBackbone(source, **kwargs)
    if not isinstance(source, (str, os.PathLike)):
        raise ValueError(
            "source must be a handle, a path, a keras.Model, a backbone, or one of "
            f"{sorted(SHIPPED)}. Received: source={source!r}"
        )
    text = os.fspath(source)
    if text in SHIPPED:
        return SHIPPED[text](**kwargs)
    if text.endswith(".keras"):
        return KerasBackbone(load_model(text, compile=False), **kwargs)
    _refuse_unknown_name(text)
    return SavedModelBackbone(text, **kwargs)


def _refuse_unknown_name(text: str) -> None:
    """A word that is no path and no address was meant as a name."""
    if "/" in text or os.sep in text or Path(text).exists():
        return
    near = difflib.get_close_matches(text.lower(), SHIPPED, n=1)
    folders = [entry.name for entry in Path().iterdir() if entry.is_dir()]
    near = near or difflib.get_close_matches(text, folders, n=1)
    hint = f" Did you mean {near[0]!r}?" if near else ""
    raise ValueError(
        f"No backbone of this name and no such folder or file.{hint} The shipped names are "
        f"{sorted(SHIPPED)}; everything else is a path or an address. Received: source={text!r}"
    )
