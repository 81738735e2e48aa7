import os
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from keras_transgen.plotting import plot_learning_curves, plot_sample_grid, save_figure

FIGURE = plot_learning_curves({"loss": [1.0, 0.5]})


def test_a_png_has_the_figures_size_and_pixels(tmp_path):
    path = save_figure(FIGURE, tmp_path / "new" / "folder" / "a.png", dpi=100)
    assert path == tmp_path / "new" / "folder" / "a.png"
    with Image.open(path) as image:
        assert image.size == tuple(int(100 * inches) for inches in FIGURE.get_size_inches())
        pixels = np.array(image.convert("RGB"))
    assert pixels[0, 0].tolist() == [255, 255, 255]
    blue = (np.abs(pixels.astype(int) - [0, 0x72, 0xB2]).sum(axis=-1) < 30).sum()
    assert blue > 50, "the curve is drawn in its colour"
    assert os.listdir(path.parent) == ["a.png"]
    assert path.stat().st_mode & 0o777 == 0o666 & ~_umask()


def _umask():
    mask = os.umask(0)
    os.umask(mask)
    return mask


@pytest.mark.parametrize(
    ("suffix", "head"), [("svg", b"<?xml"), ("pdf", b"%PDF"), ("JPG", b"\xff")]
)
def test_the_suffix_is_the_format(tmp_path, suffix, head):
    assert save_figure(FIGURE, tmp_path / f"a.{suffix}").read_bytes().startswith(head)


def test_a_figure_that_cannot_be_drawn_leaves_the_old_file_and_nothing_beside(tmp_path):
    path = tmp_path / "a.png"
    path.write_bytes(b"old")
    broken = plot_sample_grid(np.zeros((1, 8, 8, 1)))
    broken.axes[0].set_title("$\\undefined{x}$")
    with pytest.raises(ValueError, match="undefined"):
        save_figure(broken, path)
    assert path.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["a.png"]


@pytest.mark.parametrize("name", ["a", "a.txt", "a.keras"])
def test_other_suffixes_are_refused(tmp_path, name):
    with pytest.raises(ValueError, match=r"ends in one of .*png.*Received"):
        save_figure(FIGURE, tmp_path / name)
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
def test_neither_import_nor_a_figure_touches_pyplot_or_the_settings(tmp_path):
    code = """if True:
        import sys, types
        package = types.ModuleType("keras_transgen")
        package.__path__ = ["keras_transgen"]
        sys.modules["keras_transgen"] = package
        import keras_transgen.plotting as plotting
        assert "matplotlib" not in sys.modules
        import matplotlib
        before = dict(matplotlib.rcParams)
        plotting.save_figure(plotting.plot_learning_curves({"loss": [1.0]}), sys.argv[1])
        assert dict(matplotlib.rcParams) == before
        assert "matplotlib.pyplot" not in sys.modules
        assert "tensorflow" not in sys.modules
    """
    subprocess.run([sys.executable, "-c", code, str(tmp_path / "a.png")], check=True)
