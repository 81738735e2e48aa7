"""Work on several machines, on engines that exist: TensorFlow's clusters, Ray Train, Ray Data.

A room of its own, because the training core below it must not know who launches it, and reading,
extracting and sampling on a cluster need backbones, which are above the core. Every model of the
package trains here as it does on one machine: nothing but the strategy changes.
"""

from keras_transgen.distributed.cluster import wait_for_workers, worker_strategy
from keras_transgen.distributed.feature_extraction import extract_with_ray, read_features
from keras_transgen.distributed.ray_training import RayCheckpoint, ray_trainer
from keras_transgen.distributed.sampling import read_samples, sample_with_ray
from keras_transgen.distributed.shared_backup import SharedBackup

__all__ = [
    "RayCheckpoint",
    "SharedBackup",
    "extract_with_ray",
    "ray_trainer",
    "read_features",
    "read_samples",
    "sample_with_ray",
    "wait_for_workers",
    "worker_strategy",
]
