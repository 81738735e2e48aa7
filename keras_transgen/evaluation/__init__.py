"""Metrics of generated data and of found boxes.

Importing this room imports neither TensorFlow nor scikit-learn.
"""

from keras_transgen.evaluation.accuracy_scores import (
    classification_accuracy_score,
    conditional_accuracy,
    judged_accuracy,
)
from keras_transgen.evaluation.active_units import active_units
from keras_transgen.evaluation.distances import (
    KernelDistance,
    frechet_distance,
    frechet_distance_from_statistics,
    kernel_distance,
    kernel_distance_with_error,
)
from keras_transgen.evaluation.feature_extractor import FeatureExtractor
from keras_transgen.evaluation.integrated_gradients import integrated_gradients
from keras_transgen.evaluation.mean_average_precision import (
    MeanAveragePrecision,
    mean_average_precision,
)
from keras_transgen.evaluation.precision_recall import (
    DensityCoverage,
    PrecisionRecall,
    density_coverage,
    precision_recall,
)
from keras_transgen.evaluation.sample_quality import SampleQuality, SampleQualityResult
from keras_transgen.evaluation.streaming_statistics import StreamingStatistics

__all__ = [
    "DensityCoverage",
    "FeatureExtractor",
    "KernelDistance",
    "MeanAveragePrecision",
    "PrecisionRecall",
    "SampleQuality",
    "SampleQualityResult",
    "StreamingStatistics",
    "active_units",
    "classification_accuracy_score",
    "conditional_accuracy",
    "density_coverage",
    "frechet_distance",
    "frechet_distance_from_statistics",
    "integrated_gradients",
    "judged_accuracy",
    "kernel_distance",
    "kernel_distance_with_error",
    "mean_average_precision",
    "precision_recall",
]
