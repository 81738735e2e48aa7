"""What the audit cannot follow is tried where it can do no harm."""

import numpy as np
import pytest
import tensorflow as tf

from keras_transgen.backbones import SavedModelBackbone
from keras_transgen.backbones.audit import UnsafeModuleError, audit_module
from tests.backbones.audit.test_constants import shaped_by

pytestmark = pytest.mark.slow


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("KERAS_TRANSGEN_HOME", str(tmp_path / "home"))


def test_an_honest_module_in_doubt_is_loaded(tmp_path, monkeypatch):
    module = tf.Module()
    module.__call__ = tf.function(
        lambda x: x + tf.linspace(0.0, 1.0, 3), [tf.TensorSpec([None, 3])]
    )
    tf.saved_model.save(module, str(tmp_path / "module"))
    assert audit_module(tmp_path / "module").doubtful
    # What lies in the working folder is a stranger's, and not imported.
    (tmp_path / "resource.py").write_text("open('ran', 'w')")
    (tmp_path / "tensorflow.py").write_text("open('ran', 'w')")
    monkeypatch.chdir(tmp_path)
    computed = SavedModelBackbone(tmp_path / "module")(np.zeros((1, 3), "float32"))
    np.testing.assert_allclose(computed, [[0.0, 0.5, 1.0]])
    assert not (tmp_path / "ran").exists()


def test_a_module_that_takes_all_memory_is_refused(tmp_path):
    folder = shaped_by(tmp_path / "module", [400_000_000])
    with pytest.raises(UnsafeModuleError, match="Reshape wants a large tensor of constants"):
        SavedModelBackbone(folder)
    assert not [file for file in (tmp_path / "home").rglob("*") if file.is_file()]
