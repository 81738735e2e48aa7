"""Files of strangers: whatever a configuration says, nobody is contacted and nothing else written.

All registered classes, all arguments of each, all loaders.
"""

import dataclasses
import gc
import importlib
import inspect
import json
import pkgutil
import re
import tempfile
import warnings
import zipfile
from pathlib import Path

import h5py
import keras
import numpy as np
import pytest
import tensorflow as tf
from tensorflow_probability import distributions as tfd

import keras_transgen as ktg
from keras_transgen.backbones import SavedModelBackbone, load_backbone
from keras_transgen.backbones.registered_modules import import_classes, registered_modules
from keras_transgen.cli.generate import run_sample
from keras_transgen.cli.inspect import run_inspect
from keras_transgen.cli.translate_apply import run_apply
from keras_transgen.distributed.packed_model import unpack_model
from keras_transgen.sequences.sequence_networks import dilated_sequence_network
from keras_transgen.transfer.deltas import read_delta, write_delta
from tests.backbones import tiny_modules
from tests.stranger import Watch, own_configs, planted, rewritten

import_classes(f"keras_transgen>{name}" for name in registered_modules())


@pytest.fixture(scope="module")
def modules():
    """All of the package, so that no loader has a reason to import more of it."""
    for each in pkgutil.walk_packages(ktg.__path__, "keras_transgen."):
        if not each.name.endswith("__main__"):
            importlib.import_module(each.name)


@pytest.fixture
def watch(tmp_path, monkeypatch, modules):
    # What earlier tests left removes its own files now, and not while this one watches.
    gc.collect()
    watch = Watch(tmp_path)
    monkeypatch.setenv("KERAS_TRANSGEN_HOME", str(watch.home))
    monkeypatch.setenv("TFHUB_CACHE_DIR", str(watch.home / "hub"))
    monkeypatch.setattr(tempfile, "tempdir", str(watch.temporary))
    yield watch
    watch.server.shutdown()


def cls_of(name: str) -> type:
    return getattr(importlib.import_module(registered_modules()[name]), name)


def layer(name: str, *args, **kwargs):
    return lambda: cls_of(name)(*args, **kwargs)


def perceptual_loss():
    return cls_of("PerceptualLoss")("digits", ["block1_pool"], value_range=(0.0, 1.0))


def style_transfer():
    stripes = np.tile(np.float32([[[0.0]], [[1.0]]]), (8, 16, 1))
    return cls_of("StyleTransfer")(
        [stripes], "digits", (8, 8, 1), value_range=(0.0, 1.0), filters=1, blocks=1
    )


def tiny_network():
    return keras.Sequential(
        [keras.Input((8, 8, 1)), keras.layers.Conv2D(2, 3), keras.layers.ReLU()]
    )


NOISE = layer("Noise", 0.1)


# One object of every class that a file may name.
def reader():
    """A network of tokens as KerasHub's are."""
    tokens = {name: keras.Input((None,), dtype="int32") for name in ("token_ids", "padding_mask")}
    return keras.Model(tokens, keras.layers.Embedding(4, 2)(tokens["token_ids"]))


SAMPLES = {
    "ActiveUnits": layer("ActiveUnits", 2),
    "BottleneckAdapter": layer("BottleneckAdapter", 2),
    "Categorical": layer("Categorical", 4),
    "ConditionEmbedding": layer("ConditionEmbedding", 2),
    "ConditionalGAN": layer("ConditionalGAN", 2, (4,), filters=1, value_range=None),
    "ConditionalInstanceNormalization": layer("ConditionalInstanceNormalization", 2),
    "CustomLikelihood": layer("CustomLikelihood", keras.activations.relu),
    "CycleGAN": layer("CycleGAN", (8, 8, 1), filters=1, blocks=1, pool_size=1),
    "CyclicalWarmup": layer("CyclicalWarmup", 5),
    "DegradationPipeline": lambda: cls_of("DegradationPipeline")([NOISE()]),
    "DeltaSet": lambda: cls_of("DeltaSet")(load_backbone("digits"), list),
    "Detector": layer(
        "Detector", "digits", 1, 8, (2, 4), transfer="structure", rank=1, head_width=1, head_depth=1
    ),
    "DilatedBlock": layer("DilatedBlock", 2, 3),
    "DomainAdaptation": layer("DomainAdaptation", "digits", 2),
    "Enhancer": lambda: cls_of("Enhancer")((8, 8, 1), NOISE(), filters=1, blocks=1),
    "FeatureAlignment": lambda: cls_of("FeatureAlignment")(SAMPLES["MultiScaleFeatures"]()),
    "FeatureGAN": layer("FeatureGAN", 2, 4, filters=1),
    "ConditionScale": layer("ConditionScale", 2),
    "FeatureScale": layer("FeatureScale", 2),
    "FeatureTransfer": layer("FeatureTransfer", "digits", 2),
    "FeatureVAE": layer("FeatureVAE", 4, latent_dim=2),
    "FixedPrior": lambda: cls_of("FixedPrior")(tfd.MultivariateNormalDiag(tf.zeros(2))),
    "FlowMatching": layer("FlowMatching", (4,), 2, width=2, embedding_dim=2),
    "GAN": layer("GAN", (4,), 2, filters=1, value_range=None),
    "GenerativeModel": layer("GenerativeModel", (4,)),
    "ImagePreprocessing": layer("ImagePreprocessing", "tf"),
    "ImagePool": layer("ImagePool", 2, (2, 2, 1)),
    "KNearestNeighbours": layer("KNearestNeighbours", 2),
    "KerasBackbone": lambda: cls_of("KerasBackbone")(tiny_network()),
    "LanguageModel": lambda: cls_of("LanguageModel")(
        cls_of("Vocabulary")(), 8, num_layers=1, model_dim=4, num_heads=1
    ),
    "LatentAutoencoder": layer("LatentAutoencoder", (8, 8, 1), width=1),
    "LatentCodec": layer("LatentCodec", (8, 8, 1), width=1),
    "LatentFlow": lambda: cls_of("LatentFlow")(SAMPLES["LatentCodec"](), 2, width=2),
    "LinearWarmup": layer("LinearWarmup", 5),
    "LowRank": lambda: cls_of("LowRank")(keras.layers.Dense(2)),
    "LowRankNetwork": lambda: cls_of("LowRankNetwork")(
        keras.Sequential([keras.Input((2,)), keras.layers.Dense(2)])
    ),
    "SpectralNormalization": lambda: cls_of("SpectralNormalization")(keras.layers.Dense(2)),
    "LogMelSpectrogram": layer("LogMelSpectrogram", 8000),
    "MaskedSequenceModel": lambda: cls_of("MaskedSequenceModel")(
        dilated_sequence_network(2, filters=2, kernel_size=1, dilations=(1,))
    ),
    "Mixture": layer("Mixture", 2),
    "MusicModel": layer("MusicModel", max_notes=1, num_layers=1, model_dim=2, note_dim=2),
    "MultiScaleFeatures": layer("MultiScaleFeatures", "digits"),
    "NearestCentroid": layer("NearestCentroid", 2),
    "Noise": NOISE,
    "ParameterTransfer": layer("ParameterTransfer", "digits", 2),
    "PerceptualLikelihood": lambda: cls_of("PerceptualLikelihood")(perceptual_loss()),
    "PerceptualLoss": perceptual_loss,
    "Pix2Pix": layer("Pix2Pix", (8, 8, 1), filters=1),
    "PretrainedEncoder": layer("PretrainedEncoder", "digits"),
    "PretrainedVAE": layer(
        "PretrainedVAE", "digits", (8, 8, 1), latent_dim=2, transfer="structure", rank=2
    ),
    "ProjectedDiscriminator": layer("ProjectedDiscriminator", "digits", (8, 8, 1), channels=1),
    "RandomConvolution": layer("RandomConvolution", 2, 1),
    "RandomTimeShift": layer("RandomTimeShift", 2),
    "ReplicaSeedGenerator": layer("ReplicaSeedGenerator", 1),
    "SequenceToSequence": lambda: cls_of("SequenceToSequence")(
        cls_of("Vocabulary")(), num_layers=1, model_dim=4, num_heads=1, context_length=8
    ),
    "SavedModelBackbone": lambda: SavedModelBackbone(
        tiny_modules.convolution_module(Path(tempfile.mkdtemp(), "module"))
    ),
    "SelfAttentionBlock": layer("SelfAttentionBlock", 4, 2),
    "SemiSupervisedGAN": layer("SemiSupervisedGAN", 2, (4,), 2, width=2),
    "StructureTransfer": layer("StructureTransfer", "digits", 2, rank=2),
    "StyleFeatures": layer("StyleFeatures", "digits"),
    "StyleTransfer": style_transfer,
    "TransferModel": layer("TransferModel", "digits", 2),
    "TextEncoder": lambda: cls_of("TextEncoder")(
        cls_of("Vocabulary")(), 2, 4, embedding_dim=2, filters=2, widths=(1,)
    ),
    "PresetTextFeatures": lambda: cls_of("PresetTextFeatures")(reader(), keras.layers.Identity()),
    "TextFeatures": lambda: cls_of("TextFeatures")(SAMPLES["LanguageModel"]()),
    "TextVAE": lambda: cls_of("TextVAE")(
        cls_of("Vocabulary")(), 2, 8, num_layers=1, model_dim=4, num_heads=1
    ),
    "WaveNet": layer("WaveNet", 100, layers_per_stack=2, residual_channels=2, skip_channels=2),
    "UniformNoise": layer("UniformNoise", 0.5),
    "WeightNormalization": lambda: cls_of("WeightNormalization")(keras.layers.Dense(2)),
    "UnfreezeAt": layer("UnfreezeAt", 0.5, 2),
    "VAE": layer("VAE", (4,), latent_dim=2),
    "VampPrior": layer("VampPrior", 2),
    "WarmUp": layer("WarmUp", 0.1, 2),
    "_Growth": layer("_Growth", 0.1, 2.0, 3),
}
# One that is made without arguments needs no line.
SAMPLES = {name: SAMPLES.get(name, layer(name)) for name in registered_modules()} | SAMPLES

# Arguments that take text and keep an address or a path as it is, because it is only ever compared
# with names or shown: all others must refuse them.
NAMES = {
    "*.name": "what Keras calls the object",
    "ActiveUnits.name": "what logs call it",
    "SavedModelBackbone.handle": "what messages call the module, which the digest names",
    "*.dtype": "Keras looks it up among its policies",
    "FeatureTransfer.cache_dir": "dropped: the user says anew where features are kept",
    "FeatureTransfer.data_key": "dropped with it",
    "Detector.cache_dir": "dropped: the user says anew where features are kept",
    "Detector.data_key": "dropped with it",
}
NUMBERS = re.compile(r"(?:int|float|bool|None|tuple|Sequence|[\s|,.\[\]])*")
KERAS_OWN = ("name", "dtype", "trainable")


# What the base classes would say of themselves, which only their subclasses do.
WITHOUT_CONFIG = {"DeltaSet": {}, "GenerativeModel": {"example_shape": [4]}}


def config_of(name: str) -> dict:
    if name in WITHOUT_CONFIG:
        return WITHOUT_CONFIG[name]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        # As a file holds it.
        said = keras.saving.serialize_keras_object(SAMPLES[name]())
        return json.loads(json.dumps(said))["config"]


def arguments_of(cls: type) -> dict[str, str]:
    """The arguments that a configuration can give to a class, with their types as text."""
    found = dict.fromkeys(KERAS_OWN, "str")
    for each in reversed([c for c in cls.__mro__ if c.__module__.startswith("keras_transgen.")]):
        if "__init__" in vars(each):
            for name, parameter in list(inspect.signature(each.__init__).parameters.items())[1:]:
                if parameter.kind not in (parameter.VAR_KEYWORD, parameter.VAR_POSITIONAL):
                    annotation = parameter.annotation
                    found[name] = (
                        annotation
                        if isinstance(annotation, str)
                        else inspect.formatannotation(annotation)
                    )
    return found


def test_every_registered_class_has_a_sample():
    registered = {
        name.removeprefix("keras_transgen>")
        for name in keras.saving.get_custom_objects()
        if name.startswith("keras_transgen>")
    }
    assert registered == set(registered_modules()) == set(SAMPLES)


@pytest.mark.parametrize("name", SAMPLES)
def test_what_a_configuration_says_of_a_class(name, watch):
    cls = cls_of(name)
    honest = config_of(name)
    if name != "DeltaSet":
        with watch.watching():
            cls.from_config(json.loads(json.dumps(honest)))
    for argument, annotation in arguments_of(cls).items():
        is_number = NUMBERS.fullmatch(annotation) is not None
        for what, value in watch.hostile().items():
            if is_number and what not in ("address", "function that fetches"):
                # Whatever it is, it is not the number that the class computes with.
                continue
            config = json.loads(json.dumps({**honest, argument: value}))
            try:
                with watch.watching():
                    cls.from_config(config)
            except (ValueError, TypeError):
                continue
            except AttributeError:
                # What Keras raises for a name or a policy that it cannot read.
                assert argument in KERAS_OWN
                continue
            known = {f"{name}.{argument}", f"*.{argument}"} & set(NAMES)
            harmless = is_number or (what.startswith("path") and isinstance(value, str))
            assert known or harmless, f"{name} takes {what} as {argument}"
    for flag in {"allow_unsafe_ops", "source", "styles"} & {*arguments_of(cls)}:
        try:
            with watch.watching():
                cls.from_config(json.loads(json.dumps({**honest, flag: True})))
        except (ValueError, TypeError):
            continue
        pytest.fail(f"{name} takes {flag}=True from a file")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("honest")


@pytest.fixture(scope="module")
def files(folder, modules):
    """Files of honest people, one for each way in which a model names another."""
    made = {
        "saved_model": keras.Sequential([keras.Input((8, 8, 1)), SAMPLES["SavedModelBackbone"]()]),
        "transfer": SAMPLES["TransferModel"](),
        "features": SAMPLES["FeatureTransfer"](),
        "structure": SAMPLES["StructureTransfer"](),
        "adaptation": SAMPLES["DomainAdaptation"](),
        "vae": SAMPLES["VAE"](),
        "gan": SAMPLES["GAN"](),
        "pix2pix": SAMPLES["Pix2Pix"](),
        "style": SAMPLES["StyleTransfer"](),
        "plain": keras.Sequential([keras.Input((8, 8, 1)), keras.layers.Dense(2)]),
    }
    for name, model in made.items():
        model.save(folder / f"{name}.keras")
    return {name: folder / f"{name}.keras" for name in made}


def through_python(file: Path, watch: Watch) -> None:
    keras.saving.load_model(file, safe_mode=True)


def through_package(file: Path, watch: Watch) -> None:
    ktg.load_model(file)


def through_backbone(file: Path, watch: Watch) -> None:
    load_backbone(str(file))


def through_inspect(file: Path, watch: Watch) -> None:
    run_inspect(str(file))


def through_sample(file: Path, watch: Watch) -> None:
    run_sample(file, watch.temporary / "samples.png", count=1)


def through_apply(file: Path, watch: Watch) -> None:
    images = watch.temporary / "images"
    images.mkdir(exist_ok=True)
    keras.utils.save_img(images / "one.png", np.zeros((8, 8, 1)))
    run_apply(file, images, watch.temporary / "translated")


def through_bytes(file: Path, watch: Watch) -> None:
    unpack_model(file.read_bytes())


def refused_by(loader) -> tuple:
    """The errors by which a loader refuses a file; those of plain Keras are its own."""
    is_keras = loader in (through_python, keras.saving.load_model)
    return (ValueError, TypeError) if is_keras else (ValueError,)


LOADERS = [
    through_python,
    through_package,
    through_backbone,
    through_inspect,
    through_sample,
    through_apply,
    through_bytes,
]
# Where one value stands for its kind, for the loaders that all end in the same function.
TELLING = ("backbone", "handle", "generator", "likelihood", "styles", "digest")


@pytest.mark.parametrize("loader", LOADERS)
@pytest.mark.parametrize(
    "name", ["saved_model", "transfer", "features", "structure", "vae", "gan", "pix2pix", "style"]
)
def test_a_file_through_every_loader(loader, name, files, watch):
    config = json.loads(json.dumps(_config_in(files[name])))
    evil = watch.temporary / "evil.keras"
    for place, own in enumerate(own_configs(config)):
        for key in [key for key in own if key in TELLING]:
            for what in ("address", "path", "function that downloads"):
                value = watch.hostile()[what]
                changed = planted(config, place, key, value)
                if key == "handle":
                    own_configs_of(changed, place)["digest"] = None
                rewritten(files[name], evil, lambda said, changed=changed: _replace(said, changed))
                with watch.watching(), pytest.raises(refused_by(loader)):
                    loader(evil, watch)


def test_a_compile_configuration_names_no_function_that_fetches(files, watch):
    def change(config):
        config["compile_config"] = {
            "optimizer": "adam",
            "loss": watch.hostile()["function that downloads"],
        }

    for name in ("plain", "transfer"):
        evil = rewritten(files[name], watch.temporary / "evil.keras", change)
        with watch.watching(), pytest.raises(ValueError, match="nothing that reads, writes"):
            ktg.load_model(evil)
    with watch.watching(), pytest.raises(ValueError, match="nothing that reads, writes"):
        keras.saving.load_model(evil)


@pytest.mark.parametrize("what", ["code", "module on the disk", "file of words"])
def test_safe_mode_holds_within_objects_of_this_package(what, files, watch):
    def change(config):
        config["config"]["preprocessing"] = watch.hostile()[what]

    evil = rewritten(files["transfer"], watch.temporary / "evil.keras", change)
    for load in (ktg.load_model, keras.saving.load_model):
        with watch.watching(), pytest.raises(refused_by(load), match="safe_mode"):
            load(evil)


def test_loading_imports_nothing_that_a_file_names(files, watch):
    def change(config):
        config["note"] = {"module": "keras_transgen.cli.__main__", "registered_name": "x"}

    evil = rewritten(files["plain"], watch.temporary / "evil.keras", change)
    with watch.watching():
        ktg.load_model(evil)


def test_what_is_refused_leaves_nothing_in_the_store(files, watch):
    def change(config):
        config["config"]["layers"][1]["config"]["allow_unsafe_ops"] = True

    evil = rewritten(files["saved_model"], watch.private / "evil.keras", change)
    with pytest.raises(ValueError, match="allow_unsafe_ops is for the user"):
        ktg.load_model(evil)
    assert list(watch.temporary.iterdir()) == []


def test_a_delta_names_nothing(watch):
    model = SAMPLES["StructureTransfer"]()
    honest, evil = watch.temporary / "honest.delta", watch.temporary / "evil.delta"
    model.save_delta(honest)
    saved = read_delta(honest)
    known = list(model.deltas)
    for method in ("copy", "lora", "adapter", "last", "reinitialize", "bias", "ia3"):
        for argument in ("source", "targets", "rank", "activation", "groups", "report", "seed"):
            for value in watch.hostile().values():
                arguments = {argument: value}
                write_delta(
                    evil, dataclasses.replace(saved, name="n", method=method, arguments=arguments)
                )
                with watch.watching(), pytest.raises(ValueError):
                    model.load_delta(evil)
                assert list(model.deltas) == known
    model.load_delta(honest, name="again")


@pytest.mark.parametrize("kind", ["external link", "soft link", "external values", "virtual"])
def test_weights_come_from_the_weight_file(kind, files, watch):
    elsewhere = watch.private / "elsewhere.h5"
    with h5py.File(elsewhere, "w") as other:
        other["values"] = np.ones((8, 8))
    model = SAMPLES["TransferModel"]()
    weights = watch.temporary / "evil.weights.h5"
    model.save_weights(weights)
    with h5py.File(weights, "a") as opened:
        _lead_away(opened.require_group("extra/vars"), kind, elsewhere)
    with watch.watching(), pytest.raises(ValueError, match="weight file"):
        model.load_weights(weights)
    file = watch.temporary / "evil.keras"
    _with_weights(files["transfer"], file, weights.read_bytes())
    for load in (ktg.load_model, model.load_weights):
        with watch.watching(), pytest.raises(ValueError, match="weight file"):
            load(file)


def _lead_away(group: h5py.Group, kind: str, elsewhere: Path) -> None:
    if kind == "external link":
        group["0"] = h5py.ExternalLink(str(elsewhere), "values")
    elif kind == "soft link":
        group["0"] = h5py.SoftLink("/vars")
    elif kind == "external values":
        group.create_dataset("0", (4,), "uint8", external=[(str(elsewhere), 0, 4)])
    else:
        layout = h5py.VirtualLayout((8, 8), "float64")
        layout[:] = h5py.VirtualSource(str(elsewhere), "values", (8, 8))
        group.create_virtual_dataset("0", layout)


def _with_weights(source: Path, target: Path, weights: bytes) -> None:
    with zipfile.ZipFile(source) as archive, zipfile.ZipFile(target, "w") as other:
        for name in archive.namelist():
            other.writestr(name, weights if name == "model.weights.h5" else archive.read(name))


def _config_in(file: Path) -> dict:
    with zipfile.ZipFile(file) as archive:
        return json.loads(archive.read("config.json"))


def own_configs_of(config: dict, place: int) -> dict:
    return list(own_configs(config))[place]


def _replace(config: dict, other: dict) -> None:
    config.clear()
    config.update(other)
