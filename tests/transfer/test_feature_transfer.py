"""FeatureTransfer: the head is scikit-learn's, the model ordinary, the data are read once."""

import threading

import keras
import numpy as np
import pytest
import tensorflow as tf
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.neighbors import KNeighborsClassifier

import keras_transgen as ktg
from keras_transgen.transfer import FeatureTransfer, cached_features
from tests.harness import ModelCase as Case
from tests.harness import (
    Tools,
    check_config_round_trip,
    check_file_in_new_process,
    check_save_and_load_weights,
)
from tests.transfer.tiny import IMAGES, LABELS, backbone

RNG = np.random.default_rng(11)
HELD_OUT = np.clip(IMAGES + RNG.normal(size=IMAGES.shape) * 0.1, 0, 1).astype("float32")


def features_of(images):
    return backbone()(images).numpy().mean(axis=(1, 2))


def make_case(**kwargs) -> Case:
    return Case(
        make=lambda: FeatureTransfer(backbone(), 3, name="features", **kwargs),
        data=(IMAGES, LABELS),
        compile=lambda model, **arguments: model.compile(**arguments),
        imports=("keras_transgen.transfer.feature_transfer",),
    )


CASES = {
    "linear": make_case(),
    "nearest_centroid": make_case(classifier="nearest_centroid"),
    "layers": make_case(layers=["stem_relu", "block_2_conv"]),
}


@pytest.mark.parametrize(
    "check",
    [
        check_config_round_trip,
        check_save_and_load_weights,
        pytest.param(check_file_in_new_process, marks=pytest.mark.slow),
    ],
)
@pytest.mark.parametrize("name", CASES)
def test_model(check, name, tools: Tools):
    check(CASES[name], tools)


@pytest.mark.slow
def test_neighbours_in_a_new_process(tools):
    check_file_in_new_process(make_case(classifier="k_nearest_neighbours", k=3), tools)


def test_head_is_scikit_learns_on_the_features():
    model = FeatureTransfer(backbone(), 3, l2=1e-4)
    history = model.fit(IMAGES, LABELS, validation_data=(HELD_OUT, LABELS), verbose=0).history
    features = features_of(IMAGES)
    expected = LogisticRegression(C=1 / (1e-4 * 24), tol=1e-10, max_iter=50000)
    expected.fit(features, LABELS)
    probabilities = expected.predict_proba(features)
    found = model.predict_probabilities(IMAGES, verbose=0)
    np.testing.assert_allclose(found, probabilities, atol=1e-3)
    assert history["accuracy"] == [pytest.approx(expected.score(features, LABELS))]
    held_out_score = expected.score(features_of(HELD_OUT), LABELS)
    assert history["val_accuracy"] == [pytest.approx(held_out_score)]


def test_history_is_what_evaluate_measures():
    model = FeatureTransfer(backbone(), 3)
    history = model.fit(IMAGES, LABELS, validation_data=(HELD_OUT, LABELS), verbose=0).history
    for x, prefix in ((IMAGES, ""), (HELD_OUT, "val_")):
        found = model.evaluate(x, LABELS, verbose=0, return_dict=True)
        for name in ("loss", "accuracy"):
            assert history[prefix + name][0] == pytest.approx(found[name], abs=1e-5)


def test_validation_data_are_measured_and_never_fitted_to():
    kernels = []
    for labels in (LABELS, (LABELS + 1) % 3):
        model = FeatureTransfer(backbone(), 3)
        model.fit(IMAGES, LABELS, validation_data=(HELD_OUT, labels), verbose=0)
        kernels.append(model.head.kernel.numpy())
    np.testing.assert_array_equal(*kernels)


def test_backbone_stays_bit_for_bit_even_one_made_to_train():
    base = backbone(trainable=True, normalization="adapt")
    before = [weight.numpy() for weight in base.weights]
    FeatureTransfer(base, 3).fit(IMAGES, LABELS, verbose=0)
    for old, new in zip(before, base.weights):
        np.testing.assert_array_equal(old, new.numpy())


def test_every_form_of_data_gives_one_head():
    def head(*data, **kwargs):
        model = FeatureTransfer(backbone(), 3, l2=1e-3)
        model.fit(*data, verbose=0, **kwargs)
        return model.head.kernel.numpy()

    expected = head(IMAGES, LABELS)
    dataset = tf.data.Dataset.from_tensor_slices((IMAGES, LABELS))
    np.testing.assert_allclose(head(dataset.batch(7)), expected, atol=1e-4)
    np.testing.assert_allclose(
        head(dataset.shuffle(24, seed=1).batch(5).repeat(), steps_per_epoch=5), expected, atol=1e-4
    )
    np.testing.assert_allclose(head(IMAGES, LABELS.tolist()), expected, atol=1e-4)
    np.testing.assert_allclose(head(IMAGES, np.eye(3)[LABELS], batch_size=5), expected, atol=1e-4)


def test_weights_are_scikit_learns():
    weights = RNG.uniform(0.5, 2.0, size=24)
    model = FeatureTransfer(backbone(), 3, l2=1e-3)
    model.fit(IMAGES, LABELS, sample_weight=weights, class_weight={0: 3.0}, verbose=0)
    total = weights * np.where(LABELS == 0, 3.0, 1.0)
    expected = LogisticRegression(C=1 / (1e-3 * total.sum()), tol=1e-10, max_iter=50000)
    expected.fit(features_of(IMAGES), LABELS, sample_weight=total)
    np.testing.assert_allclose(
        model.predict_probabilities(IMAGES, verbose=0),
        expected.predict_proba(features_of(IMAGES)),
        atol=1e-3,
    )


def test_regression_is_ridge():
    targets = RNG.normal(size=(24, 2))
    model = FeatureTransfer(backbone(), 2, task="regression", l2=0.01)
    model.fit(IMAGES, targets, verbose=0)
    expected = Ridge(alpha=0.01 * 24).fit(features_of(IMAGES), targets)
    np.testing.assert_allclose(
        model.predict(IMAGES, verbose=0), expected.predict(features_of(IMAGES)), atol=1e-4
    )


def test_several_labels():
    labels = np.stack([LABELS == 0, LABELS > 0, LABELS == 2], axis=1).astype("int64")
    model = FeatureTransfer(backbone(), 3, task="multi_label", l2=1e-3)
    model.fit(IMAGES, labels, verbose=0)
    for label in range(3):
        expected = LogisticRegression(C=1 / (1e-3 * 24), tol=1e-10, max_iter=50000)
        expected.fit(features_of(IMAGES), labels[:, label])
        np.testing.assert_allclose(
            model.predict_probabilities(IMAGES, verbose=0)[:, label],
            expected.predict_proba(features_of(IMAGES))[:, 1],
            atol=1e-3,
        )


def test_neighbours_are_scikit_learns():
    model = FeatureTransfer(backbone(), 3, classifier="k_nearest_neighbours", k=3)
    model.fit(IMAGES, LABELS, verbose=0)
    expected = KNeighborsClassifier(3).fit(features_of(IMAGES), LABELS)
    np.testing.assert_allclose(
        model.predict_probabilities(HELD_OUT, verbose=0),
        expected.predict_proba(features_of(HELD_OUT)),
        atol=1e-3,
    )
    # Another number of examples makes another memory.
    model.fit(IMAGES[:12], LABELS[:12], verbose=0)
    expected = KNeighborsClassifier(3).fit(features_of(IMAGES[:12]), LABELS[:12])
    np.testing.assert_array_equal(
        model.classify(HELD_OUT, verbose=0), expected.predict(features_of(HELD_OUT))
    )


def test_layers_are_used_together():
    model = FeatureTransfer(backbone(), 3, layers=["stem_relu", "block_1_conv"])
    base = backbone(output_layers=["stem_relu", "block_1_conv"])
    parts = [np.asarray(each).mean(axis=(1, 2)) for each in base(IMAGES)]
    expected = np.concatenate([p / np.linalg.norm(p, axis=1, keepdims=True) for p in parts], axis=1)
    np.testing.assert_allclose(model.features(IMAGES), expected, atol=1e-5)
    model.fit(IMAGES, LABELS, verbose=0)
    assert model.head.kernel.shape == (9, 3)


def test_views_are_augmented_rows_of_the_same_example():
    flip = keras.layers.RandomFlip("horizontal", seed=1)
    model = FeatureTransfer(backbone(), 3, augmentation=flip, views=3, l2=1e-3)
    seen = []
    original = FeatureTransfer._measure

    class Recording(FeatureTransfer):
        def _measure(self, found):
            seen.append(found)
            return original(self, found)

    model.__class__ = Recording
    model.fit(IMAGES, LABELS, validation_data=(HELD_OUT, LABELS), verbose=0)
    train, held_out = seen
    assert (len(train.labels), len(held_out.labels)) == (72, 24)
    plain, flipped = features_of(IMAGES), features_of(IMAGES[:, :, ::-1])
    views = np.asarray(train.features).reshape(24, 3, -1)
    np.testing.assert_allclose(views[:, 0], plain, atol=1e-5)
    for view in (1, 2):
        as_plain = np.isclose(views[:, view], plain, atol=1e-5).all(axis=1)
        as_flipped = np.isclose(views[:, view], flipped, atol=1e-5).all(axis=1)
        assert (as_plain | as_flipped).all()
        assert 0 < as_flipped.sum() < 24


@pytest.mark.slow
def test_steps_on_cached_features_go_where_l_bfgs_does():
    options = {"optimizer": keras.optimizers.Adam(0.5), "metrics": ["accuracy"]}
    model = FeatureTransfer(backbone(), 3, solver="sgd", seed=1)
    model.compile(**options)
    history = model.fit(
        IMAGES,
        LABELS,
        epochs=20,
        batch_size=8,
        validation_data=(HELD_OUT, LABELS),
        class_weight={1: 2.0},
        verbose=0,
    ).history
    assert len(history["val_accuracy"]) == 20
    assert history["loss"][-1] < 0.5 * history["loss"][0]
    found = model.evaluate(HELD_OUT, LABELS, verbose=0, return_dict=True)
    assert history["val_loss"][-1] == pytest.approx(found["loss"], abs=1e-5)


@pytest.mark.slow
def test_a_head_of_ones_own_is_trained_on_cached_features(tmp_path):
    layers = [keras.layers.Dense(8, activation="relu"), keras.layers.Dense(3)]
    model = FeatureTransfer(backbone(), head=layers, pooling="average")
    model.compile(keras.optimizers.Adam(0.2))
    history = model.fit(IMAGES, LABELS, epochs=20, batch_size=8, verbose=0).history
    assert history["loss"][-1] < 0.5 * history["loss"][0]
    model.save(tmp_path / "own.keras")
    np.testing.assert_array_equal(
        ktg.load_model(tmp_path / "own.keras").predict(IMAGES, verbose=0),
        model.predict(IMAGES, verbose=0),
    )


def test_solver_is_chosen_by_memory(monkeypatch):
    from keras_transgen.transfer import feature_transfer

    monkeypatch.setattr(feature_transfer, "LARGEST_IN_MEMORY", 100)
    model = FeatureTransfer(backbone(), 3)
    assert len(model.fit(IMAGES, LABELS, epochs=2, verbose=0).history["loss"]) == 2


ONE_AT_A_TIME = threading.Lock()


@keras.saving.register_keras_serializable("tests")
class Counting(keras.layers.Layer):
    """Counts the batches that pass."""

    batches = 0

    def call(self, x):
        def count():
            # Two batches are on their way at once.
            with ONE_AT_A_TIME:
                Counting.batches += 1

        tf.py_function(count, [], [])
        return x


def test_features_are_found_again(tmp_path):
    dataset = tf.data.Dataset.from_tensor_slices((IMAGES, LABELS)).batch(8)
    counts = []
    for data_key in ("first", "first", "second"):
        model = FeatureTransfer(
            backbone(), 3, cache_dir=tmp_path, data_key=data_key, preprocessing=Counting()
        )
        Counting.batches = 0
        model.fit(dataset, verbose=0)
        counts.append(Counting.batches)
    assert counts[0] >= 3
    # Looking at the first batch is all that may happen again.
    assert counts[1] == 0
    assert counts[2] == counts[0]


def test_callbacks_see_one_epoch(tmp_path):
    calls = []

    class Recorder(keras.callbacks.Callback):
        def on_train_begin(self, logs=None):
            calls.append("begin")

        def on_epoch_end(self, epoch, logs=None):
            calls.append((epoch, sorted(logs)))
            self.model.save_weights(tmp_path / "best.weights.h5")

        def on_train_end(self, logs=None):
            calls.append("end")

    model = FeatureTransfer(backbone(), 3)
    model.fit(IMAGES, LABELS, callbacks=[Recorder()], verbose=0)
    assert calls == ["begin", (0, ["accuracy", "loss"]), "end"]


@pytest.mark.slow
def test_two_replicas_fit_the_same_head(two_replicas):
    with two_replicas.scope():
        together = FeatureTransfer(backbone(), 3, l2=1e-3)
    alone = FeatureTransfer(backbone(), 3, l2=1e-3)
    for model in (together, alone):
        model.fit(IMAGES, LABELS, validation_data=(HELD_OUT, LABELS), verbose=0)
    np.testing.assert_allclose(together.head.kernel.numpy(), alone.head.kernel.numpy(), atol=1e-4)


@pytest.mark.parametrize(
    ("x", "y", "message"),
    [
        (IMAGES, LABELS + 1, "subtract 1"),
        (IMAGES, np.zeros(24, "int64"), "all of class 0"),
        (IMAGES[:, :6], LABELS, r"images of 8 x 8"),
        (np.where(IMAGES > 0.9, np.nan, IMAGES), LABELS, "NaN|finite"),
    ],
)
def test_refuses_data_that_do_not_fit(x, y, message):
    with pytest.raises(ValueError, match=message):
        FeatureTransfer(backbone(), 3).fit(x, y, verbose=0)
    dataset = tf.data.Dataset.from_tensor_slices((x, y)).batch(8)
    with pytest.raises(ValueError, match=message):
        FeatureTransfer(backbone(), 3).fit(dataset, verbose=0)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"classifier": "forest"}, "classifier must be one of"),
        ({"solver": "newton"}, "solver must be one of"),
        ({"l2": 0}, "l2 must be a number above zero"),
        ({"views": 2}, "go with augmentation="),
        ({"views": 1, "augmentation": keras.layers.RandomFlip()}, "go with augmentation="),
        ({"layers": ["nowhere"]}, "nowhere"),
        ({"classifier": "nearest_centroid", "task": "regression"}, "tell classes apart"),
    ],
)
def test_arguments_that_make_no_sense(arguments, message):
    with pytest.raises(ValueError, match=message):
        FeatureTransfer(backbone(), 3, **arguments)


def test_l_bfgs_needs_a_dense_head():
    layers = [keras.layers.Dense(3, activation="tanh")]
    model = FeatureTransfer(backbone(), head=layers, pooling="average", solver="lbfgs")
    with pytest.raises(ValueError, match="L-BFGS fits a dense head"):
        model.fit(IMAGES, LABELS, verbose=0)


@pytest.mark.slow
@pytest.mark.shared_data
@pytest.mark.long
def test_ants_and_bees_in_three_lines(shared_folder):
    folder = shared_folder / "data/ants_bees"
    train, held_out = (ktg.datasets.image_folder(folder / part, 224) for part in ("train", "val"))
    module = shared_folder / "hub/mobilenet_v2_100_224_feature_vector"
    model = FeatureTransfer(module, num_classes=2)
    history = model.fit(train, validation_data=held_out, verbose=0)
    assert history.history["val_accuracy"][-1] >= 0.95


def test_a_name_in_the_cache_stands_for_as_many_steps(tmp_path, monkeypatch):
    seen = []
    extract = cached_features.extract_features

    def counting(*arguments, **options):
        found = extract(*arguments, **options)
        seen.append(len(found.labels))
        return found

    monkeypatch.setattr(cached_features, "extract_features", counting)
    endless = tf.data.Dataset.from_tensor_slices((IMAGES, LABELS)).batch(4).repeat()
    finite = tf.data.Dataset.from_tensor_slices((IMAGES, LABELS)).batch(4)
    for data, steps in ((endless, 2), (endless, 5), (endless, 2), (finite, None), (finite, 3)):
        model = FeatureTransfer(backbone(), 3, cache_dir=tmp_path, data_key="mine")
        model.fit(data, steps_per_epoch=steps, verbose=0)
    # A data set that ends is read to its end.
    assert seen == [8, 20, 8, 24, 24]
    assert len(list(tmp_path.iterdir())) == 3


def test_a_file_says_no_folder_for_features(tmp_path):
    model = FeatureTransfer("digits", 10, cache_dir=tmp_path / "mine", data_key="mine")
    config = model.get_config()
    assert not {"cache_dir", "data_key"} & set(config)
    # As files of earlier versions, or strangers, have it.
    again = FeatureTransfer.from_config({**config, "cache_dir": "/theirs", "data_key": "theirs"})
    assert (again.cache_dir, again.data_key) == (None, None)
    assert model.cache_dir == str(tmp_path / "mine")
