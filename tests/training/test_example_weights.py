"""One check of weights for every model, and one meaning."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import keras_transgen as ktg
from keras_transgen.training.example_weights import weighed_by_class, weights_by_class
from keras_transgen.transfer import FeatureTransfer, StructureTransfer, TransferModel
from tests.training.models import NetworkModel
from tests.transfer.tiny import IMAGES, LABELS, backbone

KINDS = {
    "TransferModel": lambda **kwargs: TransferModel(backbone(), 3, seed=0, **kwargs),
    "FeatureTransfer": lambda **kwargs: FeatureTransfer(backbone(), 3, l2=0.1, seed=0, **kwargs),
    "StructureTransfer": lambda **kwargs: StructureTransfer(
        backbone(), 3, method="lora", rank=2, seed=0, **kwargs
    ),
}
WRONG = [
    ({0: 1.0, 1: -2.0}, "must not be negative"),
    ({0: 1.0, 3: 2.0}, r"do not exist.*Received: \[3\]"),
    ({-1: 2.0}, r"do not exist"),
    ([1.0, 2.0, 1.0], r"dict\(enumerate"),
    ({"cats": 2.0}, "numbers of classes"),
    ({0: float("nan")}, "must be finite numbers"),
    ({0: float("inf")}, "must be finite numbers"),
    ({0: "2"}, "must be finite numbers"),
    ({0: 0.0, 1: 0.0, 2: 0.0}, "one at least must be positive"),
]


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_transfer_refuses_the_same(kind):
    model = KINDS[kind]()
    data = tf.data.Dataset.from_tensor_slices((IMAGES, LABELS)).batch(8)
    for weights, message in WRONG:
        for arguments in ({"x": IMAGES, "y": LABELS}, {"x": data}):
            with pytest.raises(ValueError, match=message):
                model.fit(**arguments, class_weight=weights, verbose=0)


def _trained(kind, *data, **kwargs):
    keras.utils.set_random_seed(0)
    model = KINDS[kind]()
    # Adam's first step tells of signs only.
    model.compile(keras.optimizers.SGD(0.5))
    model.fit(*data, shuffle=False, verbose=0, **kwargs)
    return np.concatenate([weight.numpy().ravel() for weight in model.head.weights])


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["TransferModel", "FeatureTransfer"])
def test_classes_left_out_weigh_one_and_both_weights_are_multiplied(kind):
    own = np.linspace(0.5, 2.0, 24).astype("float32")
    by_class = np.array([1.0, 3.0, 1.0], "float32")[LABELS]
    expected = _trained(kind, IMAGES, LABELS, sample_weight=own * by_class)
    both = _trained(kind, IMAGES, LABELS, sample_weight=own, class_weight={1: 3.0})
    np.testing.assert_allclose(both, expected, rtol=1e-5, atol=1e-6)
    rows = np.eye(3, dtype="float32")[LABELS]
    both = _trained(kind, IMAGES, rows, sample_weight=own, class_weight={1: 3.0})
    np.testing.assert_allclose(both, expected, rtol=1e-4, atol=1e-5)
    data = tf.data.Dataset.from_tensor_slices((IMAGES, LABELS, own)).batch(32)
    np.testing.assert_allclose(
        _trained(kind, data, class_weight={1: 3.0}), expected, rtol=1e-4, atol=1e-5
    )
    alone = _trained(kind, IMAGES, LABELS, sample_weight=by_class)
    data = tf.data.Dataset.from_tensor_slices((IMAGES, LABELS)).batch(32)
    for given in ((IMAGES, LABELS), (data,)):
        np.testing.assert_allclose(
            _trained(kind, *given, class_weight={1: 3.0}), alone, rtol=1e-4, atol=1e-5
        )


class Rows(keras.utils.PyDataset):
    """Batches of ten examples."""

    def __init__(self, *arrays):
        super().__init__()
        self.arrays = arrays

    def __len__(self):
        return 3

    def __getitem__(self, index):
        return tuple(array[10 * index : 10 * index + 10] for array in self.arrays)


@pytest.mark.parametrize("own", [pytest.param(False, marks=pytest.mark.long), True])
@pytest.mark.parametrize("data", ["rows", "generator", "pandas", "data set", "arrays", "endless"])
def test_classes_weigh_in_whatever_data(data, own):
    pandas = pytest.importorskip("pandas") if data == "pandas" else None
    weights = np.linspace(0.5, 2.0, 24).astype("float32")
    by_class = np.array([0.25, 3.0, 1.0], "float32")[LABELS]
    expected = _trained(
        "TransferModel",
        IMAGES,
        LABELS,
        batch_size=10,
        sample_weight=weights * by_class if own else by_class,
    )
    parts = (IMAGES, LABELS, weights) if own else (IMAGES, LABELS)
    options = {"class_weight": {0: 0.25, 1: 3.0}}
    if data == "arrays":
        given = parts[:2]
    elif data == "pandas":
        given = (IMAGES, pandas.Series(LABELS, index=np.arange(24)[::-1]))
    elif data == "data set":
        given = (tf.data.Dataset.from_tensor_slices(parts).batch(10),)
    else:
        rows = Rows(*parts)
        given = (rows if data == "rows" else (rows[i % 3] for i in range(30)),)
        options |= {"steps_per_epoch": 3} if data == "endless" else {}
        if data == "generator":
            given = ((rows[i] for i in range(3)),)
    if data in ("arrays", "pandas"):
        options["batch_size"] = 10
        if own:
            options["sample_weight"] = pandas.Series(weights) if pandas else weights
    found = _trained("TransferModel", *given, **options)
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("rows", [False, True])
def test_labels_of_a_width_that_only_batches_tell(rows):
    by_class = np.array([0.25, 3.0, 1.0], "float32")[LABELS]
    expected = _trained("TransferModel", IMAGES, LABELS, batch_size=10, sample_weight=by_class)
    y = np.eye(3, dtype="float32")[LABELS] if rows else LABELS[:, None]
    for width in (None, y.shape[1]):
        data = tf.data.Dataset.from_generator(
            lambda: iter([(IMAGES[i : i + 10], y[i : i + 10]) for i in (0, 10, 20)]),
            output_signature=(
                tf.TensorSpec([None, *IMAGES.shape[1:]]),
                tf.TensorSpec([None, width], tf.float32 if rows else tf.int64),
            ),
        )
        if not rows and width is None:
            # Keras cannot tell which loss they need.
            weights = weighed_by_class(next(iter(data)), np.array([0.25, 3.0, 1.0]))[2]
            np.testing.assert_allclose(weights, by_class[:10])
            continue
        found = _trained("TransferModel", data, class_weight={0: 0.25, 1: 3.0})
        np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)


def test_weights_of_one_fit_are_not_those_of_the_next():
    model = KINDS["TransferModel"]()
    model.compile(keras.optimizers.SGD(0.0), jit_compile=False)
    losses = [
        model.fit(IMAGES, LABELS, batch_size=24, class_weight=weights, verbose=0).history["loss"][0]
        for weights in (None, {0: 2.0, 1: 2.0, 2: 2.0}, {0: 4.0, 1: 4.0, 2: 4.0}, None)
    ]
    np.testing.assert_allclose(losses, np.array([1, 2, 4, 1]) * losses[0], rtol=1e-5)


@pytest.mark.parametrize("bad", [-1.0, np.nan, np.inf])
@pytest.mark.parametrize("kind", ["TransferModel", "VAE"])
def test_weights_of_a_later_batch(kind, bad):
    weights = np.ones(24, "float32")
    weights[17] = bad
    model = KINDS[kind]() if kind in KINDS else ktg.VAE((8, 8, 1), 2)
    data = tf.data.Dataset.from_tensor_slices((IMAGES, LABELS, weights)).batch(8)
    with pytest.raises(ValueError, match="finite and not negative, in every batch"):
        model.fit(data, verbose=0)
    assert int(model.progress.step) == 2


def test_labels_of_several_parts_have_no_classes():
    model = NetworkModel(keras.Sequential([keras.Input((2, 4)), keras.layers.Dense(3)]))
    model.compile("sgd", "mse")
    with pytest.raises(ValueError, match="one label an example"):
        model.fit(np.ones((6, 2, 4)), np.ones((6, 2, 3)), class_weight={0: 2.0}, verbose=0)


@pytest.mark.parametrize("solver", ["lbfgs", "sgd"])
def test_the_loss_of_features_has_both_weights(solver):
    own, by_class = np.linspace(0.5, 2.0, 24), np.array([1.0, 3.0, 7.0])[LABELS]
    model = FeatureTransfer(backbone(), 3, l2=0.1, seed=0, solver=solver)
    if solver == "sgd":
        model.compile(keras.optimizers.SGD(0.0), jit_compile=False)
    weights = {"sample_weight": own, "class_weight": {1: 3.0, 2: 7.0}}
    found = model.fit(IMAGES, LABELS, batch_size=24, verbose=0, **weights).history["loss"][-1]
    p = model.predict_probabilities(IMAGES, verbose=0)[np.arange(24), LABELS]
    assert found == pytest.approx(np.mean(-np.log(p) * own * by_class), rel=1e-4)
    centroid = FeatureTransfer(backbone(), 3, classifier="nearest_centroid")
    with pytest.raises(ValueError, match="same whatever the class weighs"):
        centroid.fit(IMAGES, LABELS, class_weight={1: 2.0}, verbose=0)


def test_names_have_no_numbers_to_weigh_by():
    with pytest.raises(ValueError, match="Give names numbers first"):
        ktg.VAE((8, 8, 1), 2).fit(IMAGES, LABELS.astype(str), class_weight={0: 2.0}, verbose=0)


@pytest.mark.parametrize(
    "weights", [np.full(24, -1.0), np.full(24, np.nan), np.zeros(24), np.array(["a"] * 24)]
)
def test_wrong_sample_weights(weights):
    with pytest.raises(ValueError, match="Sample weights must"):
        KINDS["TransferModel"]().fit(IMAGES, LABELS, sample_weight=weights, verbose=0)
    vae = ktg.VAE((8, 8, 1), 2)
    with pytest.raises(ValueError, match="Sample weights must"):
        vae.fit(IMAGES, sample_weight=weights, verbose=0)


def test_several_labels_have_no_classes_to_weigh():
    model = TransferModel(backbone(), 3, task="multi_label")
    with pytest.raises(ValueError, match="use sample_weight"):
        model.fit(IMAGES, np.eye(3)[LABELS], class_weight={0: 2.0}, verbose=0)


def test_players_refuse_weights_of_arrays_and_data_sets():
    model = ktg.ConditionalGAN(num_classes=3, image_shape=(8, 8, 1), value_range=(0.0, 1.0))
    data = tf.data.Dataset.from_tensor_slices((IMAGES, LABELS)).batch(8)
    for given in ((IMAGES, LABELS), (data,)):
        for weights in ({0: 1.0, 1: 1.0, 2: 2.0}, {0: 2.0}):
            with pytest.raises(ValueError, match="does not weigh examples"):
                model.fit(*given, class_weight=weights, verbose=0)
    with pytest.raises(ValueError, match="does not weigh examples"):
        model.fit(IMAGES, LABELS, sample_weight=np.ones(24), verbose=0)


def test_a_vae_weighs_classes():
    assert np.isfinite(
        ktg.VAE((8, 8, 1), 2).fit(IMAGES, LABELS, class_weight={1: 2.0}, verbose=0).history["loss"]
    )
    with pytest.raises(ValueError, match="pass y with class_weight"):
        ktg.VAE((8, 8, 1), 2).fit(IMAGES, class_weight={1: 2.0}, verbose=0)


def test_weights_by_class_are_numpys():
    weights = weights_by_class({np.int64(2): np.float32(4.0)}, 4)
    np.testing.assert_array_equal(weights, [1.0, 1.0, 4.0, 1.0])
