"""Generations that choose tokens, compiled once for each way to choose."""

from __future__ import annotations

import functools
from collections.abc import Callable, Hashable
from typing import Any

from keras_transgen.sequences.decoding.token_choice import Choice, chosen_by
from keras_transgen.sequences.traced_by_shape import TracedByShape


def compiled_choice(
    functions: dict[Any, Any],
    name: Hashable,
    generate: Callable[..., Any],
    choice: Choice,
    vocabulary_size: int,
) -> Callable[..., Any]:
    """A generation that chooses tokens, as a function of tensors that XLA compiles.

    Args:
        functions: Of the model, by what they do; where another one is kept.
        name: Of the generation.
        generate: Takes a function that chooses (`sampling_loop.Choose`), then tensors.
        choice: How tokens are chosen; other numbers of the same mode compile nothing.
        vocabulary_size: How many tokens there are.

    Returns:
        `generate` without its first argument; further shapes are traced by TensorFlow.
    """
    mode = choice.mode
    if (name, mode) not in functions:

        def generated(numbers: Any, *inputs: Any) -> Any:
            return generate(chosen_by(mode, numbers), *inputs)

        functions[name, mode] = compiled_loop(generated)
    return functools.partial(functions[name, mode], choice.numbers(vocabulary_size))


def compiled_loop(function: Callable[..., Any]) -> Callable[..., Any]:
    """A function with a loop that generates, compiled for each shape.

    Always by XLA: outside of it such loops end early or compute wrongly, in silence.
    """
    return TracedByShape(function, jit_compile=True)
