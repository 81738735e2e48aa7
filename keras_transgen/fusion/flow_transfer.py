"""A trained flow as the start of another one, for a few images of a new class."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras

from keras_transgen.fusion.flow_start import averaged_values, remade
from keras_transgen.fusion.kept_classes import kept_classes, names_of
from keras_transgen.fusion.low_rank_network import LowRankNetwork
from keras_transgen.fusion.merged_flow import low_rank_network, merge_flow
from keras_transgen.fusion.network_copy import copied_network
from keras_transgen.fusion.told_layers import train_told_layers
from keras_transgen.generative.flow.alignment import aligned_features
from keras_transgen.generative.flow.flow_matching import FlowMatching
from keras_transgen.training.counts import check_count

_RANK = 8
# What the trained network has settled.
_SETTLED = (
    "example_shape",
    "image_shape",
    "autoencoder",
    "network",
    "width",
    "prediction",
    "embedding_dim",
    "condition_shape",
    "condition_encoder",
)


def transfer_flow(
    flow: FlowMatching,
    method: str = "all",
    *,
    num_classes: int | None = None,
    class_names: Any = None,
    rank: int | None = None,
    **settings: Any,
) -> FlowMatching:
    """A new flow that starts from a trained one and is ready to fit on other, fewer examples.

    | method | of the network trains |
    | --- | --- |
    | `"all"` | everything |
    | `"lora"` | low-rank additions to the kernels of dense layers, attention and convolutions |
    | `"conditioning"` | the layers that bring time and condition into it: their maps, and the \
scales and offsets that are made of them |

    The embeddings of conditions, and an encoder of conditions that trains, do so in each. The new
    flow starts from the averaged weights, so that at first both make the same samples of the
    classes that stay; its moving average starts there anew.

    **Classes.** With `num_classes`, those of the trained flow stay in their places and the further
    ones come after them; with `class_names`, those whose name the trained flow knows keep their
    embedding, whatever their place. A new class starts from the mean of the old embeddings. Only
    what it is fitted on does a flow keep for certain: after `fit` on the new class alone, sample
    the old ones from the trained flow.

    **Files.** With `"lora"` a file keeps the network and its additions, which can be trained
    further; `merge_flow` makes a flow of plain kernels of it, which samples the same.

    Args:
        flow: The trained model, a `FlowMatching` or a `LatentFlow`. It is left as it is.
        method: See the table. Defaults to `"all"`.
        num_classes: Classes of the new flow, the old ones among them. Defaults to as many as the
            trained flow has: its embeddings then start what the labels mean from now on, where
            classes have no names.
        class_names: Names of all classes of the new flow, in the order of their numbers, instead of
            `num_classes` or with it.
        rank: For `"lora"`: rank of the additions. Defaults to 8.
        **settings: Further arguments of the model that shall differ: `ema_decay`, `times`,
            `unlabelled_probability`, `value_range`, `seed`, ... An alignment is not taken over; it
            can be asked for anew by `align_with=`, but not with `"lora"`.

    Returns:
        A model of the same class, not compiled. `fit` compiles it with its defaults.

    Raises:
        ValueError: If there is no such method, the flow is none or has not been trained, or an
            argument does not fit it; before anything is built.

    Example:
        ```python
        import numpy as np
        import keras_transgen as ktg
        from keras_transgen.fusion import transfer_flow

        images, labels = ktg.datasets.load_digits()
        known, new = labels < 9, labels == 9
        flow = ktg.FlowMatching((8, 8, 1), num_classes=9, width=8, value_range=(0.0, 1.0))
        flow.fit(images[known][:256], labels[known][:256], batch_size=64, epochs=1, verbose=0)
        other = transfer_flow(flow, "lora", num_classes=10, rank=4)
        other.fit(images[new][:100], labels[new][:100], batch_size=50, epochs=1, verbose=0)
        nines = other.sample(np.full(16, 9), steps=4, seed=0)
        ```

    Reference:
        Lipman et al., Flow matching for generative modeling, 2023; Hu et al., LoRA: Low-Rank
        Adaptation of Large Language Models, 2021; Xie et al., DiffFit: Unlocking Transferability of
        Large Diffusion Models via Simple Parameter-Efficient Fine-Tuning, 2023.
    """
    _check(flow, method, rank, settings)
    kept = kept_classes(flow, num_classes, class_names)
    flow.average_what_was_loaded()
    if low_rank_network(flow) is not None:
        flow = merge_flow(flow)
    network = copied_network(flow.network)
    network.set_weights(averaged_values(flow, flow.network.weights))
    config = {
        "network": METHODS[method](network, flow, _RANK if rank is None else rank),
        "align_with": None,
        "align_layer": None,
        "num_classes": None if kept is None else len(kept),
        "class_names": names_of(flow, kept, class_names),
    }
    if settings.get("align_with") is not None:
        # A configuration holds the network itself: it names no address.
        seen = settings.get("value_range", flow.value_range)
        settings["align_with"] = aligned_features(
            settings["align_with"], flow.example_shape, (-1.0, 1.0) if seen == "auto" else seen
        )
    return remade(flow, {**config, **settings}, kept)


# What each method leaves to train, of a copy of the network


def _train_all(network: keras.Model, flow: FlowMatching, rank: int) -> keras.Model:
    return network


def _train_additions(network: keras.Model, flow: FlowMatching, rank: int) -> keras.Model:
    inputs = [keras.Input(flow.example_shape, name="examples"), keras.Input((), name="time")]
    if flow.has_conditions:
        inputs.append(keras.Input((flow.embedding_dim,), name="condition"))
    outputs = LowRankNetwork(network, rank, name="low_rank")(inputs)
    return keras.Model(inputs, outputs, name="network", dtype="float32")


def _train_told(network: keras.Model, flow: FlowMatching, rank: int) -> keras.Model:
    train_told_layers(network)
    return network


METHODS: dict[str, Callable[[keras.Model, FlowMatching, int], keras.Model]] = {
    "all": _train_all,
    "lora": _train_additions,
    "conditioning": _train_told,
}


# What is refused


def _check(flow: Any, method: str, rank: int | None, settings: dict[str, Any]) -> None:
    if not isinstance(method, str) or method not in METHODS:
        raise ValueError(f"method must be one of {sorted(METHODS)}. Received: method={method!r}")
    if not isinstance(flow, FlowMatching):
        raise ValueError(
            "transfer_flow takes a trained ktg.FlowMatching or ktg.fusion.LatentFlow. "
            f"Received: flow of type {type(flow).__name__}"
        )
    if rank is not None:
        check_count("rank", rank)
        if method != "lora":
            raise ValueError(
                "rank is that of low-rank additions: leave it out, or take method='lora'. "
                f"Received: rank={rank} with method={method!r}"
            )
    for name in _SETTLED:
        if name in settings:
            raise ValueError(
                f"The trained flow's network settles {name}: leave it out, and train another flow "
                f"for another one. Received: {name}={settings[name]!r:.100}"
            )
    unknown = sorted(set(settings) - (set(flow.get_config()) - {"trains"}) - {"seed"})
    if unknown:
        raise ValueError(
            f"{type(flow).__name__} has no argument {unknown[0]!r} that could differ. "
            f"Received: {unknown[0]}={settings[unknown[0]]!r:.100}"
        )
    if method == "lora" and settings.get("align_with") is not None:
        raise ValueError(
            "An alignment draws a layer of the network itself, which method='lora' keeps as it is: "
            "take another method, or leave align_with out. Received: align_with with method='lora'"
        )
    if not int(flow.progress.step.numpy()):
        raise ValueError(
            "There is nothing to transfer from a flow that has not been trained: call fit first, "
            "or load one with ktg.load_model. What transfer_flow made begins at 0 anew: transfer "
            "the flow that it came from, or fit it first. Received: a flow after 0 steps"
        )
