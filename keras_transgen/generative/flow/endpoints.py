"""What an exported flow answers: samples, by the steps and the guidance that are asked for."""

from __future__ import annotations

from typing import Any, Protocol

import tensorflow as tf

from keras_transgen.generative.serving import COUNT, SEED, known_classes, stateless_seed
from keras_transgen.generative.text_conditions import encodes_texts
from keras_transgen.training.batch_assertions import stop_unless
from keras_transgen.training.serving import Endpoint, named_specs

STEPS = tf.TensorSpec([], tf.int32, "steps")
GUIDANCE = tf.TensorSpec([], tf.float32, "guidance")
_SOLVER = "heun"


class Followed(Protocol):
    """What endpoints ask of a flow."""

    example_shape: tuple[int, ...]
    condition_encoder: Any
    num_classes: int | None
    has_conditions: bool
    _drop_probability: float

    def followed(
        self, noise: Any, condition: tuple[Any, ...], steps: Any, guidance: Any, solver: str
    ) -> tf.Tensor: ...

    def condition_spec(self, asked: Any = None) -> Any: ...


def flow_endpoints(model: Followed, input_signature: Any = None) -> dict[str, Endpoint]:
    """`sample` and `decode` of a flow, `samples` out.

    | the model | `sample` takes | `decode` takes |
    | --- | --- | --- |
    | without conditions | `count`, `seed`, `steps` | `noise`, `steps` |
    | with conditions | `condition`, `seed`, `steps`, `guidance` | `noise`, `condition`, `steps`, \
`guidance` |

    A seed gives the samples that `model.sample` gives for it. There is no `guidance` where the
    model was made with `unlabelled_probability=0`. A SavedModel refuses fewer steps than one,
    a guidance that is not finite, and classes that the model does not have; TFLite has no such
    checks.

    Args:
        model: The flow.
        input_signature: Shape and dtype of conditions, where the model does not know them.

    Raises:
        ValueError: If there is an `input_signature` of a model without conditions, or one that
            its conditions do not fit.
    """

    def noise_of(count: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
        return tf.random.stateless_normal([count, *model.example_shape], stateless_seed(seed))

    def followed(
        noise: tf.Tensor, condition: tuple[Any, ...], steps: tf.Tensor, guidance: Any = None
    ) -> dict[str, tf.Tensor]:
        enough = stop_unless(steps >= 1, "steps must be at least 1. Received: steps={}", steps)
        if guidance is not None:
            message = "guidance must be a finite number. Received: guidance={}"
            enough += stop_unless(tf.math.is_finite(guidance), message, guidance)
        with tf.control_dependencies(enough):
            steps = tf.identity(steps)
        return {"samples": model.followed(noise, condition, steps, guidance, _SOLVER)}

    noise_spec = tf.TensorSpec([None, *model.example_shape], tf.float32, "noise")
    if not model.has_conditions:
        if input_signature is not None:
            raise ValueError(
                f"{type(model).__name__} knows what its signatures take: leave input_signature "
                f"out. Received: input_signature={input_signature}"
            )

        def decode_alone(noise: tf.Tensor, steps: tf.Tensor) -> dict[str, tf.Tensor]:
            return followed(noise, (), steps)

        def sample_alone(
            count: tf.Tensor, seed: tf.Tensor, steps: tf.Tensor
        ) -> dict[str, tf.Tensor]:
            return decode_alone(noise_of(count, seed), steps)

        return {
            "sample": Endpoint(sample_alone, (COUNT, SEED, STEPS), draws_noise=True),
            "decode": Endpoint(decode_alone, (noise_spec, STEPS)),
        }

    def decode(
        noise: tf.Tensor, condition: Any, steps: tf.Tensor, guidance: tf.Tensor | None = None
    ) -> dict[str, tf.Tensor]:
        known = known_classes(condition, model.num_classes)
        return followed(noise, (known,), steps, guidance)

    def sample(
        condition: Any, seed: tf.Tensor, steps: tf.Tensor, guidance: tf.Tensor | None = None
    ) -> dict[str, tf.Tensor]:
        count = tf.shape(tf.nest.flatten(condition)[0])[0]
        return decode(noise_of(count, seed), condition, steps, guidance)

    conditions = named_specs(model.condition_spec(input_signature), "condition")
    settings = (STEPS, GUIDANCE) if model._drop_probability else (STEPS,)
    encoder = model.condition_encoder
    resources = () if encoder is None else (encoder,)
    if encodes_texts(encoder):
        resources += encoder.graph_resources()
    return {
        "sample": Endpoint(sample, (*conditions, SEED, *settings), resources, draws_noise=True),
        "decode": Endpoint(decode, (noise_spec, *conditions, *settings), resources),
    }
