"""Transfer between domains with the same classes: features, or their training, made alike.

The transformers work on arrays and need neither Keras nor TensorFlow; the training penalty does.
"""

from __future__ import annotations

import importlib
from typing import Any

_HOMES = {
    "DomainTransformer": "domain_transformer",
    "SubspaceAlignment": "subspace_alignment",
    "CORAL": "coral",
    "TransferComponentAnalysis": "transfer_components",
    "MaximumMeanDiscrepancy": "maximum_mean_discrepancy",
    "DomainAdaptation": "domain_adaptation",
}

__all__ = list(_HOMES)


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
