"""Pictures of what a generative model makes, epoch by epoch, from the same noise."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from keras_transgen.callbacks.asked_conditions import refuse_no_condition, wants_conditions
from keras_transgen.callbacks.collapse_warning import integer_classes
from keras_transgen.callbacks.epoch_pictures import EpochPictures
from keras_transgen.plotting.sample_grid import plot_sample_grid

if TYPE_CHECKING:
    from matplotlib.figure import Figure


class SampleGrid(EpochPictures):
    """Draws a grid of samples after an epoch; every grid from the same noise.

    For any model with `sample(count_or_condition, seed=)` that makes images.

    Args:
        folder: Where `epoch_0001.png`, ... go; `None` for no files.
        count: Samples in the grid; of a model of classes about as many, each class in its row.
        condition: Conditions to sample for instead. Integer classes get a row each.
        every: Epochs from one grid to the next; the first epoch always has one.
        seed: Of the noise.
        log_dir: Where TensorBoard looks; `None` for no TensorBoard images.
        class_names: Names of the rows, for integer conditions. Defaults to those of the model.
        root: Folder that the files must stay in; a link between it and `folder` is refused.
            Defaults to `folder`.
        sample_arguments: Further arguments of the model's `sample`, such as `{"guidance": 3.0}` of
            a flow.

    Raises:
        ValueError: If there is neither a folder nor a `log_dir`, or `every` is not positive; when
            training begins, if the model does not make images, or makes them for conditions that
            are no classes and there is no `condition`.

    Example:
        ```python
        import numpy as np
        import tempfile
        import keras_transgen as ktg

        images, labels = ktg.datasets.load_digits()
        cgan = ktg.ConditionalGAN(10, (8, 8, 1), filters=4, value_range=(0.0, 1.0))
        grid = ktg.callbacks.SampleGrid(
            tempfile.mkdtemp(), condition=np.repeat(np.arange(10), 8)
        )
        cgan.fit(images, labels, batch_size=256, verbose=0, callbacks=[grid])
        ```
    """

    def __init__(
        self,
        folder: str | Path | None = "samples",
        count: int = 64,
        condition: Any = None,
        every: int = 1,
        seed: int = 0,
        log_dir: str | Path | None = None,
        class_names: Sequence[str] | None = None,
        root: str | Path | None = None,
        sample_arguments: dict[str, Any] | None = None,
    ) -> None:
        super().__init__(folder, every, log_dir, root)
        self.sample_arguments = dict(sample_arguments or {})
        self.count = count
        self.condition = condition
        self.seed = seed
        self.class_names = class_names

    def on_train_begin(self, logs: dict | None = None) -> None:
        # Of a flow in latents these are the latents', which are maps, too.
        shape = getattr(self.model, "example_shape", (1, 1, 1))
        if len(shape) != 3:
            raise ValueError(
                "SampleGrid draws images (height, width, channels); look at samples of vectors and "
                f"sequences by a callback of your own. Received: a {type(self.model).__name__} of "
                f"examples of shape {tuple(shape)}"
            )
        refuse_no_condition(self.model, self, self._asked(), "a list of a few of them")

    def _asked(self) -> Any:
        """The condition, or of a model of classes each of them."""
        classes = getattr(self.model, "num_classes", None)
        if self.condition is not None or classes is None or not wants_conditions(self.model):
            return self.condition
        return np.repeat(np.arange(classes), max(1, self.count // classes))

    def images(self) -> np.ndarray:
        condition = self._asked()
        what = self.count if condition is None else condition
        return np.asarray(self.model.sample(what, seed=self.seed, **self.sample_arguments))

    def figure(self, images: np.ndarray, value_range: tuple[float, float], title: str) -> Figure:
        labels = integer_classes(self._asked())
        names = self.class_names
        if names is None:
            names = getattr(self.model, "class_names", None)
        return plot_sample_grid(
            images,
            labels=labels,
            class_names=None if labels is None else names,
            value_range=value_range,
            title=title,
        )
