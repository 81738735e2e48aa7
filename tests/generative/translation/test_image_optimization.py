"""Optimising an image: it takes the style, keeps the content, and comes back as it was given."""

import keras
import numpy as np
import pytest

from keras_transgen.datasets import load_digits
from keras_transgen.generative.translation.image_optimization import gradient_step, stylize
from keras_transgen.generative.translation.style_features import StyleFeatures
from keras_transgen.generative.translation.style_losses import StyleWeights
from tests.generative.translation.style_models import RNG, small_backbone, stripes

DIGITS = load_digits()[0]
LAYERS = {"content_layers": ["block2_pool"], "style_layers": ["block1_a_relu", "block1_pool"]}


def gram_distance(one: np.ndarray, other: np.ndarray) -> float:
    """Of the features of digits' first layers, in NumPy."""
    features = StyleFeatures("digits", **LAYERS, image_size=one.shape[:2])
    grams = zip(features(one[None])[1], features(other[None])[1])
    return float(np.mean([((a - b) ** 2).numpy().sum() / (b**2).numpy().sum() for a, b in grams]))


def test_the_style_comes_near_and_the_content_stays():
    content, style = DIGITS[0], stripes(8, 1)[..., :1]
    made = stylize(content, style, "digits", **LAYERS, steps=60, verbose=0)
    assert made.dtype == np.float32
    assert made.shape == content.shape
    assert 0.0 <= made.min() <= made.max() <= 1.0
    assert gram_distance(made, style) < 0.3 * gram_distance(content, style)
    # Far nearer to its own content than other digits are.
    kept = stylize(content, style, "digits", **LAYERS, style_weight=0.0, steps=5, verbose=0)
    assert np.abs(kept - content).mean() < 0.2 * np.abs(DIGITS[1] - content).mean()


def test_a_step_lowers_the_loss():
    features = StyleFeatures(small_backbone(), ["second"], ["first"])
    content = RNG.uniform(size=(1, 8, 8, 3)).astype("float32")
    targets = features(content)[0], features(stripes(8)[None])[1]
    image = keras.Variable(content)
    optimizer = keras.optimizers.SGD(1e-3)
    optimizer.build([image])
    weights = StyleWeights(1.0, 1.0, 0.1)
    before = gradient_step(image, optimizer, features, targets, weights)
    after = gradient_step(image, optimizer, features, targets, weights)
    assert float(before["content"]) == 0.0
    assert float(after["loss"]) < float(before["loss"])


def test_bytes_in_bytes_out_at_a_size_of_ones_own(capsys):
    content = RNG.integers(0, 256, (12, 20, 3)).astype("uint8")
    made = stylize(content, stripes(9), small_backbone(), ["second"], ["first"], steps=2)
    assert made.dtype == np.uint8
    assert made.shape == content.shape
    assert "2/2" in capsys.readouterr().out


def test_noise_is_a_start_that_a_seed_fixes():
    settings = {"steps": 1, "verbose": 0, "start": "noise", "style_layers": ["first"]}
    made = [
        stylize(stripes(8), stripes(8), small_backbone(), ["first"], seed=seed, **settings)
        for seed in (0, 0, 1)
    ]
    # One step moves a pixel by the learning rate at most.
    np.testing.assert_allclose(made[0], made[1], atol=0.05)
    assert np.abs(made[0] - made[2]).mean() > 0.1


def test_a_network_that_knows_grey_keeps_the_colours():
    """Its gradient is the same for each channel but for its part in the grey, which is fixed."""
    content = np.full((8, 8, 3), 0.5, "float32")
    content[..., 0] = 0.7
    settings = {"total_variation_weight": 0.0, "steps": 3, "verbose": 0}
    made = stylize(content, stripes(8, 1), "digits", **LAYERS, **settings)
    change = made - content
    assert np.abs(change).max() > 0.01
    np.testing.assert_allclose(change[..., 0], change[..., 1], atol=5e-3)


@pytest.mark.parametrize(
    ("content", "style", "settings", "message"),
    [
        (stripes(8), stripes(2), {}, "style image is too small.*at least 4.*2x2"),
        (stripes(8)[None], stripes(8), {}, r"content must be one image.*\[1, 8, 8, 3\]"),
        (stripes(8), 3 * stripes(8), {}, r"style must be uint8, or float.*to 3.0"),
        (stripes(8), stripes(8), {"steps": 0}, "steps=0"),
        (stripes(8), stripes(8), {"start": "style"}, "start='style'"),
        (stripes(8), stripes(8), {"style_weight": -1}, "style_weight=-1"),
        (stripes(8), stripes(8), {"content_layers": ["third"]}, r"Received: \['third'\]"),
    ],
)
def test_wrong_use_is_refused(content, style, settings, message):
    settings = {"content_layers": ["first"], "style_layers": ["first"], **settings}
    with pytest.raises(ValueError, match=message):
        stylize(content, style, small_backbone(), verbose=0, **settings)
