"""Notices: reports of a sink. Each kind is a class, for ``isinstance`` and ``match``."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal, TypeAlias

from cxsink import _stats
from cxsink._stats import State, Stats
from cxsink.exceptions import Error, Violation, from_detail, violations_from

Kind: TypeAlias = Literal["state", "rejected", "error", "stats", "stored"]
Stage: TypeAlias = Literal["message", "json", "schema", "mapping", "database", "guard"]


class Notice:
    """Something that happened in the sink. Notices carry no events.

    >>> notice: Notice = StoredNotice(inserted=3)
    >>> notice.kind
    'stored'
    """

    kind: ClassVar[Kind]
    """``state``, ``rejected``, ``error``, ``stats`` or ``stored``, as in the C library."""


@dataclass(frozen=True)
class StateNotice(Notice):
    """The sink's state changed."""

    kind: ClassVar[Kind] = "state"
    state: State
    """The new state."""


@dataclass(frozen=True)
class RejectedNotice(Notice):
    """An event became a dead letter. The dead letter itself has the event."""

    kind: ClassVar[Kind] = "rejected"
    offset: int
    """The offset of the event in the spool, and of its dead letter."""
    stage: Stage
    """The stage that rejected it: ``message``, ``json``, ``schema``, ``mapping``, ``database`` or ``guard``."""
    reason: str
    """The reason, in one line, without values of the event."""
    violations: tuple[Violation, ...] = field(default=(), repr=False)
    """Every way in which it violates the schema or does not fit the table."""
    sqlstate: str | None = None
    """The SQLSTATE (PostgreSQL manual, appendix A), if the database refused it."""


@dataclass(frozen=True)
class ErrorNotice(Notice):
    """Something failed. The sink continues by itself, unless its state becomes ``failed``."""

    kind: ClassVar[Kind] = "error"
    error: Error
    """The exception that a call would have raised."""


@dataclass(frozen=True)
class StatsNotice(Notice):
    """The statistics, every ten seconds from the start on, while the application polls."""

    kind: ClassVar[Kind] = "stats"
    stats: Stats


@dataclass(frozen=True)
class StoredNotice(Notice):
    """A batch was committed. ``Stats`` explains the counts; ``repr`` shows those that are not 0.

    >>> StoredNotice(inserted=3, coalesced=1)
    StoredNotice(inserted=3, coalesced=1)
    """

    kind: ClassVar[Kind] = "stored"
    inserted: int = 0
    updated: int = 0
    unchanged: int = 0
    confirmed: int = 0
    coalesced: int = 0
    dead_lettered: int = 0
    superseded: int = 0

    def __repr__(self) -> str:
        return f"StoredNotice({', '.join(f'{name}={count}' for name, count in vars(self).items() if count)})"


def from_json(text: str) -> Notice:
    """A notice, from the JSON of the native module."""
    found: dict[str, Any] = json.loads(text)
    kind = found.pop("kind")
    if kind == "state":
        return StateNotice(**found)
    if kind == "rejected":
        return RejectedNotice(**{**found, "violations": violations_from(found)})
    if kind == "error":
        return ErrorNotice(from_detail(found["error"]))
    if kind == "stats":
        return StatsNotice(_stats.from_json(found["stats"]))
    return StoredNotice(**found)
