"""A file is there whole or not at all."""

import os
import stat
from pathlib import Path

import pytest

from keras_transgen.datasets.whole_file import (
    refuse_links_below,
    refuse_links_in,
    write_whole,
    write_whole_text,
)


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
    # A link that leads nowhere stands there too.
    (tmp_path / "link").symlink_to(tmp_path / "nothing")
    with pytest.raises(FileExistsError):
        write_whole(str(tmp_path / "link"), lambda path: None, overwrite=False)


@pytest.mark.parametrize("there", [True, False])
def test_a_link_is_replaced_and_not_followed(tmp_path, there):
    victim, target = tmp_path / "victim", tmp_path / "out" / "report.json"
    if there:
        victim.write_text("precious")
    target.parent.mkdir()
    target.symlink_to(victim)
    write_whole_text(target, "größer")
    assert not target.is_symlink()
    assert target.read_bytes() == "größer".encode()
    assert victim.exists() == there
    assert not there or victim.read_text() == "precious"


def test_nobody_else_can_reach_or_foretell_the_file_that_is_written(tmp_path):
    seen = []

    def write(beside):
        folder = Path(beside).parent
        seen.append(folder.name)
        assert folder.parent == tmp_path
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
        Path(beside).write_text("x")

    for _ in range(2):
        write_whole(str(tmp_path / "a.txt"), write)
    assert len(set(seen)) == 2


@pytest.mark.parametrize(("mask", "expected"), [(0o022, 0o644), (0o077, 0o600), (0o002, 0o664)])
def test_the_file_has_the_usual_permissions(tmp_path, mask, expected):
    before = os.umask(mask)
    try:
        write_whole_text(tmp_path / "a.txt", "x")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "a.txt").stat().st_mode) == expected


def test_a_folder_that_is_a_link_is_the_users_own_choice(tmp_path):
    (tmp_path / "disk").mkdir()
    (tmp_path / "out").symlink_to(tmp_path / "disk")
    write_whole_text(tmp_path / "out" / "a.txt", "x")
    assert (tmp_path / "disk" / "a.txt").read_text() == "x"
    refuse_links_below(tmp_path / "out", tmp_path / "out" / "a.txt")


def test_a_pipe_or_folder_keeps_its_place(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "folder").mkdir()
    for name in ("pipe", "folder"):
        with pytest.raises(FileExistsError, match=name):
            write_whole_text(tmp_path / name, "x")
    assert stat.S_ISFIFO((tmp_path / "pipe").stat().st_mode)


def test_links_on_the_way_are_refused(tmp_path):
    out = tmp_path / "out"
    (out / "a").mkdir(parents=True)
    (out / "b").symlink_to(tmp_path)
    (out / "a" / "c").symlink_to("..")
    refuse_links_below(out, out / "a" / "d" / "1.png")
    refuse_links_below(out, out / "b")  # the file itself is replaced by write_whole
    for way in ("b/1.png", "a/c/1.png", "b/x/y/1.png", "a/../../1.png"):
        with pytest.raises(ValueError, match="link"):
            refuse_links_below(out, out / way)


def write_parts(beside):
    beside = Path(beside)
    for number in range(3):
        beside.with_name(f"part_{number}").write_text(f"new {number}")
    beside.write_text("new map")


def test_all_that_was_written_is_moved_and_the_file_itself_last(tmp_path, monkeypatch):
    moved, replace = [], os.replace

    def replacing(source, target):
        moved.append(Path(target).name)
        replace(source, target)

    monkeypatch.setattr(os, "replace", replacing)
    (tmp_path / "part_1").write_text("old")
    write_whole(str(tmp_path / "map"), write_parts)
    assert moved == ["part_0", "part_1", "part_2", "map"]
    texts = {path.name: path.read_text() for path in tmp_path.iterdir()}
    assert texts == {"map": "new map", "part_0": "new 0", "part_1": "new 1", "part_2": "new 2"}


@pytest.mark.parametrize("kind", ["file", "folder"])
def test_a_part_that_may_not_be_replaced_leaves_all_as_it_was(tmp_path, kind):
    if kind == "file":
        (tmp_path / "part_1").write_text("old")
    else:
        (tmp_path / "part_1").mkdir()
    with pytest.raises(FileExistsError, match="part_1"):
        write_whole(str(tmp_path / "map"), write_parts, overwrite=kind == "folder")
    assert os.listdir(tmp_path) == ["part_1"]


def test_parts_without_their_file_are_not_moved(tmp_path):
    with pytest.raises(FileNotFoundError, match="map"):
        write_whole(str(tmp_path / "map"), lambda beside: Path(beside + ".x").write_text("x"))
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("place", ["search", "search/trial", "search/trial/file"])
def test_links_in_a_folder_that_others_fill_are_refused(tmp_path, place):
    (tmp_path / "disk").mkdir()
    (tmp_path / "out").symlink_to(tmp_path / "disk")
    out = tmp_path / "out"
    refuse_links_in(out, out / "search")
    (out / "search" / "trial").mkdir(parents=True)
    (out / "search" / "trial" / "file").write_text("x")
    refuse_links_in(out, out / "search")
    (out / place).rename(tmp_path / "aside")
    (out / place).symlink_to(tmp_path / "aside")
    with pytest.raises(ValueError, match="leads away"):
        refuse_links_in(out, out / "search")
