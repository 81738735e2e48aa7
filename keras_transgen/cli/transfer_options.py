"""Which options of `keras-transgen transfer` go with which kind of data and which method."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from keras_transgen.cli.data_kinds import IMAGES, SEQUENCES, SOUND, TEXT
from keras_transgen.cli.quiet import import_tensorflow
from keras_transgen.cli.resumable import refuse_two_lengths

FEATURE, PARAMETER = "feature", "parameter"
_KINDS = {
    "--text": (TEXT,),
    "--label": (TEXT,),
    "--header": (TEXT,),
    "--pattern": (SOUND, SEQUENCES),
    "--sample-rate": (SOUND,),
    "--seconds": (SOUND,),
    "--alphabet": (SEQUENCES,),
    "--kmers": (SEQUENCES, TEXT),
    "--length": (SEQUENCES,),
    "--image-size": (IMAGES,),
    "--augmentation": (IMAGES,),
    "--value-range": (IMAGES,),
    "--preprocessing": (IMAGES,),
    "--check": (IMAGES,),
    "--skip-broken": (IMAGES,),
}
_OF_FEATURE = ("--classifier", "--layers")
_OF_TRAINING = {
    "--epochs": "epochs",
    "--steps": "steps",
    "--minutes": "length",
    "--learning-rate": "learning rate",
    "--early-stopping": "epochs",
}


def transfer_methods() -> list[str]:
    """What `--method` may be: the kinds without a delta, and the deltas that options can say."""
    import_tensorflow()
    from keras_transgen.transfer.deltas.delta import plain_methods

    return [FEATURE, PARAMETER, *plain_methods()]


def refuse_options_of_other_methods(method: str, given: dict[str, Any]) -> None:
    """Refuse options that the method has no use for.

    Args:
        method: The method.
        given: Options by their names; `None` for those that were not given.

    Raises:
        ValueError: One was given.
    """
    for option, value in _given(given):
        if method == FEATURE and option in _OF_TRAINING:
            raise ValueError(
                f"Feature transfer extracts once and has no {_OF_TRAINING[option]}; leave out "
                f"{option}, or choose another --method. Received: {option} {value}"
            )
        if method != FEATURE and option in _OF_FEATURE:
            raise ValueError(
                f"{option} is an option of --method feature; leave it out. "
                f"Received: {option} {value} for --method {method}"
            )
        if option == "--rank" and method not in _with_rank():
            raise ValueError(
                f"--rank is an option of --method {' and '.join(_with_rank())}; leave it out. "
                f"Received: --rank {value} for --method {method}"
            )
    refuse_two_lengths(given.get("--epochs"), given.get("--steps"))


def refuse_options_of_other_kinds(kind: str, given: dict[str, Any]) -> None:
    """Refuse options of another kind of data.

    Args:
        kind: Of the data.
        given: Options by their names; `None` for those that were not given.

    Raises:
        ValueError: One was given.
    """
    for option, value in _given(given):
        kinds = _KINDS.get(option, (kind,))
        if kind not in kinds:
            raise ValueError(
                f"{option} is an option of {' and '.join(kinds)}; leave it out, or say with --kind "
                f"what the data are. Received: {option} {value} for {kind}"
            )


def _given(given: dict[str, Any]) -> Iterable[tuple[str, Any]]:
    return ((option, value) for option, value in given.items() if value is not None)


def _with_rank() -> tuple[str, ...]:
    import_tensorflow()
    from keras_transgen.transfer.deltas.delta import methods_by_argument, plain_methods

    return methods_by_argument(plain_methods())["rank"]


def augmentation_layers(name: str | None) -> list[Any] | None:
    """Layers that vary photographs while they are trained on; `None` for none.

    `flip` mirrors left and right; `shift` moves by up to a tenth; `photo` does both, turns by up
    to 18 degrees and zooms by up to 15 %, which photographs bear without showing something else.
    """
    import keras

    def flip() -> list[Any]:
        return [keras.layers.RandomFlip("horizontal")]

    def shift() -> list[Any]:
        return [keras.layers.RandomTranslation(0.1, 0.1, fill_mode="nearest")]

    def photo() -> list[Any]:
        return [
            *flip(),
            keras.layers.RandomRotation(0.05, fill_mode="nearest"),
            *shift(),
            keras.layers.RandomZoom(0.15, fill_mode="nearest"),
        ]

    makers: dict[str, Callable[[], list[Any]]] = {"flip": flip, "shift": shift, "photo": photo}
    return makers[name]() if name in makers else None
