"""Loss, gradient penalty and range of values, where a game leaves them to its networks."""

from __future__ import annotations

from typing import Any, NamedTuple

_AUTO = "auto"


class GameSettings(NamedTuple):
    """What a game is played by; `None` for no penalty and for values without bounds."""

    loss: Any
    gradient_penalty: Any
    value_range: Any


def game_settings(
    networks: str | None, loss: Any, gradient_penalty: Any, value_range: Any
) -> GameSettings:
    """The settings of a game, with those that are `"auto"` chosen for its networks.

    Args:
        networks: What `networks_named` found, or `None` for networks that were handed in.
        loss: `"auto"` is `"wasserstein"` for `"residual_1d"`, else `"non_saturating"`.
        gradient_penalty: `"auto"` is `"wgan_gp"` for `"residual_1d"` whose loss is `"auto"`, else
            none.
        value_range: `"auto"` is `(0, 1)` for `"residual_1d"`, else `(-1, 1)`.

    Returns:
        Loss, gradient penalty and range of values.

    Example:
        ```python
        from keras_transgen.generative.adversarial.game_settings import game_settings

        chosen = game_settings("residual_1d", "auto", "auto", "auto")
        assert chosen == ("wasserstein", "wgan_gp", (0.0, 1.0))
        ```
    """
    of_symbols = networks == "residual_1d"
    if _is_auto(gradient_penalty):
        gradient_penalty = "wgan_gp" if of_symbols and _is_auto(loss) else None
    if _is_auto(loss):
        loss = "wasserstein" if of_symbols else "non_saturating"
    if _is_auto(value_range):
        value_range = (0.0, 1.0) if of_symbols else (-1.0, 1.0)
    return GameSettings(loss, gradient_penalty, value_range)


def _is_auto(setting: Any) -> bool:
    return isinstance(setting, str) and setting == _AUTO
