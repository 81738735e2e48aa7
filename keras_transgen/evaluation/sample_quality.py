"""All sample metrics of this room at once, over streams of images, on any backbone."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from keras_transgen.evaluation.distances import (
    frechet_distance_from_statistics,
    kernel_distance_with_error,
    warn_if_singular,
)
from keras_transgen.evaluation.feature_extractor import FeatureExtractor
from keras_transgen.evaluation.feature_stream import (
    FeatureStream,
    FeatureSummary,
    load_summary,
    save_summary,
)
from keras_transgen.evaluation.precision_recall import density_coverage, precision_recall

_COUNTS = ("real_count", "generated_count", "real_kept", "generated_kept", "neighbours")


@dataclass(frozen=True)
class SampleQualityResult:
    """Metrics of samples against real images, with all that is needed to read them.

    Attributes:
        extractor: Name of the network whose features were compared.
        real_count: Real images seen.
        generated_count: Generated images seen.
        real_kept: Real images that kernel distance and neighbour metrics were taken on.
        generated_kept: Generated images that these were taken on.
        neighbours: k of the neighbour metrics.
        frechet_distance: Over all images; 0 is best.
        kernel_distance: Around 0 for equal distributions.
        kernel_distance_deviation: Its standard deviation over subsets; NaN for one subset.
        precision: 0 to 1, 1 is best.
        recall: 0 to 1, 1 is best.
        density: About 1 for equal distributions.
        coverage: 0 to 1, 1 is best.
    """

    extractor: str
    real_count: int
    generated_count: int
    real_kept: int
    generated_kept: int
    neighbours: int
    frechet_distance: float
    kernel_distance: float
    kernel_distance_deviation: float
    precision: float
    recall: float
    density: float
    coverage: float

    def metrics(self) -> dict[str, float]:
        """The metrics by full name, such as `"frechet_distance[digits]"`, and the counts."""
        values = asdict(self)
        values.pop("extractor")
        return {
            name if name in _COUNTS else f"{name}[{self.extractor}]": value
            for name, value in values.items()
        }


class SampleQuality:
    """Compares generated with real images on the features of any backbone, streaming.

    Mean and covariance are taken over all images in float64, and are the same for every batch
    size. Kernel distance and the neighbour metrics need the features themselves: they use all
    images up to `keep` of each kind, and a uniform sample of `keep` beyond.

    Numbers of different extractors cannot be compared, so the extractor's name is part of each
    metric's name. Nor can numbers taken with different counts, so these are in the result.

    Args:
        backbone: A backbone or its name, a Keras layer or model, or any callable from images to
            `[batch, features]`.
        name: What the metrics are named after; defaults to the backbone's name.
        value_range: `(low, high)` of float images handed in; integer images are 0 to 255, `uint16`
            ones 0 to 65535.
            Defaults to `(0.0, 1.0)`.
        image_size: Height and width the backbone takes; images of other sizes are resized.
            Defaults to what the backbone says.
        backbone_range: `(low, high)` the backbone takes. Defaults to what it says, else to
            `(0.0, 1.0)`, with a warning for a trained Keras network; see `FeatureExtractor`.
        batch_size: Images per call of the backbone, at most. Defaults to 64.
        keep: Features of each kind to keep. Defaults to 10,000.
        seed: Of the kept features and the subsets. Defaults to 0.

    Raises:
        ValueError: If the backbone cannot be called or has no name, or an argument is out of
            range.

    Example:
        ```python
        import keras
        from keras_transgen.datasets import load_digits
        from keras_transgen.evaluation import SampleQuality

        images, _ = load_digits()
        quality = SampleQuality(keras.layers.Flatten(name="pixels"))
        quality.update_real(images[:900])
        quality.update_generated(images[900:])
        print(quality.result().metrics()["precision[pixels]"])
        ```
    """

    def __init__(
        self,
        backbone: Callable[..., Any],
        name: str | None = None,
        *,
        value_range: tuple[float, float] = (0.0, 1.0),
        image_size: int | tuple[int, int] | None = None,
        backbone_range: tuple[float, float] | None = None,
        batch_size: int = 64,
        keep: int = 10_000,
        seed: int = 0,
    ) -> None:
        if keep < 2:
            raise ValueError(f"Expected keep of at least 2. Received: keep={keep}")
        self._extractor = FeatureExtractor(
            backbone,
            name,
            image_size=image_size,
            backbone_range=backbone_range,
            batch_size=batch_size,
        )
        self._value_range = value_range
        self._keep = keep
        self._seed = seed
        self._reference: FeatureSummary | None = None
        self.reset_real()
        self.reset_generated()

    @property
    def extractor(self) -> str:
        """Name of the extractor."""
        return self._extractor.name

    @property
    def real_count(self) -> int:
        """Real images seen."""
        return self._real.count if self._reference is None else self._reference.count

    @property
    def generated_count(self) -> int:
        """Generated images seen."""
        return self._generated.count

    def update_real(self, images: Any, value_range: tuple[float, float] | None = None) -> None:
        """Add real images.

        Args:
            images: Array or tensor `[count, height, width, channels]`, a `tf.data.Dataset` or a
                `keras.utils.PyDataset`; of `(images, labels)` the images are taken.
            value_range: Of these images, if another than the constructor's.

        Raises:
            ValueError: If they are no images, the data set has no end, features are not finite, or
                a reference was loaded (`reset_real` forgets it).
        """
        if self._reference is not None:
            raise ValueError(
                "Expected no more real images after load_reference; call reset_real() to start "
                f"anew. Received: a reference of {self._reference.count} images is loaded"
            )
        for features in self._extractor.batches(images, value_range or self._value_range):
            self._real.update(features)

    def update_generated(self, images: Any, value_range: tuple[float, float] | None = None) -> None:
        """Add generated images.

        Args:
            images: As for `update_real`.
            value_range: Of these images, if another than the constructor's.

        Raises:
            ValueError: As `update_real`.
        """
        for features in self._extractor.batches(images, value_range or self._value_range):
            self._generated.update(features)

    def reset_real(self) -> None:
        """Forget the real images, or the loaded reference."""
        self._reference = None
        self._real = FeatureStream(self._keep, self._seed)

    def reset_generated(self) -> None:
        """Forget the generated images, as between two epochs."""
        self._generated = FeatureStream(self._keep, self._seed + 1)

    def result(
        self, k: int = 5, *, subset_size: int = 1000, subsets: int = 100
    ) -> SampleQualityResult:
        """All metrics of the images seen so far; more may be added after.

        Args:
            k: Neighbours of precision, recall, density and coverage. Defaults to 5.
            subset_size: Of the kernel distance. Defaults to 1000.
            subsets: Of the kernel distance. Defaults to 100.

        Returns:
            A `SampleQualityResult`.

        Raises:
            ValueError: If there are fewer real or generated images than the metrics need.
        """
        need = max(2, k + 1)
        for count, kind in ((self.real_count, "real"), (self.generated_count, "generated")):
            if count < need:
                raise ValueError(
                    f"Expected at least {need} {kind} images for k={k}; add them by "
                    f"update_{kind}. Received: {count}"
                )
        real, generated = self._real_summary(), self._generated.summary()
        for summary, kind in ((real, "The real set"), (generated, "The generated set")):
            warn_if_singular(summary.count, len(summary.mean), kind)
        kernel = kernel_distance_with_error(
            real.features,
            generated.features,
            subset_size=subset_size,
            subsets=subsets,
            seed=self._seed,
        )
        precision, recall = precision_recall(real.features, generated.features, k)
        density, coverage = density_coverage(real.features, generated.features, k)
        return SampleQualityResult(
            extractor=self.extractor,
            real_count=real.count,
            generated_count=generated.count,
            real_kept=len(real.features),
            generated_kept=len(generated.features),
            neighbours=k,
            frechet_distance=frechet_distance_from_statistics(
                real.mean, real.covariance, generated.mean, generated.covariance
            ),
            kernel_distance=kernel.mean,
            kernel_distance_deviation=kernel.standard_deviation,
            precision=precision,
            recall=recall,
            density=density,
            coverage=coverage,
        )

    def save_reference(self, path: str | Path) -> None:
        """Write what is known of the real images, to be loaded instead of seeing them again.

        Args:
            path: An `.npz` file; it appears whole or not at all.

        Raises:
            ValueError: If fewer than 2 real images were seen.
        """
        save_summary(path, self._real_summary(), self.extractor, self._extractor.digest())

    def load_reference(self, path: str | Path) -> None:
        """Take what `save_reference` wrote in place of real images.

        Args:
            path: The file.

        Raises:
            FileNotFoundError: If there is no such file.
            ValueError: If it is no reference, is broken, or comes from another extractor.
        """
        reference = load_summary(path, self.extractor, self._extractor.digest())
        self.reset_real()
        self._reference = reference

    def _real_summary(self) -> FeatureSummary:
        return self._real.summary() if self._reference is None else self._reference
