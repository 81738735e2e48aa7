"""A network made anew from what another one says of itself."""

from __future__ import annotations

import keras

from keras_transgen.training.trainable_flags import set_trainable_flags, trainable_flags


def copied_network(network: keras.Model) -> keras.Model:
    """A network like another one, with weights of its own that start anew.

    A class with a configuration of its own is made by it; else a plain network is made of its
    layers, which would not know how many logits a `ProjectedDiscriminator` gives.

    All of the copy trains, whatever of the network is frozen.
    """
    flags = trainable_flags(network)
    # What is made frozen has no weights that could train, later on neither. What is set to what it
    # is already does not reach the layers.
    network.trainable = False
    network.trainable = True
    try:
        return _copied(network)
    finally:
        set_trainable_flags(network, flags)


def _copied(network: keras.Model) -> keras.Model:
    kind = type(network)
    if "get_config" in vars(kind) and not kind.__module__.startswith("keras."):
        return kind.from_config(network.get_config())
    return keras.models.clone_model(network)
