"""`keras-transgen tune` as a user types it: what is searched, shown and written."""

import json

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

import keras_transgen as ktg
from keras_transgen.cli.application import app
from keras_transgen.cli.tune import run_tune
from keras_transgen.cli.tune_space import space_of
from keras_transgen.datasets import image_folder


@pytest.mark.parametrize(
    ("parts", "space"),
    [
        (["kind=feature,structure", "rank=4"], {"kind": ["feature", "structure"], "rank": 4}),
        (["l2=sweep,0.1"], {"l2": ["sweep", 0.1]}),
        (["rate=1e-5:1e-3:log"], {"rate": {"min_value": 1e-5, "max_value": 1e-3,
                                           "sampling": "log"}}),
        (["units=8:64"], {"units": {"min_value": 8, "max_value": 64, "sampling": "linear"}}),
        (["auxiliary_classifier=true"], {"auxiliary_classifier": True}),
    ],
)  # fmt: skip
def test_the_space_on_the_command_line(parts, space):
    assert space_of(parts) == space


@pytest.mark.parametrize("part", ["rank", "rank=", "=4", "a=1:2:log:4"])
def test_a_space_that_cannot_be_read(part):
    with pytest.raises(ValueError, match=f"Received: --space {part}"):
        space_of([part])


def test_a_process_of_a_distributed_search_is_refused(monkeypatch):
    monkeypatch.setenv("KERASTUNER_ORACLE_IP", "10.0.0.7")
    with pytest.raises(ValueError, match=r"one process.*10\.0\.0\.7"):
        run_tune("digits")


def test_help():
    result = CliRunner().invoke(app, ["tune", "--help"])
    assert result.exit_code == 0
    for option in ("--task", "--trials", "--output", "--space"):
        assert option in result.output


@pytest.mark.slow
def test_a_search_for_the_best_transfer_and_going_on_with_it(digit_folder, tmp_path):
    arguments = ["tune", digit_folder, "--backbone", "digits", "--size", 8, "--epochs", 1,
                 "--space", "kind=feature", "--space", "head=linear,nearest_centroid",
                 "--space", "l2=0.01,1.0", "--output", tmp_path]  # fmt: skip

    def run(trials):
        result = CliRunner().invoke(app, [str(each) for each in [*arguments, "--trials", trials]])
        assert result.exit_code == 0, result.output
        return result.output, json.loads((tmp_path / "report.json").read_text())

    output, report = run(2)
    assert "val_accuracy" in output
    assert len(report["trials"]) == 2
    assert report["classes"] == ["four", "one", "zero"]
    scores = [row["score"] for row in report["trials"]]
    assert scores == sorted(scores, reverse=True)
    assert report["best"]["score"] == scores[0]
    # The file holds the model that the report speaks of: it knows the images, read by hand.
    model = ktg.load_model(tmp_path / "model.keras")
    data = image_folder(digit_folder, image_size=8, color_mode="grayscale")
    labels = np.concatenate([batch[1] for batch in data])
    assert np.mean(model.classify(data, verbose=0) == labels) >= 0.9
    assert Image.open(tmp_path / "parallel_coordinates.png").size[0] > 300
    # Three combinations exist: two more trials find the one that is left.
    _, report = run(4)
    assert len(report["trials"]) == 3
    options = {"backbone": ["digits"], "size": 8, "output": tmp_path, "trials": 5}
    with pytest.raises(ValueError, match="another space"):
        run_tune(str(digit_folder), epochs=1, **options)
    with pytest.raises(
        ValueError, match=r"only --trials and --minutes may.*epochs 2; .* has epochs 1"
    ):
        run_tune(str(digit_folder), epochs=2, **options)


@pytest.mark.slow
@pytest.mark.parametrize("task", ["vae", "conditional-gan"])
@pytest.mark.long
def test_a_search_for_a_generative_model(task, digit_folder, tmp_path):
    space = {
        "vae": ["network=dense", "hidden_units=8", "latent_dim=2,4", "free_bits=0.0"],
        "conditional-gan": ["filters=2,4", "latent_dim=4", "augmentation=none",
                            "gradient_penalty=none", "discriminator_steps=1",
                            "auxiliary_classifier=false", "generator_conditioning=concatenation"],
    }[task]  # fmt: skip
    report = run_tune(
        str(digit_folder),
        task=task,
        trials=2,
        epochs=1,
        image_size=8,
        color="grayscale",
        space=space,
        output=tmp_path,
    )
    expected = {"vae": "val_negative_elbo", "conditional-gan": "kernel_distance[digits]"}[task]
    assert report["objective"] == expected
    assert report["best"]["score"] == min(row["score"] for row in report["trials"])
    model = ktg.load_model(tmp_path / "model.keras")
    assert model.example_shape == (8, 8, 1)
    if task == "conditional-gan":
        assert report["classes"] == ["four", "one", "zero"]
        assert model.sample(np.array([0, 2]), seed=0).shape == (2, 8, 8, 1)


@pytest.mark.parametrize("place", ["search", "search/trial_0", "search/oracle.json"])
def test_a_link_in_the_folder_of_the_search_is_refused(tmp_path, place):
    (tmp_path / "elsewhere").mkdir()
    link = tmp_path / "out" / place
    link.parent.mkdir(parents=True)
    link.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(ValueError, match="leads away"):
        run_tune("digits", output=tmp_path / "out")
    assert list((tmp_path / "elsewhere").iterdir()) == []


@pytest.mark.slow
def test_limits_of_a_search_and_beginning_anew(digit_folder, tmp_path):
    space = ["kind=parameter", "learning_rate=0.001,0.002,0.003"]
    options = {"image_size": 8, "batch_size": 8, "space": space, "output": tmp_path, "steps": 3}
    with pytest.raises(ValueError, match=r"with more --minutes goes on.*--minutes 1e-06"):
        run_tune(str(digit_folder), minutes=1e-6, trials=1, **options)
    report = run_tune(str(digit_folder), trials=1, **options)
    assert report["best"]["score"] is not None
    # Three steps of the seven or eight that an epoch has.
    assert int(ktg.load_model(tmp_path / "model.keras").progress.step.numpy()) == 3
    with pytest.raises(ValueError, match="Begin anew with --restart"):
        run_tune(str(digit_folder), trials=1, **{**options, "steps": 2})
    report = run_tune(str(digit_folder), trials=1, restart=True, **{**options, "steps": 2})
    assert len(report["trials"]) == 1
    assert int(ktg.load_model(tmp_path / "model.keras").progress.step.numpy()) == 2


def test_a_folder_that_holds_no_search_is_not_emptied(digit_folder, tmp_path):
    (tmp_path / "search").mkdir()
    (tmp_path / "search" / "novel.txt").write_text("Chapter 1")
    with pytest.raises(ValueError, match="nothing"):
        run_tune(str(digit_folder), restart=True, backbone=["nothing"], output=tmp_path)
    assert (tmp_path / "search" / "novel.txt").exists()
