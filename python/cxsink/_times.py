"""Times and timeouts between Python's types and the native module's numbers."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import Union

TimeLimit = Union[float, timedelta, None]
"""Seconds, or a ``timedelta``; ``None`` waits without limit."""

_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)


def seconds(timeout: TimeLimit) -> float | None:
    return timeout.total_seconds() if isinstance(timeout, timedelta) else timeout


def to_datetime(micros: int) -> datetime:
    """Microseconds since 1970-01-01 UTC as a time in UTC; exact, unlike ``fromtimestamp``."""
    return _EPOCH + timedelta(microseconds=micros)


def to_datetime_or_none(micros: int | None) -> datetime | None:
    return None if micros is None else to_datetime(micros)


def to_micros(time: datetime) -> int:
    """A time as microseconds since 1970-01-01 UTC. A time without a zone is local time, as everywhere in Python."""
    return (time.astimezone(timezone.utc) - _EPOCH) // timedelta(microseconds=1)
