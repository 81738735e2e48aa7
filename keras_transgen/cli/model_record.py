"""How data are read for a trained model: as it says itself, or as input and options tell."""

from __future__ import annotations

from typing import Any

from keras_transgen.cli.columns import columns_of
from keras_transgen.cli.data_kinds import IMAGES, SEQUENCES, SOUND, TEXT, WORDS
from keras_transgen.cli.image_input import image_input
from keras_transgen.cli.model_input import input_shape, sequence_record, sound_record


def record_of(model: Any, given: dict[str, Any]) -> dict[str, Any]:
    """How data are read for a model: what it says itself, or what its input and options tell.

    Args:
        model: A transfer model.
        given: What the options say, by their names.

    Raises:
        ValueError: It says nothing, and cannot be told; or an option has no use, or contradicts.
    """
    record = model.data_kind or told_by_input(model)
    kind = record["kind"]
    uses = {"--text": TEXT, "--sample-rate": SOUND, "--alphabet": SEQUENCES, "--image-size": IMAGES}
    for option, value in given.items():
        if value is not None and uses[option] != kind:
            raise ValueError(
                f"This model takes {WORDS[kind]}: leave out {option}. Received: {option} {value}"
            )
    if kind == TEXT and given["--text"] is not None:
        record["columns"] = columns_of(given["--text"])
    shape = input_shape(model)
    if kind == SOUND:
        _fill(record, "sample_rate", "--sample-rate", given)
        record = {**sound_record(shape, record["sample_rate"], None), **record}
    if kind == SEQUENCES and record.get("kmers") is None:
        alphabet = record.get("alphabet", given["--alphabet"])
        record = {**sequence_record(shape, alphabet, record.get("length")), **record}
        _fill(record, "alphabet", "--alphabet", given)
    return record if kind != IMAGES else _images_of(model, record, given)


def _fill(record: dict[str, Any], entry: str, option: str, given: dict[str, Any]) -> None:
    wanted = given[option]
    if wanted is None and entry not in record:
        raise ValueError(
            f"This model does not say how its data are read: give {option}, or set "
            f"model.data_kind = {{'kind': {record['kind']!r}, {entry!r}: ...}} in Python and save "
            f"it again. Received: no {option}"
        )
    if wanted is not None and record.get(entry, wanted) != wanted:
        raise ValueError(
            f"The model was trained on other data: leave out {option}. Received: {option} "
            f"{wanted}, and {record[entry]} in the model"
        )
    record.setdefault(entry, wanted)


def _images_of(model: Any, record: dict[str, Any], given: dict[str, Any]) -> dict[str, Any]:
    """The record of images, completed by what the backbone says."""
    side = given["--image-size"]
    size = record.get("size")
    if side is not None and size is not None and list(size) != [side, side]:
        raise ValueError(
            f"The model was trained on images of {size[0]} x {size[1]} pixels: leave out "
            f"--image-size. Received: --image-size {side}"
        )
    if all(name in record for name in ("size", "color_mode", "value_range")):
        return record
    shape = getattr(model.backbone.input_contract, "shape", None)
    if size is None and side is None and shape is not None and None in shape[1:3]:
        raise ValueError(
            "This model takes images of any size and does not say which it was trained on: give "
            "--image-size. Received: no --image-size"
        )
    reading = image_input(model.backbone, None if size else side, side or 0)
    return {
        "size": list(reading.size),
        "color_mode": reading.color_mode,
        "value_range": list(reading.value_range),
        **record,
    }


def told_by_input(model: Any) -> dict[str, Any]:
    """The kind of data that a model without a record, or a backbone, takes by its input.

    Raises:
        ValueError: Its input does not tell.
    """
    contract = getattr(model, "backbone", model).input_contract
    preprocessing = getattr(model, "preprocessing", None)
    shape, dtype = getattr(contract, "shape", None), getattr(contract, "dtype", None)
    if preprocessing is None and dtype == "string":
        return {"kind": TEXT}
    if preprocessing is None and shape is not None:
        if len(shape) == 4:
            return {"kind": IMAGES}
        if len(shape) == 3 and shape[2] not in (1, None):
            return {"kind": SEQUENCES}
        if len(shape) in (2, 3) and str(dtype).startswith("float"):
            return {"kind": SOUND}
        if len(shape) == 2:
            return {"kind": SEQUENCES}
    raise ValueError(
        "This model does not say what kind of data it takes, and its input does not tell. Set "
        "model.data_kind in Python, such as {'kind': 'text'} or {'kind': 'images', 'size': [64, "
        "64], 'color_mode': 'rgb', 'value_range': [0, 255]}, and save it again. Received: "
        f"input {contract}" + ("" if preprocessing is None else " behind preprocessing")
    )
