"""A model's record of the data it takes: kept in files, and refused where a file says too much."""

import pytest

import keras_transgen as ktg
from keras_transgen.transfer.data_kind import checked_data_kind

SOUND = {"kind": "sound", "sample_rate": 8000, "samples": None}


@pytest.mark.parametrize(
    "make", [ktg.TransferModel, ktg.FeatureTransfer, ktg.ParameterTransfer, ktg.StructureTransfer]
)
def test_it_is_kept_in_the_file(make, tmp_path):
    model = make("digits", 3, data_kind=SOUND)
    model.save(tmp_path / "model.keras")
    assert ktg.load_model(tmp_path / "model.keras").data_kind == SOUND
    assert "data_kind" not in make("digits", 3).get_config()


def test_it_is_set_later_and_not_by_chance():
    model = ktg.TransferModel("digits", 3)
    assert model.data_kind is None
    model.data_kind = SOUND
    model.data_kind["sample_rate"] = 1
    assert model.data_kind == SOUND
    model.data_kind = None
    assert model.data_kind is None


@pytest.mark.parametrize(
    "value",
    [
        {"kind": "images", "size": [8, 9], "color_mode": "rgb", "value_range": [0, 1.5]},
        {"kind": "images", "crop": True},
        {"kind": "text", "columns": ["title", 2]},
        {"kind": "sequences", "alphabet": "ACGT", "tokens": False, "length": None},
        {"kind": "sequences", "length": 57},
        {"kind": "sequences", "kmers": 4},
        {"kind": "text", "columns": [0], "kmers": 2, "alphabet": "ACGU"},
    ],
)
def test_what_it_may_say(value):
    assert ktg.TransferModel("digits", 3, data_kind=value).data_kind == value


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ([], "must be a dict with 'kind'"),
        ({}, "must be a dict with 'kind'"),
        ({"kind": ["text"]}, "must be a dict with 'kind'"),
        ({"kind": "smell"}, "'smell'"),
        ({"kind": "sound", "size": [8, 8]}, "data_kind of sound takes sample_rate, samples"),
        ({"kind": "sound", "sample_rate": 0}, "'sample_rate' as samples per second"),
        ({"kind": "sound", "sample_rate": True}, "Received: True"),
        ({"kind": "sequences", "kmers": 0}, "'kmers' as letters a word"),
        ({"kind": "text", "kmers": 13}, "'kmers' as letters a word"),
        ({"kind": "sound", "kmers": 2}, "data_kind of sound takes sample_rate, samples"),
        ({"kind": "sound", "sample_rate": 8e3}, "Received: 8000.0"),
        ({"kind": "sound", "samples": 2**40}, "a number of samples, or None"),
        ({"kind": "images", "size": [8]}, r"\[height, width\]"),
        ({"kind": "images", "size": [8, 100_000]}, "within reason"),
        ({"kind": "images", "color_mode": "cmyk"}, "'rgb' or 'grayscale'"),
        ({"kind": "images", "value_range": [1, 0]}, r"\[low, high\]"),
        ({"kind": "images", "value_range": [0, float("inf")]}, r"\[low, high\]"),
        ({"kind": "images", "crop": 1}, "True or False"),
        ({"kind": "text", "columns": []}, "names or numbers of columns"),
        ({"kind": "text", "columns": [-1]}, "names or numbers of columns"),
        ({"kind": "text", "columns": ["x" * 2000]}, "names or numbers of columns"),
        ({"kind": "text", "columns": ["http://example.org"]}, "no address"),
        ({"kind": "sequences", "alphabet": "ACGA"}, "letters, each once"),
        ({"kind": "sequences", "alphabet": ""}, "letters, each once"),
        ({"kind": "sequences", "alphabet": "A\x1b"}, "letters, each once"),
        ({"kind": "sequences", "length": 2**30}, "a number of letters, or None"),
    ],
)
def test_what_it_may_not_say(value, message):
    with pytest.raises(ValueError, match=message):
        checked_data_kind(value)
    config = ktg.TransferModel("digits", 3).get_config()
    with pytest.raises(ValueError, match=message):
        ktg.TransferModel.from_config({**config, "data_kind": value})
