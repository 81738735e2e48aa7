"""The pretrained networks of a search: one for all trials while frozen, fresh where they train."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import keras
import tensorflow as tf

from keras_transgen.backbones import Backbone, load_backbone


class TrialBackbones:
    """Gives each trial its backbone, of sources as `TransferHyperModel` takes them.

    A frozen network computes the same in every trial, so one serves all; a network that a trial
    trains is made anew from where it came from.
    """

    def __init__(self, sources: Any) -> None:
        if isinstance(sources, (str, os.PathLike, keras.layers.Layer)):
            sources = [sources]
        if not isinstance(sources, Mapping):
            sources = _named(list(sources))
        if not sources:
            raise ValueError("A search needs at least one backbone. Received: backbones=[]")
        self._sources = dict(sources)
        self._shared: dict[tuple[str, int], Backbone] = {}
        # What fails shall fail here, not in a trial.
        self._first = {name: self.shared(name) for name in self._sources}

    @property
    def names(self) -> list[str]:
        """What trials call them."""
        return list(self._sources)

    def take_images(self) -> bool:
        """Whether all of them take images `[batch, height, width, channels]`."""
        shapes = [getattr(each.input_contract, "shape", None) for each in self._first.values()]
        dtypes = [getattr(each.input_contract, "dtype", None) for each in self._first.values()]
        return all(
            shape is not None and len(shape) == 4 and keras.backend.is_float_dtype(dtype or "int32")
            for shape, dtype in zip(shapes, dtypes)
        )

    def digests(self) -> dict[str, str]:
        """Hash of structure and weights by name."""
        return {name: each.digest() for name, each in self._first.items()}

    def shared(self, name: str) -> Backbone:
        """The frozen network, the same for all trials under the present strategy."""
        key = (name, id(tf.distribute.get_strategy()))
        if key not in self._shared:
            self._shared[key] = self.fresh(name)
        return self._shared[key]

    def fresh(self, name: str, normalization: str | None = None) -> Backbone:
        """A copy with the pretrained weights, for one trial alone."""
        source = self._sources[name]
        options = {} if normalization is None else {"normalization": normalization}
        if isinstance(source, Backbone):
            copy = type(source).from_config({**source.get_config(), **options, "name": source.name})
        elif isinstance(source, keras.Model):
            copy = load_backbone(keras.models.clone_model(source), **options)
        else:
            return load_backbone(source, **options)
        copy.set_weights(source.get_weights())
        return copy


def _named(sources: Sequence[Any]) -> dict[str, Any]:
    names = [
        Path(os.fspath(source).rstrip("/")).name
        if isinstance(source, (str, os.PathLike))
        else getattr(source, "name", str(source))
        for source in sources
    ]
    if len(set(names)) < len(names):
        raise ValueError(
            "Backbones must have different names; give a dict from names to backbones. "
            f"Received: backbones called {names}"
        )
    return dict(zip(names, sources))
