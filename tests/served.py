"""Exported models as those who serve them see them: without this package, by signature."""

import functools
import subprocess
import sys
from pathlib import Path

import numpy as np
import tensorflow as tf

_ALONE = """
import sys
import numpy as np, tensorflow as tf
folder, name, given = sys.argv[1:4]
for module in sys.argv[4:]:
    __import__(module)
inputs = {k: tf.constant(v) for k, v in np.load(given).items()}
outputs = tf.saved_model.load(folder).signatures[name](**inputs)
assert "keras_transgen" not in sys.modules
# Strings as bytes of one length, which need no pickle.
arrays = {k: np.array(v.numpy().tolist()) for k, v in outputs.items() if v.dtype == tf.string}
arrays |= {k: v.numpy() for k, v in outputs.items() if v.dtype != tf.string}
np.savez(given + ".out.npz", **arrays)
"""


@functools.lru_cache(maxsize=1)
def _loaded(folder: Path, written: int) -> object:
    return tf.saved_model.load(folder)


def loaded(folder: Path) -> object:
    """A SavedModel, loaded once for all signatures that are asked in a row."""
    return _loaded(folder, (folder / "saved_model.pb").stat().st_mtime_ns)


def served(folder: Path, name: str = "serving_default", **inputs) -> dict[str, np.ndarray]:
    """What a SavedModel's signature answers."""
    signature = loaded(folder).signatures[name]
    answers = signature(**{key: tf.constant(value) for key, value in inputs.items()})
    return {key: value.numpy() for key, value in answers.items()}


def served_alone(
    folder: Path, name: str, imports: tuple[str, ...] = (), **inputs
) -> dict[str, np.ndarray]:
    """The same in a process that has met TensorFlow and nothing else but what it is told to import.

    Strings go in and come out as arrays of `str` and `bytes`.
    """
    given = folder.parent / "given.npz"
    np.savez(given, **inputs)
    command = [sys.executable, "-c", _ALONE, str(folder), name, str(given), *imports]
    subprocess.run(command, check=True, timeout=900, cwd=folder.parent)
    return dict(np.load(f"{given}.out.npz"))


def signature_names(folder: Path) -> dict[str, tuple[list[str], list[str]]]:
    """Names of inputs and outputs by signature."""
    return {
        name: (sorted(each.structured_input_signature[1]), sorted(each.structured_outputs))
        for name, each in loaded(folder).signatures.items()
    }


def on_device(path: Path, name: str, **inputs) -> dict[str, np.ndarray]:
    """What a TFLite file's signature answers."""
    interpreter = tf.lite.Interpreter(model_path=str(path))
    runner = interpreter.get_signature_runner(name)
    return runner(**inputs)
