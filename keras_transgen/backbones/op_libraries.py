"""Libraries that bring ops of their own, imported for the modules whose graph needs them."""

from __future__ import annotations

import importlib
from collections.abc import Iterable

import tensorflow as tf

from keras_transgen.backbones.audit.allowed_ops import TEXT_OPS
from keras_transgen.backbones.audit.registered_ops import is_here
from keras_transgen.datasets.printable import printable

_LIBRARY = "tensorflow_text"


def import_op_libraries(ops: Iterable[str], name: str) -> None:
    """Import `tensorflow_text` where a module has ops of it that are not registered yet.

    Args:
        ops: Names of a module's ops, as its audit found them.
        name: What messages call the module.

    Raises:
        ValueError: The library is needed and not installed, or does not go with this TensorFlow.
    """
    missing = sorted(op for op in ops if op in TEXT_OPS and not is_here(op))
    if not missing:
        return
    series = ".".join(tf.__version__.split(".")[:2])
    advice = f"pip install 'tensorflow-text=={series}.*' (or 'keras-transgen[text]')"
    said = f"Received: {printable(name)} with the ops {', '.join(missing)}"
    try:
        importlib.import_module(_LIBRARY)
    except ImportError as error:
        raise ValueError(
            f"This module needs ops of tensorflow-text, which is not installed here: {advice}. "
            f"{said}"
        ) from error
    except Exception as error:
        raise ValueError(
            "This module needs ops of tensorflow-text, and the one that is installed does not go "
            f"with TensorFlow {tf.__version__}; both must be of one series: {advice}. "
            f"{said}; {type(error).__name__}: {printable(error, 200)}"
        ) from error
    left = [op for op in missing if not is_here(op)]
    if left:
        raise ValueError(
            "This module needs ops that the installed tensorflow-text does not have. Install the "
            f"newest of this series: {advice}. Received: {printable(name)} with the ops "
            f"{', '.join(left)}"
        )
