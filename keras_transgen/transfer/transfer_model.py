"""A pretrained network and a head as one model, from raw input to logits."""

from __future__ import annotations

import json
import os
import types
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from keras_transgen.backbones import ParameterGroup, load_backbone
from keras_transgen.backbones.padding_mask import with_mask
from keras_transgen.datasets.as_arrays import takes_any_data
from keras_transgen.datasets.class_names import checked_class_names
from keras_transgen.training.batches import split_last
from keras_transgen.training.config_from_file import Nested, arguments_from_file
from keras_transgen.training.each_length import of_each_length
from keras_transgen.training.entrance import FIT_DATA, PARTS
from keras_transgen.training.example_weights import weights_by_class
from keras_transgen.training.gradients import num_replicas
from keras_transgen.training.loading import files_load, loading_a_file
from keras_transgen.training.padded_sequences import Masked, is_padded, values_and_mask
from keras_transgen.training.serving import Endpoint
from keras_transgen.training.stored_model import refuse_hdf5_checkpoints
from keras_transgen.transfer.data_kind import checked_data_kind
from keras_transgen.transfer.endpoints import transfer_endpoints
from keras_transgen.transfer.head_fitting import fit_head_as_probe
from keras_transgen.transfer.heads import FeatureJoin, as_layer, default_head
from keras_transgen.transfer.logits_check import (
    refuse_bounded_head,
    refuse_loss_of_probabilities,
)
from keras_transgen.transfer.masked_input import passed_through
from keras_transgen.transfer.parameter_table import parameter_table
from keras_transgen.transfer.probability_metrics import of_logits
from keras_transgen.transfer.raw_input import (
    named_preprocessing,
    refuse_second_rescaling,
)
from keras_transgen.transfer.sequence_labels import NOT_COUNTED
from keras_transgen.transfer.tasks import TASKS
from keras_transgen.transfer.training_data import (
    is_in_memory,
    steps_of,
    take_steps,
)
from keras_transgen.transfer.transfer_data import TransferData

HEAD_INITIALIZATIONS = ("random", "probe")
_LAYERS = ("backbone", "head", "preprocessing", "augmentation")


@keras.saving.register_keras_serializable(package="keras_transgen")
class TransferModel(TransferData):
    """A pretrained network with a head for a new task; base of the three kinds of transfer.

    As it stands it trains the head, and of the backbone what its `trainable` and `freeze_to` say.
    Data go through `augmentation` (while training only) and `preprocessing`, then through the
    backbone; feature maps are averaged over their positions; the head gives logits.

    `compile` need not be called: `fit` then compiles with defaults that suit the kind.

    Args:
        backbone: A backbone, or anything `keras_transgen.load_backbone` takes.
        num_classes: Number of classes, labels or regression outputs. May be left out with a head
            of one's own; for regression it defaults to 1.
        head: Keras layer, model or list of layers from features to logits. The default is one
            dense layer in float32.
        task: `"classification"` (default; integer labels or rows of probabilities),
            `"multi_label"` (zeros and ones, `[batch, num_classes]`), `"sequence_labelling"` (an
            integer for each position, `[batch, length]`; -1 is not counted) or `"regression"`.
        preprocessing: Keras layer, model or list of layers that makes the backbone's input of raw
            input (`keras.layers.Rescaling`, `Resizing`, `TextVectorization`, ...); part of the
            model, so `predict` takes raw input. Or `"caffe"`, `"torch"` or `"tf"`, the ways of
            `keras.applications`, which take values from 0 to 255; see `ImagePreprocessing`.
        augmentation: Keras layer, model or list of layers that alters raw input at random, in
            `fit` only. It runs before the preprocessing, and outside what XLA compiles.
        dropout: Share of the features left out before the default head in training. Default 0.
        pooling: How feature maps and sequences become vectors: `"average"`, `"max"`, `"centre"`,
            `"flatten"` or `"none"`; see `FeatureJoin`. What Keras masks as padding does not count.
            The default is `"average"`, and `"none"` with a head of one's own.
        normalize_features: Divide each of the backbone's outputs by its norm. Defaults to False.
        head_initialization: `"random"` (default) or `"probe"`: before the first training, the
            head is fitted as a linear probe on features extracted once.
        class_names: Names of the classes, in the order of their numbers, instead of `num_classes`
            or with it. Labels may then be names; those that are names give them too, sorted.
        data_kind: What files of data the model takes and how they are read, for the command
            `classify`: `{"kind": "sound", "sample_rate": 8000}`; see `checked_data_kind`. It may be
            set later, and changes no prediction.
        seed: Seed of noise and of the order of examples.
        **kwargs: `name`, `dtype` and `trainable`, as in `keras.Model`.

    Raises:
        ValueError: An argument is none of its values, or the head does not fit.

    Example:
        ```python
        import keras_transgen as ktg

        images, labels = ktg.datasets.load_digits()
        model = ktg.TransferModel("digits", num_classes=10)
        model.fit(images[:64], labels[:64], epochs=1, verbose=0)
        assert model.predict(images[:5], verbose=0).shape == (5, 10)
        ```

    Reference:
        Pan and Yang, A Survey on Transfer Learning, 2010.
    """

    def __init__(
        self,
        backbone: Any,
        num_classes: int | None = None,
        *,
        head: Any = None,
        task: str = "classification",
        preprocessing: Any = None,
        augmentation: Any = None,
        dropout: float = 0.0,
        pooling: str | None = None,
        normalize_features: bool = False,
        head_initialization: str = "random",
        class_names: Any = None,
        data_kind: dict[str, Any] | None = None,
        seed: int | None = None,
        **kwargs: Any,
    ) -> None:
        if num_classes is None and class_names is not None:
            num_classes = len(checked_class_names(class_names, 1))
        if head_initialization not in HEAD_INITIALIZATIONS:
            raise ValueError(
                f"head_initialization must be one of {HEAD_INITIALIZATIONS}. "
                f"Received: head_initialization={head_initialization!r}"
            )
        # Images keep their precision on the way in, whatever the policy: backbones cast inside.
        super().__init__(seed=seed, autocast=False, **kwargs)
        self._task = TASKS.find(task)
        self._seed = seed
        self.dropout = dropout
        self.pooling = pooling
        self.normalize_features = normalize_features
        self.head_initialization = head_initialization
        self._own_head = head is not None
        self._compiled_by_default = False
        self._compiled_with_default_optimizer = False
        self._given_metrics = types.SimpleNamespace()
        # For whoever gives many models the same arguments: epochs without a use are no error.
        self.passes_over_epochs = False
        self._whole_data = False
        self._inputs_checked = False
        self._head_initialized = False
        self._labels_are_rows: bool | None = None
        self._label_lengths = None
        # `ExtractedRows` of what the next `fit` is given, if somebody has them already.
        self.features_at_hand: Any = None
        self.backbone = load_backbone(backbone)
        self.preprocessing = as_layer(named_preprocessing(preprocessing), "preprocessing")
        refuse_second_rescaling(self.backbone, self.preprocessing)
        self.augmentation = as_layer(augmentation, "augmentation")
        if self._task.of_positions and pooling not in (None, "none"):
            raise ValueError(
                "Every position has a label of its own, so positions are not pooled: leave pooling "
                f"out. Received: pooling={pooling!r}, task={task!r}"
            )
        self.feature_join = FeatureJoin(
            pooling or ("none" if self._own_head or self._task.of_positions else "average"),
            normalize_features,
            dtype="float32",
            name="feature_join",
        )
        num_classes = self._checked_count(num_classes)
        self.head: Any = (
            as_layer(head, "head") if self._own_head else default_head(num_classes or 1, dropout)
        )
        self._num_classes: Any = num_classes
        self._build_head()
        self.set_class_names(class_names)
        self.data_kind = data_kind

    def _checked_count(self, num_classes: int | None) -> int | None:
        if num_classes is None and self.task == "regression" and not self._own_head:
            return 1
        if num_classes is None and self._own_head:
            return None
        least = 2 if self.task in ("classification", "sequence_labelling") else 1
        if isinstance(num_classes, bool) or not isinstance(num_classes, (int, np.integer)):
            raise ValueError(
                "num_classes must be given as a whole number, or a head of one's own. "
                f"Received: num_classes={num_classes!r}"
            )
        if num_classes < least:
            raise ValueError(
                f"num_classes must be at least {least} for task={self.task!r}; two classes are "
                f"num_classes=2. Received: num_classes={num_classes}"
            )
        return int(num_classes)

    def _build_head(self) -> None:
        """Build the head for the backbone's features, where the backbone says their shape."""
        features = self.feature_spec()
        if not loading_a_file():
            refuse_bounded_head(self.head, None, self.task)
        if features is None:
            # The first batch will tell.
            return
        if not self.head.built:
            self.head.build(features.shape)
        logits = self.head.compute_output_spec(features)
        rank = 3 if self._task.of_positions else 2
        if len(logits.shape) != rank or self._num_classes not in (None, logits.shape[-1]):
            form = "[batch, length, num_classes]" if rank == 3 else "[batch, num_classes]"
            raise ValueError(
                f"The head must give logits {form}. "
                f"Received: a head with outputs of shape {tuple(logits.shape)}, "
                f"num_classes={self._num_classes}"
            )
        self._num_classes = logits.shape[-1]
        self.built = True
        if not loading_a_file():
            self.refuse_probabilities()

    def refuse_probabilities(self) -> None:
        """Refuse a head, or a loss, of probabilities where there must be logits.

        Files of earlier versions may hold them, and load; they train no further.

        Raises:
            ValueError: The head ends in a softmax or a sigmoid, or the loss expects that.
        """
        features = self.feature_spec()
        refuse_bounded_head(self.head, features if self.head.built else None, self.task)
        if self.compiled:
            refuse_loss_of_probabilities(self.loss, self.task)

    def feature_spec(self) -> keras.KerasTensor | None:
        """Shape and dtype of the joined features; `None` where the backbone does not know."""
        contracts = keras.tree.flatten(self.backbone.input_contract)
        if any(each.shape is None or len(each.shape) == 0 for each in contracts):
            return None
        inputs = keras.tree.map_structure(
            lambda each: keras.KerasTensor((None, *each.shape[1:]), each.dtype or "float32"),
            self.backbone.input_contract,
        )
        return self.feature_join.compute_output_spec(self.backbone.compute_output_spec(inputs))

    # What it is

    @property
    def task(self) -> str:
        """`"classification"`, `"multi_label"`, `"sequence_labelling"` or `"regression"`."""
        return self._task.name

    @property
    def num_classes(self) -> int:
        """Number of outputs."""
        return self._num_classes

    @property
    def data_kind(self) -> dict[str, Any] | None:
        """What files of data the model takes; a copy, which is changed by setting it anew."""
        return None if self._data_kind is None else json.loads(self._data_kind)

    @data_kind.setter
    def data_kind(self, value: dict[str, Any] | None) -> None:
        # As text, since Keras would track what is in a dict.
        self._data_kind = checked_data_kind(value)

    def parameter_groups(self) -> list[ParameterGroup]:
        """The backbone's groups from input to output, then the head."""
        head = ParameterGroup("head", tuple(self.head.trainable_weights or self.head.weights))
        return [*self.backbone.parameter_groups(), head]

    def summary(
        self,
        line_length: int | None = None,
        positions: Any = None,
        print_fn: Callable[[str], Any] | None = None,
        **kwargs: Any,
    ) -> None:
        """Print how many parameters of each group train and how many are frozen.

        Args:
            line_length: Width of the table in characters.
            positions: Taken for Keras' sake, and unused.
            print_fn: Receives the text. Defaults to `print`.
            **kwargs: Keras' further arguments, unused.
        """
        (print_fn or print)(parameter_table(self, line_length))

    # From raw input to logits

    def call(self, inputs: Any, training: bool = False, prepared: bool = False) -> Any:
        """Compute logits.

        Args:
            inputs: Raw input.
            training: Whether dropout and, where it is so set, normalisation are in training mode.
            prepared: Whether the inputs went through `preprocessing` already.

        Returns:
            Logits `[batch, num_classes]`.
        """
        return self.head(self.features(inputs, training, prepared), training=training)

    def features(self, inputs: Any, training: bool = False, prepared: bool = False) -> Any:
        """Compute what the head receives.

        Args:
            inputs: Raw input.
            training: As in `call`.
            prepared: As in `call`.

        Returns:
            Features `[batch, size]`.
        """
        inputs, mask = values_and_mask(inputs)
        if not prepared:
            inputs, mask = passed_through(self.preprocessing, inputs, mask, training=False)
        if mask is not None:
            self.refuse_unmasked()
            inputs = with_mask(inputs, mask)
        return self.feature_join(self._backbone_outputs(inputs, training))

    def refuse_unmasked(self) -> None:
        """Refuse padded sequences where the backbone cannot be told what is padding.

        Raises:
            ValueError: Some of its layers know no masks.
        """
        if not self.backbone.carries_masks():
            raise ValueError(
                "This backbone cannot be told what is padding, so sequences of several lengths "
                "would disturb each other. FeatureTransfer extracts each length by itself; or give "
                f"batches of one length each. Received: backbone {self.backbone.name!r}"
            )

    def features_state(self) -> str:
        """A digest of what the features depend on besides the backbone; empty for nothing."""
        return ""

    def _backbone_outputs(self, inputs: Any, training: bool) -> Any:
        return self.backbone(inputs, training=training)

    def predict_probabilities(self, x: Any, **kwargs: Any) -> np.ndarray:
        """Probabilities of the classes, or of each label.

        Args:
            x: Raw input, as `predict` takes it.
            **kwargs: As in `predict`.

        Returns:
            Float array `[count, num_classes]`.

        Raises:
            ValueError: A regression has none.
        """
        if self._task.probabilities is None:
            raise ValueError(
                f"There are no probabilities in a regression. Use predict. Received: {self.task!r}"
            )
        logits = self.predict(x, **kwargs)
        finite = np.isfinite(np.asarray(logits)).reshape(len(logits), -1).all(axis=1)
        if not finite.all():
            row = int(np.argmin(finite))
            raise ValueError(
                "The network gives no numbers for some inputs, such as ones that are too short for "
                f"it: leave them out. Received: {int((~finite).sum())} of {len(finite)} without an "
                f"answer, the first in row {row}"
            )
        return keras.ops.convert_to_numpy(self._task.probabilities(logits))

    def classify(self, x: Any, names: bool = False, **kwargs: Any) -> np.ndarray:
        """The most probable class; with multiple labels, those more probable than not.

        Args:
            x: Raw input, as `predict` takes it.
            names: Whether to give the names of classes instead of their numbers.
            **kwargs: As in `predict`.

        Returns:
            int64 `[count]`, or for multiple labels bool `[count, num_classes]`, or for sequences
            `[count, length]`, -1 behind the end of a shorter one. With `names` strings in their
            place (`""` for -1), or for multiple labels an array of tuples of strings.

        Raises:
            ValueError: A regression has no classes, or the model knows no names.
        """
        known = np.array(self._names_needed("names=True")) if names else None
        probabilities = self.predict_probabilities(x, **kwargs)
        if self.task == "multi_label":
            chosen = probabilities > 0.5
            if known is None:
                return chosen
            several = np.empty(len(chosen), object)
            several[:] = [tuple(known[row].tolist()) for row in chosen]
            return several
        numbers = probabilities.argmax(axis=-1)
        behind = self.behind_the_ends(x, numbers.shape) if numbers.ndim == 2 else None
        found = numbers if known is None else known[numbers]
        if behind is not None:
            found[behind] = NOT_COUNTED if known is None else ""
        return found

    # The training core's hooks

    def draw_noise(self, data: Any, seed: tf.Tensor, training: bool) -> Any:
        """Prepare the batch outside what XLA compiles: augmentation if training, and preprocessing.

        Random layers draw other numbers inside a compiled function, and some cannot be compiled.
        """
        x, mask = values_and_mask(keras.utils.unpack_x_y_sample_weight(data)[0])
        if training:
            x, mask = passed_through(self.augmentation, x, mask, training=True)
        x, mask = passed_through(self.preprocessing, x, mask, training=False)
        return x if mask is None else Masked(x, mask)

    def update_step(self, data: Any, noise: Any) -> dict[str, tf.Tensor]:
        """Take one training step on prepared input."""
        return super().update_step(_with_inputs(data, noise), None)

    def evaluation_step(self, data: Any, noise: Any) -> dict[str, tf.Tensor]:
        """Evaluate prepared input."""
        return super().evaluation_step(_with_inputs(data, noise), None)

    def _supervised_loss(
        self, x: Any, y: Any, sample_weight: Any, training: bool
    ) -> tuple[tf.Tensor, Any]:
        y_pred = self(x, training=training, prepared=True)
        loss = self.compute_loss(x, y, y_pred, sample_weight, training=training)
        # Keras' losses divide by the number of replicas; the training core does so itself.
        return loss * num_replicas(), y_pred

    # compile and fit

    def compile(
        self,
        optimizer: Any = None,
        loss: Any = None,
        loss_weights: Any = None,
        metrics: Any = "default",
        **kwargs: Any,
    ) -> None:
        """Configure training, with Keras' arguments; what is left out suits the task.

        Args:
            optimizer: Keras optimizer or its name. Defaults to `default_optimizer()`.
            loss: Keras loss of labels and logits. Defaults to the task's.
            loss_weights: See `keras.Model.compile`.
            metrics: See `keras.Model.compile`. Defaults to the task's; `None` for none. Keras'
                metrics of probabilities get probabilities, and labels in the form that they need.
            **kwargs: As in `keras_transgen.training.TrainerModel.compile`.

        Raises:
            ValueError: A loss that takes logits for probabilities.
        """
        if not loading_a_file():
            refuse_loss_of_probabilities(loss, self.task)
        self._compiled_by_default = False
        self._compiled_with_default_optimizer = optimizer is None
        metrics = self._task.metrics() if metrics == "default" else metrics
        weighted = kwargs.pop("weighted_metrics", None)
        # In a namespace, since Keras would track what is in a list.
        self._given_metrics = types.SimpleNamespace(metrics=metrics, weighted_metrics=weighted)
        # An optimizer belongs to the strategy in whose scope it is made.
        with self.distribute_strategy.scope():
            super().compile(
                optimizer=self.default_optimizer() if optimizer is None else optimizer,
                loss=self.default_loss() if loss is None else loss,
                loss_weights=loss_weights,
                metrics=of_logits(metrics, self.task),
                weighted_metrics=of_logits(weighted, self.task),
                **kwargs,
            )

    def default_loss(self) -> keras.losses.Loss:
        """The loss of a model whose user names none: the task's."""
        return self._task.loss()

    def default_optimizer(
        self, steps_per_epoch: int | None = None, epochs: int | None = None
    ) -> keras.optimizers.Optimizer:
        """The optimizer of a model that is not compiled by its user.

        Args:
            steps_per_epoch: Steps an epoch of the coming `fit`; `None` if not known.
            epochs: Epochs of the coming `fit`; `None` if not known.
        """
        return keras.optimizers.Adam(1e-3)

    def default_optimizer_is_for_one_fit(self) -> bool:
        """Whether `default_optimizer` depends on the steps, so that every `fit` needs a new one."""
        return False

    def compile_by_default(
        self, steps_per_epoch: int | None = None, epochs: int | None = None
    ) -> None:
        """Compile as `fit` does for a user who did not.

        Args:
            steps_per_epoch: Steps an epoch of the coming `fit`; `None` if not known.
            epochs: Epochs of the coming `fit`; `None` if not known.
        """
        with self.distribute_strategy.scope():
            self.compile(optimizer=self.default_optimizer(steps_per_epoch, epochs))
        self._compiled_by_default = True

    def get_compile_config(self) -> dict[str, Any] | None:
        """The arguments of `compile`, and whether they are the defaults."""
        config = super().get_compile_config()
        if config:
            config |= keras.saving.serialize_keras_object(vars(self._given_metrics))
            config["by_default"] = self._compiled_by_default
        return config

    def compile_from_config(self, config: dict[str, Any]) -> None:
        """Compile with the arguments that `get_compile_config` gave."""
        config = dict(config)
        by_default = config.pop("by_default", False)
        with files_load():
            super().compile_from_config(config)
        self._compiled_by_default = by_default

    @takes_any_data(*FIT_DATA, training=True)
    def fit(
        self,
        x: Any = None,
        y: Any = None,
        batch_size: int | None = None,
        epochs: int | None = None,
        verbose: Any = "auto",
        callbacks: Any = None,
        validation_split: float = 0.0,
        validation_data: Any = None,
        shuffle: bool = True,
        class_weight: dict[int, float] | None = None,
        sample_weight: Any = None,
        initial_epoch: int = 0,
        steps_per_epoch: int | None = None,
        **kwargs: Any,
    ) -> keras.callbacks.History:
        """Train, with the arguments and the result of `keras.Model.fit`.

        `epochs` defaults to what `default_epochs` says.

        Raises:
            ValueError: If the data do not fit the model, before training starts.
            NonFiniteLossError: If the loss becomes NaN or infinite.
        """
        self.refuse_probabilities()
        refuse_hdf5_checkpoints(callbacks)
        y = self.with_positions(x, y)
        validation_data = self.with_labels_alike(y, validation_data)
        self._whole_data = is_in_memory(x, y)
        if self._whole_data and validation_split and validation_data is None:
            (x, y, sample_weight), validation_data = split_last(
                (x, y, sample_weight), validation_split
            )
            validation_split = 0.0
        if class_weight is not None:
            # Before a probe extracts features.
            weights_by_class(class_weight, self.weighed_classes(class_weight))
        if epochs is None:
            epochs = initial_epoch + self.default_epochs(x, batch_size, steps_per_epoch)
        given = {
            "x": x,
            "y": y,
            "batch_size": batch_size,
            "epochs": epochs,
            "verbose": verbose,
            "callbacks": callbacks,
            "validation_split": validation_split,
            "validation_data": validation_data,
            "shuffle": shuffle,
            "class_weight": class_weight,
            "sample_weight": sample_weight,
            "initial_epoch": initial_epoch,
            "steps_per_epoch": steps_per_epoch,
            **kwargs,
        }
        try:
            return self.train(given)
        finally:
            self._whole_data = self._inputs_checked = False
            self.features_at_hand = None

    def needs_data_twice(self) -> bool:
        """Whether a probe of all the data comes before the training."""
        return self.head_initialization == "probe" and self._begins()

    def _begins(self) -> bool:
        return not int(self.progress.step.numpy()) and not self._head_initialized

    def train(self, given: dict[str, Any]) -> keras.callbacks.History:
        """What `fit` does once its data are arrays: start the head, compile if need be, train.

        Args:
            given: The arguments of `fit`.
        """
        if self.needs_data_twice():
            finite = take_steps(given["x"], given["steps_per_epoch"])
            names = ("y", "sample_weight", "class_weight", "batch_size", "verbose")
            at_hand = finite if self.features_at_hand is None else self.features_at_hand
            self.initialize_head(at_hand, *[given[name] for name in names])
        if not self.compiled or (
            self._compiled_by_default and self.default_optimizer_is_for_one_fit()
        ):
            steps = given["steps_per_epoch"] or steps_of(given["x"], given["batch_size"])
            self.compile_by_default(steps, given["epochs"] - given["initial_epoch"])
        return super().fit(**given)

    def default_epochs(self, x: Any, batch_size: int | None, steps_per_epoch: int | None) -> int:
        """Epochs of a `fit` that names none: one.

        Args:
            x: What `fit` was given.
            batch_size: What `fit` was given.
            steps_per_epoch: What `fit` was given.
        """
        return 1

    def initialize_head(
        self,
        x: Any,
        y: Any = None,
        sample_weight: Any = None,
        class_weight: dict[int, float] | None = None,
        batch_size: int | None = None,
        verbose: Any = 0,
        cache_dir: str | os.PathLike[str] | None = None,
        data_key: str | None = None,
    ) -> None:
        """Fit the head as a linear probe on features extracted once; `fit` then does not.

        Args:
            x: Raw input or a data set, as `fit` takes it.
            y: Labels.
            sample_weight: Weight of each example.
            class_weight: Weight of each class.
            batch_size: Examples a batch during extraction. Defaults to 32.
            verbose: 0 for silence.
            cache_dir: Where the features are kept, to be found again. Defaults to nowhere.
            data_key: Text that names a data set in the cache; arrays need none.
        """
        fit_head_as_probe(
            self,
            x,
            y,
            sample_weight,
            class_weight,
            batch_size=batch_size or 32,
            progress=verbose not in (0, 2),
            cache_dir=cache_dir,
            data_key=data_key,
        )
        self._inputs_checked = self._head_initialized = True

    @takes_any_data("x")
    def predict(self, x: Any, *args: Any, **kwargs: Any) -> Any:
        """Predict, with the arguments and the result of `keras.Model.predict`.

        Sequences of several lengths go each length by itself where the backbone cannot be told
        what is padding.
        """
        if not is_padded(x) or self.backbone.carries_masks():
            return super().predict(x, *args, **kwargs)
        predict = super().predict
        return of_each_length(x, lambda sequences: predict(sequences, *args, **kwargs))

    @takes_any_data(*PARTS)
    def evaluate(self, x: Any = None, y: Any = None, *args: Any, **kwargs: Any) -> Any:
        """Evaluate, with the arguments and the result of `keras.Model.evaluate`."""
        if not self.compiled:
            self.compile_by_default()
        _, y = self.with_labels_alike(None, (x, self.with_positions(x, y)))
        return super().evaluate(x, y, *args, **kwargs)

    # Saving and serving

    @property
    def task_probabilities(self) -> Callable[[Any], Any] | None:
        """Turns logits into probabilities; `None` in a regression, which has none."""
        return self._task.probabilities

    def serving_endpoints(self, input_signature: Any = None) -> dict[str, Endpoint]:
        """Raw input to logits and probabilities; see `transfer_endpoints`."""
        return transfer_endpoints(self, input_signature)

    def get_config(self) -> dict[str, Any]:
        """Configuration to rebuild the model from, backbone included."""
        settings = ("task", "dropout", "pooling", "normalize_features", "head_initialization")
        config = {
            **super().get_config(),
            **{name: getattr(self, name) for name in settings},
            "num_classes": self._num_classes,
            "seed": self._seed,
        }
        if self.class_names is not None:
            config["class_names"] = list(self.class_names)
        if self.data_kind is not None:
            config["data_kind"] = self.data_kind
        for name in _LAYERS:
            layer = getattr(self, name)
            if name != "head" or self._own_head:
                config[name] = layer and keras.saving.serialize_keras_object(layer)
        return config

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> TransferModel:
        """Rebuild a model from what `get_config` gave."""
        return cls(**arguments_from_file(cls, config, **cls.nested_arguments()))

    @classmethod
    def nested_arguments(cls) -> dict[str, Nested]:
        """The arguments that a file gives as objects."""
        layer = Nested(keras.layers.Layer, optional=True)
        return {**dict.fromkeys(_LAYERS, layer), "backbone": Nested(keras.layers.Layer)}


def _with_inputs(data: Any, x: Any) -> tuple:
    _, y, sample_weight = keras.utils.unpack_x_y_sample_weight(data)
    return x, y, sample_weight
