"""How scores of real photographs grow in the first steps: by default, augmented, with a penalty.

Flowers at 64x64, batches of 32, the default networks. Nothing is published: it prints.
"""

import argparse
import time

import keras
from gan_flowers import flowers

import keras_transgen as ktg

BATCH = 32


class Scores(keras.callbacks.Callback):
    """Prints the mean scores of the epoch so far."""

    def __init__(self, every):
        super().__init__()
        self.every = every

    def on_train_batch_end(self, batch, logs=None):
        if not (batch + 1) % self.every:
            told = {name: round(float(logs[name]), 2) for name in ("real_score", "fake_score")}
            print(batch + 1, told, f"{time.process_time():.0f} CPU s", flush=True)


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--steps", type=int, default=120)
    arguments.add_argument("--every", type=int, default=10)
    options = arguments.parse_args()
    images = flowers(64)[: options.steps * BATCH]
    for settings in (
        {},
        {"augmentation": "color,translation,cutout"},
        {"gradient_penalty": "r1"},
    ):
        keras.utils.set_random_seed(1)
        print(settings)
        gan = ktg.GAN((64, 64, 3), seed=1, **settings)
        gan.fit(images, batch_size=BATCH, verbose=0, callbacks=[Scores(options.every)])


if __name__ == "__main__":
    main()
