"""A model with a latent space that a test can see through."""

import numpy as np

from tests.callbacks.samplers import Sampler, images


class Traversable(Sampler):
    """Images whose every pixel is the sum of the latent vector; encodes to zeros."""

    def __init__(self, latent_dim=3, value_range=(0.0, 1.0)):
        super().__init__(images, value_range)
        self.latent_dim = latent_dim
        self.calls = []

    def traverse(self, x=None, dims=None, values=(), z=None):
        self.calls.append((x, list(dims), list(values), z))
        shades = np.tile(np.asarray(values, "float32"), (len(dims), 1))
        return np.ones((1, len(dims), len(values), 8, 8, 1)) * shades[..., None, None, None]

    def reconstruct(self, x):
        return 1.0 - self.scaled(x)
