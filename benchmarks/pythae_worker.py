"""pythae's side of vae_speed.py; runs in an environment of its own, without TensorFlow.

Reads a number of epochs a line from its standard input, trains so long, and writes the seconds of
each epoch.
"""

import json
import logging
import sys
import tempfile
import time

import numpy as np
import torch
from pythae.models import VAE, VAEConfig
from pythae.models.base.base_utils import ModelOutput
from pythae.models.nn import BaseDecoder, BaseEncoder
from pythae.trainers import BaseTrainer, BaseTrainerConfig
from pythae.trainers.training_callbacks import TrainingCallback

LATENT, WIDTH, PIXELS = 40, 512, 784


class Encoder(BaseEncoder):
    def __init__(self):
        super().__init__()
        self.layers = torch.nn.Sequential(
            torch.nn.Linear(PIXELS, WIDTH),
            torch.nn.ReLU(),
            torch.nn.Linear(WIDTH, WIDTH),
            torch.nn.ReLU(),
        )
        self.embedding = torch.nn.Linear(WIDTH, LATENT)
        self.log_var = torch.nn.Linear(WIDTH, LATENT)

    def forward(self, x):
        hidden = self.layers(x.reshape(len(x), -1))
        return ModelOutput(embedding=self.embedding(hidden), log_covariance=self.log_var(hidden))


class Decoder(BaseDecoder):
    def __init__(self):
        super().__init__()
        self.layers = torch.nn.Sequential(
            torch.nn.Linear(LATENT, WIDTH),
            torch.nn.ReLU(),
            torch.nn.Linear(WIDTH, WIDTH),
            torch.nn.ReLU(),
            torch.nn.Linear(WIDTH, PIXELS),
            torch.nn.Sigmoid(),
        )

    def forward(self, z):
        return ModelOutput(reconstruction=self.layers(z).reshape(-1, 1, 28, 28))


class Stopwatch(TrainingCallback):
    def __init__(self):
        self.seconds = []

    def on_epoch_begin(self, training_config, **kwargs):
        self.start = time.perf_counter()

    def on_epoch_end(self, training_config, **kwargs):
        self.seconds.append(time.perf_counter() - self.start)


class Examples(torch.utils.data.Dataset):
    """pythae's data set of tensors, as its pipeline makes it of arrays."""

    def __init__(self, data):
        from pythae.data.datasets import BaseDataset

        self.inner = BaseDataset(torch.tensor(data), torch.ones(len(data)))

    def __len__(self):
        return len(self.inner)

    def __getitem__(self, index):
        return self.inner[index]


def main():
    logging.disable(logging.CRITICAL)
    images = np.load(sys.argv[1]).reshape(-1, 1, 28, 28)
    config = VAEConfig(input_dim=(1, 28, 28), latent_dim=LATENT, reconstruction_loss="bce")
    model = VAE(config, encoder=Encoder(), decoder=Decoder())
    answers = sys.stdout
    sys.stdout = sys.stderr
    for line in sys.stdin:
        watch = Stopwatch()
        training = BaseTrainerConfig(
            output_dir=tempfile.mkdtemp(),
            num_epochs=int(line),
            learning_rate=1e-3,
            per_device_train_batch_size=128,
            optimizer_cls="Adam",
            keep_best_on_train=True,
            no_cuda=True,
        )
        BaseTrainer(model, Examples(images), training_config=training, callbacks=[watch]).train()
        print(json.dumps(watch.seconds), file=answers, flush=True)


if __name__ == "__main__":
    main()
