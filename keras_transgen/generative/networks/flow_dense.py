"""A dense network of a flow, for vectors."""

from __future__ import annotations

from collections.abc import Sequence

import keras

from keras_transgen.generative.networks.time_embedding import flow_inputs, flow_network


def flow_dense(
    example_shape: Sequence[int],
    width: int = 256,
    embedding_dim: int | None = None,
    blocks: int = 3,
) -> keras.Model:
    """A residual multilayer perceptron from places and times to vectors of the same length.

    With 64 values and the default sizes it has 0.7 million parameters.

    Args:
        example_shape: `(features,)`.
        width: Units of each hidden layer. Defaults to 256.
        embedding_dim: Length of a condition's vector; `None` without conditions.
        blocks: Residual blocks of two layers. Defaults to 3.

    Returns:
        A model from `[examples [batch, features], time [batch]]`, and `condition
        [batch, embedding_dim]` besides, to `[batch, features]`, float32; zero at the start.

    Example:
        ```python
        from keras_transgen.generative.networks.flow_dense import flow_dense

        network = flow_dense((2,), width=16, embedding_dim=4)
        assert network.output_shape == (None, 2)
        ```
    """
    inputs, x, embedding = flow_inputs(example_shape, embedding_dim, width)
    x = keras.layers.Dense(width, name="first")(x)
    for block in range(blocks):
        # No normalization: of few values it would leave little more than their direction.
        y = keras.layers.Activation("swish", name=f"in_{block}")(x)
        y = keras.layers.Dense(width, name=f"hidden_{block}")(y)
        told = keras.layers.Dense(width, use_bias=False, name=f"told_{block}")(embedding)
        y = keras.layers.Add(name=f"joined_{block}")([y, told])
        y = keras.layers.Activation("swish", name=f"activation_{block}")(y)
        y = keras.layers.Dense(width, name=f"map_{block}")(y)
        x = keras.layers.Add(name=f"block_{block}")([x, y])
    x = keras.layers.Dense(
        example_shape[0], kernel_initializer="zeros", dtype="float32", name="predicted"
    )(x)
    return flow_network(inputs, x)
