"""A conditional GAN of a backbone's features instead of pixels."""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf

from keras_transgen.fusion.feature_scale import FeatureScale
from keras_transgen.generative import ConditionalGAN


@keras.saving.register_keras_serializable(package="keras_transgen")
class FeatureGAN(ConditionalGAN):
    """A `ConditionalGAN` of feature vectors, by `fit(features, labels)`.

    A step takes milliseconds, since the backbone has run before, and a linear classifier trains on
    what `sample(labels)` gives. Features are standardised inside the model, by what the first
    `fit` (or `adapt`) sees; samples come in the features' own scale.

    Args:
        num_classes: As in `ConditionalGAN`.
        feature_dim: Length of a feature vector.
        **kwargs: Further arguments of `ConditionalGAN` (of which `image_shape` is not one).

    Raises:
        ValueError: As `ConditionalGAN`, or without `feature_dim`.

    Example:
        ```python
        import numpy as np
        from sklearn.datasets import load_iris
        from keras_transgen.fusion.feature_gan import FeatureGAN

        features, labels = load_iris(return_X_y=True)
        gan = FeatureGAN(num_classes=3, feature_dim=4, latent_dim=8, filters=8)
        gan.compile(jit_compile=False)  # XLA pays off in longer training.
        gan.fit(features.astype("float32"), labels, epochs=2, verbose=0)
        assert gan.sample(np.arange(3), seed=0).shape == (3, 4)
        ```

    Reference:
        Xian et al., Feature Generating Networks for Zero-Shot Learning, 2018.
    """

    def __init__(
        self, num_classes: int | None = None, feature_dim: int | None = None, **kwargs: Any
    ) -> None:
        size = checked_feature_dim(feature_dim)
        super().__init__(num_classes, (size,), **{"value_range": None, **kwargs})
        self.feature_scale = FeatureScale(size, name="feature_scale")

    def adapt(self, features: Any) -> None:
        """Take the scale of features; see `FeatureScale.adapt`.

        Args:
            features: As for `fit`.
        """
        with self.distribute_strategy.scope():
            self.feature_scale.adapt(features)

    def fit(self, x: Any = None, y: Any = None, *args: Any, **kwargs: Any) -> Any:
        """Train the model, after `adapt(x)` if there was none; see `GAN.fit`."""
        if not self.feature_scale.adapted:
            refuse_one_time_data(x)
            if not isinstance(x, tf.data.Dataset):
                self.check_examples(x)
            self.adapt(x)
        return super().fit(x, y, *args, **kwargs)

    def scaled(self, x: Any) -> tf.Tensor:
        """Standardised features, float32."""
        return self.feature_scale(super().scaled(x))

    def _by_average(self, latent: tf.Tensor, condition: Any) -> tf.Tensor:
        return self.feature_scale.inverse(super()._by_average(latent, condition))

    def get_config(self) -> dict[str, Any]:
        config = super().get_config()
        del config["image_shape"]
        return {**config, "feature_dim": self.example_shape[0]}


def checked_feature_dim(feature_dim: Any) -> int:
    """The length of a feature vector, or a `ValueError`.

    Args:
        feature_dim: What the user gave.
    """
    if isinstance(feature_dim, bool) or not isinstance(feature_dim, int) or feature_dim < 1:
        raise ValueError(
            "feature_dim must be given, the length of a feature vector. "
            f"Received: feature_dim={feature_dim!r}"
        )
    return feature_dim


def refuse_one_time_data(x: Any) -> None:
    """Refuse data that one look at the scale would use up, or that have no end.

    Args:
        x: The first argument of `fit`.
    """
    endless = isinstance(x, tf.data.Dataset) and x.cardinality() == tf.data.INFINITE_CARDINALITY
    if endless or not (hasattr(x, "shape") or isinstance(x, tf.data.Dataset)):
        raise ValueError(
            "The scale of the features is taken before training, from an array or a "
            "tf.data.Dataset that ends. For other data call adapt(features) first, with an array "
            "of some. "
            f"Received: x of type {type(x).__name__}{' without an end' if endless else ''}"
        )
