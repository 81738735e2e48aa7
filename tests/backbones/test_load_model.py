import json
import shutil
import tempfile
import traceback
import zipfile
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_transgen.backbones import SavedModelBackbone, load_model
from keras_transgen.backbones.audit import UnsafeModuleError
from tests.backbones import tiny_modules as tiny

IMAGES = np.random.default_rng(0).random((4, 8, 8, 1)).astype("float32")


@pytest.fixture
def home(tmp_path, monkeypatch):
    """Call it to change to a module store that holds nothing."""

    def move(name: str) -> Path:
        monkeypatch.setenv("KERAS_TRANSGEN_HOME", str(tmp_path / name))
        return tmp_path / name

    move("first_home")
    return move


@pytest.fixture
def folder(tmp_path) -> Path:
    return tiny.convolution_module(tmp_path / "module")


def trained(*backbones: keras.layers.Layer) -> keras.Model:
    images = keras.Input((8, 8, 1))
    features = [backbone(images) for backbone in backbones]
    joined = keras.layers.Concatenate()(features) if len(features) > 1 else features[0]
    model = keras.Model(images, keras.layers.Dense(2)(joined))
    model.compile(keras.optimizers.Adam(0.01), "mse", jit_compile=False)
    model.fit(IMAGES, np.ones((4, 2)), verbose=0)
    return model


def packed(file: Path) -> list[str]:
    with zipfile.ZipFile(file) as archive:
        return [name for name in archive.namelist() if name.endswith(".tar")]


def rewritten(file: Path, change) -> Path:
    """A copy of an archive with its members changed by `change(name, content)`."""
    target = file.with_name("changed.keras")
    with zipfile.ZipFile(file) as source, zipfile.ZipFile(target, "w") as copy:
        for name in source.namelist():
            for new_name, content in change(name, source.read(name)):
                copy.writestr(new_name, content)
    return target


@pytest.mark.slow
def test_file_stands_alone(folder, home, tmp_path):
    backbone = SavedModelBackbone(folder, trainable=True)
    model = trained(backbone)
    expected = model.predict(IMAGES, verbose=0)
    model.save(tmp_path / "model.keras")
    shutil.rmtree(folder)
    home("empty_home")
    loaded = load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(loaded.predict(IMAGES, verbose=0), expected)
    assert loaded.layers[1].digest() == backbone.digest()
    for one, other in zip(model.optimizer.variables, loaded.optimizer.variables, strict=True):
        np.testing.assert_array_equal(one.numpy(), other.numpy())
    loaded.fit(IMAGES, np.ones((4, 2)), verbose=0)


def test_plain_keras_says_what_to_call_and_finds_the_module_afterwards(folder, home, tmp_path):
    model = trained(SavedModelBackbone(folder))
    model.save(tmp_path / "model.keras")
    home("empty_home")
    with pytest.raises(Exception, match=r"keras_transgen\.load_model"):
        keras.saving.load_model(tmp_path / "model.keras")
    load_model(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras", safe_mode=True)
    np.testing.assert_array_equal(
        loaded.predict(IMAGES, verbose=0), model.predict(IMAGES, verbose=0)
    )


def test_a_module_held_twice_is_packed_once(folder, home, tmp_path):
    model = trained(SavedModelBackbone(folder), SavedModelBackbone(folder, trainable=True))
    model.save(tmp_path / "model.keras")
    assert len(packed(tmp_path / "model.keras")) == 1
    home("empty_home")
    loaded = load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(
        loaded.predict(IMAGES, verbose=0), model.predict(IMAGES, verbose=0)
    )


def test_the_file_tells_nothing_of_local_paths(folder, home, tmp_path):
    trained(SavedModelBackbone(folder)).save(tmp_path / "model.keras")
    with zipfile.ZipFile(tmp_path / "model.keras") as archive:
        assert str(tmp_path) not in archive.read("config.json").decode()
    assert load_model(tmp_path / "model.keras").layers[1].handle == "module"


def test_saving_again_after_loading(folder, home, tmp_path):
    model = trained(SavedModelBackbone(folder))
    model.save(tmp_path / "model.keras")
    home("second_home")
    load_model(tmp_path / "model.keras").save(tmp_path / "again.keras")
    home("third_home")
    again = load_model(tmp_path / "again.keras")
    np.testing.assert_array_equal(
        again.predict(IMAGES, verbose=0), model.predict(IMAGES, verbose=0)
    )


def unsafe_module(folder: Path, written: Path) -> Path:
    module = tf.Module()

    def call(x):
        tf.io.write_file(str(written), "x")
        return tf.reduce_mean(x, [1, 2])

    module.__call__ = tf.function(call, input_signature=[tf.TensorSpec([None, 8, 8, 1])])
    return tiny.save(module, folder)


def test_a_file_cannot_let_its_own_module_in(home, tmp_path):
    written = tmp_path / "written"
    backbone = SavedModelBackbone(unsafe_module(tmp_path / "m", written), allow_unsafe_ops=True)
    model = keras.Sequential([keras.Input((8, 8, 1)), backbone])
    model.save(tmp_path / "model.keras")
    # In another process nobody has allowed it.
    from keras_transgen.backbones import saved_model

    saved_model._let_in.clear()
    home("empty_home")
    with pytest.raises(UnsafeModuleError, match="WriteFile"):
        load_model(tmp_path / "model.keras")
    # What was refused was not stored.
    with pytest.raises(Exception, match="not in the local module store"):
        keras.saving.load_model(tmp_path / "model.keras")
    load_model(tmp_path / "model.keras", allow_unsafe_ops=True)
    assert not written.exists()


def test_a_module_that_is_not_what_its_name_says_is_refused(folder, home, tmp_path):
    trained(SavedModelBackbone(folder)).save(tmp_path / "model.keras")
    other = tmp_path / "other.keras"
    trained(SavedModelBackbone(tiny.convolution_module(tmp_path / "o", seed=1))).save(other)
    with zipfile.ZipFile(other) as archive:
        (name,) = packed(other)
        foreign = archive.read(name)

    def swap(name: str, content: bytes):
        yield name, foreign if name.endswith(".tar") else content

    home("empty_home")
    with pytest.raises(ValueError, match="not the one its name says"):
        load_model(rewritten(tmp_path / "model.keras", swap))


def test_paths_in_the_archive_are_not_trusted(folder, home, tmp_path):
    trained(SavedModelBackbone(folder)).save(tmp_path / "model.keras")

    def climb(name: str, content: bytes):
        yield name, content
        if name.endswith(".tar"):
            yield f"assets/../../../climbed/{name.rsplit('/')[-1]}", content

    file = rewritten(tmp_path / "model.keras", climb)
    home("empty_home")
    with pytest.raises(ValueError, match="leads out"):
        load_model(file)
    assert not list(tmp_path.rglob("climbed"))
    assert not list(tmp_path.parent.glob("climbed"))


def test_files_that_are_no_whole_archive(folder, home, tmp_path):
    trained(SavedModelBackbone(folder)).save(tmp_path / "model.keras")
    content = (tmp_path / "model.keras").read_bytes()
    cut = tmp_path / "cut.keras"
    cut.write_bytes(content[: len(content) // 2])
    with pytest.raises(
        ValueError, match=rf"(?s)truncated.*cut\.keras.*{len(content) // 2:,} bytes"
    ):
        load_model(cut)
    text = tmp_path / "text.keras"
    text.write_text("<html>404</html>")
    with pytest.raises(ValueError, match=r"no \.keras archive.*16 bytes"):
        load_model(text)
    with pytest.raises(ValueError, match="no such file"):
        load_model(tmp_path / "absent.keras")
    with pytest.raises(ValueError, match="load_backbone"):
        load_model(folder)
    archive = tmp_path / "archive.keras"
    with zipfile.ZipFile(archive, "w") as empty:
        empty.writestr("readme.txt", "x")
    with pytest.raises(ValueError, match=r"lacks \['config\.json', 'metadata\.json'\]"):
        load_model(archive)


def test_a_flipped_bit_is_noticed(folder, home, tmp_path):
    trained(SavedModelBackbone(folder)).save(tmp_path / "model.keras")
    content = bytearray((tmp_path / "model.keras").read_bytes())
    with zipfile.ZipFile(tmp_path / "model.keras") as archive:
        weights = archive.getinfo("model.weights.h5")
    content[weights.header_offset + 200] ^= 0xFF
    damaged = tmp_path / "damaged.keras"
    damaged.write_bytes(content)
    with pytest.raises(ValueError, match=r"damaged: model\.weights\.h5"):
        load_model(damaged)


def test_files_without_a_module_load_as_ever(home, tmp_path):
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2)])
    model.save(tmp_path / "model.keras")
    x = np.ones((1, 3))
    np.testing.assert_array_equal(load_model(tmp_path / "model.keras")(x), model(x))


@pytest.fixture
def plain(tmp_path) -> Path:
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2)])
    model.compile("adam", "mse")
    model.save(tmp_path / "plain.keras")
    return tmp_path / "plain.keras"


@pytest.fixture
def temporary(tmp_path, monkeypatch) -> Path:
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder


def with_config(file: Path, change) -> Path:
    def each(name: str, content: bytes):
        if name == "config.json":
            config = json.loads(content)
            change(config)
            content = json.dumps(config).encode()
        yield name, content

    return rewritten(file, each)


def with_members(file: Path, *names: str) -> Path:
    def each(name: str, content: bytes):
        yield name, content
        if name == "config.json":
            yield from ((other, b"content") for other in names)

    return rewritten(file, each)


def names_no_class(config):
    config["config"]["layers"].append(
        {"class_name": "NoSuch", "module": None, "config": {}, "registered_name": "x"}
    )


ESCAPE = "\x1b[2J"
CHANGES = {
    "no layers": lambda config: config["config"].pop("layers"),
    "a number for layers": lambda config: config["config"].update(layers=3),
    "no class": names_no_class,
    "an escape as class": lambda config: config.update(class_name=ESCAPE, module=ESCAPE),
    "an escape as name": lambda config: config["config"]["layers"][1]["config"].update(
        name=ESCAPE, units=ESCAPE
    ),
    "nothing": lambda config: config.clear(),
    "a negative size": lambda config: config["config"]["layers"][1]["config"].update(units=-1),
    "no shape": lambda config: config["config"]["layers"][0]["config"].update(batch_shape=[[]]),
    "a metric of millions": lambda config: config["compile_config"].update(
        metrics=[
            {
                "module": "keras.metrics",
                "class_name": "AUC",
                "config": {"num_thresholds": 20_000_000},
            }
        ]
    ),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_whatever_is_wrong_is_a_value_error_that_can_be_printed(change, plain, temporary):
    with pytest.raises(ValueError) as refused:
        load_model(with_config(plain, change))
    assert "\x1b" not in "".join(traceback.format_exception(refused.value))
    assert not list(temporary.iterdir())


@pytest.mark.parametrize("content", [b"[]", b"3", b"null", b'"x"', b"{", b"\xff", b"[" * 10**5])
def test_json_that_describes_nothing(content, plain):
    def swap(name: str, honest: bytes):
        yield name, content if name == "config.json" else honest

    with pytest.raises(ValueError):
        load_model(rewritten(plain, swap))


def test_a_warning_says_no_escapes(plain):
    def rename(config):
        config["compile_config"]["optimizer"]["config"]["name"] = ESCAPE

    with pytest.warns(UserWarning, match=r"\\x1b\[2J") as told:
        load_model(with_config(plain, rename))
    assert not any("\x1b" in str(each.message) for each in told)


@pytest.mark.parametrize(
    "names",
    [
        ["assets/" + "a" * 201],
        ["assets/" + "ä" * 101],
        ["/".join("a" * 65)],
        ["/".join(["a" * 100] * 21)],
        ["assets/a", "assets/a/b"],
        ["assets/a/b", "assets/a"],
        ["assets/a/", "assets/a"],
        ["assets/a", "assets/./a"],
        ["assets/a", "assets//a"],
        [f"assets/{ESCAPE}"],
        ["assets/\u202egnp"],
    ],
    ids=lambda names: ascii(names)[:40],
)
def test_members_that_cannot_be_unpacked(names, plain, temporary):
    with pytest.raises(ValueError, match=r"members?|Members?") as refused:
        load_model(with_members(plain, *names))
    assert str(refused.value).isprintable()
    assert not list(temporary.iterdir())


def test_members_beside_the_weights_load_as_ever(plain, temporary):
    load_model(with_members(plain, "assets/ä/b", "assets/ä/c", "assets/d/"))
    assert not list(temporary.iterdir())


def test_what_keras_unpacks_goes_when_it_fails(plain, temporary, monkeypatch):
    from keras.src.saving import saving_lib

    def fill_the_disk(archive, path):
        Path(path, "half").write_bytes(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(saving_lib.file_utils, "extract_open_archive", fill_the_disk)
    with pytest.raises(ValueError, match="No space left"):
        load_model(with_members(plain, "assets/a"))
    assert not list(temporary.iterdir())
    # Outside of it Keras keeps its own place.
    assert Path(saving_lib.get_temp_dir()).parent == temporary


def test_a_file_that_is_changed_after_its_check_is_not_what_is_loaded(plain, monkeypatch):
    expected = load_model(plain).get_weights()
    own = keras.saving.load_model

    def swapped(path, **kwargs):
        plain.write_bytes(b"another")
        return own(path, **kwargs)

    monkeypatch.setattr(keras.saving, "load_model", swapped)
    for one, other in zip(load_model(plain).get_weights(), expected, strict=True):
        np.testing.assert_array_equal(one, other)


def test_a_file_larger_than_it_may_unpack_to(plain):
    with plain.open("ab") as stream:
        stream.truncate(65 * 2**20)
    with pytest.raises(ValueError, match="raise max_bytes"):
        load_model(plain, max_bytes=1000)


def stored(home: Path) -> list[Path]:
    return list((home / "modules").iterdir())


def test_a_refused_file_takes_its_module_out_again(folder, home, tmp_path):
    trained(SavedModelBackbone(folder)).save(tmp_path / "model.keras")
    evil = with_config(tmp_path / "model.keras", names_no_class)
    store = home("empty_home")
    with pytest.raises(ValueError, match="cannot be loaded"):
        load_model(evil)
    assert stored(store) == []
    load_model(tmp_path / "model.keras")
    (module,) = stored(store)
    with pytest.raises(ValueError, match="cannot be loaded"):
        load_model(evil)
    # What was there before stays.
    assert stored(store) == [module]


def test_a_module_that_another_load_found_meanwhile_stays(folder, home, tmp_path, monkeypatch):
    trained(SavedModelBackbone(folder)).save(tmp_path / "model.keras")
    store = home("empty_home")
    own = keras.saving.load_model

    def other_first(path, **kwargs):
        monkeypatch.setattr(keras.saving, "load_model", own)
        load_model(tmp_path / "model.keras")
        raise TypeError("refused")

    monkeypatch.setattr(keras.saving, "load_model", other_first)
    with pytest.raises(ValueError, match="refused"):
        load_model(tmp_path / "model.keras")
    assert len(stored(store)) == 1


def test_a_module_that_goes_meanwhile_is_told_of(folder, home, tmp_path, monkeypatch):
    trained(SavedModelBackbone(folder)).save(tmp_path / "model.keras")
    store = home("empty_home")
    own = keras.saving.load_model

    def take_out(path, **kwargs):
        shutil.rmtree(stored(store)[0])
        return own(path, **kwargs)

    monkeypatch.setattr(keras.saving, "load_model", take_out)
    with pytest.raises(ValueError, match="Load the file again"):
        load_model(tmp_path / "model.keras")
