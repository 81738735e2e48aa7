"""Where the two wings meet: pretrained parts in generative models, generated data in transfer."""

from __future__ import annotations

import importlib
from typing import Any

# Imported at first use: each part brings libraries that the others do not need.
_HOMES = {
    "backbone_generator": "backbone_unet",
    "FeatureGAN": "feature_gan",
    "FeatureVAE": "feature_vae",
    "fit_with_generated_data": "mixing_weight",
    "GeneratedData": "generated_data",
    "latent_backbone": "semi_supervised",
    "MultiScaleFeatures": "multi_scale_features",
    "PerceptualLikelihood": "perceptual_loss",
    "PerceptualLoss": "perceptual_loss",
    "PretrainedEncoder": "pretrained_encoder",
    "PretrainedVAE": "pretrained_vae",
    "ProjectedDiscriminator": "projected_discriminator",
    "scale_decoder": "decoding_by_scale",
    "semi_supervised_transfer": "semi_supervised",
    "transfer_gan": "generator_transfer",
}

__all__ = list(_HOMES)


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
