"""What the audit says of a module."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

from keras_transgen.datasets.printable import printable

_LISTED_IN_ERROR = 20


@dataclasses.dataclass(frozen=True)
class UnsafeOp:
    """One op, function or object that the audit refuses.

    Attributes:
        op: The op's name, as in `"WriteFile"`.
        where: The function it sits in, and what reaches that function.
        reason: Why it is refused, as a verb phrase.
    """

    op: str
    where: str
    reason: str

    def __str__(self) -> str:
        return printable(f"{self.op} {self.reason} ({self.where})")


@dataclasses.dataclass(frozen=True)
class AuditReport:
    """What a SavedModel's protocol buffer says about it.

    Attributes:
        ops: How often each op occurs, in the graph and all functions.
        unsafe: What the audit refuses; empty for a module that is safe to load. Of very many,
            the first hundred.
        doubtful: What TensorFlow may compute ahead while it reads the graph, of which the audit
            cannot tell that it is small; a loader tries it in a process that may be lost.
        functions: How many functions the module has.
        loads_assets: Names of the asset files it reads.
        has_call: Whether its root object can be called.
        call_takes_training: Whether that call takes `training`, None where it cannot be told.
        signatures: Names of its signatures.
    """

    ops: Mapping[str, int]
    unsafe: tuple[UnsafeOp, ...]
    functions: int
    loads_assets: tuple[str, ...]
    has_call: bool
    call_takes_training: bool | None
    signatures: tuple[str, ...]
    doubtful: tuple[UnsafeOp, ...] = ()


class UnsafeModuleError(ValueError):
    """A module holds what could read or write files, call Python, leave the machine, or not end.

    Attributes:
        report: The whole `AuditReport`.
    """

    def __init__(
        self, folder: str, report: AuditReport, against: tuple[UnsafeOp, ...] | None = None
    ) -> None:
        self.report = report
        found = report.unsafe if against is None else against
        lines = list(dict.fromkeys(f"  - {each}" for each in found))
        if len(lines) > _LISTED_IN_ERROR:
            lines[_LISTED_IN_ERROR:] = [f"  - and {len(lines) - _LISTED_IN_ERROR} more"]
        listing = "\n".join(lines)
        super().__init__(
            "Expected a module that only computes. This one holds ops that a network does not "
            f"need, so nothing of it was loaded:\n{listing}\n"
            "If you trust whoever made it, load it with allow_unsafe_ops=True. "
            f"Received: folder={folder}"
        )
