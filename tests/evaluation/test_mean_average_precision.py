"""Mean average precision is that of pycocotools, to 1e-6."""

import contextlib
import io
import math

import numpy as np
import pytest
import tensorflow as tf

from keras_transgen.evaluation import mean_average_precision

RNG = np.random.default_rng(5)


def boxes(count, size=100):
    corners = RNG.uniform(0, 0.8 * size, size=(count, 2))
    return np.concatenate([corners, corners + RNG.uniform(2, 0.3 * size, size=(count, 2))], 1)


def areas(found):
    return (found[:, 2] - found[:, 0]) * (found[:, 3] - found[:, 1])


def images(count=12, most=12, classes=3, crowds=0.0, found=2.0, size=100, outlines=False):
    """Truth, and boxes near it that are right to all degrees, in part double or of no object."""
    truth, detections = [], []
    for number in range(count):
        many = 0 if number == 3 else int(RNG.integers(0, most))
        one = {"boxes": boxes(many, size), "labels": RNG.integers(0, classes, many)}
        if outlines:
            one["area"] = RNG.uniform(0.3, 1.0, many) * areas(one["boxes"])
        if crowds:
            one["crowd"] = RNG.uniform(size=many) < crowds
        chosen = RNG.integers(0, max(many, 1), size=int(many * found))
        near = one["boxes"][chosen] + RNG.normal(size=(len(chosen), 4)) * RNG.choice([1, 4])
        near[:, 2:] = np.maximum(near[:, 2:], near[:, :2] + 1)
        near = np.concatenate([near, boxes(4, size)])
        labels = np.concatenate([one["labels"][chosen], RNG.integers(0, classes + 1, 4)])
        scores = RNG.integers(1, 40, len(near)) / 40
        truth.append(one)
        detections.append({"boxes": near, "labels": labels, "scores": scores})
    return truth, detections


def by_coco(truth, found, classes):
    coco = pytest.importorskip("pycocotools.coco").COCO
    evaluation = pytest.importorskip("pycocotools.cocoeval").COCOeval
    annotations, rows = [], []
    for image, each in enumerate(truth):
        crowd = each.get("crowd", np.zeros(len(each["labels"]), bool))
        area = each.get("area", areas(np.asarray(each["boxes"]).reshape(-1, 4)))
        for (left, top, right, bottom), label, group, size in zip(
            each["boxes"], each["labels"], crowd, area
        ):
            annotations.append(
                {
                    "id": len(annotations) + 1,
                    "image_id": image,
                    "category_id": int(label),
                    "bbox": [left, top, right - left, bottom - top],
                    "area": size,
                    "iscrowd": int(group),
                }
            )
    for image, each in enumerate(found):
        for (left, top, right, bottom), label, score in zip(*each.values()):
            rows.append([image, left, top, right - left, bottom - top, score, int(label)])
    with contextlib.redirect_stdout(io.StringIO()):
        known = coco()
        known.dataset = {
            "info": {},
            "images": [{"id": image} for image in range(len(truth))],
            "annotations": annotations,
            "categories": [{"id": label} for label in range(classes)],
        }
        known.createIndex()
        result = evaluation(known, known.loadRes(np.array(rows, float).reshape(-1, 7)), "bbox")
        result.evaluate()
        result.accumulate()
        result.summarize()
    precision = result.eval["precision"][:, :, :, 0, 2]
    return result.stats, precision


def assert_cocos(truth, found, classes=3):
    stats, precision = by_coco(truth, found, classes)
    result = mean_average_precision(truth, found)
    expected = np.array([*stats[:6], stats[8]])
    found = [result.map, result.map50, result.map75, *result[6:], result.recall]
    # What COCO's tool calls -1 is no number.
    np.testing.assert_allclose(found, np.where(expected < 0.0, np.nan, expected), atol=1e-6)
    for label in range(classes):
        values = precision[:, :, label]
        if (values > -1).any():
            assert result.by_class[label] == pytest.approx(values.mean(), abs=1e-6)
            assert result.by_class50[label] == pytest.approx(values[0].mean(), abs=1e-6)
        else:
            assert label not in result.by_class
    return result


@pytest.mark.parametrize(
    "arguments",
    [
        {},
        {"crowds": 0.4},
        {"crowds": 1.0, "classes": 1},
        {"most": 2},
        {"found": 0.0},
        {"count": 1},
        {"size": 500},
        {"size": 500, "crowds": 0.3, "outlines": True},
    ],
    ids=str,
)
def test_equals_pycocotools(arguments):
    classes = arguments.get("classes", 3)
    for _ in range(3):
        truth, found = images(**arguments)
        if arguments.get("crowds") == 1.0:
            truth[0] = {"boxes": boxes(3), "labels": np.zeros(3, int), "crowd": [True, False, True]}
        # A class that is found and never there has no precision.
        for each in found:
            each["labels"] = each["labels"] % (classes + 1)
        if not any(len(each["labels"]) for each in truth):
            continue
        assert_cocos(truth, found, classes + 1)


def test_more_than_a_hundred_boxes_of_an_image():
    truth = [{"boxes": boxes(60), "labels": np.zeros(60, int)} for _ in range(2)]
    found = []
    for each in truth:
        near = np.tile(each["boxes"], (4, 1)) + RNG.normal(size=(240, 4)) * 0.5
        found.append({"boxes": near, "labels": np.zeros(240), "scores": RNG.uniform(size=240)})
    assert_cocos(truth, found, 1)
    more = mean_average_precision(truth, found, max_detections=240)
    assert more.recall > mean_average_precision(truth, found).recall


def test_sizes_by_hand():
    # An object of 32 x 32 is small and medium at once; the box of 100 x 100 is wrong among large
    # ones alone, where there is nothing to find.
    truth = [{"boxes": [[0, 0, 32, 32], [100, 0, 150, 50]], "labels": [0, 0]}]
    found = [
        {
            "boxes": [[200, 0, 300, 100], [0, 0, 32, 32], [100, 0, 150, 25]],
            "labels": [0, 0, 0],
            "scores": [0.9, 0.8, 0.7],
        }
    ]
    result = mean_average_precision(truth, found)
    assert result.map_small == pytest.approx(1.0)
    assert math.isnan(result.map_large)
    # Of the two medium objects the first is found at all overlaps, the other only at one half.
    assert result.map_medium == pytest.approx((1.0 + 9 * 51 / 101) / 10)
    large = mean_average_precision([{**truth[0], "area": [1024.0, 9e4]}], found)
    # A large box is wrong before the one that is right at one overlap of ten.
    assert large.map_large == pytest.approx(0.1 * 0.5)


def test_of_equal_overlaps_the_last_object_is_given():
    truth = [{"boxes": [[0, 0, 10, 10], [0, 0, 10, 10]], "labels": [0, 0], "crowd": [False, True]}]
    found = [{"boxes": [[0.0, 0, 10, 10]] * 3, "labels": [0] * 3, "scores": [0.9, 0.8, 0.7]}]
    truth[0]["boxes"] = np.array(truth[0]["boxes"], float)
    assert assert_cocos(truth, found, 1).map == pytest.approx(1.0)


def test_nothing_found_is_zero_and_nothing_to_find_is_none():
    truth = [{"boxes": [[0, 0, 1, 1]], "labels": [2]}, {"boxes": [], "labels": []}]
    nothing = [{"boxes": [], "labels": [], "scores": []}] * 2
    result = mean_average_precision(truth, nothing)
    assert result[:4] == (0.0, 0.0, 0.0, 0.0)
    assert result.by_class == {2: 0.0}
    result = mean_average_precision([truth[1]] * 2, nothing)
    assert math.isnan(result.map)
    assert result.by_class == {}


def test_a_data_set_is_the_truth_and_padding_no_object():
    image = np.zeros((4, 4, 3), "uint8")
    objects = {"boxes": np.float32([[0, 0, 2, 2], [0, 0, 0, 0]]), "labels": np.array([1, -1])}
    data = tf.data.Dataset.from_tensors((image, objects))
    found = [{"boxes": [[0, 0, 2, 2]], "labels": [1], "scores": [0.3]}]
    assert mean_average_precision(data, found).map == pytest.approx(1.0)


@pytest.mark.parametrize(
    ("truth", "found", "message"),
    [
        ([], [], "one image at least"),
        ([{"boxes": [], "labels": []}], [], "1 images of truth, 0 of found"),
        ([{"boxes": [[0, 0, 1, 1]], "labels": []}], None, "1 boxes, 0 labels"),
        ([{"boxes": [[0, 0, 1, np.nan]], "labels": [0]}], None, "not all finite"),
        ([{"boxes": [], "labels": []}], [{"boxes": [], "labels": []}], "Expected scores"),
    ],
)
def test_what_does_not_go_together_is_refused(truth, found, message):
    nothing = [{"boxes": [], "labels": [], "scores": []}]
    with pytest.raises(ValueError, match=message):
        mean_average_precision(truth, nothing if found is None else found)


def test_one_image_alone_and_other_keys_are_refused():
    one = {"boxes": [[0, 0, 1, 1]], "labels": [0], "scores": [0.5]}
    with pytest.raises(ValueError, match=r"truth of type dict.*into a list, \[truth\]"):
        mean_average_precision(one, [one])
    with pytest.raises(ValueError, match=r"found of type dict"):
        mean_average_precision([one], one)
    with pytest.raises(ValueError, match="no such part of image 0"):
        mean_average_precision([{"classes": [0], "boxes": [[0, 0, 1, 1]]}], [one])
