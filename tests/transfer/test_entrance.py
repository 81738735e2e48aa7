"""The one entrance: every form of data gives the numbers of plain arrays, at every method."""

import functools
import tempfile

import keras
import numpy as np
import pandas as pd
import pytest
import tensorflow as tf

import keras_transgen as ktg
from keras_transgen.datasets import as_arrays
from keras_transgen.transfer import FeatureTransfer, TransferModel, find_learning_rate
from keras_transgen.transfer.kept_batches import KeptBatches
from tests.transfer.tiny import IMAGES, LABELS, backbone

NAMES = ("ant", "bee", "crow")
WORDS = np.array(NAMES)[LABELS]


class Batches(keras.utils.PyDataset):
    def __init__(self, x, y):
        super().__init__()
        self.x, self.y = x, y

    @property
    def num_batches(self):
        return 3

    def __getitem__(self, index):
        rows = slice(8 * index, 8 * index + 8)
        return self.x[rows], self.y[rows]


def sliced(x, y):
    return tf.data.Dataset.from_tensor_slices((x, y)).batch(8)


def generated(x, y):
    return (Batches(x, y)[index] for index in range(3))


FORMS = {
    "lists": (IMAGES.tolist(), LABELS.tolist()),
    "rows": (list(IMAGES), list(LABELS)),
    "tensors": (tf.constant(IMAGES), tf.constant(LABELS)),
    "series": (IMAGES, pd.Series(LABELS)),
    "nullable": (IMAGES, pd.Series(LABELS, dtype="Int64")),
    "categories": (IMAGES, pd.Series(LABELS).astype("category")),
    "names": (IMAGES, WORDS),
    "list of names": (IMAGES, WORDS.tolist()),
    "bytes": (IMAGES, [each.encode() for each in WORDS]),
    "name tensor": (IMAGES, tf.constant(WORDS)),
    "named categories": (IMAGES, pd.Series(WORDS).astype("category")),
    "frame": (IMAGES, pd.DataFrame({"label": WORDS})),
    "one-hot": (IMAGES, np.eye(3)[LABELS]),
    "data set": (sliced(IMAGES, LABELS), None),
    "data set of names": (sliced(IMAGES, WORDS), None),
    "PyDataset of names": (Batches(IMAGES, WORDS), None),
}


@functools.cache
def plain():
    model = TransferModel(backbone(), 3, seed=0)
    keras.utils.set_random_seed(0)
    model.head.kernel.assign(np.random.default_rng(0).normal(size=model.head.kernel.shape))
    return model, model.evaluate(IMAGES, LABELS, batch_size=8, verbose=0)


@pytest.mark.parametrize("form", FORMS)
def test_evaluate_says_the_same_of_every_form(form):
    model, expected = plain()
    model.class_names = NAMES
    x, y = FORMS[form]
    np.testing.assert_allclose(model.evaluate(x, y, verbose=0), expected, rtol=1e-5)


@pytest.mark.parametrize("form", FORMS)
def test_fit_and_validation_take_every_form(form):
    def fitted(x, y, held_out):
        model = FeatureTransfer(backbone(), 3, seed=0, l2=0.1)
        return model, model.fit(x, y, validation_data=held_out, verbose=0).history

    x, y = FORMS[form]
    model, found = fitted(x, y, x if y is None else (x, y))
    _, expected = fitted(IMAGES, LABELS, (IMAGES, LABELS))
    assert found.keys() == expected.keys()
    for name, values in expected.items():
        np.testing.assert_allclose(found[name], values, rtol=1e-4, atol=1e-5)
    assert model.class_names == (NAMES if "name" in form or form in ("bytes", "frame") else None)


def test_generators_are_read_once_and_need_names():
    model = TransferModel(backbone(), class_names=NAMES, seed=0)
    assert model.num_classes == 3
    model.fit(generated(IMAGES, WORDS), verbose=0)
    expected = model.evaluate(IMAGES, LABELS, batch_size=8, verbose=0)
    found = model.evaluate(generated(IMAGES, WORDS), verbose=0)
    np.testing.assert_allclose(found, expected, rtol=1e-5)
    with pytest.raises(ValueError, match="gives its batches once: give class_names"):
        TransferModel(backbone(), 3).fit(generated(IMAGES, WORDS), verbose=0)


@pytest.mark.slow
@pytest.mark.parametrize("words", [False, True])
def test_what_needs_the_data_twice_keeps_the_batches_of_a_generator(words):
    def fitted(x, y, kind, **options):
        model = kind(backbone(), 3, seed=0, **options)
        model.fit(x, y, verbose=0)
        return model

    labels = WORDS if words else LABELS
    for kind, options in (
        (FeatureTransfer, {"l2": 0.1}),
        (TransferModel, {"head_initialization": "probe"}),
    ):
        model = fitted(generated(IMAGES, labels), None, kind, **options)
        expected = fitted(Batches(IMAGES, labels), None, kind, **options)
        assert model.class_names == (NAMES if words else None)
        found = model.predict(IMAGES, verbose=0)
        np.testing.assert_allclose(found, expected.predict(IMAGES, verbose=0), rtol=1e-3, atol=2e-3)


@pytest.mark.parametrize("form", ["objects", "lists", "series"])
@pytest.mark.parametrize("kind", ["generator", "PyDataset"])
def test_batches_come_in_every_form_too(form, kind):
    """Of texts and names in batches, at every method, as of the arrays themselves."""
    texts = [f"{word} {'a' * number}" for number, word in enumerate(WORDS)]
    x, y = np.array(texts, object), np.array(WORDS, object)

    class LengthOfTexts(tf.Module):
        @tf.function(input_signature=[tf.TensorSpec([None], tf.string)])
        def __call__(self, texts):
            length = tf.cast(tf.strings.length(texts), tf.float32)
            letters = [tf.strings.regex_full_match(texts, f"{name}.*") for name in NAMES]
            return tf.stack([length, *[tf.cast(each, tf.float32) for each in letters]], -1)

    folder = tempfile.mkdtemp()
    tf.saved_model.save(LengthOfTexts(), folder)
    change = {"objects": np.array, "lists": list, "series": pd.Series}[form]

    class Formed(Batches):
        def __getitem__(self, index):
            return tuple(change(each) for each in super().__getitem__(index))

    def batches():
        data = Formed(x, y)
        return data if kind == "PyDataset" else (data[number] for number in range(3))

    model = FeatureTransfer(ktg.load_backbone(folder), class_names=NAMES, seed=0, l2=0.1)
    model.fit(batches(), verbose=0)
    expected = model.evaluate(texts, WORDS, batch_size=8, verbose=0)
    np.testing.assert_allclose(model.evaluate(batches(), verbose=0), expected, rtol=1e-5)
    found = model.classify(batches(), names=True, verbose=0)
    np.testing.assert_array_equal(found, model.classify(texts, names=True, verbose=0))
    assert (found == WORDS).mean() > 0.9


@pytest.mark.parametrize("kind", [FeatureTransfer, TransferModel])
def test_validation_data_may_be_a_generator_that_each_epoch_goes_through(kind):
    options = {"l2": 0.1} if kind is FeatureTransfer else {}
    told = {} if kind is FeatureTransfer else {"epochs": 2}
    histories = []
    for held_out in (generated(IMAGES, LABELS), Batches(IMAGES, LABELS)):
        keras.utils.set_random_seed(0)
        model = kind(backbone(), 3, seed=0, **options)
        fitted = model.fit(IMAGES, LABELS, validation_data=held_out, verbose=0, **told)
        histories.append(fitted.history)
    assert len(histories[0]["val_loss"]) == told.get("epochs", 1)
    for name, values in histories[1].items():
        np.testing.assert_allclose(histories[0][name], values, rtol=1e-3)


@pytest.mark.slow
def test_yes_and_no_in_batches_and_data_of_unknown_rank():
    are_bees = LABELS == 1
    for kind in (FeatureTransfer, TransferModel):
        model = kind(backbone(), 2, seed=0)
        model.fit(generated(IMAGES, are_bees), verbose=0)
        assert model.class_names == ("False", "True")
    data = tf.data.Dataset.from_generator(
        lambda: generated(IMAGES, LABELS), output_types=(tf.float32, tf.int64)
    )
    models = [FeatureTransfer(backbone(), 3, seed=0, l2=0.1) for _ in range(2)]
    models[0].fit(data, verbose=0)
    models[1].fit(IMAGES, LABELS, verbose=0)
    found, expected = (each.predict(IMAGES, verbose=0) for each in models)
    np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-3)
    model, expected = plain()
    np.testing.assert_allclose(model.evaluate(data, verbose=0), expected, rtol=1e-5)
    TransferModel(backbone(), 3).fit(data, verbose=0)


def test_numbers_of_several_kinds_and_what_is_masked():
    table = np.empty((3, 2), object)
    table[:] = [[1, True], [2.5, False], [3, True]]
    found = as_arrays(table)
    assert found.dtype == np.float64
    assert found.tolist() == [[1, 1], [2.5, 0], [3, 1]]
    masked = np.ma.masked_where(np.arange(6).reshape(3, 2) > 3, np.ones((3, 2)))
    with pytest.raises(ValueError, match="row 2"):
        as_arrays(masked)
    assert as_arrays(masked[:2]).tolist() == [[1, 1], [1, 1]]
    with pytest.raises(ValueError, match="brings its own labels: leave y out"):
        FeatureTransfer(backbone(), 3).fit(sliced(IMAGES, LABELS), LABELS, verbose=0)
    with pytest.raises(ValueError, match=r"must yield tuples.*Received: None"):
        FeatureTransfer(backbone(), 3).fit((None for _ in range(2)), verbose=0)


def test_a_generator_that_is_kept_must_end(monkeypatch):
    def endless():
        while True:
            yield IMAGES, LABELS

    monkeypatch.setattr(KeptBatches.__init__, "__defaults__", (None, 5 * IMAGES.nbytes))
    with pytest.raises(ValueError, match=r"within 2 GiB, or be given steps_per_epoch"):
        FeatureTransfer(backbone(), 3).fit(endless(), verbose=0)
    models = [FeatureTransfer(backbone(), 3, seed=0, l2=0.1) for _ in range(2)]
    models[0].fit(endless(), steps_per_epoch=2, verbose=0)
    models[1].fit(np.tile(IMAGES, (2, 1, 1, 1)), np.tile(LABELS, 2), verbose=0)
    found, expected = (each.predict(IMAGES, verbose=0) for each in models)
    np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-3)
    with pytest.raises(ValueError, match="make it anew for each call"):
        FeatureTransfer(backbone(), 3).fit((each for each in ()), verbose=0)


@pytest.mark.parametrize("form", ["array", "list", "tensor", "data set"])
def test_yes_and_no_are_the_names_of_such_labels(form):
    are_bees = LABELS == 1
    forms = {"array": are_bees, "list": are_bees.tolist(), "tensor": tf.constant(are_bees)}
    model = FeatureTransfer(backbone(), 2, l2=0.1)
    if form == "data set":
        model.fit(sliced(IMAGES, are_bees), verbose=0)
    else:
        model.fit(IMAGES, forms[form], verbose=0)
    assert model.class_names == ("False", "True")
    numbers = model.classify(IMAGES, verbose=0)
    found = model.classify(IMAGES, names=True, verbose=0)
    assert found.tolist() == [str(bool(each)) for each in numbers]
    # Several labels an example are no two classes.
    several = TransferModel(backbone(), 2, task="multi_label")
    several.fit(IMAGES, np.stack([are_bees, ~are_bees], axis=1), verbose=0)
    assert several.class_names is None


def test_numbers_with_gaps_may_be_names():
    gaps = np.array([2, 10, 30])[LABELS]
    with pytest.raises(ValueError, match=r"numpy\.unique\(y, return_inverse=True\)\[1\], or give"):
        FeatureTransfer(backbone(), 3).fit(IMAGES, gaps, verbose=0)
    with pytest.raises(ValueError, match="Use num_classes=31"):
        FeatureTransfer(backbone(), 2).fit(IMAGES, gaps, verbose=0)
    model = FeatureTransfer(backbone(), 3, l2=0.1)
    model.fit(IMAGES, [str(each) for each in gaps], verbose=0)
    assert model.class_names == ("2", "10", "30")
    with pytest.raises(ValueError, match="with 3 names: ant, bee, crow"):
        FeatureTransfer(backbone(), 4).fit(IMAGES, WORDS, verbose=0)


def test_predictions_have_names_and_files_keep_them(tmp_path):
    model = FeatureTransfer(backbone(), 3)
    with pytest.raises(ValueError, match="does not know the names"):
        model.classify(IMAGES, names=True)
    model.fit(IMAGES, pd.Series(WORDS), verbose=0)
    numbers = model.classify(list(IMAGES), verbose=0)
    names = model.classify(IMAGES, names=True, verbose=0)
    np.testing.assert_array_equal(names, np.array(NAMES)[numbers])
    model.save(tmp_path / "m.keras")
    loaded = ktg.load_model(tmp_path / "m.keras")
    assert loaded.class_names == NAMES
    np.testing.assert_array_equal(loaded.classify(IMAGES, verbose=0), numbers)


def test_several_labels_have_several_names():
    model = TransferModel(backbone(), task="multi_label", class_names=NAMES)
    chosen = model.predict(IMAGES, verbose=0) > 0
    found = model.classify(IMAGES, names=True, verbose=0)
    assert [list(each) for each in found] == [
        [name for name, is_so in zip(NAMES, row) if is_so] for row in chosen
    ]


def test_a_folders_names_are_taken_over():
    data = sliced(IMAGES, LABELS)
    data.class_names = list(NAMES)
    model = TransferModel(backbone(), 3)
    model.fit(data, verbose=0)
    assert model.class_names == NAMES
    data.class_names = ["one", "two"]
    other = TransferModel(backbone(), 3)
    other.fit(data, verbose=0)
    assert other.class_names is None


@pytest.mark.slow
def test_weights_by_name_are_weights_by_number():
    def loss(labels, class_weight):
        model = TransferModel(backbone(), class_names=NAMES, seed=0)
        model.head.kernel.assign(np.random.default_rng(0).normal(size=model.head.kernel.shape))
        return model.fit(IMAGES, labels, class_weight=class_weight, verbose=0).history["loss"]

    assert loss(WORDS, {"bee": 5.0}) == pytest.approx(loss(LABELS, {1: 5.0}), rel=1e-6)
    assert loss(WORDS, {"bee": 5.0}) != pytest.approx(loss(LABELS, None), rel=1e-2)


@pytest.mark.slow
def test_validation_labels_take_the_form_of_the_others():
    rows = np.eye(3)[LABELS]

    def logs(y, held_out):
        model = TransferModel(backbone(), 3, seed=0)
        model.head.kernel.assign(np.random.default_rng(0).normal(size=model.head.kernel.shape))
        history = model.fit(IMAGES, y, validation_data=(IMAGES, held_out), verbose=0).history
        return [history["val_loss"][0], history["val_accuracy"][0]]

    expected = logs(LABELS, LABELS)
    for y, held_out in ((LABELS, rows), (rows, LABELS), (rows, rows)):
        np.testing.assert_allclose(logs(y, held_out), expected, rtol=1e-5)
    with pytest.raises(ValueError, match="trained on rows"):
        logs(LABELS, np.full((24, 3), 1 / 3))


@pytest.mark.filterwarnings("ignore:The range test suggests no rate")
def test_a_rate_is_looked_for_on_every_form():
    def rates(x, y):
        model = TransferModel(backbone(), class_names=NAMES, seed=0)
        model.head.kernel.assign(np.random.default_rng(0).normal(size=model.head.kernel.shape))
        return find_learning_rate(model, x, y, batch_size=8, steps=6, lowest=1e-4).losses

    expected = rates(IMAGES, LABELS)
    np.testing.assert_allclose(rates(IMAGES.tolist(), WORDS.tolist()), expected, rtol=1e-5)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda m: m.fit(IMAGES, [*WORDS[:-1], "dog"], verbose=0), "num_classes=3.*4 names"),
        (lambda m: m.evaluate(IMAGES, WORDS, verbose=0), "does not know the names"),
        (lambda m: m.fit(IMAGES, [*LABELS[:-1], None], verbose=0), "missing in y.*row 23"),
        (lambda m: m.predict([*IMAGES[:-1], "x"], verbose=0), "words in row 23"),
        (lambda m: m.set_class_names(["a", "b"]), "every class, 3 in all"),
    ],
)
def test_wrong_labels_say_what_to_do(call, message):
    with pytest.raises(ValueError, match=message):
        call(TransferModel(backbone(), 3))


def test_names_after_numbers_must_be_said():
    model = TransferModel(backbone(), 3)
    model.fit(IMAGES, LABELS, verbose=0)
    with pytest.raises(ValueError, match="learnt classes by their numbers"):
        model.fit(IMAGES, WORDS, verbose=0)
    model.set_class_names(NAMES)
    model.fit(IMAGES, WORDS, verbose=0)


def test_numbers_to_predict_have_no_names():
    with pytest.raises(ValueError, match="Only classes have names"):
        TransferModel(backbone(), 1, task="regression", class_names=["a"])


def test_a_strangers_file_says_names_and_nothing_else():
    config = TransferModel(backbone(), 3, class_names=NAMES).get_config()
    assert TransferModel.from_config(dict(config)).class_names == NAMES
    for wrong in (["a", "b"], "abc", [1, 2, 3], {"class_name": "x"}):
        with pytest.raises(ValueError, match=r"class_names|names"):
            TransferModel.from_config({**config, "class_names": wrong})


def test_examples_whose_dimensions_nobody_says_are_those_of_the_backbone():
    def read(content, label):
        return tf.image.convert_image_dtype(tf.io.decode_image(content), tf.float32), label

    grey = np.round(IMAGES * 255).astype("uint8")
    files = [tf.io.encode_png(each).numpy() for each in grey]
    data = tf.data.Dataset.from_tensor_slices((files, LABELS)).map(read).batch(8)
    assert data.element_spec[0].shape.rank is None
    model = FeatureTransfer(backbone(), 3, l2=0.1)
    found = model.fit(data, validation_data=data, verbose=0).history
    expected = FeatureTransfer(backbone(), 3, l2=0.1).fit(
        (grey / 255).astype("float32"), LABELS, verbose=0
    )
    assert found["loss"] == pytest.approx(expected.history["loss"], rel=1e-4)
    assert found["val_loss"] == pytest.approx(found["loss"], rel=1e-4)
    trained = TransferModel(backbone(), 3)
    trained.fit(data, verbose=0)
    assert trained.predict(data.map(lambda x, y: x), verbose=0).shape == (24, 3)
    prepared = TransferModel(backbone(), 3, preprocessing=keras.layers.Rescaling(1.0))
    with pytest.raises(ValueError, match="ensure_shape"):
        prepared.fit(data, verbose=0)
    colour = data.map(lambda x, y: (tf.concat([x, x], axis=-1), y))
    with pytest.raises((ValueError, tf.errors.InvalidArgumentError), match="not compatible"):
        trained.fit(colour, verbose=0)
