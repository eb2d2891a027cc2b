"""The ledger of the stream's connections, and the times in which events may have been missed."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

from cxsink import _cxsink
from cxsink._config import Config, ConfigValue, native
from cxsink._times import to_datetime, to_datetime_or_none


@dataclass(frozen=True)
class StreamConnection:
    """One connection to the stream. Times are in UTC, by this machine's clock."""

    id: int
    """Ascending with time."""
    opened_at: datetime
    """When the stream was open."""
    first_event_at: datetime | None
    """When the first event was read."""
    last_event_at: datetime | None
    """When the last event was read; noted every few seconds, so a process that was killed may have read some more."""
    events: int
    """How many events were read; noted every few seconds."""
    ended_at: datetime | None
    """When it ended. ``None`` while it is open, and for ever if the process ended without ending it."""
    cause: str | None
    """Why it ended; ``None`` while it is open."""
    status: int | None
    """The close code that the server gave (RFC 6455 section 7.4)."""
    tries_failed: int
    """How many tries failed before this one, since the connection before."""
    try_error: str | None
    """Why the last of these failed."""


@dataclass(frozen=True)
class Gap:
    """A time in which events may have been missed, for a backfill. Never too short."""

    start: datetime
    """When the last event was read, or, if the server ended the connection in order, when it did."""
    end: datetime | None
    """When the next connection was open; ``None`` if there is none yet."""
    cause: str
    """Why the connection before it ended."""
    status: int | None
    """The close code that the server gave (RFC 6455 section 7.4)."""
    tries_failed: int
    """How many tries to connect failed during it."""
    try_error: str | None
    """Why the last of these failed."""


def connections(config: Config | Mapping[str, ConfigValue] | None = None, /) -> list[StreamConnection]:
    """The last 10,000 connections of the spool that ``spool.path`` names, the oldest first; also while a sink has it open.

    Args:
        config: The configuration; ``None`` is the environment.

    Raises:
        SpoolError: There is no such file, or it is not a spool.

    >>> connections({"spool.path": "/nowhere/spool.db"})
    Traceback (most recent call last):
    cxsink.exceptions.SpoolError: opening the spool /nowhere/spool.db: there is no such file
    Hint: set spool.path to the spool of the sink that you want to look into
    """
    return connections_from(_cxsink.connections(native(config)))


def gaps(config: Config | Mapping[str, ConfigValue] | None = None, /) -> list[Gap]:
    """The times in which events may have been missed, the oldest first: between two connections, and since the last one if it has
    ended. Times in which no process ran are among them.

    Args:
        config: The configuration; ``None`` is the environment.

    Raises:
        SpoolError: There is no such file, or it is not a spool.

    >>> for gap in gaps(config):  # none: this spool has never seen a stream
    ...     print(gap.start, gap.end, gap.cause)
    """
    return gaps_from(_cxsink.gaps(native(config)))


def connections_from(texts: Iterable[str]) -> list[StreamConnection]:
    return [_connection(text) for text in texts]


def gaps_from(texts: Iterable[str]) -> list[Gap]:
    return [_gap(text) for text in texts]


def _connection(text: str) -> StreamConnection:
    found = json.loads(text)
    times = {name: to_datetime_or_none(at) for name, at in found.items() if name.endswith("_at")}
    return StreamConnection(**{**found, **times})


def _gap(text: str) -> Gap:
    found = json.loads(text)
    start, end = to_datetime(found.pop("from")), to_datetime_or_none(found.pop("to"))
    return Gap(**found, start=start, end=end)
