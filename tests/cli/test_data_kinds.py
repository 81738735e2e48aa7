"""Which kind of data files are, by their names."""

import pytest

from keras_transgen.cli.data_kinds import files_in, kind_of, refuse_other_kind, suffixes_of
from keras_transgen.datasets import index_images

NAMES = {
    "images": ["a.bmp", "a.gif", "a.jfif", "a.jpe", "a.jpeg", "a.JPG", "a.png", "a.tif", "a.tiff",
               "a.webp"],
    "text": ["a.csv", "a.tsv", "a.tab", "a.csv.gz", "a.tsv.gz", "a.tab.gz"],
    "sound": ["a.wav", "a.WAVE"],
    "sequences": ["a.fa", "a.fasta", "a.fna", "a.ffn", "a.faa", "a.fas", "a.fa.gz", "a.faa.gz"],
}  # fmt: skip


@pytest.mark.parametrize("kind", NAMES)
def test_the_kind_of_a_file_and_of_a_folder(kind, tmp_path):
    for name in NAMES[kind]:
        (tmp_path / name).write_bytes(b"")
        assert kind_of([tmp_path / name]) == kind
    assert kind_of([tmp_path]) == kind
    assert len(files_in([tmp_path], kind)) == len(NAMES[kind])
    for other in NAMES:
        if other != kind:
            with pytest.raises(ValueError, match=r"This model takes .*Received: "):
                refuse_other_kind([tmp_path / NAMES[kind][0]], other)


def test_the_reader_of_images_takes_and_tells_the_same(tmp_path):
    for name in NAMES["images"]:
        (tmp_path / name).write_bytes(b"")
    assert len(index_images(tmp_path, labelled=False).paths) == len(NAMES["images"])
    assert all(f"`{suffix}`" in index_images.__doc__ for suffix in suffixes_of("images"))
