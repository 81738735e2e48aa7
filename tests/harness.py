"""The checks that every layer and every model of the package goes through.

A test file lists its cases and runs all checks over them:

    @pytest.mark.parametrize("check", MODEL_CHECKS)
    def test_model(check, tools):
        check(ModelCase(make=..., data=..., moves=...), tools)
"""

import dataclasses
import functools
import warnings
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_transgen.generative.generative_model import GenerativeModel
from keras_transgen.training.compilation import flat_layers
from tests.fresh_process import FreshProcess
from tests.training.models import NetworkModel


@dataclasses.dataclass
class Tools:
    """What a check may use besides its case; the fixture `tools` hands it over."""

    folder: Path
    fresh_process: FreshProcess
    two_replicas: tf.distribute.Strategy


@dataclasses.dataclass
class ModelCase:
    """A model under test.

    Attributes:
        make: Makes the model, built. Called anew by every check, within a strategy's scope or not.
        data: The positional arguments of `fit`, arrays of at most a few dozen rows.
        compile: Compiles the model; receives `jit_compile`.
        outputs: Method whose result tells whether two models are equal, and its arguments; the
            default is `predict` on the first array of `data`.
        moves: Tells by its path whether a trainable or non-trainable weight must change in `fit`.
            `None` for "every trainable weight must, and no other".
        may_move: Tells of further weights that may or may not change (moving statistics, say).
        imports: Modules that a new process must import to know the class.
        tolerance: Allowed difference of outputs between two replicas and one after two steps, or
            `None` where the model's own noise makes them differ.
        supports_xla: Whether the step can be compiled at all (string inputs cannot).
        same_under_xla: Whether compiled and plain training end alike; Keras' dropout draws other
            masks in a compiled function.
        fit: Further keyword arguments of `fit`.
        evaluates: Whether the model can be evaluated at all.
    """

    make: Callable[[], keras.Model]
    data: tuple
    compile: Callable[..., None] = lambda model, **kwargs: model.compile(**kwargs)
    outputs: tuple[str, tuple, dict] | None = None
    moves: Callable[[str], bool] | None = None
    may_move: Callable[[str], bool] = lambda path: False
    imports: tuple[str, ...] = ()
    tolerance: float | None = 1e-5
    supports_xla: bool = True
    same_under_xla: bool = True
    fit: dict = dataclasses.field(default_factory=dict)
    evaluates: bool = True

    def trained(self) -> "Trained":
        """The model after one `fit`, the same for all checks that only look at it."""
        if Trained.last is None or Trained.last.case is not self:
            Trained.last = None
            Trained.last = Trained(self)
        return Trained.last

    @functools.cached_property
    def in_float32(self) -> "InFloat32":
        """The model's start in float32, for half precision to be compared with."""
        keras.config.set_dtype_policy("float32")
        model = self.ready()
        return InFloat32([weight.numpy() for weight in model.weights], _first_logs(self, model))

    def ready(self, jit_compile: bool | str = False) -> keras.Model:
        keras.utils.set_random_seed(1)
        model = self.make()
        self.compile(model, jit_compile=jit_compile)
        return model

    def train(self, model: keras.Model, **kwargs: Any) -> None:
        model.fit(*self.data, **{"batch_size": 8, "verbose": 0, **self.fit, **kwargs})

    def call(self) -> tuple[str, tuple, dict]:
        return self.outputs or ("predict", (self.data[0],), {"verbose": 0})

    def result(self, model: keras.Model) -> list[np.ndarray]:
        method, args, kwargs = self.call()
        return arrays(getattr(model, method)(*args, **kwargs))


class Trained:
    """A case's model after one `fit`, and what its weights were before. Only the last one is kept.

    A check that trains it further must be the last to use it: `Trained.last = None`.
    """

    last: "Trained | None" = None

    def __init__(self, case: ModelCase) -> None:
        self.case = case
        self.model = case.ready()
        self.trainable = {weight.path for weight in self.model.trainable_weights}
        self.before = {weight.path: weight.numpy() for weight in self.model.weights}
        case.train(self.model)


def arrays(structure: Any) -> list[np.ndarray]:
    return [np.asarray(leaf) for leaf in keras.tree.flatten(structure)]


def assert_equal_outputs(actual: Any, expected: Any, tolerance: float = 1e-5) -> None:
    actual, expected = arrays(actual), arrays(expected)
    assert len(actual) == len(expected)
    for one, other in zip(actual, expected):
        np.testing.assert_allclose(one, other, rtol=tolerance, atol=tolerance)


def check_config_round_trip(case: ModelCase, tools: Tools) -> None:
    model = case.make()
    config = model.get_config()
    again = type(model).from_config(config)
    # JSON is what a file holds, so compare what would be written.
    assert keras.saving.serialize_keras_object(again) == keras.saving.serialize_keras_object(model)
    assert [w.shape for w in again.weights] == [w.shape for w in model.weights]


def check_right_weights_move(case: ModelCase, tools: Tools) -> None:
    trained = case.trained()
    assert trained.trainable, "nothing trains, so this check cannot fail"
    assert len(trained.before) == len(trained.model.weights), "two weights share a path"
    moves = case.moves or trained.trainable.__contains__
    for weight in trained.model.weights:
        if case.may_move(weight.path):
            continue
        moved = not np.array_equal(trained.before[weight.path], weight.numpy())
        assert moved == moves(weight.path), f"{weight.path} moved: {moved}"


def check_file_in_new_process(case: ModelCase, tools: Tools) -> None:
    model = case.trained().model
    path = tools.folder / "model.keras"
    model.save(path)
    method, args, kwargs = case.call()
    result = tools.fresh_process.call(path, method, *args, imports=case.imports, **kwargs)
    assert_equal_outputs(result, case.result(model))


def check_training_goes_on_from_file(case: ModelCase, tools: Tools) -> None:
    model = case.trained().model
    Trained.last = None
    # Frozen since the last fit, in a place that no constructor knows of.
    frozen = _one_of_several_layers_that_train(model)
    if frozen is not None:
        frozen.trainable = False
        kept = [weight.numpy() for weight in frozen.weights]
    path = tools.folder / "model.keras"
    model.save(path)
    with warnings.catch_warnings():
        warnings.filterwarnings("error", message="Skipping variable loading")
        loaded = keras.saving.load_model(path)
    assert _flags(loaded) == _flags(model)
    for one, other in zip(model.weights, loaded.weights):
        np.testing.assert_array_equal(one.numpy(), other.numpy(), err_msg=one.path)
    assert _optimizer_states(loaded) == _optimizer_states(model)
    case.train(model)
    case.train(loaded)
    if frozen is not None:
        for old, weight in zip(kept, frozen.weights):
            np.testing.assert_array_equal(old, weight.numpy())
    for one, other in zip(model.weights, loaded.weights):
        np.testing.assert_allclose(one.numpy(), other.numpy(), atol=1e-6, err_msg=one.path)


def _one_of_several_layers_that_train(model: keras.Model) -> keras.layers.Layer | None:
    leaves = [
        layer
        for layer in flat_layers(model)
        if layer.trainable_weights and not any(each.weights for each in layer._layers)
    ]
    return leaves[-1] if len(leaves) > 2 else None


def _flags(model: keras.Model) -> tuple:
    return [layer.trainable for layer in flat_layers(model)], [w.trainable for w in model.weights]


def _optimizer_states(model: keras.Model) -> list:
    return [
        [np.asarray(variable).tolist() for variable in optimizer.variables]
        for optimizer, _ in model.optimized()
        if optimizer is not None
    ]


def check_save_and_load_weights(case: ModelCase, tools: Tools) -> None:
    model = case.trained().model
    path = tools.folder / "model.weights.h5"
    model.save_weights(path)
    other = case.ready()
    other.load_weights(path)
    assert_equal_outputs(case.result(other), case.result(model))


def _check_mixed_precision(policy: str, case: ModelCase, tools: Tools) -> None:
    """Half precision is where a network computes, and nowhere else: held by values.

    What is summed, averaged or stored in half precision lies on its grid, where of float32 values
    one in thousands does. Its weights and the first step's logs are compared with those of the same
    model in float32.
    """
    half = HALF_BITS[policy]
    expected = case.in_float32
    keras.config.set_dtype_policy(policy)
    model = case.ready()
    assert len(model.weights) == len(expected.weights)
    tolerance = HALF_TOLERANCE[policy]
    for weight, value in zip(model.weights, expected.weights):
        # Most are equal; what the constructor computes, by a style's image say, is near.
        np.testing.assert_allclose(weight.numpy(), value, tolerance, tolerance, err_msg=weight.path)
        if not _on_grid(value, half):
            assert not _on_grid(weight.numpy(), half), f"{weight.path} is made in half precision"
    logs = _first_logs(case, model)
    assert logs.keys() == expected.logs.keys()
    for name, value in logs.items():
        wanted = expected.logs[name]
        if not _draws_masks(model):
            close = tolerance * max(1.0, abs(wanted))
            assert abs(value - wanted) <= close, f"{name}: {value}, and {wanted} in float32"
        # The mean of eight numbers on the grid has three bits more.
        if not _on_grid(wanted, half + 3):
            assert not _on_grid(value, half + 3), f"{name} is a number of half precision: {value}"

    before = [weight.numpy() for weight in model.weights]
    case.train(model)
    moved = [
        weight
        for weight, old in zip(model.weights, before)
        if np.issubdtype(old.dtype, np.inexact) and not np.array_equal(old, weight.numpy())
    ]
    assert any(weight.trainable for weight in moved)
    for weight in [w for w in model.trainable_weights if keras.backend.is_float_dtype(w.dtype)]:
        assert weight.dtype == "float32", weight.path
    for weight in moved:
        # Few values may lie there by chance; a pool holds images as the networks made them.
        if np.size(weight.numpy()) > 3 and "pool" not in weight.path:
            assert not _on_grid(weight.numpy(), half), f"{weight.path} is stored in half precision"
    assert all(np.isfinite(output).all() for output in case.result(model))

    # So small that half precision would not see the difference.
    if all(_set_learning_rate(optimizer, 1e-5) for optimizer, _ in model.optimized()):
        before = {weight.path: weight.numpy() for weight in model.trainable_weights}
        case.train(model)
        for weight in moved:
            if weight.trainable:
                lost = np.array_equal(before[weight.path], weight.numpy())
                assert not lost, f"a small update of {weight.path} is lost"


# About sixteen roundings on the way: 2**-11 each in float16, 2**-8 in bfloat16.
HALF_TOLERANCE = {"mixed_float16": 2e-2, "mixed_bfloat16": 6e-2}
HALF_BITS = {"mixed_float16": 11, "mixed_bfloat16": 8}


@dataclasses.dataclass
class InFloat32:
    """The weights of a case's model before training, and the logs of its first step."""

    weights: list[np.ndarray]
    logs: dict[str, float]


def _first_logs(case: ModelCase, model: keras.Model) -> dict[str, float]:
    seen: list[dict[str, float]] = []
    look = keras.callbacks.LambdaCallback(on_train_batch_end=lambda _, logs: seen.append({**logs}))
    case.train(model, steps_per_epoch=1, epochs=1, callbacks=[look])
    return {name: float(value) for name, value in seen[0].items()}


def _on_grid(values: Any, bits: int) -> bool:
    """Whether all values have no more significant bits than that, of the 24 of float32."""
    fraction, _ = np.frexp(np.asarray(values, "float64"))
    return bool(np.all(fraction * 2.0**bits % 1.0 == 0.0))


def _draws_masks(model: keras.Model) -> bool:
    """Whether a layer of Keras draws numbers, which are others in half precision."""
    return any(getattr(layer, "seed_generator", None) is not None for layer in flat_layers(model))


def _set_learning_rate(optimizer: keras.optimizers.Optimizer | None, value: float) -> bool:
    """Of an optimizer and of those in it; whether it can be set, unlike a schedule."""
    inner = [getattr(optimizer, "inner_optimizer", None), *getattr(optimizer, "optimizers", [])]
    inner = [each for each in inner if each is not None]
    if inner:
        return all(_set_learning_rate(each, value) for each in inner)
    try:
        optimizer.learning_rate = value
    except (AttributeError, TypeError):
        return False
    return True


def check_mixed_float16(case: ModelCase, tools: Tools) -> None:
    _check_mixed_precision("mixed_float16", case, tools)


def check_mixed_bfloat16(case: ModelCase, tools: Tools) -> None:
    _check_mixed_precision("mixed_bfloat16", case, tools)


def check_validation_logs(case: ModelCase, tools: Tools) -> None:
    """What is logged with `val_` has the parts of what bears the same name without.

    Where nothing moves and nothing is drawn, both are equal on the same data.
    """
    if not case.evaluates:
        return
    model = case.ready()
    rests = all(_set_learning_rate(optimizer, 0.0) for optimizer, _ in model.optimized())
    still = _let_nothing_be_drawn(model) and rests
    # Of spectral norms the power iteration converges meanwhile.
    epochs = 20 if still else 1
    case.train(
        model,
        epochs=epochs,
        batch_size=len(keras.tree.flatten(case.data)[0]),
        shuffle=False,
        validation_data=case.data if len(case.data) > 1 else case.data[0],
        validation_freq=epochs,
    )
    logs = {name: values[-1] for name, values in model.history.history.items()}
    validation = {name[4:]: value for name, value in logs.items() if name.startswith("val_")}
    training = {name: value for name, value in logs.items() if not name.startswith("val_")}
    assert validation.keys() - training.keys() <= ONLY_IN_VALIDATION
    assert training.keys() - validation.keys() <= ONLY_IN_TRAINING
    if still:
        for name in validation.keys() & training.keys():
            np.testing.assert_allclose(
                validation[name], training[name], rtol=1e-3, atol=1e-5, err_msg=name
            )


ONLY_IN_VALIDATION = {"active_units", "psnr", "ssim"}
ONLY_IN_TRAINING = {
    "augmentation_probability",
    "discrepancy",
    "discriminator_gradient_norm",
    "generator_gradient_norm",
    "gradient_norm",
    "learning_rate",
}


def _let_nothing_be_drawn(model: keras.Model) -> bool:
    """The same noise in training and validation, and moving statistics in both; whether it can."""
    if not isinstance(model, GenerativeModel) and getattr(model, "augmentation", None):
        return False
    for layer in flat_layers(model):
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.trainable = False
        elif isinstance(layer, keras.layers.Dropout):
            layer.rate = 0.0
        elif getattr(layer, "seed_generator", None) is not None:
            return False
    draw = model.draw_noise

    def draw_once(data: Any, seed: Any, training: bool) -> Any:
        if not isinstance(model, GenerativeModel):
            return draw(data, seed, training)
        return _without_corruption(model, draw(data, tf.constant([1, 2]), True))

    model.draw_noise = draw_once
    return True


def _without_corruption(model: keras.Model, noise: Any) -> Any:
    if isinstance(noise, dict):
        return {**noise, "phases": _without_corruption(model, noise["phases"])}
    if not isinstance(noise, list):
        return noise
    clean: list[dict[str, Any]] = []
    for phase in noise:
        if "latent" not in phase:
            # Those of pools, which hand out older images.
            return []
        latent = phase["latent"]
        if isinstance(latent, (list, tuple)):
            latent = [tf.ones_like(mask) for mask in latent]
        clean.append({**phase, "latent": latent, "real": {}, "fake": {}})
        clean[-1].pop("dropped", None)
    return [clean[0]] * len(clean)


def check_frozen_between_fits(case: ModelCase, tools: Tools) -> None:
    """A layer of each optimizer is frozen between two fits, and trains again after."""
    model = case.ready()
    if not all(_set_learning_rate(optimizer, 0.01) for optimizer, _ in model.optimized()):
        return
    start = _values(model)
    case.train(model)
    moves = {path for path in _values(model) if _differs(start, model, path)}
    chosen = [_a_layer_of(model, variables, moves) for _, variables in model.optimized()]
    chosen = [layer for layer in chosen if layer is not None]
    if not chosen and len(model.trainable_weights) <= 2:
        # A head alone: without it nothing would train.
        return
    assert chosen, "nothing can be frozen, so this check cannot fail"
    optimizers = [optimizer for optimizer, _ in model.optimized()]
    steps = [int(optimizer.iterations.numpy()) for optimizer in optimizers]
    slots = [_slots(optimizer) for optimizer in optimizers]
    for layer in chosen:
        layer.trainable = False
    frozen = {weight.path for layer in chosen for weight in layer.weights}
    model.make_train_function()
    for optimizer, before in zip(optimizers, slots):
        for key, value in _slots(optimizer).items():
            np.testing.assert_array_equal(value, before[key], err_msg=str(key))

    before = _values(model)
    case.train(model)
    expected = (moves & {weight.path for weight in model.trainable_weights}) - frozen
    assert {path for path in frozen if _differs(before, model, path)} == set()
    assert {path for path in expected if not _differs(before, model, path)} == set()
    assert [optimizer for optimizer, _ in model.optimized()] == optimizers
    assert [int(optimizer.iterations.numpy()) for optimizer in optimizers] == [
        2 * count for count in steps
    ]

    for layer in chosen:
        layer.trainable = True
    before = _values(model)
    case.train(model)
    again = {weight.path for layer in chosen for weight in layer.trainable_weights}
    still = {path for path in again if not _differs(before, model, path)}
    assert not still, still


def _values(model: keras.Model) -> dict[str, np.ndarray]:
    return {weight.path: weight.numpy() for weight in model.weights}


def _differs(before: dict[str, np.ndarray], model: keras.Model, path: str) -> bool:
    now = next(weight for weight in model.weights if weight.path == path)
    return not np.array_equal(before[path], now.numpy())


def _a_layer_of(
    model: keras.Model, variables: list[keras.Variable], moves: set[str]
) -> keras.layers.Layer | None:
    """A layer without layers in it, all of whose trainable weights moved, and not the only one."""
    theirs = {id(variable) for variable in variables}
    for layer in flat_layers(model):
        own = layer.trainable_weights
        alone = len(list(layer._flatten_layers())) == 1
        if (
            alone
            and 0 < len(own) < len(theirs)
            and all(id(weight) in theirs and weight.path in moves for weight in own)
        ):
            return layer
    return None


def _slots(optimizer: Any) -> dict[tuple[str, int], np.ndarray]:
    """The state of each variable that an optimizer trains: moments and the like."""
    variables = list(getattr(optimizer, "_trainable_variables", ()))
    return {
        (name, id(variable)): slot.numpy()
        for name, value in vars(optimizer).items()
        if name not in ("_trainable_variables", "_variables") and isinstance(value, list)
        if len(value) == len(variables) and all(isinstance(e, keras.Variable) for e in value)
        for variable, slot in zip(variables, value)
    }


def check_xla_equals_plain(case: ModelCase, tools: Tools) -> None:
    if not case.supports_xla:
        return
    plain, fast = case.trained().model, case.ready(jit_compile=True)
    assert fast.jit_compile
    case.train(fast)
    if not case.same_under_xla:
        assert all(np.isfinite(output).all() for output in case.result(fast))
        return
    for one, other in zip(plain.weights, fast.weights):
        np.testing.assert_allclose(
            one.numpy(), other.numpy(), rtol=1e-3, atol=1e-4, err_msg=one.path
        )


def _check_two_replicas(jit_compile: bool, case: ModelCase, tools: Tools) -> None:
    if jit_compile and not case.supports_xla:
        return
    with tools.two_replicas.scope():
        two = case.ready(jit_compile=jit_compile)
    case.train(two)
    assert_mirrored(two)
    # Values of a model of replicas are mirrored, and Python must read them to write the file.
    two.save(tools.folder / "replicas.keras")
    if case.tolerance is not None:
        one = case.trained().model
        for alone, together in zip(one.trainable_weights, two.trainable_weights):
            np.testing.assert_allclose(
                alone.numpy(), together.numpy(), atol=case.tolerance, err_msg=alone.path
            )


def check_two_replicas(case: ModelCase, tools: Tools) -> None:
    _check_two_replicas(False, case, tools)


def check_replicas(case: ModelCase, tools: Tools) -> None:
    """Two replicas, compiled where the model can be, against one that is not: both at once."""
    _check_two_replicas(case.supports_xla, case, tools)


def assert_mirrored(model: keras.Model) -> None:
    """Both replicas hold the same trainable weights."""
    for weight in model.trainable_weights:
        first, second = (copy.numpy() for copy in weight.value.values)
        np.testing.assert_array_equal(first, second, err_msg=weight.path)


FAST_MODEL_CHECKS = [
    check_config_round_trip,
    check_right_weights_move,
    check_save_and_load_weights,
]
SLOW_MODEL_CHECKS = [
    check_validation_logs,
    check_frozen_between_fits,
    check_file_in_new_process,
    check_mixed_bfloat16,
    check_mixed_float16,
    check_xla_equals_plain,
    check_replicas,
    check_training_goes_on_from_file,
]


def _parameters(fast: list[Callable], slow: list[Callable]) -> list:
    quick = [pytest.param(check, id=check.__name__.removeprefix("check_")) for check in fast]
    return quick + [
        pytest.param(check, id=check.__name__.removeprefix("check_"), marks=pytest.mark.slow)
        for check in slow
    ]


MODEL_CHECKS = _parameters(FAST_MODEL_CHECKS, SLOW_MODEL_CHECKS)


@dataclasses.dataclass
class LayerCase:
    """A layer under test: checked alone, and as the base of a small classifier.

    Attributes:
        make: Makes the layer.
        inputs: A batch of at most a few dozen rows, or a structure of such.
        moves: As in `ModelCase`, for the layer's weights.
        may_move: As in `ModelCase`.
        imports: Modules that a new process must import to know the class.
        supports_xla: Whether XLA can compile it.
    """

    make: Callable[[], keras.layers.Layer]
    inputs: Any
    moves: Callable[[str], bool] | None = None
    may_move: Callable[[str], bool] = lambda path: False
    imports: tuple[str, ...] = ()
    supports_xla: bool = True

    @functools.cached_property
    def as_model(self) -> ModelCase:
        return ModelCase(
            make=functools.partial(_classifier_on, self),
            data=(self.inputs, np.arange(len(keras.tree.flatten(self.inputs)[0])) % 3),
            compile=_compile_classifier,
            moves=self.moves,
            may_move=self.may_move,
            imports=(*self.imports, "tests.training.models"),
            supports_xla=self.supports_xla,
        )


def _classifier_on(case: LayerCase) -> keras.Model:
    inputs = keras.tree.map_structure(
        lambda value: keras.Input(value.shape[1:], dtype=str(value.dtype)), case.inputs
    )
    features = keras.tree.flatten(case.make()(inputs))[-1]
    if len(features.shape) > 2:
        features = keras.layers.Flatten()(features)
    head = keras.layers.Dense(3, dtype="float32", name="head")
    return NetworkModel(keras.Model(inputs, head(features)))


def _compile_classifier(model: keras.Model, **kwargs: Any) -> None:
    model.compile(
        optimizer=keras.optimizers.Adam(0.01),
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        **kwargs,
    )


def check_layer_config_round_trip(case: LayerCase, tools: Tools) -> None:
    layer = case.make()
    layer(case.inputs)
    config = layer.get_config()
    again = type(layer).from_config(config)
    assert again.get_config() == config
    again(case.inputs)
    assert [w.shape for w in again.weights] == [w.shape for w in layer.weights]


def check_symbolic_equals_eager_shape(case: LayerCase, tools: Tools) -> None:
    layer = case.make()
    symbolic = layer(
        keras.tree.map_structure(
            lambda value: keras.Input(value.shape[1:], dtype=str(value.dtype)), case.inputs
        )
    )
    eager = layer(case.inputs)
    for one, other in zip(keras.tree.flatten(symbolic), keras.tree.flatten(eager)):
        assert one.shape[1:] == tuple(other.shape[1:])
        assert one.dtype == keras.backend.standardize_dtype(other.dtype)


def _as_model_check(check: Callable[[ModelCase, Tools], None]) -> Callable:
    @functools.wraps(check)
    def run(case: LayerCase, tools: Tools) -> None:
        check(case.as_model, tools)

    return run


LAYER_CHECKS = _parameters(
    [
        check_layer_config_round_trip,
        check_symbolic_equals_eager_shape,
        *[_as_model_check(check) for check in FAST_MODEL_CHECKS[1:]],
    ],
    [_as_model_check(check) for check in SLOW_MODEL_CHECKS[2:]],
)

# What a case adds to its family is its loss and its networks; how it is written and taken up again
# it shares.
_OF_EACH_CASE = (
    "config_round_trip",
    "layer_config_round_trip",
    "symbolic_equals_eager_shape",
    "right_weights_move",
)


def every_check(names: Iterable[str], checks: list = MODEL_CHECKS) -> list:
    """Parameters `(name, check)`: every check of every case.

    The first case stands for its family: of the others, what goes beyond configurations and
    gradients is done with the long tests.
    """
    return [
        pytest.param(
            name,
            *check.values,
            id=f"{name}-{check.id}",
            marks=[
                *check.marks,
                *([pytest.mark.long] if place and check.id not in _OF_EACH_CASE else []),
            ],
        )
        for place, name in enumerate(names)
        for check in checks
    ]


# How a step is compiled, cast, spread over replicas, evaluated and frozen is the training core's:
# these files prove it, one for each kind of step, and other models do so with the long tests.
_OF_THE_CORE = {
    f"check_{name}"
    for name in (
        "validation_logs",
        "frozen_between_fits",
        "mixed_bfloat16",
        "mixed_float16",
        "xla_equals_plain",
        "replicas",
        "two_replicas",
    )
}
_CORE = ("test_trainer", "test_vae", "test_gan", "test_transfer_model")


def is_proven_by_the_core(item: pytest.Item) -> bool:
    """Whether a test is a check of a model whose kind of step another file's model stands for."""
    check = getattr(item, "callspec", None) and item.callspec.params.get("check")
    name = getattr(check, "__name__", None)
    return name in _OF_THE_CORE and item.path.stem not in _CORE
