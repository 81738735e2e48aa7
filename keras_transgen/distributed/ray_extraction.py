"""Features of more images than one machine holds: read by Ray, computed by actors, in Parquet."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import keras
import numpy as np

from keras_transgen.backbones import Backbone, load_backbone
from keras_transgen.backbones.feature_function import FeatureFunction
from keras_transgen.backbones.network_digest import layer_digest
from keras_transgen.datasets.file_suffixes import IMAGE_SUFFIXES
from keras_transgen.datasets.image_check import look_at_images
from keras_transgen.datasets.image_decoding import Decoding, decode_image, decoding
from keras_transgen.datasets.image_index import list_images
from keras_transgen.datasets.viewed_image import WHITE
from keras_transgen.distributed.packed_model import as_model, pack_model, unpack_model
from keras_transgen.distributed.parquet_folder import ParquetFolder, array_column, column_array
from keras_transgen.distributed.ray_extra import (
    actor_options,
    packed_in_actor,
    ray_module,
    run_actors,
)

if TYPE_CHECKING:
    import pyarrow as pa

_KEY = "file"
_FEATURES = "features"
# More rounds than that are no accident.
_ROUNDS = 3


def extract_with_ray(
    backbone: Any,
    images: str | os.PathLike[str],
    output: str | os.PathLike[str],
    *,
    image_size: int | tuple[int, int],
    color_mode: str = "rgb",
    value_range: tuple[float, float] = (0.0, 1.0),
    crop_to_aspect_ratio: bool = False,
    antialias: bool = True,
    background: Sequence[int] = WHITE,
    batch_size: int = 32,
    rows_per_file: int = 1024,
    dtype: str | None = None,
    num_workers: int | None = None,
    cpus_per_worker: int = 1,
    allow_unsafe_ops: bool = False,
    progress: bool = True,
) -> int:
    """Write the features of a folder of images to a folder of Parquet files, on a Ray cluster.

    Ray Data reads the files; actors, each with the backbone loaded once, decode them and compute
    the features that `extract_features` would of `image_folder`, and write a file for every
    `rows_per_file` images. What is in memory at a time does not grow with the number of images.

    Every image has its row once, also after actors, machines or the whole run were killed: a file
    is there whole or not at all, and the same call goes on with the images that have no row yet.
    Images that came to the folder in the meantime are among them; an image that has a row is not
    looked at again, so changed images need a new output folder.

    The columns are `file` (path within `images`), `features` (a list of fixed length; for a
    backbone with several outputs one column each, `features_NAME`). The order of the rows is not
    fixed. `read_features` gives arrays; pandas, Spark and `ray.data.read_parquet` read them too.

    Args:
        backbone: What `keras_transgen.load_backbone` takes. It is sent to the actors, so they need
            neither its folder nor the network.
        images: Folder that all machines of the cluster see, or an address such as
            `s3://bucket/photos`. Images may lie in folders of it.
        output: Folder that all machines see, or an address.
        image_size: Height and width in pixels, or one number for both.
        color_mode: As in `keras_transgen.datasets.image_folder`, with the options that follow.
        value_range: As there.
        crop_to_aspect_ratio: As there.
        antialias: As there.
        background: As there.
        batch_size: Images that go through the backbone at once. Defaults to 32.
        rows_per_file: Images of a file; an actor holds the bytes of so many. Defaults to 1024.
        dtype: `"float32"` or `"float16"` to store the features in. None: as they come.
        num_workers: Actors. Defaults to one for each GPU of the cluster, or without GPUs for each
            `cpus_per_worker` CPUs but one, which reads.
        cpus_per_worker: CPUs of each actor. Defaults to 1.
        allow_unsafe_ops: Let a module in that reads or writes files or calls Python.
        progress: Show Ray's progress bars.

    Returns:
        How many images were extracted by this call.

    Raises:
        ImportError: If Ray is not installed.
        ValueError: If the output is of other work, an image cannot be read (it is named), or the
            cluster is too small for the actors.
        FileNotFoundError: If there is no such folder of images.

    Example:
        ```python no-run
        import keras_transgen as ktg

        ktg.distributed.extract_with_ray(
            "digits", "/mnt/shared/scans", "/mnt/shared/features", image_size=16,
            color_mode="grayscale",
        )
        files, features = ktg.distributed.read_features("/mnt/shared/features")
        ```
    """
    ray = ray_module()
    if min(batch_size, rows_per_file) < 1:
        raise ValueError(
            "Expected batch_size and rows_per_file of at least 1. "
            f"Received: batch_size={batch_size}, rows_per_file={rows_per_file}"
        )
    how = decoding(image_size, value_range, color_mode, crop_to_aspect_ratio, antialias, background)
    unsafe = {"allow_unsafe_ops": True} if allow_unsafe_ops else {}
    network = load_backbone(backbone, **({} if isinstance(backbone, Backbone) else unsafe))
    model = as_model(network, (*how.size, how.channels))
    root, paths, files = _listed(images)
    folder = ParquetFolder(output, _KEY)
    folder.begin({"backbone": layer_digest(network), "dtype": dtype, **vars(how)})
    arguments = {
        "how": how,
        "root": root,
        "batch_size": batch_size,
        "dtype": dtype,
        "output": folder.path,
        "unsafe": unsafe,
    }
    actors = actor_options(num_workers, cpus_per_worker)
    model_bytes = ray.put(pack_model(model))
    done = 0
    for _ in range(_ROUNDS):
        remaining = _without(paths, root, folder.settle())
        if not len(remaining):
            return done
        done += _extract(remaining, files, rows_per_file, actors, model_bytes, arguments, progress)
    missing = _without(paths, root, folder.settle())
    if len(missing):
        raise RuntimeError(
            f"Expected a row for every image. Received: none for {len(missing)} of them after "
            f"{_ROUNDS} rounds, {missing[0].as_py()!r} among them"
        )
    return done


def read_features(
    folder: str | os.PathLike[str], output: str | None = None
) -> tuple[list[str], np.ndarray]:
    """The files and features that `extract_with_ray` wrote, in the order of the files' names.

    All of them must fit into memory; larger folders are read by `ray.data.read_parquet` or
    `pyarrow.dataset`.

    Args:
        folder: The output folder.
        output: Name of the output, of a backbone that has several.

    Returns:
        `(files, features)`: paths within the folder of images, and `[rows, ...]`.

    Example:
        ```python no-run
        import keras_transgen as ktg

        files, features = ktg.distributed.read_features("/mnt/shared/features")
        ```
    """
    name = _FEATURES if output is None else f"{_FEATURES}_{output}"
    stored = ParquetFolder(folder, _KEY)
    if stored.columns() and name not in stored.columns():
        raise ValueError(
            f"Expected the name of an output, of {stored.columns()[1:]}. Received: {name!r}"
        )
    table = stored.read([name])
    return table[_KEY].to_pylist(), column_array(table, name)


def _listed(images: str | os.PathLike[str]) -> tuple[str, pa.Array, Any]:
    """The folder without an address, the paths of its images, and the file system they are on."""
    pa, fs = ray_module("pyarrow"), ray_module("pyarrow.fs")
    text = os.fspath(images)
    if "://" not in text:
        root = str(Path(text).expanduser().absolute())
        names = list_images(root, False, "extract_with_ray").paths
        _refuse_names(names)
        return root, pa.array(names, pa.large_string()), fs.LocalFileSystem()
    files, root = fs.FileSystem.from_uri(text)
    root = root.rstrip("/")
    entries = files.get_file_info(fs.FileSelector(root, recursive=True))
    found = sorted(e.path for e in entries if e.path.lower().endswith(IMAGE_SUFFIXES))
    if not found:
        raise ValueError(
            f"Expected images ({', '.join(IMAGE_SUFFIXES)}) in the folder. Received: {text!r}, "
            f"with {len(entries)} other files and folders"
        )
    return root, pa.array(found, pa.large_string()), files


def _refuse_names(paths: Sequence[str]) -> None:
    """Parquet and Ray know texts only; elsewhere in the package names may be any bytes."""
    wrong = [path for path in paths if path != path.encode(errors="ignore").decode()]
    if wrong:
        raise ValueError(
            "extract_with_ray expected file names in UTF-8. Rename these files. "
            f"Received: {wrong[:5]}, {len(wrong)} of {len(paths)}"
        )


def _without(paths: pa.Array, root: str, done: pa.Array) -> pa.Array:
    """The paths whose name within `root` is not in `done`."""
    pa, compute = ray_module("pyarrow"), ray_module("pyarrow.compute")
    names = compute.utf8_slice_codeunits(paths, len(root) + 1)
    return paths.filter(
        compute.invert(compute.is_in(names, value_set=done.cast(pa.large_string())))
    )


def _extract(
    paths: pa.Array,
    files: Any,
    rows_per_file: int,
    actors: dict[str, Any],
    model_bytes: Any,
    arguments: dict[str, Any],
    progress: bool,
) -> int:
    """Extract from these images, and return how many that were."""
    data = ray_module("ray.data").read_binary_files(
        paths.to_pylist(), include_paths=True, filesystem=files
    )
    options = {"batch_size": rows_per_file, "batch_format": "pyarrow", **actors}
    arguments = {"model": model_bytes, **arguments}
    done = 0
    for written in run_actors(data, _Extractor, arguments, progress, **options):
        if written["error"]:
            raise ValueError(written["error"])
        done += written["rows"]
    return done


class _Extractor:
    """An actor: the backbone, loaded once, and the folder that features go to."""

    def __init__(
        self,
        model: Any,
        how: Decoding,
        root: str,
        batch_size: int,
        dtype: str | None,
        output: str,
        unsafe: dict[str, bool],
    ) -> None:
        network = unpack_model(packed_in_actor(model), **unsafe)
        self._features = FeatureFunction(network, dtype=dtype)
        self._how = how
        self._root = root
        self._batch_size = batch_size
        self._folder = ParquetFolder(output, _KEY)

    def __call__(self, batch: pa.Table) -> dict[str, list]:
        pa = ray_module("pyarrow")
        names = [path[len(self._root) + 1 :] for path in batch["path"].to_pylist()]
        try:
            features = self._compute(batch["bytes"].to_pylist(), names)
        except ValueError as error:
            # Handed over as a value, since Ray would wrap it in its own and start the actor anew.
            return {"rows": [0], "error": [str(error)]}
        columns = [(pa.field(_KEY, pa.string()), pa.array(names, pa.string()))]
        columns += [array_column(name, values) for name, values in sorted(features.items())]
        fields, arrays = zip(*columns)
        self._folder.write(pa.table(list(arrays), schema=pa.schema(fields)))
        return {"rows": [len(names)], "error": [""]}

    def _compute(self, contents: list[bytes], names: list[str]) -> dict[str, np.ndarray]:
        import tensorflow as tf

        columns = (tf.constant(contents), tf.constant(names))
        data = tf.data.Dataset.from_tensor_slices(columns).map(
            lambda content, name: decode_image(content, self._how, name=name),
            num_parallel_calls=tf.data.AUTOTUNE,
        )
        parts: list[dict[str, np.ndarray]] = []
        row = 0
        try:
            for images in data.batch(self._batch_size).prefetch(1):
                parts.append(_by_column(self._features(images, row)))
                row += len(images)
        except tf.errors.InvalidArgumentError as error:
            raise ValueError(_unreadable(contents, names)) from error
        return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def _by_column(features: Any) -> dict[str, np.ndarray]:
    if isinstance(features, dict):
        return {f"{_FEATURES}_{name}": np.asarray(value) for name, value in features.items()}
    outputs = keras.tree.flatten(features)
    if len(outputs) == 1:
        return {_FEATURES: np.asarray(outputs[0])}
    return {f"{_FEATURES}_{number}": np.asarray(value) for number, value in enumerate(outputs)}


def _unreadable(contents: list[bytes], names: list[str]) -> str:
    looks = look_at_images(contents, thorough=True)
    broken = {name: look.reason for name, look in zip(names, looks) if look.reason}
    return (
        "Expected files that can be read as images. Remove or replace the broken ones, and call "
        f"this again: it goes on. Received: unreadable {list(broken)[:5]}, {len(broken)} in a "
        f"portion of {len(names)} ({next(iter(broken.values()), 'decoding failed')})"
    )
