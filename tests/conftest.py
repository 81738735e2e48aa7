"""What every test may use: the shared folder, two logical CPU devices, a fresh seed."""

import collections
import gc
import itertools
import os
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
os.environ.setdefault("MPLBACKEND", "Agg")
# Test processes run side by side, a core each.
os.environ.setdefault("TF_NUM_INTRAOP_THREADS", "1")
# The same kernels on CPUs with and without AVX-512; without it TensorFlow leaves these off.
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")
# XLA's simple way of making loops, without LLVM's optimizations: what it compiles is the same, and
# small networks are compiled in a quarter of the time.
os.environ.setdefault(
    "XLA_FLAGS", "--xla_cpu_use_fusion_emitters=false --xla_backend_optimization_level=0"
)

import keras
import pytest
import tensorflow as tf

from tests.fresh_process import FreshProcess
from tests.harness import Tools, is_proven_by_the_core

# Two logical devices must exist before TensorFlow starts, in every test process.
tf.config.set_logical_device_configuration(
    tf.config.list_physical_devices("CPU")[0],
    [tf.config.LogicalDeviceConfiguration(), tf.config.LogicalDeviceConfiguration()],
)


_finished_files = itertools.count(1)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config, items):
    """Mark as long what the core's models prove for others.

    Among several processes, files with the most slow tests come first, then those with the most: so
    none ends up alone.
    """
    for item in items:
        if is_proven_by_the_core(item):
            item.add_marker(pytest.mark.long)
    if hasattr(config, "workerinput"):
        slow = collections.Counter(
            item.path
            for item in items
            if item.get_closest_marker("slow") or item.get_closest_marker("long")
        )
        count = collections.Counter(item.path for item in items)
        items.sort(key=lambda item: (-slow[item.path], -count[item.path], str(item.path)))


def pytest_collection_finish():
    """What is there when the tests begin is not searched for garbage again."""
    gc.freeze()


@pytest.hookimpl(trylast=True)
def pytest_runtest_teardown(item, nextitem):
    """Nor is what outlives a file of tests.

    Keras Tuner searches all of memory before every trial, and Python now and then; after a thousand
    tests that took most of a search's time.
    """
    if nextitem is None or nextitem.path != item.path:
        if next(_finished_files) % 5 == 0:
            # What was still held when its file ended may be garbage by now.
            gc.unfreeze()
        gc.collect()
        gc.freeze()


@pytest.fixture(autouse=True)
def seeded():
    """Every test starts from the same random state and the float32 policy, and leaves no graph."""
    keras.utils.set_random_seed(0)
    yield
    keras.config.set_dtype_policy("float32")


@pytest.fixture(scope="session")
def two_replicas() -> tf.distribute.Strategy:
    """The strategy over the two logical CPU devices."""
    from keras_transgen.distributed import mirrored_strategy

    return mirrored_strategy(["CPU:0", "CPU:1"])


@pytest.fixture(scope="session")
def fresh_process(tmp_path_factory):
    """A process that loads what the tests save and knows nothing else of them."""
    process = FreshProcess(tmp_path_factory.mktemp("fresh_home"))
    yield process
    process.close()


@pytest.fixture
def tools(tmp_path, fresh_process, two_replicas) -> Tools:
    """What the harness's checks use."""
    return Tools(tmp_path, fresh_process, two_replicas)


@pytest.fixture(scope="session")
def shared_folder() -> Path:
    """The folder of real data and modules, or a skip that says why."""
    folder = Path(os.environ.get("KERAS_TRANSGEN_SHARED", Path(__file__).parents[2] / "shared"))
    if not (folder / "hub").is_dir():
        pytest.skip(f"needs the shared data: {folder} is absent (set KERAS_TRANSGEN_SHARED)")
    return folder
