"""One batch of data through a frozen backbone, checked, in every view asked for."""

import hashlib
import inspect
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from keras_transgen.backbones.network_digest import layer_digest

CLEAN_ADVICE = "Remove the row or fill in the values."


class FeatureFunction:
    """Turns a batch of data into a batch of features, in one compiled function.

    Args:
        backbone: The layer or model; it runs in inference mode.
        specification: `tf.TensorSpec`s of a batch, or None to trace for what comes.
        preprocessing: Layer or function from the data to the backbone's inputs, or None.
        augmentation: Layer or function that makes the views after the first, or None.
        views: How many views of each example to give.
        seed: Seed of the augmentation.
        dtype: Name of the dtype to give features in, or None.
        compiled: Where to keep the traced function, for other data of the same kind that go through
            the same backbone and preprocessing: one dict for all of them. None: not kept.
    """

    def __init__(
        self,
        backbone: keras.layers.Layer,
        specification: Any = None,
        preprocessing: Any = None,
        augmentation: Any = None,
        views: int = 1,
        seed: int = 0,
        dtype: str | None = None,
        compiled: dict[str, Any] | None = None,
    ) -> None:
        self.views = views
        self._backbone = backbone
        self._preprocessing = preprocessing
        self._augmentation = augmentation
        self._seed = seed
        self._dtype = dtype
        signature = None if specification is None else [specification]
        self._is_specified = signature is not None
        plain = tf.function(
            self._run, input_signature=signature, reduce_retracing=signature is None
        )
        kept = {} if compiled is None else compiled
        self._plain = kept.setdefault(f"{specification} {dtype}", plain)
        self._augmented = tf.function(self._run_augmented, reduce_retracing=True)

    def key_parts(self) -> dict[str, Any]:
        """What the features depend on, besides the data; plain functions have no key."""
        functions = [self._preprocessing, self._augmentation]
        return {
            "backbone": layer_digest(self._backbone),
            "policy": self._backbone.dtype_policy.name,
            "functions": [
                layer_digest(f) if isinstance(f, keras.layers.Layer) else f is not None
                for f in functions
            ],
            "views": self.views,
            "seed": self._seed if self.views > 1 else None,
            "dtype": self._dtype,
        }

    @property
    def has_plain_functions(self) -> bool:
        """Whether it calls Python functions, whose code and surroundings nobody can hash."""
        functions = [self._preprocessing, self._augmentation]
        return any(f is not None and not isinstance(f, keras.layers.Layer) for f in functions)

    def trace(self) -> bool:
        """Trace the function, where it is known in advance for what; says whether it is traced."""
        if self._is_specified:
            self._plain.get_concrete_function()
        return self._is_specified

    def check_first(self, x: Any) -> None:
        """Holds the first batch against the contracts of preprocessing and backbone, if any."""
        if hasattr(self._preprocessing, "check_inputs"):
            self._preprocessing.check_inputs(x)
        if hasattr(self._backbone, "check_inputs"):
            self._backbone.check_inputs(self._preprocess(x))

    def __call__(self, x: Any, first_row: int) -> Any:
        """Features of one batch.

        Returns:
            Arrays `[rows * views, ...]` in the structure of the backbone's outputs; the views of
            an example follow one another.
        """
        parts = [self._checked(self._plain(x), x, first_row)]
        for view in range(1, self.views):
            seed = self._view_seed(first_row, view)
            _set_seeds(self._augmentation, seed)
            parts.append(self._checked(self._augmented(x, tf.constant(seed)), x, first_row))
        if self.views == 1:
            return parts[0]
        return keras.tree.map_structure(
            lambda *views: np.stack(views, axis=1).reshape(-1, *views[0].shape[1:]), *parts
        )

    def _view_seed(self, first_row: int, view: int) -> list[int]:
        text = f"{self._seed} {first_row} {view}".encode()
        return [int.from_bytes(hashlib.sha256(text).digest()[i : i + 3], "big") for i in (0, 3)]

    def _preprocess(self, x: Any) -> Any:
        if self._preprocessing is None:
            return x
        if isinstance(self._preprocessing, keras.layers.Layer):
            return self._preprocessing(x, training=False)
        return self._preprocessing(x)

    def _run(self, x: Any) -> tuple[Any, tf.Tensor, tf.Tensor]:
        outputs = self._backbone(self._preprocess(x), training=False)
        outputs = keras.tree.map_structure(self._storable, outputs)
        return outputs, _finite_rows(x), _finite_rows(outputs)

    def _run_augmented(self, x: Any, seed: tf.Tensor) -> tuple[Any, tf.Tensor, tf.Tensor]:
        return self._run(_augment(self._augmentation, x, seed))

    def _storable(self, output: Any) -> tf.Tensor:
        if not isinstance(output, tf.Tensor):
            raise ValueError(
                "Expected a backbone whose outputs are plain tensors [batch, ...]. Pool ragged or "
                f"sparse outputs first. Received: {type(output).__name__}"
            )
        if output.dtype.is_floating and self._dtype is not None:
            return tf.cast(output, self._dtype)
        return tf.cast(output, tf.float32) if output.dtype == tf.bfloat16 else output

    def _checked(self, result: tuple[Any, tf.Tensor, tf.Tensor], x: Any, first_row: int) -> Any:
        outputs, data_finite, features_finite = result
        refuse_rows(data_finite, first_row, "NaN or infinite values in the data")
        refuse_rows(
            features_finite,
            first_row,
            "NaN or infinite features, from data that are finite",
            'float16 ends at 65504: store dtype="float32". ' * (self._dtype == "float16")
            + "Check the data's scale and the backbone's weights.",
        )
        arrays = keras.tree.map_structure(lambda output: output.numpy(), outputs)
        rows = row_count(x)
        for array in keras.tree.flatten(arrays):
            if array.ndim == 0 or len(array) != rows:
                raise ValueError(
                    "Expected one row of features for each row of data. "
                    f"Received: outputs of shape {array.shape} for {rows} rows"
                )
        return arrays


def row_count(x: Any) -> int:
    """How many rows a batch has.

    Args:
        x: A tensor `[rows, ...]`, ragged or not, or a structure of them with equal rows.
    """
    first = keras.tree.flatten(x)[0]
    return int(first.nrows() if isinstance(first, tf.RaggedTensor) else first.shape[0])


def _finite_rows(values: Any) -> tf.Tensor:
    """Whether each row is finite, or one True where there is nothing to check."""
    checks = []
    for tensor in keras.tree.flatten(values):
        if isinstance(tensor, tf.Tensor) and tensor.dtype.is_floating and tensor.shape.rank:
            axes = list(range(1, tensor.shape.rank))
            checks.append(tf.reduce_all(tf.math.is_finite(tensor), axes))
    return tf.reduce_all(tf.stack(checks), 0) if checks else tf.constant([True])


def refuse_rows(finite: Any, first_row: int, what: str, advice: str = CLEAN_ADVICE) -> None:
    """Raises for the first row that is not finite."""
    finite = np.asarray(finite)
    if finite.all():
        return
    rows = first_row + np.flatnonzero(~finite)
    raise ValueError(f"{what}. {advice} Received: row {rows[0]} ({len(rows)} in its batch)")


def _augment(augmentation: Any, x: Any, seed: tf.Tensor) -> Any:
    if isinstance(augmentation, keras.layers.Layer):
        return augmentation(x, training=True)
    try:
        takes_seed = "seed" in inspect.signature(augmentation).parameters
    except ValueError:
        takes_seed = False
    return augmentation(x, seed=seed) if takes_seed else augmentation(x)


def _set_seeds(augmentation: Any, seed: list[int]) -> None:
    """Puts a layer's random state where it belongs, so that a resumed pass draws the same."""
    if not isinstance(augmentation, keras.layers.Layer):
        return
    for index, variable in enumerate(augmentation.variables):
        if "seed_generator_state" in variable.path:
            variable.assign(np.asarray([seed[0], seed[1] + index], variable.dtype))
