"""The one training core: XLA inside the replica, replicas, workers, seeds, precision, resume.

Names that need TensorFlow are imported when they are first used, so that a figure is drawn and
saved without it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from keras_transgen.datasets.whole_file import write_whole, write_whole_json, write_whole_text
from keras_transgen.public_names import lazy_names

if TYPE_CHECKING:
    from keras_transgen.training.gradients import apply_gradients as apply_gradients
    from keras_transgen.training.gradients import gradients_of as gradients_of
    from keras_transgen.training.gradients import loss_weight as loss_weight
    from keras_transgen.training.nan_guard import NaNGuard as NaNGuard
    from keras_transgen.training.nan_guard import NonFiniteLossError as NonFiniteLossError
    from keras_transgen.training.trainer import TrainerModel as TrainerModel

__all__, __getattr__, __dir__ = lazy_names(
    __name__,
    {
        "NaNGuard": "nan_guard",
        "NonFiniteLossError": "nan_guard",
        "TrainerModel": "trainer",
        "apply_gradients": "gradients",
        "gradients_of": "gradients",
        "loss_weight": "gradients",
    },
)
__all__ += ["write_whole", "write_whole_json", "write_whole_text"]
