"""Names in an order in which each comes after those that it needs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping


def in_order(needs: Mapping[str, Iterable[str]]) -> list[str]:
    """Sort names so that each comes after those that it needs; linear, and without recursion."""
    waiting = {name: set(sources) & needs.keys() for name, sources in needs.items()}
    consumers: dict[str, list[str]] = {}
    for name, sources in waiting.items():
        for source in sources:
            consumers.setdefault(source, []).append(name)
    ready = [name for name, sources in waiting.items() if not sources]
    for name in ready:
        for consumer in consumers.get(name, ()):
            waiting[consumer].discard(name)
            if not waiting[consumer]:
                ready.append(consumer)
    return ready
