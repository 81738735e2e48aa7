"""A search space that says itself what it is: defaults, narrowed and extended by a dict."""

from __future__ import annotations

import dataclasses
import difflib
import hashlib
import json
import numbers
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from keras_transgen.training.counts import is_count, is_weight
from keras_transgen.tuning.domains import Choices, Domain, Fixed, Range, domain_of

MARKER = "search_space"


class _LeftOut:
    """The default of what is no part of the search until the user says so."""

    def __repr__(self) -> str:
        return "left out"


LEFT_OUT = _LeftOut()
Condition = Sequence[Any] | Callable[[Any], bool]


@dataclasses.dataclass(frozen=True)
class Hyperparameter:
    """One line of a documented search space.

    Attributes:
        name: Its name.
        default: What a user would have to give for the same; `LEFT_OUT` for what the model's own
            default decides unless the user names it.
        when: For which values of hyperparameters before it it exists, as a list of them or as a
            function that tells; always if empty.
        allowed: All words and numbers there are, where that is a closed set; layers and functions
            are beside it.
    """

    name: str
    default: Any = LEFT_OUT
    when: Mapping[str, Condition] = dataclasses.field(default_factory=dict)
    allowed: Sequence[Any] | None = None


class SearchSpace:
    """Hyperparameters with their domains and conditions, to be declared to a tuner and read back.

    Those that others depend on come first. `fixed` is what else makes the search what it is (number
    of classes, image shape), as JSON values: a search with other ones is another search.
    """

    def __init__(
        self,
        owner: str,
        known: Sequence[Hyperparameter],
        given: Mapping[str, Any] | None,
        fixed: Mapping[str, Any],
    ) -> None:
        given = dict(given or {})
        names = [each.name for each in known]
        unknown = [name for name in given if name not in names]
        if unknown:
            near = difflib.get_close_matches(str(unknown[0]), names, n=1)
            hint = f" Did you mean {near[0]!r}?" if near else ""
            raise ValueError(
                f"There is no such hyperparameter.{hint} {owner} knows {names}. "
                f"Received: space with {unknown}"
            )
        self.owner = owner
        self._domains: dict[str, Domain] = {}
        self._conditions: dict[str, dict[str, list[Any]]] = {}
        for each in known:
            self._add(each, given)
        unused = [name for name in given if name not in self._domains]
        if unused:
            needed = {each.name: list(each.when) for each in known if each.name in unused}
            raise ValueError(
                "A hyperparameter must be possible: those that it depends on are fixed to other "
                f"values. Received: space with {unused}; they depend on {needed}"
            )
        content = json.dumps([self.described(), self._conditions, dict(fixed)], sort_keys=True)
        self.label = f"{owner} {hashlib.sha256(content.encode()).hexdigest()[:12]}"

    def _add(self, each: Hyperparameter, given: dict[str, Any]) -> None:
        asked = given.get(each.name, each.default)
        if asked is LEFT_OUT:
            return
        domain = domain_of(each.name, asked)
        if each.allowed is not None:
            _refuse_values(each, domain)
        _refuse_numbers(each.name, domain)
        conditions: dict[str, list[Any]] = {}
        for parent, values in each.when.items():
            if parent not in self._domains:
                return
            met = self._met(parent, values)
            if not met:
                return
            conditions |= self._conditions[parent]
            if met is not True:
                conditions[parent] = met
        self._domains[each.name] = domain
        self._conditions[each.name] = conditions

    def _met(self, parent: str, condition: Condition) -> list[Any] | bool:
        """Which labels of a parent meet a condition; whether always or never, where that is so."""
        domain = self._domains[parent]
        if isinstance(domain, Fixed):
            return _meets(domain.value, condition)
        if isinstance(domain, Range):
            raise ValueError(
                f"Other hyperparameters depend on {parent!r}: give it choices or a fixed value. "
                f"Received: a range of {parent!r}"
            )
        pairs = zip(domain.labels, domain.values)
        met = [label for label, value in pairs if _meets(value, condition)]
        return met if 0 < len(met) < len(domain.labels) else bool(met)

    def described(self) -> dict[str, Any]:
        """Names and what each may be, as JSON values."""
        return {name: domain.described() for name, domain in self._domains.items()}

    def possible(self, name: str) -> list[Any]:
        """What a hyperparameter may be; nothing if it is no part of the search."""
        return self._domains[name].possible() if name in self._domains else []

    def searched(self) -> list[str]:
        """Names of the hyperparameters that are searched for, not fixed."""
        return [name for name, each in self._domains.items() if not isinstance(each, Fixed)]

    # Towards Keras Tuner

    def declare(self, hp: Any) -> None:
        """Register the whole space, conditional parts included, and which space it is."""
        hp.Fixed(MARKER, self.label)
        for name in self.searched():
            self._declare_within(hp, name, list(self._conditions[name].items()))

    def _declare_within(self, hp: Any, name: str, conditions: list[tuple[str, list[Any]]]) -> None:
        if not conditions:
            domain = self._domains[name]
            assert not isinstance(domain, Fixed)
            domain.declare(hp, name)
            return
        (parent, labels), *rest = conditions
        with hp.conditional_scope(parent, labels):
            self._declare_within(hp, name, rest)

    def read(self, hp: Any) -> dict[str, Any]:
        """The values of a trial, of those hyperparameters that exist in it.

        One that does not know the space yet learns it; that of another space is a `ValueError`.
        """
        if MARKER not in hp:
            self.declare(hp)
        if hp.get(MARKER) != self.label:
            raise ValueError(self.other_space(hp.get(MARKER)))
        values: dict[str, Any] = {}
        labels: dict[str, Any] = {}
        for name, domain in self._domains.items():
            if any(labels.get(parent) not in met for parent, met in self._conditions[name].items()):
                continue
            if isinstance(domain, Fixed):
                values[name] = domain.value
                continue
            labels[name] = hp.get(name)
            values[name] = domain.value(labels[name])
        return values

    def other_space(self, found: Any) -> str:
        """The message for a search over another space, with what its marker says, if it has one."""
        return (
            "The tuner's folder holds a search over another space (other choices, another model or "
            "other arguments), whose trials cannot be compared with these. Give the tuner another "
            "directory or project_name, or overwrite=True to begin anew. "
            f"Received: {found or 'a search without this package'}; expected: {self.label}"
        )


def _meets(value: Any, condition: Condition) -> bool:
    return condition(value) if callable(condition) else value in condition


# Of hyperparameters of several searches: numbers of things, and shares below 1.
_COUNTS = (
    "batch_size", "batch_tokens", "discriminator_steps", "embedding_dim", "feedforward_dim",
    "filters", "head_epochs", "head_width", "hidden_units", "latent_dim", "model_dim",
    "num_heads", "num_layers", "rank", "width",
)  # fmt: skip
_SHARES = ("dropout", "ema_decay", "unlabelled_probability")


def _refuse_numbers(name: str, domain: Domain) -> None:
    """Refuse numbers that no model could be built with, before a trial fails by them.

    What is no number is the model's to judge.
    """
    # The ends of a range say it of all that lies between.
    values = (
        [domain.min_value, domain.max_value] if isinstance(domain, Range) else domain.possible()
    )
    for value in values:
        if not isinstance(value, numbers.Real):
            continue
        if name in _COUNTS and not is_count(value):
            expected = "whole numbers from 1 up"
        elif name.endswith("learning_rate") and not (is_weight(value) and value):
            expected = "numbers above 0"
        elif name in _SHARES and not (is_weight(value) and value < 1.0):
            expected = "at least 0 and below 1"
        else:
            continue
        raise ValueError(
            f"{name!r} must be {expected}. Received: {value!r} in space={{{name!r}: ...}}"
        )


def _refuse_values(each: Hyperparameter, domain: Domain) -> None:
    values = domain.values if isinstance(domain, Choices) else ()
    values = (domain.value,) if isinstance(domain, Fixed) else values
    allowed = list(each.allowed or ())
    wrong = [value for value in values if not callable(value) and value not in allowed]
    if isinstance(domain, Range) or wrong:
        raise ValueError(
            f"{each.name!r} must be of {allowed}. "
            f"Received: {wrong or domain.described()} in space={{{each.name!r}: ...}}"
        )
