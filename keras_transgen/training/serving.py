"""A trained model outside Python: a SavedModel with named signatures, or a TFLite file of them."""

from __future__ import annotations

import dataclasses
import os
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import keras
import tensorflow as tf

from keras_transgen.datasets.whole_file import refuse_links_in, write_whole


@dataclasses.dataclass(frozen=True)
class Endpoint:
    """One thing that an exported model can be asked for.

    Args:
        function: Takes tensors of the signature, returns a dict of named tensors. Computes in
            inference mode.
        signature: A named `tf.TensorSpec` for each argument (or a dict of them for one argument).
        resources: Layers or other trackable objects that hold tables or other resources besides
            variables, which TensorFlow must save too.
        draws_noise: Whether it draws random numbers. TFLite has no ops for that, so such an
            endpoint goes to SavedModels only.
    """

    function: Callable[..., dict[str, tf.Tensor]]
    signature: tuple[Any, ...]
    resources: tuple[Any, ...] = ()
    draws_noise: bool = False


def write_saved_model(
    endpoints: Mapping[str, Endpoint], folder: str | os.PathLike[str], verbose: bool = False
) -> None:
    """Write a SavedModel with a signature for each endpoint; the first is `serving_default` too.

    Args:
        endpoints: The endpoints by name.
        folder: Where to; a version folder such as `models/name/1` for TensorFlow Serving.
        verbose: Print the signatures.

    Raises:
        ValueError: If there is a link in the folder, through which TensorFlow would write.
    """
    refuse_links_in(folder, folder)
    archive = keras.export.ExportArchive()
    resources: dict[int, Any] = {}
    for name, endpoint in endpoints.items():
        function = archive.add_endpoint(name, endpoint.function, list(endpoint.signature))
        # Tracing builds what has not been called yet; Keras tracks only what is built.
        function.get_concrete_function()
        resources |= {id(each): each for each in endpoint.resources}
    for each in resources.values():
        archive.track(each)
    archive.write_out(os.fspath(folder), verbose=verbose)


def write_litert(
    endpoints: Mapping[str, Endpoint],
    path: str | os.PathLike[str],
    verbose: bool = False,
    **options: Any,
) -> None:
    """Write a TFLite (LiteRT) file with a signature for each endpoint that draws no noise.

    Args:
        endpoints: The endpoints by name.
        path: The file, which must end in `.tflite`.
        verbose: Print where it went.
        **options: Attributes of `tf.lite.TFLiteConverter`, such as
            `optimizations=[tf.lite.Optimize.DEFAULT]`.

    Raises:
        ValueError: If the path ends otherwise, an option is none of the converter's, or nothing
            can be converted.
    """
    if not os.fspath(path).endswith(".tflite"):
        raise ValueError(f"A TFLite file must end in '.tflite'. Received: filepath={path}")
    fixed = {name: each for name, each in endpoints.items() if not each.draws_noise}
    if not fixed:
        raise ValueError(
            "TFLite has no random numbers, and everything this model exports draws some. "
            f"Received: the signatures {sorted(endpoints)}"
        )
    with tempfile.TemporaryDirectory() as folder:
        write_saved_model(fixed, folder)
        converter = tf.lite.TFLiteConverter.from_saved_model(folder, signature_keys=list(fixed))
        converter.target_spec.supported_ops = [
            tf.lite.OpsSet.TFLITE_BUILTINS,
            tf.lite.OpsSet.SELECT_TF_OPS,
        ]
        for name, value in options.items():
            if not hasattr(converter, name):
                raise ValueError(
                    "Options must be attributes of tf.lite.TFLiteConverter. "
                    f"Received: {name}={value!r}"
                )
            setattr(converter, name, value)
        converted = converter.convert()
        write_whole(os.fspath(path), lambda beside: Path(beside).write_bytes(converted))
    if verbose:
        print(f"Saved the signatures {sorted(fixed)} to {path}", flush=True)


def named_specs(contracts: Any, name: str = "inputs") -> tuple[Any, ...]:
    """A signature of one argument from anything with a shape and a dtype, the batch left open.

    Args:
        contracts: One `InputContract`, `tf.TensorSpec`, `keras.InputSpec`, `keras.KerasTensor` or
            tensor, or a dict of them. A sequence of one counts as the one.
        name: What the input is called; the entries of a dict are called by their keys.

    Raises:
        ValueError: If a shape or dtype is not known.
    """
    if isinstance(contracts, Sequence) and len(contracts) == 1:
        contracts = contracts[0]
    if isinstance(contracts, Mapping):
        return ({key: _named_spec(each, key) for key, each in contracts.items()},)
    if isinstance(contracts, Sequence):
        return ([_named_spec(each, f"{name}_{i}") for i, each in enumerate(contracts)],)
    return (_named_spec(contracts, name),)


def fitting_specs(given: Any, known: tf.TensorSpec, name: str = "inputs") -> tuple[Any, ...]:
    """A signature of one argument that was asked for, held against what the model takes.

    Args:
        given: As in `named_specs`.
        known: What the model takes. The dtype may be another one, but stays a whole number, a
            number with a point or a string; bytes may stand for numbers with a point, as for
            images. A shape of `None` fits all.
        name: As in `named_specs`.

    Raises:
        ValueError: If it does not fit: no call of what is exported would work.
    """
    specs = named_specs(given, name)
    known = tf.TensorSpec(known.shape, known.dtype)
    for spec in specs:
        fits = isinstance(spec, tf.TensorSpec) and known.shape.is_compatible_with(spec.shape)
        if not fits or spec.dtype not in _alike(known.dtype):
            raise ValueError(
                f"input_signature must say what the model takes, such as {_told(known)}. "
                f"Received: {_told(spec)}"
            )
    return specs


def _alike(dtype: tf.DType) -> tuple[tf.DType, ...]:
    """What may be handed in where a model takes a dtype."""
    if dtype.is_floating:
        return (tf.float32, tf.float16, tf.bfloat16, tf.float64, tf.uint8)
    return (tf.int32, tf.int64, tf.uint8, tf.int8, tf.int16) if dtype.is_integer else (dtype,)


def _told(spec: Any) -> str:
    if not isinstance(spec, tf.TensorSpec):
        return f"{spec!r:.100}"
    return f"tf.TensorSpec({spec.shape.as_list()}, tf.{spec.dtype.name})"


def _named_spec(given: Any, name: str) -> tf.TensorSpec:
    shape, dtype = getattr(given, "shape", None), getattr(given, "dtype", None)
    if isinstance(shape, tf.TensorShape):
        shape = None if shape.rank is None else shape.as_list()
    if shape is None or dtype is None:
        raise ValueError(
            "An exported model needs to know what it will be given. Pass "
            "input_signature=tf.TensorSpec([None, height, width, channels], tf.float32), or the "
            f"like for other data. Received: an input with shape {shape} and dtype {dtype}"
        )
    return tf.TensorSpec([None, *shape[1:]], dtype, name)
