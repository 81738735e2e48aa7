"""The commands read images in the range that a network was trained on, or ask for it."""

import json

import keras
import numpy as np
import pytest
from typer.testing import CliRunner

import keras_transgen as ktg
from keras_transgen.backbones.digits_network import digits_backbone
from keras_transgen.cli.application import app
from keras_transgen.cli.extract import run_extract
from keras_transgen.cli.image_input import image_input
from keras_transgen.cli.options import range_of
from keras_transgen.cli.transfer import run_transfer
from keras_transgen.datasets import image_folder


def saved(form, folder):
    """The digits' network, which takes 0 to 1, behind other first layers, in a file."""
    network = digits_backbone().network
    x = image = keras.Input((8, 8, 1))
    if form == "rescales":
        x = keras.layers.Rescaling(1 / 255)(image)
    elif form == "takes -1 to 1":
        # Arithmetic of one's own tells nobody.
        x = (image + 1.0) / 2.0
    path = folder / "network.keras"
    keras.Model(image, network(x)).save(path)
    return str(path)


@pytest.fixture(scope="module")
def features(digit_folder):
    """What the network makes of the images, read by hand."""
    data = image_folder(digit_folder, image_size=8, color_mode="grayscale")
    backbone = ktg.load_backbone("digits")
    return np.concatenate([np.asarray(backbone(images)) for images, _ in data])


def extracted(source, digit_folder, tmp_path, **options):
    with np.load(run_extract(source, digit_folder, tmp_path / "f.npz", **options)) as file:
        return file["features"], str(file["digest"])


@pytest.mark.slow
def test_a_network_that_rescales_is_read(digit_folder, features, tmp_path):
    source = saved("rescales", tmp_path)
    backbone = ktg.load_backbone(source)
    assert image_input(backbone, None).value_range == (0.0, 255.0)
    found, _ = extracted(source, digit_folder, tmp_path)
    np.testing.assert_allclose(found, features, atol=1e-4)
    report = run_transfer(source, digit_folder, output=tmp_path / "out")
    assert report["validation_accuracy"] >= 0.9


@pytest.mark.parametrize(
    "command",
    [
        "transfer {source} {images} --output {out}",
        "extract {source} {images} {out}.npz",
        "evaluate {images} {images} --backbone {source}",
        "tune {images} --backbone {source} --output {out}",
        "tune digits --backbone {source} --output {out}",
    ],
)
def test_an_unknown_range_is_asked_for(command, digit_folder, tmp_path):
    source, out = saved("unknown", tmp_path), tmp_path / "out"
    words = command.format(source=source, images=digit_folder, out=out).split()
    result = CliRunner().invoke(app, words)
    assert isinstance(result.exception, ValueError), result.output
    assert "give --value-range 0,255 (or 0,1 or -1,1)" in str(result.exception)
    assert "--preprocessing caffe, torch or tf" in str(result.exception)
    assert not out.exists()
    assert not out.with_suffix(".npz").exists()


@pytest.mark.slow
def test_the_range_is_said(digit_folder, features, tmp_path):
    known, _ = extracted(saved("unknown", tmp_path), digit_folder, tmp_path, value_range="0,1")
    np.testing.assert_allclose(known, features, atol=1e-5)
    source = saved("takes -1 to 1", tmp_path)
    found, _ = extracted(source, digit_folder, tmp_path, value_range="-1,1")
    np.testing.assert_allclose(found, features, atol=1e-4)
    words = ["transfer", source, str(digit_folder), "--output", str(tmp_path / "out")]
    result = CliRunner().invoke(app, [*words, "--value-range", "-1,1"])
    assert result.exit_code == 0, result.output
    report = json.loads((tmp_path / "out" / "report.json").read_text())
    assert report["validation_accuracy"] >= 0.9
    model = ktg.load_model(tmp_path / "out" / "model.keras")
    assert model.input_contract.value_range == (-1.0, 1.0)


@pytest.mark.slow
def test_a_convention_is_said(digit_folder, features, tmp_path):
    source = saved("takes -1 to 1", tmp_path)
    found, digest = extracted(source, digit_folder, tmp_path, preprocessing="tf")
    np.testing.assert_allclose(found, features, atol=1e-4)
    _, other = extracted(source, digit_folder, tmp_path, value_range="-1,1")
    assert digest != other
    report = run_transfer(source, digit_folder, preprocessing="tf", output=tmp_path / "out")
    assert report["validation_accuracy"] >= 0.9
    model = ktg.load_model(tmp_path / "out" / "model.keras")
    assert model.input_contract.value_range == (0.0, 255.0)
    data = image_folder(digit_folder, image_size=8, color_mode="grayscale", value_range=(0, 255))
    labels = np.concatenate([batch[1] for batch in data])
    assert np.mean(model.classify(data, verbose=0) == labels) >= 0.9


@pytest.mark.parametrize(
    "options",
    [["--value-range", "-1,1"], ["--preprocessing", "tf"]],
)
def test_samples_are_compared_in_the_range(options, digit_folder, tmp_path):
    folders = [str(digit_folder / name) for name in ("one", "four")]

    def metrics(*more):
        out = tmp_path / "metrics.json"
        result = CliRunner().invoke(app, ["evaluate", *folders, "--output", str(out), *more])
        assert result.exit_code == 0, result.output
        # Too few images for some of them.
        found = json.loads(out.read_text()).values()
        return [value for value in found if value is not None]

    known = metrics("--image-size", "8")
    assert len(known) >= 4
    source = saved("takes -1 to 1", tmp_path)
    np.testing.assert_allclose(metrics("--backbone", source, *options), known, rtol=1e-2)


@pytest.mark.slow
@pytest.mark.parametrize("images", ["digits", None])
def test_a_search_in_the_range(images, digit_folder, tmp_path):
    source = saved("takes -1 to 1", tmp_path)
    words = ["tune", images or str(digit_folder), "--backbone", source, "--trials", "1"]
    words += ["--space", "kind=feature", "--space", "head=linear", "--output", str(tmp_path / "o")]
    result = CliRunner().invoke(app, [*words, "--value-range", "-1,1"])
    assert result.exit_code == 0, result.output
    report = json.loads((tmp_path / "o" / "report.json").read_text())
    assert report["best"]["score"] >= 0.9
    again = CliRunner().invoke(app, [*words, "--preprocessing", "tf"])
    assert "images and options must be the same" in str(again.exception)


def test_a_painting_asks_too(digit_folder, tmp_path):
    source = saved("unknown", tmp_path)
    pictures = [str(path) for path in sorted((digit_folder / "one").iterdir())[:2]]
    words = ["stylize", *pictures, "--backbone", source, "--output", str(tmp_path / "made.png")]
    asked = CliRunner().invoke(app, words).exception
    assert "give --value-range 0,255 (or 0,1 or -1,1). Received" in str(asked)
    more = ["--value-range", "0", "--steps", "1"]
    assert "takes two numbers" in str(CliRunner().invoke(app, [*words, *more]).exception)


def test_the_range_on_the_command_line():
    assert range_of(None) is None
    assert range_of("0,255") == (0.0, 255.0)
    assert range_of("-123.68,151.1") == (-123.68, 151.1)


@pytest.mark.parametrize("text", ["0", "0,1,2", "1,0", "0,0", "a,b", "", "0,inf", "nan,1"])
def test_what_is_no_range_is_refused(text):
    with pytest.raises(ValueError, match="--value-range takes two numbers, the lower first"):
        range_of(text)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("--value-range 0,1 --preprocessing tf", "leave out --value-range"),
        ("--value-range 1,0", "takes two numbers"),
        ("--preprocessing caffe", "for colour images"),
    ],
)
def test_options_that_do_not_fit_are_refused(words, message, digit_folder, tmp_path):
    source = saved("unknown", tmp_path)
    output = str(tmp_path / "features.npz")
    given = ["extract", source, str(digit_folder), output, *words.split()]
    assert message in str(CliRunner().invoke(app, given).exception)


def test_rescaling_twice_and_generation_are_refused(digit_folder, tmp_path):
    source = saved("rescales", tmp_path)
    for words in (["transfer", source], ["extract", source]):
        words = [*words, str(digit_folder), *(["f.npz"] if words[0] == "extract" else [])]
        result = CliRunner().invoke(app, [*words, "--preprocessing", "tf"])
        assert "begins with its own rescaling" in str(result.exception)
    words = ["tune", str(digit_folder), "--task", "vae", "--value-range", "0,1"]
    assert "of --task transfer" in str(CliRunner().invoke(app, words).exception)
