"""Feature transfer that is killed in its extraction: a real process, a real signal."""

import json
import os
import signal
import subprocess
import sys

import keras
import numpy as np
import pytest

import keras_transgen as ktg
from keras_transgen.backbones.feature_cache import ArrayWriter
from keras_transgen.cli.transfer import run_transfer
from tests.cli.networks import save_network, save_waves
from tests.cli.test_resumable import ROOT


def head_of(folder):
    model = ktg.load_model(folder / "model.keras")
    assert model.cache_dir is None
    assert model.data_key is None
    return [np.asarray(each) for each in model.head.get_weights()]


# A batch is kept when it is done, and the signal comes with the sixth one.
KILLED = """
import os, sys
from keras_transgen.backbones import feature_cache
from keras_transgen.cli import main

feature_cache.BLOCK_SECONDS = 0
append = feature_cache.ArrayWriter.append

def append_or_end(writer, arrays, layout):
    if writer.batches == 5:
        os.kill(os.getpid(), {number})
    append(writer, arrays, layout)

feature_cache.ArrayWriter.append = append_or_end
main()
"""


@pytest.mark.slow
@pytest.mark.long
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_what_was_extracted_is_not_extracted_again(number, digit_folder, tmp_path, monkeypatch):
    line = ["transfer", "digits", digit_folder, "--batch-size", 4, "--output", tmp_path / "out"]
    process = subprocess.run(
        [sys.executable, "-c", KILLED.replace("{number}", str(int(number))), *map(str, line)],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=300,
    )
    output = process.stdout + process.stderr
    assert process.returncode == (-number if number == signal.SIGKILL else 128 + number), output
    assert "Traceback" not in output
    (journal,) = tmp_path.glob("out/unfinished/features/features-*.partial/journal.jsonl")
    rows = sum(json.loads(each)["rows"] for each in journal.read_text().splitlines())
    assert rows == 5 * 4
    written = []
    append = ArrayWriter.append

    def counted(writer, arrays, layout):
        written.append(len(arrays[0]))
        append(writer, arrays, layout)

    monkeypatch.setattr(ArrayWriter, "append", counted)
    run_transfer("digits", [digit_folder], batch_size=4, output=tmp_path / "out")
    # With two held-out rows that the network is asked about twice.
    assert rows + sum(written) == 72 + 2
    assert not (tmp_path / "out" / "unfinished").exists()
    run_transfer("digits", [digit_folder], batch_size=4, output=tmp_path / "straight")
    for one, other in zip(head_of(tmp_path / "out"), head_of(tmp_path / "straight"), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-5)


def test_features_of_other_data_are_not_gone_on_with(tmp_path):
    waves = save_waves(tmp_path / "waves")
    network = save_network(tmp_path / "net.keras", (1000,), keras.layers.Dense(3))
    options = {"output": tmp_path / "out", "sample_rate": 4000}
    (tmp_path / "out" / "unfinished" / "features").mkdir(parents=True)
    (tmp_path / "out" / "unfinished" / "run.json").write_text(
        json.dumps({"settings": {"seed": 1}, "seconds": 0, "logs": []})
    )
    with pytest.raises(ValueError, match="other data or options"):
        run_transfer(str(network), waves, **options)
    report = run_transfer(str(network), waves, restart=True, **options)
    assert report["validation_examples"] == 4
    assert not (tmp_path / "out" / "unfinished").exists()
