"""The command as a user meets it: help, results on disk, errors that say what to do."""

import json
import subprocess
import sys

import numpy as np
import pytest
from typer.testing import CliRunner

import keras_transgen as ktg
from keras_transgen.backbones.digits_network import digits_network
from keras_transgen.cli.application import app, main
from keras_transgen.cli.demo import run_demo
from keras_transgen.cli.extract import run_extract
from keras_transgen.cli.transfer import run_transfer
from keras_transgen.datasets import image_folder


def command(*arguments: str) -> subprocess.CompletedProcess:
    return subprocess.run(
        [sys.executable, "-m", "keras_transgen.cli", *arguments],
        capture_output=True,
        text=True,
        check=False,
        env={"PATH": "", "COLUMNS": "200", "HOME": "/tmp"},
    )


def test_help_lists_the_commands_and_imports_nothing_heavy():
    code = (
        "import sys; from typer.testing import CliRunner; "
        "from keras_transgen.cli.application import app; "
        "result = CliRunner().invoke(app, ['--help']); print(result.output); "
        "assert result.exit_code == 0; "
        "heavy = {'numpy', 'tensorflow', 'keras', 'sklearn', 'matplotlib'} & set(sys.modules); "
        "assert not heavy, heavy"
    )
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    for name in ("demo", "transfer", "classify", "inspect", "extract", "generate", "evaluate"):
        assert name in result.stdout


@pytest.mark.parametrize("name", ["demo", "transfer", "classify", "inspect", "extract", "evaluate"])
def test_every_command_explains_itself(name):
    result = CliRunner().invoke(app, [name, "--help"])
    assert result.exit_code == 0
    assert "Usage" in result.output


def test_a_registered_delta_is_a_method_and_any_other_word_is_none(monkeypatch, tmp_path):
    from keras_transgen.transfer.deltas import DELTAS, Bias

    monkeypatch.setitem(DELTAS, "of_my_own", Bias)
    monkeypatch.setenv("COLUMNS", "300")
    said = CliRunner().invoke(app, ["transfer", "--help"]).output
    for name in ("feature", "parameter", *DELTAS):
        # One copies from a network, which no option could give.
        assert (name in said) is (name != "copy")
    result = CliRunner().invoke(app, ["transfer", "digits", str(tmp_path), "--method", "copy"])
    assert result.exit_code == 2
    assert "of_my_own" in result.output


@pytest.mark.slow
def test_transfer_writes_the_model_the_report_and_the_figures(digit_folder, tmp_path):
    output = tmp_path / "out"
    report = run_transfer("digits", digit_folder, image_size=8, output=output)
    assert report == json.loads((output / "report.json").read_text())
    assert report["classes"] == ["four", "one", "zero"]
    assert report["validation_examples"] == 15
    assert report["validation_accuracy"] >= 0.9
    assert (output / "confusion_matrix.png").read_bytes()[:4] == b"\x89PNG"
    # The file holds the model that the report speaks of: the same images, read by hand.
    model = ktg.load_model(output / "model.keras")
    data = image_folder(digit_folder, image_size=8, color_mode="grayscale")
    labels = np.concatenate([batch[1] for batch in data])
    assert np.mean(model.classify(data, verbose=0) == labels) >= 0.9


@pytest.mark.slow
@pytest.mark.parametrize("method", ["parameter", "lora", "bias"])
@pytest.mark.long
def test_transfer_by_other_methods(digit_folder, tmp_path, method):
    report = run_transfer(
        "digits",
        digit_folder,
        method=method,
        epochs=2,
        image_size=8,
        validation=digit_folder,
        output=tmp_path,
    )
    assert report["validation_examples"] == 72
    assert report["validation_accuracy"] >= 0.9
    # The rate was looked for; one that kept the probe has no curves.
    kept = report["recipe"].startswith("kept the probe")
    assert (tmp_path / "learning_curves.png").exists() is not kept
    assert (tmp_path / "learning_rates.png").exists()
    assert report["recipe_judged_by_validation_data"] is False
    whole = report["trainable_parameters"] > 0.9 * report["parameters"]
    assert whole == (method == "parameter" and not kept)


def test_extract_writes_what_the_backbone_computes(digit_folder, tmp_path):
    output = run_extract("digits", digit_folder, tmp_path / "features.npz", image_size=8)
    with np.load(output) as saved:
        assert list(saved["class_names"]) == ["four", "one", "zero"]
        np.testing.assert_array_equal(np.bincount(saved["labels"]), [24, 24, 24])
        backbone = ktg.load_backbone("digits")
        data = image_folder(digit_folder, image_size=8, color_mode="grayscale")
        again = np.concatenate([np.asarray(backbone(images)) for images, _ in data])
        np.testing.assert_allclose(saved["features"], again, atol=1e-5)
        assert str(saved["digest"]) == backbone.digest()
        assert saved["files"][0].endswith("four/00.png")


def test_extract_from_a_folder_without_classes(digit_folder, tmp_path):
    output = run_extract("digits", digit_folder / "one", tmp_path / "one.npz", image_size=8)
    with np.load(output) as saved:
        assert "labels" not in saved
        assert saved["features"].shape == (24, 128)


def test_inspect_shows_groups_and_digest():
    result = CliRunner().invoke(app, ["inspect", "digits"])
    assert result.exit_code == 0, result.output
    backbone = ktg.load_backbone("digits")
    assert backbone.digest() in result.output.replace("\n", "")
    total = sum(int(np.prod(weight.shape)) for weight in digits_network().trainable_weights)
    assert f"{total:,}" in result.output
    for group in backbone.parameter_groups():
        assert group.name in result.output


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["transfer", "digits", "nowhere", "--image-size", "8"], "nowhere"),
        (["transfer", "digits", "{folder}", "--image-size", "8", "--epochs", "3"], "--epochs"),
        (["extract", "digits", "{folder}", "out.txt", "--image-size", "8"], "npz"),
        (["inspect", "/no/such/module"], "/no/such/module"),
    ],
)
def test_errors_say_what_to_do(digit_folder, arguments, message, monkeypatch, capsys):
    given = [argument.format(folder=digit_folder) for argument in arguments]
    monkeypatch.setattr(sys, "argv", ["keras-transgen", *given])
    monkeypatch.setenv("COLUMNS", "200")
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 1
    errors = capsys.readouterr().err
    assert "Error" in errors
    assert message in errors


@pytest.mark.slow
@pytest.mark.long
def test_a_process_ends_with_an_error_and_without_a_traceback():
    result = command("transfer", "digits", "nowhere", "--image-size", "8")
    assert result.returncode == 1
    assert "Error" in result.stderr
    assert "nowhere" in result.stderr
    assert "Traceback" not in result.stderr


@pytest.mark.slow
@pytest.mark.long
def test_demo_makes_its_table_figure_and_models(tmp_path):
    found = run_demo(tmp_path, shots=5, seeds=1, generation=False, text=False)
    results = {row.method: row for row in found.rows}
    assert len(results) == 4
    files = {path.name for path in tmp_path.iterdir()}
    assert files == {
        "accuracy.png",
        "from_scratch.keras",
        "feature_transfer.keras",
        "parameter_transfer.keras",
        "structure_transfer.keras",
    }
    # What the project exists for: with five labels a class every transfer beats none.
    scratch = results.pop("from scratch").accuracies[0]
    assert all(row.accuracies[0] > scratch for row in results.values())
    # A head of 128 x 10 weights and 10 biases is all that feature transfer trains.
    assert results["feature transfer"].trainable_parameters == 128 * 10 + 10
    _, (x, y) = ktg.datasets.load_digits_split(test_fraction=0.5)
    model = ktg.load_model(tmp_path / "structure_transfer.keras")
    accuracy = np.mean(model.classify(x, verbose=0) == y)
    assert accuracy == pytest.approx(results["structure transfer (LoRA)"].accuracies[0])


HOSTILE = "[/b]\x1b]0;owned\x07\x1b[2J"


def module_of_names(folder):
    """A module whose author chose the names of its variables with care."""
    import tensorflow as tf
    from tensorflow.core.protobuf import saved_model_pb2

    module = tf.Module()
    module.kernel = tf.Variable(tf.ones([3, 2]))
    module.__call__ = tf.function(lambda x: x @ module.kernel, [tf.TensorSpec([None, 3])])
    tf.saved_model.save(module, str(folder))
    graph = saved_model_pb2.SavedModel.FromString((folder / "saved_model.pb").read_bytes())
    for node in graph.meta_graphs[0].object_graph_def.nodes:
        if node.WhichOneof("kind") == "variable":
            node.variable.name = f"{HOSTILE.replace('/', '')}/kernel"
    (folder / "saved_model.pb").write_bytes(graph.SerializeToString())
    return folder


def test_names_in_a_module_cannot_act_on_a_terminal(tmp_path, capsys, monkeypatch):
    from keras_transgen.cli.inspect import run_inspect

    monkeypatch.setenv("COLUMNS", "200")
    run_inspect(str(module_of_names(tmp_path / "module")))
    printed = capsys.readouterr().out
    assert "\x1b" not in printed
    assert r"[b]\x1b]0;owned\x07\x1b[2J" in printed


@pytest.mark.parametrize("traceback", ["", "1"])
@pytest.mark.parametrize("kind", [ValueError, KeyError, RuntimeError])
def test_errors_cannot_act_on_a_terminal(monkeypatch, capsys, kind, traceback):
    def fails():
        raise kind(f"Received: {HOSTILE}")

    monkeypatch.setenv("KERAS_TRANSGEN_TRACEBACK", traceback)
    monkeypatch.setattr("keras_transgen.cli.application.app", fails)
    with pytest.raises(SystemExit) as end:
        main()
    assert end.value.code == 1
    said = capsys.readouterr().err
    assert "\x1b" not in said
    assert "[/b]" in said
    assert ("Traceback" in said) == bool(traceback or kind is not ValueError)
