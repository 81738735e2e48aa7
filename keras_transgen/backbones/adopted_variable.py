"""A `tf.Variable` that somebody else created, seen as a Keras variable."""

import keras
import tensorflow as tf


class AdoptedVariable(keras.Variable):
    """A Keras variable whose storage is a given `tf.Variable`, not a copy of it.

    The functions of a loaded SavedModel read the very `tf.Variable`s that were created when it
    was loaded. Only when an optimizer, a regulariser or `load_weights` acts on those does the
    module's output change, so a Keras layer around a module must hold these and no others.

    It never casts itself under mixed precision: the module's functions were traced with the
    dtype it was saved with, and read the storage without asking Keras.

    Args:
        storage: The variable to adopt. It may be a distributed one, when the module was loaded
            inside `strategy.scope()`.
        path: Unique name with slashes, such as `"block_1_expand/kernel"`.
        trainable: Whether optimizers may change it. Defaults to the storage's own flag.
    """

    def __init__(self, storage: tf.Variable, path: str, trainable: bool | None = None) -> None:
        if not isinstance(storage, tf.Variable):
            raise ValueError(f"Only a tf.Variable can be adopted. Received: storage={storage!r}")
        # Keras' TensorFlow backend keeps a tf.Variable that it is given as the initial value
        # instead of copying it. That is not documented, hence the check right below.
        super().__init__(
            storage,
            dtype=storage.dtype.name,
            trainable=storage.trainable if trainable is None else trainable,
            autocast=False,
            name=path.rsplit("/", 1)[-1],
        )
        self._adopted_path = path
        if self.value is not storage:
            raise RuntimeError(
                "This version of Keras copies a tf.Variable that it is given, so a SavedModel "
                "cannot be trained through it. Please report it with your Keras version: "
                f"{keras.version()}"
            )

    @property
    def path(self) -> str:
        """The variable's path inside its backbone."""
        return self._adopted_path
