"""Arguments that may be names or objects, in and out of a configuration."""

from __future__ import annotations

from typing import Any

import keras


def serialized(setting: Any) -> Any:
    """What a configuration keeps of an argument that is `None`, a name or a Keras object."""
    if setting is None or isinstance(setting, str):
        return setting
    return keras.saving.serialize_keras_object(setting)


def deserialized(value: Any) -> Any:
    """The argument again; what is no serialised object comes back as it is."""
    if isinstance(value, dict) and "class_name" in value:
        return keras.saving.deserialize_keras_object(value)
    return value
