"""What a sink did, in numbers that add up."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, fields
from datetime import timedelta
from typing import Any, Literal, TypeAlias

State: TypeAlias = Literal["open", "running", "stalled", "stopping", "closed", "failed"]
"""Where a sink stands: ``open`` is not started yet, ``stalled`` reads, but the destination takes no rows, ``closed`` and ``failed``
have ended."""


@dataclass(frozen=True)
class Latency:
    """From receipt to commit, of the events committed since the sink was opened; exact to one part in a hundred."""

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
    """The numbers of a sink at a moment. ``repr`` shows those that are not 0.

    At every quiet moment ``received + recovered + replayed`` equals
    ``inserted + updated + unchanged + confirmed + collapsed + dead_lettered + pending``.

    >>> Stats(state="running", received=10, inserted=9, dead_lettered=1)
    Stats(state='running', received=10, inserted=9, dead_lettered=1)
    """

    state: State
    """Where the sink stands."""
    received: int = 0
    """Events taken from the stream or given by the application, since the sink was opened."""
    recovered: int = 0
    """Events found in the spool when it was opened that were not yet applied."""
    inserted: int = 0
    """Events that made a new row."""
    updated: int = 0
    """Events that changed a row."""
    unchanged: int = 0
    """Events that left their row as it was."""
    confirmed: int = 0
    """Events whose commit was not answered but was found done afterwards: it is not known what they did."""
    collapsed: int = 0
    """Events merged with a later one of the same key in the same batch."""
    dead_lettered: int = 0
    """Events kept as dead letters."""
    pending: int = 0
    """Events in the spool, not yet applied."""
    reconnects: int = 0
    """Connections to the stream that were opened because the one before was lost or closed."""
    token_renewals: int = 0
    """Tokens fetched after the first."""
    batches: int = 0
    """Transactions committed."""
    notices_dropped: int = 0
    """Notices dropped because the application did not poll in time."""
    replayed: int = 0
    """Dead letters put into the spool again by a replay, since the sink was opened."""
    pending_bytes: int = 0
    """Size of what is in the spool, in bytes."""
    latency: Latency = Latency()
    """From receipt to commit."""
    last_error: str | None = None
    """The last error, if there was one."""

    @property
    def is_balanced(self) -> bool:
        """Whether the numbers add up, as they always do when nothing is under way.

        >>> Stats(state="closed", received=10, inserted=9).is_balanced
        False
        """
        settled = self.inserted + self.updated + self.unchanged + self.confirmed + self.collapsed + self.dead_lettered
        return self.received + self.recovered + self.replayed == settled + self.pending

    def __repr__(self) -> str:
        empty = Stats(state=self.state)
        values = ((field.name, getattr(self, field.name)) for field in fields(self))
        shown = (f"{name}={value!r}" for name, value in values if name == "state" or value != getattr(empty, name))
        return f"Stats({', '.join(shown)})"


_NAMES = frozenset(field.name for field in fields(Stats))


def from_json(text: str | Mapping[str, Any]) -> Stats:
    """Stats as the native module tells them."""
    found = json.loads(text) if isinstance(text, str) else dict(text)
    times = {name.removesuffix("_us"): timedelta(microseconds=us) for name, us in found.pop("latency").items()}
    # A counter that is newer than this file is in no field yet.
    known = {name: value for name, value in found.items() if name in _NAMES}
    return Stats(**known, latency=Latency(**times))
