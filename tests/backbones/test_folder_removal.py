import os
import time

import pytest

from keras_transgen.backbones import folder_removal, module_store
from keras_transgen.backbones.folder_removal import remove_folder

by_descriptors = pytest.mark.skipif(
    not folder_removal._HAS_DESCRIPTORS, reason="the system opens no folders"
)
ways = pytest.mark.parametrize(
    "has_descriptors", [pytest.param(True, marks=by_descriptors), False], ids=["open", "paths"]
)


@pytest.fixture
def way(monkeypatch, has_descriptors):
    monkeypatch.setattr(folder_removal, "_HAS_DESCRIPTORS", has_descriptors)


def deep(folder, depth, name="d" * 100):
    """A chain of folders, its whole path far longer than a system call takes."""
    folder.mkdir()
    here = os.open(folder, os.O_RDONLY)
    for _ in range(depth):
        os.mkdir(name, dir_fd=here)
        below = os.open(name, os.O_RDONLY, dir_fd=here)
        os.close(here)
        here = below
    os.close(os.open("file", os.O_CREAT | os.O_WRONLY, dir_fd=here))
    os.close(here)


@pytest.mark.timeout(60)
@ways
def test_removes_what_is_deeper_than_the_stack_and_longer_than_a_path(tmp_path, way):
    deep(tmp_path / "deep", 1500)
    remove_folder(tmp_path / "deep")
    assert os.listdir(tmp_path) == []


@ways
def test_removes_a_tree_and_follows_no_links(tmp_path, way):
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "kept").write_text("x")
    tree = tmp_path / "tree"
    for place in ("a/b/c", "a/d", "e"):
        (tree / place).mkdir(parents=True)
        (tree / place / "file").write_text("x")
        (tree / place / "link").symlink_to(outside)
    os.mkfifo(tree / "pipe")
    (tree / "a" / "d").chmod(0)
    remove_folder(tree)
    assert os.listdir(tmp_path) == ["outside"]
    assert os.listdir(outside) == ["kept"]


@ways
def test_what_is_no_folder_stays(tmp_path, way):
    (tmp_path / "file").write_text("x")
    (tmp_path / "folder").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "folder")
    for name in ("file", "link", "nothing"):
        remove_folder(tmp_path / name)
    assert sorted(os.listdir(tmp_path)) == ["file", "folder", "link"]


@ways
def test_what_cannot_be_removed_stays_without_an_error(tmp_path, monkeypatch, way):
    (tmp_path / "tree" / "a" / "b").mkdir(parents=True)
    (tmp_path / "tree" / "c").mkdir()
    unlink, rename = os.unlink, os.rename

    def refusing(path, *arguments, **options):
        raise PermissionError(path)

    monkeypatch.setattr(os, "rename", refusing)
    remove_folder(tmp_path / "tree")
    assert os.listdir(tmp_path / "tree") == ["a"]
    monkeypatch.undo()
    assert (os.unlink, os.rename) == (unlink, rename)
    remove_folder(tmp_path / "tree")
    assert not (tmp_path / "tree").exists()


def as_another_user(what):
    """Runs something in a child process that is not root, and says whether it went well."""
    child = os.fork()
    if child == 0:
        status = 1
        try:
            os.setgid(65534)
            os.setuid(65534)
            what()
            status = 0
        finally:
            os._exit(status)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


only_root_may = pytest.mark.skipif(
    not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root may become others"
)


@only_root_may
@by_descriptors
def test_an_owner_removes_what_may_not_be_read(tmp_path):
    tree = tmp_path / "tree"
    for place in ("a/b/c", "d"):
        (tree / place).mkdir(parents=True)
    (tree / "a" / "b" / "c" / "file").write_text("x")
    for place in ("a/b/c", "a/b", "a", "d", "."):
        os.chown(tree / place, 65534, 65534)
        (tree / place).chmod(0)
    # What is on the way must let others through.
    place = tmp_path
    while place != place.parent:
        place.chmod(place.stat().st_mode | 0o011)
        place = place.parent
    tmp_path.chmod(0o777)
    assert as_another_user(lambda: remove_folder(tree))
    assert not tree.exists()


@by_descriptors
@pytest.mark.parametrize("call", ["scandir", "unlink", "rename", "rmdir"])
def test_a_link_in_the_place_of_a_folder_leads_nowhere(tmp_path, monkeypatch, call):
    """Somebody swaps folders and links before each call of the system."""
    precious = tmp_path / "precious"
    for place in ("x", "x/b", "b", "b/x"):
        (precious / place).mkdir(parents=True)
        (precious / place / "file").write_text("kept")
    before = sorted(path.relative_to(precious) for path in precious.rglob("*"))
    tree = tmp_path / "tree"
    for place in ("x/b", "b/x"):
        (tree / place).mkdir(parents=True)
        (tree / place / "file").write_text("x")
    real, swapped = getattr(os, call), []

    def swapping(*arguments, **options):
        for victim in (tree / "x", tree / "b", tree):
            if not tree.is_symlink() and victim.is_dir() and not victim.is_symlink():
                swapped.append(victim)
                os.replace(victim, tmp_path / f"aside{len(swapped)}")
                victim.symlink_to(precious / (victim.name if victim != tree else "."))
                break
        return real(*arguments, **options)

    for has in ("supports_fd", "supports_dir_fd"):
        monkeypatch.setattr(os, has, getattr(os, has) | {swapping})
    monkeypatch.setattr(os, call, swapping)
    remove_folder(tree)
    monkeypatch.undo()
    assert swapped
    assert sorted(path.relative_to(precious) for path in precious.rglob("*")) == before


@only_root_may
@by_descriptors
def test_a_sweep_leaves_what_belongs_to_others(tmp_path):
    for name, owner in (("theirs", 65534), ("own", 0)):
        folder = tmp_path / f".{name}.partial"
        folder.mkdir()
        os.chown(folder, owner, owner)
        os.utime(folder, (0, 0))
    recent = tmp_path / ".recent.partial"
    recent.mkdir()
    os.utime(recent, (time.time(), time.time()))
    module_store._sweep(tmp_path)
    assert sorted(os.listdir(tmp_path)) == [".recent.partial", ".theirs.partial"]
