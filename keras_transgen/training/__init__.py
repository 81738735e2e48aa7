"""The one training core: XLA inside the replica, replicas, workers, seeds, precision, resume."""

from keras_transgen.training.gradients import apply_gradients, gradients_of, loss_weight
from keras_transgen.training.nan_guard import NaNGuard, NonFiniteLossError
from keras_transgen.training.trainer import TrainerModel
from keras_transgen.training.whole_file import write_whole

__all__ = [
    "NaNGuard",
    "NonFiniteLossError",
    "TrainerModel",
    "apply_gradients",
    "gradients_of",
    "loss_weight",
    "write_whole",
]
