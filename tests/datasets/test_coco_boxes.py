import gzip
import json
import os

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from keras_transgen.datasets import coco_boxes


def pixels(value):
    return np.random.default_rng(value).integers(0, 255, (6, 8, 3), "uint8")


def annotated():
    return {
        "images": [
            {"id": 7, "file_name": "b.png", "width": 8, "height": 6},
            {"id": 3, "file_name": "deep/a.png", "width": 8, "height": 6},
        ],
        "annotations": [
            {"id": 1, "image_id": 3, "category_id": 18, "bbox": [1, 2, 3.5, 4], "iscrowd": "0"},
            {"id": 2, "image_id": 3, "category_id": 2, "bbox": [0, 0, 8, 6], "iscrowd": 0},
            {"id": 3, "image_id": 3, "category_id": 2, "bbox": [0, 0, 1, 1], "iscrowd": 1},
        ],
        "categories": [{"id": 18, "name": "dog"}, {"id": 2, "name": "bicycle"}, {"id": 9}],
    }


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "images/deep").mkdir(parents=True)
    Image.fromarray(pixels(1)).save(tmp_path / "images/b.png")
    Image.fromarray(pixels(2)).save(tmp_path / "images/deep/a.png")
    return tmp_path


def read(folder, content=None, **options):
    file = folder / "instances.json"
    file.write_text(json.dumps(annotated() if content is None else content))
    return coco_boxes(file, folder / "images", **options)


def listed(data):
    return [
        (image.numpy(), found["boxes"].numpy(), found["labels"].numpy().tolist())
        for image, found in data
    ]


def test_images_boxes_and_labels_by_hand(folder):
    data = read(folder)
    assert data.class_names == ["bicycle", "9", "dog"]
    assert [os.path.relpath(path, folder) for path in data.file_paths] == [
        "images/b.png",
        "images/deep/a.png",
    ]
    assert int(data.cardinality()) == 2
    empty, full = listed(data)
    np.testing.assert_array_equal(empty[0], pixels(1))
    assert (empty[1].shape, empty[2]) == ((0, 4), [])
    np.testing.assert_array_equal(full[0], pixels(2))
    assert full[1].tolist() == [[1, 2, 4.5, 6], [0, 0, 8, 6]]
    assert full[2] == [2, 0]
    (folder / "packed.json.gz").write_bytes(gzip.compress(json.dumps(annotated()).encode()))
    packed = coco_boxes(folder / "packed.json.gz", folder / "images", image_size=3)
    assert listed(packed)[1][1].tolist() == [[0.375, 1, 1.6875, 3], [0, 0, 3, 3]]


def test_parts_of_the_width_and_height(folder):
    content = annotated()
    content["annotations"][0]["bbox"] = [0.25, 0.5, 0.5, 0.25]
    del content["annotations"][1:]
    assert listed(read(folder, content, normalised=True))[1][1].tolist() == [[2, 3, 6, 4.5]]


def changed(**changes):
    """What is changed, by its list and number: `annotations_0={"bbox": ...}`."""
    content = annotated()
    for place, values in changes.items():
        part, number = place.split("_")
        content[part][int(number)].update(values)
    return content


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ([], "without a list 'images'"),
        ({"images": [], "annotations": {}}, "without a list 'annotations'"),
        ({"images": [], "annotations": [], "categories": [1]}, "without a list 'categories'"),
        ({"images": [], "annotations": [], "categories": []}, "images with annotations"),
        (changed(annotations_0={"image_id": 5}), "image_id=5 in annotation 1"),
        (changed(annotations_0={"image_id": [3]}), r"image_id=\[3\] in annotation 1"),
        (changed(annotations_1={"category_id": 1}), "category_id=1 in annotation 2"),
        (changed(annotations_1={"category_id": {}}), "category_id={} in annotation 2"),
        (changed(annotations_0={"bbox": [1, 2, 3]}), "annotation 1 of .* without"),
        (changed(annotations_0={"bbox": None}), "annotation 1 of .* without"),
        (changed(annotations_0={"bbox": [1, 2, "x", 3]}), r"finite numbers.*box 0 of .*a\.png"),
        (changed(annotations_0={"bbox": [1, 2, float("nan"), 3]}), "finite numbers.*box 0"),
        (changed(annotations_0={"bbox": [1, 2, 10**400, 3]}), "finite numbers.*box 0"),
        (changed(annotations_0={"bbox": [1, 2, True, 3]}), "finite numbers.*box 0"),
        (changed(annotations_1={"bbox": [1, 2, 0, 3]}), r"box 1, \[1.0, 2.0, 1.0, 5.0\]"),
        (changed(annotations_1={"bbox": [1, 2, 3, -1]}), "box 1,"),
        (changed(images_0={"id": "7"}), "whole number as the id of each image.*id=7"),
        (changed(images_0={"id": 3}), "another one for each.*id=3"),
        (changed(categories_0={"id": None}), "id of each category"),
        (changed(images_0={"width": 0}), "image 7 of .* without"),
        (changed(images_0={"height": None}), "image 7 of .* without"),
        (changed(images_0={"file_name": "c.png"}), r"1 of 2 missing.*c\.png"),
        (changed(images_0={"file_name": "../b.png"}), r"below the folder.*'\.\./b\.png'"),
        (changed(images_0={"file_name": "deep\\..\\..\\b.png"}), "below the folder"),
        (changed(images_0={"file_name": "/etc/b.png"}), "below the folder"),
        (changed(images_0={"file_name": "C:\\b.png"}), "below the folder"),
        (changed(images_0={"file_name": ""}), "below the folder"),
    ],
)  # fmt: skip
def test_broken_annotations_are_refused(folder, content, message):
    with pytest.raises(ValueError, match=message):
        read(folder, content)


def test_boxes_without_an_area_may_be_left_out(folder):
    content = changed(annotations_1={"bbox": [1, 2, 0, 3]})
    assert listed(read(folder, content, skip_empty=True))[1][2] == [2]


def test_boxes_out_of_their_image_are_cut_and_counted(folder):
    content = changed(annotations_0={"bbox": [-2, 1, 4, 9]})
    with pytest.warns(UserWarning, match=r"1 box\(es\) of 1 image\(s\).*a\.png"):
        data = read(folder, content)
    assert listed(data)[1][1][0].tolist() == [0, 1, 2, 6]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "in JSON"),
        ('{"images": [', "in JSON"),
        ("[" * 200_000, "in JSON"),
        ('{"images": ' + "1" * 5000 + "}", "in JSON"),
        ('{"images": "\0"}', "a zero in line 1"),
    ],
)
def test_files_that_are_no_json(folder, text, message):
    (folder / "broken.json").write_text(text)
    with pytest.raises(ValueError, match=message) as error:
        coco_boxes(folder / "broken.json", folder / "images")
    assert "broken.json" in str(error.value)


def test_absent_files_and_limits(folder):
    with pytest.raises(FileNotFoundError, match="expected a file"):
        coco_boxes(folder / "absent.json", folder / "images")
    with pytest.raises(FileNotFoundError, match="folder of images"):
        coco_boxes(folder / "absent.json", folder / "absent")
    with pytest.raises(ValueError, match="max_bytes=10"):
        read(folder, max_bytes=10)
    content = (folder / "images/b.png").read_bytes()
    (folder / "images/b.png").write_bytes(content[:-40])
    with pytest.raises(ValueError, match=r"1 unreadable of 2, such as .*b\.png"):
        read(folder)
    (folder / "images/b.png").write_bytes(content)
    data = read(folder)
    # It breaks while it is in use.
    (folder / "images/b.png").write_bytes(content[:-40])
    with pytest.raises(tf.errors.OpError, match=r"b\.png"):
        listed(data)
