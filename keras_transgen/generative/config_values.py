"""Arguments that may be names or objects, on their way into a configuration."""

from __future__ import annotations

from typing import Any

import keras


def serialized(setting: Any) -> Any:
    """What a configuration keeps of an argument that is `None`, a name or a Keras object."""
    if setting is None or isinstance(setting, str):
        return setting
    return keras.saving.serialize_keras_object(setting)
