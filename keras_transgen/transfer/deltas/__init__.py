"""Deltas: small changes to a frozen backbone that can be trained, switched, merged and saved."""

from __future__ import annotations

import importlib
import pkgutil

from keras_transgen.transfer.deltas.adapter import Adapter, BottleneckAdapter
from keras_transgen.transfer.deltas.copy import CopiedParameter, Copy, CopyReport, copy_parameters
from keras_transgen.transfer.deltas.delta import DELTAS, Delta, register_delta
from keras_transgen.transfer.deltas.delta_file import SavedDelta, read_delta, write_delta
from keras_transgen.transfer.deltas.delta_set import DeltaSet
from keras_transgen.transfer.deltas.ia3 import IA3
from keras_transgen.transfer.deltas.lora import LoRA
from keras_transgen.transfer.deltas.parameter_delta import ParameterDelta
from keras_transgen.transfer.deltas.reinitialize import Reinitialize
from keras_transgen.transfer.deltas.selection import Bias, Last, Normalization

__all__ = [
    "DELTAS",
    "IA3",
    "Adapter",
    "Bias",
    "BottleneckAdapter",
    "CopiedParameter",
    "Copy",
    "CopyReport",
    "Delta",
    "DeltaSet",
    "Last",
    "LoRA",
    "Normalization",
    "ParameterDelta",
    "Reinitialize",
    "SavedDelta",
    "copy_parameters",
    "read_delta",
    "register_delta",
    "write_delta",
]

# A method is known once its file is imported, and a file of this folder is all it takes.
for _file in pkgutil.iter_modules(__path__):
    importlib.import_module(f"{__name__}.{_file.name}")
