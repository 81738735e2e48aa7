"""The harness over the two models that prove the training core, and what only the core has."""

import keras
import numpy as np
import pytest

from tests.harness import ModelCase, check_two_replicas, every_check
from tests.training.models import NetworkModel, TwoPlayers

RNG = np.random.default_rng(0)
IMAGES = RNG.normal(size=(24, 6)).astype("float32")
LABELS = RNG.integers(0, 3, 24)


def classifier(*stochastic) -> NetworkModel:
    layers = [
        keras.Input((6,)),
        keras.layers.Dense(8, activation="relu", kernel_regularizer=keras.regularizers.L2(0.01)),
        *stochastic,
        keras.layers.Dense(3, dtype="float32"),
    ]
    return NetworkModel(keras.Sequential(layers))


def compile_classifier(model, optimizer=None, **kwargs):
    model.compile(
        optimizer=optimizer or keras.optimizers.Adam(0.01),
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
        **kwargs,
    )


CASES = {
    "classifier": ModelCase(
        make=classifier,
        data=(IMAGES, LABELS),
        compile=compile_classifier,
        imports=("tests.training.models",),
    ),
    "classifier with dropout and batch normalization": ModelCase(
        make=lambda: classifier(keras.layers.BatchNormalization(), keras.layers.Dropout(0.5)),
        data=(IMAGES, LABELS),
        compile=compile_classifier,
        imports=("tests.training.models",),
        may_move=lambda path: "moving" in path,
        tolerance=None,
        same_under_xla=False,
    ),
    "two networks": ModelCase(
        make=TwoPlayers,
        data=(IMAGES[:, :4],),
        outputs=("sample", (5, 0), {}),
        imports=("tests.training.models",),
        may_move=lambda path: "moving" in path,
        tolerance=None,
        evaluates=False,
    ),
}


@pytest.mark.parametrize(("name", "check"), every_check(CASES))
def test_model(name, check, tools):
    check(CASES[name], tools)


@pytest.mark.slow
@pytest.mark.parametrize("name", CASES)
def test_two_replicas_that_are_not_compiled(name, tools):
    check_two_replicas(CASES[name], tools)
