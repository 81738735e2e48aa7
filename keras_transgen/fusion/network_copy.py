"""A network made anew from what another one says of itself."""

from __future__ import annotations

import keras


def copied_network(network: keras.Model) -> keras.Model:
    """A network like another one, with weights of its own that start anew.

    A class with a configuration of its own is made by it; else a plain network is made of its
    layers, which would not know how many logits a `ProjectedDiscriminator` gives.
    """
    kind = type(network)
    if "get_config" in vars(kind) and not kind.__module__.startswith("keras."):
        return kind.from_config(network.get_config())
    return keras.models.clone_model(network)
