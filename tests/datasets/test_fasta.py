import gzip
import zipfile

import pytest

from keras_transgen.datasets import FastaRecord, read_fasta


def write(folder, content, name="a.fa"):
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


TEXT = """; a comment
>sp|P1 First protein OS=E. coli

MKV*AC-
  aXb z*
>two\tafter a tab
; another
01 10
> spaced
G
"""
RECORDS = [
    FastaRecord("sp|P1", "First protein OS=E. coli", "MKV*AC-aXbz"),
    FastaRecord("two", "after a tab", "0110"),
    FastaRecord("spaced", "", "G"),
]


@pytest.mark.parametrize("line_end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("packed", [False, True])
def test_records_by_hand(tmp_path, line_end, packed):
    content = ("\ufeff" + TEXT.replace("\n", line_end)).encode()
    path = write(tmp_path, gzip.compress(content, mtime=0) if packed else content)
    assert read_fasta(path, upper=False) == RECORDS
    assert read_fasta(path)[0].sequence == "MKV*AC-AXBZ"
    # No line end behind the last letter.
    assert read_fasta(write(tmp_path, content.rstrip()), upper=False) == RECORDS


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("ACGT\n>a\nAC\n", r"begins with '>'.*'ACGT' in line 1"),
        ("\n\n; x\nACGT", r"begins with '>'.*line 4"),
        (">a\nAC\n>b\n>c\nAC\n", r"none for 'b' in line 3"),
        (">a\nAC\n>b\n\n", r"none for 'b' in line 3"),
        (">a\n*\n", r"none for 'a' in line 1"),
        (">a\nAC\n>\nAC\n", r"name behind '>'.*line 3"),
        (">a\nAC\nA\x1bC\n", r"letters in a sequence.*\\x1b.*line 3"),
        (">a\nAÇ\n", r"letters in a sequence.*Ç.*line 2"),
        ("", "which has none"),
        ("; only a comment\n", "which has none"),
        (b">a\nAC\0GT\n", "a zero in line 2"),
        (b">a \xe9\nACGT\n", "latin-1.*line 1"),
        (gzip.compress(b">a\nACGT\n", mtime=0)[:-4], "whole gzip file"),
    ],
)
def test_broken_files_are_refused_with_the_line(tmp_path, content, message):
    with pytest.raises(ValueError, match=message) as error:
        read_fasta(write(tmp_path, content, "broken.fa"))
    assert "broken.fa" in str(error.value)
    assert "\x1b" not in str(error.value)


def test_encodings_limits_and_absent_files(tmp_path):
    path = write(tmp_path, b">a \xe9\nACGT\n")
    assert read_fasta(path, encoding="latin-1") == [("a", "é", "ACGT")]
    with pytest.raises(ValueError, match="max_bytes=5"):
        read_fasta(path, max_bytes=5)
    with pytest.raises(FileNotFoundError, match="nothing there"):
        read_fasta(tmp_path / "absent.fa")


@pytest.mark.shared_data
def test_promoters_of_e_coli(shared_folder):
    folder = shared_folder / "data/ecoli_promoters"
    records = read_fasta(folder / "Ecoli_prom.fa")
    assert len(records) == 839
    assert len(read_fasta(folder / "Ecoli_non_prom.fa")) == 3000
    assert {len(record.sequence) for record in records} == {81}
    assert records[0].name == "ECK120010467__accAp__forward__208411"
    assert records[0].sequence == (
        "GCCCGGGAAAAATATGCTCGCGGGCTTGCTATCTCGCTGACGGACAGGCAAATTGATGACCAGCTTTTAAACCGACTCCGT"
    )


@pytest.mark.slow
@pytest.mark.shared_data
def test_proteins_and_the_masks_of_their_structure(shared_folder, tmp_path):
    with zipfile.ZipFile(
        shared_folder / "data/protein_secondary_structure/flip_ss_splits.zip"
    ) as archive:
        archive.extractall(tmp_path)
    sequences = read_fasta(tmp_path / "splits/sequences.fasta")
    states = read_fasta(tmp_path / "splits/sampled.fasta")
    masks = {record.name: record.sequence for record in read_fasta(tmp_path / "splits/mask.fasta")}
    lengths = {record.name: len(record.sequence) for record in sequences}
    assert len(sequences) > 10_000
    assert all(len(record.sequence) == lengths[record.name] for record in states)
    assert all(len(masks[record.name]) == lengths[record.name] for record in states)
    assert {record.description.split()[0] for record in states} >= {"SET=train", "SET=test"}
