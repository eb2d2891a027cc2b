"""Dead letters: events that could not be stored, with the reason."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

from cxsink import _cxsink
from cxsink._config import Config, ConfigValue, native
from cxsink._notices import Stage
from cxsink._times import TimeLimit, seconds, to_datetime, to_datetime_or_none, to_micros
from cxsink.exceptions import Violation, violations_from


@dataclass(frozen=True)
class DeadLetter:
    """An event that was set aside. Times are in UTC. ``repr`` leaves the event out, which may be personal data."""

    offset: int
    """The event's place in the spool; unique within a spool."""
    received_at: datetime
    """When the event was received."""
    rejected_at: datetime
    """When it was set aside."""
    stage: Stage
    """How far it came: ``json``, ``schema``, ``mapping`` or ``database``."""
    reason: str
    """Why, in one line, without values of the event."""
    violations: tuple[Violation, ...] = field(repr=False)
    """Every way in which it misses the schema or the table."""
    sqlstate: str | None
    """The database's SQLSTATE, where the database refused it."""
    constraint: str | None
    """The constraint that refused it."""
    column: str | None
    """The column that its value does not fit."""
    exported_at: datetime | None
    """When it was exported."""
    replayed_at: datetime | None
    """When it was put into the spool again."""
    replayed_as: int | None
    """The offset that it was given then."""
    event: bytes = field(repr=False)
    """The event, byte for byte."""


@dataclass(frozen=True)
class Purged:
    """What a purge did."""

    deleted: int
    """How many were deleted."""
    unseen: int
    """How many are left because they were neither exported nor replayed, among those of the time asked for."""
    unfinished: int
    """How many are left because the sink has not finished the batch that they came in."""


@dataclass(frozen=True)
class Fate:
    """What became of a dead letter in a replay."""

    offset: int
    fate: Literal["replayed", "rejected", "skipped"]
    """``replayed``: an event again. ``rejected``: still not valid. ``skipped``: there was nothing to replay."""
    replayed_as: int | None = None
    """Its offset as an event; ``None`` in a dry run."""
    stage: Stage | None = None
    """How far it came, if it is still not valid."""
    reason: str | None = None
    """Why it is still not valid."""
    violations: tuple[Violation, ...] = field(default=(), repr=False)
    """Every way in which it misses the schema or the table."""


@dataclass(frozen=True)
class Replayed:
    """What a replay did."""

    replayed: int
    """How many are events again, and on their way to the table."""
    rejected: int
    """How many are still not valid; they stay dead letters."""
    skipped: int
    """How many of the offsets asked for had nothing to replay."""
    letters: tuple[Fate, ...] = field(repr=False)
    """The fates of the first 10,000; empty when the sink of another process replayed them."""
    by: str | None
    """The process whose sink replayed them, if it was not this one's: under the configuration that it was started with."""


class DeadLetters:
    """The dead letters of the spool file that ``spool.path`` names; also while a sink has it open, and without one.

    Args:
        config: The configuration; ``None`` is the environment. Only ``spool.path`` matters.

    Raises:
        SpoolError: There is no such file, or it is not a spool.

    >>> for letter in DeadLetters(config):
    ...     print(letter.offset, letter.stage, letter.event)
    0 json b'{'
    """

    __slots__ = ("_native",)

    def __init__(self, config: Config | Mapping[str, ConfigValue] | None = None, /) -> None:
        self._native = _cxsink.DeadLetters(native(config))

    def __iter__(self) -> Iterator[DeadLetter]:
        """All of them, the oldest first; read a page at a time, since there may be millions."""
        return self.list()

    def __len__(self) -> int:
        return self._native.count()

    def list(self, start: int = 0, limit: int | None = None) -> Iterator[DeadLetter]:
        """From the offset ``start`` on, the oldest first; at most ``limit``."""
        return pages(self._native.list, start, limit)

    def get(self, offset: int) -> DeadLetter:
        """The one with this offset.

        Raises:
            KeyError: There is none.

        >>> DeadLetters(config).get(0).reason
        'the event is not JSON: EOF while parsing an object at line 1 column 1'
        """
        for letter in self.list(offset, 1):
            if letter.offset == offset:
                return letter
        raise KeyError(offset)

    def mark_exported(self, offsets: Iterable[int]) -> None:
        """Notes that these were exported: when ``dead_letters.bytes_max`` is reached, they may go.

        >>> letters = DeadLetters(config)
        >>> letters.mark_exported(letter.offset for letter in letters)
        """
        self._native.mark_exported([*offsets])

    def purge(
        self, *, exported: bool = False, replayed: bool = False, unseen: bool = False, before: datetime | None = None
    ) -> Purged:
        """Deletes dead letters for good.

        Args:
            exported: Those that were exported.
            replayed: Those that were replayed.
            unseen: Those that were neither: nothing is left of them then.
            before: Of these, only those that were set aside before this time.

        Raises:
            ArgumentError: None are selected.
            SpoolError: The file cannot be written.

        >>> DeadLetters(config).purge(replayed=True)
        Purged(deleted=0, unseen=0, unfinished=0)
        """
        micros = None if before is None else to_micros(before)
        return Purged(*self._native.purge(exported, replayed, unseen, micros))


def replay(
    config: Config | Mapping[str, ConfigValue] | None = None,
    /,
    *,
    offsets: Iterable[int] | None = None,
    timeout: TimeLimit = 30.0,
    dry_run: bool = False,
) -> Replayed:
    """Checks dead letters again, under today's schema and mapping, and puts the good ones into the table.

    If no process has the spool open, this is done here, under ``config``. Otherwise the process that has it open is asked, and
    does it under the configuration that it was started with.

    Args:
        config: The configuration; ``None`` is the environment.
        offsets: Only those with these offsets; ``None``: all that were not replayed yet.
        timeout: How long another process may take for each step.
        dry_run: Only tell what would happen to each.

    Raises:
        Timeout: The other process does not answer: nothing more is replayed then.
        SpoolError: There is no such spool.
        DatabaseError: The table does not fit.

    >>> replay(config, dry_run=True)
    Replayed(replayed=0, rejected=1, skipped=0, by=None)
    """
    if dry_run:
        return replayed_from(_cxsink.replay_dry_run(native(config), offsets_from(offsets)))
    return replayed_from(_cxsink.replay(native(config), offsets_from(offsets), seconds(timeout)))


_PAGE = 500


def pages(read: Callable[[int, int], list[str]], start: int, limit: int | None) -> Iterator[DeadLetter]:
    """Dead letters from ``read(offset, count)``, a page at a time."""
    left = limit
    while left is None or left > 0:
        count = _PAGE if left is None else min(_PAGE, left)
        page = read(start, count)
        for text in page:
            letter = _from_json(text)
            start = letter.offset + 1
            yield letter
        if len(page) < count:
            return
        left = None if left is None else left - count


def offsets_from(offsets: Iterable[int] | None) -> list[int] | None:
    return None if offsets is None else [*offsets]


def replayed_from(text: str) -> Replayed:
    """What a replay did, as the native module tells it."""
    found = json.loads(text)
    letters = (Fate(**{**fate, "violations": violations_from(fate)}) for fate in found.pop("letters"))
    return Replayed(**found, letters=tuple(letters))


def _from_json(text: str) -> DeadLetter:
    found = json.loads(text)
    event = bytes.fromhex(found["event_hex"]) if "event_hex" in found else found["event"].encode()
    return DeadLetter(
        offset=found["offset"],
        received_at=to_datetime(found["received_at"]),
        rejected_at=to_datetime(found["rejected_at"]),
        stage=found["stage"],
        reason=found["reason"],
        violations=violations_from(found),
        sqlstate=found.get("sqlstate"),
        constraint=found.get("constraint"),
        column=found.get("column"),
        exported_at=to_datetime_or_none(found["exported_at"]),
        replayed_at=to_datetime_or_none(found["replayed_at"]),
        replayed_as=found["replayed_as"],
        event=event,
    )
