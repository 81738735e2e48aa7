"""A variational autoencoder of a backbone's features, which samples by class too."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import tensorflow as tf

from keras_transgen.datasets.as_arrays import takes_any_data
from keras_transgen.fusion.class_labels import checked_classes
from keras_transgen.fusion.feature_scale import (
    StandardisedFeatures,
    checked_feature_dim,
)
from keras_transgen.fusion.latent_classes import (
    LatentClasses,
    check_unlabelled_weight,
    classes_of_all,
    classes_of_labelled,
)
from keras_transgen.generative import VAE
from keras_transgen.generative.generative_model import sampling_seed
from keras_transgen.generative.serving import SEED, stateless_seed
from keras_transgen.training.entrance import FIT_DATA
from keras_transgen.training.serving import Endpoint


@keras.saving.register_keras_serializable(package="keras_transgen")
class FeatureVAE(StandardisedFeatures, VAE):
    """A `VAE` of feature vectors, by `fit(features)`, and a normal distribution for each class.

    Features are standardised inside the model, by what the first `fit` (or `adapt`) sees;
    reconstructions and samples come in the features' own scale, likelihoods of `decode` are of
    standardised ones.

    With `num_classes`, `fit_classes(features, labels)` (or labels in `fit`) describes each class
    by a normal distribution of latent vectors: its mean, and a covariance that all classes share,
    of the posteriors' means within the classes plus the posteriors' own variance. `sample(labels)`
    draws from it. So the model itself may train on many features without labels, and the classes
    on a few with them, or on both: `fit_classes(features, labels, unlabelled)`.

    Args:
        feature_dim: Length of a feature vector.
        num_classes: Number of classes, to sample by class. Defaults to none.
        latent_dim: Number of latent units. Defaults to 16.
        likelihood: As in `VAE`. Defaults to `"gaussian"`.
        **kwargs: Further arguments of `VAE`.

    Raises:
        ValueError: As `VAE`, or if a number is missing or out of range.

    Example:
        ```python
        import numpy as np
        from sklearn.datasets import load_iris
        from keras_transgen.fusion.feature_vae import FeatureVAE

        features, labels = load_iris(return_X_y=True)
        vae = FeatureVAE(4, num_classes=3, latent_dim=2)
        vae.compile(jit_compile=False)  # XLA pays off in longer training.
        vae.fit(features.astype("float32"), labels, epochs=2, verbose=0)
        assert vae.sample(np.arange(3), seed=0).shape == (3, 4)
        ```

    Reference:
        Kingma and Welling, Auto-Encoding Variational Bayes, 2013; Verma et al., Generalized
        Zero-Shot Learning via Synthesized Examples, 2018 (classes sampled in feature space).
    """

    def __init__(
        self,
        feature_dim: int | None = None,
        num_classes: int | None = None,
        latent_dim: int = 16,
        likelihood: Any = "gaussian",
        **kwargs: Any,
    ) -> None:
        size = checked_feature_dim(feature_dim)
        if num_classes is not None and num_classes < 1:
            raise ValueError(f"num_classes must be at least 1. Received: num_classes={num_classes}")
        super().__init__((size,), latent_dim, likelihood, **kwargs)
        # The density of a constant feature is none: it would add as many nats as one likes.
        self.likelihood.counted = self.feature_scale.varying
        self.num_classes = num_classes
        if num_classes is not None:
            self.class_means = self._own_weight("class_means", (num_classes, self.latent_dim))
            # Lower triangular, its product with its transpose is the covariance.
            self.class_factor = self._own_weight("class_factor", (self.latent_dim, self.latent_dim))
            self.class_known = self._own_weight("class_known", (num_classes,))

    def _own_weight(self, name: str, shape: tuple[int, ...]) -> keras.Variable:
        return self.add_weight(
            name=name, shape=shape, initializer="zeros", trainable=False, dtype="float32"
        )

    # Fitting

    @takes_any_data(*FIT_DATA, training=True)
    def fit(self, x: Any = None, y: Any = None, *args: Any, **kwargs: Any) -> Any:
        """Train the model, after `adapt(x)` if there was none; see `VAE.fit`.

        With `num_classes` and labels in an array, `fit_classes(x, y)` follows.
        """
        by_class = self.num_classes is not None and y is not None
        if by_class:
            self._class_labels(x, y)
        history = super().fit(x, y, *args, **kwargs)
        if by_class:
            self.fit_classes(x, y)
        return history

    def fit_classes(
        self,
        features: Any,
        labels: Any,
        unlabelled: Any = None,
        unlabelled_weight: float = 0.1,
    ) -> LatentClasses:
        """Describe the classes by the posteriors of labelled features, and of others if given.

        With `unlabelled` the means of the classes and their covariance follow all rows, by
        expectation maximisation (labelled rows stay in their classes): of a class with a few
        labels the mean is then known better, if the classes lie apart.

        Args:
            features: `[count, feature_dim]`.
            labels: Integers `[count]`; classes that do not occur cannot be sampled.
            unlabelled: Features without labels `[others, feature_dim]`. Defaults to none.
            unlabelled_weight: What an unlabelled row counts beside a labelled one, from 0 up. With
                1 many of them draw the classes to wherever rows lie close; with 0 they tell the
                proportions alone. Defaults to 0.1.

        Returns:
            What was found: means, covariance, and of the unlabelled features the shares of the
            classes (`proportions`) and the `probabilities` of each row.

        Raises:
            ValueError: If the model has no classes, labels are none of them, or the weight is below
                0.

        Reference:
            Kingma, Rezende, Mohamed and Welling, Semi-supervised Learning with Deep Generative
            Models, 2014 (M1: labels come after the latents are learnt); Nigam et al., Text
            Classification from Labeled and Unlabeled Documents using EM, 2000.
        """
        labels = self._class_labels(features, labels)
        check_unlabelled_weight(unlabelled_weight)
        labelled = self._posteriors(features)
        assert self.num_classes is not None
        if unlabelled is None:
            found = classes_of_labelled(*labelled, labels, self.num_classes)
        else:
            others = self._posteriors(unlabelled)
            found = classes_of_all(labelled, labels, others, self.num_classes, unlabelled_weight)
        if not all(np.isfinite(each).all() for each in (found.means, found.probabilities)):
            raise ValueError(
                "Features must be of the size of those that the model was trained on: of some, "
                "which are far larger, it knows no latents. Received: features from "
                f"{np.min(features):.3g} to {np.max(features):.3g}"
                + ("" if unlabelled is None else f", unlabelled up to {np.max(unlabelled):.3g}")
            )
        self.class_means.assign(found.means)
        self.class_factor.assign(np.linalg.cholesky(found.covariance))
        self.class_known.assign(found.known)
        return found

    def _posteriors(self, features: Any) -> tuple[np.ndarray, np.ndarray]:
        """Means and variances of the posteriors of features, float64 `[count, latent_dim]`."""
        posterior = self.encode(features)
        mean, variance = (
            np.asarray(each, "float64") for each in (posterior.mean(), posterior.variance())
        )
        return mean, variance

    def _class_labels(self, features: Any, labels: Any) -> np.ndarray:
        if self.num_classes is None:
            raise ValueError(
                "This model has no classes: make it with FeatureVAE(..., num_classes=...). "
                "Received: num_classes=None"
            )
        labels = checked_classes(features, labels)
        if labels.min() < 0 or labels.max() >= self.num_classes:
            raise ValueError(
                f"Labels must lie between 0 and {self.num_classes - 1}. "
                f"Received: labels from {labels.min()} to {labels.max()}"
            )
        return labels

    # What comes in is standardised, what goes out is not

    def call(self, x: Any, training: bool = False) -> tf.Tensor:
        """Reconstruct features from their posterior means; what `predict` gives."""
        return self.feature_scale.inverse(super().call(x, training))

    def _expected(self, z: tf.Tensor) -> tf.Tensor:
        return self.feature_scale.inverse(super()._expected(z))

    def _drawn(self, z: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
        # The seed of the first thousand of `sample`.
        return self._observed(z, tf.random.experimental.stateless_fold_in(seed, 0))

    def _observed(self, z: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
        drawn = self.likelihood.distribution(self._parameters(z)).sample(seed=seed)
        return self.feature_scale.inverse(drawn)

    @takes_any_data("x")
    def log_likelihood(self, x: Any, *args: Any, **kwargs: Any) -> tf.Tensor:
        """Estimate log p(x) of features in their own scale; see `VAE.log_likelihood`.

        Constant features do not count: they have no density.
        """
        shrinkage = tf.reduce_sum(tf.math.log(self.feature_scale.divisor()))
        return super().log_likelihood(x, *args, **kwargs) - shrinkage

    def sample(
        self,
        count: Any = None,
        seed: int | None = None,
        observation_noise: bool = True,
        *,
        condition: Any = None,
    ) -> tf.Tensor:
        """Draw features: of any kind, or one for each label.

        Args:
            count: How many to draw from the prior, as of a `VAE`; or labels `[count]`, as of a
                `ConditionalGAN`. Defaults to 64, or to one for each label of `condition`.
            seed: Makes the draws reproducible; `None` draws fresh ones.
            observation_noise: Draw from p(x|z) instead of taking its mean, which has too little
                variance for a classifier to learn from. Defaults to `True`.
            condition: The labels, by name.

        Returns:
            Float32 `[count, feature_dim]`.

        Raises:
            ValueError: If labels are no classes that `fit_classes` has seen, or come twice.
        """
        labels = _asked_classes(count, condition)
        if labels is None:
            drawn = super().sample(64 if count is None else count, seed, observation_noise)
            return self.feature_scale.inverse(drawn) if observation_noise else drawn
        labels = self._class_labels(np.asarray(labels), labels)
        unknown = np.unique(labels[np.asarray(self.class_known)[labels] == 0.0])
        if len(unknown):
            raise ValueError(
                "Classes are sampled after fit_classes(features, labels) has seen examples of "
                f"them. Received: the unknown classes {unknown.tolist()}"
            )
        for_latent, for_data = tf.unstack(tf.random.split(sampling_seed(seed), 2))
        z = self._latents_of(labels, for_latent)
        if not observation_noise:
            return self._decoded_mean(z)
        return self.feature_scale.inverse(self.decode(z).sample(seed=for_data))

    def _latents_of(self, labels: Any, seed: tf.Tensor) -> tf.Tensor:
        """A latent vector for each label, in a graph too."""
        noise = tf.random.stateless_normal([tf.size(labels), self.latent_dim], seed)
        means = tf.gather(tf.convert_to_tensor(self.class_means), labels)
        return means + tf.matmul(noise, tf.convert_to_tensor(self.class_factor), transpose_b=True)

    # Saving and serving

    def serving_endpoints(self, input_signature: Any = None) -> dict[str, Endpoint]:
        """Those of a `VAE` and, with classes, `sample_classes(condition, seed)`.

        A seed gives the samples that `sample(labels, seed)` gives. Labels that `fit_classes` had
        not seen end in TensorFlow's `InvalidArgumentError`.
        """
        endpoints = super().serving_endpoints(input_signature)
        if self.num_classes is None:
            return endpoints

        def sample_classes(condition: tf.Tensor, seed: tf.Tensor) -> dict[str, tf.Tensor]:
            known = tf.gather(tf.convert_to_tensor(self.class_known), condition)
            seen = tf.debugging.assert_positive(known, message="A label is no class of the model.")
            for_latent, for_data = tf.unstack(tf.random.split(stateless_seed(seed), 2))
            with tf.control_dependencies([seen]):
                z = self._latents_of(condition, for_latent)
            return {"samples": self._observed(z, for_data)}

        signature = (tf.TensorSpec([None], tf.int32, "condition"), SEED)
        return {**endpoints, "sample_classes": Endpoint(sample_classes, signature, (), True)}

    def get_config(self) -> dict[str, Any]:
        config = super().get_config()
        del config["input_shape"]
        return {**config, "feature_dim": self.example_shape[0], "num_classes": self.num_classes}


def _asked_classes(count: Any, condition: Any) -> Any:
    """The labels among the arguments of `sample`; `None` where a number is asked for."""
    if condition is None:
        return None if count is None or np.ndim(count) == 0 else count
    if count is not None and (np.ndim(count) or count != len(condition)):
        raise ValueError(
            "There is one sample a label; leave count out. Received: "
            f"count={count} and condition with {len(condition)} labels"
        )
    return condition
