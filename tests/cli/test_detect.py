"""`keras-transgen detect`: annotated files in, a detector, tables and pictures out."""

import csv
import json
import signal

import keras
import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

import keras_transgen as ktg
from keras_transgen.cli.application import app
from keras_transgen.cli.box_pictures import boxed_picture
from keras_transgen.cli.coco_objects import CocoObjects
from keras_transgen.cli.detect_data import BoxedPart, boxed_data
from keras_transgen.cli.detect_train import _scales
from keras_transgen.datasets import coco_boxes
from keras_transgen.plotting.appearance import CLASS_COLOURS
from keras_transgen.transfer.detection.detections import Detections
from tests.cli.test_resumable import finished, started, wait_for
from tests.cli.voc_scenes import CLASSES, SIZE, save_coco, save_voc


def run(*arguments):
    return CliRunner().invoke(app, ["detect", *map(str, arguments)], catch_exceptions=False)


@pytest.fixture(scope="module")
def scenes(tmp_path_factory):
    folder = tmp_path_factory.mktemp("scenes")
    written = save_voc(folder / "voc")
    save_coco(folder / "coco.json", folder / "voc", written)
    return folder


def small_detector():
    """Of the embedded digits, untrained: what it finds is of no matter, only that it does."""
    keras.utils.set_random_seed(1)
    return ktg.Detector(
        "digits", image_size=16, scales=(4,), head_width=2, head_depth=1, class_names=CLASSES
    )


@pytest.fixture(scope="module")
def detector_file(tmp_path_factory):
    path = tmp_path_factory.mktemp("detector") / "detector.keras"
    small_detector().save(path)
    return path


OPTIONS = ("--image-size", SIZE, "--batch-size", 16)


@pytest.fixture(scope="module")
def trained(scenes, tmp_path_factory):
    output = tmp_path_factory.mktemp("trained") / "out"
    options = (*OPTIONS, "--split", "train", "--validation-split", "test", "--epochs", 60)
    more = ("--learning-rate", 0.01, "--augmentation", "flip", "--output", output)
    result = run("train", scenes / "voc", *options, *more)
    assert result.exit_code == 0, result.output
    return output, result.output


@pytest.mark.slow
@pytest.mark.long
def test_learns_from_a_voc_folder_and_tells_of_each_class(trained, scenes):
    output, said = trained
    report = json.loads((output / "report.json").read_text())
    assert report["classes"] == list(CLASSES)
    assert (report["images"], report["validation_images"]) == (15, 5)
    # Two objects in each image.
    assert sum(row["objects"] for row in report["per_class"].values()) == 10
    # 15 images in 2 views, 16 at once.
    assert report["steps"] == 60 * 2
    model = ktg.load_model(output / "model.keras")
    held_out = ktg.datasets.voc_boxes(scenes / "voc", "test")
    measured = model.evaluate(held_out)
    assert report["map50"] == pytest.approx(measured["map50"], abs=1e-6)
    assert report["map50"] > 0.5
    for name, value in measured["by_class"].items():
        assert report["per_class"][name]["map50"] == pytest.approx(value, abs=1e-6)
        assert f"{value:.3f}" in said
    assert {path.name for path in output.iterdir() if not path.name.startswith(".")} == {
        "model.keras", "report.json", "learning_curves.png", "detections.png", "previews"
    }  # fmt: skip
    # The first one, every sixth behind it, and the last.
    previews = sorted(path.stem for path in (output / "previews").iterdir())
    assert previews == [f"epoch_{epoch:04d}" for epoch in (*range(1, 60, 6), 60)]
    assert report["map_small"] == pytest.approx(report["map"])
    assert report["map_large"] is None
    assert model.cache_dir is None


@pytest.mark.slow
@pytest.mark.long
def test_finds_boxes_and_writes_what_it_finds(trained, scenes, tmp_path):
    images = scenes / "voc" / "JPEGImages"
    result = run("apply", trained[0], images, "--output", tmp_path / "out", "--batch-size", 8)
    assert result.exit_code == 0, result.output
    model = ktg.load_model(trained[0] / "model.keras")
    files = sorted(images.iterdir())
    pixels = [np.asarray(Image.open(file)) for file in files]
    expected = model.detect(pixels)
    with open(tmp_path / "out" / "objects.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == sum(map(len, expected)) > 20
    flat = [
        (file.name, name, *box, score)
        for file, each in zip(files, expected)
        for name, box, score in zip(each.names, each.boxes.tolist(), each.scores.tolist())
    ]
    for row, (file, name, *numbers) in zip(rows, flat):
        assert (row["file"], row["class"]) == (file, name)
        told = [float(row[key]) for key in ("left", "top", "right", "bottom", "score")]
        np.testing.assert_allclose(told, numbers, atol=1e-4)
    # The file of annotations is what the package itself reads, with the same boxes.
    again = coco_boxes(tmp_path / "out" / "coco.json", images)
    assert again.class_names == list(CLASSES)
    for (image, objects), given, each in zip(again.as_numpy_iterator(), pixels, expected):
        np.testing.assert_array_equal(image, given)
        np.testing.assert_allclose(objects["boxes"], each.boxes, atol=1e-3)
        np.testing.assert_array_equal(objects["labels"], each.labels)
    pictures = sorted((tmp_path / "out" / "pictures").iterdir())
    assert [path.stem for path in pictures] == [file.stem for file in files]
    changed = [np.asarray(Image.open(p)) != q for p, q in zip(pictures, pixels)]
    assert [each.any() for each in changed] == [len(each) > 0 for each in expected]


@pytest.mark.slow
def test_a_coco_file_and_the_other_kinds_of_transfer(scenes, tmp_path):
    options = ("--images", scenes / "voc" / "JPEGImages", *OPTIONS, "--transfer", "structure")
    output = tmp_path / "out"
    result = run("train", scenes / "coco.json", *options, "--steps", 3, "--output", output)
    assert result.exit_code == 0, result.output
    report = json.loads((output / "report.json").read_text())
    assert (report["images"], report["validation_images"], report["steps"]) == (16, 4, 3)
    assert report["transfer"] == "structure"
    model = ktg.load_model(output / "model.keras")
    backbone = ktg.load_backbone("digits")
    added = sum(np.prod(w.shape) for w in model.trainable_weights) - model.head.count_params()
    assert 0 < added < backbone.count_params()


@pytest.mark.slow
@pytest.mark.long
def test_a_killed_run_goes_on(scenes, tmp_path):
    """Neither what was extracted nor what was trained is done again."""
    out = tmp_path / "out"
    line = ["detect", "train", scenes / "voc", *OPTIONS, "--epochs", 15, "--output", out]
    process = started(line, tmp_path)
    backup = out / "unfinished" / "checkpoint" / "training_metadata.json"
    wait_for(process, backup.exists)
    process.send_signal(signal.SIGKILL)
    process.communicate(timeout=300)
    done = json.loads(backup.read_text())["epoch"]
    assert 0 < done < 15
    kept = {path: path.stat().st_mtime_ns for path in out.glob("unfinished/features/**/*.npy")}
    assert kept
    code, output = finished(line, tmp_path)
    assert code == 0, output
    assert "Going on with the unfinished run" in output
    assert f"Epoch {done + 1}/15" in output
    assert "Epoch 1/15" not in output
    assert not (out / "unfinished").exists()
    model = ktg.load_model(out / "model.keras")
    assert int(model.progress.step.numpy()) == 15 * 4  # 16 images, each in 4 views, 16 a batch.
    code, output = finished([*line[:-1], tmp_path / "whole"], tmp_path)
    assert code == 0, output
    whole = ktg.load_model(tmp_path / "whole" / "model.keras")
    for one, other in zip(model.head.weights, whole.head.weights, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-3, atol=1e-4)


def test_every_fifth_image_is_held_out(scenes):
    data = boxed_data(BoxedPart(scenes / "voc"), None)
    everything = [image for image, _ in ktg.datasets.voc_boxes(scenes / "voc").as_numpy_iterator()]
    held_out = [image for image, _ in data.held_out.as_numpy_iterator()]
    train = [image for image, _ in data.train.as_numpy_iterator()]
    np.testing.assert_array_equal(held_out, everything[::5])
    np.testing.assert_array_equal(train, np.delete(everything, np.arange(0, 20, 5), axis=0))
    assert (data.count, data.held_out_count) == (16, 4)
    assert int(data.train.cardinality()) == 16


def test_labels_of_what_is_held_out_are_those_of_the_training_data(scenes, tmp_path):
    """Of another folder with one class only, that class keeps its number."""
    other = tmp_path / "other"
    save_voc(other, 2)
    for file in (other / "Annotations").iterdir():
        file.write_text(file.read_text().replace("bright", "dark"))
    data = boxed_data(BoxedPart(scenes / "voc"), BoxedPart(other))
    labels = [objects["labels"] for _, objects in data.held_out.as_numpy_iterator()]
    assert np.unique(np.concatenate(labels)).tolist() == [1]


def test_scales_are_those_that_there_are():
    network = ktg.load_backbone("digits")
    assert _scales(None, network, 64) == [2, 4]
    assert _scales("2, block2_pool", network, 64) == [2, "block2_pool"]
    assert _scales(None, network, 3) == [2]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nowhere"], "nothing there"),
        (["{voc}", "--images", "{voc}"], "leave out the folder of images"),
        (["{coco}", "--split", "train"], "leave them out. Received: the list 'train'"),
        (["{coco}", "--skip-difficult"], "leave them out. Received: --skip-difficult"),
        (["{voc}", "--split", "dev"], r"among the lists \['test', 'train'\]"),
        (["{voc}", "--epochs", "1", "--steps", "1"], "leave out --epochs or --steps"),
        (["{voc}", "--validation-images", "{voc}"], "goes with --validation"),
        (["{voc}", "--scales", "8"], r"2 \('block2_b_relu'\), 4 \('block3_a_relu'\)"),
        (["{voc}", "--value-range", "1"], "takes two numbers"),
        (["{coco}"], "Expected every image of the file in the folder, which"),
    ],
)
def test_wrong_calls_of_train_leave_nothing_behind(arguments, message, scenes, tmp_path):
    places = {"voc": scenes / "voc", "coco": scenes / "coco.json"}
    given = [each.format(**places) for each in arguments]
    with pytest.raises((ValueError, FileNotFoundError), match=message):
        run("train", *given, "--output", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_one_image_cannot_be_both(tmp_path):
    save_voc(tmp_path / "voc", 1)
    with pytest.raises(ValueError, match=r"or give --validation\. Received: 1 image"):
        run("train", tmp_path / "voc", "--output", tmp_path / "out")


def test_categories_of_another_file_are_refused(scenes, tmp_path):
    content = json.loads((scenes / "coco.json").read_text())
    content["categories"][0]["name"] = "light"
    (tmp_path / "other.json").write_text(json.dumps(content))
    images = scenes / "voc" / "JPEGImages"
    part = BoxedPart(scenes / "coco.json", images)
    with pytest.raises(ValueError, match=r"bright, dark\. Received: light, dark"):
        boxed_data(part, BoxedPart(tmp_path / "other.json", images))


@pytest.mark.slow
def test_a_classifier_tells_what_is_in_the_boxes(detector_file, scenes, tmp_path):
    """One that goes by brightness alone, with crops that are cut out by hand."""
    sums = keras.Sequential([keras.Input((4, 4, 1)), keras.layers.Flatten()])
    classifier = ktg.FeatureTransfer(
        ktg.KerasBackbone(sums, value_range=(0, 1)), class_names=["light", "shade"]
    )
    grey = np.linspace(0, 1, 24).reshape(-1, 1, 1, 1) * np.ones((1, 4, 4, 1))
    classifier.fit(grey.astype("float32"), np.arange(24) < 12)
    classifier.save(tmp_path / "classifier.keras")
    image = scenes / "voc" / "JPEGImages" / "000.png"
    options = ("--classifier", tmp_path / "classifier.keras", "--margin", 0, "--score", 0)
    result = run("apply", detector_file, image, *options, "--output", tmp_path / "out")
    assert result.exit_code == 0, result.output
    with open(tmp_path / "out" / "objects.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert rows
    assert {row["classified"] for row in rows} == {"light", "shade"}
    content = json.loads((tmp_path / "out" / "coco.json").read_text())
    told = [each["attributes"]["classified"] for each in content["annotations"]]
    assert told == [row["classified"] for row in rows]
    found = ktg.load_model(detector_file).detect([np.asarray(Image.open(image))], score=0.0)
    expected = ktg.transfer.detection.classify_boxes(
        classifier, [np.asarray(Image.open(image))], found, margin=0.0
    )
    assert told == expected[0].names
    np.testing.assert_allclose(
        [float(row["probability"]) for row in rows], expected[0].scores, atol=1e-5
    )


def test_wrong_calls_of_apply(detector_file, scenes, tmp_path):
    images = scenes / "voc" / "JPEGImages"
    with pytest.raises(ValueError, match="or give --classifier"):
        run("apply", detector_file, images, "--margin", 0.1)
    ktg.TransferModel("digits", 3, task="regression").save(tmp_path / "other.keras")
    with pytest.raises(ValueError, match="holds no detector"):
        run("apply", tmp_path / "other.keras", images, "--output", tmp_path / "out")
    with pytest.raises(ValueError, match="must be a classifier of images"):
        run("apply", detector_file, images, "--classifier", tmp_path / "other.keras",
            "--output", tmp_path / "out")  # fmt: skip
    twice = tmp_path / "twice"
    twice.mkdir()
    for suffix in ("png", "bmp"):
        Image.new("RGB", (8, 8)).save(twice / f"same.{suffix}")
    with pytest.raises(ValueError, match="or give --no-pictures"):
        run("apply", detector_file, twice, "--output", tmp_path / "out")
    assert not (tmp_path / "out").exists()
    result = run("apply", detector_file, twice, "--no-pictures", "--output", tmp_path / "out")
    assert result.exit_code == 0, result.output
    assert {path.name for path in (tmp_path / "out").iterdir() if path.name[0] != "."} == {
        "objects.csv", "coco.json"
    }  # fmt: skip


def test_pictures_do_not_leave_the_folder_through_a_link(detector_file, scenes, tmp_path):
    output, elsewhere = tmp_path / "out", tmp_path / "elsewhere"
    for folder in (output, elsewhere):
        folder.mkdir()
    (output / "pictures").symlink_to(elsewhere)
    with pytest.raises(ValueError, match="leads away"):
        run("apply", detector_file, scenes / "voc" / "JPEGImages", "--output", output)
    assert list(elsewhere.iterdir()) == []


def test_lines_of_a_picture_lie_at_the_edges_of_the_box():
    pixels = np.full((100, 100, 3), 9, "uint8")
    picture = np.asarray(boxed_picture(pixels, np.array([[20.0, 50.0, 60.0, 90.0]]), [1], [""]))
    colour = [int(CLASS_COLOURS[1][place : place + 2], 16) for place in (1, 3, 5)]
    drawn = (picture == colour).all(axis=-1)
    inside = drawn[50:90, 20:60]
    assert inside[[0, -1]].all()
    assert inside[:, [0, -1]].all()
    assert not inside[1:-1, 1:-1].any()
    # Below the box and right of it nothing is changed; above it stands the text.
    assert (picture[90:] == 9).all()
    assert (picture[:, 60:] == 9).all()


def test_coco_has_width_and_height_and_ids_from_one():
    coco = CocoObjects(CLASSES)
    found = Detections(np.float32([[1, 2, 4, 8]]), np.array([1]), np.float32([0.5]), ["dark"])
    told = Detections(found.boxes, np.array([0]), np.float32([0.75]), ["wren"])
    (row,) = coco.add("a/b.png", (10, 20, 3), found, told)
    assert row == ["a/b.png", "dark", 0.5, 1.0, 2.0, 4.0, 8.0, "wren", 0.75]
    assert coco.content() == {
        "images": [{"id": 1, "file_name": "a/b.png", "height": 10, "width": 20}],
        "annotations": [
            {
                "id": 1, "image_id": 1, "category_id": 2, "bbox": [1.0, 2.0, 3.0, 6.0],
                "area": 18.0, "iscrowd": 0, "score": 0.5,
                "attributes": {"classified": "wren", "probability": 0.75},
            }
        ],
        "categories": [{"id": 1, "name": "bright"}, {"id": 2, "name": "dark"}],
    }  # fmt: skip


def test_inspect_says_how_a_detector_is_used(detector_file, monkeypatch):
    monkeypatch.setenv("COLUMNS", "300")
    result = CliRunner().invoke(app, ["inspect", str(detector_file)])
    assert result.exit_code == 0, result.output
    said = {line[:9].strip(): line[10:] for line in result.output.splitlines()}
    assert said["task"] == "detection, 2 classes"
    assert said["classes"] == "bright, dark"
    assert said["data"] == "images of any size, seen at 16 x 16 pixels"
    assert said["scales"] == "block3_a_relu"
    assert said["use"] == f"keras-transgen detect apply {detector_file} IMAGES --output FOUND"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--views", 4, "--transfer", "parameter"), "--views goes with --transfer feature"),
        (("--method", "ia3"), "--method goes with --transfer structure"),
        (("--rank", 4), "--rank goes with --transfer structure"),
        (("--freeze-to", "block"), "--freeze-to goes with --transfer parameter"),
        (("--augmentation", "none", "--vertical-flips"), "--vertical-flips goes with"),
    ],
    ids=str,
)
def test_options_of_another_kind_are_refused(arguments, message, scenes, tmp_path):
    with pytest.raises(ValueError, match=message):
        run("train", scenes / "voc", *arguments, "--output", tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.slow
def test_options_reach_the_detector(scenes, tmp_path):
    options = (*OPTIONS, "--epochs", 1, "--transfer", "structure", "--rank", 2)
    more = ("--class-loss", "quality_focal", "--pad-to-aspect-ratio", "--vertical-flips")
    result = run("train", scenes / "voc", *options, *more, "--output", tmp_path / "out")
    assert result.exit_code == 0, result.output
    config = ktg.load_model(tmp_path / "out" / "model.keras").get_config()
    assert (config["transfer"], config["rank"], config["method"]) == ("structure", 2, "lora")
    assert (config["class_loss"], config["pad_to_aspect_ratio"]) == ("quality_focal", True)
    varied = config["augmentation"]["config"]
    assert (varied["vertical"], varied["smallest_crop"], varied["contrast"]) == (True, 0.6, 0.2)


def test_pictures_do_not_go_among_the_images(detector_file, scenes):
    images = scenes / "voc" / "JPEGImages"
    with pytest.raises(ValueError, match="give an --output beside the folder of images"):
        run("apply", detector_file, images, "--output", images / "found")
    assert not (images / "found").exists()
