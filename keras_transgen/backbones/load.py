"""One way in: a backbone from whatever the user has."""

import difflib
import os
from pathlib import Path
from typing import Any

import keras

from keras_transgen.backbones import kerashub
from keras_transgen.backbones.backbone import Backbone
from keras_transgen.backbones.digits_network import digits_backbone
from keras_transgen.backbones.hdf5_network import HDF5_SUFFIXES, load_hdf5_network
from keras_transgen.backbones.keras_model import KerasBackbone
from keras_transgen.backbones.load_model import load_model
from keras_transgen.backbones.saved_model import SavedModelBackbone

SHIPPED = {"digits": digits_backbone}
_FILE_OPTIONS = ("allow_unsafe_ops", "custom_objects", "max_bytes", "safe_mode")
_OF_TORCH = "PyTorch's, which TensorFlow cannot run: build the network in Keras and set its weights"
_WEIGHTS = "weights without a network: build it in Keras and set its weights"
_NO_NETWORKS = {
    ".bin": _OF_TORCH,
    ".ckpt": "a checkpoint, " + _WEIGHTS,
    ".index": "part of a checkpoint, " + _WEIGHTS,
    ".json": "a description without weights: make a keras.Model of it, and load its weights",
    ".npy": _WEIGHTS,
    ".npz": _WEIGHTS,
    ".onnx": "ONNX, which TensorFlow cannot run: convert it to a SavedModel",
    ".pickle": "a pickle, which can run any code and is not read",
    ".pkl": "a pickle, which can run any code and is not read",
    ".pt": _OF_TORCH,
    ".pth": _OF_TORCH,
    ".safetensors": _WEIGHTS,
    ".tflite": "for inference on devices, without gradients: get the SavedModel it was made of",
}


def load_backbone(source: Any, **kwargs: Any) -> Backbone:
    """Make a backbone from a module's handle, a file, a Keras model, or a name.

    Args:
        source: A TF-Hub or Kaggle handle, an archive's address, a folder or archive with a
            SavedModel; a `.keras` file, or an HDF5 file (`.h5`) of Keras 2; a `keras.Model`, a
            `LanguageModel`, or the encoder of a `SequenceToSequence` or `TextVAE`, take strings;
            a preset of KerasHub, where keras-hub is installed: its folder, its name, `kaggle://` or
            `hf://`; or a KerasHub task, whose preprocessor is kept;
            `"digits"`, the small network that comes with the package; or a backbone, which is
            returned as it is.
        **kwargs: As in `SavedModelBackbone` or `KerasBackbone`: `trainable`, `normalization`, ...
            For files of Keras also `custom_objects`, `safe_mode=False` for one whose lambdas you
            trust, and `max_bytes`, as in `load_model`.

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
        return KerasBackbone(_features_of(source), **kwargs)
    if not isinstance(source, (str, os.PathLike)):
        raise ValueError(
            "source must be a handle, a path, a keras.Model, a backbone, or one of "
            f"{sorted(SHIPPED)}. Received: source={source!r}"
        )
    text = os.fspath(source)
    if text in SHIPPED:
        return SHIPPED[text](**kwargs)
    if text.endswith((".keras", *HDF5_SUFFIXES)) and "://" not in text:
        return _from_keras_file(text, kwargs)
    if kerashub.is_preset(text):
        return KerasBackbone(kerashub.preset_network(text), **kwargs)
    _refuse_other_files(text)
    _refuse_unknown_name(text)
    return SavedModelBackbone(text, **kwargs)


def _from_keras_file(text: str, kwargs: dict[str, Any]) -> KerasBackbone:
    """A network out of a file, whose options go to whoever reads it."""
    is_hdf5 = text.endswith(HDF5_SUFFIXES)
    options = {name: kwargs.pop(name) for name in _FILE_OPTIONS if name in kwargs}
    if is_hdf5:
        # There are no modules in it.
        options.pop("allow_unsafe_ops", None)
        model: Any = load_hdf5_network(text, **options)
    else:
        model = load_model(text, compile=False, **options)
    if not isinstance(model, keras.Model):
        raise ValueError(
            "The file holds no network, and a backbone is made from a keras.Model. "
            f"Received: source={text!r} with an object of type {type(model).__name__}"
        )
    return KerasBackbone(_features_of(model), **kwargs)


def _features_of(model: keras.Model) -> keras.Model:
    """The network; of a model that knows which part of it gives features, that part."""
    own = getattr(model, "feature_network", None)
    if own is not None:
        return own()
    return kerashub.features_of_task(model) or model


def _refuse_other_files(text: str) -> None:
    """Files of other libraries, and files of weights, are told by their names."""
    suffix = Path(text).suffix.lower()
    if suffix in _NO_NETWORKS and "://" not in text and not Path(text).is_dir():
        raise ValueError(
            f"A {suffix} file is {_NO_NETWORKS[suffix]}. A backbone is made from a SavedModel's "
            f"folder or archive, a .keras or .h5 file, or a keras.Model. Received: source={text!r}"
        )


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
