"""Keras Tuner searches over every model of the package; imported when they are first used."""

from __future__ import annotations

from keras_transgen.public_names import lazy_names

__all__, __getattr__, __dir__ = lazy_names(
    __name__,
    {
        "wait_for_chief": "chief",
        "ConditionalGANHyperModel": "conditional_gan",
        "DetectorHyperModel": "detector",
        "FlowHyperModel": "flow",
        "GANHyperModel": "gan",
        "LanguageModelHyperModel": "language_model",
        "SequenceToSequenceHyperModel": "sequence_to_sequence",
        "TransferHyperModel": "transfer",
        "trial_table": "trials",
        "VAEHyperModel": "vae",
        "watch_workers": "worker_watch",
    },
)
