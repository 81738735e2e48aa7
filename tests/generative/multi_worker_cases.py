"""The models that two workers train, each with whether XLA compiles its step."""

import dataclasses

from tests.fusion import test_pretrained_vae
from tests.generative import test_vae
from tests.generative.adversarial import test_conditional_gan, test_gan
from tests.generative.flow import test_flow_matching
from tests.generative.translation import test_cyclegan, test_style_transfer
from tests.harness import ModelCase

EPOCHS = 2
# Of 24 examples, so that the last batch holds a single one and one of the workers gets none. Only
# XLA's convolutions bear that everywhere.
BATCH = 23


def one_batch(case: ModelCase, **changes) -> ModelCase:
    """Of a single batch, of which the workers get 12 and 11 examples."""
    return dataclasses.replace(case, data=tuple(part[:BATCH] for part in case.data), **changes)


CASES = {
    "vae": (test_vae.CASES["vectors, free bits over replicas"], True),
    "gan of vectors": (test_gan.CASES["vectors, two-stage"], False),
    "gan with batch normalization": (test_gan.CASES["batch normalization"], True),
    "conditional gan": (test_conditional_gan.CASES["projection, two-stage"], True),
    "flow of vectors": (test_flow_matching.CASES["vectors"], False),
    # A pool is each worker's own.
    "cyclegan": (
        one_batch(test_cyclegan.CASE, make=lambda: test_cyclegan.small(pool_size=0)),
        False,
    ),
    "style transfer": (one_batch(test_style_transfer.CASE), False),
    "vae on a backbone with a delta": (one_batch(test_pretrained_vae.CASE), False),
}
