"""Transfer of pretrained networks to new tasks: features, parameters and structure."""

from __future__ import annotations

from keras_transgen.public_names import lazy_names

__all__, __getattr__, __dir__ = lazy_names(
    __name__,
    {
        "class_report": "report_by_class",
        "copy_parameters": "deltas.copy",
        "Detector": "detection.detector",
        "DomainAdaptation": "domain_adaptation",
        "FeatureTransfer": "feature_transfer",
        "few_shot_evaluation": "few_shot_comparison",
        "find_learning_rate": "learning_rate_finder",
        "MaximumMeanDiscrepancy": "maximum_mean_discrepancy",
        "ParameterTransfer": "parameter_transfer",
        "StructureTransfer": "structure_transfer",
        "TransferModel": "transfer_model",
    },
)
