import os
import warnings
from xml.etree import ElementTree

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from keras_transgen.datasets import voc_boxes

OBJECT = (
    "<object><name>{}</name><difficult>{}</difficult><bndbox><xmin>{}</xmin><ymin>{}</ymin>"
    "<xmax>{}</xmax><ymax>{}</ymax></bndbox>{}</object>"
)


def described(*objects, size=(8, 6), name="x.png"):
    """An annotation of an image 8 pixels wide and 6 high."""
    found = "".join(OBJECT.format(*each, *[""] * (7 - len(each))) for each in objects)
    return (
        f"<annotation><filename>{name}</filename><size><width>{size[0]}</width>"
        f"<height>{size[1]}</height></size>{found}</annotation>"
    )


def pixels(value):
    return np.random.default_rng(value).integers(0, 255, (6, 8, 3), "uint8")


def write(root, stem, annotation, value=0, suffix="png"):
    for part in ("Annotations", "JPEGImages", "ImageSets/Main"):
        (root / part).mkdir(parents=True, exist_ok=True)
    content = annotation if isinstance(annotation, bytes) else annotation.encode()
    (root / "Annotations" / f"{stem}.xml").write_bytes(content)
    Image.fromarray(pixels(value)).save(root / "JPEGImages" / f"{stem}.{suffix}")


@pytest.fixture
def folder(tmp_path):
    # A part of an object has a box of its own.
    part = "<part><name>head</name><bndbox><xmin>1</xmin></bndbox></part>"
    write(tmp_path, "b", described(("dog", 0, 1, 1, 8, 6, part), ("cat", 1, 3, 2, 3, 4)), 1)
    write(tmp_path, "a", described(), 2)
    write(tmp_path, "c", described(("dog", 0, 2.5, 1.5, 4, 5.25)), 3)
    (tmp_path / "ImageSets/Main/test.txt").write_text("c\nb\n")
    return tmp_path


def listed(data):
    return [
        (image.numpy(), found["boxes"].numpy(), found["labels"].numpy().tolist())
        for image, found in data
    ]


def test_images_boxes_and_labels_by_hand(folder):
    data = voc_boxes(folder)
    assert data.class_names == ["cat", "dog"]
    assert [path.rsplit("/", 1)[1] for path in data.file_paths] == ["a.png", "b.png", "c.png"]
    assert int(data.cardinality()) == 3
    image_spec, found_spec = data.element_spec
    assert (image_spec.dtype, image_spec.shape.as_list()) == (tf.uint8, [None, None, 3])
    assert (found_spec["boxes"].dtype, found_spec["labels"].dtype) == (tf.float32, tf.int64)
    first, second, third = listed(data)
    for (image, _, _), value in zip((first, second, third), (2, 1, 3)):
        np.testing.assert_array_equal(image, pixels(value))
    assert first[1].shape == (0, 4)
    assert first[2] == []
    # From the first pixel to the last: all of the image; and one pixel in width.
    assert second[1].tolist() == [[0, 0, 8, 6], [2, 1, 3, 4]]
    assert second[2] == [1, 0]
    assert third[1].tolist() == [[1.5, 0.5, 4, 5.25]]


def test_numbers_may_be_edges_from_zero(folder):
    boxes = [found for _, found, _ in listed(voc_boxes(folder, one_based=False, skip_empty=True))]
    # The box of one pixel's width has none between its edges.
    assert boxes[1].tolist() == [[1, 1, 8, 6]]
    assert boxes[2].tolist() == [[2.5, 1.5, 4, 5.25]]
    with pytest.raises(ValueError, match=r"area.*box 1, \[3.0, 2.0, 3.0, 4.0\].*b\.png"):
        voc_boxes(folder, one_based=False)


def test_splits_have_their_order_and_all_classes(folder):
    data = voc_boxes(folder, split="test")
    assert [path.rsplit("/", 1)[1] for path in data.file_paths] == ["c.png", "b.png"]
    (folder / "ImageSets/Main/val.txt").write_text("c\r\n\r\n")
    assert voc_boxes(folder, "val").class_names == ["cat", "dog"]
    assert listed(voc_boxes(folder, "val"))[0][2] == [1]
    given = voc_boxes(folder, "val", class_names=["dog", "cow"])
    assert given.class_names == ["dog", "cow"]
    assert listed(given)[0][2] == [0]
    with pytest.raises(ValueError, match=r"among class_names.*'cat' in object 1 of .*b\.xml"):
        voc_boxes(folder, class_names=["dog"])
    with pytest.raises(ValueError, match=r"among the lists \['test', 'val'\].*'../test'"):
        voc_boxes(folder, split="../test")
    (folder / "ImageSets/Main/val.txt").write_text("c\nz\n")
    with pytest.raises(ValueError, match=r"'z', name 2 of .*val\.txt"):
        voc_boxes(folder, split="val")
    (folder / "ImageSets/Main/val.txt").write_text("\n")
    with pytest.raises(ValueError, match=r"none in .*val\.txt"):
        voc_boxes(folder, split="val")


def test_images_of_one_size_have_boxes_of_that_size(folder):
    data = voc_boxes(folder, "test", image_size=(12, 4))
    assert data.element_spec[0].shape.as_list() == [12, 4, 3]
    (image, boxes, _), _ = listed(data)
    expected = Image.fromarray(pixels(3)).resize((4, 12), Image.Resampling.BILINEAR)
    np.testing.assert_array_equal(image, np.asarray(expected))
    # Half across, twice down.
    assert boxes.tolist() == [[0.75, 1, 2, 10.5]]
    assert voc_boxes(folder, image_size=5).element_spec[0].shape.as_list() == [5, 5, 3]
    for size in (0, (4,), (4, -1)):
        with pytest.raises(ValueError, match="image_size as a number"):
            voc_boxes(folder, image_size=size)


def test_difficult_objects_may_be_left_out(folder):
    data = voc_boxes(folder, "test", skip_difficult=True)
    assert [labels for _, _, labels in listed(data)] == [[1], [1]]


def test_other_words_than_1_are_not_difficult(tmp_path):
    words = ("Unspecified", "0.0", "1", "true", "")
    write(tmp_path, "a", described(*[("x", word, 1, 1, 4, 4) for word in words]))
    (image,) = voc_boxes(tmp_path, skip_difficult=True)
    assert len(image[1]["labels"]) == 3


def test_shuffling_is_another_order_in_each_epoch_and_the_same_again_for_a_seed(tmp_path):
    for value in range(8):
        write(tmp_path, str(value), described(("x", 0, 1, 1, 1 + value, 6)), value)
    data = voc_boxes(tmp_path, shuffle=True, seed=1)
    epochs = [[int(boxes[0, 2]) for _, boxes, _ in listed(data)] for _ in range(2)]
    assert epochs[0] != epochs[1]
    assert [sorted(epoch) for epoch in epochs] == [[*range(1, 9)]] * 2
    again = voc_boxes(tmp_path, shuffle=True, seed=1)
    assert [int(boxes[0, 2]) for _, boxes, _ in listed(again)] == epochs[0]


def test_boxes_out_of_their_image_are_cut_and_counted(tmp_path):
    write(
        tmp_path,
        "a",
        described(("x", 0, -3, 0.5, 4, 9), ("x", 0, 0, 0, 9, 7), ("y", 0, 1, 1, 99, 2)),
    )
    with pytest.warns(UserWarning, match=r"2 box\(es\) of 1 image\(s\).*a\.png") as caught:
        data = voc_boxes(tmp_path)
    assert caught[0].filename == __file__
    # The second reaches out by a pixel: no more than counting from 0 does.
    assert listed(data)[0][1].tolist() == [[0, 0, 4, 6], [0, 0, 8, 6], [0, 0, 8, 2]]


@pytest.mark.parametrize("box", [(4, 2, 3, 4), (4, 4, 5, 2), (10, 1, 12, 3), (1, -9, 3, -2)])
def test_boxes_without_an_area_are_refused_or_left_out(tmp_path, box):
    write(tmp_path, "a", described(("x", 0, 1, 1, 2, 2), ("x", 0, *box)))
    with pytest.raises(ValueError, match=r"box 1, .*a\.png, 8 x 6 pixels"):
        voc_boxes(tmp_path)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert listed(voc_boxes(tmp_path, skip_empty=True))[0][1].tolist() == [[0, 0, 2, 2]]


BOMB = (
    '<!DOCTYPE a [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;&a;"><!ENTITY c "&b;&b;&b;&b;">]>'
    "<annotation>&c;</annotation>"
)


@pytest.mark.parametrize(
    ("annotation", "message"),
    [
        (BOMB, "document type declaration"),
        (BOMB.encode("utf-16"), "document type declaration"),
        ('<!DOCTYPE a SYSTEM "file:///etc/passwd"><annotation/>', "document type declaration"),
        ("<annotation>&undeclared;</annotation>", "in XML.*undefined entity"),
        ("<annotation>", "in XML"),
        (b"", "in XML"),
        (b"\xff\xd8\xff no xml", "in XML"),
        ('<?xml version="1.0" encoding="hex"?><annotation/>', "in XML"),
        ("<svg/>", "an <annotation> of PASCAL VOC.*<svg>"),
        ('<annotation xmlns="http://x"><object/></annotation>', "without a namespace"),
        (described(("", 0, 1, 1, 2, 2)), "object 0 of"),
        (described(("x", 0, 1, 1, 2, "")), "object 0 of"),
        (described(("x", 0, 1, 1, 2, 2), ("x", 0, 1, 1, "nan", 2)), "object 1 of"),
        (described(("x", 0, 1, 1, "1e999", 2)), "object 0 of"),
        ("<annotation><object><name>x</name></object></annotation>", "object 0 of"),
    ],
)
def test_broken_annotations_are_refused_by_name(tmp_path, annotation, message):
    write(tmp_path, "broken", annotation)
    with pytest.raises(ValueError, match=message) as error:
        voc_boxes(tmp_path)
    assert "broken.xml" in str(error.value)


@pytest.mark.timeout(60)
def test_what_an_annotation_costs_is_bounded(tmp_path):
    write(tmp_path, "deep", "<annotation>" + "<a>" * 500_000 + "</a>" * 500_000 + "</annotation>")
    assert listed(voc_boxes(tmp_path))[0][2] == []
    with pytest.raises(ValueError, match=r"max_bytes=1,000.*deep\.xml"):
        voc_boxes(tmp_path, max_bytes=1000)
    os.mkfifo(tmp_path / "Annotations" / "pipe.xml")
    with pytest.raises(FileNotFoundError, match=r"pipe\.xml"):
        voc_boxes(tmp_path)


def test_an_image_may_be_absent_broken_or_of_another_size(folder):
    (folder / "JPEGImages" / "b.png").rename(folder / "JPEGImages" / "other.png")
    with pytest.raises(ValueError, match=r"1 of 3 annotations without one.*'b'"):
        voc_boxes(folder)
    # The annotation may say the name, and not that of a file elsewhere.
    for name, found in (("other.png", True), ("elsewhere/other.jpg", True), ("../../b", False)):
        write(folder, "b", described(name=name))
        (folder / "JPEGImages" / "b.png").unlink()
        if found:
            assert "other.png" in voc_boxes(folder).file_paths[1]
        else:
            with pytest.raises(ValueError, match="annotations without"):
                voc_boxes(folder)
    write(folder, "b", described(size=(6, 8)), 1)
    with pytest.raises(ValueError, match=r"1 of 3: .*b\.png, 8 x 6 pixels, annotated as 6 x 8"):
        voc_boxes(folder)
    # Without a size the image's own counts.
    write(folder, "b", described(("x", 0, 1, 1, 8, 6), size=(0, 0)), 1)
    assert listed(voc_boxes(folder))[1][1].tolist() == [[0, 0, 8, 6]]
    write(folder, "b", described(), 1)
    content = (folder / "JPEGImages" / "b.png").read_bytes()
    (folder / "JPEGImages" / "b.png").write_bytes(content[: len(content) // 2])
    with pytest.raises(ValueError, match=r"1 unreadable of 3, such as .*b\.png"):
        voc_boxes(folder)


def test_boxes_of_a_photograph_mean_it_as_a_viewer_shows_it(folder):
    from PIL import Image

    (folder / "JPEGImages" / "b.png").unlink()
    exif = Image.Exif()
    exif[274] = 6
    pixels = Image.fromarray(np.full((6, 8, 3), 9, "uint8"))
    pixels.save(folder / "JPEGImages" / "b.jpg", exif=exif)
    write(folder, "b", described(("x", 0, 1, 1, 8, 6), size=(6, 8)))
    (folder / "JPEGImages" / "b.png").unlink(missing_ok=True)
    assert listed(voc_boxes(folder))[1][1].tolist() == [[0, 0, 6, 6]]
    write(folder, "b", described(("x", 0, 1, 1, 8, 6), size=(8, 6)))
    (folder / "JPEGImages" / "b.png").unlink(missing_ok=True)
    with pytest.raises(ValueError, match=r"\(Exif\).*b\.jpg, 6 x 8 pixels, annotated as 8 x 6"):
        voc_boxes(folder)


def test_folders_without_annotations_are_refused_and_flat_ones_read(folder, tmp_path):
    with pytest.raises(FileNotFoundError, match="folder with annotations"):
        voc_boxes(folder / "absent")
    (tmp_path / "flat").mkdir()
    with pytest.raises(ValueError, match=r"annotations \(\.xml\)"):
        voc_boxes(tmp_path / "flat")
    for file in [*(folder / "Annotations").iterdir(), *(folder / "JPEGImages").iterdir()]:
        file.rename(tmp_path / "flat" / file.name)
    assert len(listed(voc_boxes(tmp_path / "flat"))) == 3


@pytest.mark.shared_data
def test_blood_cells(shared_folder):
    root = shared_folder / "data/bccd_400"
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        data = voc_boxes(root)
        test = voc_boxes(root, split="test")
    assert data.class_names == test.class_names == ["Platelets", "RBC", "WBC"]
    assert (int(data.cardinality()), int(test.cardinality())) == (364, 72)
    counts = np.zeros(3, int)
    for image, found in data:
        height, width, _ = image.shape
        boxes = found["boxes"].numpy()
        assert (boxes >= 0).all()
        assert (boxes <= [width, height, width, height]).all()
        counts += np.bincount(found["labels"], minlength=3)
    assert counts.tolist() == [361, 4155, 372]
    image, found = next(iter(test))
    stem = test.file_paths[0].rsplit("/", 1)[1].removesuffix(".jpg")
    tree = ElementTree.parse(root / "annotations" / f"{stem}.xml")
    said = [float(each.text) for each in tree.find("object/bndbox")]
    expected = np.clip(np.array(said) - [1, 1, 0, 0], 0, None)
    np.testing.assert_allclose(found["boxes"][0], expected, rtol=1e-6)
    picture = Image.open(root / "images" / f"{stem}.jpg").convert("RGB")
    np.testing.assert_array_equal(image, np.asarray(picture))
