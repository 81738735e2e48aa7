"""Keras callbacks that watch a training run; imported when they are first used."""

from __future__ import annotations

from keras_transgen.public_names import lazy_names

__all__, __getattr__, __dir__ = lazy_names(
    __name__,
    {
        "Annealing": "annealing",
        "AudioSamples": "audio_samples",
        "CollapseWarning": "collapse_warning",
        "DetectionGrid": "detection_grid",
        "LatentProjector": "latent_projector",
        "LatentTraversal": "latent_traversal",
        "ReconstructionGrid": "reconstruction_grid",
        "SampleGrid": "sample_grid",
        "FrechetDistance": "sample_quality",
        "KernelDistance": "sample_quality",
        "TranslationGrid": "translation_grid",
        "Translations": "translations",
    },
)
