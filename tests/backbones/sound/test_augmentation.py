"""Augmentation of sound: what is left as it was, what is hidden, how loud noise is."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_transgen.backbones import RandomNoise, RandomTimeShift, SpecAugment
from keras_transgen.backbones.padding_mask import with_mask

RNG = np.random.default_rng(4)
WAVES = RNG.uniform(-0.5, 0.5, (40, 60)).astype("float32")
PICTURES = RNG.normal(size=(30, 50, 12)).astype("float32")
LAYERS = [
    (lambda seed: RandomTimeShift(5, seed=seed), WAVES),
    (lambda seed: RandomNoise(seed=seed), WAVES),
    (lambda seed: SpecAugment(seed=seed), PICTURES),
]


@pytest.mark.parametrize(("make", "data"), LAYERS)
def test_nothing_happens_outside_training(make, data):
    np.testing.assert_array_equal(make(0)(data), data)
    np.testing.assert_array_equal(make(0)(data, training=False), data)


@pytest.mark.parametrize(("make", "data"), LAYERS)
def test_a_seed_gives_the_same_and_each_call_another(make, data):
    one, same = make(7), make(7)
    first = np.asarray(one(data, training=True))
    np.testing.assert_array_equal(first, same(data, training=True))
    assert (np.asarray(one(data, training=True)) != first).any()
    again = type(one).from_config(one.get_config())
    np.testing.assert_array_equal(again(data, training=True), first)


@pytest.mark.parametrize(("make", "data"), LAYERS)
def test_padding_stays_and_what_counts_does_not_depend_on_it(make, data):
    mask = np.arange(data.shape[1])[None] < np.full((len(data), 1), 33)
    masked = with_mask(
        tf.constant(data * mask.reshape(*mask.shape, *[1] * (data.ndim - 2))), tf.constant(mask)
    )
    found = np.asarray(make(3)(masked, training=True))
    assert not found[:, 33:].any() or isinstance(make(3), SpecAugment)


def test_shifts_move_whole_recordings_and_every_distance_occurs():
    moved = np.asarray(RandomTimeShift(2, seed=0)(WAVES, training=True))
    found = []
    for before, after in zip(WAVES, moved):
        padded = np.pad(before, 2)
        fits = [s for s in range(-2, 3) if np.array_equal(padded[2 - s : 62 - s], after)]
        assert len(fits) == 1
        found += fits
    assert set(found) == {-2, -1, 0, 1, 2}


@pytest.mark.parametrize("length", [60, 31])
def test_noise_has_the_ratio_asked_for(length):
    mask = np.arange(60)[None] < np.full((len(WAVES), 1), length)
    waves = with_mask(tf.constant(WAVES * mask), tf.constant(mask))
    noise = np.asarray(RandomNoise((5.0, 15.0), seed=1)(waves, training=True)) - WAVES * mask
    assert not noise[:, length:].any()
    power = lambda each: (each[:, :length] ** 2).sum(axis=1)  # noqa: E731
    ratios = 10 * np.log10(power(WAVES) / power(noise))
    assert (ratios > 4.99).all()
    assert (ratios < 15.01).all()
    # Uniform: the mean of forty is within four standard errors of the middle.
    assert abs(ratios.mean() - 10.0) < 4 * 10 / np.sqrt(12 * 40)


def test_silence_stays_silent():
    quiet = np.zeros((2, 30), "float32")
    np.testing.assert_array_equal(RandomNoise(seed=0)(quiet, training=True), quiet)


def test_hidden_bands_are_whole_and_no_wider_than_said():
    layer = SpecAugment(1, 4, 0, 0, seed=2)
    found = np.asarray(layer(PICTURES, training=True))
    widths = []
    for before, after in zip(PICTURES, found):
        hidden = before != after
        bands = hidden.all(axis=0)
        np.testing.assert_array_equal(hidden, np.broadcast_to(bands, hidden.shape))
        np.testing.assert_allclose(after[hidden], before.mean(), atol=1e-5)
        widths.append(bands.sum())
        places = np.flatnonzero(bands)
        assert not len(places) or places.max() - places.min() + 1 == len(places)
    assert set(widths) <= set(range(5))
    assert max(widths) == 4


def test_hidden_stretches_keep_to_their_share_of_what_counts():
    layer = SpecAugment(0, 0, 1, 20, time_share=0.25, seed=2)
    mask = np.arange(50)[None] < np.full((30, 1), 16)
    found = np.asarray(layer(with_mask(tf.constant(PICTURES), tf.constant(mask)), training=True))
    hidden = (found != PICTURES).all(axis=2)
    assert not hidden[:, 16:].any()
    assert hidden.sum(axis=1).max() == 4
    for before, after, where in zip(PICTURES, found, hidden):
        np.testing.assert_allclose(after[where], before[:16].mean(), atol=1e-5)


def test_pictures_with_channels_are_hidden_alike_in_all():
    pictures = np.repeat(PICTURES[..., None], 3, axis=-1)
    found = np.asarray(SpecAugment(seed=5)(pictures, training=True))
    np.testing.assert_allclose(found[..., 0], found[..., 2])
    np.testing.assert_allclose(
        found[..., 0], SpecAugment(seed=5)(PICTURES, training=True), atol=1e-5
    )


def test_in_a_network_of_any_length():
    inputs = keras.Input((None, 12))
    network = keras.Model(inputs, SpecAugment(seed=0)(inputs))
    assert network(PICTURES, training=True).shape == PICTURES.shape


@pytest.mark.parametrize(
    "make",
    [
        lambda: RandomTimeShift(-1),
        lambda: RandomNoise((3.0, 1.0)),
        lambda: SpecAugment(time_share=2.0),
        lambda: SpecAugment(frequency_masks=-1),
        lambda: RandomNoise()(PICTURES),
        lambda: SpecAugment()(WAVES),
    ],
)
def test_wrong_settings(make):
    with pytest.raises(ValueError, match="Received"):
        make()
