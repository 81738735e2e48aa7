import gzip
import io
import os
import stat
import struct
import tarfile
import time
import tracemalloc
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
    assert "leads out" in refuse(zip_bytes({**FILES, name: b"x"}))


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
    assert "at most 2 members" in refuse(zip_bytes(), max_members=2)
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


def test_does_not_overwrite_a_folder(tmp_path):
    (tmp_path / "archive").write_bytes(zip_bytes())
    (tmp_path / "module").mkdir()
    (tmp_path / "module" / "mine").write_text("kept")
    with pytest.raises(OSError, match="not empty"):
        unpack_archive(tmp_path / "archive", tmp_path / "module")
    assert contents(tmp_path / "module") == {"mine": b"kept"}
    assert sorted(os.listdir(tmp_path)) == ["archive", "module"]


@pytest.fixture
def refuse_cheaply(refuse):
    """As `refuse`, with next to no memory or time."""

    def unpack(packed, most=4 * 2**20, **limits):
        tracemalloc.start()
        started = time.monotonic()
        try:
            message = refuse(packed, **limits)
            assert tracemalloc.get_traced_memory()[1] < most
        finally:
            tracemalloc.stop()
        assert time.monotonic() - started < 10
        return message

    return unpack


def extended(kind, content, size=None):
    """A tar's extended header, which says something of the file after it."""
    entry = tarfile.TarInfo("././@LongLink")
    entry.type, entry.size = kind, len(content) if size is None else size
    return entry.tobuf(tarfile.GNU_FORMAT) + content + bytes(-len(content) % 512)


def record(key, value):
    length = len(key) + len(value) + 3
    digits = len(str(length + len(str(length))))
    return f"{length + digits} {key}={value}\n".encode()


EXTENDED = [
    tarfile.GNUTYPE_LONGNAME,
    tarfile.GNUTYPE_LONGLINK,
    tarfile.XHDTYPE,
    tarfile.XGLTYPE,
    tarfile.SOLARIS_XHDTYPE,
]


@pytest.mark.parametrize("kind", EXTENDED)
def test_refuses_a_large_extended_header_before_it_is_read(refuse_cheaply, kind):
    large = bytes(2**26)
    assert "header is larger" in refuse_cheaply(gzip.compress(extended(kind, large) + tar_bytes()))
    # What is claimed counts, not what is there.
    assert "header is larger" in refuse_cheaply(extended(kind, b"", 2**33) + tar_bytes())


@pytest.mark.parametrize("kind", EXTENDED)
def test_refuses_headers_upon_headers(refuse_cheaply, kind):
    content = record("path", "a" * 60_000)
    assert "header is larger" in refuse_cheaply(gzip.compress(extended(kind, content) * 2000))


def test_refuses_sparse_headers_without_end(refuse_cheaply):
    entry = tarfile.TarInfo("saved_model.pb")
    entry.type = tarfile.GNUTYPE_SPARSE
    block = bytearray(entry.tobuf(tarfile.GNU_FORMAT))
    block[482] = 1  # another block of pieces follows
    block[148:156] = b" " * 8
    block[148:156] = f"{sum(block):06o}\0 ".encode()
    more = bytearray(512)
    more[504] = 1
    assert "header is larger" in refuse_cheaply(bytes(block) + bytes(more) * 100_000)


def test_refuses_global_headers_that_add_up(refuse_cheaply):
    packed = b"".join(
        extended(tarfile.XGLTYPE, record(f"key{number}", "a" * 30_000))
        + tarfile.TarInfo(f"file{number}").tobuf()
        for number in range(500)
    )
    assert "global headers" in refuse_cheaply(gzip.compress(packed))


def test_keeps_nothing_of_the_members_it_has_unpacked(tmp_path):
    packed = b"".join(
        extended(tarfile.XHDTYPE, record("comment", "a" * 30_000))
        + tarfile.TarInfo(f"file{number}").tobuf()
        for number in range(500)
    )
    (tmp_path / "archive").write_bytes(gzip.compress(packed + bytes(1024)))
    tracemalloc.start()
    unpack_archive(tmp_path / "archive", tmp_path / "module")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert len(list((tmp_path / "module").iterdir())) == 500
    assert peak < 6 * 2**20


def test_refuses_numbers_that_take_the_square_of_their_length(refuse_cheaply):
    header = extended(tarfile.XHDTYPE, b"1" * 65_000)
    assert "longer number" in refuse_cheaply(header * 8 + tar_bytes())


@pytest.mark.parametrize("size", [-(10**6), 2**70, 10**30])
def test_refuses_sizes_that_lead_nowhere(refuse_cheaply, size):
    header = extended(tarfile.XHDTYPE, record("size", str(size)))
    refuse_cheaply(header + tar_bytes())


def test_takes_a_file_whose_size_stands_in_an_extended_header(tmp_path):
    files = {"saved_model.pb": b"graph" * 200}
    packed = extended(tarfile.XHDTYPE, record("size", "1000")) + tar_bytes(files)
    (tmp_path / "archive").write_bytes(packed)
    assert contents(unpack_archive(tmp_path / "archive", tmp_path / "module")) == files


def test_refuses_folders_upon_folders(refuse, tmp_path):
    deepest = "/".join(["a"] * archives.MAX_DEPTH)
    (tmp_path / "archive").write_bytes(tar_bytes({deepest: b"x"}))
    unpack_archive(tmp_path / "archive", tmp_path / "module")
    os.rename(tmp_path / "module", tmp_path.parent / f"{tmp_path.name}-deepest")
    for make in (tar_bytes, zip_bytes):
        assert "32 folders" in refuse(make({**FILES, f"a/{deepest}": b"x"}))
        assert "too long" in refuse(make({**FILES, "/".join(["a" * 200] * 6): b"x"}))
    chain = [special("/".join("a" * depth), tarfile.DIRTYPE) for depth in range(300, 1801, 300)]
    assert "folders" in refuse(tar_bytes({}, chain))


@pytest.mark.parametrize("name", ["\x1b[2J", "line\nbreak", "turned\u202egnp", "half\udcff"])
def test_refuses_names_that_act_on_a_terminal(refuse, name):
    message = refuse(tar_bytes({**FILES, f"assets/{name}": b"x"}))
    assert "cannot be printed" in message
    assert message.isprintable()


def test_refuses_a_zip_whose_list_of_files_is_large_before_it_is_read(refuse_cheaply):
    size = 64 * 2**20
    packed = bytes(size) + struct.pack("<4s4H2LH", b"PK\5\6", 0, 0, 1, 1, size, 0, 0)
    packed = b"PK\3\4" + packed[4:]
    assert "a directory of 67,108,864 bytes" in refuse_cheaply(packed)


def test_counts_a_zips_files_before_they_are_objects(refuse_cheaply):
    packed = zip_bytes({f"f{number}": b"" for number in range(20_000)})
    message = refuse_cheaply(packed, most=4 * 2**20, max_members=1000)
    assert "at most 1,000 members" in message


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_refuses_methods_that_unpack_without_a_limit_on_memory(refuse_cheaply, method):
    packed = zip_bytes({"saved_model.pb": bytes(2**26)}, method)
    assert "must be stored or deflated" in refuse_cheaply(packed)


def test_refuses_files_that_lie_in_other_files(refuse):
    inner = zip_bytes({"b": b"x" * 100}, zipfile.ZIP_STORED)
    record_b, directory_b = inner[: inner.index(b"PK\1\2")], inner[inner.index(b"PK\1\2") : -22]
    outer = zip_bytes({"a": record_b}, zipfile.ZIP_STORED)
    start = outer.index(b"PK\1\2")
    directory_a = outer[start:-22]
    # 31 bytes of the outer file's header and name come first.
    directory_b = directory_b[:42] + struct.pack("<L", 31) + directory_b[46:]
    directory = directory_a + directory_b
    end = struct.pack("<4s4H2LH", b"PK\5\6", 0, 0, 2, 2, len(directory), start, 0)
    packed = outer[:start] + directory + end
    with zipfile.ZipFile(io.BytesIO(packed)) as both:
        assert both.namelist() == ["a", "b"]
    assert "lies in another file" in refuse(packed)


@pytest.mark.parametrize("field", ["size", "offset", "zip64"])
def test_refuses_a_list_of_files_that_leads_out_of_the_zip(refuse, field):
    packed = bytearray(zip_bytes())
    if field == "zip64":
        locator = struct.pack("<4sLQL", b"PK\6\7", 0, 2**60, 1)
        record64 = struct.pack("<4sQ2H2L4Q", b"PK\6\6", 44, 45, 45, 0, 0, 3, 3, 2**62, 2**62)
        packed = packed[:-22] + record64 + locator + packed[-22:-12] + b"\xff" * 8 + packed[-4:]
    else:
        place = -10 if field == "size" else -6
        packed[len(packed) + place : len(packed) + place + 4] = struct.pack("<L", 2**32 - 2)
    refuse(bytes(packed))


def test_folders_that_files_bring_along_count(refuse, tmp_path):
    files = {"/".join([f"a{number}"] * 30): b"" for number in range(40)}
    for make in (tar_bytes, zip_bytes):
        assert "too many" in refuse(make(files), max_members=1000)
        (tmp_path / "archive").write_bytes(make(files))
        unpack_archive(tmp_path / "archive", tmp_path / "module", max_members=1160)
        os.rename(tmp_path / "module", tmp_path.parent / f"{tmp_path.name}-{make.__name__}")
