"""Boxes follow the objects in the picture: by the intersection over union with what is seen."""

import numpy as np
import pytest

from keras_transgen.transfer.detection import BoxAugmentation

RNG = np.random.default_rng(4)
SIZE = 64


def rectangles(count=16):
    """White rectangles on black, one an image, and a row of padding."""
    images = np.zeros((count, SIZE, SIZE, 1), "float32")
    boxes, labels = np.zeros((count, 2, 4), "float32"), np.full((count, 2), -1)
    for place in range(count):
        left, top = RNG.integers(12, 36, 2)
        width, height = RNG.integers(12, 24, 2)
        boxes[place, 0] = left, top, left + width, top + height
        labels[place, 0] = 1
        images[place, top : top + height, left : left + width] = 1.0
    return images, boxes, labels


def seen(image):
    rows, columns = np.where(image[..., 0] > 0.5)
    return np.array([columns.min(), rows.min(), columns.max() + 1, rows.max() + 1], float)


def overlap(one, other):
    sides = np.minimum(one[2:], other[2:]) - np.maximum(one[:2], other[:2])
    shared = np.prod(np.maximum(sides, 0))
    return shared / (np.prod(one[2:] - one[:2]) + np.prod(other[2:] - other[:2]) - shared)


@pytest.mark.parametrize(
    ("augmentation", "least"),
    [
        (BoxAugmentation(), 1.0),
        (BoxAugmentation(horizontal=False, vertical=True), 1.0),
        (BoxAugmentation(vertical=True), 1.0),
        (BoxAugmentation(horizontal=False, smallest_crop=0.5), 0.8),
        (BoxAugmentation(vertical=True, smallest_crop=0.7), 0.8),
    ],
)
def test_boxes_move_with_the_picture(augmentation, least):
    images, boxes, labels = rectangles()
    made, moved, kept = augmentation(images, boxes, labels, seed=[1, 2])
    overlaps = [
        overlap(seen(image), box[0])
        for image, box, label in zip(made.numpy(), moved.numpy(), kept.numpy())
        if label[0] == 1
    ]
    assert len(overlaps) >= 10
    assert min(overlaps) >= least
    assert np.mean(overlaps) >= (1.0 if least == 1.0 else 0.93)
    assert (kept[:, 1].numpy() == -1).all()
    # Something has moved at all.
    assert np.abs(moved[:, 0] - boxes[:, 0]).max() > 2.0


def test_a_crop_by_hand():
    images = np.arange(64, dtype="float32").reshape(1, 8, 8, 1)
    boxes = np.float32([[[2, 2, 6, 4], [0, 0, 4, 4], [4, 4, 8, 8], [0, 0, 0, 0]]])
    labels = np.array([[0, 1, 2, -1]])
    made, moved, kept = BoxAugmentation().cropped(images, boxes, labels, [[1.0, 2.0, 5.0, 6.0]])
    # Of the first object 3 of 4 columns are left, of the second a window's 3 x 2 of 16 pixels,
    # which is enough, of the third 1 x 2 of 16.
    assert moved[0, 0].numpy().tolist() == [2.0, 0.0, 8.0, 4.0]
    assert moved[0, 1].numpy().tolist() == [0.0, 0.0, 6.0, 4.0]
    assert kept.numpy().tolist() == [[0, 1, -1, -1]]
    # In the middle between pixels there is their mean: pixel (2.5, 2.5) of the image.
    blocks = images[0, 2:6, 1:5, 0]
    np.testing.assert_allclose(
        made[0, ..., 0].numpy().reshape(4, 2, 4, 2).mean(axis=(1, 3)), blocks, atol=1e-3
    )


def test_the_same_seed_gives_the_same_and_each_image_its_own():
    augmentation = BoxAugmentation(smallest_crop=0.6, brightness=0.2, contrast=0.2)
    image = RNG.uniform(size=(1, 16, 16, 3)).astype("float32").repeat(8, axis=0)
    boxes, labels = np.float32([[[2, 2, 10, 12]]] * 8), np.zeros((8, 1), "int64")
    one, other = (augmentation(image, boxes, labels, seed=[3, 4]) for _ in range(2))
    for a, b in zip(one, other):
        np.testing.assert_array_equal(a, b)
    assert len(np.unique(one[1].numpy()[:, 0], axis=0)) == 8
    assert np.abs(augmentation(image, boxes, labels, seed=[3, 5])[0] - one[0]).max() > 0.01


def test_lights_stay_in_the_range_and_leave_boxes():
    images, boxes, labels = rectangles()
    made, moved, kept = BoxAugmentation(horizontal=False, brightness=0.3, contrast=0.5)(
        images, boxes, labels, seed=[0, 1]
    )
    assert made.numpy().min() >= 0.0
    assert made.numpy().max() <= 1.0
    assert np.abs(made - images).max() > 0.05
    np.testing.assert_array_equal(moved, boxes)
    np.testing.assert_array_equal(kept, labels)


def test_ways_to_flip():
    assert BoxAugmentation().flips() == [(False, False), (True, False)]
    assert len(BoxAugmentation(vertical=True).flips()) == 4


@pytest.mark.parametrize(
    "arguments", [{"smallest_crop": 0.0}, {"brightness": 2.0}, {"contrast": 1.0}], ids=str
)
def test_arguments_out_of_their_range(arguments):
    with pytest.raises(ValueError, match=next(iter(arguments))):
        BoxAugmentation(**arguments)
