"""TFP distributions to JSON and back."""

import json

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_probability as tfp

from keras_transgen.generative.distribution_config import (
    IN_FILES,
    distribution_config,
    distribution_from_config,
)
from keras_transgen.training.config_from_file import FileConfigError

tfd = tfp.distributions


@pytest.mark.parametrize(
    "distribution",
    [
        tfd.MultivariateNormalDiag([0.0, 1.0], [1.0, 2.0]),
        tfd.MultivariateNormalTriL(np.zeros(2, "float32"), tf.linalg.diag([1.0, 2.0])),
        tfd.Independent(tfd.Laplace([0.0, 1.0], 2.0), 1),
        tfd.MixtureSameFamily(
            tfd.Categorical(probs=[0.3, 0.7]),
            tfd.MultivariateNormalDiag([[0.0, 1.0], [2.0, 3.0]], [[1.0, 1.0], [2.0, 2.0]]),
        ),
        tfd.Mixture(
            tfd.Categorical(probs=[0.5, 0.5]),
            [tfd.MultivariateNormalDiag([0.0, 0.0]), tfd.MultivariateNormalDiag([1.0, 1.0])],
        ),
    ],
    ids=lambda one: type(one).__name__,
)
def test_round_trip(distribution):
    config = json.loads(json.dumps(distribution_config(distribution)))
    again = distribution_from_config(config)
    z = np.array([[0.5, -0.5], [2.0, 0.0]], "float32")
    np.testing.assert_array_equal(again.log_prob(z), distribution.log_prob(z))


def test_what_cannot_be_saved():
    class Own(tfd.Normal):
        pass

    with pytest.raises(ValueError, match="Prior of your own"):
        distribution_config(Own(0.0, 1.0))
    bijected = tfd.TransformedDistribution(tfd.Normal(0.0, 1.0), tfp.bijectors.Exp())
    with pytest.raises(ValueError, match=r"TransformedDistribution\.bijector of type"):
        distribution_config(bijected)


def test_unknown_class():
    with pytest.raises(ValueError, match="one of BatchBroadcast"):
        distribution_from_config({"tfp_distribution": "os", "parameters": {}})


@pytest.mark.parametrize(
    "config",
    [
        None,
        [],
        {},
        {"tfp_distribution": ["Normal"], "parameters": {}},
        {"tfp_distribution": "Normal", "parameters": None},
        {"tfp_distribution": "Normal", "parameters": {"loc": "x", "scale": 1.0}},
        {"tfp_distribution": "Normal", "parameters": {"no_such": 1.0}},
        {"tfp_distribution": "Normal", "parameters": {"loc": {"array": [[1], [1, 2]]}}},
        {
            "tfp_distribution": "Normal",
            "parameters": {"loc": {"array": ["a"], "dtype": "U1000000000"}, "scale": 1.0},
        },
        {
            "tfp_distribution": "Normal",
            "parameters": {"loc": {"array": [[1.0], [1.0, 2.0]], "dtype": "float32"}, "scale": 1.0},
        },
        {
            "tfp_distribution": "Normal",
            "parameters": {"loc": {"array": [10**400], "dtype": "int32"}, "scale": 1.0},
        },
        {"tfp_distribution": "Normal", "parameters": {"loc": "http://a/b", "scale": 1.0}},
        {"tfp_distribution": "Independent", "parameters": {"distribution": 3}},
        {"tfp_distribution": "JointDistributionCoroutine", "parameters": {"model": "os.system"}},
        {"tfp_distribution": "__builtins__", "parameters": {}},
        {"tfp_distribution": "Autoregressive", "parameters": {"distribution_fn": "eval"}},
    ],
)
def test_what_a_file_may_not_say(config):
    with pytest.raises(FileConfigError):
        distribution_from_config(config)


def test_all_that_a_file_may_name_is_there():
    assert all(issubclass(getattr(tfd, kind), tfd.Distribution) for kind in IN_FILES)


def test_what_no_file_may_name_is_not_saved():
    with pytest.raises(ValueError, match="Only these distributions"):
        distribution_config(tfd.Poisson(1.0))
