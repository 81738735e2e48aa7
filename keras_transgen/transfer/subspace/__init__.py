"""Transfer between domains with the same classes: features, or their training, made alike.

The transformers work on arrays and need neither Keras nor TensorFlow; the training penalty does.
"""

from __future__ import annotations

from keras_transgen.public_names import lazy_names

__all__, __getattr__, __dir__ = lazy_names(
    __name__,
    {
        "CORAL": "coral",
        "DomainAdaptation": "domain_adaptation",
        "DomainTransformer": "domain_transformer",
        "MaximumMeanDiscrepancy": "maximum_mean_discrepancy",
        "SubspaceAlignment": "subspace_alignment",
        "TransferComponentAnalysis": "transfer_components",
    },
)
