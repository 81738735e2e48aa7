"""The peers of the GAN benchmarks: the step of the Keras examples, and PyTorch in its process."""

import json
import os
import subprocess
import sys
from pathlib import Path

import keras
import tensorflow as tf

ENVIRONMENT = Path(__file__).parents[1] / ".bench" / "torch"
TORCH = ("torch==2.13.0", "numpy")


class KerasExample(keras.Model):
    """`train_step` of keras.io's "DCGAN to generate face images", with labels where given.

    The examples' noise on labels is left out. The networks take embeddings, so a conditional one
    owns the two tables that the peers compared with it own too.
    """

    def __init__(self, generator, discriminator, latent_dim, tables=None):
        super().__init__()
        self.generator, self.discriminator = generator, discriminator
        self.latent_dim = latent_dim
        self.tables = tables
        self.seeds = keras.random.SeedGenerator(1337)

    def compile(self, d_optimizer, g_optimizer, loss_fn, **kwargs):
        super().compile(**kwargs)
        self.d_optimizer, self.g_optimizer, self.loss_fn = d_optimizer, g_optimizer, loss_fn
        self.d_metric = keras.metrics.Mean(name="d_loss")
        self.g_metric = keras.metrics.Mean(name="g_loss")

    @property
    def metrics(self):
        return [self.d_metric, self.g_metric]

    def generated(self, z, labels, training=True):
        if self.tables is None:
            return self.generator(z, training=training)
        return self.generator([z, self.tables[0](labels)], training=training)

    def judged(self, x, labels):
        if self.tables is None:
            return self.discriminator(x)
        return self.discriminator([x, self.tables[1](labels)])

    def train_step(self, data):
        real, labels = data if isinstance(data, tuple) else (data, None)
        size = tf.shape(real)[0]
        z = keras.random.normal((size, self.latent_dim), seed=self.seeds)
        fake = self.generated(z, labels)
        both = tf.concat([fake, real], axis=0)
        twice = None if labels is None else tf.concat([labels, labels], axis=0)
        # The examples call generated images 1 and real ones 0.
        targets = tf.concat([tf.ones((size, 1)), tf.zeros((size, 1))], axis=0)
        with tf.GradientTape() as tape:
            d_loss = self.loss_fn(targets, self.judged(both, twice))
        weights = list(self.discriminator.trainable_weights)
        if self.tables is not None:
            weights += self.tables[1].trainable_weights
        self.d_optimizer.apply_gradients(zip(tape.gradient(d_loss, weights), weights))

        z = keras.random.normal((size, self.latent_dim), seed=self.seeds)
        with tf.GradientTape() as tape:
            g_loss = self.loss_fn(
                tf.zeros((size, 1)), self.judged(self.generated(z, labels), labels)
            )
        weights = list(self.generator.trainable_weights)
        if self.tables is not None:
            weights += self.tables[0].trainable_weights
        self.g_optimizer.apply_gradients(zip(tape.gradient(g_loss, weights), weights))
        self.d_metric.update_state(d_loss)
        self.g_metric.update_state(g_loss)
        return {metric.name: metric.result() for metric in self.metrics}


def keras_example(model, rate=2e-4) -> KerasExample:
    """The example's step on copies of a GAN's networks, with the DCGAN paper's optimizers."""
    tables = None
    if hasattr(model, "generator_embedding"):
        classes, dim = model.num_classes, model.embedding_dim
        tables = [keras.layers.Embedding(classes, dim) for _ in range(2)]
        for table in tables:
            table.build((None,))
    example = KerasExample(
        keras.models.clone_model(model.generator),
        keras.models.clone_model(model.discriminator),
        model.latent_dim,
        tables,
    )
    example.compile(
        keras.optimizers.Adam(rate, beta_1=0.5),
        keras.optimizers.Adam(rate, beta_1=0.5),
        keras.losses.BinaryCrossentropy(from_logits=True),
        # On a CPU the examples' convolutions are faster without XLA.
        jit_compile="auto" if tf.config.list_physical_devices("GPU") else False,
    )
    return example


class TorchPeer:
    """The same networks and the two-stage step in PyTorch, in a process and environment apart.

    Args:
        settings: What the worker reads; torch_gan_worker.py sizes, filters, batch, data, seed.
        script: The worker.
    """

    def __init__(self, settings: dict, script: str = "torch_gan_worker.py"):
        worker = Path(__file__).with_name(script)
        self.process = subprocess.Popen(
            [_torch_python(), str(worker), json.dumps(settings)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            # Threads that wait by spinning would count as computing.
            env={**os.environ, "OMP_WAIT_POLICY": "PASSIVE", "GOMP_SPINCOUNT": "0"},
        )

    def ask(self, **request):
        """Send a request and wait for the answer."""
        self.process.stdin.write(json.dumps(request) + "\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())

    def close(self):
        self.process.stdin.close()
        self.process.wait()


def _torch_python() -> Path:
    python = ENVIRONMENT / "bin" / "python"
    if not python.exists():
        subprocess.run([sys.executable, "-m", "venv", str(ENVIRONMENT)], check=True)
    if subprocess.run([python, "-c", "import torch"], capture_output=True, check=False).returncode:
        subprocess.run([python, "-m", "pip", "install", "-q", *TORCH], check=True)
    return python
