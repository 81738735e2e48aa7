"""A generative model's run in a process of its own; the test kills it. Arguments: model, folder."""

import os
import signal
import sys

import keras
import numpy as np

from keras_transgen.generative.adversarial.augmentation import DifferentiableAugmentation
from keras_transgen.generative.beta_schedules import LinearWarmup
from keras_transgen.generative.flow.flow_matching import FlowMatching
from keras_transgen.generative.networks import dense_decoder, dense_encoder
from keras_transgen.generative.priors import Mixture
from keras_transgen.generative.vae import VAE
from tests.generative.adversarial.adversarial_models import (
    IMAGES,
    LABELS,
    VECTORS,
    tiny_conditional_gan,
    tiny_gan,
)

KILLED_AT = 8
_UNIT = 1 / (1 + np.exp(-VECTORS))


def vae() -> VAE:
    return VAE(
        (5,),
        3,
        encoder=dense_encoder((5,), (8,)),
        decoder=dense_decoder(3, (5,), (8,)),
        prior=Mixture(3),
        beta=LinearWarmup(20),
    )


def gan():
    return tiny_gan(
        gradient_penalty="r1",
        instance_noise=0.1,
        augmentation=DifferentiableAugmentation("color,cutout", target=0.5, adjustment_images=200),
    )


def conditional_gan():
    return tiny_conditional_gan(unlabelled_probability=0.3, auxiliary_classifier=True)


def flow() -> FlowMatching:
    return FlowMatching((5,), 3, width=8, embedding_dim=4, unlabelled_probability=0.3)


MODELS = {
    "vae": (vae, (_UNIT,), {"steps_per_execution": 1}),
    "gan": (gan, (IMAGES,), {}),
    "conditional_gan": (conditional_gan, (IMAGES, LABELS), {}),
    "flow": (flow, (VECTORS, LABELS), {}),
}


def optimizer_state(model: keras.Model) -> list[np.ndarray]:
    names = ("optimizer", "generator_optimizer", "discriminator_optimizer")
    optimizers = [getattr(model, name, None) for name in names]
    return [np.asarray(v) for each in optimizers if each is not None for v in each.variables]


class Kill(keras.callbacks.Callback):
    """SIGKILL in the middle of the third epoch, after a backup of the step before."""

    def on_train_batch_end(self, batch, logs=None):
        if int(self.model.progress.step.numpy()) == KILLED_AT:
            os.kill(os.getpid(), signal.SIGKILL)


def run(name: str, folder: str | None, kill: bool) -> dict[str, list[np.ndarray]]:
    """3 steps an epoch, 4 epochs; what the run ends with."""
    make, data, compile_arguments = MODELS[name]
    keras.utils.set_random_seed(11)
    model = make()
    model.compile(jit_compile=False, **compile_arguments)
    callbacks = []
    if folder:
        callbacks.append(keras.callbacks.BackupAndRestore(folder, save_freq=2))
    if kill:
        callbacks.append(Kill())
    model.fit(*data, batch_size=8, epochs=4, callbacks=callbacks, verbose=0)
    return {
        "weights": [weight.numpy() for weight in model.weights],
        "optimizers": optimizer_state(model),
    }


if __name__ == "__main__":
    run(sys.argv[1], sys.argv[2], kill=True)
