"""What a classifier says of the boxes of a detector: that of crops cut out by hand."""

import keras
import numpy as np
import pytest

import keras_transgen as ktg
from keras_transgen.transfer.detection import classify_boxes, crop_boxes
from tests.transfer.detection.scenes import SIZE, scenes

IMAGES, OBJECTS = scenes(12)
COUNT = int((OBJECTS["labels"] >= 0).sum())
LISTED = [{"boxes": boxes, "labels": labels} for boxes, labels in zip(*map(list, OBJECTS.values()))]


def mean_of_pixels(size=4, channels=1, value_range=(0.0, 1.0)):
    """A network whose one feature is the mean of what it is given."""
    layers = [keras.Input((size, size, channels)), keras.layers.GlobalAveragePooling2D()]
    return ktg.KerasBackbone(keras.Sequential(layers), value_range=value_range)


def classifier(backbone=None, channels=1, **kwargs):
    model = ktg.TransferModel(
        backbone or mean_of_pixels(), class_names=["dark", "bright"], **kwargs
    )
    model.head.set_weights(
        [np.float32([[0.0, 4.0]] * channels) / channels, np.float32([0.0, -2.0])]
    )
    return model


def by_hand(boxes):
    """Mean of the pixels in each box, as the probability of a logit of 4 * mean - 2."""
    means = [
        IMAGES[place, int(top) : int(bottom), int(left) : int(right)].mean()
        for place, each in enumerate(boxes)
        for left, top, right, bottom in each
    ]
    return 1 / (1 + np.exp(-(4 * np.array(means) - 2)))


def test_tells_bright_from_dark_whatever_the_detector_called_them():
    told = classify_boxes(classifier(), IMAGES, LISTED, margin=0.0)
    assert [len(each) for each in told] == [(each >= 0).sum() for each in OBJECTS["labels"]]
    for each, boxes, labels in zip(told, *OBJECTS.values()):
        kept = labels >= 0
        np.testing.assert_array_equal(each.boxes, boxes[kept])
        assert each.names == [["dark", "bright"][label] for label in each.labels]


def test_the_probability_is_that_of_the_crop():
    """Square boxes, so that what is cut out is the box."""
    squares = [{"boxes": [[2, 3, 6, 7], [8, 8, 12, 12]], "labels": [0, 0]}] * len(IMAGES)
    expected = by_hand([each["boxes"] for each in squares])
    for images, value_range in ((IMAGES, (0.0, 1.0)), (IMAGES * 2 - 1, (-1.0, 1.0))):
        told = classify_boxes(
            classifier(), images, squares, margin=0.0, value_range=value_range, batch_size=5
        )
        labels = np.concatenate([each.labels for each in told])
        scores = np.concatenate([each.scores for each in told])
        np.testing.assert_allclose(np.where(labels, scores, 1 - scores), expected, atol=1e-5)
    whole = np.round(IMAGES * 255).astype("uint8")
    told = classify_boxes(classifier(), whole, squares, margin=0.0)
    scores = np.concatenate([each.scores for each in told])
    np.testing.assert_allclose(np.where(labels, scores, 1 - scores), expected, atol=5e-3)


def test_range_and_channels_are_the_networks_own():
    """One that takes three channels from -1 to 1, and the record of another range before it."""
    squares = [{"boxes": [[2, 3, 6, 7]], "labels": [0]}] * len(IMAGES)
    crops = crop_boxes(IMAGES, squares, 4, 0.0)
    network = mean_of_pixels(channels=3, value_range=(-1.0, 1.0))
    model = classifier(network, 3)
    colours = np.repeat(crops * 2 - 1, 3, axis=-1)
    expected = model.predict_probabilities(colours, verbose=0).max(axis=1)
    told = classify_boxes(model, IMAGES, squares, margin=0.0)
    np.testing.assert_allclose(np.concatenate([t.scores for t in told]), expected, atol=1e-6)
    record = {"kind": "images", "size": [4, 4], "color_mode": "rgb", "value_range": [0, 8]}
    model = classifier(network, 3, data_kind=record)
    eights = np.repeat(crops * 8, 3, axis=-1)
    expected = model.predict_probabilities(eights, verbose=0).max(axis=1)
    told = classify_boxes(model, IMAGES, squares, margin=0.0)
    np.testing.assert_allclose(np.concatenate([t.scores for t in told]), expected, atol=1e-6)


def test_images_without_objects_have_none():
    nothing = [{"boxes": np.zeros([0, 4]), "labels": []}] * 2
    told = classify_boxes(classifier(), IMAGES[:2], nothing)
    assert [len(each) for each in told] == [0, 0]
    assert told[0].names == []


@pytest.mark.slow
def test_a_few_labels_of_a_finer_kind_follow_a_detector():
    """Trained on crops of the true boxes, it names those that a detector finds."""
    species = ktg.FeatureTransfer(mean_of_pixels(), class_names=["night", "day"])
    labels = OBJECTS["labels"][OBJECTS["labels"] >= 0]
    species.fit(crop_boxes(IMAGES, LISTED, 4, 0.0), labels)
    others, truth = scenes(6, seed=9)
    found = [{"boxes": b, "labels": np.where(n >= 0, 0, -1)} for b, n in zip(*truth.values())]
    told = classify_boxes(species, others, found, margin=0.0)
    expected = [["night", "day"][label] for label in truth["labels"].ravel() if label >= 0]
    assert [name for each in told for name in each.names] == expected


@pytest.mark.parametrize(
    ("make", "given", "message"),
    [
        (lambda: keras.Sequential([keras.Input((4, 4, 1))]), {}, "Expected a classifier of images"),
        (
            lambda: ktg.TransferModel(mean_of_pixels(), 2, task="multi_label"),
            {},
            "task='multi_label'",
        ),
        (lambda: classifier(mean_of_pixels(None)), {}, "give image_size, that of its training"),
        (classifier, {"image_size": 8}, "takes images of 4 x 4 pixels"),
        (
            lambda: classifier(preprocessing=keras.layers.Rescaling(2.0)),
            {},
            "set its data_kind",
        ),
        (
            lambda: classifier(data_kind={"kind": "sound", "sample_rate": 10}),
            {},
            r"classifier of images \[batch",
        ),
    ],
)
def test_a_model_that_cannot_tell_is_refused(make, given, message):
    with pytest.raises(ValueError, match=message):
        classify_boxes(make(), IMAGES, LISTED, **given)


def test_scenes_are_what_the_tests_take_them_for():
    assert IMAGES.shape == (12, SIZE, SIZE, 1)
    assert COUNT > 12
