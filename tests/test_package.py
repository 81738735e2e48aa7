"""The package as a whole: its public names, what importing it costs, its documented examples."""

import subprocess
import sys

import pytest

import keras_transgen as ktg


def test_every_public_name_exists():
    for name in ktg.__all__:
        assert getattr(ktg, name) is not None
    assert set(ktg.__all__) <= set(dir(ktg))


def test_unknown_names_raise():
    with pytest.raises(AttributeError, match="NoSuchModel"):
        _ = ktg.NoSuchModel


def test_importing_the_package_imports_no_heavy_library():
    code = (
        "import sys, keras_transgen; "
        "heavy = {'tensorflow_probability', 'tf_keras', 'tensorflow_hub', 'keras_tuner'} | "
        "{'sklearn', 'scipy', 'matplotlib'}; "
        "assert not heavy & set(sys.modules), heavy & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
