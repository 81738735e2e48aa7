"""What is cut out of images around boxes, by hand."""

import numpy as np
import pytest

from keras_transgen.transfer.detection import crop_boxes
from keras_transgen.transfer.detection.detections import Detections

# Each pixel says where it is: ten times its row and its column.
IMAGE = (10.0 * np.arange(10)[:, None] + np.arange(10)[None]).astype("float32")[..., None]


def crop(box, size, margin=0.0, image=IMAGE):
    return crop_boxes([image], [{"boxes": [box], "labels": [0]}], size, margin)[0, ..., 0]


@pytest.mark.parametrize(
    ("box", "margin", "rows", "columns"),
    [
        ([2, 3, 6, 7], 0.0, (3, 7), (2, 6)),
        # A square around what is wide: 4 pixels, with the middle at row 4.
        ([2, 3, 6, 5], 0.0, (2, 6), (2, 6)),
        # A quarter of 4 pixels more on each side.
        ([2, 3, 6, 7], 0.25, (2, 8), (1, 7)),
        # One that would reach out is moved in.
        ([0, 0, 4, 4], 0.25, (0, 6), (0, 6)),
        ([6, 5, 10, 9], 0.5, (2, 10), (2, 10)),
        # A box that reaches out itself.
        ([-2, 3, 2, 7], 0.0, (3, 7), (0, 4)),
    ],
)
def test_a_square_around_the_box(box, margin, rows, columns):
    expected = IMAGE[slice(*rows), slice(*columns), 0]
    np.testing.assert_array_equal(crop(box, len(expected), margin), expected)


def test_what_is_larger_than_the_image_is_cut_to_it_and_stretched():
    wide = np.repeat(IMAGE, 2, axis=1)
    # 20 wide and 10 high: the whole image, its width halved.
    expected = (wide[:, ::2, 0] + wide[:, 1::2, 0]) / 2
    found = crop([0, 0, 20, 10], 10, image=wide)
    np.testing.assert_allclose(found[:, 2:-2], expected[:, 2:-2], atol=0.5)
    np.testing.assert_allclose(found[:, 5] - found[:, 4], 1.0, atol=1e-4)


def test_crops_come_in_the_order_of_images_and_boxes_without_padding():
    other = IMAGE[:6] + 100
    objects = [
        {"boxes": [[0, 0, 2, 2], [0, 0, 0, 0]], "labels": [1, -1]},
        Detections(np.float32([[4, 4, 6, 6], [2, 1, 4, 3]]), np.array([0, 0]), np.ones(2)),
    ]
    crops = crop_boxes([IMAGE, other], objects, 2, 0.0)
    expected = [IMAGE[:2, :2], other[4:6, 4:6], other[1:3, 2:4]]
    np.testing.assert_array_equal(crops, expected)
    assert crops.dtype == np.float32
    whole = crop_boxes([IMAGE.astype("uint8")], objects[:1], 4, 0.0)
    assert whole.dtype == np.uint8
    nothing = {"boxes": np.zeros([0, 4]), "labels": []}
    assert crop_boxes([IMAGE], [nothing], 4).shape == (0, 4, 4, 1)


@pytest.mark.parametrize(
    ("images", "objects", "size", "margin", "message"),
    [
        ([IMAGE], [], 4, 0.1, "1 images, objects of 0"),
        ([], [], 4, 0.1, "one image at least"),
        ([IMAGE[..., 0]], [{"boxes": [], "labels": []}], 4, 0.1, "height, width, channels"),
        (
            [IMAGE, IMAGE[..., [0] * 3]],
            [{"boxes": [], "labels": []}] * 2,
            4,
            0.1,
            "all of the same channels",
        ),
        ([IMAGE], [{"boxes": [[1, 1, 3, 3]], "labels": []}], 4, 0.1, "1 boxes, 0 labels"),
        ([IMAGE], [{"boxes": [[3, 1, 3, 3]], "labels": [0]}], 4, 0.1, "have an area"),
        ([IMAGE], [{"boxes": [[12, 1, 14, 3]], "labels": [0]}], 4, 0.1, "10 x 10 pixels"),
        ([IMAGE], [{"boxes": [[1, 1, np.nan, 3]], "labels": [0]}], 4, 0.1, "finite boxes"),
        ([IMAGE], [{"boxes": [], "labels": []}], 0, 0.1, "image_size must be at least 1"),
        ([IMAGE], [{"boxes": [], "labels": []}], 4, -0.1, "margin a number of at least 0"),
    ],
)
def test_what_cannot_be_cropped_is_refused(images, objects, size, margin, message):
    with pytest.raises(ValueError, match=message):
        crop_boxes(images, objects, size, margin)
