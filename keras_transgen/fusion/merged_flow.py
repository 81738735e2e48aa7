"""A flow whose low-rank additions have become part of its kernels."""

from __future__ import annotations

from typing import Any

import keras

from keras_transgen.fusion.flow_start import remade
from keras_transgen.fusion.low_rank_network import LowRankNetwork
from keras_transgen.fusion.network_copy import copied_network
from keras_transgen.generative.flow.flow_matching import FlowMatching
from keras_transgen.generative.moving_average import averaged
from keras_transgen.training.compilation import flat_layers


def merge_flow(flow: FlowMatching) -> FlowMatching:
    """A new flow of plain kernels, from one with low-rank additions to them.

    It samples the same: its kernels are `W + A B` of the averaged weights. It is smaller in files
    by the additions, needs no class of theirs, and trains as any flow.

    Args:
        flow: What `transfer_flow(flow, "lora")` made, fitted or not. It is left as it is.

    Returns:
        A model of the same class, not compiled.

    Raises:
        ValueError: If it has no low-rank additions.

    Example:
        ```python
        import keras_transgen as ktg
        from keras_transgen.fusion import merge_flow, transfer_flow

        images, labels = ktg.datasets.load_digits()
        flow = ktg.FlowMatching((8, 8, 1), num_classes=10, width=8, value_range=(0.0, 1.0))
        flow.fit(images[:64], labels[:64], batch_size=64, epochs=1, verbose=0)
        merged = merge_flow(transfer_flow(flow, "lora"))
        assert merged.count_params() < transfer_flow(flow, "lora").count_params()
        ```

    Reference:
        Hu et al., LoRA: Low-Rank Adaptation of Large Language Models, 2021.
    """
    wrapped = low_rank_network(flow) if isinstance(flow, FlowMatching) else None
    if wrapped is None:
        raise ValueError(
            "merge_flow takes a flow with low-rank additions, as transfer_flow(flow, 'lora') makes "
            f"it. Received: {type(flow).__name__}"
        )
    flow.average_what_was_loaded()
    network = copied_network(wrapped.layer)
    with averaged(flow.average):
        values = [keras.ops.convert_to_numpy(value) for value in wrapped.values()]
    network.set_weights(values)
    new = remade(flow, {"network": network})
    new.progress.step.assign(flow.progress.step)
    return new


def low_rank_network(flow: Any) -> LowRankNetwork | None:
    """The layer that adds to a flow's kernels, or `None` where none does."""
    layers = flat_layers(flow.network)
    return next((layer for layer in layers if isinstance(layer, LowRankNetwork)), None)
