"""What every test may use: the shared folder, two logical CPU devices, a fresh seed."""

import os
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
os.environ.setdefault("MPLBACKEND", "Agg")

import keras
import pytest
import tensorflow as tf

# Two logical devices must exist before TensorFlow starts, in every test process.
tf.config.set_logical_device_configuration(
    tf.config.list_physical_devices("CPU")[0],
    [tf.config.LogicalDeviceConfiguration(), tf.config.LogicalDeviceConfiguration()],
)


@pytest.fixture(autouse=True)
def seeded():
    """Every test starts from the same random state and the float32 policy."""
    keras.utils.set_random_seed(0)
    yield
    keras.config.set_dtype_policy("float32")


@pytest.fixture
def two_replicas() -> tf.distribute.Strategy:
    """MirroredStrategy over the two logical CPU devices."""
    return tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])


@pytest.fixture(scope="session")
def shared_folder() -> Path:
    """The folder of real data and modules, or a skip that says why."""
    folder = Path(os.environ.get("KERAS_TRANSGEN_SHARED", Path(__file__).parents[2] / "shared"))
    if not (folder / "hub").is_dir():
        pytest.skip(f"needs the shared data: {folder} is absent (set KERAS_TRANSGEN_SHARED)")
    return folder
