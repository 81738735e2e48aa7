"""Work on several devices and machines, on engines that exist: TensorFlow's strategies, Ray.

A room of its own, because the training core below it must not know who launches it, and reading,
extracting and sampling on a cluster need backbones, which are above the core. Every model of the
package trains here as it does on one machine: nothing but the strategy changes.
"""

from __future__ import annotations

from keras_transgen.public_names import lazy_names

__all__, __getattr__, __dir__ = lazy_names(
    __name__,
    {
        "mirrored_strategy": "local_strategy",
        "wait_for_workers": "cluster",
        "worker_strategy": "cluster",
        "extract_with_ray": "ray_extraction",
        "read_features": "ray_extraction",
        "RayCheckpoint": "ray_training",
        "ray_trainer": "ray_training",
        "read_samples": "ray_sampling",
        "sample_with_ray": "ray_sampling",
        "SharedBackup": "shared_backup",
    },
)
