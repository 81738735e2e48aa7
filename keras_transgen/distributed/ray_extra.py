"""Ray, an extra of the package."""

from __future__ import annotations

import importlib
from types import ModuleType


def ray_module(name: str = "ray") -> ModuleType:
    """Import a module of Ray or what comes with it, or say how to install it.

    Args:
        name: `"ray"`, `"ray.data"`, `"pyarrow.parquet"`, ...

    Raises:
        ImportError: If it is not installed.
    """
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        raise ImportError(
            "Expected Ray, for work on several machines. Install the extra 'ray': "
            f"pip install 'keras-transgen[ray]'. Received: {error}"
        ) from error
