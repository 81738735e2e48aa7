"""LatentFlow: the harness, that it is a FlowMatching of latents, what it refuses."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_transgen.backbones.multi_scale_features import MultiScaleFeatures
from keras_transgen.fusion import LatentAutoencoder, LatentFlow
from keras_transgen.fusion.latent_codec import LatentCodec
from keras_transgen.generative.flow.flow_matching import FlowMatching
from tests.fusion.latent_models import IMAGES, LABELS, FixedNoiseLatentFlow, known_codec
from tests.fusion.small_networks import small_backbone
from tests.generative.flow.flow_models import small_network
from tests.harness import ModelCase, every_check


def small(**kwargs):
    network = small_network((2, 2, 2), 4)
    given = {"num_classes": 3, "embedding_dim": 4, "unlabelled_probability": 0.3}
    return {"network": network, **given, **kwargs}


def rows(*parts):
    return tf.data.Dataset.from_tensor_slices(parts if len(parts) > 1 else parts[0])


def features():
    return MultiScaleFeatures(small_backbone(), ["quarter"])


def case(**kwargs):
    return ModelCase(
        make=lambda: FixedNoiseLatentFlow(known_codec(), **small(**kwargs)),
        data=(IMAGES, LABELS),
        compile=lambda model, **options: model.compile(keras.optimizers.SGD(0.05, 0.5), **options),
        outputs=("sample", (LABELS[:5],), {"steps": 2, "seed": 0}),
        imports=("tests.fusion.latent_models",),
        may_move=lambda path: "average" in path,
        fit={"epochs": 2},
    )


CASES = {"aligned": case(align_with=features(), align_layer="active")}


@pytest.mark.parametrize(("name", "check"), every_check(CASES))
def test_model(name, check, tools):
    check(CASES[name], tools)


@pytest.mark.slow
def test_is_flow_matching_on_latents_between_encoder_and_decoder():
    """The same run by hand: latents of images and their mirror images, then the decoder."""
    codec = known_codec()
    settings = small(ema_decay=None, seed=7)
    flow = LatentFlow(codec, mirrored=True, **settings)
    plain = FlowMatching(
        codec.latent_shape, value_range=None, **{**settings, "network": small_network((2, 2, 2), 4)}
    )
    for one, other in zip(flow.network.weights, plain.network.weights):
        other.assign(one)
    flow.condition_embedding.set_weights(plain.condition_embedding.get_weights())
    views = np.concatenate([IMAGES, IMAGES[:, :, ::-1]])
    latents = np.asarray(codec.encode(views))
    for model, data in (
        (flow, (IMAGES, LABELS)),
        (plain, (latents, np.concatenate([LABELS, LABELS]))),
    ):
        model.compile(keras.optimizers.SGD(0.05))
        model.fit(*data, batch_size=16, epochs=2, verbose=0)
    for one, other in zip(flow.network.weights, plain.network.weights):
        np.testing.assert_allclose(one.numpy(), other.numpy(), atol=1e-5, err_msg=one.path)

    options = {"steps": 3, "guidance": 2.0}
    samples = flow.sample(LABELS[:4], seed=1, **options)
    made = np.asarray(codec.decode(plain.sample(LABELS[:4], seed=1, **options)))
    assert samples.shape == (4, 8, 8, 1)
    np.testing.assert_allclose(samples, made, atol=1e-5)

    noise = flow.encode(IMAGES[:4], LABELS[:4], steps=3)
    np.testing.assert_allclose(noise, plain.encode(latents[:4], LABELS[:4], steps=3), atol=1e-4)
    np.testing.assert_allclose(
        flow.log_likelihood(IMAGES[:4], steps=2),
        plain.log_likelihood(latents[:4], steps=2),
        atol=1e-3,
    )
    # A way begins and ends where its images do.
    way = flow.interpolate(IMAGES[:1], IMAGES[1:2], LABELS[:1], points=3, steps=3)
    assert way.shape == (1, 3, 8, 8, 1)
    np.testing.assert_allclose(way[0, 0], flow.decode(noise[:1], LABELS[:1], steps=3)[0], atol=1e-4)


@pytest.mark.slow
def test_data_sets_bytes_and_held_out_images():
    codec = known_codec()
    pixels = np.round((IMAGES + 1) * 127.5).astype("uint8")

    def history(*data, **kwargs):
        keras.utils.set_random_seed(4)
        flow = LatentFlow(codec, seed=7, **small())
        flow.compile(keras.optimizers.SGD(0.05))
        return flow.fit(*data, batch_size=8, epochs=1, verbose=0, **kwargs).history

    whole = tf.data.Dataset.from_tensor_slices((pixels, LABELS))
    arrays = history(pixels[:16], LABELS[:16], validation_data=(pixels[16:], LABELS[16:]))
    split = history(pixels, LABELS, validation_split=1 / 3)
    batches = history(whole.take(16).batch(5), validation_data=whole.skip(16).batch(3))
    for other in (split, batches):
        for name, values in arrays.items():
            assert other[name] == pytest.approx(values, rel=1e-5), name


def test_the_file_holds_no_more_than_it_needs():
    """Of the autoencoder encoder, decoder and scale, frozen; the flow's average is of the flow."""
    autoencoder = LatentAutoencoder((8, 8, 1), latent_channels=2, width=4, adversarial_weight=0.1)
    autoencoder.standardize(IMAGES)
    flow = LatentFlow(autoencoder, **small(align_with=features(), align_layer="active"))
    assert isinstance(flow.codec, LatentCodec)
    assert not flow.codec.trainable_weights
    followed = {id(w) for layer in flow.averaged_layers for w in layer.weights}
    assert not followed & {id(w) for w in flow.alignment.weights + flow.codec.weights}
    assert not flow.alignment.features.trainable_weights
    np.testing.assert_allclose(flow.codec.encode(IMAGES), autoencoder.encode(IMAGES), atol=1e-5)
    # Its own is as it was.
    assert autoencoder.trainable_weights


# What is refused


def test_an_untrained_autoencoder_is_refused():
    with pytest.raises(ValueError, match="not measured since"):
        LatentFlow(LatentAutoencoder((8, 8, 1), width=4))
    flow = LatentFlow(LatentCodec((8, 8, 1), latent_channels=2, width=4), **small())
    with pytest.raises(ValueError, match="train the autoencoder first"):
        flow.fit(IMAGES, LABELS)
    assert int(flow.progress.step.numpy()) == 0


@pytest.mark.parametrize(
    ("ask", "message"),
    [
        (lambda flow: flow.fit(IMAGES), r"conditions \(the second argument"),
        (lambda flow: flow.fit(rows(IMAGES, LABELS, np.ones(24)).batch(8)), "does not weigh"),
        (
            lambda flow: flow.fit(IMAGES, LABELS, validation_data=(IMAGES, LABELS, np.zeros(24))),
            "does not weigh",
        ),
        (lambda flow: flow.fit(rows(IMAGES, LABELS)), "batch.*single examples"),
        (lambda flow: flow.fit(rows({"image": IMAGES}).batch(8)), "Received: a dictionary"),
        (lambda flow: flow.fit(IMAGES[:, :4], LABELS), r"expects x of shape \[batch, 8, 8, 1\]"),
        (lambda flow: flow.fit(3 * IMAGES, LABELS), r"float values in \[-1, 1\]"),
        (
            lambda flow: flow.fit(
                tf.data.Dataset.from_tensor_slices((IMAGES, LABELS)).batch(8).repeat()
            ),
            "leave repeat",
        ),
        (lambda flow: flow.encode(IMAGES[:, :4]), r"expects x of shape \[batch, 8, 8, 1\]"),
        (lambda flow: flow.inpaint(IMAGES, np.ones((8, 8, 1))), "FlowMatching, on the images"),
        (lambda flow: LatentFlow(known_codec(), value_range=(0.0, 1.0)), "leave value_range out"),
        (lambda flow: LatentFlow("autoencoder"), "that has been trained. Received: str"),
    ],
)
def test_what_cannot_be_asked_is_refused(ask, message):
    flow = LatentFlow(known_codec(), **small())
    with pytest.raises(ValueError, match=message):
        ask(flow)
    assert int(flow.progress.step.numpy()) == 0
