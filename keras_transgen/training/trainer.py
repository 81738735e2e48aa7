"""The one training core: XLA inside the replica, replicas, workers, seeds, precision, resume."""

from __future__ import annotations

import functools
import types
import warnings
from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from keras_transgen.datasets.as_arrays import takes_any_data
from keras_transgen.datasets.damaged_images import refuse_damaged_images
from keras_transgen.training.batch_assertions import raise_own
from keras_transgen.training.batches import (
    check_arrays,
    check_call,
    check_epochs,
    check_weights_have_labels,
    ends_promptly,
    held_out_data,
    is_arrays,
    plain_batches,
    shuffled_batches,
    split_last,
)
from keras_transgen.training.compilation import compiled, flat_layers, resolve_jit_compile
from keras_transgen.training.config_from_file import check_objects
from keras_transgen.training.entrance import FIT_DATA, PARTS, TakesAnyData
from keras_transgen.training.example_weights import (
    check_sample_weight,
    stop_at_wrong_weights,
    weighed_by_class,
    weights_by_class,
)
from keras_transgen.training.first_batch import alike, first_batch, looked_at_first
from keras_transgen.training.gradients import (
    apply_gradients,
    gradients_of,
    loss_weight,
    num_replicas,
)
from keras_transgen.training.moving_statistics import statistics_without_gaps
from keras_transgen.training.nan_guard import NaNGuard, first_bad_step
from keras_transgen.training.optimizer_variables import follow_variables
from keras_transgen.training.progress import EpochMarker, EpochResumer
from keras_transgen.training.replica_batches import (
    refuse_idle_replicas,
    refuse_lost_convolutions,
    refuse_too_few,
    size_without_lost_convolutions,
)
from keras_transgen.training.replica_noise import (
    as_int64,
    replica_seed,
    spread_seed_generators,
    whole_seed,
)
from keras_transgen.training.step_function import is_of_xla, make_step_function, what_xla_says
from keras_transgen.training.stored_model import StoredModel, refuse_hdf5_checkpoints
from keras_transgen.training.worker_agreement import agree_on_fit, has_several_workers


@keras.saving.register_keras_serializable(package="keras_transgen")
class TrainerModel(TakesAnyData, StoredModel):
    """A `keras.Model` whose `fit` works compiled, on several replicas and on several machines.

    It is used like any Keras model; every model of the package is one. As it stands it trains
    like `keras.Model`: one network given by `call`, one optimizer, losses and metrics by `compile`.
    A model with a training step of its own overrides `draw_noise`, `update_step` and, for
    evaluation, `evaluation_step`:

    - `draw_noise(data, seed, training)` draws all random numbers of a step, outside of what XLA
      compiles (the same seed gives other numbers inside).
    - `update_step(data, noise)` computes gradients by `gradients_of` (or in a function of its own,
      wrapped by `replica_function`) and applies them by `apply_gradients`. With one replica the
      whole step is compiled; with several, each replica's wrapped functions are, and the
      optimizers stay outside.

    Args:
        seed: Seed of the model's own randomness (noise, order of the examples). The default is
            drawn from Keras' global generator, so `keras.utils.set_random_seed` fixes it.
        **kwargs: Passed to `keras.Model`.

    Example:
        ```python
        import keras, keras_transgen as ktg

        class Classifier(ktg.training.TrainerModel):
            def __init__(self):
                super().__init__()
                self.dense = keras.layers.Dense(10)
                self.build((None, 64))

            def build(self, input_shape):
                self.dense.build(input_shape)
                self.built = True

            def call(self, x):
                return self.dense(x)

        images, labels = ktg.datasets.load_digits()
        model = Classifier()
        model.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
        history = model.fit(images.reshape(-1, 64), labels, epochs=1, verbose=0)
        ```

    Reference:
        Frostig, Johnson and Leary, Compiling machine learning programs via high-level tracing,
        2018 (the idea of compiling the pure part of a step).
    """

    train_function: Callable[..., Any] | None
    test_function: Callable[..., Any] | None

    def __init__(self, *, seed: int | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if seed is not None:
            self.progress.seed.assign(as_int64(whole_seed(seed)))
        self._jit_setting: bool | str = "auto"
        self._compile_arguments: types.SimpleNamespace | None = None
        self._checking_disabled = False
        self._is_fitting = False
        self._weights_by_class: np.ndarray | None = None
        self._act_before_step: Callable[[tf.Tensor], None] | None = None
        self._trained_by_function: tuple | None = None
        self._evaluated_by_function: tuple | None = None

    # Compiling

    @property
    def metrics(self) -> list[keras.metrics.Metric]:
        """The model's own metrics, without those of compiled models that it is made of."""
        inner = {
            id(metric)
            for layer in flat_layers(self)
            if isinstance(layer, keras.Model)
            for metric in layer.metrics
        }
        return [metric for metric in super().metrics if id(metric) not in inner]

    def compile(
        self,
        optimizer: Any = "rmsprop",
        loss: Any = None,
        loss_weights: Any = None,
        metrics: Any = None,
        weighted_metrics: Any = None,
        run_eagerly: bool = False,
        steps_per_execution: int = 1,
        jit_compile: bool | str = "auto",
        auto_scale_loss: bool = True,
    ) -> None:
        """Configure the model for training, with Keras' arguments.

        Args:
            optimizer: Keras optimizer or its name; `None` for a model that keeps its own.
            loss: Keras loss, name or callable.
            loss_weights: See `keras.Model.compile`.
            metrics: See `keras.Model.compile`.
            weighted_metrics: See `keras.Model.compile`.
            run_eagerly: Run step by step in Python, for debugging.
            steps_per_execution: Batches that one call of the training function takes.
            jit_compile: `True`, `False` or `"auto"`. Automatic compilation is on where a GPU is
                visible, and on a CPU for networks without convolutions and recurrent layers. It
                also works with several replicas.
            auto_scale_loss: Wrap the optimizer in a `LossScaleOptimizer` under `mixed_float16`.

        Raises:
            ValueError: If `jit_compile` is none of its values.
        """
        decision = resolve_jit_compile(self, jit_compile)
        with self.distribute_strategy.scope():
            super().compile(
                optimizer=optimizer,
                loss=loss,
                loss_weights=loss_weights,
                metrics=metrics,
                weighted_metrics=weighted_metrics,
                run_eagerly=run_eagerly,
                steps_per_execution=steps_per_execution,
                jit_compile=False,
                auto_scale_loss=auto_scale_loss,
            )
            self._jit_setting = jit_compile
            self.jit_compile = decision and not run_eagerly
            if self.optimizer is not None and self.built and not self.optimizer.built:
                self.optimizer.build(self.trainable_variables)

    def remember_compile(self, **arguments: Any) -> None:
        """Keep the arguments of a `compile` of one's own, so that a saved file compiles again.

        Args:
            **arguments: What `compile` shall be called with after loading: optimizers, losses,
                numbers, anything Keras serialises. `jit_compile` is added.
        """
        # In a namespace, since Keras would save the optimizers of a dictionary a second time.
        self._compile_arguments = types.SimpleNamespace(**arguments)

    def get_compile_config(self) -> dict[str, Any] | None:
        """The arguments of `compile`, for saving; with `jit_compile` as it was asked for."""
        if self._compile_arguments is not None:
            config = keras.saving.serialize_keras_object(vars(self._compile_arguments))
        else:
            config = super().get_compile_config()
        if config:
            config["jit_compile"] = self._jit_setting
        return config

    def compile_from_config(self, config: dict[str, Any]) -> None:
        """Compile with the arguments that `get_compile_config` gave."""
        check_objects(config)
        self.compile(**keras.saving.deserialize_keras_object(config))

    def prepare_optimizer(
        self, optimizer: Any, variables: Sequence[keras.Variable], auto_scale_loss: bool = True
    ) -> keras.optimizers.Optimizer:
        """Make an optimizer ready for the variables it will train; used by `compile`.

        An optimizer other than `self.optimizer` must be built within the strategy's scope before
        training, or neither strategies nor `save_weights` nor `BackupAndRestore` can use it.

        Args:
            optimizer: Keras optimizer, its name or its configuration.
            variables: The variables it will train.
            auto_scale_loss: Wrap it in a `LossScaleOptimizer` under `mixed_float16`.

        Returns:
            The optimizer, built.

        Raises:
            ValueError: If the optimizer is built for other variables already.
        """
        with self.distribute_strategy.scope():
            optimizer = keras.optimizers.get(optimizer)
            if (
                auto_scale_loss
                and self.dtype_policy.name == "mixed_float16"
                and not isinstance(optimizer, keras.optimizers.LossScaleOptimizer)
            ):
                optimizer = keras.optimizers.LossScaleOptimizer(optimizer)
            if not optimizer.built:
                optimizer.build(list(variables))
            known = {id(v) for v in getattr(optimizer, "_trainable_variables", variables)}
            if known != {id(variable) for variable in variables}:
                raise ValueError(
                    "An optimizer keeps a state for the variables it first met, and this one has "
                    "met others. Give every network an optimizer of its own, and a new one after "
                    "changing what trains. "
                    f"Received: {optimizer.name!r}, built for {len(known)} variables, asked to "
                    f"train {len(list(variables))}"
                )
        return optimizer

    # What a model with a step of its own overrides

    def draw_noise(self, data: Any, seed: tf.Tensor, training: bool) -> Any:
        """Draw the random numbers of one step on one replica; `None` by default.

        Args:
            data: The replica's batch, as `update_step` receives it.
            seed: Int32 `[2]`, for `tf.random.stateless_*`; differs per replica and step.
            training: Whether the step trains or evaluates.
        """
        return None

    def update_step(self, data: Any, noise: Any) -> dict[str, tf.Tensor]:
        """Take one training step on a replica's batch and return its logs."""
        x, y, sample_weight = keras.utils.unpack_x_y_sample_weight(data)
        size = self.counted(x, y, sample_weight)
        weight = loss_weight(size, self.optimizer)
        loss_function = functools.partial(self._supervised_loss, x, y, sample_weight, True)
        gradients, loss, y_pred = self.gradients_of(loss_function, self.trainable_variables, weight)
        self.apply_gradients(self.optimizer, gradients, self.trainable_variables)
        self._loss_tracker.update_state(loss, sample_weight=size)
        return self.compute_metrics(x, y, y_pred, sample_weight=sample_weight)

    def evaluation_step(self, data: Any, noise: Any) -> dict[str, tf.Tensor]:
        """Evaluate a replica's batch and return its logs."""
        x, y, sample_weight = keras.utils.unpack_x_y_sample_weight(data)
        loss, y_pred = self.replica_function(self._supervised_loss)(x, y, sample_weight, False)
        self._loss_tracker.update_state(loss, sample_weight=self.counted(x, y, sample_weight))
        return self.compute_metrics(x, y, y_pred, sample_weight=sample_weight)

    def check_data(self, x: Any, y: Any, sample_weight: Any, training: bool) -> None:
        """Look at data before training starts, and raise a `ValueError` that says what is wrong.

        Arrays are handed over whole; of other data the first batch. The default takes anything.
        """

    def check_inputs(self, x: Any) -> None:
        """Look at what `predict` was given, and raise a `ValueError` that says what is wrong.

        Arrays are handed over whole; of other data the first batch. The default takes anything.
        """

    def stop_at_misfits(self, data: Any) -> list[tf.Operation]:
        """What a step must wait for: assertions that a replica's batch fits; none by default.

        They are part of the step's graph, so that every batch is looked at; see
        `training.batch_assertions`.
        """
        return []

    def weighed_classes(self, class_weight: Any) -> int | None:
        """How many classes `class_weight` may speak of; `None` where only the labels tell.

        Args:
            class_weight: What `fit` was given, not `None`.

        Raises:
            ValueError: A model that weighs no classes.
        """
        return None

    # The building blocks of a step

    def replica_function(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """Wrap a function of a step so that XLA compiles it inside each replica.

        With one replica, or with compilation off, the function is returned as it is: the whole step
        around it is compiled, or nothing is.
        """
        return compiled(function, bool(self.jit_compile) and num_replicas() > 1)

    def gradients_of(
        self,
        loss_function: Callable[[], tuple[tf.Tensor, Any]],
        variables: Sequence[keras.Variable],
        weight: tf.Tensor,
    ) -> tuple[list[tf.Tensor | None], tf.Tensor, Any]:
        """Differentiate a loss in a function that XLA compiles; see `training.gradients_of`.

        Args:
            loss_function: Returns the mean loss over the replica's examples and anything else.
            variables: The variables to differentiate by.
            weight: What `keras_transgen.training.loss_weight` returned for the optimizer.
        """
        return self.replica_function(lambda w: gradients_of(loss_function, variables, w))(weight)

    def apply_gradients(
        self,
        optimizer: keras.optimizers.Optimizer,
        gradients: Sequence[tf.Tensor | None],
        variables: Sequence[keras.Variable],
    ) -> None:
        """Apply a replica's gradients; see `keras_transgen.training.apply_gradients`."""
        apply_gradients(optimizer, gradients, variables)

    def counted(self, x: Any, y: Any, sample_weight: Any) -> tf.Tensor:
        """What a replica's mean loss is a mean over, a scalar: the number of its examples.

        By it the replicas' gradients weigh, and the steps' losses in the mean that is logged. A
        model whose loss is a mean over something else, such as what is no padding, overrides it.

        Args:
            x: The replica's inputs.
            y: Their labels.
            sample_weight: Their weights.
        """
        return batch_size_of(x)

    def weighed_by_class(self, data: Any, by_class: np.ndarray) -> tuple:
        """A batch with the weights that the classes of its labels have.

        Args:
            data: The replica's batch.
            by_class: `[num_classes]`.
        """
        return weighed_by_class(data, by_class)

    def track_loss(self, loss: tf.Tensor, batch_size: tf.Tensor | int) -> dict[str, tf.Tensor]:
        """Count a replica's mean loss in that of the epoch, which is logged as `loss`.

        Keras' `compile` makes this mean, and every epoch and evaluation begins it anew. Metrics of
        a model's own are attributes (`self.accuracy = keras.metrics.Mean(name="accuracy")`); update
        them before, and they are in the logs too.

        Args:
            loss: Mean over the replica's examples, scalar, not scaled for replicas or precision.
            batch_size: Number of examples that this replica holds, the weight of its mean.

        Returns:
            The logs of a step: `loss` and the model's other metrics so far, by name.
        """
        self._loss_tracker.update_state(loss, sample_weight=batch_size)
        return self.get_metrics_result()

    def _supervised_loss(
        self, x: Any, y: Any, sample_weight: Any, training: bool
    ) -> tuple[tf.Tensor, Any]:
        y_pred = self(x, training=training) if self._call_has_training_arg else self(x)
        loss = self.compute_loss(x, y, y_pred, sample_weight, training=training)
        # Keras' losses divide by the number of replicas; `loss_weight` is where that happens here.
        return loss * num_replicas(), y_pred

    # Keras' own hooks

    def train_step(self, data: Any) -> dict[str, tf.Tensor]:
        """One step on one replica: noise drawn outside, then the step, compiled if it is alone."""
        checks = self._stop_at_misfits(data)
        if self._weights_by_class is not None:
            data = self.weighed_by_class(data, self._weights_by_class)
        seed = replica_seed(self.progress.seed.value, self.progress.step.value)
        noise = self.draw_noise(data, seed, training=True)
        whole = bool(self.jit_compile) and num_replicas() == 1
        with (
            tf.control_dependencies(checks),
            statistics_without_gaps(self, batch_size_of(data)),
        ):
            return compiled(self.update_step, whole)(data, noise)

    def test_step(self, data: Any) -> dict[str, tf.Tensor]:
        """One evaluation step on one replica, with noise that depends on the step alone."""
        seed = replica_seed(~self.progress.seed.value, self.progress.test_step.value)
        noise = self.draw_noise(data, seed, training=False)
        whole = bool(self.jit_compile) and num_replicas() == 1
        with tf.control_dependencies(self._stop_at_misfits(data)):
            return compiled(self.evaluation_step, whole)(data, noise)

    def make_train_function(self, force: bool = False) -> Callable[..., Any]:
        """Make the function that takes the next batches from an iterator and trains on them.

        A function trains the variables that were trainable when it was traced, so another is made
        when `trainable` has changed somewhere, and the optimizers follow.
        """
        trains = self._what_trains()
        if self.train_function is not None and not force and trains == self._trained_by_function:
            return self.train_function
        self._trained_by_function = trains
        self._let_optimizers_follow()
        if num_replicas_of(self) > 1:
            spread_seed_generators(self)
        run = make_step_function(
            self,
            self.train_step,
            self._after_train_step,
            self._before_train_step,
            self._give_up_xla,
        )

        def train_function(iterator: Any) -> dict[str, tf.Tensor]:
            skipped = 0
            while self.progress.steps_to_skip and skipped < self.steps_per_execution:
                next(iterator)
                self.progress.steps_to_skip -= 1
                skipped += 1
            return {} if skipped else run(iterator)

        self.train_function = train_function
        return train_function

    def make_test_function(self, force: bool = False) -> Callable[..., Any]:
        """Make the function that takes the next batches from an iterator and evaluates them."""
        trains = self._what_trains()
        if self.test_function is not None and not force and trains == self._evaluated_by_function:
            return self.test_function
        # Penalties of frozen weights count no more.
        self._evaluated_by_function = trains
        self.test_function = make_step_function(
            self, self.test_step, self._after_test_step, give_up_xla=self._give_up_xla
        )
        return self.test_function

    def _stop_at_misfits(self, data: Any) -> list[tf.Operation]:
        return [*stop_at_wrong_weights(data), *self.stop_at_misfits(data)]

    def _give_up_xla(self, error: Exception) -> None:
        """Go on without compilation where nobody asked for it; else say which setting it was."""
        said = what_xla_says(error)
        if self._jit_setting != "auto":
            raise ValueError(
                "XLA cannot compile a step of this model. Compile it with jit_compile='auto', "
                f"which then goes without, or jit_compile=False. Received: jit_compile="
                f"{self._jit_setting!r}; XLA says: {said}"
            ) from error
        self.jit_compile = False
        warnings.warn(
            "XLA cannot compile a step of this model, so it runs uncompiled, as with "
            f"compile(jit_compile=False). XLA says: {said}",
            stacklevel=2,
        )

    def optimized(self) -> list[tuple[Any, list[keras.Variable]]]:
        """Each optimizer, and what it trains as `trainable` stands now.

        A model with several optimizers overrides it.
        """
        return [(self.optimizer, self.trainable_variables)]

    def _let_optimizers_follow(self) -> None:
        with self.distribute_strategy.scope():
            for optimizer, variables in self.optimized():
                if optimizer is not None and optimizer.built:
                    follow_variables(optimizer, variables)

    def save_own_variables(self, store: Any) -> None:
        """Save the state of the run; the optimizers that are saved next hold what trains now.

        Else a file would hold the state of what was frozen since the last fit, and none of it
        could be loaded.
        """
        alone = not has_several_workers(self.distribute_strategy)
        if self.compiled and not self._is_fitting and alone:
            self._let_optimizers_follow()
        super().save_own_variables(store)

    def _what_trains(self) -> tuple:
        variables = tuple(id(variable) for variable in self.trainable_variables)
        # Statistics are used otherwise in a layer that is frozen, whether it has weights or not.
        layers = tuple(layer.trainable for layer in flat_layers(self))
        weights = self._weights_by_class
        return variables, layers, None if weights is None else tuple(weights)

    def before_each_step(self, act: Callable[[tf.Tensor], None] | None) -> None:
        """Let something happen before every step from now on, between the steps of one call too.

        Args:
            act: Called in the training function's graph, across replicas, with the step (int64
                scalar, 0 first). The end of `fit` ends it, and so does `None`.
        """
        self._act_before_step = act
        if self.train_function is not None:
            self.make_train_function(force=True)

    def _before_train_step(self) -> None:
        if self._act_before_step is not None:
            self._act_before_step(tf.convert_to_tensor(self.progress.step.value))

    def _after_train_step(self, logs: dict[str, tf.Tensor]) -> None:
        progress = self.progress
        progress.step.assign_add(1)
        progress.step_in_epoch.assign_add(1)
        bad = first_bad_step(logs, progress.step.value, progress.first_bad_step.value)
        progress.first_bad_step.assign(bad)

    def _after_test_step(self, logs: dict[str, tf.Tensor]) -> None:
        self.progress.test_step.assign_add(1)

    def _maybe_symbolic_build(self, iterator: Any = None, data_batch: Any = None) -> None:
        """Build what the first batch tells the shapes of, and check that batch.

        Keras averages the batch over all workers here, which fails (keras-team/keras#20585), and
        offers no public hook in its place. The local part of the batch says as much.
        """
        if iterator is not None:
            if type(iterator.data_adapter).__name__ == "GeneratorDataAdapter":
                # A Python generator gives its batches once; looking would cost one.
                iterator = None
            else:
                for _, _, batches in iterator:
                    data_batch = next(batches, None)
                    break
        if data_batch is None:
            if iterator is not None:
                raise ValueError("The data are empty: there is no batch. Received: 0 batches")
            return
        local = keras.tree.map_structure(self._local_part, data_batch)
        if not self._checking_disabled:
            x, y, sample_weight = keras.utils.unpack_x_y_sample_weight(local)
            check_sample_weight(sample_weight)
            self.check_data(x, y, sample_weight, training=True)
        with self.distribute_strategy.scope():
            self.build_for_batch(local)

    def build_for_batch(self, data: Any) -> None:
        """Create the variables that wait for data (metrics, mostly), within the scope."""
        self._symbolic_build(data_batch=data)

    def _local_part(self, value: Any) -> Any:
        return self.distribute_strategy.experimental_local_results(value)[0]

    # fit, evaluate, predict

    @takes_any_data(*FIT_DATA, training=True)
    def fit(
        self,
        x: Any = None,
        y: Any = None,
        batch_size: int | None = None,
        epochs: int = 1,
        verbose: Any = "auto",
        callbacks: Any = None,
        validation_split: float = 0.0,
        validation_data: Any = None,
        shuffle: bool = True,
        class_weight: dict[int, float] | None = None,
        sample_weight: Any = None,
        initial_epoch: int = 0,
        steps_per_epoch: int | None = None,
        validation_steps: int | None = None,
        validation_batch_size: int | None = None,
        validation_freq: int = 1,
    ) -> keras.callbacks.History:
        """Train the model, with the arguments and the result of `keras.Model.fit`.

        Arrays are shuffled by the model's seed and the step, so that a run resumed by
        `keras.callbacks.BackupAndRestore`, within an epoch too (`save_freq=n`), ends with the
        weights of a run that was never stopped. So it does on a `tf.data` set that shuffles by a
        seed, in a new process, where each epoch is a pass over it (no `steps_per_epoch`).

        Classes that `class_weight` leaves out weigh one; with `sample_weight` both are multiplied.

        Raises:
            ValueError: If the data do not fit the model, before training starts.
            ValueError: If a later batch does not fit, before a weight moves by it.
            NonFiniteLossError: If the loss becomes NaN or infinite.
        """
        refuse_hdf5_checkpoints(callbacks)
        check_call(x, batch_size, y)
        check_epochs(epochs)
        if self.built and self.weights and not self.trainable_variables:
            raise ValueError(
                "Nothing in this model trains: set trainable=True of a layer, or freeze_to(None) "
                f"of a backbone. Received: {type(self).__name__} with {len(self.weights)} weights, "
                "all frozen"
            )
        agree_on_fit(
            self,
            (x, y, sample_weight),
            validation_data,
            batch_size=batch_size,
            epochs=epochs,
            steps_per_epoch=steps_per_epoch,
        )
        by_class = None
        if class_weight is not None:
            by_class = weights_by_class(class_weight, self.weighed_classes(class_weight))
            if y is None and is_arrays(x):
                raise ValueError(
                    "Classes weigh by the labels: pass y with class_weight. Received: y=None, "
                    f"class_weight of {len(class_weight)} classes"
                )
        refuse_idle_replicas(self.distribute_strategy, x, batch_size)
        arrays = is_arrays((x, y, sample_weight))
        if arrays and validation_split and validation_data is None:
            (x, y, sample_weight), held_out = split_last((x, y, sample_weight), validation_split)
            validation_data, validation_split = held_out, 0.0
        # After the split, which decides how many examples the last batch has.
        refuse_lost_convolutions(self, x, batch_size)
        if arrays:
            check_sample_weight(sample_weight)
            check_arrays((x, y, sample_weight), self.check_data, training=True)
        validation_batch_size = validation_batch_size or batch_size
        if validation_steps is None:
            validation_batch_size = size_without_lost_convolutions(
                self, validation_data, validation_batch_size
            )
        validation_data, validation_batch_size = held_out_data(
            validation_data, validation_batch_size, validation_steps, self.check_data
        )
        raised: list[Exception] = []
        x = ends_promptly(self._first_looked_at(x, True, raised))
        if arrays and shuffle is True:
            data = keras.utils.pack_x_y_sample_weight(x, y, sample_weight)
            data = data if isinstance(data, tuple) else (data,)
            x, shuffle = shuffled_batches(data, batch_size or 32, self.progress), False
            y = sample_weight = batch_size = None
        elif isinstance(x, (tf.data.Dataset, types.GeneratorType)):
            # They bring their order, and Keras warns of its own default.
            shuffle = False
        passes = isinstance(x, tf.data.Dataset) and not arrays and steps_per_epoch is None
        self._checking_disabled = arrays
        self.progress.step_in_epoch.assign(0)
        self.progress.steps_to_skip = 0
        self._is_fitting, self._weights_by_class = True, by_class
        try:
            return super().fit(
                x=x,
                y=y,
                batch_size=batch_size,
                epochs=epochs,
                verbose=verbose,
                callbacks=self._with_own_callbacks(callbacks, x if passes else None),
                validation_split=validation_split,
                validation_data=validation_data,
                shuffle=shuffle,
                sample_weight=sample_weight,
                initial_epoch=initial_epoch,
                steps_per_epoch=steps_per_epoch,
                validation_steps=validation_steps,
                validation_batch_size=validation_batch_size,
                validation_freq=validation_freq,
            )
        except tf.errors.InvalidArgumentError as error:
            if raised:
                raise raised[0] from None
            raise_own(error)
            refuse_damaged_images(error, x, validation_data)
            raise
        finally:
            self._checking_disabled = self._is_fitting = False
            self._weights_by_class = None
            self.progress.steps_to_skip = 0
            if self._act_before_step is not None:
                self.before_each_step(None)

    def _first_looked_at(self, data: Any, training: bool, raised: list[Exception]) -> Any:
        """A Python generator whose first batch was checked and put back; other data as they are.

        Later batches are held against it; `raised` gets the error of one that does not fit.
        """
        if isinstance(data, types.GeneratorType):
            (x, y, sample_weight), data = first_batch(data)
            self.check_data(x, y, sample_weight, training)
            data = alike(data, raised)
        return data

    def _with_own_callbacks(self, callbacks: Any, passed: Any = None) -> Any:
        if isinstance(callbacks, keras.callbacks.CallbackList):
            return callbacks
        given = callbacks if isinstance(callbacks, (list, tuple)) else [callbacks]
        given = [callback for callback in given if callback is not None]
        guard = NaNGuard()
        guard.watch(given)
        return [guard, EpochMarker(), *given, EpochResumer(given, passed)]

    @takes_any_data(*PARTS)
    def evaluate(
        self,
        x: Any = None,
        y: Any = None,
        batch_size: int | None = None,
        verbose: Any = "auto",
        sample_weight: Any = None,
        steps: int | None = None,
        callbacks: Any = None,
        return_dict: bool = False,
        **kwargs: Any,
    ) -> Any:
        """Evaluate the model, with the arguments and the result of `keras.Model.evaluate`."""
        check_call(x, batch_size, y)
        if is_arrays((x,)):
            check_weights_have_labels(y, sample_weight)
        batches, given = None, x
        if steps is None:
            batch_size = size_without_lost_convolutions(self, x, batch_size)
            batches = plain_batches((x, y, sample_weight), batch_size or 32)
        if batches is not None:
            x, y, sample_weight, batch_size = batches, None, None, None
        self.progress.test_step.assign(0)
        raised: list[Exception] = []
        try:
            return super().evaluate(
                x=ends_promptly(self._first_looked_at(x, False, raised)),
                y=y,
                batch_size=batch_size,
                verbose=verbose,
                sample_weight=sample_weight,
                steps=steps,
                callbacks=callbacks,
                return_dict=return_dict,
                **kwargs,
            )
        except tf.errors.InvalidArgumentError as error:
            if raised:
                raise raised[0] from None
            raise_own(error)
            refuse_damaged_images(error, given)
            refuse_too_few(self, given, error)
            raise

    @takes_any_data("x")
    def predict(
        self,
        x: Any,
        batch_size: int | None = None,
        verbose: Any = "auto",
        steps: int | None = None,
        callbacks: Any = None,
    ) -> Any:
        """Predict, with the arguments and the result of `keras.Model.predict`."""
        check_call(x, batch_size)
        x, raised = self._looked_at_to_predict(x)
        batches, given = None, x
        if steps is None:
            batch_size = size_without_lost_convolutions(self, x, batch_size)
            batches = plain_batches((x,), batch_size or 32)
        if batches is not None:
            x, batch_size = batches, None
        predict = functools.partial(
            super().predict,
            ends_promptly(x),
            batch_size=batch_size,
            verbose=verbose,
            steps=steps,
            callbacks=callbacks,
        )
        try:
            return predict()
        except tf.errors.OpError as error:
            if raised:
                raise raised[0] from None
            raise_own(error)
            refuse_damaged_images(error, given)
            refuse_too_few(self, given, error)
            # Of a Python generator the first batches are gone.
            if not self.jit_compile or not is_of_xla(error) or isinstance(x, types.GeneratorType):
                raise
            self._give_up_xla(error)
        self.predict_function = None
        return predict()

    def _looked_at_to_predict(self, x: Any) -> tuple[Any, list[Exception]]:
        """The data, of which the first batch was or will be looked at, and what that will raise."""
        if type(self).check_inputs is TrainerModel.check_inputs:
            return x, []
        if isinstance(x, tf.data.Dataset):
            return looked_at_first(x, lambda batch: self.check_inputs(batch[0]))
        first, rest = first_batch(x)
        if first is not None:
            self.check_inputs(first[0])
        elif is_arrays((x,)):
            self.check_inputs(x)
        return rest, []


def num_replicas_of(model: keras.Model) -> int:
    """The number of replicas that a model was made for."""
    return model.distribute_strategy.num_replicas_in_sync


def batch_size_of(data: Any) -> tf.Tensor:
    """The number of examples in a batch, an int32 scalar; 0 on a replica that got none.

    Args:
        data: A tensor `[batch, ...]` or a structure of them; `None` is passed over.
    """
    return tf.shape(next(leaf for leaf in keras.tree.flatten(data) if leaf is not None))[0]
