"""Files of deltas: what they hold, and files that are none."""

import dataclasses
import json
import zipfile

import numpy as np
import pytest

from keras_transgen.transfer.deltas import SavedDelta, delta_file, read_delta, write_delta

DELTA = SavedDelta(
    name="lora",
    method="lora",
    arguments={"rank": 2, "alpha": None, "targets": ["kernel$"]},
    digest="ab" * 32,
    backbone="tiny",
    state={"3.0": np.arange(6, dtype="float32").reshape(3, 2), "3.1": np.zeros((2, 4), "float32")},
    head=[np.ones((4, 3), "float32"), np.zeros(3, "float32")],
)


def test_round_trip(tmp_path):
    path = tmp_path / "new" / "one.delta"
    write_delta(path, DELTA)
    again = read_delta(path)
    for field in dataclasses.fields(SavedDelta):
        one, other = getattr(again, field.name), getattr(DELTA, field.name)
        if field.name == "state":
            assert list(one) == list(other)
            one, other = list(one.values()), list(other.values())
        if field.name in ("state", "head"):
            for a, b in zip(one, other, strict=True):
                np.testing.assert_array_equal(a, b)
        else:
            assert one == other, field.name
    assert [entry.name for entry in path.parent.iterdir()] == ["one.delta"]


def test_files_that_are_no_delta(tmp_path):
    with pytest.raises(ValueError, match="no such file"):
        read_delta(tmp_path / "none.delta")
    whole = tmp_path / "whole.delta"
    write_delta(whole, DELTA)
    cut = tmp_path / "cut.delta"
    cut.write_bytes(whole.read_bytes()[:-200])
    text = tmp_path / "text.delta"
    text.write_text("a delta")
    other = tmp_path / "other.npz"
    np.savez(other, weights=np.ones(3))
    objects = tmp_path / "objects.npz"
    np.savez(objects, header=np.array([{"format": "keras_transgen delta"}], dtype=object))
    for path in (cut, text, other, objects):
        with pytest.raises(ValueError, match=f"no whole .delta file.*{path.name}"):
            read_delta(path)


def test_a_later_format(tmp_path, monkeypatch):
    path = tmp_path / "later.delta"
    with monkeypatch.context() as later:
        later.setattr(delta_file, "_VERSION", 2)
        write_delta(path, DELTA)
    with pytest.raises(ValueError, match=r"format version 1.*version 2"):
        read_delta(path)


def test_a_failed_write_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "one.delta"
    write_delta(path, DELTA)
    before = path.read_bytes()

    def fill_the_disk(stream, **arrays):
        stream.write(b"PK half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(np, "savez", fill_the_disk)
    with pytest.raises(OSError, match="No space"):
        write_delta(path, DELTA)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def changed(path, arrays, **header):
    """A delta's file with other arrays, and other words in its header."""
    with np.load(path) as whole:
        held = dict(whole)
    words = {**json.loads(held["header"].tobytes()), **header}
    words = {key: value for key, value in words.items() if value is not REMOVED}
    held["header"] = np.frombuffer(json.dumps(words).encode(), "uint8")
    other = path.with_name("changed.delta")
    with other.open("wb") as stream:
        np.savez_compressed(stream, **{**held, **arrays})
    return other


REMOVED = object()


@pytest.fixture
def whole(tmp_path):
    write_delta(tmp_path / "whole.delta", DELTA)
    return tmp_path / "whole.delta"


def test_a_file_that_swells(whole):
    bomb = changed(whole, {"state.big": np.zeros(2**25, "uint8")})
    assert bomb.stat().st_size < 100_000
    with pytest.raises(ValueError, match=r"no whole \.delta file.*decompression bomb"):
        read_delta(bomb)


def test_how_much_it_may_take(whole):
    with pytest.raises(ValueError, match=r"no whole \.delta file.*raise max_bytes"):
        read_delta(whole, max_bytes=500)
    assert read_delta(whole, max_bytes=5000).name == "lora"


@pytest.mark.parametrize("field", ["name", "method", "arguments", "digest", "backbone"])
@pytest.mark.parametrize("value", [REMOVED, None, 3, ["lora"]])
def test_headers_say_what_a_delta_is(field, value, whole):
    with pytest.raises(ValueError, match=rf"The header of a delta.*without {field}"):
        read_delta(changed(whole, {}, **{field: value}))


@pytest.mark.parametrize("header", [b"[1]", b"{", b"[" * 10**5, b"\xff", b"3", b""])
def test_headers_that_are_none(header, whole):
    with pytest.raises(ValueError, match=r"no whole \.delta file"):
        read_delta(changed(whole, {"header": np.frombuffer(header, "uint8")}))
    with pytest.raises(ValueError, match=r"no whole \.delta file"):
        read_delta(changed(whole, {"header": np.zeros(3, "float32")}))


def test_damage_within_a_compressed_array(whole):
    random = np.random.default_rng(0).normal(size=4000)
    damaged = changed(whole, {"state.x": random})
    content = bytearray(damaged.read_bytes())
    with zipfile.ZipFile(damaged) as archive:
        place = archive.getinfo("state.x.npy").header_offset
    content[place + 100 : place + 400] = b"\xff" * 300
    damaged.write_bytes(content)
    with pytest.raises(ValueError, match=r"no whole \.delta file"):
        read_delta(damaged)


def test_an_array_alone_is_no_delta(tmp_path):
    with (tmp_path / "array.delta").open("wb") as stream:
        np.save(stream, np.zeros(3))
    with pytest.raises(ValueError, match=r"no whole \.delta file"):
        read_delta(tmp_path / "array.delta")


def test_heads_are_numbered_from_zero(whole):
    with pytest.raises(ValueError, match="numbered from 0"):
        read_delta(changed(whole, {"head.7": np.zeros(2)}))
