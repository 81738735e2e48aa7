"""The one strategy of a process over the devices of this machine."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

import tensorflow as tf

_made: dict[tuple[str, ...], tf.distribute.MirroredStrategy] = {}


def mirrored_strategy(devices: str | Sequence[str] | None = None) -> tf.distribute.MirroredStrategy:
    """The process's `tf.distribute.MirroredStrategy` over these devices: always the same object.

    Of two strategies in a process TensorFlow 2.21 takes the collectives of one for those of the
    other, and a later `fit` fails ("Shape mismatch in the collective"). A notebook's cell that is
    run twice makes two; with this function it gets the first one again.

    Args:
        devices: Names of devices, such as `["GPU:0", "GPU:1"]`, in any order. Defaults to all GPUs
            of this machine, or where it has none, to its CPU.

    Returns:
        The strategy. Make models within its `scope()`.

    Raises:
        ValueError: If there is no such device. A second set of devices in a process only warns.

    Example:
        ```python
        import keras_transgen as ktg

        strategy = ktg.distributed.mirrored_strategy()
        with strategy.scope():
            vae = ktg.VAE(input_shape=(8, 8, 1), latent_dim=2)
        assert ktg.distributed.mirrored_strategy() is strategy
        ```
    """
    known = [
        device.name for kind in ("GPU", "CPU") for device in tf.config.list_logical_devices(kind)
    ]
    if devices is None:
        chosen = tuple(name for name in known if "GPU" in name) or tuple(known)
    else:
        given: Sequence[Any] = devices if isinstance(devices, (list, tuple)) else [devices]
        # In one order, since the same devices are the same strategy.
        chosen = tuple(sorted({_whole_name(device) for device in given}))
    missing = [name for name in chosen if name not in known]
    if missing or not chosen:
        raise ValueError(f"Expected devices among {known}. Received: devices={devices}")
    if chosen not in _made:
        if _made:
            warnings.warn(
                "TensorFlow mixes up the collectives of several strategies in a process. Use one "
                f"set of devices. Received: {list(chosen)}, after {[list(each) for each in _made]}",
                stacklevel=2,
            )
        _made[chosen] = tf.distribute.MirroredStrategy(list(chosen))
    return _made[chosen]


def _whole_name(device: Any) -> str:
    """A device as TensorFlow lists it: of `"gpu:1"`, `"/device:GPU:1"`."""
    try:
        found = tf.DeviceSpec.from_string(device)
    except (ValueError, AttributeError, TypeError):
        # Listed nowhere, so that the caller says which there are.
        return str(device)
    return f"/device:{str(found.device_type).upper()}:{found.device_index or 0}"
