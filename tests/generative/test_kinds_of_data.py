"""Arrays, `tf.data` and `PyDataset` end in the same weights, for models with and without labels."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_transgen.generative.adversarial.conditional_gan import ConditionalGAN
from keras_transgen.generative.vae import VAE
from tests.generative.adversarial.adversarial_models import LABELS

BYTES = np.random.default_rng(0).integers(0, 256, (24, 5)).astype("uint8")


class Batches(keras.utils.PyDataset):
    def __init__(self, data):
        super().__init__()
        self.data = data

    def __len__(self):
        return 3

    def __getitem__(self, index):
        rows = slice(8 * index, 8 * index + 8)
        parts = tuple(each[rows] for each in self.data)
        return parts if len(parts) > 1 else parts[0]


def vae():
    model = VAE((5,), 2, seed=0)
    model.compile(keras.optimizers.SGD(1e-3), steps_per_execution=1, jit_compile=False)
    return model, (BYTES,)


def conditional_gan():
    model = ConditionalGAN(3, (5,), latent_dim=4, filters=2, embedding_dim=3, seed=0)
    model.compile(keras.optimizers.SGD(0.1), keras.optimizers.SGD(0.1), jit_compile=False)
    return model, (BYTES, LABELS)


@pytest.mark.slow
@pytest.mark.parametrize("make", [vae, conditional_gan])
def test_each_kind_trains_alike(make):
    def dataset(data):
        return tf.data.Dataset.from_tensor_slices(data if len(data) > 1 else data[0]).batch(8)

    ends = []
    for kind in (
        lambda data: (data, {"batch_size": 8}),
        lambda data: ((dataset(data),), {}),
        lambda data: ((Batches(data),), {}),
    ):
        keras.utils.set_random_seed(0)
        model, data = make()
        before = [weight.numpy() for weight in model.trainable_weights]
        args, kwargs = kind(data)
        history = model.fit(*args, shuffle=False, verbose=0, **kwargs).history
        ends.append(([w.numpy() for w in model.trainable_weights], history))
        assert any(np.abs(a - b).max() > 1e-5 for a, b in zip(before, ends[-1][0]))
    for weights, history in ends[1:]:
        for one, other in zip(ends[0][0], weights):
            np.testing.assert_allclose(one, other, atol=1e-6)
        for log, values in ends[0][1].items():
            np.testing.assert_allclose(values, history[log], rtol=1e-5, err_msg=log)
