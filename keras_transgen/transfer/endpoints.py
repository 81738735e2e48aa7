"""What an exported transfer model answers: logits and probabilities, by name."""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from keras_transgen.training.serving import Endpoint, named_specs
from keras_transgen.transfer.contract import FeatureModel
from keras_transgen.transfer.raw_input import raw_contract


def transfer_endpoints(model: FeatureModel, input_signature: Any = None) -> dict[str, Endpoint]:
    """The endpoint `serve`: raw input in, `logits` and `probabilities` out.

    A regression gives `predictions`. Preprocessing is part of it, augmentation is not.

    Args:
        model: The model.
        input_signature: Shape and dtype of raw input. Defaults to what the backbone takes, or to
            what a preprocessing model says that it takes.

    Raises:
        ValueError: If neither says it.
    """
    probabilities = model.task_probabilities

    def serve(inputs: Any) -> dict[str, tf.Tensor]:
        logits = tf.cast(model(inputs, training=False), tf.float32)
        if probabilities is None:
            return {"predictions": logits}
        return {"logits": logits, "probabilities": tf.cast(probabilities(logits), tf.float32)}

    if input_signature is None:
        input_signature = _raw_input(model)
    holders = (model.backbone.resource_holder(), model.preprocessing, model.head)
    resources = tuple(each for each in holders if each is not None)
    return {"serve": Endpoint(serve, named_specs(input_signature), resources)}


def _raw_input(model: FeatureModel) -> Any:
    contract = raw_contract(model.backbone, model.preprocessing)
    if contract is not None:
        return contract
    known = getattr(model.preprocessing, "inputs", None)
    if known:
        return known
    raise ValueError(
        "What this model is given goes through its preprocessing, which does not say its shape. "
        "Pass it: model.export(folder, input_signature=tf.TensorSpec([None, height, width, "
        f"channels], tf.uint8)). Received: preprocessing={model.preprocessing.name!r}, "
        "input_signature=None"
    )
