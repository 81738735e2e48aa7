"""A conditional GAN of a backbone's features instead of pixels."""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf

from keras_transgen.fusion.feature_scale import (
    StandardisedFeatures,
    checked_feature_dim,
)
from keras_transgen.generative import ConditionalGAN


@keras.saving.register_keras_serializable(package="keras_transgen")
class FeatureGAN(StandardisedFeatures, ConditionalGAN):
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
        super().__init__(
            num_classes, (checked_feature_dim(feature_dim),), **{"value_range": None, **kwargs}
        )

    def _by_average(self, latent: tf.Tensor, condition: Any) -> tf.Tensor:
        return self.feature_scale.inverse(super()._by_average(latent, condition))

    def averaged_generator(self) -> keras.Model:
        """As of a `ConditionalGAN`, to features in their own scale."""
        standard = super().averaged_generator()
        own_scale = keras.layers.Rescaling(
            keras.ops.convert_to_numpy(self.feature_scale.deviation),
            keras.ops.convert_to_numpy(self.feature_scale.mean),
            dtype="float32",
        )
        features = own_scale(standard.output)
        return keras.Model(standard.inputs, features, name="averaged_generator")

    def get_config(self) -> dict[str, Any]:
        config = super().get_config()
        del config["example_shape"]
        return {**config, "feature_dim": self.example_shape[0]}
