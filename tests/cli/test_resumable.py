"""Runs that are stopped, killed and gone on with: real processes, real signals."""

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import keras
import numpy as np
import pytest

import keras_transgen as ktg
from keras_transgen.cli.generate import run_train
from keras_transgen.cli.resumable import ENDLESS, ResumableTraining, preview_interval
from keras_transgen.cli.transfer import run_transfer
from keras_transgen.datasets.screen import Screen

ROOT = Path(__file__).parents[2]


def started(arguments, folder):
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.Popen(
        [sys.executable, "-m", "keras_transgen.cli", *map(str, arguments)],
        cwd=folder,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def wait_for(process, ready, seconds=300):
    end = time.monotonic() + seconds
    while not ready():
        assert process.poll() is None, process.stdout.read()
        assert time.monotonic() < end
        time.sleep(0.02)


def finished(arguments, folder):
    process = started(arguments, folder)
    output, _ = process.communicate(timeout=600)
    return process.returncode, output


COMMANDS = {
    "generate": ["generate", "train", "{images}", "--model", "gan", "--image-size", "8",
                 "--color", "grayscale", "--batch-size", "8"],
    "translate": ["translate", "train", "{images}", "--model", "enhance", "--image-size", "16",
                  "--filters", "2", "--batch-size", "8"],
    "transfer": ["transfer", "digits", "{images}", "--method", "bias", "--image-size", "8",
                 "--learning-rate", "0.001", "--batch-size", "8"],
}  # fmt: skip


def line_of(name, digit_folder, output, epochs):
    words = [word.format(images=digit_folder) for word in COMMANDS[name]]
    return [*words, "--epochs", epochs, "--output", output]


@pytest.mark.slow
@pytest.mark.long
@pytest.mark.parametrize("name", COMMANDS)
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_a_run_that_is_stopped_goes_on(name, number, digit_folder, tmp_path):
    if number == signal.SIGINT and name != "generate":
        pytest.skip("as SIGTERM")
    out = tmp_path / "out"
    # So long that it is surely not at its end.
    line = line_of(name, digit_folder, out, 40)
    process = started(line, tmp_path)
    backup = out / "unfinished" / "checkpoint" / "training_metadata.json"
    wait_for(process, backup.exists)
    process.send_signal(number)
    output, _ = process.communicate(timeout=300)
    if number == signal.SIGKILL:
        assert process.returncode == -signal.SIGKILL
        assert not (out / "model.keras").exists()
    else:
        assert process.returncode == 128 + number, output
        assert "holds what there is so far. The same command goes on" in output.replace("\n", " ")
        assert "Traceback" not in output
        assert ktg.load_model(out / "model.keras") is not None
    done = json.loads(backup.read_text())["epoch"]
    assert 0 < done < 40
    code, output = finished(line, tmp_path)
    assert code == 0, output
    assert "Going on with the unfinished run" in output
    # It went on where it was.
    assert f"Epoch {done + 1}/40" in output
    assert "Epoch 1/40" not in output
    assert not (out / "unfinished").exists()
    assert (out / "learning_curves.png").exists()
    model = ktg.load_model(out / "model.keras")
    batches = {"generate": 9, "translate": 8, "transfer": 8}[name]
    assert int(model.progress.step.numpy()) == 40 * batches


@pytest.mark.slow
@pytest.mark.long
@pytest.mark.parametrize("images", ["digits", "folder"])
def test_a_killed_run_ends_as_one_that_was_not(tmp_path, images):
    """Each epoch has an order of its own, which a new process must not begin again with."""
    count, options = 1797, ["generate", "train", "digits", "--model", "vae", "--epochs", 4]
    if images == "folder":
        count = 320
        pixels, labels = ktg.datasets.load_digits()
        for row in range(count):
            file = tmp_path / "images" / str(labels[row]) / f"{row}.png"
            file.parent.mkdir(parents=True, exist_ok=True)
            keras.utils.save_img(file, pixels[row], scale=True)
        options = ["generate", "train", "images", "--model", "flow", "--image-size", 8,
                   "--batch-size", 8, "--epochs", 4]  # fmt: skip
    line = [*options, "--output", tmp_path / "killed"]
    process = started(line, tmp_path)
    wait_for(process, (tmp_path / "killed/unfinished/checkpoint/training_metadata.json").exists)
    process.kill()
    process.communicate()
    assert finished(line, tmp_path)[0] == 0
    assert finished([*options, "--output", tmp_path / "whole"], tmp_path)[0] == 0
    killed, whole = (
        ktg.load_model(tmp_path / name / "model.keras") for name in ("killed", "whole")
    )
    # In full batches of 64 and of 8.
    steps = {1797: 4 * 28, 320: 4 * 40}[count]
    assert int(killed.progress.step.numpy()) == int(whole.progress.step.numpy()) == steps
    for one, other in zip(killed.weights, whole.weights, strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.slow
@pytest.mark.long
def test_a_killed_language_model_ends_as_one_that_was_not(tmp_path):
    (tmp_path / "book.txt").write_text("to be or not to be, that is the question\n" * 400)
    options = ["text", "train", "book.txt", "--layers", 1, "--width", 16, "--context", 32,
               "--epochs", 30]  # fmt: skip
    line = [*options, "--output", tmp_path / "killed"]
    process = started(line, tmp_path)
    wait_for(process, (tmp_path / "killed/unfinished/checkpoint/training_metadata.json").exists)
    process.kill()
    process.communicate()
    assert not (tmp_path / "killed" / "model.keras").exists()
    code, output = finished(line, tmp_path)
    assert code == 0, output
    assert "Going on with the unfinished run" in output
    assert "Epoch 1/30" not in output
    assert finished([*options, "--output", tmp_path / "whole"], tmp_path)[0] == 0
    killed, whole = (
        ktg.load_model(tmp_path / name / "model.keras") for name in ("killed", "whole")
    )
    for one, other in zip(killed.weights, whole.weights, strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize(("limits", "lines"), [({"minutes": 5}, ["Epoch 1", "Epoch 2"]), ({}, [])])
def test_epochs_without_a_last_one_are_only_numbered(limits, lines, tmp_path, capsys):
    run = ResumableTraining(tmp_path / "out", {}, Screen(), **limits)
    epochs = min(2, run.epochs(None, 3, 2))
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
    model.compile("sgd", "mse")
    shown = [each for each in run.callbacks() if isinstance(each, keras.callbacks.ProgbarLogger)]
    model.fit(np.zeros((4, 1)), np.zeros((4, 1)), epochs=epochs, verbose=2, callbacks=shown)
    said = capsys.readouterr().out
    assert [line for line in said.splitlines() if re.fullmatch(r"Epoch \d+", line)] == lines
    assert ("Epoch 1/2" in said) == (not lines)
    assert said.count("loss: 0.0000") == 2


class Killed(BaseException):
    pass


@pytest.mark.parametrize(
    ("killed", "calls", "found"),
    [
        ("save_weights", 0, 1),
        ("json.dumps", 0, 1),
        ("os.replace", 0, 1),
        ("os.replace", 1, 1),
        ("shutil.rmtree", 0, 2),
        ("shutil.rmtree", 1, 2),
    ],
)
def test_a_kill_while_a_checkpoint_is_written(killed, calls, found, tmp_path, monkeypatch):
    """Whatever the moment, weights and epoch are of one checkpoint, the last or the one before."""
    from keras_transgen.cli import checkpoint

    run = SimpleNamespace(signals=SimpleNamespace(waits=False), seconds=0.0)
    place = tmp_path / "checkpoint"

    def begun():
        model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1, use_bias=False)])
        model.compile("sgd", "mse")
        callback = checkpoint.Checkpoint(run, str(place))
        callback.set_model(model)
        return model, callback

    def save(model, callback, epoch):
        model.layers[0].kernel.assign([[float(epoch)]])
        callback._current_epoch = epoch
        callback._save_model()

    model, callback = begun()
    save(model, callback, 1)
    room, name = {
        "save_weights": (model, "save_weights"),
        "json.dumps": (json, "dumps"),
        "os.replace": (checkpoint.os, "replace"),
        "shutil.rmtree": (checkpoint.shutil, "rmtree"),
    }[killed]
    real, left = getattr(room, name), [calls]

    def until_killed(*given, **named):
        if not left[0]:
            raise Killed
        left[0] -= 1
        return real(*given, **named)

    monkeypatch.setattr(room, name, until_killed)
    with contextlib.suppress(Killed):
        save(model, callback, 2)
    monkeypatch.undo()
    model, callback = begun()
    callback.on_train_begin()
    assert model._initial_epoch == found
    np.testing.assert_array_equal(model.layers[0].kernel, [[found]])
    assert [each.name for each in tmp_path.iterdir()] == ["checkpoint"]


@pytest.mark.slow
@pytest.mark.long
def test_a_signal_before_the_training(tmp_path, digit_folder):
    process = started(line_of("generate", digit_folder, tmp_path / "out", 3), tmp_path)
    assert "Loading" in process.stdout.readline()
    # Importing TensorFlow takes a second or more.
    time.sleep(0.5)
    process.send_signal(signal.SIGTERM)
    output, _ = process.communicate(timeout=300)
    assert process.returncode == 143
    assert "Stopped by a signal." in output
    assert "Traceback" not in output


@pytest.mark.slow
@pytest.mark.long
def test_a_search_that_is_stopped_goes_on(tmp_path, digit_folder):
    line = ["tune", digit_folder, "--image-size", "8", "--trials", "3", "--epochs", "1",
            "--space", "kind=feature", "--space", "head=linear",
            "--space", "l2=0.001:1.0:log", "--output", tmp_path / "out"]  # fmt: skip
    process = started(line, tmp_path)
    wait_for(process, lambda: any((tmp_path / "out/search").glob("trial_*/trial.json")))
    process.send_signal(signal.SIGTERM)
    output, _ = process.communicate(timeout=300)
    if process.returncode:
        assert process.returncode == 143, output
        assert "Stopped by a signal" in output
        assert "Traceback" not in output
    assert finished(line, tmp_path)[0] == 0
    report = json.loads((tmp_path / "out" / "report.json").read_text())
    assert len([row for row in report["trials"] if row["score"] is not None]) == 3


@pytest.mark.slow
def test_steps_and_minutes_end_a_training(digit_folder, tmp_path, capsys):
    options = {"model": "vae", "image_size": 8, "color": "grayscale", "batch_size": 8}
    made = run_train(str(digit_folder), steps=11, output=tmp_path / "steps", **options)
    # In the second epoch of nine steps.
    assert int(made.progress.step.numpy()) == 11
    assert re.findall(r"^(\d+/\d+)", capsys.readouterr().out, re.M) == ["9/9", "2/2"]
    made = run_train(str(digit_folder), minutes=1e-6, output=tmp_path / "minutes", **options)
    assert int(made.progress.step.numpy()) == 1
    assert not (tmp_path / "minutes" / "unfinished").exists()


@pytest.mark.long
def test_steps_of_a_transfer(digit_folder, tmp_path):
    run_transfer("digits", digit_folder, image_size=8, method="bias", steps=3, output=tmp_path)
    # 57 images in batches of 32 are two steps an epoch.
    assert int(ktg.load_model(tmp_path / "model.keras").progress.step.numpy()) in (0, 3)


@pytest.mark.slow
def test_previews_of_translations(digit_folder, tmp_path):
    from keras_transgen.cli.translate_train import run_train as run_translate

    report = run_translate(
        digit_folder, model="enhance", image_size=16, filters=2, epochs=2, output=tmp_path
    )
    names = sorted(path.name for path in (tmp_path / "previews").iterdir())
    assert names == ["epoch_0001.png", "epoch_0002.png"]
    assert report["epochs"] == 2
    assert report["steps"] == 2 * 4
    assert preview_interval(100) == preview_interval(ENDLESS) == 10


@pytest.fixture
def screen():
    return Screen(width=200)


def test_another_run_is_not_gone_on_with(tmp_path, screen):
    ResumableTraining(tmp_path, {"epochs": 3, "seed": 0}, screen).remember(2.5)
    going_on = ResumableTraining(tmp_path, {"epochs": 3, "seed": 0}, screen)
    assert going_on.seconds == 2.5
    with pytest.raises(ValueError, match=r"other data or options.*epochs 4 instead of 3"):
        ResumableTraining(tmp_path, {"epochs": 4, "seed": 0}, screen)
    again = ResumableTraining(tmp_path, {"epochs": 4, "seed": 0}, screen, restart=True)
    assert again.seconds == 0
    assert again.curves() == {}
    assert not again.folder.exists()


def test_a_run_on_files_that_changed_is_not_gone_on_with(tmp_path, screen):
    data = tmp_path / "data"
    data.mkdir()
    (data / "a.png").write_bytes(b"one")
    settings = {"images": str(data), "epochs": 3}
    ResumableTraining(tmp_path / "out", settings, screen).remember(0.0)
    ResumableTraining(tmp_path / "out", settings, screen)
    (data / "a.png").write_bytes(b"another")
    with pytest.raises(ValueError, match=r"other data or options.*state of the data"):
        ResumableTraining(tmp_path / "out", settings, screen)


def test_a_refused_run_leaves_nothing_and_names_need_not_be_utf8(tmp_path, screen):
    (tmp_path / "data").mkdir()
    Path(os.fsdecode(os.fsencode(tmp_path / "data") + b"/\xff.wav")).write_bytes(b"x")

    def refused(trained, **settings):
        settings["data"] = [tmp_path / "data"]
        with ResumableTraining(tmp_path / "out", settings, screen) as run:
            run.remember(1.0)
            if trained:
                run.backup.mkdir(parents=True)
            raise ValueError("no such network")

    with pytest.raises(ValueError, match="no such network"):
        refused(trained=False)
    assert not (tmp_path / "out" / "unfinished").exists()
    # Other options now, and what was trained is kept.
    with pytest.raises(ValueError, match="no such network"):
        refused(trained=True, rank=2)
    assert (tmp_path / "out" / "unfinished" / "checkpoint").exists()


def test_a_refusal_keeps_features_and_what_else_took_time(tmp_path, screen):
    for name in ("features", "trial_1"):
        with pytest.raises(ValueError, match="a damaged image"):
            _refused_with(tmp_path / name, name, screen)
        assert (tmp_path / name / "unfinished" / name).exists()


def _refused_with(output, name, screen):
    with ResumableTraining(output, {}, screen) as run:
        run.remember(1.0)
        (run.folder / name).mkdir()
        raise ValueError("a damaged image")


def test_curves_are_those_of_all_runs(tmp_path, screen):
    first = ResumableTraining(tmp_path, {}, screen)
    first.remember(1.0, 0, {"loss": 3.0})
    first.remember(2.0, 1, {"loss": float("nan"), "late": 1.0})
    # Stopped within the third epoch, which is logged once more when it ends.
    first.remember(2.5, 2, {"loss": 9.0})
    second = ResumableTraining(tmp_path, {}, screen)
    second.remember(3.0, 2, {"loss": 1.0})
    np.testing.assert_array_equal(second.curves()["loss"], [3.0, np.nan, 1.0])
    assert list(second.curves()) == ["loss"]


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"settings": 3, "seconds": 1}', "\xff"])
def test_a_run_that_cannot_be_read(tmp_path, screen, text):
    (tmp_path / "unfinished").mkdir()
    (tmp_path / "unfinished" / "run.json").write_text(text, encoding="latin-1")
    with pytest.raises(ValueError, match="Begin anew with --restart"):
        ResumableTraining(tmp_path, {}, screen)
    ResumableTraining(tmp_path, {}, screen, restart=True)
    assert not (tmp_path / "unfinished").exists()


@pytest.mark.parametrize("broken", ["training_metadata.json", "latest.weights.h5"])
@pytest.mark.parametrize("length", [0, 40])
def test_a_checkpoint_that_cannot_be_read(tmp_path, broken, length):
    from keras_transgen.cli.checkpoint import Checkpoint

    signals = SimpleNamespace(waits=False, received=None)
    run = SimpleNamespace(signals=signals, seconds=0.0, minutes=None, steps=None)
    run.remember = lambda *told: None

    def fit():
        model = ktg.VAE((2,), latent_dim=1)
        model.compile(jit_compile=False)
        place = str(tmp_path / "checkpoint")
        model.fit(np.zeros((4, 2)), epochs=1, verbose=0, callbacks=[Checkpoint(run, place)])

    fit()
    file = tmp_path / "checkpoint" / broken
    # Half a number is a number, so a file of JSON is damaged otherwise.
    file.write_bytes(b"{" * length if broken.endswith("json") else file.read_bytes()[:length])
    with pytest.raises(ValueError, match=r"anew with --restart. Received: .*checkpoint"):
        fit()


def test_somebody_elses_folder_is_left_alone(tmp_path, screen):
    (tmp_path / "unfinished").mkdir()
    (tmp_path / "unfinished" / "novel.txt").write_text("Chapter 1")
    for restart in (False, True):
        with pytest.raises(ValueError, match=r"Received: .*unfinished"):
            ResumableTraining(tmp_path, {}, screen, restart=restart)
    assert (tmp_path / "unfinished" / "novel.txt").read_text() == "Chapter 1"


def test_a_link_is_not_written_through(tmp_path, screen):
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "unfinished").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(ValueError, match="leads away"):
        ResumableTraining(tmp_path / "out", {}, screen)


def test_how_many_epochs_there_are(tmp_path, screen):
    def run(**limits):
        return ResumableTraining(tmp_path, {}, screen, **limits)

    assert run().epochs(None, 7, 20) == 20
    assert run().epochs(3, 7, 20) == 3
    assert run(minutes=1).epochs(None, 7, 20) == ENDLESS
    assert run(steps=15).epochs(None, 7, 20) == 3
    assert run(minutes=1, steps=14).epochs(None, 7, 20) == 2


@pytest.mark.slow
def test_the_old_name_of_the_size(digit_folder, tmp_path, capsys):
    made = run_train(
        str(digit_folder), size=8, color="grayscale", steps=1, batch_size=8, output=tmp_path
    )
    assert made.example_shape == (8, 8, 1)
    assert "--size is called --image-size now" in capsys.readouterr().out
    with pytest.raises(ValueError, match="--size 8 --image-size 16"):
        run_train(str(digit_folder), size=8, image_size=16, output=tmp_path)
    with pytest.raises(ValueError, match="leave out --epochs or --steps"):
        run_train(str(digit_folder), epochs=8, steps=16, output=tmp_path)
    assert np.asarray(made.sample(1, seed=0)).shape == (1, 8, 8, 1)
