import os

import pytest

from keras_transgen.backbones.folder_removal import remove_folder


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
def test_removes_what_is_deeper_than_the_stack_and_longer_than_a_path(tmp_path):
    deep(tmp_path / "deep", 1500)
    remove_folder(tmp_path / "deep")
    assert os.listdir(tmp_path) == []


def test_removes_a_tree_and_follows_no_links(tmp_path):
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


def test_what_is_no_folder_stays(tmp_path):
    (tmp_path / "file").write_text("x")
    (tmp_path / "folder").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "folder")
    for name in ("file", "link", "nothing"):
        remove_folder(tmp_path / name)
    assert sorted(os.listdir(tmp_path)) == ["file", "folder", "link"]


def test_what_cannot_be_removed_stays_without_an_error(tmp_path, monkeypatch):
    (tmp_path / "tree" / "a" / "b").mkdir(parents=True)
    (tmp_path / "tree" / "c").mkdir()
    unlink, rename = os.unlink, os.rename

    def refusing(path, *arguments):
        raise PermissionError(path)

    monkeypatch.setattr(os, "rename", refusing)
    remove_folder(tmp_path / "tree")
    assert os.listdir(tmp_path / "tree") == ["a"]
    monkeypatch.undo()
    assert (os.unlink, os.rename) == (unlink, rename)
    remove_folder(tmp_path / "tree")
    assert not (tmp_path / "tree").exists()
