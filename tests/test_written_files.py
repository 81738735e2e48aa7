"""Files for the user are written beside and moved into place; exceptions have their reason."""

import ast
from pathlib import Path

import pytest

import keras_transgen

PACKAGE = Path(keras_transgen.__file__).parent
WRITERS = {"write_text", "write_bytes", "save", "savefig", "savez", "savetxt", "save_img", "dump"}
# Where something is written straight to its name.
ALLOWED = {
    "backbones/archives.py": "into a temporary folder of its own",
    "backbones/module_files.py": "into a folder of its own, which the store moves into place",
    "backbones/saved_model_packing.py": "into the folder of assets that Keras is writing",
    "backbones/private_archive.py": "into a temporary folder of its own",
    "backbones/feature_cache.py": "blocks in a folder that is moved into place",
    "datasets/file_lock.py": "the lock itself, never through a link",
    "backbones/downloads.py": "into a temporary folder of its own",
    "backbones/load_model.py": "into a temporary folder of its own",
    "backbones/fetched_modules.py": "into a temporary folder of its own",
    "backbones/module_store.py": "into a temporary folder of its own",
    "backbones/saved_model_pruning.py": "into a temporary folder of its own",
    "backbones/saved_model_taps.py": "into a temporary folder of its own",
    "backbones/publishing.py": "tf.saved_model.save, a folder that TensorFlow writes",
    "datasets/whole_file.py": "beside",
    "distributed/packed_model.py": "into a temporary folder of its own",
    "plotting/appearance.py": "into memory",
    "tuning/worker_watch.py": "signs of life inside Keras Tuner's own folder",
}


def straight_writes(file):
    """Lines that write outside a function or lambda given to `write_whole`."""
    tree = ast.parse(file.read_text())
    whole = [
        argument
        for call in ast.walk(tree)
        if isinstance(call, ast.Call) and getattr(call.func, "id", "") == "write_whole"
        for argument in call.args[1:]
    ]
    names = {each.id for each in whole if isinstance(each, ast.Name)}
    excused = [*whole, *(n for n in ast.walk(tree) if getattr(n, "name", None) in names)]
    inside = {id(node) for each in excused for node in ast.walk(each)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and id(node) not in inside and _writes(node):
            yield node.lineno


def _writes(call):
    name = getattr(call.func, "attr", getattr(call.func, "id", ""))
    if name == "open":
        given = [*call.args, *(each.value for each in call.keywords)]
        modes = [each.value for each in given if isinstance(each, ast.Constant)]
        return any(isinstance(mode, str) and set(mode) & set("wax+") for mode in modes[:1])
    # `model.save` of the package's models goes through `write_whole` itself.
    return name in WRITERS and not (name == "save" and _is_model(call))


def _is_model(call):
    return ast.unparse(call.func.value) in {"model", "made", "vae", "gan", "best", "super()"}


@pytest.mark.slow
def test_every_file_is_written_whole():
    found = {
        f"{file.relative_to(PACKAGE).as_posix()}:{line}"
        for file in sorted(PACKAGE.rglob("*.py"))
        if file.relative_to(PACKAGE).as_posix() not in ALLOWED
        for line in straight_writes(file)
    }
    assert not found, f"Write through training.write_whole, or say why not in {__file__}: {found}"
