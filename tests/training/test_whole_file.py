"""A file is there whole or not at all."""

from pathlib import Path

import pytest

from keras_transgen.training import write_whole


def test_a_failure_leaves_the_old_file_and_no_rest(tmp_path):
    target = tmp_path / "model.weights.h5"
    write_whole(str(target), lambda path: Path(path).write_text("old"))

    def fail(path):
        Path(path).write_text("half")
        raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        write_whole(str(target), fail)
    assert target.read_text() == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["model.weights.h5"]


def test_overwrite_must_be_allowed(tmp_path):
    target = tmp_path / "a.keras"
    target.write_text("old")
    with pytest.raises(FileExistsError, match=r"a\.keras"):
        write_whole(str(target), lambda path: Path(path).write_text("new"), overwrite=False)
    assert target.read_text() == "old"
