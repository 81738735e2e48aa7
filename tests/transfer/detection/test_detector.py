"""The detector: the checks of every model, what it learns, one entrance, what it refuses."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import keras_transgen as ktg
from keras_transgen.transfer.detection import BoxAugmentation, crop_boxes
from keras_transgen.transfer.detection.detections import precision_on
from keras_transgen.transfer.detection.objects import as_arrays, padded_batches
from keras_transgen.transfer.detection.suppression import Suppressed
from tests.datasets.test_voc_boxes import described, write
from tests.harness import MODEL_CHECKS, ModelCase, Tools, every_check
from tests.served import on_device
from tests.transfer.detection.scenes import SIZE, backbone, scenes

IMAGES, OBJECTS = scenes(16)
# The second half has no objects at all, so replicas have unequal numbers of them.
UNEQUAL = {key: values.copy() for key, values in OBJECTS.items()}
UNEQUAL["labels"][4:8] = UNEQUAL["labels"][12:] = -1


def detector(**kwargs):
    settings = {"scales": (2, 4), "head_width": 4, "head_depth": 1, "max_boxes": 4}
    settings |= {"augmentation": None, "max_detections": 5, "name": "detector"}
    return ktg.Detector(backbone(), 2, SIZE, **{**settings, **kwargs})


def make_case(**kwargs) -> ModelCase:
    return ModelCase(
        make=lambda: detector(**kwargs),
        data=(IMAGES, UNEQUAL),
        compile=lambda model, **arguments: model.compile(keras.optimizers.Adam(0.01), **arguments),
        # No object is large enough for the coarser scale; and the network's own parameters move by
        # way of a delta, too.
        may_move=lambda path: (
            "boxes_scale_1" in path or (kwargs.get("transfer") == "structure" and "/" in path)
        ),
        imports=("keras_transgen.transfer.detection.detector",),
        # By default it is a hundred passes, over which rounding alone leads elsewhere: compiled and
        # plain, 1e-7 after 10 passes, 1e-5 after 30, 0.06 after 100.
        fit={"epochs": 1},
    )


CASES = {
    "feature": make_case(),
    "parameter": make_case(transfer="parameter", class_loss="quality_focal", box_loss="ciou"),
    "structure": make_case(transfer="structure", rank=2),
}


@pytest.mark.slow
@pytest.mark.parametrize(("name", "check"), every_check(CASES, MODEL_CHECKS))
def test_model(name, check, tools: Tools):
    check(CASES[name], tools)


@pytest.fixture(scope="module")
def trained():
    keras.utils.set_random_seed(3)
    images, objects = scenes(64, seed=1)
    model = detector(head_width=16, head_depth=2, class_names=["dark", "bright"])
    model.fit(images, objects, epochs=150, batch_size=32, verbose=0)
    return model


HELD_OUT = scenes(24, seed=2)


@pytest.mark.slow
def test_learns_where_there_is_what(trained):
    result = trained.evaluate(*HELD_OUT)
    measured = {"map50", "map", "map75", "recall", "map_small", "map_medium", "map_large"}
    assert set(result) == {*measured, "by_class"}
    # All objects are small ones.
    assert result["map_small"] == pytest.approx(result["map"])
    assert np.isnan(result["map_medium"])
    assert np.isnan(result["map_large"])
    assert set(result["by_class"]) == {"dark", "bright"}
    untrained = detector(head_width=16).evaluate(*HELD_OUT)
    assert result["map50"] > 0.8 > 0.2 > untrained["map50"]


@pytest.mark.slow
def test_boxes_are_in_the_pixels_of_each_image(trained):
    images, _ = HELD_OUT
    # The first image is four times as high and twice as wide. Bilinear sampling smooths it, and
    # what it then looks like to the network is found in an image of the network's size.
    tall = np.repeat(np.repeat(images[0], 4, axis=0), 2, axis=1)
    smoothed = tf.image.resize(tall, (SIZE, SIZE), antialias=True).numpy()
    small = trained.detect([smoothed, images[1]], score=0.2)
    large = trained.detect([tall, images[1]], score=0.2)
    assert len(large[0]) == len(small[0]) > 0
    np.testing.assert_allclose(
        large[0].boxes, small[0].boxes * np.float32([2, 4, 2, 4]), rtol=1e-4, atol=1e-3
    )
    np.testing.assert_allclose(large[1].boxes, small[1].boxes, atol=1e-4)
    assert small[0].names == [("dark", "bright")[label] for label in small[0].labels]


@pytest.mark.slow
def test_predict_is_detect_on_images_of_its_size(trained):
    images, _ = HELD_OUT
    predicted = trained.predict(images, verbose=0)
    for place, found in enumerate(trained.detect(images)):
        count = predicted["counts"][place]
        assert count == len(found)
        np.testing.assert_allclose(predicted["boxes"][place, :count], found.boxes, atol=1e-4)
        np.testing.assert_array_equal(predicted["labels"][place, :count], found.labels)
        assert (predicted["labels"][place, count:] == -1).all()


@pytest.mark.slow
def test_exported_it_finds_the_same(trained, tmp_path):
    images, _ = HELD_OUT
    trained.export(tmp_path / "module")
    found = tf.saved_model.load(str(tmp_path / "module")).signatures["detect"](
        inputs=tf.constant(images[:4])
    )
    expected = trained.predict(images[:4], verbose=0)
    for name, values in expected.items():
        np.testing.assert_allclose(found[name], values, atol=1e-4)


@pytest.mark.slow
def test_on_a_device_it_finds_the_same(trained, tmp_path):
    """LiteRT, suppression included, by kernels of its own: no op of TensorFlow is needed."""
    images, _ = HELD_OUT
    trained.export(tmp_path / "model.tflite", format="litert")
    assert b"Flex" not in (tmp_path / "model.tflite").read_bytes()
    for count in (1, 4):
        found = on_device(tmp_path / "model.tflite", "detect", inputs=images[:count])
        expected = trained.predict(images[:count], verbose=0)
        for name, values in expected.items():
            np.testing.assert_allclose(found[name], values, atol=1e-4, err_msg=name)


def logs(*data, **kwargs):
    keras.utils.set_random_seed(5)
    model = detector(**kwargs)
    model.compile(keras.optimizers.SGD(0.01))
    return model.fit(*data, batch_size=16, epochs=2, verbose=0, shuffle=False).history["loss"]


def ragged(objects):
    chosen = [labels >= 0 for labels in objects["labels"]]
    return {
        key: [each[kept] for each, kept in zip(values, chosen)] for key, values in objects.items()
    }


def test_every_form_of_data_gives_the_same_images_and_boxes():
    model = detector()
    single = tf.data.Dataset.from_tensor_slices((IMAGES, OBJECTS))
    lists = ragged(OBJECTS)
    as_ragged = {key: tf.ragged.constant(v, ragged_rank=1) for key, v in _lists(lists).items()}
    forms = {
        "arrays": (IMAGES, OBJECTS),
        "lists": (list(IMAGES), lists),
        "dicts": (IMAGES, [dict(zip(lists, each)) for each in zip(*lists.values())]),
        "single images": (single,),
        "batches": (single.batch(5),),
        "ragged batches": (tf.data.Dataset.from_tensor_slices((IMAGES, as_ragged)).batch(4),),
        "generator": (((IMAGES[i : i + 4], _cut(OBJECTS, i)) for i in range(0, 16, 4)),),
    }
    for name, data in forms.items():
        images, objects = as_arrays(model.fitted(*data))
        np.testing.assert_array_equal(images, IMAGES, err_msg=name)
        for key, values in OBJECTS.items():
            np.testing.assert_array_equal(objects[key], values, err_msg=name)


def test_what_does_not_fit_in_memory_is_streamed(monkeypatch):
    monkeypatch.setattr("keras_transgen.transfer.detection.objects.LARGEST_IN_MEMORY", 4096)
    data = tf.data.Dataset.from_tensor_slices((IMAGES, OBJECTS))
    for each in (data, data.batch(5)):
        batches = detector(transfer="parameter")._entered_objects(each, None, 4, True, 1, False)
        assert isinstance(batches, tf.data.Dataset)
        images, objects = next(iter(batches))
        np.testing.assert_array_equal(images, IMAGES[:4])
        assert objects["labels"].shape == (4, 4)


def _lists(objects):
    return {key: [each.tolist() for each in values] for key, values in objects.items()}


def _cut(objects, start):
    return {key: values[start : start + 4] for key, values in objects.items()}


def test_uint8_is_scaled_and_its_features_are_those_of_floats():
    model = detector()
    whole = np.random.default_rng(0).integers(0, 256, (2, SIZE, SIZE, 1)).astype("uint8")
    one, other = (model.point_outputs(each).boxes for each in (whole, whole / np.float32(255)))
    np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-4)


@pytest.mark.slow
def test_images_without_any_object_are_learnt_from():
    nothing = {"boxes": np.zeros((16, 0, 4)), "labels": np.zeros((16, 0))}
    values = logs(IMAGES, nothing)
    assert np.isfinite(values).all()
    assert values[1] < values[0]
    assert detector().evaluate(IMAGES, OBJECTS)["map50"] >= 0.0


def test_flipped_views_have_flipped_boxes():
    model = detector(augmentation=BoxAugmentation(vertical=True))
    assert model.views == 4
    batches = model._entered_objects(IMAGES, OBJECTS, 16, False, 4, False)
    assert batches.num_batches == 4
    network = model.backbone
    for view, flips in enumerate(((1, 1), (1, -1), (-1, 1), (-1, -1))):
        features, objects = batches[view]
        down, across = flips
        expected = network(IMAGES[:, ::down, ::across])
        np.testing.assert_allclose(features["scale_00"], expected[0], rtol=2e-3, atol=1e-3)
        for image, boxes, labels in zip(IMAGES[:, ::down, ::across], *objects.values()):
            for (left, top, right, bottom), label in zip(boxes.astype(int), labels):
                if label >= 0:
                    assert (image[top:bottom, left:right] == label).all()


def test_cropped_views_are_the_features_of_the_crops():
    cropping = BoxAugmentation(horizontal=False, smallest_crop=0.5, brightness=0.2)
    model = detector(augmentation=cropping)
    assert model.views == 4
    batches = model._entered_objects(IMAGES, OBJECTS, 16, False, 4, False)
    seed = int(model.progress.seed.numpy()) % 2**31
    drawn = {"seed": tf.constant([seed + 2, 0], tf.int64), "flips": (False, False)}
    images, boxes, labels = cropping(IMAGES, *OBJECTS.values(), **drawn)
    features, objects = batches[2]
    expected = model.backbone(images)
    np.testing.assert_allclose(features["scale_00"], expected[0], rtol=2e-3, atol=1e-3)
    np.testing.assert_allclose(objects["boxes"], boxes[:, : objects["boxes"].shape[1]], atol=1e-5)
    np.testing.assert_array_equal(objects["labels"], labels[:, : objects["labels"].shape[1]])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"scales": (2, 3)}, r"2 \('first_relu'\), 4 \('second_relu'\)"),
        ({"scales": (4, 2)}, "ascending"),
        ({"scales": ("second_relu", "first_relu")}, "from fine to coarse"),
        ({"scales": ("no_layer",)}, "no_layer"),
        ({"transfer": "features"}, "transfer must be one of"),
        ({"freeze_to": 1}, "freeze_to goes with"),
        ({"delta_arguments": {"targets": "x"}}, "delta_arguments are for"),
        ({"method": "adapter"}, "method must be one of"),
        ({"class_loss": "hinge"}, "class_loss"),
        ({"box_weight": 0.0}, "box_weight must be positive"),
        ({"head_width": 0}, "head_width must be a whole number"),
        ({"augmentation": keras.layers.RandomFlip()}, "augmentation must be"),
        ({"views": 2}, "go with an augmentation"),
        ({"views": 2, "transfer": "parameter"}, "views says how often"),
        ({"class_names": ["one"]}, "class_names must name every class, 2"),
        ({"augmentation": BoxAugmentation(value_range=(-1, 1))}, "range of the images"),
    ],
)
def test_arguments_that_do_not_go_together(arguments, message):
    with pytest.raises(ValueError, match=message):
        detector(**arguments)


@pytest.mark.parametrize(
    ("box", "label", "message"),
    [
        ([5, 5, 5, 9], 0, "have an area"),
        ([9, 5, 5, 9], 0, "the left edge before the right"),
        ([20, 5, 25, 9], 0, "in their image"),
        ([np.nan, 5, 25, 9], 0, "finite"),
        ([0.1, 0.1, 0.5, 0.5], 0, r"in pixels.*16.* x 16.*\[0.1 0.1 0.5 0.5\].*by the width"),
        ([2, 2, 5, 9], 2, "from 0 to 1"),
        ([2, 2, 5, 9], -2, "from 0 to 1"),
    ],
)
@pytest.mark.parametrize("transfer", ["feature", "parameter"])
def test_boxes_that_are_none_are_refused_before_training(transfer, box, label, message):
    objects = {"boxes": [[[1, 1, 4, 4]], [box, box]], "labels": [[0], [0, label]]}
    with pytest.raises(ValueError, match=message):
        detector(transfer=transfer).fit(IMAGES[:2], objects, epochs=1, verbose=0)


def test_a_box_that_reaches_out_ends_at_the_edge():
    model = detector()
    data = model.fitted(IMAGES[:1], {"boxes": [[[-3, 2, 30, 9]]], "labels": [[1]]})
    _, objects = next(iter(data))
    assert objects["boxes"].numpy().tolist() == [[0.0, 2.0, 16.0, 9.0]]


WIDE = np.linspace(0.5, 1.0, 8 * 32, dtype="float32").reshape(8, 32, 1)


@pytest.mark.parametrize("kind", ["float32", "uint8"])
def test_padded_an_image_keeps_its_ratio(kind):
    image = (WIDE * 255).astype("uint8") if kind == "uint8" else WIDE
    objects = {"boxes": [[[4, 2, 20, 8]]], "labels": [[1]]}
    ((made, found),) = detector(pad_to_aspect_ratio=True).fitted([image], objects)
    # Half of each side, so four rows of sixteen; below them nothing.
    np.testing.assert_allclose(
        made[:4],
        tf.image.resize(image, (4, 16), antialias=True),
        atol=0.51 if kind == "uint8" else 1e-6,
    )
    assert made[3].numpy().min() > 0
    assert not made[4:].numpy().any()
    assert found["boxes"].numpy().tolist() == [[2.0, 1.0, 10.0, 4.0]]
    ((_, stretched),) = detector().fitted([image], objects)
    assert stretched["boxes"].numpy().tolist() == [[2.0, 4.0, 10.0, 16.0]]


@pytest.mark.slow
def test_padded_what_is_found_is_in_the_images_own_pixels(trained):
    config = {**trained.get_config(), "pad_to_aspect_ratio": True}
    model = ktg.Detector.from_config(config)
    model.set_weights(trained.get_weights())
    images, objects = HELD_OUT
    # Beside an image of 16 x 16 there are 16 columns of nothing: the same at half the size, and
    # what reaches out of it ends at its edge.
    small = [np.pad(image, [(0, 0), (0, 16), (0, 0)]) for image in images]
    halved = [np.asarray(tf.image.resize(image, (8, 16), antialias=True)) for image in small]
    squares = [np.pad(image, [(0, 8), (0, 0), (0, 0)]) for image in halved]
    for one, other in zip(model.detect(small, 0.05), trained.detect(squares, 0.05)):
        assert len(one) == len(other)
        edges = np.float32([32, 16, 32, 16])
        np.testing.assert_allclose(one.boxes, np.minimum(other.boxes * 2, edges), atol=1e-3)
    # An image sixteen times as high and wide has no small objects.
    large = [np.kron(image[..., 0], np.ones((16, 16), "float32"))[..., None] for image in images]
    sized = {**objects, "boxes": objects["boxes"] * 16}
    result = trained.evaluate(large, sized)
    assert np.isnan(result["map_small"])
    assert not np.isnan(result["map_medium"])


def test_other_data_are_refused():
    many = {"boxes": [[[1, 1, 4, 4]] * 5], "labels": [[0] * 5]}
    with pytest.raises(ValueError, match="no more objects in an image than max_boxes"):
        detector().fit(IMAGES[:1], many, verbose=0)
    with pytest.raises(ValueError, match="values in"):
        detector().fit(IMAGES * 3, OBJECTS, verbose=0)
    with pytest.raises(ValueError, match="weighs no images"):
        detector().fit(IMAGES, OBJECTS, sample_weight=np.ones(16))
    with pytest.raises(ValueError, match="data set of"):
        detector().fit(tf.data.Dataset.from_tensor_slices((IMAGES, np.zeros(16))))
    with pytest.raises(ValueError, match="Expected objects as"):
        detector().fit(IMAGES, np.zeros(16))
    other = [{"bounding_boxes": [[1, 1, 4, 4]], "classes": [0]}] * 16
    with pytest.raises(ValueError, match=r"with the keys \['bounding_boxes', 'classes'\]"):
        detector().fit(IMAGES, other)
    with pytest.raises(ValueError, match=r"read_image\(path\).*Received: \['a.png'\]"):
        detector().detect(["a.png"])
    with pytest.raises(ValueError, match="16 images, boxes of 2"):
        detector().fit(IMAGES, {"boxes": [[], []], "labels": [[], []]})
    with pytest.raises(ValueError, match="losses of its own"):
        detector().compile(loss="mse")
    with pytest.raises(ValueError, match=r"score must be in"):
        detector().detect(IMAGES, score=1.0)


def test_an_image_that_is_damaged_is_named(tmp_path):
    for stem in "ab":
        write(tmp_path, stem, described(("dog", 0, 1, 1, 8, 6)), suffix="jpg")
    data = ktg.datasets.voc_boxes(tmp_path)
    # Behind the look that the data set takes at its files.
    path = tmp_path / "JPEGImages" / "b.jpg"
    path.write_bytes(path.read_bytes()[:-40])
    model = ktg.Detector(backbone(3), 1, SIZE, (2, 4), head_width=4)
    with pytest.raises(ValueError, match=r"image that can be read.*b\.jpg.*Replace this file"):
        model.fit(data, epochs=1, verbose=0)


@pytest.mark.slow
def test_a_data_sets_class_names_are_learnt():
    data = tf.data.Dataset.from_tensor_slices((IMAGES, OBJECTS))
    data.class_names = ["dark", "bright"]
    model = detector()
    model.fit(data, epochs=1, verbose=0)
    assert model.class_names == ("dark", "bright")
    data.class_names = ["dark", "bright", "grey"]
    with pytest.raises(ValueError, match="num_classes=2, a data set of 3"):
        detector().fit(data, epochs=1, verbose=0)


@pytest.mark.slow
@pytest.mark.long
def test_a_file_of_a_model_that_fit_compiled_trains_with_a_fresh_schedule(tmp_path):
    model = detector()
    model.fit(IMAGES, OBJECTS, epochs=2, verbose=0)
    model.save(tmp_path / "model.keras")
    loaded = ktg.load_model(tmp_path / "model.keras")
    assert not loaded.compiled
    loaded.fit(IMAGES, OBJECTS, epochs=3, verbose=0)
    assert int(loaded.optimizer.iterations.numpy()) == 3


@pytest.mark.long
def test_features_of_held_out_images_are_their_own_under_one_key(tmp_path):
    """As many of them as of the others, and in one view: only the key tells them apart."""
    others, their_objects = scenes(16, seed=4)
    losses = []
    for kept in ({}, {"cache_dir": tmp_path, "data_key": "scenes"}):
        keras.utils.set_random_seed(5)
        model = detector(seed=0, **kept)
        history = model.fit(
            IMAGES, OBJECTS, validation_data=(others, their_objects), epochs=1, verbose=0
        )
        losses.append(history.history["val_loss"][0])
    assert losses[1] == pytest.approx(losses[0], rel=1e-6)


def test_a_rate_of_ones_own_is_the_highest_of_the_schedule():
    model = detector()
    model.default_rate = 2e-3
    rate = model.default_optimizer(100)._learning_rate
    assert max(float(rate(step)) for step in range(100)) == pytest.approx(2e-3)


@pytest.mark.slow
def test_views_that_are_varied_otherwise_are_not_found_under_the_key(tmp_path):
    """The second view is mirrored left and right at first, then upside down."""
    found = []
    for ways in ({}, {"horizontal": False, "vertical": True}):
        model = detector(
            seed=0, augmentation=BoxAugmentation(**ways), cache_dir=tmp_path, data_key="scenes"
        )
        batches = model._entered_objects(IMAGES, OBJECTS, 16, False, 2, False)
        found.append(batches[1][0]["scale_00"])
    for values, mirrored in zip(found, (IMAGES[:, :, ::-1], IMAGES[:, ::-1])):
        expected = detector().backbone(mirrored)[0]
        np.testing.assert_allclose(values, expected, rtol=2e-3, atol=1e-3)


def test_images_that_keep_their_ratio_are_not_found_under_the_key_of_others(tmp_path):
    for keeps in (False, True):
        model = detector(pad_to_aspect_ratio=keeps, cache_dir=tmp_path, data_key="wide")
        objects = {"boxes": [[[4, 2, 20, 8]]], "labels": [[1]]}
        batches = model._entered_objects([WIDE], objects, 1, False, 1, False)
        square = next(iter(model.fitted([WIDE], objects)))[0]
        expected = model.backbone(square[None])[0]
        np.testing.assert_allclose(batches[0][0]["scale_00"], expected, rtol=2e-3, atol=1e-3)


@pytest.mark.parametrize("kind", ["uint16", "int32", "bool"])
def test_values_of_which_nobody_says_the_range_are_refused(kind):
    images = IMAGES[:2].astype(kind)
    for call in (
        lambda: detector().fit(images, {k: v[:2] for k, v in OBJECTS.items()}),
        lambda: detector().detect(images),
        lambda: detector().predict(images),
        lambda: crop_boxes(images, [{"boxes": [[0, 0, 4, 4]], "labels": [0]}] * 2, 8),
    ):
        with pytest.raises(ValueError, match=f"floats in value_range.*images of {kind}"):
            call()


def test_images_that_cannot_be_looked_at_are_refused():
    with pytest.raises(ValueError, match=r"images of values in \[0, 1\]"):
        detector().detect(IMAGES[:2] * 255)
    with pytest.raises(ValueError, match=r"images of values in \[0, 1\].*nan"):
        detector().detect(np.full_like(IMAGES[:2], np.nan))
    with pytest.raises(ValueError, match="all of the same channels"):
        detector().detect([IMAGES[0], np.repeat(IMAGES[0], 3, axis=-1)])
    with pytest.raises(ValueError, match=r"images with pixels.*\(0, 16, 1\)"):
        detector().detect([IMAGES[0], IMAGES[0][:0]])
    with pytest.raises(ValueError, match=r"predict takes images \[batch, 16, 16, 1\]; detect"):
        detector().predict(np.zeros((2, 20, 20, 1), "float32"))
    with pytest.raises(ValueError, match="batch_size must be positive"):
        detector().fit(IMAGES, OBJECTS, batch_size=-3)
    for name, value in {"image_size": 5000, "head_depth": 1000}.items():
        with pytest.raises(ValueError, match=f"{name} must be at most"):
            ktg.Detector(backbone(), 2, **{"image_size": SIZE, name: value})


def test_what_is_found_beside_a_padded_image_counts_for_nothing():
    model = detector(pad_to_aspect_ratio=True)
    data = model.fitted([WIDE], {"boxes": [[[4, 2, 20, 8]]], "labels": [[1]]}, sizes=True)
    # The surest box lies below the image, the other one is that of the object at half the size.
    found = Suppressed(
        tf.constant([[[0.0, 6, 8, 12], [2, 1, 10, 4]]]),
        tf.constant([[0.9, 0.8]]),
        tf.constant([[1, 1]]),
        tf.constant([2]),
    )
    assert precision_on(padded_batches(data, 1), lambda images: found).map == pytest.approx(1.0)


def test_images_one_after_the_other_are_read_once():
    model = detector()
    found = model.detect((image for image in IMAGES[:3]), score=0.0)
    assert len(found) == 3
    alone = model.detect(IMAGES[:1], score=0.0)[0]
    np.testing.assert_allclose(found[0].boxes, alone.boxes, atol=1e-4)


def test_a_ragged_batch_of_images_of_several_sizes():
    images = [IMAGES[0], np.repeat(IMAGES[1], 2, axis=0)]
    ragged = tf.ragged.stack([tf.RaggedTensor.from_tensor(image) for image in images])
    data = tf.data.Dataset.from_tensors(ragged)
    model = detector()
    for one, other in zip(model.detect(data, score=0.0), model.detect(images, score=0.0)):
        np.testing.assert_allclose(one.boxes, other.boxes, atol=1e-5)


@pytest.mark.parametrize("transfer", ["feature", "parameter"])
def test_data_without_an_end_are_refused_or_taken_by_steps(transfer):
    data = tf.data.Dataset.from_tensor_slices((IMAGES, OBJECTS)).repeat()
    for call in (lambda m: m.fit(data), lambda m: m.evaluate(data, steps=1)):
        with pytest.raises(ValueError, match="must have an end"):
            call(detector(transfer=transfer))

    def endless():
        while True:
            yield IMAGES[:4], {key: values[:4] for key, values in OBJECTS.items()}

    model = detector(transfer=transfer, views=1) if transfer == "feature" else detector()
    model.fit(endless(), batch_size=4, steps_per_epoch=2, epochs=1, verbose=0)
    assert int(model.progress.step.numpy()) == 2
