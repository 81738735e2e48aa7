"""Any Keras model as a backbone, cut where its features are wanted."""

import difflib
import functools
import warnings
from collections.abc import Callable, Sequence
from typing import Any

import keras

from keras_transgen.backbones.backbone import Backbone
from keras_transgen.backbones.first_rescaling import read_value_range
from keras_transgen.backbones.input_contract import (
    InputContract,
    check_structure,
    checked_value_range,
)
from keras_transgen.backbones.layer_scales import reductions
from keras_transgen.backbones.network_digest import structure_of
from keras_transgen.backbones.padding_mask import mask_of, with_mask
from keras_transgen.backbones.padding_proof import padding_changes_nothing
from keras_transgen.backbones.parameter_groups import ParameterGroup, group_by_block
from keras_transgen.training.compilation import flat_layers
from keras_transgen.training.config_from_file import Nested, arguments_from_file

# For a network of any size: its sizes are counted on images that can be halved often.
_TRIAL_SIDE = 256


@keras.saving.register_keras_serializable(package="keras_transgen")
class KerasBackbone(Backbone):
    """A `keras.Model` (keras.applications, KerasHub, one's own) as one layer with a contract.

    The model is not copied: its variables are the backbone's, and `trainable` and the
    normalisation policy are set on its layers.

    With `normalization="frozen"` every `BatchNormalization` runs in inference mode with its
    statistics fixed, while its scale and offset train like other parameters. Dropout follows the
    model around it as long as the backbone trains.

    Args:
        model: The model, built. It must be functional or Sequential to be cut.
        trainable: Whether the model's parameters are trained. Defaults to False.
        normalization: `"frozen"` (default) or `"adapt"`; with `"adapt"`, `BatchNormalization`
            layers whose parameters all are frozen still stay as they are.
        output_layers: Name of the layer whose output is the feature, or a list of names for
            features at several scales, which come as a list. `None`: the model's own outputs.
        value_range: Range of the input values that the model was trained on, `(low, high)`. The
            commands read images in it; otherwise it is only used to warn. Defaults to `None`: what
            the `Rescaling` or `Normalization` tells that the model begins with, else not known.
        **kwargs: `name`, `dtype` and `frozen_to`, as in `Backbone`.

    Raises:
        ValueError: The model is not built, or has no such layer.

    Example:
        ```python
        import keras
        from keras_transgen.backbones import KerasBackbone

        network = keras.Sequential(
            [
                keras.Input((8, 8, 1)),
                keras.layers.Conv2D(4, 3, name="conv_1"),
                keras.layers.Conv2D(8, 3, name="conv_2"),
            ]
        )
        backbone = KerasBackbone(network, output_layers=["conv_1", "conv_2"])
        shapes = backbone.compute_output_shape((None, 8, 8, 1))
        assert shapes == [(None, 6, 6, 4), (None, 4, 4, 8)]
        ```
    """

    def __init__(
        self,
        model: keras.Model,
        trainable: bool = False,
        normalization: str = "frozen",
        output_layers: str | Sequence[str] | None = None,
        value_range: tuple[float, float] | None = None,
        **kwargs: Any,
    ) -> None:
        if not isinstance(model, keras.Model):
            raise ValueError(f"model must be a keras.Model. Received: model={model!r}")
        if not model.built:
            raise ValueError(
                "The model must be built, so that its weights and shapes are known: give it a "
                f"keras.Input, or call it once. Received: the unbuilt model {model.name!r}"
            )
        super().__init__(trainable=trainable, normalization=normalization, **kwargs)
        self.output_layers = (
            output_layers if isinstance(output_layers, str | None) else list(output_layers)
        )
        self.network = model if self.output_layers is None else _cut(model, self.output_layers)
        self.value_range = checked_value_range(value_range) or read_value_range(self.network)
        self._parameter_ids = {id(weight) for weight in _all_parameters(self.network)}
        self._contract = _read_contract(self.network, self.value_range)
        self.supports_jit = all(layer.supports_jit for layer in flat_layers(self.network))
        self.set_up()
        self._carries_masks = _carries_masks(self.network) and padding_changes_nothing(
            self.network, self._contract, self.compute_dtype, self._as_network_takes
        )

    def carries_masks(self) -> bool:
        """Whether padding that is masked changes nothing: told by the layers, and tried once."""
        return self._carries_masks

    def _normalization_layers(self) -> list[keras.layers.BatchNormalization]:
        return [
            layer
            for layer in flat_layers(self.network)
            if isinstance(layer, keras.layers.BatchNormalization)
        ]

    def _apply_freeze(self) -> None:
        super()._apply_freeze()
        self._hold_statistics()

    def _hold_statistics(self) -> None:
        """Keep the policy on every BatchNormalization and leave its parameters' flags alone.

        One that is untrainable as a layer computes with its moving statistics and does not touch
        them; its scale and offset train all the same where their own flags say so.
        """
        for layer in self._normalization_layers():
            parameters = [each for each in (layer.gamma, layer.beta) if each is not None]
            flags = [parameter.trainable for parameter in parameters]
            trains = any(flags) if flags else self.trains()
            layer.trainable = trains and self.normalization == "adapt"
            for parameter, flag in zip(parameters, flags, strict=True):
                parameter.trainable = flag

    @property
    def input_contract(self) -> Any:
        """What the model expects: an `InputContract`, or a dict or list of them."""
        return self._contract

    def call(self, inputs: Any, training: bool | None = None) -> Any:
        check_structure(self._contract, inputs, "inputs", InputContract.check_form)
        trains = self.trains()
        # Somebody may have switched layers of the model since.
        self._hold_statistics()
        with warnings.catch_warnings():
            # A model warns that the mask of its inputs ends there, whatever its layers do with it.
            warnings.filterwarnings("ignore", ".*was passed an input with a mask attached")
            outputs = self.network(
                self._as_network_takes(inputs), training=bool(training) and trains
            )
        return keras.tree.map_structure(self._to_compute_dtype, self._listed(outputs))

    def _as_network_takes(self, inputs: Any) -> Any:
        """A list of one where the network was made of one, else the tensor alone."""
        is_known = getattr(self.network, "inputs", None) is not None
        if not is_known or not isinstance(self._contract, InputContract):
            return inputs
        (single,) = keras.tree.flatten(inputs)
        return [single] if isinstance(_input_of(self.network), (list, tuple)) else single

    def _listed(self, outputs: Any) -> Any:
        """A list also for one name in a list: Keras makes one output of that."""
        single = isinstance(self.output_layers, list) and not isinstance(outputs, (list, tuple))
        return [outputs] if single else outputs

    def _to_compute_dtype(self, output: Any) -> Any:
        if keras.backend.is_float_dtype(keras.backend.standardize_dtype(output.dtype)):
            return with_mask(keras.ops.cast(output, self.compute_dtype), mask_of(output))
        return output

    def compute_output_spec(self, inputs: Any, training: bool | None = None) -> Any:
        check_structure(self._contract, inputs, "inputs", InputContract.check_form)
        outputs = self.network.compute_output_spec(self._as_network_takes(inputs), training=False)
        return keras.tree.map_structure(
            lambda output: keras.KerasTensor(
                output.shape,
                self.compute_dtype if keras.backend.is_float_dtype(output.dtype) else output.dtype,
            ),
            self._listed(outputs),
        )

    def layer_names(self) -> list[str]:
        """Names of the network's layers, from input to output, for `output_layers` and `tap`."""
        return [layer.name for layer in self.network.layers]

    def layer_reductions(self) -> dict[str, int]:
        """By how much each layer's feature map is smaller than the image; see `reductions`."""
        shapes = {
            layer.name: getattr(getattr(layer, "output", None), "shape", ())
            for layer in self.network.layers
            if not isinstance(layer, keras.layers.InputLayer)
        }
        known = [shape for shape in shapes.values() if len(shape) == 4 and None not in shape[1:3]]
        taken = getattr(self.input_contract, "shape", None)
        if taken is not None and None in taken[1:] and known:
            # Networks of any size that resize to one of their own.
            taken = known[0]
        elif taken is not None and len(taken) == 4 and None in taken[1:3]:
            taken = (None, *(side or _TRIAL_SIDE for side in taken[1:3]), taken[3])
            shapes = self._shapes_at(taken)
        return reductions(taken, shapes)

    def _shapes_at(self, taken: tuple[int | None, ...]) -> dict[str, tuple]:
        """The shape of each feature map for images of a size, where the network takes any."""
        maps = {
            layer.name: layer.output
            for layer in self.network.layers
            if not isinstance(layer, keras.layers.InputLayer)
            and len(getattr(getattr(layer, "output", None), "shape", ())) == 4
        }
        image = keras.KerasTensor(taken, self.network.inputs[0].dtype)
        made = keras.Model(self.network.inputs[0], maps).compute_output_spec(image)
        return {name: tuple(each.shape) for name, each in made.items()}

    def tap(
        self, layers: Sequence[str], image_size: tuple[int, int] | None = None
    ) -> "KerasBackbone":
        """A frozen backbone that gives the outputs of layers of this one; see `Backbone.tap`."""
        cut = _cut(self.network, list(layers))
        inputs = None
        if image_size is not None:
            image = keras.Input((*image_size, cut.inputs[0].shape[-1]))
            # In the structure of the model's own input, which may be a list or dict of one.
            inputs = keras.tree.pack_sequence_as(cut.input, [image])
        copy = keras.models.clone_model(cut, input_tensors=inputs)
        copy.set_weights(cut.get_weights())
        return KerasBackbone(
            copy, output_layers=layers, value_range=self.value_range, dtype=self.dtype_policy
        )

    def has_training_mode(self) -> bool:
        """Keras layers always know whether they train."""
        return True

    def computed(self, inputs: Any, training: bool) -> Any:
        """Outputs of the network by itself; in training, every normalisation adapts."""
        if not training:
            return self._listed(self.network(inputs, training=False))
        flags = [weight.trainable for weight in self.network.weights]
        for layer in self._normalization_layers():
            layer.trainable = True
        try:
            return self._listed(self.network(inputs, training=True))
        finally:
            for weight, flag in zip(self.network.weights, flags, strict=True):
                weight.trainable = flag
            self._hold_statistics()

    def resource_holder(self) -> Any:
        """The network, whose layers hold their tables."""
        return self.network

    def regularization_functions(self) -> list[Callable[[], Any]]:
        """The losses of the weights' regularisers."""
        return [
            functools.partial(weight.regularizer, weight)
            for weight in self.network.weights
            if weight.regularizer is not None
        ]

    def parameter_groups(self) -> list[ParameterGroup]:
        """The model's variables, one group a block, from input to output."""
        weights = self.network.weights
        paths = [weight.path for weight in weights]
        return group_by_block(paths, weights, [id(each) in self._parameter_ids for each in weights])

    def structure(self) -> str:
        """The network's graph, in words that do not depend on how its layers are called."""
        return structure_of(self.network)

    def get_config(self) -> dict[str, Any]:
        """Configuration to rebuild the backbone from, the cut network included."""
        return {
            **super().get_config(),
            "model": keras.saving.serialize_keras_object(self.network),
            "output_layers": self.output_layers,
            "value_range": self.value_range,
        }

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "KerasBackbone":
        """Rebuild the backbone, with fresh weights, from its configuration."""
        return cls(**arguments_from_file(cls, config, model=Nested(keras.Model)))


def _cut(model: keras.Model, output_layers: str | list[str]) -> keras.Model:
    names = [output_layers] if isinstance(output_layers, str) else output_layers
    if not names:
        raise ValueError("output_layers must name at least one layer. Received: output_layers=[]")
    known = [layer.name for layer in model.layers]
    unknown = [name for name in names if name not in known]
    if unknown:
        near = difflib.get_close_matches(unknown[0], known, cutoff=0.5)
        advice = f" Did you mean one of {near}?" if near else ""
        raise ValueError(
            f"output_layers must be names of the model's layers.{advice} Received: {unknown}; the "
            f"model has {known}"
        )
    if getattr(model, "inputs", None) is None:
        raise ValueError(
            "Only a functional or Sequential model can be cut at a layer: its graph is known. "
            f"Received: model of class {type(model).__name__}, output_layers={output_layers!r}"
        )
    outputs = [model.get_layer(name).output for name in names]
    return keras.Model(
        _input_of(model), outputs[0] if isinstance(output_layers, str) else outputs, name=model.name
    )


def _carries_masks(layer: keras.layers.Layer) -> bool:
    if isinstance(layer, (keras.Sequential, keras.Model)):
        return bool(layer.layers) and all(map(_carries_masks, layer.layers))
    is_input = isinstance(layer, keras.layers.InputLayer)
    return is_input or layer.supports_masking or bool(getattr(layer, "mask_zero", False))


def _all_parameters(network: keras.Model) -> list[keras.Variable]:
    """What can be trained at all: it shows while nothing is frozen."""
    for layer in [network, *flat_layers(network)]:
        # TensorFlow drops an assignment that changes nothing, and with it Keras' pass over the
        # layers inside, so each layer is switched off before it is switched on.
        layer.trainable = False
        layer.trainable = True
    return list(network.trainable_weights)


def _input_of(model: keras.Model) -> Any:
    """The symbolic input; a Sequential model that nobody has called knows it as a list only."""
    return model.inputs[0] if isinstance(model, keras.Sequential) else model.input


def _read_contract(network: keras.Model, value_range: tuple[float, float] | None) -> Any:
    inputs = getattr(network, "inputs", None)
    if inputs is None:
        return InputContract(None, None, value_range)
    structure = _input_of(network)

    def contract(tensor: keras.KerasTensor) -> InputContract:
        dtype = keras.backend.standardize_dtype(tensor.dtype)
        is_float = keras.backend.is_float_dtype(dtype)
        is_bytes = dtype == "uint8" and len(tensor.shape) == 4
        integers = (0.0, 255.0) if is_bytes else None
        return InputContract(tuple(tensor.shape), dtype, value_range if is_float else integers)

    if isinstance(structure, dict):
        return {key: contract(tensor) for key, tensor in structure.items()}
    if isinstance(structure, (list, tuple)) and len(structure) == 1:
        # `keras.Model(model.inputs, ...)`: Keras takes the tensor alone, too.
        return contract(structure[0])
    if isinstance(structure, (list, tuple)):
        return [contract(tensor) for tensor in structure]
    return contract(structure)
