"""Names that moved or went: old imports go on, or say what to use.

A module that moved is found under its old name, with a warning, until version 0.3. What was removed
raises an error that names what does its work now.
"""

from __future__ import annotations

import importlib
import importlib.abc
import importlib.machinery
import importlib.util
import re
import sys
import types
import warnings
from collections.abc import Sequence
from typing import Any

_ROOT = "keras_transgen."
_IMPORTING = re.compile(r"^<frozen importlib|importlib.__init__\.py$|public_names\.py$")

# Old place of a module, below the package: its new one.
MOVED: dict[str, str] = {
    "backbones.audit.ordering": "backbones.audit.calls",
    "backbones.digits": "backbones.digits_network",
    "backbones.file_lock": "datasets.file_lock",
    "backbones.feature_scales": "backbones.layer_scales",
    "backbones.kept_modules": "backbones.load_model",
    "backbones.module_cache": "backbones.fetched_modules",
    "backbones.module_function": "backbones.saved_model_function",
    "backbones.module_packing": "backbones.saved_model_packing",
    "backbones.module_taps": "backbones.saved_model_taps",
    "cli.tune_search": "cli.tune",
    "datasets.few_shot": "datasets.by_class",
    "datasets.image_size": "datasets.image_file",
    "datasets.stratified_split": "datasets.by_class",
    "distributed.actors": "distributed.ray_extra",
    "distributed.feature_extraction": "distributed.ray_extraction",
    "distributed.sampling": "distributed.ray_sampling",
    "fusion.enlarging": "fusion.decoding_by_scale",
    "fusion.multi_scale_features": "backbones.multi_scale_features",
    "generative.adversarial_losses": "generative.adversarial.losses",
    "generative.adversarial_model": "generative.adversarial.adversarial_model",
    "generative.adversarial_networks": "generative.adversarial.player_networks",
    "generative.adversarial_noise": "generative.adversarial.step_noise",
    "generative.adversarial_steps": "generative.adversarial.steps",
    "generative.augmentation": "generative.adversarial.augmentation",
    "generative.condition_checks": "generative.adversarial.condition_checks",
    "generative.conditional_gan": "generative.adversarial.conditional_gan",
    "generative.gan": "generative.adversarial.gan",
    "generative.gradient_penalties": "generative.adversarial.gradient_penalties",
    "generative.players_optimizers": "generative.adversarial.optimizers",
    "sequences.serving": "sequences.endpoint_inputs",
    "training.absent_replica": "training.moving_statistics",
    "training.epoch_shuffle": "training.batches",
    "training.fit_data": "training.batches",
    "training.iterator_end": "training.batches",
    "training.whole_file": "datasets.whole_file",
    "training.worker_statistics": "training.moving_statistics",
    "transfer.data_checks": "transfer.training_data",
    "transfer.feature": "transfer.feature_transfer",
    "transfer.feature_batches": "transfer.cached_features",
    "transfer.few_shot": "transfer.few_shot_comparison",
    "transfer.parameter": "transfer.parameter_transfer",
    "transfer.serving": "transfer.endpoints",
    "transfer.structure": "transfer.structure_transfer",
    "transfer.subspace": "transfer",
    "transfer.subspace.domain_adaptation": "transfer.domain_adaptation",
    "transfer.subspace.maximum_mean_discrepancy": "transfer.maximum_mean_discrepancy",
    "tuning.shared_features": "tuning.trial_features",
}

# What is gone, a module or a name in one: what to use.
_RECIPE = "it gained nothing where it was measured; docs/recipes.md has it in a few lines"
REMOVED: dict[str, str] = {
    "generative.one_stage": "GAN(step='shared'), the default, needs less time to the same samples",
    "cli.tune_report": "cli.tune prints the table of a search",
    "evaluation.extractor_identity": "backbones.network_digest says which network it is",
    "cli.translate": "its commands are in cli.translate_train and cli.translate_apply",
    **dict.fromkeys(
        (
            "fusion.GeneratedData",
            "fusion.fit_with_generated_data",
            "fusion.generated_data",
            "fusion.latent_backbone",
            "fusion.mixing_weight",
            "fusion.semi_supervised",
            "fusion.semi_supervised_transfer",
            # Found below transfer by those who look below transfer.subspace.
            "transfer.CORAL",
            "transfer.DomainTransformer",
            "transfer.SubspaceAlignment",
            "transfer.TransferComponentAnalysis",
            "transfer.subspace.coral",
            "transfer.subspace.domain_transformer",
            "transfer.subspace.subspace_alignment",
            "transfer.subspace.transfer_components",
        ),
        _RECIPE,
    ),
}


class _Room(types.ModuleType):
    """A package whose public function keeps its name where a module that moved had the same one."""

    def __setattr__(self, name: str, value: Any) -> None:
        # The import system sets each module that it loads in its package.
        if not (isinstance(value, types.ModuleType) and callable(self.__dict__.get(name))):
            super().__setattr__(name, value)


class _MovedModules(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Asked first: a file below a package that moved must not be found as a second module."""

    def find_spec(
        self, name: str, path: Sequence[str] | None, target: types.ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        if not name.startswith(_ROOT):
            return None
        if name.removeprefix(_ROOT) in REMOVED:
            # Not ModuleNotFoundError, which `from room import name` swallows.
            raise ImportError(removal(name), name=name)
        if name.removeprefix(_ROOT) in MOVED:
            return importlib.util.spec_from_loader(name, self)
        parent = name.rpartition(".")[0]
        if parent.removeprefix(_ROOT) in MOVED:
            # Its files would be found there, as second modules.
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
        return None

    def exec_module(self, module: types.ModuleType) -> None:
        new = _ROOT + MOVED[module.__name__.removeprefix(_ROOT)]
        file, line = _who_asks()
        warnings.warn_explicit(
            f"{module.__name__} is {new} now; the old name goes with version 0.3",
            FutureWarning,
            file,
            line,
        )
        sys.modules[module.__name__.rpartition(".")[0]].__class__ = _Room
        # The import system takes what stands here: one module under two names.
        sys.modules[module.__name__] = importlib.import_module(new)


def _who_asks() -> tuple[str, int]:
    """The line outside of the import system and of the rooms' `__getattr__` that imports."""
    frame = sys._getframe(2)
    while frame.f_back is not None and _IMPORTING.search(frame.f_code.co_filename):
        frame = frame.f_back
    return frame.f_code.co_filename, frame.f_lineno


def find_moved_modules() -> None:
    """Let old names of modules be imported; once a process."""
    if not any(isinstance(finder, _MovedModules) for finder in sys.meta_path):
        sys.meta_path.insert(0, _MovedModules())


def removal(name: str) -> str:
    """What an import of a removed name says.

    Args:
        name: The whole name, a key of `REMOVED` below the package.
    """
    return f"{name} was removed: {REMOVED[name.removeprefix(_ROOT)]}"
