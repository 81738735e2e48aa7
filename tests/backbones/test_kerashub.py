"""KerasHub's presets and tasks as backbones: real ones, small, made here."""

import json
import shutil
import sys
import zipfile

import h5py
import keras
import numpy as np
import pytest

import keras_transgen as ktg
from keras_transgen.backbones import kerashub

pytestmark = pytest.mark.slow
TEXTS = ["a fox", "the lazy dog jumped over a quick fox"]
WORDS = ["a", "brown", "dog", "fox", "jumped", "lazy", "over", "quick", "the"]


@pytest.fixture(scope="module")
def hub():
    return pytest.importorskip("keras_hub")


def bert(hub):
    tokenizer = hub.models.BertTokenizer(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *WORDS])
    backbone = hub.models.BertBackbone(len(tokenizer.vocabulary), 1, 2, 8, 16)
    preprocessor = hub.models.BertTextClassifierPreprocessor(tokenizer, sequence_length=16)
    return hub.models.BertTextClassifier(backbone, num_classes=2, preprocessor=preprocessor)


def gpt2(hub):
    pieces = {"<|endoftext|>": 0, "a": 1, "Ġ": 2, "f": 3, "o": 4, "x": 5, "d": 6, "g": 7, "fo": 8}
    tokenizer = hub.models.GPT2Tokenizer(pieces, merges=["f o"])
    backbone = hub.models.GPT2Backbone(len(pieces), 1, 2, 8, 16, max_sequence_length=12)
    preprocessor = hub.models.GPT2CausalLMPreprocessor(tokenizer, sequence_length=12)
    return hub.models.GPT2CausalLM(backbone, preprocessor)


@pytest.fixture(scope="module")
def preset(hub, tmp_path_factory):
    """A classifier's folder as KerasHub writes it."""
    folder = tmp_path_factory.mktemp("presets") / "bert"
    bert(hub).save_to_preset(str(folder))
    return folder


def test_a_preset_says_of_each_token_what_kerashub_says(hub, preset):
    backbone = ktg.load_backbone(str(preset))
    features = backbone(np.array(TEXTS, object))
    tokens = hub.models.TextClassifierPreprocessor.from_preset(str(preset))(TEXTS)
    wanted = hub.models.Backbone.from_preset(str(preset))(tokens)["sequence_output"]
    # The start, the end, and a word each; without the padding up to 16.
    assert features.shape == (2, 10, 8)
    mask = np.asarray(features._keras_mask)
    np.testing.assert_array_equal(mask.sum(axis=1), [4, 10])
    for row, length in enumerate((4, 10)):
        np.testing.assert_allclose(features[row, :length], wanted[row, :length], atol=1e-6)
    alone = backbone(np.array(TEXTS[:1], object))
    np.testing.assert_allclose(alone[0], features[0, :4], atol=1e-5)


def test_an_unpacked_keras_file_is_no_preset(hub, tmp_path):
    keras.Sequential([keras.Input((4,)), keras.layers.Dense(2)]).save(tmp_path / "model.keras")
    with zipfile.ZipFile(tmp_path / "model.keras") as file:
        file.extractall(tmp_path / "unpacked")
    with pytest.raises(ValueError, match="looks like an unpacked Keras model"):
        ktg.load_backbone(str(tmp_path / "unpacked"))


def test_a_task_keeps_its_preprocessor(hub):
    task = bert(hub)
    features = ktg.load_backbone(task)(np.array(TEXTS, object))
    wanted = task.backbone(task.preprocessor(TEXTS))["sequence_output"]
    np.testing.assert_allclose(features[0, :4], wanted[0, :4], atol=1e-6)


def test_a_decoder_reads_texts_and_no_ends(hub):
    task = gpt2(hub)
    features = ktg.load_backbone(task)(np.array(["fox a", "dog"], object))
    tokens = task.preprocessor.generate_preprocess(["fox a", "dog"])
    wanted = task.backbone({name: tokens[name] for name in task.backbone.input})
    lengths = np.asarray(features._keras_mask).sum(axis=1)
    np.testing.assert_array_equal(lengths, np.asarray(tokens["padding_mask"]).sum(axis=1))
    for row, length in enumerate(lengths):
        np.testing.assert_allclose(features[row, :length], wanted[row, :length], atol=1e-6)


def test_transfer_learns_and_is_loaded_in_a_new_process(preset, tmp_path, fresh_process):
    texts = ["a fox", "the dog", "a quick fox", "lazy dog"] * 4
    labels = np.array([0, 1, 0, 1] * 4)
    lora = ktg.StructureTransfer(ktg.load_backbone(str(preset)), 2, method="lora", rank=2)
    lora.fit(texts, labels, epochs=1, verbose=0)
    probe = ktg.FeatureTransfer(ktg.load_backbone(str(preset)), 2)
    probe.fit(texts, labels, verbose=0)
    np.testing.assert_array_equal(probe.classify(texts, verbose=0), labels)
    for model in (probe, lora):
        path = tmp_path / f"{type(model).__name__}.keras"
        model.save(path)
        again = fresh_process.call(path, "predict", np.array(texts[:4]), verbose=0)
        np.testing.assert_allclose(again, model.predict(texts[:4], verbose=0), atol=1e-5)


def test_a_name_is_fetched_by_the_hubs_own_client(hub, preset, tmp_path, monkeypatch):
    """The client finds in its cache what it would fetch."""
    handle = hub.models.BertBackbone.presets["bert_tiny_en_uncased"]["kaggle_handle"]
    cached = tmp_path / "models" / handle.removeprefix("kaggle://")
    shutil.copytree(preset, cached)
    (cached.parent / f"{cached.name}.complete").touch()
    monkeypatch.setenv("KAGGLEHUB_CACHE", str(tmp_path))
    backbone = ktg.load_backbone("bert_tiny_en_uncased")
    wanted = ktg.load_backbone(str(preset))(np.array(TEXTS, object))
    np.testing.assert_array_equal(backbone(np.array(TEXTS, object)), wanted)


def test_no_features_of_a_text_alone_with_a_decoder(hub):
    task = bert(hub)
    seen = keras.Input((None,), name="token_ids")
    with pytest.raises(ValueError, match="a vector for each token"):
        kerashub.strings_to_features(keras.Model(seen, seen), task.preprocessor)


@pytest.mark.parametrize("harm", ["link", "lambda", "elsewhere", "huge"])
def test_a_strangers_preset_only_computes(preset, tmp_path, harm):
    folder = tmp_path / "strange"
    shutil.copytree(preset, folder)
    if harm == "link":
        with h5py.File(folder / "model.weights.h5", "a") as file:
            file["more"] = h5py.ExternalLink("/etc/passwd", "/")
    name = "tokenizer.json" if harm == "elsewhere" else "config.json"
    config = json.loads((folder / name).read_text())
    if harm == "lambda":
        config = {"module": "keras.utils", "class_name": "function", "config": "get_file"}
    elif harm == "elsewhere":
        config["config"]["config_file"] = "../../../etc/passwd"
    elif harm == "huge":
        config["config"]["vocabulary_size"] = 10**9
    (folder / name).write_text(json.dumps(config))
    with pytest.raises(ValueError):
        ktg.load_backbone(str(folder))


def test_without_kerashub_the_error_says_what_to_install(preset, monkeypatch):
    monkeypatch.setitem(sys.modules, "keras_hub", None)
    monkeypatch.setattr(kerashub.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ValueError, match=r"keras-transgen\[kerashub\]"):
        ktg.load_backbone(str(preset))
