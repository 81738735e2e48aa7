"""Transfer learning and generative models for Keras 3, through plain `model.fit`.

Public names are imported when they are first used, so that `import keras_transgen` costs little
more than importing Keras and TensorFlow.
"""

from __future__ import annotations

from keras_transgen.changed_names import find_moved_modules
from keras_transgen.public_names import lazy_names

__version__ = "0.1.0"

_NAMES = {
    "backbones": (
        "Backbone",
        "InputContract",
        "KerasBackbone",
        "ParameterGroup",
        "SavedModelBackbone",
        "load_backbone",
        "load_model",
    ),
    "training": ("TrainerModel",),
    "transfer": (
        "Detector",
        "FeatureTransfer",
        "ParameterTransfer",
        "StructureTransfer",
        "TransferModel",
        "copy_parameters",
        "few_shot_evaluation",
        "find_learning_rate",
    ),
    "generative": ("GAN", "VAE", "ConditionalGAN", "FlowMatching"),
    "generative.translation": (
        "CycleGAN",
        "Enhancer",
        "Pix2Pix",
        "StyleTransfer",
        "stylize",
    ),
    "fusion": ("PerceptualLoss",),
    "sequences": (
        "LanguageModel",
        "MusicModel",
        "MaskedSequenceModel",
        "SequenceToSequence",
        "TextEncoder",
        "TextVAE",
        "Vocabulary",
        "WaveNet",
    ),
}

__all__, __getattr__, __dir__ = lazy_names(
    __name__,
    {name: module for module, names in _NAMES.items() for name in names},
    parts=(
        "backbones",
        "callbacks",
        "datasets",
        "distributed",
        "evaluation",
        "fusion",
        "generative",
        "plotting",
        "sequences",
        "training",
        "transfer",
        "tuning",
    ),
)
__all__ += ["__version__"]

find_moved_modules()
