"""The statistics of a sink: its state, its counters and its latency."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, fields
from datetime import timedelta
from typing import Any, Literal, TypeAlias

State: TypeAlias = Literal["open", "running", "stalled", "stopping", "closed", "failed"]
"""The state of a sink: ``open`` is not started yet, ``stalled`` reads, but the destination takes no rows, ``closed`` and ``failed``
have ended."""


@dataclass(frozen=True)
class Latency:
    """A distribution of times, exact to one part in a hundred."""

    p50: timedelta = timedelta()
    """Half of the events were faster."""
    p90: timedelta = timedelta()
    """Nine of ten events were faster."""
    p99: timedelta = timedelta()
    """99 of 100 events were faster."""
    max: timedelta = timedelta()
    """The slowest event."""

    def __repr__(self) -> str:
        times = ((field.name, getattr(self, field.name) / timedelta(milliseconds=1)) for field in fields(self))
        return f"Latency({', '.join(f'{name}={ms:g}ms' for name, ms in times)})"


@dataclass(frozen=True)
class Stats:
    """The statistics of a sink at one moment. ``repr`` shows the counters that are not 0.

    Whenever no batch is in progress,
    ``received + recovered + replayed = inserted + updated + unchanged + confirmed + coalesced + dead_lettered + superseded + pending``.

    >>> Stats(state="running", received=10, inserted=9, dead_lettered=1)
    Stats(state='running', received=10, inserted=9, dead_lettered=1)
    """

    state: State
    """The state of the sink."""
    received: int = 0
    """Events accepted from the stream or from the application, since the sink was opened."""
    recovered: int = 0
    """Events found in the spool when it was opened that were not committed to the table yet."""
    replayed: int = 0
    """Events of dead letters appended to the spool again by a replay, since the sink was opened."""
    inserted: int = 0
    """Events that made a new row."""
    updated: int = 0
    """Events that changed a row."""
    unchanged: int = 0
    """Events that left their row as it was (``destination.update`` = ``changed`` or ``newer``, or nothing to update)."""
    confirmed: int = 0
    """Events of an in-doubt transaction that turned out to be committed: inserted, updated or unchanged, it is not known which."""
    coalesced: int = 0
    """Events coalesced into a later one of the same key in the same batch."""
    dead_lettered: int = 0
    """Events kept as dead letters."""
    superseded: int = 0
    """Replayed events that left their row as it was: a later event of their key had been written."""
    pending: int = 0
    """Events in the spool that are not committed to the table yet: the lag."""
    reconnects: int = 0
    """Connections to the stream opened because the one before was lost or closed. A planned one, which takes over before the
    token expires (``stream.renew_before_expiry``), does not count; its token does, in ``token_renewals``."""
    token_renewals: int = 0
    """Tokens fetched after the first."""
    batches: int = 0
    """Transactions committed."""
    notices_dropped: int = 0
    """Notices dropped because the application did not poll in time."""
    messages: int = 0
    """Messages of the stream: those with events, and the ignored ones. A message has one event unless ``[event]`` says otherwise."""
    ignored: int = 0
    """Messages of the stream without an event: answers, heartbeats, those of ``stream.ignore``, arrays without elements."""
    pending_bytes: int = 0
    """The space of the pending events in the spool file, in bytes."""
    latency: Latency = Latency()
    """The time from receipt to commit, of the events committed since the sink was opened."""
    last_error: str | None = None
    """The last error, if there was one."""

    @property
    def is_balanced(self) -> bool:
        """Whether every accepted event has an outcome or is pending. True whenever no batch is in progress.

        >>> Stats(state="closed", received=10, inserted=9).is_balanced
        False
        """
        written = self.inserted + self.updated + self.unchanged + self.confirmed + self.coalesced
        done = written + self.dead_lettered + self.superseded
        return self.received + self.recovered + self.replayed == done + self.pending

    def __repr__(self) -> str:
        empty = Stats(state=self.state)
        values = ((field.name, getattr(self, field.name)) for field in fields(self))
        shown = (f"{name}={value!r}" for name, value in values if name == "state" or value != getattr(empty, name))
        return f"Stats({', '.join(shown)})"


_NAMES = frozenset(field.name for field in fields(Stats))


def from_json(text: str | Mapping[str, Any]) -> Stats:
    """Stats from the JSON of the native module."""
    found = json.loads(text) if isinstance(text, str) else dict(text)
    times = {name.removesuffix("_us"): timedelta(microseconds=us) for name, us in found.pop("latency").items()}
    # A counter that is newer than this file is in no field yet.
    known = {name: value for name, value in found.items() if name in _NAMES}
    return Stats(**known, latency=Latency(**times))
