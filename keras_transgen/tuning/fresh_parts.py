"""Objects that a search was given, as new ones for each trial: trials share nothing that trains."""

from __future__ import annotations

from typing import Any

import keras
from tensorflow_probability import distributions as tfd

from keras_transgen.backbones.backbone import Backbone
from keras_transgen.generative.distribution_config import (
    distribution_config,
    distribution_from_config,
)


def fresh(value: Any) -> Any:
    """The same value, with what holds weights made anew, as it was given.

    Layers, models, losses and TFP distributions with variables are made again from their
    configuration and take the weights that they were given with; frozen backbones are shared.

    Args:
        value: An argument of a model, or a structure of them.
    """
    if isinstance(value, dict):
        return {name: fresh(each) for name, each in value.items()}
    if isinstance(value, (list, tuple)) and not hasattr(value, "_fields"):
        return type(value)(fresh(each) for each in value)
    if isinstance(value, tfd.Distribution):
        return distribution_from_config(distribution_config(value)) if value.variables else value
    if isinstance(value, Backbone) and not value.trainable_weights:
        return value
    if not isinstance(value, keras.layers.Layer):
        return value
    made = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(value))
    if value.built and not made.built:
        made.build_from_config(value.get_build_config() or {})
    if len(made.weights) == len(value.weights):
        made.set_weights(value.get_weights())
    return made
