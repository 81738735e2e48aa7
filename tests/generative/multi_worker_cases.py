"""The models that two workers train, each with whether XLA compiles its step."""

from tests.generative import test_conditional_gan, test_gan, test_vae

EPOCHS = 2
# Of 24 examples, so that the last batch holds a single one and one of the workers gets none. Only
# XLA's convolutions bear that everywhere.
BATCH = 23

CASES = {
    "vae": (test_vae.CASES["vectors, free bits over replicas"], True),
    "gan of vectors": (test_gan.CASES["vectors, two-stage"], False),
    "gan with batch normalization": (test_gan.CASES["batch normalization"], True),
    "conditional gan": (test_conditional_gan.CASES["projection, one-stage"], True),
}
