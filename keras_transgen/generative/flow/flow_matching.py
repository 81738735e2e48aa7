"""Flow matching: a model that learns the velocity from noise to data."""

from __future__ import annotations

from typing import Any

import keras

from keras_transgen.backbones.multi_scale_features import MultiScaleFeatures
from keras_transgen.datasets.class_names import checked_class_names
from keras_transgen.generative.adversarial.player_networks import known_shape, one_shape
from keras_transgen.generative.condition_values import check_condition_kind
from keras_transgen.generative.config_values import serialized
from keras_transgen.generative.flow.alignment import aligned_features, check_alignment
from keras_transgen.generative.flow.endpoints import flow_endpoints
from keras_transgen.generative.flow.solved_flow import SolvedFlow
from keras_transgen.generative.flow.velocity_networks import given_network
from keras_transgen.training.config_from_file import Nested, arguments_from_file
from keras_transgen.training.counts import check_count
from keras_transgen.training.serving import Endpoint

_DEFAULT_IMAGE_SHAPE = (28, 28, 1)


@keras.saving.register_keras_serializable(package="keras_transgen")
class FlowMatching(SolvedFlow):
    """Moves noise to data along a velocity that a network learns, by `fit(images, labels)`.

    On the straight path from noise to an example, x_t = (1 - t) noise + t data for t in [0, 1], the
    velocity is data - noise. The network learns its mean at each place and time,

        loss = mean over data, noise and t of | v(x_t, t) - (data - noise) |^2

    and `sample` follows it from noise to data. `fit` logs `loss`, and `val_loss` with the same
    noise and times in every epoch. The weights that sample are a moving average of those that
    train.

    Args:
        example_shape: `(height, width, channels)` of images, `(length, channels)` of sequences or
            `(features,)` of vectors. Defaults to what the network says, else `(28, 28, 1)`.
        num_classes: Number of classes, for integer labels `[batch]`. Without it, and without
            `condition_shape` and `condition_encoder`, the model learns from examples alone.
        condition_shape: Shape of a condition, for vectors `[batch, features]`, or of what the
            encoder takes where it does not say so itself.
        condition_encoder: Keras layer from conditions to `[batch, features]`. If it has trainable
            weights they train with the network. With `ktg.TextEncoder(vocabulary)` conditions are
            texts.
        network: `"unet"` (images), `"patch_transformer"` (images and sequences), `"dense"`
            (vectors), or a Keras model from `[examples, time [batch]]`, with conditions
            `[examples, time, condition [batch, embedding_dim]]`, to values of the shape of
            examples. `None`, the default, is the one that fits the shape; sequences have a patch
            Transformer.
        width: Size of a network that is built: channels of the U-Net's largest maps (32 by
            default), a token of the Transformer (128), or a layer of the dense network (256).
        prediction: What the network predicts: `"velocity"` (the default) or `"noise"`.
        times: How often each time is trained: `"logit_normal"` (the default), the middle more often
            than the ends, or `"uniform"`.
        unlabelled_probability: Probability that an example's condition is dropped in training,
            which `sample(labels, guidance=...)` and samples without a condition need. Defaults to
            0.1.
        embedding_dim: Length of a condition's vector. Defaults to 128.
        ema_decay: Share that the moving average of the weights keeps in a step; `None` for none.
            Defaults to 0.999.
        value_range: `(low, high)` of float examples and of samples, which the network sees scaled
            to [-1, 1]. `"auto"`, the default, is `(-1, 1)` for images and `None` for others:
            numbers without bounds, which ought to have about unit deviation.
        class_names: Names of the classes, in the order of their numbers, instead of `num_classes`
            or with it; `fit` and `sample` then take names, too. Labels that are names give them.
        image_shape: Another name of `example_shape`.
        align_with: A pretrained network to whose features of the clean images the network's inner
            features of noised ones are drawn in training: a backbone, anything that
            `keras_transgen.load_backbone` takes, or `backbones.MultiScaleFeatures` with a layer
            and a size; of several scales the coarsest counts. It is frozen and no part of sampling.
            Fewer steps may reach the same samples. `fit` logs the distance as `alignment`.
        alignment_weight: Of that distance, 1 minus the mean cosine, in the loss. Defaults to 0.5.
        align_layer: The network's layer that is drawn to them. Defaults to the middle of the U-Net
            and the block at a third of the Transformer's depth; needed for a network of your own.
        **kwargs: `seed` (of noise and order; `keras.utils.set_random_seed` fixes the first weights
            too) and others of `TrainerModel`.

    Raises:
        ValueError: If an argument is out of its range, or the network is none of a flow's.

    Example:
        ```python
        import numpy as np
        import keras_transgen as ktg

        images, labels = ktg.datasets.load_digits()
        flow = ktg.FlowMatching((8, 8, 1), num_classes=10, width=8, value_range=(0.0, 1.0))
        flow.fit(images[:256], labels[:256], batch_size=64, epochs=1, verbose=0)
        sevens = flow.sample(np.full(16, 7), steps=4, guidance=2.0, seed=0)
        ```

    Reference:
        Lipman et al., Flow matching for generative modeling, 2023; Liu, Gong and Liu, Flow straight
        and fast: learning to generate and transfer data with rectified flow, 2023; Albergo and
        Vanden-Eijnden, Building normalizing flows with stochastic interpolants, 2023; Ho and
        Salimans, Classifier-free diffusion guidance, 2022; Yu et al., Representation alignment for
        generation: training diffusion transformers is easier than you think, 2025.
    """

    def __init__(
        self,
        example_shape: tuple[int, ...] | None = None,
        num_classes: int | None = None,
        condition_shape: tuple[int, ...] | None = None,
        condition_encoder: keras.layers.Layer | None = None,
        network: Any = None,
        width: int | None = None,
        prediction: str = "velocity",
        times: str = "logit_normal",
        unlabelled_probability: float = 0.1,
        embedding_dim: int = 128,
        ema_decay: float | None = 0.999,
        value_range: tuple[float, float] | str | None = "auto",
        class_names: Any = None,
        image_shape: tuple[int, ...] | None = None,
        align_with: Any = None,
        alignment_weight: float = 0.5,
        align_layer: str | None = None,
        **kwargs: Any,
    ) -> None:
        if num_classes is None and class_names is not None:
            num_classes = len(checked_class_names(class_names))
        check_condition_kind(
            num_classes, condition_shape, condition_encoder, unlabelled_probability
        )
        check_count("embedding_dim", embedding_dim)
        if width is not None:
            check_count("width", width)
        given = given_network(network)
        example_shape = (
            one_shape(example_shape, image_shape)
            or (known_shape(network, "output") if given else None)
            or _DEFAULT_IMAGE_SHAPE
        )
        if isinstance(value_range, str):
            if value_range != "auto":
                raise ValueError(
                    "value_range must be (low, high), None or 'auto'. "
                    f"Received: value_range={value_range!r:.100}"
                )
            value_range = (-1.0, 1.0) if len(tuple(example_shape)) == 3 else None
        super().__init__(example_shape, value_range, **kwargs)
        self.num_classes = num_classes
        self.set_class_names(class_names)
        self.condition_shape = None if condition_shape is None else tuple(condition_shape)
        self.condition_encoder = condition_encoder
        self.condition_scale = None
        self.embedding_dim = embedding_dim
        self._drop_probability = float(unlabelled_probability)
        self.width = width
        self.prediction_setting = prediction
        self.times_setting = times
        self.ema_decay = ema_decay
        # A file keeps a network that was handed in; others are built again.
        self.network_setting = network
        check_alignment(align_with, alignment_weight, align_layer)
        self.align_with = None
        if align_with is not None:
            self.align_with = aligned_features(align_with, self.example_shape, self.value_range)
        self.alignment_weight = float(alignment_weight)
        self.align_layer = align_layer
        self.build_networks(network, given)
        self.check_parts()

    def serving_endpoints(self, input_signature: Any = None) -> dict[str, Endpoint]:
        """`sample` and `decode`, with the number of steps and the guidance; see `flow_endpoints`.

        Args:
            input_signature: Shape and dtype of conditions, for an encoder that does not say it.
        """
        return flow_endpoints(self, input_signature)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "example_shape": self.example_shape,
            "num_classes": self.num_classes,
            "condition_shape": self.condition_shape,
            "condition_encoder": serialized(self.condition_encoder),
            "network": serialized(self.network_setting),
            "width": self.width,
            "prediction": self.prediction_setting,
            "times": self.times_setting,
            "unlabelled_probability": self._drop_probability,
            "embedding_dim": self.embedding_dim,
            "ema_decay": self.ema_decay,
            "value_range": self.value_range,
            "align_with": serialized(self.align_with),
            "alignment_weight": self.alignment_weight,
            "align_layer": self.align_layer,
            **({} if self.class_names is None else {"class_names": list(self.class_names)}),
        }

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> FlowMatching:
        """Make the model again from what `get_config` returned."""
        return cls(**arguments_from_file(cls, config, **cls.nested_arguments()))

    @classmethod
    def nested_arguments(cls) -> dict[str, Nested]:
        """The arguments that a file gives as objects."""
        return {
            "network": Nested(keras.Model, optional=True, names=True),
            "condition_encoder": Nested(keras.layers.Layer, optional=True),
            "align_with": Nested(MultiScaleFeatures, optional=True),
        }
