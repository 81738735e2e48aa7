"""A module's files are read where they lie, and nowhere that a link leads to."""

import gc
import os
import stat
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from keras_transgen.backbones import module_files
from keras_transgen.backbones.module_files import (
    PrivateModule,
    combined_digest,
    copy_module,
    structure_digest,
)
from keras_transgen.backbones.module_store import folder_digest, pack_module, store_module
from keras_transgen.backbones.saved_model_folder import BrokenModuleError
from tests.backbones import tiny_modules


@pytest.fixture
def module(tmp_path):
    return tiny_modules.convolution_module(tmp_path / "module")


@pytest.fixture
def secret(tmp_path):
    file = tmp_path / "secret.txt"
    file.write_text("PRIVATE TEXT")
    return file


class TestLinks:
    @pytest.mark.parametrize("place", ["assets.extra/notes.txt", "assets/notes.txt"])
    def test_to_a_file(self, module, secret, place, tmp_path):
        (module / place).parent.mkdir(exist_ok=True)
        (module / place).symlink_to(secret)
        for use in (folder_digest, store_module, lambda m: pack_module(m, tmp_path / "x.tar")):
            with pytest.raises(BrokenModuleError, match=f"'{place}' is a link"):
                use(module)
        assert not (tmp_path / "x.tar").exists()

    def test_in_the_place_of_the_graph(self, module):
        os.rename(module / "saved_model.pb", module / "graph")
        (module / "saved_model.pb").symlink_to(module / "graph")
        with pytest.raises(BrokenModuleError, match="is a link"):
            copy_module(module, module.parent / "copy")

    def test_to_a_folder(self, module, secret):
        (module / "assets").rmdir() if (module / "assets").exists() else None
        (module / "assets").symlink_to(secret.parent)
        with pytest.raises(BrokenModuleError, match="'assets' is a link"):
            folder_digest(module)
        (module / "assets").unlink()
        (module / "assets").mkdir()
        (module / "assets" / "inner").symlink_to(secret.parent)
        # A folder that is a link is no file, and is not entered.
        assert "assets/inner/secret.txt" not in dict(module_files.module_files(module))

    def test_a_module_reached_by_a_link_is_the_users_own_choice(self, module, tmp_path):
        (tmp_path / "link").symlink_to(module)
        assert folder_digest(tmp_path / "link") == folder_digest(module)


def test_pipes_hold_nobody(module):
    (module / "assets").mkdir(exist_ok=True)
    os.mkfifo(module / "assets" / "pipe")
    assert "assets/pipe" not in [name for name, _ in module_files.module_files(module)]


def test_deep_folders(module):
    (module / "assets").mkdir(exist_ok=True)
    (module / "assets" / "/".join("a" * 40)).mkdir(parents=True)
    with pytest.raises(BrokenModuleError, match="at most 32 deep"):
        folder_digest(module)


def test_names_that_are_no_text(module):
    (module / "assets").mkdir(exist_ok=True)
    Path(os.fsdecode(os.fsencode(module / "assets") + b"/\xff")).write_text("x")
    with pytest.raises(BrokenModuleError, match="names that are text"):
        folder_digest(module)


def test_the_structure_is_the_module_without_its_numbers(module, tmp_path):
    other = tiny_modules.convolution_module(tmp_path / "other", seed=1)
    # Names of traces count up within a process, so the graph is taken over.
    (other / "saved_model.pb").write_bytes((module / "saved_model.pb").read_bytes())
    assert folder_digest(other) != folder_digest(module)
    assert structure_digest(other) == structure_digest(module)
    (other / "saved_model.pb").write_bytes(b"another")
    assert structure_digest(other) != structure_digest(module)


def test_the_digest_is_that_of_what_was_copied(module, tmp_path):
    before = folder_digest(module)
    assert copy_module(module, tmp_path / "copy") == before == folder_digest(tmp_path / "copy")
    assert combined_digest({"b": "1", "a": "2"}) == combined_digest({"a": "2", "b": "1"})


class TestPrivateModule:
    def test_only_its_user_may_enter(self, module):
        private = PrivateModule(module)
        assert stat.S_IMODE(private.folder.stat().st_mode) == 0o700
        assert private.digest == folder_digest(module) == folder_digest(private.folder)
        folder = private.folder
        del private
        gc.collect()
        assert not folder.exists()

    def test_another_module_than_the_one_that_was_named(self, module, tmp_path, monkeypatch):
        monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
        (tmp_path / "temporary").mkdir()
        with pytest.raises(BrokenModuleError, match="its files have changed since"):
            PrivateModule(module, "0" * 64)
        assert list((tmp_path / "temporary").iterdir()) == []

    def test_nothing_stays_when_the_process_ends_or_forks(self, module, tmp_path):
        code = (
            "import os, sys\n"
            "from pathlib import Path\n"
            "from keras_transgen.backbones.module_files import PrivateModule\n"
            "module = PrivateModule(Path(sys.argv[1]))\n"
            "child = os.fork()\n"
            "if not child: sys.exit(0)\n"
            "os.waitpid(child, 0)\n"
            "print(module.folder.exists(), module.folder)\n"
        )
        environment = {**os.environ, "TMPDIR": str(tmp_path)}
        ran = subprocess.run(
            [sys.executable, "-c", code, str(module)],
            capture_output=True,
            text=True,
            check=True,
            env=environment,
        )
        existed, folder = ran.stdout.strip().splitlines()[-1].split(" ", 1)
        # A child that ended did not take it away.
        assert existed == "True"
        assert not Path(folder).exists()
