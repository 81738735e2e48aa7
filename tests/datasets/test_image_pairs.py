"""Halves of side-by-side files: the right ones, cut and flipped alike."""

import numpy as np
import pytest
from PIL import Image

from keras_transgen.datasets.image_pairs import image_pairs


@pytest.fixture
def folder(tmp_path):
    """Four files; the right half is the left one's negative, and columns tell places."""
    for number in range(4):
        left = np.arange(16 * 16).reshape(16, 16).astype("uint8") // 4 * 2 + number * 20
        pair = np.concatenate([left, 255 - left], axis=1)
        Image.fromarray(np.stack([pair] * 3, axis=-1)).save(tmp_path / f"{number}.png")
    return tmp_path


def test_halves_are_input_and_target_in_the_direction_asked_for(folder):
    expected = np.asarray(Image.open(folder / "2.png"), "float32")[:, :16] / 255.0
    for direction, first in (("left_to_right", expected), ("right_to_left", 1.0 - expected)):
        data = image_pairs(folder, 16, batch_size=3, direction=direction, value_range=(0.0, 1.0))
        batches = [(x.numpy(), y.numpy()) for x, y in data]
        assert [len(x) for x, _ in batches] == [3, 1]
        np.testing.assert_allclose(batches[0][0][2], first, atol=1e-6)
        np.testing.assert_allclose(batches[0][1][2], 1.0 - first, atol=1e-6)


def test_augmented_halves_stay_a_pair_and_differ_between_epochs(folder):
    data = image_pairs(folder, 16, batch_size=4, flip=True, jitter=True, seed=3)
    epochs = [next(iter(data)) for _ in range(4)]
    for inputs, targets in epochs:
        # The target is the negative wherever both were cut alike.
        np.testing.assert_allclose(inputs, -targets, atol=1e-5)
    assert not np.allclose(epochs[0][0], epochs[1][0])
    plain = next(iter(image_pairs(folder, 16, batch_size=4, flip=True, jitter=False)))[0]
    straight = next(iter(image_pairs(folder, 16, batch_size=4)))[0].numpy()
    mirrored = [
        not np.allclose(one, other, atol=1e-5) for one, other in zip(plain.numpy(), straight)
    ]
    for one, other, turned in zip(plain.numpy(), straight, mirrored):
        np.testing.assert_allclose(one, other[:, ::-1] if turned else other, atol=1e-5)


def test_shuffled_orders_are_permutations(folder):
    data = image_pairs(folder, 16, batch_size=4, shuffle=True, value_range=(0.0, 255.0))
    orders = {tuple(np.round(next(iter(data))[0].numpy()[:, 0, 0, 0])) for _ in range(8)}
    assert len(orders) > 1
    assert all(sorted(order) == [0.0, 20.0, 40.0, 60.0] for order in orders)


def test_wrong_arguments_and_files_are_named(folder):
    with pytest.raises(ValueError, match=r"direction in.*'sideways'"):
        image_pairs(folder, 16, direction="sideways")
    with pytest.raises(ValueError, match="batch_size=0"):
        image_pairs(folder, 16, batch_size=0)
    (folder / "broken.png").write_bytes(b"no image")
    with pytest.raises(ValueError, match=r"1 unreadable of 5.*broken\.png"):
        image_pairs(folder, 16)
