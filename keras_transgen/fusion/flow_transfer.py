"""A trained flow as the start of another one, for a few images of a new class."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import numpy as np

from keras_transgen.datasets.class_names import checked_class_names
from keras_transgen.fusion.latent_flow import LatentFlow
from keras_transgen.fusion.low_rank_network import LowRankNetwork, check_rank
from keras_transgen.fusion.network_copy import copied_network
from keras_transgen.fusion.told_layers import train_told_layers
from keras_transgen.generative.flow.flow_matching import FlowMatching
from keras_transgen.generative.moving_average import averaged
from keras_transgen.training.compilation import flat_layers

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
    what it is fitted on does a flow keep for certain: after `fit` on the new class alone, the old
    ones are better sampled from the trained flow.

    **Files.** With `"lora"` a file keeps the network and its additions, which can be trained
    further; `merge_flow` makes a flow of plain kernels of it, which samples the same.

    Args:
        flow: The trained model, a `FlowMatching` or a `LatentFlow`. It is left as it is.
        method: See the table. Defaults to `"all"`.
        num_classes: Classes of the new flow, the old ones among them. Defaults to as many as the
            trained flow has: its embeddings then start what the labels mean from now on.
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
    kept = _kept_classes(flow, num_classes, class_names)
    flow.average_what_was_loaded()
    if low_rank_network(flow) is not None:
        flow = merge_flow(flow)
    network = copied_network(flow.network)
    network.set_weights(_averaged(flow, flow.network.weights))
    config = {
        "network": METHODS[method](network, flow, _RANK if rank is None else rank),
        "align_with": None,
        "align_layer": None,
        "num_classes": None if kept is None else len(kept),
        "class_names": _names(flow, kept, class_names),
    }
    new = _made(flow, {**config, **settings})
    _take_over_conditions(flow, new, kept)
    if new.average is not None:
        new.average.restart()
    return new


def merge_flow(flow: FlowMatching) -> FlowMatching:
    """A new flow of plain kernels, from one with low-rank additions to them.

    It samples the same: its kernels are `W + A B` of the averaged weights. It is smaller in files
    by the additions, needs no class of theirs, and trains as any flow.

    Args:
        flow: What `transfer_flow(flow, "lora")` made, fitted or not. It is left as it is.

    Returns:
        A model of the same class, not compiled.

    Raises:
        ValueError: If it has no low-rank additions.

    Example:
        ```python
        import keras_transgen as ktg
        from keras_transgen.fusion import merge_flow, transfer_flow

        images, labels = ktg.datasets.load_digits()
        flow = ktg.FlowMatching((8, 8, 1), num_classes=10, width=8, value_range=(0.0, 1.0))
        flow.fit(images[:64], labels[:64], batch_size=64, epochs=1, verbose=0)
        merged = merge_flow(transfer_flow(flow, "lora"))
        assert merged.count_params() < transfer_flow(flow, "lora").count_params()
        ```

    Reference:
        Hu et al., LoRA: Low-Rank Adaptation of Large Language Models, 2021.
    """
    wrapped = low_rank_network(flow) if isinstance(flow, FlowMatching) else None
    if wrapped is None:
        raise ValueError(
            "merge_flow takes a flow with low-rank additions, as transfer_flow(flow, 'lora') makes "
            f"it. Received: {type(flow).__name__}"
        )
    flow.average_what_was_loaded()
    network = copied_network(wrapped.layer)
    with averaged(flow.average):
        values = [keras.ops.convert_to_numpy(value) for value in wrapped.values()]
    network.set_weights(values)
    network.trainable = True
    new = _made(flow, {"network": network})
    _take_over_conditions(flow, new, None)
    new.progress.step.assign(flow.progress.step)
    if new.average is not None:
        new.average.restart()
    return new


def low_rank_network(flow: Any) -> LowRankNetwork | None:
    """The layer that adds to a flow's kernels, or `None` where none does."""
    layers = flat_layers(flow.network)
    return next((layer for layer in layers if isinstance(layer, LowRankNetwork)), None)


# What each method leaves to train, of a copy of the network


def _train_all(network: keras.Model, flow: FlowMatching, rank: int) -> keras.Model:
    network.trainable = True
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
    if method not in METHODS:
        raise ValueError(f"method must be one of {sorted(METHODS)}. Received: method={method!r}")
    if not isinstance(flow, FlowMatching):
        raise ValueError(
            "transfer_flow takes a trained ktg.FlowMatching or ktg.fusion.LatentFlow. "
            f"Received: flow of type {type(flow).__name__}"
        )
    if rank is not None:
        check_rank(rank)
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
    unknown = sorted(set(settings) - set(flow.get_config()) - {"seed"})
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
            "or load one with ktg.load_model. Received: a flow after 0 steps"
        )


# Classes and their embeddings


def _kept_classes(
    flow: FlowMatching, num_classes: int | None, class_names: Any
) -> list[int | None] | None:
    """For each class of the new flow, its place in the old one or `None`; `None` without classes.

    Raises:
        ValueError: If these cannot be classes of the new flow.
    """
    if num_classes is None and class_names is None:
        return None if flow.num_classes is None else list(range(flow.num_classes))
    if flow.num_classes is None:
        kind = "conditions that are no classes" if flow.has_conditions else "no conditions"
        raise ValueError(
            "The new flow has the conditions of the trained one: leave num_classes and class_names "
            f"out. Received: num_classes={num_classes}, class_names={class_names!r:.100}, and a "
            f"flow with {kind}"
        )
    names = None if class_names is None else checked_class_names(class_names)
    count = len(names) if num_classes is None and names else num_classes
    if names is not None and len(names) != count:
        raise ValueError(
            f"class_names must name every class, {count} in all. Received: {len(names)} names"
        )
    if names is not None and flow.class_names is not None:
        known = {name: place for place, name in enumerate(flow.class_names)}
        return [known.get(name) for name in names]
    _check_count(flow, count, named=names is not None)
    return [place if place < flow.num_classes else None for place in range(int(count or 0))]


def _check_count(flow: FlowMatching, count: Any, named: bool) -> None:
    whole = isinstance(count, (int, np.integer)) and not isinstance(count, bool)
    if not whole or count < int(flow.num_classes or 0):
        raise ValueError(
            "num_classes counts the classes of the trained flow, which stay, and the new ones: "
            f"{flow.num_classes} or more. Received: num_classes={count!r}"
        )
    if flow.class_names is not None and count != flow.num_classes and not named:
        raise ValueError(
            "The trained flow's classes have names: name all, class_names=[*flow.class_names, "
            f"...]. Received: num_classes={count}"
        )


def _names(flow: FlowMatching, kept: list[int | None] | None, class_names: Any) -> Any:
    if class_names is not None or kept is None or flow.class_names is None:
        return class_names
    return list(flow.class_names)


# Weights


def _made(flow: FlowMatching, changes: dict[str, Any]) -> FlowMatching:
    config = {**flow.get_config(), **changes}
    # The method says what trains.
    del config["trains"]
    if isinstance(flow, LatentFlow):
        config["autoencoder"] = flow.codec.copy_of(flow.codec.weights)
    return type(flow).from_config(config)


def _averaged(flow: FlowMatching, weights: Any) -> list[np.ndarray]:
    values = weights if flow.average is None else flow.average.of(weights)
    return [keras.ops.convert_to_numpy(value) for value in values]


def _take_over_conditions(
    flow: FlowMatching, new: FlowMatching, kept: list[int | None] | None
) -> None:
    for name in ("condition_encoder", "condition_scale"):
        old, other = getattr(flow, name), getattr(new, name)
        if old is not None:
            for weight, value in zip(other.weights, _averaged(flow, old.weights)):
                weight.assign(value)
    if flow.condition_embedding is None:
        return
    old = {
        weight.name: value
        for weight, value in zip(
            flow.condition_embedding.weights, _averaged(flow, flow.condition_embedding.weights)
        )
    }
    if kept is not None:
        mean = old["table"].mean(axis=0)
        rows = [mean if place is None else old["table"][place] for place in kept]
        old["table"] = np.stack(rows)
    for weight in new.condition_embedding.weights:
        if weight.name in old:
            weight.assign(old[weight.name])
