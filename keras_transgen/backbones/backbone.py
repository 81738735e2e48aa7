"""The contract that every pretrained network in this package keeps."""

import math
import os
from collections.abc import Callable, Sequence
from typing import Any, ClassVar

import keras

from keras_transgen.backbones.input_contract import check_structure
from keras_transgen.backbones.network_digest import digest_of
from keras_transgen.backbones.parameter_groups import ParameterGroup
from keras_transgen.backbones.publishing import publish

NORMALIZATIONS = ("frozen", "adapt")


class Backbone(keras.layers.Layer):
    """A pretrained network as one Keras layer: base class.

    A subclass gives `call`, `parameter_groups` and `structure`, and calls `set_up` at the end of
    its constructor.

    A frozen backbone (`trainable=False`, or every parameter frozen) computes in inference mode,
    whatever the model around it says.

    Args:
        trainable: Whether the network's parameters are trained.
        normalization: `"frozen"`: the statistics of normalisation layers stay as they are and are
            what the network computes with, in training too. `"adapt"`: while training, batch
            statistics are used and the moving ones follow the data.
        frozen_to: Index of the last group that `freeze_to` froze, `None` for none.
        **kwargs: `name` and `dtype`, as in `keras.layers.Layer`.
    """

    # The training core asks every layer whether XLA makes it faster on a CPU; convolutions do not
    # become so.
    prefers_xla_on_cpu: ClassVar[bool] = False

    def __init__(
        self,
        trainable: bool = False,
        normalization: str = "frozen",
        frozen_to: int | None = None,
        **kwargs: Any,
    ) -> None:
        if normalization not in NORMALIZATIONS:
            raise ValueError(
                f"normalization must be one of {NORMALIZATIONS}. "
                f"Received: normalization={normalization!r}"
            )
        # Networks cast their own inputs: a float16 policy must not coarsen images on the way in.
        super().__init__(autocast=False, **kwargs)
        self.supports_masking = True
        self._normalization = normalization
        self._frozen_to = frozen_to
        self._asked_trainable = bool(trainable)

    def set_up(self) -> None:
        """Apply `trainable` and `frozen_to` once the subclass has its variables."""
        if self._asked_trainable and not any(group.variables for group in self.parameter_groups()):
            raise ValueError(
                "This network has nothing that can be trained: it is for inference only. Use "
                f"trainable=False. Received: trainable=True, name={self.name!r}"
            )
        self._set_trainable(self._asked_trainable)

    @property
    def normalization(self) -> str:
        """`"frozen"` or `"adapt"`."""
        return self._normalization

    @property
    def frozen_to(self) -> int | None:
        """Index of the last frozen group, or `None`."""
        return self._frozen_to

    @property
    def input_contract(self) -> Any:
        """What the network expects: an `InputContract`, or a dict or list of them."""
        raise NotImplementedError

    def structure(self) -> str:
        """Text that two networks share exactly when they compute the same with equal weights."""
        raise NotImplementedError

    def parameter_groups(self) -> list[ParameterGroup]:
        """The network's variables, one group a block, from input to output."""
        raise NotImplementedError

    def layer_names(self) -> list[str]:
        """Names of the layers inside the network, from input to output, for `tap`."""
        raise NotImplementedError

    def layer_reductions(self) -> dict[str, int]:
        """By how much each layer's feature map is smaller than the image: 1, 2, 4, ..."""
        raise NotImplementedError

    def tap(self, layers: Sequence[str], image_size: tuple[int, int] | None = None) -> "Backbone":
        """A frozen backbone that gives the outputs of layers of this one, as a list.

        Args:
            layers: Names of layers, as `layer_names` has them.
            image_size: `(height, width)` of the images it takes. Defaults to this one's.

        Returns:
            Another backbone, with a copy of the present values of the weights.

        Raises:
            ValueError: There is no such layer (near names are told), or the network cannot
                compute at this size.

        Example:
            ```python
            import numpy as np
            import keras_transgen as ktg

            backbone = ktg.load_backbone("digits")
            first, last = backbone.tap([backbone.layer_names()[1], backbone.layer_names()[-1]])(
                np.zeros((2, 8, 8, 1), "float32")
            )
            ```
        """
        raise NotImplementedError

    def export(
        self, filepath: str | os.PathLike[str], input_signature: Any = None, **kwargs: Any
    ) -> None:
        """Publish the network with its present weights as a SavedModel, in TF-Hub's form.

        It can be loaded by `tf.saved_model.load`, served, and loaded and tuned again by
        `load_backbone`. A low-rank delta that is in force is part of the weights; adapters, which
        add layers, are not part of the backbone.

        Args:
            filepath: The module's folder.
            input_signature: Shape and dtype of the input, such as
                `tf.TensorSpec([None, 224, 224, 3])`, where `input_contract` leaves them open.
            **kwargs: Of Keras' `export`: only `format="tf_saved_model"` and `verbose`.

        Raises:
            ValueError: If the shape of the input is not known, or another format is asked for.

        Example:
            ```python
            import tempfile
            import keras_transgen as ktg

            folder = tempfile.mkdtemp()
            ktg.load_backbone("digits").export(folder)
            again = ktg.load_backbone(folder, trainable=True)
            ```
        """
        kwargs.pop("verbose", None)
        if kwargs.pop("format", "tf_saved_model") != "tf_saved_model" or kwargs:
            raise ValueError(
                "A backbone is exported as a SavedModel, without further arguments. For TFLite, "
                f"export the model around it. Received: another format, or {kwargs}"
            )
        publish(self, filepath, input_signature)

    def has_training_mode(self) -> bool:
        """Whether the network computes otherwise in training, so that a module of it can."""
        raise NotImplementedError

    def computed(self, inputs: Any, training: bool) -> Any:
        """Outputs of the network by itself in either mode, whatever of it trains here."""
        raise NotImplementedError

    def regularization_functions(self) -> list[Callable[[], Any]]:
        """The network's regularisation losses, each a function without arguments."""
        return []

    def resource_holder(self) -> Any:
        """The object whose tables and assets a module of the network needs."""
        return self

    def carries_masks(self) -> bool:
        """Whether the network can be told, by Keras' masks, which positions are padding."""
        return False

    def compute_mask(self, inputs: Any, previous_mask: Any) -> None:
        """None but the masks that the network gave its outputs itself."""
        return

    def check_inputs(self, inputs: Any, name: str = "x") -> None:
        """Hold data against the input contract before anything runs.

        Args:
            inputs: Array, tensor, symbolic tensor, or a dict or list of them.
            name: What to call the data in messages.

        Raises:
            ValueError: Wrong rank, size, channels, dtype or structure, or NaN in the data.
                Values outside the expected range only warn.
        """
        check_structure(self.input_contract, inputs, name)

    @property
    def trainable(self) -> bool:
        """Whether the network's parameters are trained."""
        return keras.layers.Layer.trainable.fget(self)

    @trainable.setter
    def trainable(self, value: bool) -> None:
        self._set_trainable(value)

    def _set_trainable(self, value: bool) -> None:
        # TensorFlow drops an assignment of the value that an attribute has already, so this is
        # called, not assigned, where only the rest of the state has changed.
        keras.layers.Layer.trainable.fset(self, value)
        self._apply_freeze()

    def freeze_to(self, group: int | str | None) -> None:
        """Freeze a group and all groups before it; the groups after it train.

        It says which parameters train when `trainable` is true, and survives `trainable` being
        switched, saving and loading.

        Args:
            group: Name of a group, or its index in `parameter_groups()` (negative ones count
                from the end). `None` freezes no group.

        Raises:
            ValueError: There is no such group.

        Example:
            ```python
            import keras_transgen as ktg

            backbone = ktg.load_backbone("digits", trainable=True)
            backbone.freeze_to(-2)  # only the last block trains
            ```
        """
        self._frozen_to = None if group is None else self._group_index(group)
        self._set_trainable(self.trainable)

    def _group_index(self, group: int | str) -> int:
        names = [each.name for each in self.parameter_groups()]
        if isinstance(group, str) and group in names:
            return names.index(group)
        if not isinstance(group, str) and -len(names) <= group < len(names):
            return int(group) % len(names)
        raise ValueError(
            f"group must be one of {names}, or an index from 0 to {len(names) - 1}. "
            f"Received: group={group!r}"
        )

    def _apply_freeze(self) -> None:
        """Set every parameter's flag, whoever set it before."""
        first = 0 if self._frozen_to is None else self._frozen_to + 1
        for index, group in enumerate(self.parameter_groups()):
            for variable in group.variables:
                variable.trainable = bool(self.trainable and index >= first)

    def trains(self) -> bool:
        """Whether at least one of the network's parameters is being trained."""
        return bool(self.trainable_variables)

    def digest(self) -> str:
        """Hash of the structure and the current weights, as 64 hexadecimal digits.

        Caches of features and saved deltas are keyed by it. Whether the network is trainable
        and its own name do not count.
        """
        return digest_of(self.structure(), self.weights)

    def count_params(self) -> int:
        """How many numbers the network's weights are, before a first call too."""
        return sum(math.prod(weight.shape) for weight in self.weights)

    def compute_output_shape(self, input_shape: Any) -> Any:
        """Shape of the output for an input shape, in the structure of the outputs."""
        symbolic = _symbolic_inputs(self.input_contract, input_shape)
        outputs = self.compute_output_spec(symbolic)
        return keras.tree.map_structure(lambda output: tuple(output.shape), outputs)

    def build(self, input_shape: Any = None) -> None:
        """Nothing to build: the network brought its variables."""
        self.built = True

    def get_config(self) -> dict[str, Any]:
        """Configuration to rebuild the backbone from."""
        config = super().get_config()
        return {**config, "normalization": self.normalization, "frozen_to": self.frozen_to}


def _symbolic_inputs(contract: Any, shape: Any) -> Any:
    if isinstance(contract, dict):
        return {key: _symbolic_inputs(part, shape[key]) for key, part in contract.items()}
    if isinstance(contract, list):
        return [_symbolic_inputs(part, each) for part, each in zip(contract, shape, strict=True)]
    return keras.KerasTensor(shape, contract.dtype or "float32")
