"""Accuracy from few labels without and with generated data: what both benchmarks of it share."""

import argparse
import warnings
from collections.abc import Mapping

import keras
import numpy as np
import scipy.stats
from report import publish
from threadpoolctl import threadpool_limits

import keras_transgen as ktg
from keras_transgen.fusion.generated_data import GeneratedData
from keras_transgen.fusion.mixing_weight import fit_with_generated_data


def gain_arguments(description: str | None) -> argparse.ArgumentParser:
    arguments = argparse.ArgumentParser(description=description)
    arguments.add_argument("--shots", nargs="+", type=int, default=[5, 10])
    arguments.add_argument("--seeds", type=int, default=10)
    arguments.add_argument("--weights", nargs="+", type=float, default=[0.3, 0.7])
    arguments.add_argument("--folds", type=int, default=3)
    arguments.add_argument("--per-class", type=int, default=50, help="samples to keep")
    arguments.add_argument("--dry", action="store_true", help="print, do not publish")
    return arguments


def linear_model(size: int, num_classes: int) -> ktg.FeatureTransfer:
    """Feature transfer whose backbone has run already."""
    inputs = keras.Input((size,))
    identity = keras.Model(inputs, keras.layers.Identity()(inputs))
    return ktg.FeatureTransfer(ktg.KerasBackbone(identity, name="features"), num_classes)


def compared(
    data: GeneratedData, few: tuple, test: tuple, num_classes: int, options: argparse.Namespace
) -> dict:
    """Accuracy without and with generated data, from the same few labels."""
    # Thousands of tiny fits: more threads than one wait for each other longer than they compute.
    with threadpool_limits(1, user_api="blas"), warnings.catch_warnings():
        # Classes whose samples are all refused are part of the result.
        warnings.filterwarnings("ignore", message="The classifier confirmed no sample")
        found = fit_with_generated_data(
            lambda: linear_model(few[0].shape[1], num_classes),
            data,
            *few,
            weights=options.weights,
            folds=options.folds,
        )
    accuracies = [
        float((model.classify(test[0], verbose=0) == test[1]).mean())
        for model in (found.without, found.model)
    ]
    accepted = np.mean(list(found.acceptance.values())) if found.acceptance else np.nan
    return {"accuracies": accuracies, "weight": found.weight, "accepted": float(accepted)}


def interval(gains: np.ndarray) -> float:
    """Half of Student's 95 % interval of the mean."""
    if len(gains) < 2:
        return float("nan")
    return float(scipy.stats.t.ppf(0.975, len(gains) - 1) * scipy.stats.sem(gains))


def report_gains(
    claim: str,
    runs: Mapping[tuple[str, int], list[dict]],
    remark: str,
    options: argparse.Namespace,
    script: str,
) -> None:
    """A row for each generator and number of labels; told truly also where there is no gain."""
    rows = [("generator", "labels a class", "without", "with", "gain", "weight", "confirmed")]
    better, worse, undecided = [], [], []
    for (name, shots), found in runs.items():
        without, with_ = np.array([run["accuracies"] for run in found]).T
        gains = with_ - without
        half = interval(gains)
        group = better if gains.mean() > half else worse if gains.mean() < -half else undecided
        group.append(f"{name} at {shots}")
        accepted = [run["accepted"] for run in found if not np.isnan(run["accepted"])]
        rows.append(
            (
                name,
                str(shots),
                f"{without.mean():.4f}",
                f"{with_.mean():.4f}",
                f"{gains.mean():+.4f} ± {half:.4f}",
                f"{np.mean([run['weight'] for run in found]):.2f}",
                f"{np.mean(accepted):.2f}" if accepted else "-",
            )
        )
    verdict = (
        f"{options.seeds} draws, mean gain with its 95 % interval (Student's t, paired by draw); "
        f"weights {options.weights} tried on {options.folds} folds, the one chosen on average. "
        f"Better, interval above zero: {'; '.join(better) or 'nowhere'}. "
        f"Worse, interval below zero: {'; '.join(worse) or 'nowhere'}. "
        f"No difference shown: {'; '.join(undecided) or 'nowhere'}. {remark}"
    )
    if options.dry:
        for row in rows:
            print(" | ".join(row))
        print(verdict)
        return
    publish(
        claim,
        "mean gain over the same linear classifier without, with its interval, told as it is",
        rows,
        verdict,
        script,
    )
