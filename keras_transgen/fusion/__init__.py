"""Where the two wings meet: pretrained parts in generative models, generated data in transfer."""

from __future__ import annotations

from keras_transgen.public_names import lazy_names

__all__, __getattr__, __dir__ = lazy_names(
    __name__,
    {
        "backbone_generator": "backbone_unet",
        "balance_classes": "class_balance",
        "scale_decoder": "decoding_by_scale",
        "FeatureGAN": "feature_gan",
        "FeatureVAE": "feature_vae",
        "transfer_flow": "flow_transfer",
        "transfer_gan": "generator_transfer",
        "LatentAutoencoder": "latent_autoencoder",
        "LatentFlow": "latent_flow",
        "merge_flow": "merged_flow",
        "MultiScaleFeatures": ".backbones.multi_scale_features",
        "PerceptualLikelihood": "perceptual_loss",
        "PerceptualLoss": "perceptual_loss",
        "PretrainedEncoder": "pretrained_encoder",
        "PretrainedVAE": "pretrained_vae",
        "ProjectedDiscriminator": "projected_discriminator",
        "SemiSupervisedGAN": "semi_supervised_gan",
    },
)
