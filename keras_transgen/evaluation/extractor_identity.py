"""What a feature extractor is called, and how it is told from others."""

import hashlib
import json
import re
from typing import Any
from urllib.parse import urlparse

import numpy as np


def name_of(backbone: Any) -> str | None:
    """What to call a network in the names of metrics.

    Args:
        backbone: Anything that can be called.

    Returns:
        Its name if somebody chose one; else the handle its module came from (a path's last part,
        an address' path), or the name of the Keras model within; `None` for the nameless.
    """
    own = getattr(backbone, "name", None) or getattr(backbone, "__name__", None)
    if own is None or not _was_made_by_keras(str(own), type(backbone).__name__):
        return None if own is None else str(own)
    handle = getattr(backbone, "handle", None)
    if handle:
        address = urlparse(str(handle))
        path = re.sub(r"\.(tar\.gz|tgz|zip)$", "", address.path.rstrip("/"))
        return path.strip("/") if address.netloc else path.split("/")[-1]
    return str(getattr(getattr(backbone, "network", None), "name", own))


def _was_made_by_keras(name: str, class_name: str) -> bool:
    """Whether a name is what Keras calls the n-th layer of a class: `"dense_2"`."""
    words = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", class_name).lower()
    return re.fullmatch(rf"{re.escape(words)}(_\d+)?", name) is not None


def network_digest(backbone: Any, name: str) -> bytes:
    """Hash of a network.

    Args:
        backbone: A backbone of this package, which gives its own digest; another Keras layer, of
            which settings and weights count; or a function, of which only the name can.
        name: Name of the extractor.

    Returns:
        The hash.
    """
    if callable(getattr(backbone, "digest", None)):
        return str(backbone.digest()).encode()
    import keras

    if not isinstance(backbone, keras.layers.Layer):
        return name.encode()
    total = hashlib.sha256(json.dumps(_structure(backbone), default=repr).encode())
    for weight in backbone.weights:
        values = np.ascontiguousarray(weight.numpy())
        total.update(f"{weight.path.split('/')[-1]}{values.dtype}{values.shape}".encode())
        total.update(values.tobytes())
    return total.digest()


def _structure(layer: Any) -> Any:
    """Classes and settings of a layer and of those in it, without what differs between copies."""
    inner = getattr(layer, "layers", None)
    if inner is not None:
        return [type(layer).__name__, [_structure(each) for each in inner]]
    config = layer.get_config()
    kept = {key: config[key] for key in sorted(config) if key not in ("name", "trainable", "dtype")}
    return [type(layer).__name__, kept]
