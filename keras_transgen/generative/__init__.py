"""Models that learn the distribution of data and draw from it.

Names are imported when they are first used: the VAE needs TensorFlow Probability, GANs do not.
"""

from __future__ import annotations

from keras_transgen.public_names import lazy_names

__all__, __getattr__, __dir__ = lazy_names(
    __name__,
    {
        "ConditionalGAN": "adversarial.conditional_gan",
        "FlowMatching": "flow.flow_matching",
        "GAN": "adversarial.gan",
        "GenerativeModel": "generative_model",
        "VAE": "vae",
    },
    parts=(
        "beta_schedules",
        "kl",
        "likelihoods",
        "networks",
        "priors",
    ),
)
