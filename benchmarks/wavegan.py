"""Spoken digits by WaveGAN: does a classifier hear the digit asked for, and do samples differ?

Test recordings are 0 to 4 of each digit and speaker; with `--choose` settings are judged by
recordings 45 to 49 instead, on which nothing is trained then.

A condition is a digit of a speaker. Recordings are made as loud as each other and padded with
silence to the length of the samples, or cut. The judge hears all waves, real ones too, without the
silence at their ends, and learnt from recordings that were cut in this way. Diversity is the root
mean squared distance within a digit and speaker, in what the judge is told of a wave.

The discriminator hears spectrograms, or with `--listener wavegan` is that of WaveGAN, for a section
of its own.
"""

import argparse
import time

import keras
import numpy as np
from digit_listener import RATE, Digits, away, described, judge
from report import publish
from time_budget import FallingRates, TimeBudget

import keras_transgen as ktg
from keras_transgen.callbacks.collapse_warning import diversity
from keras_transgen.generative.networks.spectrogram_discriminator import spectrogram_discriminator

GOAL_AGREEMENT, GOAL_DIVERSITY, BUDGET = 0.80, 0.70, 600
PEAK, SILENT, _EDGE = 0.9, 0.02, 80
LENGTH = 5120


def of_one_length(wave):
    """A wave as loud as the others, `[LENGTH, 1]`."""
    cut = wave[:LENGTH] * (PEAK / np.abs(wave).max())
    return np.pad(cut, (0, LENGTH - len(cut)))[:, None].astype("float32")


def without_silence(wave):
    """A wave up to where it is no longer heard, and from where it is."""
    heard = np.flatnonzero(np.abs(wave[:, 0]) > SILENT)
    if not len(heard):
        return wave[:, 0]
    return wave[max(0, heard[0] - _EDGE) : heard[-1] + _EDGE, 0]


class Clips:
    """Recordings as the model sees them, and as the judge hears them."""

    def __init__(self, chosen):
        found = Digits(chosen)
        self.x = np.stack([of_one_length(wave) for wave in found.waves])
        self.waves = [without_silence(wave) for wave in self.x]
        self.labels, self.conditions = found.labels, 2 * found.labels + found.speakers

    @property
    def spread(self):
        return diversity([described(wave) for wave in self.waves], self.conditions)


def trained(options, clips, look=None):
    keras.utils.set_random_seed(options.seed)
    discriminator = None
    if options.listener == "spectrogram":
        discriminator = spectrogram_discriminator(
            (LENGTH, 1),
            RATE,
            embedding_dim=64,
            auxiliary_classes=20 if options.classifier else None,
        )
    model = ktg.ConditionalGAN(
        20,
        example_shape=(LENGTH, 1),
        latent_dim=64,
        embedding_dim=64,
        filters=options.filters,
        discriminator=discriminator,
        loss=options.loss,
        gradient_penalty=options.penalty,
        gradient_penalty_weight=options.penalty_weight,
        auxiliary_classifier=options.classifier,
        generator_conditioning=options.conditioning,
        instance_noise=options.noise,
        ema_decay=options.average,
        seed=options.seed,
    )
    model.compile(
        keras.optimizers.Adam(options.rate, beta_1=0.5, beta_2=0.9),
        keras.optimizers.Adam(options.critic_rate, beta_1=0.5, beta_2=0.9),
    )
    clock = TimeBudget(
        options.seconds,
        look and (lambda epoch: look(model, epoch)),
        range(options.every, 100_000, options.every),
        time.process_time,
    )
    model.fit(
        clips.x,
        clips.conditions,
        batch_size=options.rows,
        epochs=100_000,
        verbose=0,
        callbacks=[FallingRates(clock), clock],
    )
    return model, clock


def heard(model, listener, real, each=10, seed=0):
    """Agreement with the digits asked for, diversity over real, loudness and spectrum."""
    conditions = np.repeat(np.arange(20), each)
    waves = [without_silence(wave) for wave in model.sample(conditions, seed=seed)]
    told = np.stack([described(wave) for wave in waves])
    agreement = float(np.mean(listener.predict(told) == conditions // 2))
    return agreement, diversity(told, conditions) / real.spread, *away(waves, real.waves)


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--choose", action="store_true", help="judge by training recordings")
    arguments.add_argument("--save", help="where to save the model")
    arguments.add_argument("--seconds", type=float, default=BUDGET, help="CPU seconds")
    arguments.add_argument("--filters", type=int, default=16)
    arguments.add_argument("--rows", type=int, default=32)
    arguments.add_argument("--loss", default="non_saturating")
    arguments.add_argument("--penalty", default="r1")
    arguments.add_argument("--penalty-weight", type=float, default=0.03)
    arguments.add_argument("--no-classifier", dest="classifier", action="store_false")
    arguments.add_argument("--conditioning", default="concatenation")
    arguments.add_argument("--noise", type=float, default=0.0)
    arguments.add_argument("--average", type=float, default=0.998)
    arguments.add_argument("--rate", type=float, default=4e-4)
    arguments.add_argument("--critic-rate", type=float, default=8e-4)
    arguments.add_argument("--listener", choices=("spectrogram", "wavegan"), default="spectrogram")
    arguments.add_argument("--every", type=int, default=25, help="epochs between looks")
    arguments.add_argument("--seed", type=int, default=0)
    options = arguments.parse_args()
    training = Clips(lambda number: number >= 5 and not (options.choose and number >= 45))
    held_out = Clips(lambda number: number >= 45 if options.choose else number < 5)
    listener = judge(training)
    known = listener.score([described(wave) for wave in held_out.waves], held_out.labels)
    print(f"the judge is right on {known:.3f} of held-out recordings", flush=True)

    def look(model, epoch):
        print(epoch, [round(each, 3) for each in heard(model, listener, training)], flush=True)

    model, clock = trained(options, training, look)
    if options.save:
        model.save(options.save)
    agreement, spread, louder, distance = heard(model, listener, training)
    real = away(held_out.waves, training.waves)
    rows = [
        ("what", "200 samples", "test recordings", "goal"),
        ("agreement", f"{agreement:.3f}", f"{known:.3f}", f"at least {GOAL_AGREEMENT:g}"),
        (
            "diversity within digits of a speaker, training recordings 1",
            f"{spread:.2f}",
            f"{held_out.spread / training.spread:.2f}",
            f"at least {GOAL_DIVERSITY:g}",
        ),
        ("loudness", f"{louder:+.1%}", f"{real[0]:+.1%}", ""),
        ("mean spectrum", f"{distance:.1%}", f"{real[1]:.1%}", ""),
    ]
    for row in rows[1:]:
        print(row, flush=True)
    if options.choose or options.seconds < BUDGET:
        return
    reached = agreement >= GOAL_AGREEMENT and spread >= GOAL_DIVERSITY
    told = {"spectrogram": "", "wavegan": ", its own discriminator"}[options.listener]
    publish(
        f"Spoken digits by WaveGAN{told}",
        f"the judge's agreement at least {GOAL_AGREEMENT:g} and diversity within classes at least "
        f"{GOAL_DIVERSITY:g} of real ones in {BUDGET:,} CPU seconds",
        rows,
        f"{'Reached' if reached else 'Missed'}. {model.count_params():,} parameters, waves of "
        f"{LENGTH / RATE:g} s, {clock.steps:,} steps in {clock.spent:,.0f} CPU s, one seed.",
        __file__,
    )


if __name__ == "__main__":
    main()
