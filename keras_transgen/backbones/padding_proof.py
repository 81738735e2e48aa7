"""Whether a network computes the same of a sequence alone and padded: tried, not believed.

Layers may hand a mask on although they mix positions (a normalisation over time, a reversal), and
plain operations drop it. So a network is asked once, with a short sequence alone and the same one
beside a longer one.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from keras_transgen.backbones.input_contract import InputContract
from keras_transgen.backbones.padding_mask import mask_of, with_mask
from keras_transgen.training.compilation import flat_layers

_SHORT, _LONG = 12, 20
# Half precision rounds other sums in other ways.
_TOLERANCES = {"float16": 5e-2, "bfloat16": 2e-1}
_TOLERANCE = 1e-3


def padding_changes_nothing(
    network: keras.Model, contract: Any, dtype: str, as_taken: Callable[[Any], Any]
) -> bool:
    """Try it, in inference mode.

    Args:
        network: Takes and gives single tensors.
        contract: Its input contract.
        dtype: What it computes in.
        as_taken: Makes what the network is called with of a tensor.

    Returns:
        `True` also for networks that cannot be tried so: strings, several inputs, sizes that are
        not known.
    """
    sequences = _sequences(network, contract)
    if sequences is None:
        return True
    padded = np.array(sequences)
    padded[0, _SHORT:] = 0
    mask = np.ones(padded.shape[:2], bool)
    mask[0, _SHORT:] = False
    try:
        alone = _outputs(network, as_taken, sequences[:1, :_SHORT], None)
        together = _outputs(network, as_taken, padded, mask)
    except (ValueError, TypeError, tf.errors.OpError):
        # Masks that a layer cannot use; or sequences too short for it, of which nothing is known.
        return False
    tolerance = _TOLERANCES.get(dtype, _TOLERANCE)
    return len(alone) == len(together) and all(
        _equal(one, other, tolerance) for one, other in zip(alone, together)
    )


def _sequences(network: keras.Model, contract: Any) -> np.ndarray | None:
    """Two sequences as the network takes them, tokens or vectors; `None` where it takes others."""
    shape = contract.shape if isinstance(contract, InputContract) else None
    if shape is None or not 2 <= len(shape) <= 3 or shape[1] is not None or None in shape[2:]:
        return None
    draws = np.random.default_rng(0)
    size = (2, _LONG, *(int(each) for each in shape[2:] if each is not None))
    kind = keras.backend.standardize_dtype(contract.dtype or "float32")
    if kind == "string":
        return None
    if len(shape) == 2:
        tables = [each for each in flat_layers(network) if hasattr(each, "input_dim")]
        most = min((int(each.input_dim) for each in tables), default=2)
        return draws.integers(1, max(2, most), size).astype(kind)
    return draws.normal(size=size).astype(kind)


def _outputs(
    network: keras.Model, as_taken: Callable[[Any], Any], inputs: np.ndarray, mask: Any
) -> list[Any]:
    tensor = tf.convert_to_tensor(inputs)
    if mask is not None and inputs.ndim == 3:
        tensor = with_mask(tensor, tf.constant(mask))
    with warnings.catch_warnings():
        # A layer that knows no mask warns of it; here it is only asked.
        warnings.filterwarnings("ignore", ".*was passed an input with a mask attached")
        return keras.tree.flatten(network(as_taken(tensor), training=False))


def _equal(alone: Any, together: Any, tolerance: float) -> bool:
    one, other = (np.asarray(keras.ops.cast(each, "float32")) for each in (alone, together))
    if one.ndim > 2:
        mask = mask_of(together)
        if mask is None or mask.shape != other.shape[:2]:
            return False
        own = mask_of(alone)
        first = one[0] if own is None else one[0][np.asarray(own)[0]]
        second = other[0][np.asarray(mask)[0]]
    else:
        first, second = one[0], other[0]
    return first.shape == second.shape and bool(
        np.allclose(first, second, rtol=tolerance, atol=tolerance)
    )
