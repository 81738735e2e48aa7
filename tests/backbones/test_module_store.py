import gc
import hashlib
import io
import os
import shutil
import signal
import subprocess
import sys
import tarfile
import tempfile
import time
import warnings
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_transgen.backbones import SavedModelBackbone, module_store
from keras_transgen.backbones.handles import BrokenModuleError, HandleError
from keras_transgen.backbones.load_model import load_model
from keras_transgen.backbones.module_files import PrivateModule
from keras_transgen.backbones.module_store import (
    find_module,
    folder_digest,
    keep_module,
    pack_module,
    store_module,
    stored_folder,
    unpack_module,
)
from tests.backbones.hub_server import save_tiny_module

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    folder = save_tiny_module(tmp_path_factory.mktemp("saved") / "tiny")
    (folder / "assets" / "labels.txt").write_text("ant\nbee\n")
    (folder / "assets.extra").mkdir()
    (folder / "assets.extra" / "card.json").write_text("{}")
    return folder


@pytest.fixture
def module(saved, tmp_path):
    """A copy of the tiny module that a test may change."""
    return Path(shutil.copytree(saved, tmp_path / "tiny"))


@pytest.fixture(autouse=True)
def store(tmp_path, monkeypatch):
    """A store of the test's own, in a process that has verified nothing yet."""
    monkeypatch.setenv("KERAS_TRANSGEN_HOME", str(tmp_path / "home"))
    monkeypatch.setattr(module_store, "_verified", set())
    return tmp_path / "home" / "modules"


def module_files(folder):
    kept = ("saved_model.pb", "variables", "assets", "assets.extra")
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in Path(folder).rglob("*")
        if path.is_file() and path.relative_to(folder).parts[0] in kept
    }


def files(folder):
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in Path(folder).rglob("*")
        if path.is_file()
    }


class TestDigest:
    def test_is_the_one_in_the_description(self, tmp_path):
        """Written out by hand, since saved models carry digests: it may never change."""
        (tmp_path / "variables").mkdir()
        (tmp_path / "saved_model.pb").write_bytes(b"graph")
        (tmp_path / "variables" / "variables.index").write_bytes(b"index")
        graph, index = (hashlib.sha256(content).hexdigest() for content in (b"graph", b"index"))
        expected = hashlib.sha256(
            b"keras_transgen module 1\n"
            + f"14 saved_model.pb {graph}\n".encode()
            + f"25 variables/variables.index {index}\n".encode()
        ).hexdigest()
        assert folder_digest(tmp_path) == expected

    def test_does_not_depend_on_place_time_and_permissions(self, saved, module):
        for path in module.rglob("*"):
            os.utime(path, (1, 1))
            path.chmod(0o700)
        assert folder_digest(str(module)) == folder_digest(saved)

    @pytest.mark.parametrize(
        "name", ["fingerprint.pb", "README.md", ".descriptor.txt", "keras_metadata.pb", "x/y"]
    )
    def test_ignores_what_no_loader_reads(self, saved, module, name):
        (module / name).parent.mkdir(exist_ok=True)
        (module / name).write_bytes(b"something else")
        assert folder_digest(module) == folder_digest(saved)

    @pytest.mark.parametrize(
        "name",
        [
            "saved_model.pb",
            "variables/variables.index",
            "variables/variables.data-00000-of-00001",
            "assets/labels.txt",
            "assets.extra/card.json",
        ],
    )
    def test_sees_every_byte_and_every_name(self, saved, module, name):
        content = bytearray((module / name).read_bytes())
        content[-1] ^= 1
        (module / name).write_bytes(content)
        changed = folder_digest(module)
        assert changed != folder_digest(saved)
        (module / name).unlink()
        assert folder_digest(module) not in (changed, folder_digest(saved))

    def test_sees_a_renamed_and_an_added_asset(self, saved, module):
        (module / "assets" / "labels.txt").rename(module / "assets" / "classes.txt")
        renamed = folder_digest(module)
        (module / "assets" / "empty").write_bytes(b"")
        assert len({renamed, folder_digest(module), folder_digest(saved)}) == 3

    def test_content_cannot_slip_from_one_file_to_the_next(self, tmp_path):
        for name, content in {"one": ("ab", "c"), "two": ("a", "bc")}.items():
            (tmp_path / name / "assets").mkdir(parents=True)
            for file, text in zip(("x", "y"), content, strict=True):
                (tmp_path / name / "assets" / file).write_text(text)
        assert folder_digest(tmp_path / "one") != folder_digest(tmp_path / "two")


class TestStore:
    def test_gives_back_what_was_put_in(self, module, saved, store):
        digest = store_module(module)
        assert digest == folder_digest(saved)
        shutil.rmtree(module)
        folder = find_module(digest)
        assert folder == store / digest
        assert files(folder) == module_files(saved)
        assert os.listdir(store) == [digest]
        loaded = tf.saved_model.load(str(folder))
        assert loaded(tf.constant([3.0])).numpy() == [6.0]

    def test_storing_again_changes_nothing(self, module, store):
        digest = store_module(module)
        inode = (store / digest).stat().st_ino
        assert store_module(str(module)) == digest
        assert (store / digest).stat().st_ino == inode

    def test_unknown_digests_are_none(self, store):
        assert find_module("0" * 64) is None
        assert not store.exists()

    @pytest.mark.parametrize("digest", ["", "../" * 21 + "x", "A" * 64, "0" * 63, None])
    def test_what_is_no_digest_is_refused(self, digest):
        with pytest.raises(HandleError, match="64 hexadecimal digits"):
            find_module(digest)

    def test_a_broken_folder_is_refused(self, module, store):
        (module / "variables" / "variables.index").unlink()
        with pytest.raises(BrokenModuleError, match=r"variables\.index"):
            store_module(module)
        assert not store.exists()

    def test_the_default_place(self, module, monkeypatch, tmp_path):
        monkeypatch.delenv("KERAS_TRANSGEN_HOME")
        monkeypatch.setenv("HOME", str(tmp_path))
        digest = store_module(module)
        assert (tmp_path / ".cache" / "keras_transgen" / "modules" / digest).is_dir()


class TestTampering:
    @pytest.fixture
    def digest(self, module, store, monkeypatch):
        """A stored module whose graph was changed, as another process meets it."""
        digest = store_module(module)
        with (store / digest / "assets" / "labels.txt").open("a") as file:
            file.write("wasp\n")
        monkeypatch.setattr(module_store, "_verified", set())
        return digest

    def test_is_refused_at_first_use(self, digest, store):
        for _ in range(2):
            with pytest.raises(BrokenModuleError) as error:
                find_module(digest)
            assert str(store / digest) in str(error.value)
            assert "delete" in str(error.value)

    def test_is_repaired_from_the_original(self, digest, module, store):
        with pytest.warns(UserWarning, match="replaced"):
            assert store_module(module) == digest
        assert files(find_module(digest)) == module_files(module)
        assert os.listdir(store) == [digest]

    def test_an_untouched_module_is_read_once(self, module, monkeypatch):
        digest = store_module(module)
        monkeypatch.setattr(module_store, "_verified", set())
        find_module(digest)
        monkeypatch.setattr(module_store, "folder_digest", None)
        assert find_module(digest).name == digest


class TestPacking:
    def test_a_packed_module_unpacks_into_another_store(self, module, saved, tmp_path, monkeypatch):
        digest = store_module(module)
        file = pack_module(digest, tmp_path / "module.tar")
        monkeypatch.setenv("KERAS_TRANSGEN_HOME", str(tmp_path / "elsewhere"))
        assert find_module(digest) is None
        assert unpack_module(file) == digest
        folder = find_module(digest)
        assert folder.is_relative_to(tmp_path / "elsewhere")
        assert files(folder) == module_files(saved)
        assert os.listdir(folder.parent) == [digest]

    def test_a_folder_packs_as_its_digest_does(self, module, tmp_path):
        folder = pack_module(module, tmp_path / "folder.tar").read_bytes()
        for path in module.rglob("*"):
            os.utime(path, (1, 1))
        digest = pack_module(store_module(module), tmp_path / "digest.tar").read_bytes()
        assert folder == digest
        with tarfile.open(tmp_path / "digest.tar") as tar:
            assert sorted(tar.getnames()) == sorted(module_files(module))

    def test_unpacking_what_is_there_already(self, module, tmp_path, store):
        digest = store_module(module)
        inode = (store / digest).stat().st_ino
        assert unpack_module(pack_module(digest, tmp_path / "module.tar")) == digest
        assert (store / digest).stat().st_ino == inode

    def test_a_digest_that_is_not_in_the_store(self, tmp_path):
        with pytest.raises(HandleError, match="store_module"):
            pack_module("0" * 64, tmp_path / "module.tar")
        assert not (tmp_path / "module.tar").exists()

    def test_a_folder_that_is_no_module(self, tmp_path):
        with pytest.raises(BrokenModuleError, match=r"saved_model\.pb"):
            pack_module(tmp_path, tmp_path / "module.tar")

    def test_a_cut_file_is_refused(self, module, tmp_path, store):
        packed = pack_module(module, tmp_path / "module.tar").read_bytes()
        for cut in range(0, len(packed.rstrip(b"\0")), len(packed) // 20):
            (tmp_path / "module.tar").write_bytes(packed[:cut])
            with pytest.raises(BrokenModuleError, match="Received: "):
                unpack_module(tmp_path / "module.tar")
        assert os.listdir(store) == []

    def test_a_malicious_file_is_refused(self, module, tmp_path, store):
        packed = io.BytesIO()
        with tarfile.open(fileobj=packed, mode="w") as tar:
            tar.add(module, arcname=".")
            link = tarfile.TarInfo("assets/link")
            link.type, link.linkname = tarfile.SYMTYPE, "/etc"
            tar.addfile(link)
        (tmp_path / "module.tar").write_bytes(packed.getvalue())
        with pytest.raises(BrokenModuleError, match="a symbolic link"):
            unpack_module(tmp_path / "module.tar")
        assert os.listdir(store) == []

    def test_what_is_no_part_of_a_module_is_not_stored(self, module, tmp_path):
        (module / "startup.py").write_text("print()")
        with tarfile.open(tmp_path / "module.tar", "w") as tar:
            tar.add(module, arcname=".")
        folder = find_module(unpack_module(tmp_path / "module.tar"))
        assert files(folder) == module_files(module)


@pytest.mark.long
class TestProcesses:
    def test_abandoned_work_is_swept_and_fresh_work_is_not(self, module, store):
        for name, age in {"old": 25 * 3600, "new": 0}.items():
            (store / f".{name}.partial").mkdir(parents=True)
            then = time.time() - age
            os.utime(store / f".{name}.partial", (then, then))
        digest = store_module(module)
        assert sorted(os.listdir(store)) == [".new.partial", digest]

    @pytest.mark.slow
    def test_two_at_once_store_one(self, module, store):
        script = "import sys; from keras_transgen.backbones.module_store import store_module as s;"
        script += "print(s(sys.argv[1]))"
        command = [sys.executable, "-c", script, str(module)]
        processes = [
            subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) for _ in range(2)
        ]
        digests = [process.communicate(timeout=120)[0].strip() for process in processes]
        assert digests == [folder_digest(module)] * 2
        assert os.listdir(store) == digests[:1]

    @pytest.mark.slow
    def test_a_killed_process_leaves_no_module(self, module, store):
        digest = folder_digest(module)
        script = (
            "import os, signal, sys\n"
            "from keras_transgen.backbones.module_files import HashedStream\n"
            "from keras_transgen.backbones.module_store import store_module\n"
            "finish, copied = HashedStream.hexdigest, []\n"
            "def finish_twice(stream):\n"
            "    copied.append(finish(stream))\n"
            "    if os.path.isdir(sys.argv[2]): os.kill(os.getpid(), signal.SIGKILL)\n"
            "    return copied[-1]\n"
            "HashedStream.hexdigest = finish_twice\n"
            "store_module(sys.argv[1])\n"
        )
        process = subprocess.run(
            [sys.executable, "-c", script, str(module), str(store)], cwd=ROOT, check=False
        )
        assert process.returncode == -signal.SIGKILL
        assert len(os.listdir(store)) == 1
        assert find_module(digest) is None
        assert store_module(module) == digest
        assert files(find_module(digest)) == module_files(module)


@pytest.fixture
def temporary(tmp_path, monkeypatch):
    """A temporary folder of the test's own, where this process keeps no modules yet."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    monkeypatch.setattr(module_store, "_temporary", [])
    return folder


@pytest.fixture
def close_store(store, monkeypatch):
    """Makes the store one that may only be read, for root, too."""

    def refusing(real):
        def call(*paths, **options):
            names = [Path(path) for path in paths[:2] if not isinstance(path, int)]
            if any(name.is_relative_to(store.parent) for name in names):
                raise PermissionError(13, "Permission denied")
            return real(*paths, **options)

        return call

    def close():
        for name in ("mkdir", "replace", "rename"):
            monkeypatch.setattr(os, name, refusing(getattr(os, name)))

    return close


class TestStoreThatMayOnlyBeRead:
    def test_what_is_in_it_is_found_without_a_word(self, module, temporary, close_store, tmp_path):
        digest = store_module(module)
        file, seen = pack_module(digest, tmp_path / "module.tar"), []
        close_store()
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            assert store_module(module) == digest
            keep_module(PrivateModule(module))
            assert unpack_module(file, expected=digest, check=seen.append) == digest
        assert len(seen) == 1
        assert seen[0].is_relative_to(temporary)
        gc.collect()
        assert os.listdir(temporary) == []

    def test_the_check_is_made_of_what_the_store_has_already(self, module, temporary, tmp_path):
        digest = store_module(module)
        file = pack_module(digest, tmp_path / "module.tar")

        def refuse(folder):
            raise ValueError("refused")

        with pytest.raises(ValueError, match="refused"):
            unpack_module(file, expected=digest, check=refuse)
        assert os.listdir(temporary) == []

    @pytest.mark.parametrize("way", ["store", "unpack", "keep"])
    def test_what_it_lacks_is_kept_for_the_process(
        self, module, store, temporary, close_store, tmp_path, way
    ):
        file, digest = pack_module(module, tmp_path / "module.tar"), folder_digest(module)
        close_store()
        ways = {
            "store": lambda: store_module(module),
            "unpack": lambda: unpack_module(file, expected=digest),
            "keep": lambda: keep_module(PrivateModule(module)),
        }
        with pytest.warns(UserWarning, match="KERAS_TRANSGEN_HOME"):
            ways[way]()
        assert not store.exists()
        found = find_module(digest)
        assert found.is_relative_to(temporary)
        assert files(found) == module_files(module)
        assert stored_folder(digest) == found
        again = pack_module(digest, tmp_path / "again.tar")
        assert again.read_bytes() == file.read_bytes()

    def test_a_module_that_was_changed_in_it_is_replaced_for_the_process(
        self, module, store, temporary, close_store
    ):
        digest = store_module(module)
        (store / digest / "assets" / "labels.txt").write_text("dog")
        module_store._verified.clear()
        close_store()
        with pytest.warns(UserWarning, match="KERAS_TRANSGEN_HOME"):
            assert store_module(module) == digest
        assert stored_folder(digest).is_relative_to(temporary)
        assert files(find_module(digest)) == module_files(module)

    def test_what_is_kept_for_the_process_goes_with_it(self, module, tmp_path):
        # A store that cannot be made, whoever tries.
        (tmp_path / "file").write_text("")
        (tmp_path / "short").mkdir()
        script = (
            "import sys\n"
            "from keras_transgen.backbones.module_store import find_module, store_module\n"
            "print(find_module(store_module(sys.argv[1])))\n"
        )
        outside = {
            **os.environ,
            "KERAS_TRANSGEN_HOME": str(tmp_path / "file" / "home"),
            "TMPDIR": str(tmp_path / "short"),
        }
        done = subprocess.run(
            [sys.executable, "-c", script, module],
            cwd=ROOT,
            env=outside,
            capture_output=True,
            text=True,
            check=True,
        )
        assert Path(done.stdout.strip()).is_relative_to(tmp_path / "short")
        assert os.listdir(tmp_path / "short") == []

    def test_no_room_anywhere_says_what_to_do(self, module, temporary, monkeypatch):
        private = PrivateModule(module)

        def full(*arguments, **options):
            raise OSError(28, "No space left on device")

        monkeypatch.setattr(module_store, "copy_module", full)
        with pytest.raises(HandleError, match=r"(?s)KERAS_TRANSGEN_HOME.*No space left"):
            store_module(module)
        with pytest.warns(UserWarning, match=r"(?s)not be saved.*No space left"):
            keep_module(private)

    def test_a_model_is_loaded_used_and_saved_without_a_store(
        self, module, temporary, close_store, tmp_path
    ):
        close_store()
        x = np.arange(3, dtype="float32")
        with pytest.warns(UserWarning, match="KERAS_TRANSGEN_HOME"):
            # Its numbers are a batch, not the samples of one wave.
            backbone = SavedModelBackbone(module, batch_axis=True)
        model = keras.Sequential([keras.Input(()), backbone])
        model.save(tmp_path / "model.keras")
        module_store._temporary.clear()
        with pytest.warns(UserWarning, match="KERAS_TRANSGEN_HOME"):
            again = load_model(tmp_path / "model.keras")
        np.testing.assert_array_equal(again(x), model(x))
