"""A flow made of another one's settings and averaged weights."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np

from keras_transgen.fusion.latent_flow import LatentFlow
from keras_transgen.generative.flow.flow_matching import FlowMatching


def remade(
    flow: FlowMatching, changes: dict[str, Any], kept: list[int | None] | None = None
) -> FlowMatching:
    """A flow like another one, with other settings, and with all its weights but the network's.

    They are the averaged ones, and the new average starts from what the new weights are.

    Args:
        flow: The other one.
        changes: What differs in its configuration; `network` among it.
        kept: For each class of the new flow its place in the other one, `None` for a new class,
            which starts from the mean of the others' embeddings. `None` for the same conditions.
    """
    config = {**flow.get_config(), **changes}
    # What trains is what the network says.
    del config["trains"]
    config["trainable"] = True
    if isinstance(flow, LatentFlow):
        config["autoencoder"] = flow.codec.copy_of(flow.codec.weights)
    new = type(flow).from_config(config)
    for name in ("condition_encoder", "condition_scale"):
        old = getattr(flow, name)
        if old is not None:
            getattr(new, name).set_weights(averaged_values(flow, old.weights))
    if flow.condition_embedding is not None:
        _embed(flow, new, kept)
    if new.average is not None:
        new.average.restart()
    return new


def averaged_values(flow: FlowMatching, weights: Sequence[keras.Variable]) -> list[np.ndarray]:
    """The averages of weights, or the weights where there are none."""
    values = weights if flow.average is None else flow.average.of(weights)
    return [keras.ops.convert_to_numpy(value) for value in values]


def _embed(flow: FlowMatching, new: FlowMatching, kept: list[int | None] | None) -> None:
    assert flow.condition_embedding is not None
    assert new.condition_embedding is not None
    weights = flow.condition_embedding.weights
    values = dict(zip((each.name for each in weights), averaged_values(flow, weights)))
    if kept is not None:
        mean = values["table"].mean(axis=0)
        rows = [mean if place is None else values["table"][place] for place in kept]
        values["table"] = np.stack(rows)
    for weight in new.condition_embedding.weights:
        # The vector of no condition is new where the other flow dropped none.
        if weight.name in values:
            weight.assign(values[weight.name])
