"""What a model leaves behind: whole files, the state of its run, and exports for inference."""

from __future__ import annotations

import contextlib
import functools
import os
from collections.abc import Callable, Iterator
from typing import Any

import keras
import numpy as np
from keras.src.backend.common import global_state

from keras_transgen.datasets.whole_file import write_whole
from keras_transgen.training.loading import files_load
from keras_transgen.training.progress import Progress
from keras_transgen.training.refusal import refusals
from keras_transgen.training.replica_noise import seed_states
from keras_transgen.training.serving import Endpoint, write_litert, write_saved_model
from keras_transgen.training.trainable_flags import set_trainable_flags, trainable_flags
from keras_transgen.training.weight_file import check_weights_at

_PROGRESS = "training_progress"
_SEEDS = "seed_generator_states"
_TRAINS = "trains"


class StoredModel(keras.Model):
    """A `keras.Model` whose files are written whole and hold the state of its run.

    `TrainerModel` is built on it; there is no use for it alone.

    Args:
        **kwargs: Passed to `keras.Model`.
    """

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.progress = Progress()

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if "from_config" in vars(cls):
            make = vars(cls)["from_config"].__func__

            @functools.wraps(make)
            def from_config(cls: type, config: dict[str, Any], *args: Any, **kwargs: Any) -> Any:
                return _with_flags(lambda rest: make(cls, rest, *args, **kwargs), config)

            cls.from_config = classmethod(from_config)  # type: ignore[assignment]

    def save_weights(self, filepath: Any, overwrite: bool = True, **kwargs: Any) -> None:
        """Save the weights, optimizers and the state of the run to a `.weights.h5` file.

        The file is written beside and moved into place: a kill while saving leaves the old one.
        With `max_shard_size` it is a `.weights.json` file and parts beside it, moved one by one.
        """
        write_whole(
            os.fspath(filepath),
            lambda path: super(StoredModel, self).save_weights(path, overwrite=True, **kwargs),
            overwrite=overwrite,
        )

    def load_weights(self, filepath: Any, skip_mismatch: bool = False, **kwargs: Any) -> None:
        """Load weights, with the arguments of `keras.Model.load_weights`.

        Raises:
            ValueError: The file leads to other files, takes far more memory than it has bytes, or
                cannot be loaded for whatever other reason, which is the error's cause.
        """
        with refusals(f"The weight file {os.fspath(filepath)!r}"):
            check_weights_at(filepath)
            super().load_weights(filepath, skip_mismatch=skip_mismatch, **kwargs)

    def save(self, filepath: Any, overwrite: bool = True, **kwargs: Any) -> None:
        """Save the model to a `.keras` file, written beside and moved into place.

        Raises:
            ValueError: The name is that of an HDF5 file, which could not be loaded again.
        """
        if _is_hdf5(filepath):
            raise _hdf5_refused(f"filepath={os.fspath(filepath)!r}")
        write_whole(
            os.fspath(filepath),
            lambda path: super(StoredModel, self).save(path, overwrite=True, **kwargs),
            overwrite=overwrite,
        )

    def get_config(self) -> dict[str, Any]:
        """Configuration to rebuild the model from, and what of it trains.

        See `keras.Model.get_config`. A model of one's own adds to what this returns; its
        `from_config` gets no more than it has added itself.

        Raises:
            ValueError: Keras asks for the sake of an HDF5 file, by `keras.saving.save_model`.
        """
        if global_state.get_global_attribute("use_legacy_config"):
            raise _hdf5_refused("an HDF5 file")
        return {**super().get_config(), _TRAINS: trainable_flags(self)}

    # As Keras' own, so that models without a configuration still have that of their arguments.
    get_config._is_default = True  # type: ignore[attr-defined]

    @classmethod
    def from_config(cls, config: dict[str, Any], *args: Any, **kwargs: Any) -> Any:
        """Rebuild a model from what `get_config` gave; what was frozen is so again."""
        make = super().from_config
        return _with_flags(lambda rest: make(rest, *args, **kwargs), config)

    def serving_endpoints(self, input_signature: Any = None) -> dict[str, Endpoint]:
        """What `export` writes: endpoints by name, the default one first.

        A model with named signatures overrides it. Without any, `export` is Keras' own.

        Args:
            input_signature: As given to `export`.
        """
        return {}

    def export(
        self,
        filepath: Any,
        format: str = "tf_saved_model",
        verbose: bool | None = None,
        input_signature: Any = None,
        **kwargs: Any,
    ) -> None:
        """Export the model for inference without this package, with named signatures.

        A SavedModel has a signature for each thing that the model does, the first of them also as
        `serving_default`, as TensorFlow Serving wants it; `tf.saved_model.load` reads it. A TFLite
        file has those that draw no random numbers.

        Args:
            filepath: Folder of the SavedModel, or a file that ends in `.tflite`.
            format: `"tf_saved_model"` (default), `"litert"`, or another one of Keras' formats.
            verbose: Print what was written. Defaults to `False`.
            input_signature: Shape and dtype of the input where the model cannot know them, such as
                `tf.TensorSpec([None, 64, 64, 3], tf.uint8)`.
            **kwargs: For `"litert"`, attributes of `tf.lite.TFLiteConverter`; for Keras' other
                formats, its arguments.

        Raises:
            ValueError: If the shape of the input is not known or does not fit the model, the place
                cannot be written to, or the format takes no such model.
        """
        writers: dict[str, Callable[..., None]] = {
            "tf_saved_model": write_saved_model,
            "litert": write_litert,
        }
        if not os.fspath(filepath) or (format == "tf_saved_model" and os.path.isfile(filepath)):
            raise ValueError(
                "filepath must be a folder for a SavedModel, a new one or one that may be written "
                f"into, or a file for other formats. Received: filepath={os.fspath(filepath)!r}"
            )
        if format == "tf_saved_model" and kwargs:
            raise ValueError(
                "A SavedModel takes no further options. Received: "
                f"{', '.join(f'{name}={value!r:.50}' for name, value in kwargs.items())}"
            )
        endpoints = self.serving_endpoints(input_signature) if format in writers else {}
        if not endpoints:
            super().export(filepath, format, verbose, input_signature, **kwargs)
            return
        writers[format](endpoints, filepath, verbose=bool(verbose), **kwargs)

    def save_own_variables(self, store: Any) -> None:
        """Save what belongs to the run: its seed and step, and the states of seed generators."""
        super().save_own_variables(store)
        store[_PROGRESS] = self.progress.state()
        states = [np.asarray(state) for state in seed_states(self)]
        store[_SEEDS] = np.array(states, "uint32").reshape(-1, 2)

    def load_own_variables(self, store: Any) -> None:
        """Load what `save_own_variables` saved; files without a run's state load too."""
        # The store of an HDF5 file has `keys` and nothing else of a mapping.
        saved = {key: store[key] for key in store.keys()}  # noqa: SIM118
        run, seeds = saved.pop(_PROGRESS, None), saved.pop(_SEEDS, None)
        super().load_own_variables(saved)
        if run is not None:
            self.progress.restore(run)
        states = seed_states(self)
        if seeds is not None and len(seeds) == len(states):
            for state, seed in zip(states, np.asarray(seeds)):
                state.assign(seed)


@contextlib.contextmanager
def _policy_of(config: dict[str, Any]) -> Iterator[None]:
    """Within a `with` block Keras' policy is that of a configuration."""
    before = keras.config.dtype_policy()
    said = config.get("dtype")
    if isinstance(said, dict) and said.get("class_name") == "DTypePolicy":
        said = said.get("config", {}).get("name")
    try:
        policy = keras.DTypePolicy(said) if isinstance(said, str) else before
    except (TypeError, ValueError):
        # The constructor says what is wrong with it.
        policy = before
    keras.config.set_dtype_policy(policy)
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)


def _with_flags(make: Callable[..., Any], config: dict[str, Any]) -> Any:
    """What a function makes of a configuration, and lets train what the configuration says."""
    config = dict(config)
    flags = config.pop(_TRAINS, None)
    # Networks that a model makes itself compute as it does, whatever the policy is today.
    with files_load(), _policy_of(config):
        model = make(config)
    if flags is not None:
        set_trainable_flags(model, flags)
    return model


def refuse_hdf5_checkpoints(callbacks: Any) -> None:
    """Refuse callbacks that would write whole models into HDF5 files, before they are needed.

    Args:
        callbacks: What `fit` was given: a callback, a list of them, a `CallbackList` or `None`.

    Raises:
        ValueError: A `ModelCheckpoint` of such a file.
    """
    for callback in keras.tree.flatten(getattr(callbacks, "callbacks", callbacks)):
        if not isinstance(callback, keras.callbacks.ModelCheckpoint):
            continue
        if not callback.save_weights_only and _is_hdf5(callback.filepath):
            raise _hdf5_refused(f"ModelCheckpoint(filepath={callback.filepath!r})")


def _is_hdf5(path: Any) -> bool:
    return str(path).lower().endswith((".h5", ".hdf5"))


def _hdf5_refused(received: str) -> ValueError:
    return ValueError(
        "An HDF5 file of this model could not be loaded again. Save it as name.keras, or its "
        "weights alone as name.weights.h5 by save_weights (ModelCheckpoint: "
        f"save_weights_only=True). Received: {received}"
    )
