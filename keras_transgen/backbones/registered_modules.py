"""Which module defines which class that a `.keras` file may name, as a fixed table.

Rooms are imported when they are first used, so in a new process Keras would not know the classes of
the others. A file says a class's name, never a module: what is imported stands here.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterable

PACKAGE = "keras_transgen>"

REGISTERED: dict[str, str] = {
    "ActiveUnits": "keras_transgen.generative.active_units_metric",
    "Bernoulli": "keras_transgen.generative.likelihoods",
    "BicubicUpscaling": "keras_transgen.generative.networks.residual_enhancer",
    "BottleneckAdapter": "keras_transgen.transfer.deltas.adapter",
    "Categorical": "keras_transgen.generative.likelihoods",
    "ClassificationLoss": "keras_transgen.transfer.tasks",
    "ConditionEmbedding": "keras_transgen.generative.networks.conditioning",
    "ConditionalGAN": "keras_transgen.generative.adversarial.conditional_gan",
    "ConditionalInstanceNormalization": "keras_transgen.generative.networks.style_normalization",
    "ConditionalNormalization": "keras_transgen.generative.networks.conditioning",
    "CustomLikelihood": "keras_transgen.generative.likelihoods",
    "CycleGAN": "keras_transgen.generative.translation.cyclegan",
    "CyclicalWarmup": "keras_transgen.generative.beta_schedules",
    "DegradationPipeline": "keras_transgen.generative.translation.degradations",
    "DeltaSet": "keras_transgen.transfer.deltas.delta_set",
    "DifferentiableAugmentation": "keras_transgen.generative.adversarial.augmentation",
    "DiscretizedLogisticLikelihood": "keras_transgen.generative.likelihoods",
    "DomainAdaptation": "keras_transgen.transfer.subspace.domain_adaptation",
    "Downscaling": "keras_transgen.generative.translation.degradations",
    "Enhancer": "keras_transgen.generative.translation.enhancement",
    "FeatureGAN": "keras_transgen.fusion.feature_gan",
    "FeatureJoin": "keras_transgen.transfer.heads",
    "FeatureScale": "keras_transgen.fusion.feature_scale",
    "FeatureTransfer": "keras_transgen.transfer.feature",
    "FeatureVAE": "keras_transgen.fusion.feature_vae",
    "FixedPrior": "keras_transgen.generative.priors",
    "GAN": "keras_transgen.generative.adversarial.gan",
    "Gaussian": "keras_transgen.generative.likelihoods",
    "GenerativeModel": "keras_transgen.generative.generative_model",
    "Holes": "keras_transgen.generative.translation.degradations",
    "ImagePool": "keras_transgen.generative.translation.image_pool",
    "InValueRange": "keras_transgen.generative.networks.value_range",
    "KNearestNeighbours": "keras_transgen.transfer.neighbours",
    "KerasBackbone": "keras_transgen.backbones.keras_model",
    "LinearWarmup": "keras_transgen.generative.beta_schedules",
    "LowRank": "keras_transgen.fusion.low_rank",
    "MaximumMeanDiscrepancy": "keras_transgen.transfer.subspace.maximum_mean_discrepancy",
    "Mixture": "keras_transgen.generative.priors",
    "MultiScaleFeatures": "keras_transgen.backbones.multi_scale_features",
    "NearestCentroid": "keras_transgen.transfer.neighbours",
    "Noise": "keras_transgen.generative.translation.degradations",
    "ParameterTransfer": "keras_transgen.transfer.parameter",
    "PerceptualLikelihood": "keras_transgen.fusion.perceptual_loss",
    "PerceptualLoss": "keras_transgen.fusion.perceptual_loss",
    "Pix2Pix": "keras_transgen.generative.translation.pix2pix",
    "PretrainedEncoder": "keras_transgen.fusion.pretrained_encoder",
    "PretrainedVAE": "keras_transgen.fusion.pretrained_vae",
    "ProjectedDiscriminator": "keras_transgen.fusion.projected_discriminator",
    "Projection": "keras_transgen.generative.networks.conditioning",
    "RandomConvolution": "keras_transgen.fusion.projected_discriminator",
    "ReflectionPadding2D": "keras_transgen.generative.networks.reflection_padding",
    "ReplicaSeedGenerator": "keras_transgen.training.replica_noise",
    "SavedModelBackbone": "keras_transgen.backbones.saved_model",
    "StandardNormal": "keras_transgen.generative.priors",
    "StructureTransfer": "keras_transgen.transfer.structure",
    "StyleFeatures": "keras_transgen.generative.translation.style_features",
    "StyleTransfer": "keras_transgen.generative.translation.style_transfer",
    "SubPixels": "keras_transgen.generative.networks.residual_enhancer",
    "TrainerModel": "keras_transgen.training.trainer",
    "TransferModel": "keras_transgen.transfer.transfer_model",
    "UnfreezeAt": "keras_transgen.transfer.schedules",
    "VAE": "keras_transgen.generative.vae",
    "VGGInput": "keras_transgen.generative.translation.vgg",
    "VampPrior": "keras_transgen.generative.priors",
    "WarmUp": "keras_transgen.transfer.schedules",
    "_Growth": "keras_transgen.transfer.learning_rate_finder",
}


def import_classes(names: Iterable[str]) -> None:
    """Import the modules of registered classes, which register themselves.

    Args:
        names: Names that Keras registers, such as `"keras_transgen>GAN"`; others are passed over.
    """
    known = {f"{PACKAGE}{name}": module for name, module in REGISTERED.items()}
    for module in sorted({known[name] for name in names if name in known}):
        importlib.import_module(module)
