"""How large the numbers in a file's configuration may be, before anything is built of them.

Variables are counted while they are made. Layers and metrics also make lists and constants, whose
size is a number in the configuration: a metric of sixty million thresholds takes gigabytes.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from keras_transgen.training.config_from_file import FileConfigError, shown

# Below it a number can do no harm that its bytes in the file cannot.
_SMALL = 100_000
# Vocabularies and the like, all together: one number counts in each copy of a configuration.
_FREE = 10_000_000
_LONGEST_AXIS, _MOST_ELEMENTS = 2**24, 2**27
_MOST_STATISTICS = 2**24
# These make lists and matrices of that size, of which nothing lies in the file.
_MOST = {
    "num_thresholds": 10_000,
    "fft_length": 2**17,
    "frame_length": 2**17,
    "sequence_length": 2**20,
    "num_mel_bins": 2**12,
    "factor": 2**10,
}
_MOST_BINS = 2**26
# These are computed with, compared or counted up to, and nothing is made of their size.
_HARMLESS_WORDS = """
    boundaries clipnorm clipvalue decay epoch every fill ignore_class iterations learning_rate
    mask_value max_value min_value max_freq min_freq oov_token period range salt sampling_rate
    scale seed shared_object_id step threshold value variance mean vocabulary warmup weight
"""
_HARMLESS = _HARMLESS_WORDS.split()
_ARRAYS = ("__numpy__", "__tensor__")


def check_numbers(config: Any, file_bytes: int, parts: int | None = None) -> None:
    """Refuse numbers in a configuration that would take far more memory than its file justifies.

    Seeds, steps, limits and other numbers that nothing is made of may be any. Every other whole
    number counts from 100,000 up: together they are at most ten million and the bytes of the
    weights, of which a table of so many rows has at least one each. A shape has axes of at most
    2 ** 24 and at most 2 ** 27 elements. Layers and blocks are no more than the parts of the file.

    Args:
        config: The configuration.
        file_bytes: Of the weights.
        parts: Groups and weights in the file; `None` (default) where they are not known.
    """
    left, statistics = _FREE + file_bytes, _MOST_STATISTICS
    waiting: list[tuple[str, Any]] = [("", config)]
    while waiting:
        key, each = waiting.pop()
        if isinstance(each, Mapping):
            if each.get("class_name") in _ARRAYS:
                # Its values lie in the configuration themselves.
                continue
            _check_bins(each)
            statistics -= _statistics(each)
            if statistics < 0:
                raise _too_large("Normalization", each.get("build_config"))
            waiting += [(_key(inner, key), value) for inner, value in each.items()]
        elif isinstance(each, (list, tuple)):
            if "shape" in key:
                _check_shape(key, each)
            waiting += [(key, value) for value in each]
        elif parts is not None and isinstance(each, int) and _is_depth(key) and each > parts:
            raise _too_large(key, each)
        elif isinstance(each, int) and abs(each) > _MOST.get(key, _SMALL):
            if "shape" in key:
                _check_shape(key, [each])
            elif key in _MOST:
                raise _too_large(key, each)
            elif not any(word in key for word in _HARMLESS):
                left -= abs(each)
                if left < 0:
                    raise _too_large(key, each)


def _is_depth(key: str) -> bool:
    """Whether a number says how many layers are made, each of which has a weight at least."""
    counts = key.startswith("num_") and key.endswith(("layers", "blocks", "stages", "stacks"))
    return counts or key.startswith(("layers_per_", "blocks_per_"))


def _key(inner: Any, outer: str) -> str:
    # Shapes by the names of what they are the shapes of.
    return outer if "shape" in outer else str(inner)


def _check_shape(key: str, shape: Sequence[Any]) -> None:
    axes = [each for each in shape if isinstance(each, int) and each > 1]
    if any(axis > _LONGEST_AXIS for axis in axes) or math.prod(axes) > _MOST_ELEMENTS:
        raise FileConfigError(
            f"A shape in a file has axes of at most {_LONGEST_AXIS:,}, and {_MOST_ELEMENTS:,} "
            f"elements. Ask the file's author for another. Received: {key}={shown(list(shape))}"
        )


def _check_bins(config: Mapping[str, Any]) -> None:
    """A spectrogram makes a matrix of its window and its bins."""
    sides = [config.get(key) for key in ("fft_length", "num_mel_bins")]
    numbers = [each for each in sides if isinstance(each, int)]
    if len(numbers) == 2 and math.prod(numbers) > _MOST_BINS:
        raise _too_large("fft_length, num_mel_bins", numbers)


def _statistics(config: Mapping[str, Any]) -> int:
    """How many numbers a layer makes out of one mean that its configuration gives."""
    inner, built = config.get("config"), config.get("build_config")
    is_given = isinstance(inner, Mapping) and inner.get("mean") is not None
    if config.get("class_name") != "Normalization" or not is_given:
        return 0
    assert isinstance(inner, Mapping)
    axes = inner.get("axis")
    if axes is None:
        return 0
    shape = built.get("input_shape") if isinstance(built, Mapping) else None
    try:
        kept = [shape[axis] for axis in ([axes] if isinstance(axes, int) else axes)]  # type: ignore[index]
        return math.prod(abs(size) for size in kept if size is not None)
    except (TypeError, IndexError, KeyError):
        raise FileConfigError(
            "A Normalization with a mean says on what shape it was built. Ask the file's author "
            f"for another. Received: axis={shown(axes)}, build_config={shown(built)}"
        ) from None


def _too_large(key: str, value: Any) -> FileConfigError:
    return FileConfigError(
        f"The file asks for more than its weights can stand for. Ask its author for another, or "
        f"set the number in Python after loading. Received: {key[:80]!r}={shown(value)}"
    )
