"""`.keras` files that cost more than they should: refused before they are read, nothing left."""

import json
import os
import resource
import tempfile
import time
import zipfile

import keras
import numpy as np
import pytest

from keras_transgen.backbones import load_model
from keras_transgen.backbones.keras_archive import read_config
from tests.stranger import rewritten


@pytest.fixture
def honest(tmp_path, monkeypatch):
    monkeypatch.setenv("KERAS_TRANSGEN_HOME", str(tmp_path / "home"))
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    keras.Sequential([keras.Input((3,)), keras.layers.Dense(2)]).save(tmp_path / "honest.keras")
    yield tmp_path / "honest.keras"
    assert list(folder.iterdir()) == []
    assert not list((tmp_path / "home").rglob("*.pb"))


def with_members(source, target, members, method=zipfile.ZIP_DEFLATED):
    """A copy of a file with members added or replaced."""
    with zipfile.ZipFile(source) as archive, zipfile.ZipFile(target, "w", method) as other:
        for name in archive.namelist():
            if name not in members:
                other.writestr(name, archive.read(name))
        for name, content in members.items():
            with other.open(name, "w", force_zip64=True) as stream:
                for part in content if isinstance(content, list) else [content]:
                    stream.write(part)
    return target


def test_configurations_that_swell(honest, tmp_path):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for name in ("config.json", "metadata.json"):
        swelling = {name: [b"{}", *[b" " * 2**20] * 200]}
        bomb = with_members(honest, tmp_path / "bomb.keras", swelling)
        assert bomb.stat().st_size < 300_000
        with pytest.raises(ValueError, match=r"bomb|at most"):
            load_model(bomb)
        # Below the ratio of whole archives, beyond that of text.
        few = with_members(honest, tmp_path / "few.keras", {name: [b"{}", *[b" " * 2**20] * 4]})
        with pytest.raises(ValueError, match=rf"{name} of at most"):
            load_model(few)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 60 * 1024


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b"[" * 100_000 + b"]" * 100_000, "no JSON of a model"),
        (b'{"a":' * 100_000 + b"1" + b"}" * 100_000, "no JSON of a model"),
        (b"[" * 600 + b"]" * 600, "more than 500 objects"),
        (b"[" + b"[]," * 2_000_001 + b"1]", "4,000,000 values"),
        (b"1" * 5000, "no JSON of a model"),
        (b"\xff\xfe", "no JSON of a model"),
        (b"{", "no JSON of a model"),
    ],
)
def test_configurations_that_are_none(text, message, honest, tmp_path):
    evil = with_members(honest, tmp_path / "evil.keras", {"config.json": text}, zipfile.ZIP_STORED)
    with pytest.raises(ValueError, match=message):
        load_model(evil)


def test_layers_within_layers_without_end(honest, tmp_path):
    def change(config):
        inner = config["config"]["layers"][1]
        for number in range(120):
            inner = {
                "class_name": "TimeDistributed",
                "module": "keras.layers",
                "registered_name": None,
                "config": {"layer": inner, "name": f"outer_{number}"},
            }
        config["config"]["layers"][1] = inner

    with pytest.raises(ValueError):
        load_model(rewritten(honest, tmp_path / "evil.keras", change))


def test_an_archive_that_swells(honest, tmp_path):
    module = "assets/module-" + "0" * 64 + ".tar"
    bomb = with_members(honest, tmp_path / "bomb.keras", {module: [bytes(2**20)] * 300})
    with pytest.raises(ValueError, match="decompression bomb"):
        load_model(bomb)


def test_limits_can_be_raised(honest, tmp_path):
    more = with_members(
        honest,
        tmp_path / "more.keras",
        {f"assets/{number}": os.urandom(1000) for number in range(40)},
    )
    with pytest.raises(ValueError, match="at most 20 members"):
        load_model(more, max_members=20)
    with pytest.raises(ValueError, match="raise max_bytes"):
        load_model(more, max_bytes=50_000)
    model = load_model(more, max_members=60, max_bytes=200_000)
    assert model(np.ones((1, 3))).shape == (1, 2)


def test_a_member_that_lies_about_its_size(honest, tmp_path):
    evil = tmp_path / "evil.keras"
    with_members(honest, evil, {"assets/a": bytes(10_000)})
    content = bytearray(evil.read_bytes())
    place = content.rfind(b"PK\x01\x02")
    # The directory says 100 bytes, the stream has 10,000.
    content[place + 24 : place + 28] = (100).to_bytes(4, "little")
    evil.write_bytes(content)
    with pytest.raises(ValueError, match="damaged"):
        load_model(evil)


def test_a_pipe_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "pipe.keras")
    with pytest.raises(ValueError, match="whose name ends in"):
        load_model(tmp_path / "pipe.keras")


def test_other_names_do_not_reach_other_readers(honest, tmp_path):
    other = tmp_path / "model.h5"
    other.write_bytes(honest.read_bytes())
    with pytest.raises(ValueError, match="whose name ends in"):
        load_model(other)


# By their numbers, or by the variables that they ask for.
TOO_LARGE = "than it can have values for|than its weights can stand for|elements. Ask"


@pytest.mark.parametrize("units", [10**9, 10**15])
def test_a_layer_that_the_weights_do_not_fill(units, honest, tmp_path):
    def change(config):
        config["config"]["layers"][1]["config"]["units"] = units

    with pytest.raises(ValueError, match=TOO_LARGE):
        load_model(rewritten(honest, tmp_path / "evil.keras", change))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("pool_size", 9 * 10**6),
        ("pool_size", 10**9),
        ("blocks", 9 * 10**6),
        ("blocks", 10**9),
        ("filters", 10**6),
        ("image_shape", [2**20] * 3),
    ],
)
def test_sizes_of_a_model_that_the_weights_do_not_fill(key, value, honest, tmp_path):
    from keras_transgen.generative.translation import CycleGAN

    CycleGAN((8, 8, 1), filters=1, blocks=1, pool_size=1).save(tmp_path / "cycle.keras")

    def change(config):
        config["config"][key] = value

    started = time.monotonic()
    with pytest.raises(ValueError, match=TOO_LARGE):
        load_model(rewritten(tmp_path / "cycle.keras", tmp_path / "evil.keras", change))
    # Without a limit on their number, layers are built for days.
    assert time.monotonic() - started < 300


def test_a_configuration_is_read_as_it_is(honest):
    with zipfile.ZipFile(honest) as archive:
        assert read_config(archive) == json.loads(archive.read("config.json"))
