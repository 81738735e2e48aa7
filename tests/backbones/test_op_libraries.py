"""Modules that need ops of a library: imported where it is installed, else named."""

import os
import subprocess
import sys
import types
from pathlib import Path

import pytest
import tensorflow as tf

from keras_transgen.backbones import SavedModelBackbone, op_libraries
from keras_transgen.backbones.audit.registered_ops import is_here
from keras_transgen.backbones.op_libraries import import_op_libraries

OPS = ["AddV2", "SentencepieceOp", "TFText>FastWordpieceDetokenize"]
SERIES = ".".join(tf.__version__.split(".")[:2])


@pytest.fixture(autouse=True)
def nothing_left():
    """What a test imported in the library's place is nobody's after it."""
    before = sys.modules.get("tensorflow_text")
    yield
    sys.modules.pop("tensorflow_text", None)
    if before is not None:
        sys.modules["tensorflow_text"] = before


@pytest.fixture
def absent(monkeypatch):
    """As if nobody had imported the library, whether it is installed or not."""
    here = {"AddV2"}
    monkeypatch.setattr(op_libraries, "is_here", here.__contains__)
    return here


def test_nothing_is_imported_without_need(monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorflow_text", None)
    import_op_libraries(["AddV2", "NobodysOp"], "module")


def test_what_is_registered_is_not_imported_again(absent, monkeypatch):
    absent.update(OPS)
    monkeypatch.setitem(sys.modules, "tensorflow_text", None)
    import_op_libraries(OPS, "module")


def test_without_the_library_it_is_named(absent, monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorflow_text", None)
    with pytest.raises(ValueError) as error:
        import_op_libraries(OPS, "some\x1b[1mwhere")
    said = str(error.value)
    assert f"pip install 'tensorflow-text=={SERIES}.*' (or 'keras-transgen[text]')" in said
    assert said.endswith("with the ops SentencepieceOp, TFText>FastWordpieceDetokenize")
    assert "\x1b" not in said


def test_the_library_is_imported(absent, monkeypatch, tmp_path):
    (tmp_path / "tensorflow_text.py").write_text("IMPORTED = True")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "tensorflow_text", raising=False)
    with pytest.raises(ValueError, match=r"the installed tensorflow-text does not have.*Sentence"):
        import_op_libraries(OPS, "module")
    assert sys.modules["tensorflow_text"].IMPORTED
    monkeypatch.setitem(sys.modules, "tensorflow_text", types.ModuleType("tensorflow_text"))
    monkeypatch.setattr(op_libraries.importlib, "import_module", lambda name: absent.update(OPS))
    import_op_libraries(OPS, "module")


def test_a_library_of_another_series(absent, monkeypatch, tmp_path):
    broken = "import tensorflow as tf\nraise tf.errors.NotFoundError(None, None, 'no symbol')"
    (tmp_path / "tensorflow_text.py").write_text(broken)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "tensorflow_text", raising=False)
    with pytest.raises(ValueError, match=rf"does not go with TensorFlow {tf.__version__}.*symbol"):
        import_op_libraries(OPS, "module")


@pytest.mark.shared_data
def test_a_real_module_says_what_it_needs(shared_folder, monkeypatch):
    if is_here("SentencepieceOp"):
        pytest.skip("tensorflow_text was imported in this process")
    monkeypatch.setitem(sys.modules, "tensorflow_text", None)
    folder = shared_folder / "hub" / "universal_sentence_encoder_multilingual"
    with pytest.raises(ValueError, match=r"not installed here: pip install .*ops Sentencepiece"):
        SavedModelBackbone(folder)


CODE = """
import sys, numpy as np, tensorflow as tf
import keras_transgen as ktg

backbone = ktg.load_backbone(sys.argv[1])
assert "tensorflow_text" in sys.modules
texts = ["a dog ran", "un chien court", "the bank lent money", "la banque prête de l'argent"]
vectors = np.asarray(backbone(tf.constant(texts)))
expected = tf.saved_model.load(sys.argv[1])(tf.constant(texts)).numpy()
np.testing.assert_allclose(vectors, expected, atol=1e-5)
near = vectors @ vectors.T
assert near[0, 1] > near[0, 2] and near[2, 3] > near[2, 0]
model = ktg.FeatureTransfer(backbone, 2)
model.fit(tf.constant(texts * 3), np.array([0, 0, 1, 1] * 3), verbose=0)
assert (model.classify(tf.constant(texts), verbose=0) == [0, 0, 1, 1]).all()
print("embedded")
"""


@pytest.mark.shared_data
@pytest.mark.slow
def test_a_real_module_where_the_library_is_installed(shared_folder, tmp_path):
    """In a process of its own, since ops that are registered once stay."""
    folder = shared_folder / "hub" / "universal_sentence_encoder_multilingual"
    found = subprocess.run(
        [sys.executable, "-c", "import tensorflow_text"], capture_output=True, check=False
    )
    if found.returncode != 0:
        pytest.skip("needs tensorflow_text: pip install keras-transgen[text]")
    ran = subprocess.run(
        [sys.executable, "-c", CODE, str(folder)],
        capture_output=True,
        text=True,
        env={**os.environ, "KERAS_TRANSGEN_HOME": str(tmp_path)},
        cwd=Path(__file__).parents[2],
        check=False,
    )
    assert ran.stdout.strip().endswith("embedded"), ran.stderr[-3000:]
