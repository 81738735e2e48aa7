"""Semi-supervised transfer by a VAE's latent features: Kingma's M1."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np

from keras_transgen.backbones import KerasBackbone
from keras_transgen.generative import VAE
from keras_transgen.transfer import FeatureTransfer


def latent_backbone(vae: VAE) -> KerasBackbone:
    """The mean of a VAE's posterior as a backbone, for any kind of transfer.

    The backbone has copies of the VAE's weights; what either learns later is its own.

    Args:
        vae: A trained VAE, of images or (`FeatureVAE`) of features.

    Returns:
        A backbone from examples in the range that the VAE was trained on (float; divide uint8
        images by 255) to `[batch, latent_dim]`.

    Raises:
        ValueError: If the encoder is no Keras layer that can be copied.

    Example:
        ```python
        import keras_transgen as ktg
        from keras_transgen.fusion.semi_supervised import latent_backbone

        images, labels = ktg.datasets.load_digits()
        vae = ktg.VAE(input_shape=(8, 8, 1), latent_dim=8)
        vae.fit(images, epochs=1, verbose=0)
        model = ktg.FeatureTransfer(latent_backbone(vae), num_classes=10)
        model.fit(images[:50], labels[:50], verbose=0)
        ```

    Reference:
        Kingma, Rezende, Mohamed and Welling, Semi-supervised Learning with Deep Generative
        Models, 2014 (M1).
    """
    scale = getattr(vae, "feature_scale", None)
    inputs = keras.Input(vae.example_shape, name="example")
    x: Any = inputs if scale is None else _copied(scale)(inputs)
    encoder = _copied(vae.encoder)
    x = encoder(x)
    if len(x.shape) > 2:
        x = keras.layers.Flatten()(x)
    mean = _copied(vae.posterior_mean)
    network = keras.Model(inputs, mean(x), name="posterior_mean")
    copies = [(vae.encoder, encoder), (vae.posterior_mean, mean)]
    if scale is not None:
        copies.append((scale, network.layers[1]))
    for old, new in copies:
        new.set_weights(old.get_weights())
    bounded = scale is None and vae.likelihood.bounded
    return KerasBackbone(
        network, value_range=(0.0, 1.0) if bounded else None, name=f"{vae.name}_latent"
    )


def semi_supervised_transfer(
    vae: VAE,
    unlabelled: Any,
    x: Any,
    y: Any,
    num_classes: int,
    *,
    epochs: int = 20,
    batch_size: int = 128,
    verbose: Any = 0,
    **kwargs: Any,
) -> FeatureTransfer:
    """Train a VAE on all examples, and a linear classifier on its latent means of the labelled.

    That is Kingma's M1 with a softmax regression, whose penalty is chosen by cross-validation. For
    the same on a pretrained backbone's features, hand in a `FeatureVAE` and features.

    Args:
        vae: A VAE for the examples. It is trained, on from where it is.
        unlabelled: Examples without labels `[count, *example_shape]`, an array.
        x: Labelled examples.
        y: Their classes, integers `[count]`.
        num_classes: Number of classes.
        epochs: Of the VAE's training. Defaults to 20; 0 leaves it as it is.
        batch_size: Of the VAE's training. Defaults to 128.
        verbose: As in `fit`.
        **kwargs: Further arguments of `FeatureTransfer`.

    Returns:
        The fitted classifier, one model from examples to logits.

    Raises:
        ValueError: If the data do not fit the model.

    Example:
        ```python
        import keras_transgen as ktg
        from keras_transgen.fusion.semi_supervised import semi_supervised_transfer

        images, labels = ktg.datasets.load_digits()
        few = ktg.datasets.sample_per_class(labels, k=5)
        vae = ktg.VAE(input_shape=(8, 8, 1), latent_dim=8)
        model = semi_supervised_transfer(
            vae, images[:200], images[few], labels[few], num_classes=10, epochs=1
        )
        assert model.predict(images[:3], verbose=0).shape == (3, 10)
        ```

    Reference:
        Kingma, Rezende, Mohamed and Welling, Semi-supervised Learning with Deep Generative
        Models, 2014 (M1).
    """
    if epochs:
        for part, name in ((unlabelled, "unlabelled"), (x, "x")):
            vae.check_examples(part, name)
        everything = np.concatenate([np.asarray(unlabelled), np.asarray(x)])
        vae.fit(everything, epochs=epochs, batch_size=batch_size, verbose=verbose)
    model = FeatureTransfer(latent_backbone(vae), num_classes, **kwargs)
    model.fit(x, y, verbose=verbose)
    return model


def _copied(layer: Any) -> Any:
    if not isinstance(layer, keras.layers.Layer):
        raise ValueError(
            "The VAE's encoder must be a Keras layer or model, so that it can be copied. "
            f"Received: {type(layer).__name__}"
        )
    if isinstance(layer, keras.Model):
        return keras.models.clone_model(layer)
    return keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(layer))
