"""The two models on which the training core is proven."""

from typing import Any

import keras
import tensorflow as tf

from keras_transgen.training import TrainerModel, loss_weight
from keras_transgen.training.trainer import batch_size_of


@keras.saving.register_keras_serializable(package="tests")
class NetworkModel(TrainerModel):
    """Trains a Keras network by `compile`'s loss, as `keras.Model` would."""

    def __init__(self, network: keras.Model, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.network = network
        self.built = True

    def call(self, x: Any, training: bool = False) -> Any:
        return self.network(x, training=training)

    def get_config(self) -> dict:
        config = {"network": keras.saving.serialize_keras_object(self.network)}
        return {**super().get_config(), **config}

    @classmethod
    def from_config(cls, config: dict) -> "NetworkModel":
        config["network"] = keras.saving.deserialize_keras_object(config["network"])
        return cls(**config)


@keras.saving.register_keras_serializable(package="tests")
class TwoPlayers(TrainerModel):
    """A generator against a discriminator on vectors: two networks, two optimizers, own noise."""

    def __init__(self, latent_dim: int = 3, width: int = 4, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.latent_dim = latent_dim
        self.width = width
        self.generator = keras.Sequential(
            [
                keras.Input((latent_dim,)),
                keras.layers.Dense(8),
                keras.layers.BatchNormalization(),
                keras.layers.ReLU(),
                keras.layers.Dense(width, dtype="float32"),
            ]
        )
        self.discriminator = keras.Sequential(
            [
                keras.Input((width,)),
                keras.layers.Dense(8, activation="leaky_relu"),
                keras.layers.Dense(1, dtype="float32"),
            ]
        )
        self.built = True

    def compile(
        self,
        generator_optimizer: Any = "adam",
        discriminator_optimizer: Any = "adam",
        **kwargs: Any,
    ) -> None:
        super().compile(optimizer=None, **kwargs)
        self.generator_optimizer = self.prepare_optimizer(
            generator_optimizer, self.generator.trainable_variables
        )
        self.discriminator_optimizer = self.prepare_optimizer(
            discriminator_optimizer, self.discriminator.trainable_variables
        )
        self.remember_compile(
            generator_optimizer=generator_optimizer,
            discriminator_optimizer=discriminator_optimizer,
        )

    def optimized(self) -> list:
        return [
            (self.generator_optimizer, self.generator.trainable_variables),
            (self.discriminator_optimizer, self.discriminator.trainable_variables),
        ]

    def get_config(self) -> dict:
        return {**super().get_config(), "latent_dim": self.latent_dim, "width": self.width}

    def draw_noise(self, data: Any, seed: tf.Tensor, training: bool) -> tf.Tensor:
        return tf.random.stateless_normal([batch_size_of(data), self.latent_dim], seed)

    def update_step(self, data: Any, noise: tf.Tensor) -> dict[str, tf.Tensor]:
        real = keras.utils.unpack_x_y_sample_weight(data)[0]
        size = batch_size_of(real)

        def discriminator_loss() -> tuple[tf.Tensor, None]:
            fake = self.generator(noise, training=True)
            on_real = self.discriminator(real, training=True)
            on_fake = self.discriminator(fake, training=True)
            return tf.reduce_mean(tf.nn.softplus(-on_real) + tf.nn.softplus(on_fake)), None

        def generator_loss() -> tuple[tf.Tensor, None]:
            fake = self.generator(noise, training=True)
            return tf.reduce_mean(tf.nn.softplus(-self.discriminator(fake, training=True))), None

        logs = {}
        for name, network, optimizer, loss in (
            (
                "discriminator_loss",
                self.discriminator,
                self.discriminator_optimizer,
                discriminator_loss,
            ),
            ("generator_loss", self.generator, self.generator_optimizer, generator_loss),
        ):
            variables = network.trainable_variables
            weight = loss_weight(size, optimizer)
            gradients, logs[name], _ = self.gradients_of(loss, variables, weight)
            self.apply_gradients(optimizer, gradients, variables)
        return logs

    def sample(self, count: int, seed: int) -> Any:
        return self.generator(tf.random.stateless_normal([count, self.latent_dim], [seed, 0]))
