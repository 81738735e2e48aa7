import gzip
import io
import os
import stat
import tarfile
import zipfile

import pytest

from keras_transgen.backbones import archives
from keras_transgen.backbones.archives import ArchiveError, unpack_archive

FILES = {
    "saved_model.pb": bytes(range(256)) * 5,
    "variables/variables.index": b"index",
    "assets/labels.txt": b"ant\nbee\n",
}


def tar_bytes(files=FILES, entries=(), format=tarfile.PAX_FORMAT):
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w", format=format) as tar:
        for name, content in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            tar.addfile(entry, io.BytesIO(content))
        for entry in entries:
            tar.addfile(entry)
    return packed.getvalue()


def zip_bytes(files=FILES, compression=zipfile.ZIP_DEFLATED):
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", compression) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return packed.getvalue()


def contents(folder):
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


@pytest.fixture
def refuse(tmp_path):
    """Unpacks bytes that must be refused; gives the message, and checks that nothing stays."""

    def unpack(packed, **limits):
        (tmp_path / "archive").write_bytes(packed)
        with pytest.raises(ArchiveError) as error:
            unpack_archive(tmp_path / "archive", tmp_path / "module", **limits)
        assert os.listdir(tmp_path) == ["archive"]
        assert "Received: " in str(error.value)
        return str(error.value)

    return unpack


def special(name, kind, target=""):
    entry = tarfile.TarInfo(name)
    entry.type = kind
    entry.linkname = target
    return entry


@pytest.mark.parametrize(
    "packed",
    [
        gzip.compress(tar_bytes()),
        tar_bytes(),
        gzip.compress(tar_bytes(format=tarfile.GNU_FORMAT)),
        gzip.compress(tar_bytes({f"./{name}": content for name, content in FILES.items()})),
        zip_bytes(),
        zip_bytes(compression=zipfile.ZIP_STORED),
    ],
    ids=["tar.gz", "tar", "gnu", "dot names", "zip", "stored zip"],
)
def test_unpacks_every_format(tmp_path, packed):
    (tmp_path / "archive").write_bytes(packed)
    module = unpack_archive(tmp_path / "archive", tmp_path / "module")
    assert module == tmp_path / "module"
    assert contents(module) == FILES
    assert sorted(os.listdir(tmp_path)) == ["archive", "module"]


def test_unpacks_folders_long_names_and_empty_files(tmp_path):
    files = {"assets/" + "n" * 150 + "/vocabulary": b"x", "assets/empty": b""}
    packed = tar_bytes(files, [special("assets.extra", tarfile.DIRTYPE)])
    (tmp_path / "archive").write_bytes(gzip.compress(packed))
    module = unpack_archive(tmp_path / "archive", tmp_path / "module")
    assert contents(module) == files
    assert (module / "assets.extra").is_dir()


def test_ignores_permissions_of_the_archive(tmp_path):
    entry = tarfile.TarInfo("program")
    entry.mode = 0o6777
    (tmp_path / "archive").write_bytes(tar_bytes({}, [entry]))
    module = unpack_archive(tmp_path / "archive", tmp_path / "module")
    mode = stat.S_IMODE((module / "program").stat().st_mode)
    assert mode & 0o6111 == 0


@pytest.mark.parametrize("format", [tarfile.PAX_FORMAT, tarfile.GNU_FORMAT])
def test_refuses_a_tar_cut_anywhere_before_its_end(refuse, tmp_path, format):
    packed = tar_bytes(FILES, [special("assets/empty", tarfile.REGTYPE)], format)
    end = packed.index(b"assets/empty") + 512 + 1024  # the last header and the end marker
    for cut in {*range(0, end, 128), *range(511, end, 512), *range(513, end, 512), end - 1}:
        refuse(packed[:cut])
        refuse(gzip.compress(packed[:cut]))
    # What follows is padding.
    (tmp_path / "archive").write_bytes(packed[:end])
    unpack_archive(tmp_path / "archive", tmp_path / "module")


def test_tarfile_accepts_what_is_refused_here(tmp_path):
    """The reason for the strictness; when this fails, tarfile has become strict itself."""
    packed = tar_bytes()
    second_header = packed.index(b"variables/variables.index")
    (tmp_path / "cut.tar").write_bytes(packed[:second_header])
    with tarfile.open(tmp_path / "cut.tar") as tar:
        assert tar.getnames() == ["saved_model.pb"]


def test_refuses_a_tar_gz_cut_anywhere(refuse):
    packed = gzip.compress(tar_bytes())
    for cut in range(len(packed)):
        refuse(packed[:cut])


def test_refuses_a_zip_cut_anywhere(refuse):
    packed = zip_bytes()
    for cut in range(len(packed)):
        refuse(packed[:cut])


def test_reads_to_the_end_of_the_gzip_stream(refuse, tmp_path):
    # Padded to whole reads, so that nothing but reading on meets what comes after.
    padded = tar_bytes().ljust(2**21, b"\0")
    packed = bytearray(gzip.compress(padded))
    packed[-5] ^= 1  # the checksum
    refuse(bytes(packed))
    refuse(gzip.compress(padded)[:-8])
    refuse(gzip.compress(padded + b"more"))
    (tmp_path / "archive").write_bytes(gzip.compress(padded))
    unpack_archive(tmp_path / "archive", tmp_path / "module")


def test_refuses_a_damaged_header_in_the_middle(refuse):
    packed = bytearray(tar_bytes())
    second_header = packed.index(b"variables/variables.index")
    packed[second_header] ^= 1
    assert "damaged" in refuse(bytes(packed))
    packed[second_header : second_header + 512] = bytes(512)
    assert "breaks off" in refuse(bytes(packed))


@pytest.mark.parametrize("make", [lambda: gzip.compress(tar_bytes()), zip_bytes])
def test_refuses_every_flipped_byte_that_changes_the_content(tmp_path, make):
    packed = make()
    for place in range(0, len(packed), 3):
        broken = bytearray(packed)
        broken[place] ^= 0x55
        (tmp_path / "archive").write_bytes(broken)
        try:
            module = unpack_archive(tmp_path / "archive", tmp_path / f"module{place}")
        except ArchiveError:
            assert not (tmp_path / f"module{place}").exists()
            continue
        # Times, flags and the zip directory's spare fields may change without harm; names in a
        # zip have no checksum, contents have one everywhere.
        assert sorted(contents(module).values()) == sorted(FILES.values())


@pytest.mark.parametrize("name", ["/etc/evil", "../evil", "assets/../../evil", "a/.."])
def test_refuses_paths_that_leave_the_folder(refuse, tmp_path, name):
    message = refuse(gzip.compress(tar_bytes({**FILES, name: b"x"})))
    assert repr(name) in message
    refuse(zip_bytes({**FILES, name: b"x"}))
    assert not (tmp_path.parent / "evil").exists()


@pytest.mark.parametrize("name", ["C:/evil", "assets\\..\\evil", "C:evil"])
def test_refuses_paths_of_another_system(refuse, name):
    assert "another system" in refuse(tar_bytes({**FILES, name: b"x"}))
    assert "another system" in refuse(zip_bytes({**FILES, name: b"x"}))


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        (tarfile.SYMTYPE, "a symbolic link"),
        (tarfile.LNKTYPE, "a hard link"),
        (tarfile.CHRTYPE, "a device or pipe"),
        (tarfile.BLKTYPE, "a device or pipe"),
        (tarfile.FIFOTYPE, "a device or pipe"),
    ],
)
def test_refuses_links_and_devices(refuse, kind, words):
    message = refuse(tar_bytes(FILES, [special("assets/more", kind, "saved_model.pb")]))
    assert words in message
    assert "'assets/more'" in message


def test_refuses_to_write_through_a_link(refuse, tmp_path):
    outside = tmp_path.parent / f"{tmp_path.name}-outside"
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as tar:
        tar.addfile(special("assets", tarfile.SYMTYPE, str(outside)))
        entry = tarfile.TarInfo("assets/evil")
        tar.addfile(entry)
    refuse(packed.getvalue())
    assert not outside.exists()


def test_refuses_links_in_a_zip(refuse):
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        entry = zipfile.ZipInfo("assets/link")
        entry.external_attr = (stat.S_IFLNK | 0o777) << 16
        archive.writestr(entry, "/etc/passwd")
    assert "a symbolic link" in refuse(packed.getvalue())


def test_refuses_a_sparse_file_that_unpacks_to_more_than_is_there(refuse):
    entry = tarfile.TarInfo("saved_model.pb")
    entry.pax_headers = {"GNU.sparse.map": "0,1", "GNU.sparse.size": str(2**40)}
    assert "no plain file" in refuse(tar_bytes({}, [entry]))


def test_refuses_the_same_name_twice(refuse):
    again = tarfile.TarInfo("saved_model.pb")
    assert "same name twice" in refuse(tar_bytes(FILES, [again]))
    below = tarfile.TarInfo("saved_model.pb/file")
    assert "same name twice" in refuse(tar_bytes(FILES, [below]))


def test_refuses_names_that_are_too_long(refuse):
    assert "too long" in refuse(tar_bytes({"n" * 300: b""}))


def test_refuses_too_many_members(refuse, tmp_path):
    assert "too many" in refuse(gzip.compress(tar_bytes()), max_members=2)
    assert "too many" in refuse(zip_bytes(), max_members=2)
    (tmp_path / "archive").write_bytes(zip_bytes())
    unpack_archive(tmp_path / "archive", tmp_path / "module", max_members=3)


def test_refuses_more_bytes_than_allowed(refuse, tmp_path):
    packed = gzip.compress(tar_bytes())
    assert "10,239 bytes" in refuse(packed, max_bytes=len(tar_bytes()) - 1)
    assert "at most 100 bytes" in refuse(zip_bytes(), max_bytes=100)
    (tmp_path / "archive").write_bytes(packed)
    unpack_archive(tmp_path / "archive", tmp_path / "module", max_bytes=len(tar_bytes()))


def test_refuses_a_bomb_and_not_zeros_below_the_floor(refuse, tmp_path):
    zeros = {"saved_model.pb": bytes(2**22)}
    for packed in (gzip.compress(tar_bytes(zeros)), zip_bytes(zeros)):
        assert len(packed) * 200 < 2**22
        assert "decompression bomb" in refuse(packed, ratio_floor=2**20)
        (tmp_path / "archive").write_bytes(packed)
        unpack_archive(tmp_path / "archive", tmp_path / "module")
        os.rename(tmp_path / "module", tmp_path.parent / f"{tmp_path.name}-{len(packed)}")


def test_stops_a_bomb_early(tmp_path, monkeypatch):
    """The bomb is refused while it unpacks, not after it has filled the disk."""
    written = 0
    add_file = archives._Destination.add_file

    def counting(self, name, chunks, size):
        def count():
            nonlocal written
            for chunk in chunks:
                written += len(chunk)
                yield chunk

        add_file(self, name, count(), size)

    monkeypatch.setattr(archives._Destination, "add_file", counting)
    packed = gzip.compress(tar_bytes({"saved_model.pb": bytes(2**26)}))
    (tmp_path / "archive").write_bytes(packed)
    with pytest.raises(ArchiveError):
        unpack_archive(tmp_path / "archive", tmp_path / "module", max_bytes=2**23)
    assert 0 < written <= 2**23


@pytest.mark.parametrize("packed", [b"", b"<html>Sign in</html>", bytes(2000), b"\x1f\x8b"])
def test_refuses_what_is_no_archive(refuse, packed):
    refuse(packed)


def test_refuses_an_empty_archive(refuse):
    assert "no files" in refuse(gzip.compress(tar_bytes({})))
    assert "no files" in refuse(zip_bytes({}))


def test_a_failed_check_leaves_nothing(tmp_path):
    (tmp_path / "archive").write_bytes(zip_bytes())

    def check(folder):
        assert contents(folder) == FILES
        assert folder != tmp_path / "module"
        raise ValueError("not a module")

    with pytest.raises(ValueError, match="not a module"):
        unpack_archive(tmp_path / "archive", tmp_path / "module", check=check)
    assert os.listdir(tmp_path) == ["archive"]


def test_does_not_overwrite_a_folder(tmp_path):
    (tmp_path / "archive").write_bytes(zip_bytes())
    (tmp_path / "module").mkdir()
    (tmp_path / "module" / "mine").write_text("kept")
    with pytest.raises(OSError, match="not empty"):
        unpack_archive(tmp_path / "archive", tmp_path / "module")
    assert contents(tmp_path / "module") == {"mine": b"kept"}
    assert sorted(os.listdir(tmp_path)) == ["archive", "module"]
