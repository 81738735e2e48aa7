import functools
import gzip
import hashlib
import io
import logging
import os
import shutil
import signal
import socket
import stat
import subprocess
import sys
import tarfile
import time
import types
import urllib.request
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from keras_transgen.backbones import downloads, handles
from keras_transgen.backbones.handles import (
    BrokenModuleError,
    HandleError,
    resolve,
)
from tests.backbones.hub_server import Fault, HubServer, pack_tar_gz, save_tiny_module

PATH = "/google/tiny/1"
ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    return save_tiny_module(tmp_path_factory.mktemp("saved") / "tiny")


@pytest.fixture
def module(saved, tmp_path):
    """A copy of the tiny module that a test may damage."""
    return Path(shutil.copytree(saved, tmp_path / "tiny"))


@pytest.fixture
def hub():
    with HubServer() as server:
        yield server


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("TFHUB_CACHE_DIR", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture(autouse=True)
def quick_attempts(monkeypatch):
    """The same attempts, without the pauses between them."""
    monkeypatch.setattr(
        handles, "download", functools.partial(downloads.download, backoff=0.01, timeout=5.0)
    )


def sha1(handle):
    return hashlib.sha1(handle.encode()).hexdigest()


def entry(handle):
    """What a module's entry in the cache consists of."""
    return [sha1(handle), f"{sha1(handle)}.descriptor.txt", f"{sha1(handle)}.sha256"]


def files(folder):
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in Path(folder).rglob("*")
        if path.is_file()
    }


def left_in(cache):
    """What is in the cache beside whole modules and their descriptions."""
    return os.listdir(cache) if cache.exists() else []


def fetch_fails(handle, cache, kind=HandleError, **arguments):
    with pytest.raises(kind) as error:
        resolve(handle, progress=False, **arguments)
    assert left_in(cache) == []
    assert "Received: " in str(error.value)
    return str(error.value)


class TestFolders:
    def test_a_folder_is_its_own_module(self, module, cache):
        assert resolve(str(module)) == module
        assert resolve(module) == module
        assert resolve(module.as_uri()) == module
        assert not cache.exists()

    def test_a_relative_path_and_one_with_blanks(self, module, monkeypatch):
        module = module.rename(module.parent / "tiny module #1")
        monkeypatch.chdir(module.parent)
        assert resolve("tiny module #1") == module
        assert resolve(f"file://{urllib.request.pathname2url(str(module))}") == module

    def test_the_home_folder(self, module, monkeypatch):
        monkeypatch.setenv("HOME", str(module.parent))
        assert resolve("~/tiny") == module

    def test_a_wrong_name_brings_near_ones(self, module, cache):
        message = fetch_fails(str(module.parent / "tinny"), cache)
        assert f"Did you mean {str(module)!r}?" in message

    def test_a_wrong_name_in_the_middle_brings_near_ones(self, module, cache):
        message = fetch_fails(str(module.parent / "tinni" / "variables"), cache)
        assert f"Did you mean {str(module)!r}?" in message

    def test_a_forgotten_scheme(self, cache):
        message = fetch_fails("tfhub.dev/google/tiny/1", cache)
        assert "'https://tfhub.dev/google/tiny/1'" in message
        message = fetch_fails("google/mobilenet-v2/tensorFlow2/tiny", cache)
        assert "'kaggle://google/mobilenet-v2/tensorFlow2/tiny'" in message

    def test_a_folder_above_the_module(self, module, cache):
        message = fetch_fails(str(module.parent), cache, BrokenModuleError)
        assert f"Did you mean {str(module)!r}?" in message

    def test_a_file_of_the_module(self, module, cache):
        for file in ("saved_model.pb", "variables/variables.index"):
            message = fetch_fails(str(module / file), cache)
            assert f"Did you mean {str(module)!r}?" in message

    def test_files_of_other_kinds(self, tmp_path, cache):
        (tmp_path / "model.keras").write_bytes(b"PK\x03\x04")
        (tmp_path / "notes.txt").write_text("no module")
        assert "keras.saving.load_model" in fetch_fails(str(tmp_path / "model.keras"), cache)
        assert "neither" in fetch_fails(str(tmp_path / "notes.txt"), cache)

    @pytest.mark.parametrize("handle", ["", "  ", None, 3, b"folder"])
    def test_what_is_no_handle(self, handle, cache):
        fetch_fails(handle, cache)

    def test_a_file_url_with_a_host(self, cache):
        assert "three slashes" in fetch_fails("file://models/tiny", cache)


class TestDownload:
    def test_the_hub_protocol(self, hub, saved, cache, capfd):
        handle = hub.add_module(PATH, saved)
        folder = resolve(handle)
        assert folder == cache / sha1(handle)
        assert files(folder) == files(saved)
        loaded = tf.saved_model.load(str(folder))
        np.testing.assert_array_equal(loaded(tf.constant([1.0, 3.0])), [2.0, 6.0])
        assert [request.query for request in hub.requests] == ["tf-hub-format=compressed"]
        assert sorted(left_in(cache)) == entry(handle)
        assert handle in (cache / f"{sha1(handle)}.descriptor.txt").read_text()
        assert "Downloading" in capfd.readouterr().err

    @pytest.mark.shared_data
    def test_a_real_module(self, hub, shared_folder, cache):
        module = shared_folder / "hub" / "mobilenet_v1_025_224_feature_vector"
        folder = resolve(hub.add_module(PATH, module), progress=False)
        assert files(folder) == files(module)

    def test_a_second_call_asks_nobody(self, hub, saved, cache, capfd):
        handle = hub.add_module(PATH, saved)
        first = resolve(handle, progress=False)
        assert resolve(handle, progress=False) == first
        assert len(hub.requests) == 1
        assert capfd.readouterr().err == ""

    def test_a_cache_of_tensorflow_hub_is_used(self, saved, cache):
        handle = "https://tfhub.dev/google/imagenet/tiny/feature_vector/5"
        shutil.copytree(saved, cache / sha1(handle))
        assert resolve(handle, progress=False) == cache / sha1(handle)

    def test_the_cache_folder_can_be_given(self, hub, saved, cache, tmp_path):
        handle = hub.add_module(PATH, saved)
        folder = resolve(handle, cache_dir=tmp_path / "other", progress=False)
        assert folder == tmp_path / "other" / sha1(handle)
        assert not cache.exists()

    def test_the_default_cache_is_the_users_own(self, hub, saved, tmp_path, monkeypatch):
        monkeypatch.delenv("TFHUB_CACHE_DIR", raising=False)
        monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "temporary"))
        monkeypatch.setenv("KERAS_TRANSGEN_HOME", str(tmp_path / "own"))
        handle = hub.add_module(PATH, saved)
        assert resolve(handle, progress=False) == tmp_path / "own" / "hub" / sha1(handle)
        assert stat.S_IMODE((tmp_path / "own" / "hub").stat().st_mode) == 0o700
        assert not (tmp_path / "temporary").exists()

    def test_the_limits_can_be_set(self, hub, saved, cache, monkeypatch):
        handle = hub.add_module(PATH, saved)
        packed = len(hub.content(PATH))
        assert "max_bytes" in fetch_fails(handle, cache, max_bytes=packed - 1)
        # Packed it is small enough, and unpacked it is not.
        fetch_fails(handle, cache, BrokenModuleError, max_bytes=packed)
        fetch_fails(handle, cache, BrokenModuleError, max_members=2)
        monkeypatch.setenv("KERAS_TRANSGEN_MAX_BYTES", str(packed))
        fetch_fails(handle, cache, BrokenModuleError)
        monkeypatch.setenv("KERAS_TRANSGEN_MAX_BYTES", "much")
        assert "KERAS_TRANSGEN_MAX_BYTES" in fetch_fails(handle, cache)
        assert files(resolve(handle, progress=False, max_bytes=2**20)) == files(saved)

    def test_an_existing_query_is_kept(self, hub, saved, cache):
        handle = hub.add_module(PATH, saved) + "?alpha=1%2B1&flag#part"
        folder = resolve(handle, progress=False)
        assert folder.name == sha1(handle)
        assert hub.requests[0].query == "alpha=1%2B1&flag&tf-hub-format=compressed"

    def test_redirects_are_followed(self, hub, saved, cache):
        hub.add_file("/storage/archive", pack_tar_gz(saved))
        hub.add_fault("/tfhub", Fault(redirect=hub.url("/kaggle")))
        hub.add_fault("/kaggle", Fault(redirect="/storage/archive"))
        folder = resolve(hub.url("/tfhub"), progress=False)
        assert folder.name == sha1(hub.url("/tfhub"))
        assert [request.status for request in hub.requests] == [302, 302, 200]

    @pytest.mark.parametrize("name", ["tiny.tar.gz", "tiny.TGZ"])
    def test_a_plain_archive_is_fetched_as_it_stands(self, hub, saved, cache, name):
        handle = hub.add_file(f"/{name}", pack_tar_gz(saved)) + "?signature=abc"
        assert files(resolve(handle, progress=False)) == files(saved)
        assert hub.requests[0].query == "signature=abc"

    def test_an_archive_with_one_folder_around_the_module(self, hub, saved, cache):
        packed = io.BytesIO()
        with tarfile.open(fileobj=packed, mode="w:gz") as tar:
            tar.add(saved, arcname="tiny-1.0")
        handle = hub.add_file("/tiny.tar.gz", packed.getvalue())
        assert files(resolve(handle, progress=False)) == files(saved)

    def test_never_away_from_https(self):
        request = urllib.request.Request("https://tfhub.dev/google/tiny/1")
        handler = downloads._CarefulRedirects()
        with pytest.raises(HandleError, match="safe address"):
            handler.redirect_request(
                request, io.BytesIO(), 302, "Found", {}, "http://example.org/a"
            )
        there = handler.redirect_request(
            request, io.BytesIO(), 302, "Found", {}, "https://kaggle.com/a"
        )
        assert there.full_url == "https://kaggle.com/a"


class TestBrokenConnections:
    def test_a_dropped_connection_is_taken_up_where_it_broke(self, hub, saved, cache):
        handle = hub.add_module(PATH, saved)
        hub.add_fault(PATH, Fault(drop_after=1000, times=1))
        hub.add_fault(PATH, Fault(drop_after=500, times=1))
        assert files(resolve(handle, progress=False)) == files(saved)
        assert [request.status for request in hub.requests] == [200, 206, 206]
        assert [request.headers.get("Range") for request in hub.requests] == [
            None,
            "bytes=1000-",
            "bytes=1500-",
        ]

    def test_without_a_validator_it_starts_again(self, hub, saved, cache):
        handle = hub.add_module(PATH, saved, validator=False)
        hub.add_fault(PATH, Fault(drop_after=1000, times=1))
        assert files(resolve(handle, progress=False)) == files(saved)
        assert [request.headers.get("Range") for request in hub.requests] == [None, None]

    def test_a_weak_tag_does_not_say_that_the_bytes_are_the_same(self, hub, saved, cache):
        """This server would go on where it broke, and glue together what only means the same."""
        handle = hub.add_module(PATH, saved, validator="weak")
        hub.add_fault(PATH, Fault(drop_after=1000, times=1))
        assert files(resolve(handle, progress=False)) == files(saved)
        assert [request.headers.get("If-Range") for request in hub.requests] == [None, None]
        assert [request.status for request in hub.requests] == [200, 200]

    def test_content_that_changed_meanwhile_is_not_glued_together(
        self, hub, saved, cache, tmp_path
    ):
        other = save_tiny_module(tmp_path / "other", scale=3.0, size=1200)
        handle = hub.add_module(PATH, saved)
        hub.add_fault(PATH, Fault(drop_after=1000, times=1))
        hub.add_fault(PATH, Fault(change_content=pack_tar_gz(other), times=1))
        assert files(resolve(handle, progress=False)) == files(other)
        assert [request.status for request in hub.requests] == [200, 200]

    def test_a_server_that_is_busy_is_asked_again(self, hub, saved, cache):
        handle = hub.add_module(PATH, saved)
        hub.add_fault(PATH, Fault(status=503, headers={"Retry-After": "1"}, times=1))
        start = time.monotonic()
        assert files(resolve(handle, progress=False)) == files(saved)
        assert time.monotonic() - start >= 1.0

    def test_attempts_are_bounded(self, hub, saved, cache):
        handle = hub.add_module(PATH, saved)
        hub.add_fault(PATH, Fault(drop_after=0))
        message = fetch_fails(handle, cache)
        assert len(hub.requests) == 5
        assert "5 attempts" in message
        assert handle in message

    def test_a_content_length_that_is_too_large(self, hub, saved, cache):
        handle = hub.add_module(PATH, saved, validator=False)
        size = len(hub.content(PATH))
        hub.add_fault(PATH, Fault(content_length=size + 10))
        message = fetch_fails(handle, cache)
        assert f"after {size:,} of {size + 10:,} bytes" in message

    def test_a_content_length_that_is_too_small(self, hub, saved, cache):
        handle = hub.add_module(PATH, saved)
        hub.add_fault(PATH, Fault(content_length=len(hub.content(PATH)) - 10))
        assert "damaged or cut short" in fetch_fails(handle, cache, BrokenModuleError)

    def test_no_server(self, cache):
        with socket.socket() as unused:
            unused.bind(("127.0.0.1", 0))
            handle = f"http://127.0.0.1:{unused.getsockname()[1]}/google/tiny/1"
        message = fetch_fails(handle, cache)
        assert "refused" in message
        assert "network" in message

    def test_a_host_without_an_address(self, cache):
        assert "network" in fetch_fails("https://no-such-host.invalid/google/tiny/1", cache)

    def test_a_server_that_falls_silent(self, hub, saved, cache, monkeypatch):
        quick = functools.partial(downloads.download, backoff=0.01, timeout=0.2, attempts=2)
        monkeypatch.setattr(handles, "download", quick)
        handle = hub.add_module(PATH, saved)
        hub.add_fault(PATH, Fault(seconds_per_chunk=0.5))
        assert "2 attempts" in fetch_fails(handle, cache)


class TestRefusals:
    def test_no_such_handle(self, hub, cache):
        message = fetch_fails(hub.url("/google/none/1"), cache)
        assert "HTTP status 404" in message
        assert hub.url("/google/none/1") in message
        assert "spelling" in message
        assert len(hub.requests) == 1

    @pytest.mark.parametrize(("status", "words"), [(401, "login"), (403, "terms"), (400, "400")])
    def test_other_statuses(self, hub, saved, cache, status, words):
        handle = hub.add_module(PATH, saved)
        hub.add_fault(PATH, Fault(status=status))
        assert words in fetch_fails(handle, cache)
        assert len(hub.requests) == 1

    def test_a_login_page(self, hub, saved, cache):
        handle = hub.add_module(PATH, saved)
        hub.add_fault(PATH, Fault(html=True))
        message = fetch_fails(handle, cache)
        assert "titled 'Sign in to Kaggle'" in message
        assert "kaggle://" in message

    def test_an_address_that_is_none(self, cache):
        fetch_fails("https:///google/tiny/1", cache)
        fetch_fails("http://127.0.0.1:1/google/tiny 1\n", cache)

    @pytest.mark.parametrize("part", [0.0, 0.3, 0.999])
    def test_a_cut_archive(self, hub, saved, cache, part):
        handle = hub.add_module(PATH, saved)
        hub.add_fault(PATH, Fault(truncate_after=int(part * len(hub.content(PATH)))))
        message = fetch_fails(handle, cache, BrokenModuleError)
        assert handle in message

    def test_an_archive_whose_tar_was_cut_before_it_was_packed(self, hub, saved, cache):
        # gzip finds nothing wrong here, and neither does Python's tarfile.
        tar = gzip.decompress(pack_tar_gz(saved))
        header = tar.index(b"./variables/variables.data")
        handle = hub.add_file("/tiny.tar.gz", gzip.compress(tar[:header]))
        assert "cut short" in fetch_fails(handle, cache, BrokenModuleError)

    def test_a_malicious_archive(self, hub, saved, cache):
        packed = io.BytesIO()
        with tarfile.open(fileobj=packed, mode="w:gz") as tar:
            tar.add(saved, arcname=".")
            tar.addfile(tarfile.TarInfo("../../escaped"))
        handle = hub.add_file("/tiny.tar.gz", packed.getvalue())
        assert "climbs out" in fetch_fails(handle, cache, BrokenModuleError)
        assert not list(cache.parent.rglob("escaped"))

    def test_an_archive_of_something_else(self, hub, cache, tmp_path):
        (tmp_path / "photos").mkdir()
        (tmp_path / "photos" / "ant.jpg").write_bytes(b"jpg")
        handle = hub.add_file("/photos.tar.gz", pack_tar_gz(tmp_path / "photos"))
        assert "ant.jpg" in fetch_fails(handle, cache, BrokenModuleError)

    def test_an_archive_of_half_a_module(self, hub, module, cache):
        (module / "variables" / "variables.index").unlink()
        handle = hub.add_module(PATH, module)
        assert "variables.index" in fetch_fails(handle, cache, BrokenModuleError)

    def test_a_cache_that_cannot_be_a_folder(self, hub, saved, tmp_path, cache):
        handle = hub.add_module(PATH, saved)
        (tmp_path / "file").write_text("")
        with pytest.raises(HandleError, match="TFHUB_CACHE_DIR"):
            resolve(handle, cache_dir=tmp_path / "file" / "cache", progress=False)


class TestBrokenCache:
    @pytest.mark.parametrize(
        "damage",
        [
            lambda folder: (folder / "saved_model.pb").unlink(),
            lambda folder: (folder / "saved_model.pb").write_bytes(b"half"),
            lambda folder: shutil.rmtree(folder / "variables"),
            lambda folder: (folder / "variables" / "variables.index").write_bytes(b""),
            lambda folder: (folder / "variables" / "variables.data-00000-of-00001").unlink(),
        ],
        ids=["no graph", "cut graph", "no variables", "cut index", "no shard"],
    )
    def test_is_noticed_and_fetched_again(self, hub, saved, cache, damage):
        handle = hub.add_module(PATH, saved)
        damage(resolve(handle, progress=False))
        with pytest.warns(UserWarning, match="broken and is fetched again") as warned:
            folder = resolve(handle, progress=False)
        assert handle in str(warned[0].message)
        assert files(folder) == files(saved)
        assert len(hub.requests) == 2
        assert sorted(left_in(cache)) == entry(handle)

    def test_is_left_alone_when_nothing_better_comes(self, hub, saved, cache):
        handle = hub.add_module(PATH, saved)
        folder = resolve(handle, progress=False)
        (folder / "saved_model.pb").unlink()
        before = files(cache)
        hub.add_fault(PATH, Fault(status=404))
        with pytest.warns(UserWarning, match="broken"), pytest.raises(HandleError, match="404"):
            resolve(handle, progress=False)
        assert files(cache) == before

    def test_an_empty_folder_is_filled_without_a_warning(self, hub, saved, cache, recwarn):
        handle = hub.add_module(PATH, saved)
        (cache / sha1(handle)).mkdir(parents=True)
        assert files(resolve(handle, progress=False)) == files(saved)
        assert not [warning for warning in recwarn if "broken" in str(warning.message)]

    def test_a_file_in_the_folders_place(self, hub, saved, cache):
        handle = hub.add_module(PATH, saved)
        cache.mkdir()
        (cache / sha1(handle)).write_text("no folder")
        with pytest.warns(UserWarning, match="broken"):
            assert files(resolve(handle, progress=False)) == files(saved)


class TestTrust:
    def test_what_has_changed_since_it_was_fetched_is_fetched_again(self, hub, saved, cache):
        handle = hub.add_module(PATH, saved)
        folder = resolve(handle, progress=False)
        # Another whole module: nothing but its digest tells.
        shutil.rmtree(folder)
        save_tiny_module(folder, scale=5.0)
        with pytest.warns(UserWarning, match="have changed since"):
            resolve(handle, progress=False)
        assert files(folder) == files(saved)
        assert len(hub.requests) == 2

    def test_what_tensorflow_hub_has_put_in_the_place_of_an_old_entry(self, hub, saved, cache):
        handle = hub.add_module(PATH, saved)
        folder = resolve(handle, progress=False)
        (cache / f"{folder.name}.sha256").unlink()
        save_tiny_module(folder, scale=5.0)
        assert resolve(handle, progress=False) == folder
        assert len(hub.requests) == 1

    @pytest.mark.parametrize("where", ["entry", "file", "assets", "pipe"])
    def test_links_and_pipes_in_an_entry_are_not_followed(self, hub, saved, cache, tmp_path, where):
        handle, outside = hub.add_module(PATH, saved), tmp_path / "outside"
        shutil.copytree(saved, outside)
        cache.mkdir(mode=0o700)
        folder = cache / sha1(handle)
        if where == "entry":
            folder.symlink_to(outside)
        else:
            shutil.copytree(saved, folder)
        if where == "file":
            (folder / "saved_model.pb").unlink()
            (folder / "saved_model.pb").symlink_to(outside / "saved_model.pb")
        elif where == "assets":
            (folder / "assets" / "deep").mkdir(parents=True)
            (folder / "assets" / "deep" / "private").symlink_to("/etc/passwd")
        elif where == "pipe":
            (folder / "assets").mkdir(exist_ok=True)
            os.mkfifo(folder / "assets" / "pipe")
        with pytest.warns(UserWarning, match="fetched again"):
            resolve(handle, progress=False)
        assert not folder.is_symlink()
        assert files(folder) == files(saved)
        assert files(outside) == files(saved)
        assert len(hub.requests) == 1

    @pytest.mark.parametrize("mode", [0o777, 0o707, 0o1777, 0o772])
    def test_a_folder_that_others_can_write_to_is_refused(self, hub, saved, cache, mode):
        handle = hub.add_module(PATH, saved)
        folder = resolve(handle, progress=False)
        cache.chmod(mode)
        with pytest.raises(HandleError, match=r"chmod 700.*TFHUB_CACHE_DIR"):
            resolve(handle, progress=False)
        # Its modules can still be named.
        assert resolve(folder) == folder
        cache.chmod(0o755)
        assert resolve(handle, progress=False) == folder

    def test_nothing_is_contacted_or_written_where_it_is_refused(self, hub, saved, cache, tmp_path):
        handle = hub.add_module(PATH, saved)
        (tmp_path / "victim").write_text("precious")
        cache.mkdir()
        cache.chmod(0o777)
        (cache / f".{sha1(handle)}.ktg-lock").symlink_to(tmp_path / "victim")
        with pytest.raises(HandleError):
            resolve(handle, progress=False)
        assert (tmp_path / "victim").read_text() == "precious"
        cache.chmod(0o700)
        with pytest.raises(HandleError, match="lock file"):
            resolve(handle, progress=False)
        assert (tmp_path / "victim").read_text() == "precious"
        assert hub.requests == []

    def test_deep_folders_that_an_older_version_left_are_removed(self, hub, saved, cache):
        handle = hub.add_module(PATH, saved)
        cache.mkdir(mode=0o700)
        here = cache / f".{sha1(handle)}.0.partial"
        for _ in range(1200):
            here.mkdir()
            os.chdir(here)
            here = Path("d")
        os.chdir(ROOT)
        resolve(handle, progress=False)
        assert sorted(left_in(cache)) == entry(handle)

    def test_a_handle_cannot_act_on_a_terminal(self, cache, capfd):
        handle = "http://127.0.0.1:9/\x1b[2Jm.tar.gz"
        with pytest.raises(HandleError) as error:
            resolve(handle, progress=True)
        assert str(error.value).isprintable()
        assert "\x1b[2J" not in capfd.readouterr().err


class TestArchives:
    def test_a_local_archive(self, saved, tmp_path, cache):
        (tmp_path / "tiny.tar.gz").write_bytes(pack_tar_gz(saved))
        folder = resolve(tmp_path / "tiny.tar.gz")
        assert files(folder) == files(saved)
        assert resolve((tmp_path / "tiny.tar.gz").as_uri()) == folder
        assert folder.parent == cache

    def test_another_archive_under_the_same_name_is_another_module(self, saved, tmp_path, cache):
        archive = tmp_path / "tiny.tar.gz"
        archive.write_bytes(pack_tar_gz(saved))
        resolve(archive)
        other = save_tiny_module(tmp_path / "other", scale=3.0)
        archive.write_bytes(pack_tar_gz(other))
        assert files(resolve(archive)) == files(other)

    def test_a_zip(self, saved, tmp_path, cache):
        archive = shutil.make_archive(str(tmp_path / "tiny"), "zip", saved)
        assert files(resolve(archive)) == files(saved)

    def test_a_broken_one(self, saved, tmp_path, cache):
        (tmp_path / "tiny.tar.gz").write_bytes(pack_tar_gz(saved)[:-20])
        message = fetch_fails(str(tmp_path / "tiny.tar.gz"), cache, BrokenModuleError)
        assert "damaged or cut short" in message


class TestOtherPlaces:
    def test_a_folder_that_only_tensorflow_reads(self, saved, cache):
        # ram:// goes the way of gs://, and needs no network.
        for name, content in files(saved).items():
            tf.io.gfile.makedirs(os.path.dirname(f"ram://hub/tiny/{name}"))
            with tf.io.gfile.GFile(f"ram://hub/tiny/{name}", "wb") as file:
                file.write(content)
        folder = resolve("ram://hub/tiny", progress=False)
        assert files(folder) == files(saved)
        assert folder == cache / sha1("ram://hub/tiny")

    def test_an_archive_that_only_tensorflow_reads(self, saved, cache):
        with tf.io.gfile.GFile("ram://hub/tiny.tar.gz", "wb") as file:
            file.write(pack_tar_gz(saved))
        assert files(resolve("ram://hub/tiny.tar.gz", progress=False)) == files(saved)

    @pytest.mark.parametrize("name", ["a/../../../evil", "/".join("a" * 40)])
    def test_names_in_a_store_lead_nowhere_else(self, saved, cache, monkeypatch, name):
        # What a bucket's listing may say.
        walked = [("ram://hub/odd/" + name.rpartition("/")[0], [], ["evil"])]
        monkeypatch.setattr(tf.io.gfile, "isdir", lambda path: True)
        monkeypatch.setattr(tf.io.gfile, "walk", lambda path: iter(walked))
        monkeypatch.setattr(tf.io.gfile, "stat", lambda path: types.SimpleNamespace(length=1))
        monkeypatch.setattr(tf.io.gfile, "copy", lambda *paths: pytest.fail("copied"))
        assert "evil" in fetch_fails("ram://hub/odd", cache, BrokenModuleError)

    def test_a_folder_of_a_store_has_limits(self, saved, cache):
        for name, content in files(saved).items():
            tf.io.gfile.makedirs(os.path.dirname(f"ram://hub/large/{name}"))
            with tf.io.gfile.GFile(f"ram://hub/large/{name}", "wb") as file:
                file.write(content)
        fetch_fails("ram://hub/large", cache, BrokenModuleError, max_bytes=1000)
        fetch_fails("ram://hub/large", cache, BrokenModuleError, max_members=1)

    def test_nothing_there(self, cache):
        assert "NotFoundError" in fetch_fails("ram://nowhere/tiny", cache)

    def test_an_unknown_scheme(self, cache):
        message = fetch_fails("htps://tfhub.dev/google/tiny/1", cache)
        assert "https" in message

    def test_kaggle_without_kagglehub(self, cache, monkeypatch):
        monkeypatch.setitem(sys.modules, "kagglehub", None)
        message = fetch_fails("kaggle://google/tiny/tensorFlow2/default/1", cache)
        assert "pip install kagglehub" in message

    def test_kaggle_needs_four_or_five_parts(self, cache):
        assert "owner/model/framework/variation" in fetch_fails("kaggle://google/tiny", cache)

    @pytest.fixture
    def kagglehub(self, tmp_path, monkeypatch):
        """A stand-in with kagglehub's one function, since Kaggle itself is out of reach."""
        (tmp_path / "kagglehub.py").write_text(
            "folder, calls, fail = None, [], None\n"
            "def model_download(handle, path=None, *, force_download=False):\n"
            "    calls.append((handle, force_download))\n"
            "    if fail: raise fail\n"
            "    return folder(force_download)\n"
        )
        monkeypatch.syspath_prepend(tmp_path)
        monkeypatch.delitem(sys.modules, "kagglehub", raising=False)
        import kagglehub

        yield kagglehub
        del sys.modules["kagglehub"]

    def test_kaggle(self, kagglehub, saved):
        kagglehub.folder = lambda force: str(saved)
        assert resolve("kaggle://google/tiny/tensorFlow2/default/1") == saved
        assert kagglehub.calls == [("google/tiny/tensorFlow2/default/1", False)]

    def test_kaggle_with_a_broken_cache(self, kagglehub, saved, tmp_path):
        (tmp_path / "broken").mkdir()
        kagglehub.folder = lambda force: str(saved if force else tmp_path / "broken")
        with pytest.warns(UserWarning, match="fetched again"):
            assert resolve("kaggle://google/tiny/tensorFlow2/default") == saved
        assert [force for _, force in kagglehub.calls] == [False, True]

    def test_kaggle_that_fails(self, kagglehub, cache):
        kagglehub.fail = RuntimeError("403 Client Error")
        message = fetch_fails("kaggle://google/tiny/tensorFlow2/default", cache)
        assert "403 Client Error" in message
        assert "kagglehub.login()" in message


# The package's own __init__ imports Keras; only the room's files are of interest here.
ALONE = """
import sys, types
for name in ("keras_transgen", "keras_transgen.backbones"):
    sys.modules[name] = types.ModuleType(name)
    sys.modules[name].__path__ = [name.replace(".", "/")]
from keras_transgen.backbones.handles import resolve
"""


def start(script, *arguments, **environment):
    return subprocess.Popen(
        [sys.executable, "-c", ALONE + script, *arguments],
        cwd=ROOT,
        env={**os.environ, **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def wait_for(condition, seconds=30.0):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.02)


@pytest.mark.long
class TestProcesses:
    def test_importing_is_light(self):
        process = start("print([m for m in ('tensorflow', 'tensorflow_hub') if m in sys.modules])")
        assert process.communicate()[0] == "[]\n"

    @pytest.mark.slow
    def test_two_at_once_download_once(self, hub, saved, cache):
        handle = hub.add_module(PATH, saved)
        hub.add_fault(PATH, Fault(seconds_per_chunk=0.03))  # about two seconds
        script = "print(resolve(sys.argv[1]))"
        first = start(script, handle)
        wait_for(lambda: hub.requests)
        second = start(script, handle)
        for process in (first, second):
            output, errors = process.communicate(timeout=120)
            assert output.strip() == str(cache / sha1(handle)), errors
        assert len(hub.requests) == 1
        # The waiter said whom it waited for.
        assert f"Waiting for process {first.pid} on " in errors
        assert f"fetching {handle}" in errors
        assert sorted(left_in(cache)) == entry(handle)

    def test_a_killed_download_leaves_nothing_that_is_trusted(self, hub, saved, cache, caplog):
        handle = hub.add_module(PATH, saved)
        hub.add_fault(PATH, Fault(seconds_per_chunk=0.5, times=1))
        process = start("resolve(sys.argv[1])", handle)
        wait_for(lambda: list(cache.rglob("archive")))
        process.send_signal(signal.SIGKILL)
        process.communicate()
        assert not (cache / sha1(handle)).exists()
        assert any(name.endswith(".partial") for name in left_in(cache))
        with caplog.at_level(logging.INFO, "keras_transgen"):
            folder = resolve(handle, progress=False)
        assert files(folder) == files(saved)
        assert "Waiting" not in caplog.text
        assert sorted(left_in(cache)) == entry(handle)

    @pytest.mark.slow
    def test_who_waits_for_a_process_that_is_killed_takes_over(self, hub, saved, cache):
        handle = hub.add_module(PATH, saved)
        hub.add_fault(PATH, Fault(seconds_per_chunk=5.0, times=1))
        first = start("resolve(sys.argv[1])", handle)
        wait_for(lambda: hub.requests)
        second = start("print(resolve(sys.argv[1]))", handle)
        assert "Waiting for process" in second.stderr.readline()
        first.send_signal(signal.SIGKILL)
        first.communicate()
        output, errors = second.communicate(timeout=120)
        assert output.strip() == str(cache / sha1(handle)), errors
        assert files(cache / sha1(handle)) == files(saved)
        assert len(hub.requests) == 2
