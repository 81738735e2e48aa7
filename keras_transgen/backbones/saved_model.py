"""A TensorFlow SavedModel as a Keras layer whose parameters can be trained."""

import contextlib
import json
import os
import re
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from keras_transgen.backbones.adopted_variable import AdoptedVariable
from keras_transgen.backbones.audit import audit_module, try_to_load
from keras_transgen.backbones.backbone import Backbone
from keras_transgen.backbones.flat_function import FlatFunction
from keras_transgen.backbones.garbage_collection import without_collection
from keras_transgen.backbones.handles import resolve
from keras_transgen.backbones.input_contract import (
    InputContract,
    check_structure,
    checked_value_range,
)
from keras_transgen.backbones.layer_scales import reductions
from keras_transgen.backbones.module_files import PrivateModule, structure_digest
from keras_transgen.backbones.module_outputs import check_output_key
from keras_transgen.backbones.module_store import (
    is_being_loaded,
    keep_module,
    stored_folder,
)
from keras_transgen.backbones.op_libraries import import_op_libraries
from keras_transgen.backbones.parameter_groups import ParameterGroup, group_by_block
from keras_transgen.backbones.saved_model_function import ModuleFunction
from keras_transgen.backbones.saved_model_packing import (
    MARK,
    PackedWeights,
    goes_into_model_file,
    other_state_digest,
    restore_from_store,
)
from keras_transgen.backbones.saved_model_pruning import pruned_folder
from keras_transgen.backbones.saved_model_taps import ModuleTaps, load_tapped
from keras_transgen.datasets.printable import printable
from keras_transgen.training.config_from_file import (
    FileConfigError,
    arguments_from_file,
    refuse_arguments,
    shown,
)

_DIGEST = re.compile(r"[0-9a-f]{64}")
# Modules that the user let in with allow_unsafe_ops=True in this process: a config never can.
_let_in: set[str] = set()


def let_in(digest: str) -> None:
    """Remember that the user allowed this module's unsafe ops, for the rest of the process."""
    _let_in.add(digest)


@keras.saving.register_keras_serializable(package="keras_transgen")
class SavedModelBackbone(Backbone):
    """A TF-Hub module or any other SavedModel, as one Keras layer.

    The module's own variables become the layer's weights (not copies), so optimizers, weight
    files, regularisers and summaries act on the module itself. Under a distribution strategy,
    construct it inside `strategy.scope()`.

    Inputs are cast to the dtype the module was saved with, and float outputs to the compute dtype
    of the layer's policy; inside, a module always computes in its own precision, because its
    graph was traced with it.

    The `training` argument of a module is one switch for its normalisation and its dropout
    together. With `normalization="frozen"` it is never switched on: the parameters train, scales
    and offsets of normalisation included, statistics stay fixed and dropout is off. With
    `"adapt"` it follows the model around it.

    A `.keras` file of a model with this layer carries the module with it; load it with
    `keras_transgen.load_model`.

    Args:
        handle: Folder, archive, or address of the module, as `backbones.handles.resolve` takes
            it.
        trainable: Whether the module's parameters are trained. Defaults to False.
        normalization: `"frozen"` (default) or `"adapt"`, see above.
        output_key: Which output to return when the module gives several: a name in a dict, a
            position from 0 in a tuple or list. `None` returns all of them.
        arguments: Further keyword arguments for the module's `__call__`; JSON values.
        value_range: Range of the image values that the module expects; it is only used to warn.
            Defaults to TF-Hub's convention for images, and is ignored for other inputs.
        allow_unsafe_ops: Load the module though it can read or write files or call Python.
        digest: Digest of a module in the local module store. It is what a saved model holds; the
            handle is then for information only.
        layers: Names of layers inside the module (see `layer_names`) whose outputs come, as a list,
            instead of the module's own. What they do not need is neither computed nor among the
            weights. Needs `normalization="frozen"`.
        image_size: `(height, width)` of the images to take instead of the size that the module was
            saved with, for modules whose graph computes at any size, as convolutions do.
        max_bytes: Most bytes that a download or an archive may have. Defaults to the environment
            variable `KERAS_TRANSGEN_MAX_BYTES`, else 16 GiB.
        batch_axis: Whether the first axis of the module's inputs is the batch. `False` for a module
            of one example: the backbone takes `[batch, ...]` all the same and runs it on one after
            the other; all of a batch must give outputs of one shape. Defaults to `None`: `False`
            for a single input of floats along one axis, as modules for sound take a waveform
            `[samples]`, else `True`.
        **kwargs: `name`, `dtype` and `frozen_to`, as in `Backbone`.

    Raises:
        ValueError: The handle leads nowhere, the module is broken or unsafe or cannot be called,
            or it was asked to train and cannot.

    Example:
        ```python
        import keras
        import tensorflow as tf
        from keras_transgen.backbones import SavedModelBackbone

        module = tf.Module()
        module.kernel = tf.Variable(tf.ones([3, 2]), name="dense/kernel")
        module.__call__ = tf.function(
            lambda x: x @ module.kernel, input_signature=[tf.TensorSpec([None, 3])]
        )
        tf.saved_model.save(module, "tiny_module")

        backbone = SavedModelBackbone("tiny_module", trainable=True)
        model = keras.Sequential([keras.Input((3,)), backbone, keras.layers.Dense(1)])
        ```
    """

    def __init__(
        self,
        handle: str | os.PathLike[str],
        trainable: bool = False,
        normalization: str = "frozen",
        output_key: str | int | None = None,
        arguments: dict[str, Any] | None = None,
        value_range: tuple[float, float] | None = (0.0, 1.0),
        allow_unsafe_ops: bool = False,
        digest: str | None = None,
        layers: Sequence[str] | None = None,
        image_size: tuple[int, int] | None = None,
        max_bytes: int | None = None,
        batch_axis: bool | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(trainable=trainable, normalization=normalization, **kwargs)
        check_output_key(output_key)
        _check_tap_arguments(layers, image_size, output_key, normalization)
        self.handle = os.fspath(handle)
        self.output_key = output_key
        self.batch_axis = batch_axis
        self.arguments = dict(arguments or {})
        self.value_range = checked_value_range(value_range)
        self._files = _obtain(handle, digest, allow_unsafe_ops, max_bytes)
        self.module_digest = self._files.digest
        self._strategy = tf.distribute.get_strategy()
        with _one_kind_of_error(self.handle), without_collection():
            self._read_module(trainable, normalization, layers, image_size)
        if digest is None:
            # What turned out to be no network leaves nothing in the store.
            keep_module(self._files)
            if allow_unsafe_ops:
                let_in(self.module_digest)
        self._files.drop_variables()
        self._packed: PackedWeights | None = None
        self.set_up()

    def _read_module(
        self,
        trainable: bool,
        normalization: str,
        layers: Sequence[str] | None,
        image_size: tuple[int, int] | None,
    ) -> None:
        folder = self._files.folder
        # Kept as an attribute, so that exports of the model find the module's resources.
        with pruned_folder(folder) as pruned:
            self._module = tf.saved_model.load(str(pruned))
        self._function = ModuleFunction(
            self._module, self.arguments, self.output_key, batch_axis=self.batch_axis
        )
        self.layers = None if layers is None else list(layers)
        self.image_size = None if image_size is None else (image_size[0], image_size[1])
        self._stored = folder, self._function.trace_place()
        self._structure = structure_digest(folder), other_state_digest(folder)
        if self._is_tapped():
            self._module, self._function = load_tapped(
                folder, self._function, self.layers, self.image_size
            )
        self._refuse_what_it_cannot(trainable, normalization)
        self._adopt_variables()
        self._contract = self._read_contract()
        # XLA has no strings.
        self.supports_jit = "string" not in self._function.input_dtypes()

    def _refuse_what_it_cannot(self, trainable: bool, normalization: str) -> None:
        if trainable and not self._function.can_train:
            raise ValueError(
                f"This module can only be called through {self._function.entry}, which is for "
                "inference: save it with a __call__ method to train it, or use trainable=False. "
                f"Received: trainable=True, handle={self.handle!r}"
            )
        if normalization == "adapt" and not self._function.can_adapt():
            raise ValueError(
                "This module was saved without a training mode, so its statistics cannot follow "
                "the data: use normalization='frozen'. "
                f"Received: normalization='adapt', handle={self.handle!r}"
            )

    def _adopt_variables(self) -> None:
        """Make the module's variables the layer's weights, in the order the module uses them."""
        variables = [each for each in self._function.variables() if _is_adoptable(each)]
        trained = self._function.trainable_ids() if self._function.can_train else set()
        paths = _variable_paths(variables, self._function.attribute_paths())
        self._is_parameter = [id(variable) in trained for variable in variables]
        self._adopted = [
            AdoptedVariable(variable, path, is_parameter)
            for variable, path, is_parameter in zip(
                variables, paths, self._is_parameter, strict=True
            )
        ]

    def _read_contract(self) -> Any:
        def contract(spec: tf.TensorSpec) -> InputContract:
            is_image = spec.shape.rank == 4 and spec.dtype.is_floating
            return InputContract(
                None if spec.shape.rank is None else tuple(spec.shape.as_list()),
                spec.dtype.name,
                self.value_range if is_image else None,
            )

        return _map_structure(contract, self._function.input_spec)

    @property
    def input_contract(self) -> Any:
        """What the module expects: an `InputContract`, or a dict or list of them."""
        return self._contract

    def call(self, inputs: Any, training: bool | None = None) -> Any:
        self._refuse_other_strategy()
        inputs = _to_tensors(self._contract, inputs)
        check_structure(self._contract, inputs, "inputs", InputContract.check_form)
        trains = self.trains()
        adapts = bool(training) and trains and self.normalization == "adapt"
        outputs = self._function(_cast_to(self._function.input_spec, inputs), training=adapts)
        if trains:
            for loss in self._function.regularization_losses():
                self.add_loss(loss())
        return _map_structure(self._to_compute_dtype, outputs)

    def _to_compute_dtype(self, output: tf.Tensor) -> tf.Tensor:
        return tf.cast(output, self.compute_dtype) if output.dtype.is_floating else output

    def compute_output_spec(self, inputs: Any, training: bool | None = None) -> Any:
        check_structure(self._contract, inputs, "inputs", InputContract.check_form)
        batch = keras.tree.flatten(inputs)[0].shape[0]

        def spec(output: tf.TensorSpec) -> keras.KerasTensor:
            if output.shape.rank is None:
                raise ValueError(
                    "The module does not say the rank of its output, so it fits no functional or "
                    "Sequential model. Save it with a tf.ensure_shape on its output. "
                    f"Received: handle={self.handle!r}"
                )
            shape = output.shape.as_list()
            if shape and shape[0] is None:
                shape[0] = batch
            is_float = output.dtype.is_floating
            return keras.KerasTensor(shape, self.compute_dtype if is_float else output.dtype.name)

        return _map_structure(spec, self._function.output_spec)

    def _refuse_other_strategy(self) -> None:
        strategy = tf.distribute.get_strategy()
        if strategy.num_replicas_in_sync > 1 and strategy is not self._strategy:
            raise ValueError(
                "The module was loaded outside this distribution strategy, so its variables live "
                "on one device only. Construct the backbone inside `with strategy.scope():`. "
                f"Received: {type(strategy).__name__} with {strategy.num_replicas_in_sync} "
                f"replicas, backbone {self.name!r}"
            )

    def layer_names(self) -> list[str]:
        """Names of the layers inside the module, from input to output, for `layers` and `tap`."""
        return self._inside().layer_names()

    def layer_reductions(self) -> dict[str, int]:
        """By how much each layer's feature map is smaller than the image; see `reductions`."""
        inside = self._inside()
        return reductions(inside.input_shape(), inside.layer_shapes())

    def _inside(self) -> FlatFunction:
        folder, trace = self._stored
        return ModuleTaps(folder, self._function.entry, trace).function

    def _is_tapped(self) -> bool:
        return self.layers is not None or self.image_size is not None

    def tap(
        self, layers: Sequence[str], image_size: tuple[int, int] | None = None
    ) -> "SavedModelBackbone":
        """A frozen backbone that gives the outputs of layers of this one; see `Backbone.tap`."""
        tapped = SavedModelBackbone(
            self.handle,
            arguments=self.arguments,
            value_range=self.value_range,
            digest=self.module_digest,
            layers=layers,
            image_size=image_size or self.image_size,
            batch_axis=self.batch_axis,
            dtype=self.dtype_policy,
        )
        with tempfile.TemporaryDirectory() as folder:
            # By the module's objects, which are the same in both: paths of weights need not be.
            path = tf.train.Checkpoint(self._module).write(os.path.join(folder, "weights"))
            tf.train.Checkpoint(tapped._module).read(path).expect_partial()
        return tapped

    def parameter_groups(self) -> list[ParameterGroup]:
        """The module's variables, one group a block, from input to output."""
        paths = [variable.path for variable in self._adopted]
        return group_by_block(paths, self._adopted, self._is_parameter)

    def has_training_mode(self) -> bool:
        """Whether the module was saved with one; taps are in inference mode."""
        return not self._is_tapped() and self._function.can_adapt()

    def computed(self, inputs: Any, training: bool) -> Any:
        """Outputs of the module by itself."""
        return self._function(_cast_to(self._function.input_spec, inputs), training=training)

    def regularization_functions(self) -> list[Callable[[], Any]]:
        """The module's own."""
        return list(self._function.regularization_losses())

    def resource_holder(self) -> Any:
        """The module, which holds its tables and assets."""
        return self._module

    def structure(self) -> str:
        """The digest of the module without its variables, and how it is called."""
        said: list[Any] = [
            *self._structure,
            self._function.entry,
            self.output_key,
            self.arguments,
        ]
        if self._is_tapped():
            said += [self.layers, self.image_size]
        if self._function.by_example:
            said.append("one example at a time")
        return json.dumps(said, sort_keys=True)

    def get_config(self) -> dict[str, Any]:
        """Configuration to rebuild the backbone from, where the module store holds its module."""
        return {
            **super().get_config(),
            "handle": _portable(self.handle),
            "output_key": self.output_key,
            "arguments": dict(self.arguments),
            "value_range": self.value_range,
            "digest": self.module_digest,
            "layers": self.layers,
            "image_size": self.image_size,
            "batch_axis": self.batch_axis,
        }

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "SavedModelBackbone":
        """Rebuild the backbone from the module store: a file names its module by the digest.

        Raises:
            ValueError: The file gives no digest, so that the handle would be fetched, or allows
                unsafe operations, or the store holds no such module.
        """
        refuse_arguments(cls, config, "allow_unsafe_ops", "max_bytes")
        for_users = ("allow_unsafe_ops", "max_bytes")
        said = {key: value for key, value in config.items() if key not in for_users}
        # For information only: nothing is looked for under it.
        handle, digest = said.pop("handle", None), said.get("digest")
        if not isinstance(handle, str):
            handle = ""
        if not isinstance(digest, str) or not _DIGEST.fullmatch(digest):
            raise FileConfigError(
                "A file names a SavedModel by its digest, 64 hexadecimal digits, and holds the "
                "module itself; it names no address or path to fetch it from. If you trust what it "
                "names, load that with keras_transgen.load_backbone. "
                f"Received: digest={shown(digest)}, handle={shown(handle)}"
            )
        return cls(handle, **arguments_from_file(cls, said))

    def save_own_variables(self, store: Any) -> None:
        """Save the weights; in a `.keras` file the module has them, as long as they are its own."""
        self._packed = None
        if goes_into_model_file(store):
            self._packed = self._packed_weights()
        if self._packed is not None and self._packed.are_the_modules:
            store[MARK] = np.frombuffer(bytes.fromhex(self.module_digest), "uint8")
        else:
            super().save_own_variables(store)

    def load_own_variables(self, store: Any) -> None:
        """Load what `save_own_variables` saved.

        Raises:
            ValueError: The weights are those of a module that is not in the store.
        """
        if MARK not in store.keys():  # noqa: SIM118 (the store is no whole mapping)
            super().load_own_variables(store)
            return
        digest = np.asarray(store[MARK]).astype("uint8").tobytes().hex()
        if digest == self.module_digest and is_being_loaded():
            return
        if not _DIGEST.fullmatch(digest) or not restore_from_store(self._tf_variables(), digest):
            raise ValueError(
                "The weights of this backbone are those of a module that the local module store "
                "does not have. Load the file with keras_transgen.load_model. "
                f"Received: digest={shown(digest)}"
            )

    def save_assets(self, folder: str) -> None:
        """Put the module into the `.keras` file; once, however many layers hold it."""
        (self._packed or self._packed_weights()).pack(Path(folder))
        self._packed = None

    def _packed_weights(self) -> PackedWeights:
        return PackedWeights(self._tf_variables(), self.module_digest)

    def _tf_variables(self) -> list[tf.Variable]:
        return [variable.value for variable in self._adopted]


@contextlib.contextmanager
def _one_kind_of_error(handle: str) -> Iterator[None]:
    """Whatever TensorFlow and Python raise at a stranger's objects becomes a `ValueError`."""
    try:
        yield
    except ValueError:
        raise
    except Exception as error:
        lines = str(error).strip().splitlines() or [type(error).__name__]
        raise ValueError(
            "The module could not be loaded. If it lacks an op, import the library that has it "
            "first; else save or fetch the module again. "
            f"Received: handle={shown(handle)}, {type(error).__name__}: {printable(lines[0])}"
        ) from error


def _obtain(
    handle: str | os.PathLike[str],
    digest: str | None,
    allow_unsafe_ops: bool,
    max_bytes: int | None,
) -> PrivateModule:
    """Find the module, and hold a copy that nobody else can write against the audit."""
    if digest is None:
        module = PrivateModule(resolve(handle, max_bytes=max_bytes))
        _hold_against_audit(module, allow_unsafe_ops, os.fspath(handle))
        return module
    stored = stored_folder(digest)
    if stored is None:
        raise ValueError(
            "The SavedModel of this backbone is not in the local module store. Load the file with "
            "keras_transgen.load_model, which takes the module out of it. "
            f"Received: digest={digest!r}, handle={shown(os.fspath(handle))}"
        )
    module = PrivateModule(stored, stored.name)
    allowed = allow_unsafe_ops or not _let_in.isdisjoint({digest, module.digest})
    _hold_against_audit(module, allowed, str(stored))
    return module


def _hold_against_audit(module: PrivateModule, allow_unsafe_ops: bool, name: str) -> None:
    report = audit_module(module.folder, allow_unsafe_ops=allow_unsafe_ops, name=name)
    import_op_libraries(report.ops, name)
    if not allow_unsafe_ops:
        try_to_load(module.folder, module.digest, report, name)


def _check_tap_arguments(
    layers: Any, image_size: Any, output_key: str | int | None, normalization: str
) -> None:
    if layers is not None and (isinstance(layers, str) or not list(layers)):
        raise ValueError(f"layers must be a list of names. Received: layers={layers!r}")
    if layers is not None and output_key is not None:
        raise ValueError(
            "layers take the place of the module's own outputs: leave output_key away. "
            f"Received: layers={list(layers)}, output_key={output_key!r}"
        )
    if (layers is not None or image_size is not None) and normalization != "frozen":
        raise ValueError(
            "Layers are tapped and sizes changed in the module's inference mode: use "
            f"normalization='frozen'. Received: normalization={normalization!r}"
        )


def _portable(handle: str) -> str:
    """The handle as other machines may see it: an address whole, a local path by its name."""
    return handle if "://" in handle and not handle.startswith("file://") else Path(handle).name


def _is_adoptable(variable: tf.Variable) -> bool:
    is_number = variable.dtype.is_floating or variable.dtype.is_integer or variable.dtype.is_bool
    return is_number and variable.shape.is_fully_defined()


def _variable_paths(variables: list[tf.Variable], attributes: dict[int, str]) -> list[str]:
    """A unique path for each variable: its name where names say enough, else its attribute."""
    names = [variable.name.split(":")[0] for variable in variables]
    if len(set(names)) < len(names) or not all("/" in name for name in names):
        names = [attributes.get(id(each), name) for each, name in zip(variables, names)]
    taken, paths = set(names), []
    given: set[str] = set()
    for name in names:
        path, count = name, 0
        while path in given or (count and path in taken):
            count += 1
            path = f"{name}_{count}"
        given.add(path)
        paths.append(path)
    return paths


def _to_tensors(contract: Any, inputs: Any) -> Any:
    """Tensors where the contract has tensors; a structure that does not fit stays as it is."""
    if isinstance(contract, dict) and isinstance(inputs, dict):
        return {key: _to_tensors(contract.get(key), value) for key, value in inputs.items()}
    if isinstance(contract, list) and isinstance(inputs, (list, tuple)):
        return [_to_tensors(part, value) for part, value in zip(contract, inputs)]
    return inputs if isinstance(inputs, dict) else tf.convert_to_tensor(inputs)


def _cast_to(spec: Any, inputs: Any) -> Any:
    if isinstance(spec, dict):
        return {key: _cast_to(part, inputs[key]) for key, part in spec.items()}
    if isinstance(spec, list):
        return [_cast_to(part, value) for part, value in zip(spec, inputs)]
    return inputs if inputs.dtype == spec.dtype else tf.cast(inputs, spec.dtype)


def _map_structure(function: Any, structure: Any) -> Any:
    """`tree.map_structure` that takes a tuple for a list and leaves anything else as a leaf."""
    if isinstance(structure, dict):
        return {key: _map_structure(function, value) for key, value in structure.items()}
    if isinstance(structure, (list, tuple)):
        return [_map_structure(function, value) for value in structure]
    return function(structure)
