"""Files of deltas: what they hold, and files that are none."""

import dataclasses

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
