"""Models from images to images: of pairs, of two unpaired sets, of a style.

Names are imported when they are first used.
"""

from __future__ import annotations

from keras_transgen.public_names import lazy_names

__all__, __getattr__, __dir__ = lazy_names(
    __name__,
    {
        "CycleGAN": "cyclegan",
        "Degradation": "degradations",
        "DegradationPipeline": "degradations",
        "Downscaling": "degradations",
        "Holes": "degradations",
        "Noise": "degradations",
        "Enhancer": "enhancement",
        "stylize": "image_optimization",
        "Pix2Pix": "pix2pix",
        "StyleTransfer": "style_transfer",
        "vgg_backbone": "vgg",
    },
)
