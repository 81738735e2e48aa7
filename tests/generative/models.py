"""VAEs whose answers are known: exact linear ones, and one whose noise the data give."""

import keras
import numpy as np
import scipy.stats
import tensorflow as tf

from keras_transgen.generative.likelihoods import Gaussian
from keras_transgen.generative.vae import VAE


@keras.saving.register_keras_serializable(package="tests")
class DataNoiseVAE(VAE):
    """Its noise is a function of the example, so that replicas see what one replica would."""

    def draw_noise(self, data, seed, training):
        noise = super().draw_noise(data, seed, training)
        x, _, _ = self.unpack(data)
        flat = tf.reshape(x, [-1, int(np.prod(self.example_shape))])[:, : self.latent_dim]
        return tf.sin(37.0 * flat) + 0.0 * noise


class LinearGaussian:
    """x = W z + b + s noise, whose likelihood and posterior are known.

    The columns of W are orthogonal, so that the posterior is a diagonal normal, which a linear
    encoder can be. Probabilistic principal component analysis (Tipping and Bishop, 1999).
    """

    def __init__(self, sigma=0.7):
        rng = np.random.default_rng(0)
        basis, _ = np.linalg.qr(rng.normal(size=(5, 2)))
        self.weights = basis * [2.0, 0.8]
        self.bias = rng.normal(size=5)
        self.sigma = sigma
        precision = self.weights.T @ self.weights + sigma**2 * np.eye(2)
        self.encode = np.linalg.solve(precision, self.weights.T)
        self.posterior_scale = sigma / np.sqrt(np.diag(precision))

    def data(self, count, seed=1):
        rng = np.random.default_rng(seed)
        z, noise = rng.normal(size=(count, 2)), rng.normal(size=(count, 5))
        return (z @ self.weights.T + self.bias + self.sigma * noise).astype("float32")

    def log_likelihood(self, x):
        covariance = self.weights @ self.weights.T + self.sigma**2 * np.eye(5)
        return scipy.stats.multivariate_normal.logpdf(x, self.bias, covariance)

    def vae(self, shift=0.0, stretch=1.0, **kwargs):
        """A VAE of these numbers; its posterior's mean is off by `shift`, its scale by a factor."""
        encoder = keras.Sequential([keras.Input((5,)), keras.layers.Identity()])
        decoder = keras.Sequential([keras.Input((2,)), keras.layers.Dense(5)])
        vae = VAE((5,), 2, Gaussian(sigma=self.sigma), encoder, decoder, **kwargs)
        decoder.layers[0].set_weights([self.weights.T, self.bias])
        mean_bias = -self.encode @ self.bias + shift
        vae.posterior_mean.set_weights([self.encode.T, mean_bias])
        raw = np.log(np.expm1(stretch * self.posterior_scale - 1e-5))
        vae.posterior_raw_scale.set_weights([np.zeros((5, 2)), raw])
        return vae

    def gap(self, shift, stretch):
        """KL of the model's posterior from the true one: how far the bound is below."""
        scaled = shift / self.posterior_scale
        return float((0.5 * (stretch**2 + scaled**2 - 1) - np.log(stretch)).sum())
