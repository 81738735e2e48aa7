"""StyleTransfer: the harness, its loss against the objective by hand, several styles, misuse."""

from typing import Any

import keras
import numpy as np
import pytest

from keras_transgen.generative.translation.style_features import StyleFeatures
from keras_transgen.generative.translation.style_transfer import StyleTransfer
from tests.generative.translation.style_models import (
    RNG,
    distance_in_numpy,
    gram_in_numpy,
    small_backbone,
    stripes,
)
from tests.harness import (
    ModelCase,
    check_config_round_trip,
    check_file_in_new_process,
    check_frozen_between_fits,
    check_mixed_bfloat16,
    check_mixed_float16,
    check_right_weights_move,
    check_two_replicas,
    check_validation_logs,
)
from tests.plotting.figure_checks import named_rows

IMAGES = RNG.uniform(size=(24, 8, 8, 3)).astype("float32")
LAYERS = {"content_layers": ["second"], "style_layers": ["first", "second"]}


def small(styles: Any = None, **kwargs: Any) -> StyleTransfer:
    settings = {"image_shape": (8, 8, 3), "value_range": (0.0, 1.0), "filters": 2, "blocks": 1}
    styles = stripes() if styles is None else styles
    return StyleTransfer(styles, small_backbone(), **{**settings, **LAYERS, **kwargs})


def mixing_network(styles: int = 1) -> keras.Model:
    """A convolution, and a colour for each style."""
    image, mixture = keras.Input((8, 8, 3)), keras.Input((styles,))
    colour = keras.layers.Reshape((1, 1, 3))(keras.layers.Dense(3, dtype="float32")(mixture))
    x = keras.layers.Conv2D(3, 3, padding="same", dtype="float32")(image)
    x = keras.layers.Activation("sigmoid", dtype="float32")(
        keras.layers.Add(dtype="float32")([x, colour])
    )
    return keras.Model([image, mixture], x)


CASE = ModelCase(
    make=lambda: small(network=mixing_network()),
    data=(IMAGES,),
    compile=lambda model, **kwargs: model.compile(keras.optimizers.SGD(0.05, 0.5), **kwargs),
    outputs=("stylize", (IMAGES[:5],), {}),
)


# XLA and saving are in tests below.
CHECKS = [
    check_config_round_trip,
    check_right_weights_move,
    *[
        pytest.param(check, marks=pytest.mark.slow)
        for check in (
            check_file_in_new_process,
            check_mixed_bfloat16,
            check_mixed_float16,
            check_frozen_between_fits,
            check_validation_logs,
            check_two_replicas,
        )
    ],
]


@pytest.mark.parametrize("check", CHECKS)
def test_model(check, tools):
    check(CASE, tools)


@pytest.mark.slow
def test_logs_of_an_untrained_step_are_those_of_the_papers():
    """Under XLA, which leaves them as they are."""
    model = small(network=mixing_network(), content_weight=2.0, style_weight=3.0)
    model.compile(keras.optimizers.SGD(0.0), jit_compile=True)
    logs = model.fit(IMAGES[:4], batch_size=4, verbose=0).history
    made = model.network([IMAGES[:4], np.ones((4, 1), "float32")]).numpy()
    network = model.features.backbone.network
    first, second = (
        keras.Model(network.inputs[0], network.get_layer(name).output)
        for name in ("first", "second")
    )
    style = model.style_images.numpy()

    content = distance_in_numpy(second(made).numpy(), second(IMAGES[:4]).numpy())
    styled = np.mean(
        [
            distance_in_numpy(
                gram_in_numpy(layer(made).numpy()), gram_in_numpy(layer(style).numpy())
            )
            for layer in (first, second)
        ]
    )
    variation = np.abs(np.diff(made, axis=1)).sum() + np.abs(np.diff(made, axis=2)).sum()
    variation /= made.size
    assert logs["content"][0] == pytest.approx(content, rel=1e-4)
    assert logs["style"][0] == pytest.approx(styled, rel=1e-4)
    assert logs["loss"][0] == pytest.approx(2 * content + 3 * styled + variation, rel=1e-4)
    again = model.evaluate(IMAGES[:4], return_dict=True, verbose=0)
    assert again["loss"] == pytest.approx(logs["loss"][0], rel=1e-4)


@pytest.mark.slow
def test_styles_keep_their_proportions_and_are_saved(tmp_path):
    wide = np.concatenate([np.zeros((16, 8, 3)), np.ones((16, 16, 3)), np.zeros((16, 8, 3))], 1)
    styles = [(255 * wide).astype("uint8"), stripes()]
    model = small(styles, network=mixing_network(2))
    # The middle of it, which is white.
    np.testing.assert_allclose(model.style_images.numpy()[0, :, 1:-1], 1.0, atol=1e-5)
    expected = StyleFeatures(model.features.backbone, **LAYERS)(model.style_images.numpy())[1]
    for stored, gram in zip(model.style_grams, expected):
        np.testing.assert_allclose(stored.numpy(), gram, rtol=1e-4, atol=1e-6)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    for name in ("style_images", "style_grams"):
        for one, other in zip(
            keras.tree.flatten(getattr(loaded, name)), keras.tree.flatten(getattr(model, name))
        ):
            np.testing.assert_array_equal(one.numpy(), other.numpy())
    np.testing.assert_allclose(
        loaded.stylize(IMAGES[:2], 1), model.stylize(IMAGES[:2], 1), rtol=1e-5, atol=1e-6
    )


@pytest.mark.slow
def test_images_of_any_size_and_mixtures_of_styles():
    model = small([stripes(), stripes(width=4)])
    for number, weight in enumerate(w for w in model.network.weights if "scale" in w.path):
        weight.assign(RNG.uniform(0.5, 1.5, weight.shape) + number)
    image = RNG.integers(0, 256, (1, 13, 18, 3)).astype("uint8")
    made = model.stylize(image, 0)
    assert made.shape == (1, 13, 18, 3)
    assert np.abs(made - model.stylize(image, 1)).max() > 1e-4
    np.testing.assert_allclose(model.stylize(image, [1.0, 0.0]), made, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(
        model(IMAGES[:2]), model.stylize(IMAGES[:2], 0), rtol=1e-4, atol=1e-5
    )


def test_grid_has_a_row_for_each_style(monkeypatch):
    model = small([stripes(8), stripes(8)], value_range=(0.0, 1.0))
    monkeypatch.setattr(
        model, "stylize", lambda images, style: np.full(images.shape, 0.25 + 0.5 * style)
    )
    rows = named_rows(model.style_grid(np.full((2, 8, 8, 3), 0.1, "float32")))
    assert {name: row[0, 0] for name, row in rows.items()} == pytest.approx(
        {"content": 0.1, "style 0": 0.25, "style 1": 0.75}
    )


@pytest.mark.slow
def test_learns_to_tell_two_styles_apart():
    """Images come nearer to their style than they were, and than those of the other style are."""
    keras.utils.set_random_seed(1)
    red, blue = [0, 1, 1], [1, 1, 2]
    styles = [0.2 + 0.6 * stripes(8)[..., channels] for channels in (red, blue)]
    model = small(styles, network=mixing_network(2), content_weight=0.1, seed=1)
    model.compile(keras.optimizers.Adam(0.02))
    model.fit(IMAGES, batch_size=8, epochs=30, verbose=0)

    def distance(images, style):
        pairs = zip(model.features(images)[1], model.features(style[None])[1])
        return np.mean([distance_in_numpy(one.numpy(), other.numpy()) for one, other in pairs])

    for number, style in enumerate(styles):
        made = distance(model.stylize(IMAGES, number), style)
        assert made < 0.5 * distance(IMAGES, style)
        assert made < 0.5 * distance(model.stylize(IMAGES, 1 - number), style)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"image_shape": (10, 8, 3)}, r"divided by 4.*\(10, 8, 3\)"),
        ({"styles": stripes(4)}, "style image is too small.*4x4"),
        ({"styles": []}, "styles"),
        ({"styles": 0}, "styles=0"),
        ({"styles": [2 * stripes()]}, r"styles\[0\] must be uint8, or float"),
        ({"styles": "stripes.png"}, "styles"),
        ({"style_layers": ["third"]}, r"Received: \['third'\]"),
        ({"content_weight": -1}, "content_weight=-1"),
    ],
)
def test_wrong_settings_are_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        small(**settings)


def test_a_network_that_does_not_fit_is_refused():
    network = keras.Sequential([keras.Input((8, 8, 3)), keras.layers.Conv2D(3, 1)])
    with pytest.raises(ValueError, match="network must take inputs"):
        small(network=network)
    inputs = [keras.Input((8, 8, 3)), keras.Input((1,))]
    grey = keras.Model(inputs, keras.layers.Conv2D(1, 1)(inputs[0]))
    with pytest.raises(ValueError, match=r"images of the shape it is given, \[8, 8, 3\]"):
        small(network=grey)


def test_what_cannot_be_painted_is_refused():
    model = small(network=mixing_network())
    with pytest.raises(ValueError, match=r"from 0 to 0.*style=1"):
        model.stylize(IMAGES, 1)
    with pytest.raises(ValueError, match="style="):
        model.stylize(IMAGES, [0.5, 0.5])
    with pytest.raises(ValueError, match="at least 8 pixels"):
        model.stylize(IMAGES[:, :4])
    with pytest.raises(ValueError, match="with values from"):
        model.fit(5 * IMAGES, verbose=0)
