"""The connections to the stream, and the gaps between them, in which events may have been missed."""

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
    """A connection to the stream. Times are in UTC, from this machine's clock."""

    id: int
    """The number of the connection; it grows with time."""
    opened_at: datetime
    """The time at which the stream was open."""
    first_event_at: datetime | None
    """The time at which the first event was read."""
    last_event_at: datetime | None
    """The time at which the last event was read. It is recorded every few seconds, so a process that was killed may have read more."""
    events: int
    """The number of events read, recorded every few seconds."""
    ended_at: datetime | None
    """The time at which it ended. ``None`` while it is open, and forever if the process ended without ending it."""
    cause: str | None
    """The cause of its end; ``None`` while it is open."""
    close_code: int | None
    """The close code from the server (RFC 6455 section 7.4)."""
    tries_failed: int
    """The number of failed tries to connect before this one, since the connection before."""
    try_error: str | None
    """The reason why the last of them failed."""


@dataclass(frozen=True)
class Gap:
    """A time in which events may have been missed, for a backfill. It is never too short."""

    start: datetime
    """The time of the last event, or of the end of the connection if the server closed it in order."""
    end: datetime | None
    """The time at which the next connection was open; ``None`` if there is none yet."""
    cause: str
    """The cause of the end of the connection before, or the reason why the destination lost rows."""
    close_code: int | None
    """The close code from the server (RFC 6455 section 7.4)."""
    tries_failed: int
    """The number of tries to connect that failed during the gap."""
    try_error: str | None
    """The reason why the last of them failed."""


def connections(config: Config | Mapping[str, ConfigValue] | None = None, /) -> list[StreamConnection]:
    """The last 10,000 connections of the spool that ``spool.path`` names, the oldest first; also while a sink has it open.

    Args:
        config: The configuration; ``None`` is the environment.

    Raises:
        SpoolError: The file does not exist, or is not a spool.

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
        SpoolError: The file does not exist, or is not a spool.

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
