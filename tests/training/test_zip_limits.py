"""Archives that cost more than they say, or say more than they are."""

import struct
import zipfile

import pytest

from keras_transgen.training.zip_limits import ZipLimitError, check_members


def archive(path, members, method=zipfile.ZIP_DEFLATED):
    with zipfile.ZipFile(path, "w", method) as opened:
        for name, content in members:
            opened.writestr(name, content)
    return path


def test_limits_are_inclusive(tmp_path):
    path = archive(tmp_path / "a.zip", [("one", b"ab"), ("two", b"cd")])
    check_members(path, max_members=2, max_bytes=4)
    with pytest.raises(ZipLimitError, match="at most 1 members"):
        check_members(path, max_members=1, max_bytes=4)
    with pytest.raises(ZipLimitError, match="at most 3 bytes"):
        check_members(path, max_members=2, max_bytes=3)


def test_ratio_of_a_member_and_of_the_whole(tmp_path):
    path = archive(tmp_path / "a.zip", [("zeros", bytes(2**20))])
    check_members(path, 1)
    with pytest.raises(ZipLimitError, match=r"decompression bomb.*'zeros'"):
        check_members(path, 1, ratio_floor=2**19)
    # No member is beyond the floor, all together are.
    many = archive(tmp_path / "b.zip", [(str(n), bytes(2**18)) for n in range(8)])
    with pytest.raises(ZipLimitError, match=r"decompression bomb.*the archive"):
        check_members(many, 8, ratio_floor=2**19)


@pytest.mark.parametrize("name", ["../a", "/a", "a/../../b", "..\\a", "C:/a", "\\a"])
def test_names_that_lead_out(name, tmp_path):
    with pytest.raises(ZipLimitError, match="leads out"):
        check_members(archive(tmp_path / "a.zip", [(name, b"x")]), 1)


def test_names_twice(tmp_path):
    with pytest.warns(UserWarning, match="Duplicate"):
        path = archive(tmp_path / "a.zip", [("one", b"a"), ("one", b"b")])
    with pytest.raises(ZipLimitError, match="twice"):
        check_members(path, 2)


def test_other_compressions_and_encryption(tmp_path):
    with pytest.raises(ZipLimitError, match="stored or deflated"):
        check_members(archive(tmp_path / "a.zip", [("one", b"a")], zipfile.ZIP_LZMA), 1)
    path = archive(tmp_path / "b.zip", [("one", b"a")])
    content = bytearray(path.read_bytes())
    content[content.rfind(b"PK\x01\x02") + 8] |= 1
    path.write_bytes(content)
    with pytest.raises(ZipLimitError, match="not encrypted"):
        check_members(path, 1)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["plain", "64 bits"])
def test_a_directory_of_half_a_million_is_not_read(kind, tmp_path, monkeypatch):
    entry = b"PK\x01\x02" + bytes(42)
    count = 500_000
    size = count * len(entry)
    path = tmp_path / "a.zip"
    end = b"PK\x05\x06" + struct.pack("<4H2IH", 0, 0, 0xFFFF, 0xFFFF, size, 0, 0)
    if kind == "64 bits":
        end = (
            b"PK\x06\x06"
            + struct.pack("<Q2H2I4Q", 44, 45, 45, 0, 0, count, count, size, 0)
            + b"PK\x06\x07"
            + struct.pack("<IQI", 0, size, 1)
            + b"PK\x05\x06"
            + struct.pack("<4H2IH", 0, 0, 0xFFFF, 0xFFFF, 0xFFFFFFFF, 0xFFFFFFFF, 0)
        )
    path.write_bytes(entry * count + end)

    def read(*args, **kwargs):
        pytest.fail("the directory was read")

    monkeypatch.setattr(zipfile, "ZipFile", read)
    with pytest.raises(ZipLimitError, match="directory of 23,000,000 bytes"):
        check_members(path, 10_000)
