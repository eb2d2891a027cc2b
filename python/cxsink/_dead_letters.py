"""Dead letters: events that did not reach the table, each with the reason."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

from cxsink import _cxsink
from cxsink._config import Config, ConfigValue, native
from cxsink._notices import Stage
from cxsink._numbers import number, numbers
from cxsink._times import TimeLimit, seconds, to_datetime, to_datetime_or_none, to_micros
from cxsink.exceptions import Violation, violations_from


@dataclass(frozen=True)
class DeadLetter:
    """An event that was rejected, or a message that could not be unwrapped. Times are in UTC. ``repr`` omits the event, which may
    contain personal data."""

    offset: int
    """The offset of the event in the spool; unique within a spool."""
    received_at: datetime
    """The time at which the event was received."""
    rejected_at: datetime
    """The time at which it was rejected."""
    stage: Stage
    """The stage that rejected it: ``json``, ``schema``, ``mapping``, ``database`` or ``guard``; ``message`` for a message of the stream
    that could not be unwrapped, whole."""
    reason: str
    """The reason, in one line, without values of the event."""
    violations: tuple[Violation, ...] = field(repr=False)
    """Every way in which it violates the schema or does not fit the table."""
    sqlstate: str | None
    """The SQLSTATE (PostgreSQL manual, appendix A), if the database refused it."""
    constraint: str | None
    """The constraint that refused it."""
    column: str | None
    """The column that its value does not fit."""
    exported_at: datetime | None
    """The time at which it was exported."""
    replayed_at: datetime | None
    """The time at which it was appended to the spool again."""
    replayed_as: int | None
    """The offset that it was given then; of a message, that of its first event, or ``None`` if it had none."""
    superseded_at: datetime | None
    """The time at which the replayed event was found superseded: a later event of its key was in the table. A forced replay takes it again."""
    redacted: bool
    """Whether the event was redacted (``[[redact]]``) before it was spooled."""
    event: bytes = field(repr=False)
    """The event, byte for byte."""


@dataclass(frozen=True)
class PurgeReport:
    """The result of a purge."""

    deleted: int
    """The number of deleted dead letters."""
    unseen: int
    """The number of those left because they were neither exported nor replayed, among those rejected before the given time."""
    unfinished: int
    """The number of those left because their batch is not finished, or its end is not recorded yet. Purge again later."""


@dataclass(frozen=True)
class SummaryGroup:
    """Dead letters with one reason. Times are in UTC."""

    stage: Stage
    """The stage that rejected them."""
    pointer: str | None
    """JSON pointer to the value, with ``*`` for the place in an array; ``None`` if the reason is about no value."""
    keyword: str | None
    """The violated keyword of the schema; ``column`` for a value that does not fit its column."""
    reason: str
    """The reason, without values of events."""
    sqlstate: str | None
    """The database's SQLSTATE."""
    constraint: str | None
    """The constraint that refused them."""
    column: str | None
    """The column that the value does not fit."""
    dead_letters: int
    """The number of dead letters."""
    first_offset: int
    """The offset of the first of them."""
    first_at: datetime
    """The time at which the first of them was rejected."""
    last_at: datetime
    """The time at which the last of them was rejected."""
    advice: str
    """What would accept them."""
    patch: tuple[Mapping[str, object], ...]
    """The same as operations of a JSON Patch (RFC 6902) for the schema; empty where the author has to decide."""


@dataclass(frozen=True)
class Summary:
    """The dead letters that were not replayed, in groups. One with several reasons is in several groups."""

    dead_letters: int
    """The number of dead letters."""
    accepted_now: int
    """Of these, those that match the schema as it is now: a replay takes them."""
    groups: tuple[SummaryGroup, ...]
    """The groups, the largest first."""
    ungrouped: int
    """The number of dead letters with a reason for which there was no room among the groups."""


@dataclass(frozen=True)
class Fate:
    """The fate of a dead letter in a replay."""

    offset: int
    fate: Literal["replayed", "superseded", "rejected", "skipped"]
    """``replayed`` (an event again), ``superseded`` (in a dry run: a later event of its key is in the table), ``rejected`` (still not
    valid) or ``skipped`` (nothing to replay)."""
    replayed_as: int | None = None
    """Its new offset as an event; of a message, that of its first event. ``None`` in a dry run, and for a message without events."""
    stage: Stage | None = None
    """The stage that rejected it, if it is still not valid."""
    reason: str | None = None
    """The reason, if it is still not valid."""
    violations: tuple[Violation, ...] = field(default=(), repr=False)
    """Every way in which it violates the schema or does not fit the table."""


@dataclass(frozen=True)
class ReplayReport:
    """The result of a replay."""

    replayed: int
    """The number of dead letters that are events again, on their way to the table. A message counts once."""
    rejected: int
    """The number of those that are still not valid; they stay dead letters."""
    skipped: int
    """The number of the given offsets with nothing to replay."""
    fates: tuple[Fate, ...] = field(repr=False)
    """The fates of the first 10,000; empty when the sink of another process replayed them."""
    by: str | None
    """The process whose sink replayed them, if it was another one's: under the configuration that it was started with."""
    superseded: int = 0
    """The number of those that left their row as it was, because a later event of their key had been written; in a dry run, of those
    that would, which do not count as replayed. 0 when a running sink replayed them: see ``Stats.superseded``."""


class DeadLetters:
    """The dead letters of the spool file ``spool.path``, also while a sink has it open.

    Args:
        config: The configuration; ``None`` is the environment. Only ``spool.path`` matters, and the schema for a summary.

    Raises:
        SpoolError: The file does not exist, or is not a spool.

    >>> for letter in DeadLetters(config):
    ...     print(letter.offset, letter.stage, letter.event)
    0 json b'{'
    """

    __slots__ = ("_config", "_native")

    def __init__(self, config: Config | Mapping[str, ConfigValue] | None = None, /) -> None:
        self._config = native(config)
        self._native = _cxsink.DeadLetters(self._config)

    def __iter__(self) -> Iterator[DeadLetter]:
        """All of them, the oldest first, read page by page: there may be millions."""
        return self.list()

    def __len__(self) -> int:
        return self._native.count()

    def list(self, start: int = 0, limit: int | None = None) -> Iterator[DeadLetter]:
        """Those from the offset ``start`` on, the oldest first, at most ``limit``."""
        return pages(self._native.list, start, limit)

    def get(self, offset: int) -> DeadLetter:
        """The dead letter with this offset.

        Raises:
            KeyError: No dead letter has it.

        >>> DeadLetters(config).get(0).reason
        'the event is not JSON: EOF while parsing an object at line 1 column 1'
        """
        for letter in self.list(max(offset, 0), 1):
            if letter.offset == offset:
                return letter
        raise KeyError(offset)

    def summary(self, *, values: bool = False) -> Summary:
        """Those that were not replayed, in groups of one reason each, with what would accept them.

        What the schema refused is checked against the schema of the configuration, so that a change can be tried before a replay.

        Args:
            values: Show the values that an ``enum`` or ``const`` lacks; they are parts of events.

        Raises:
            SpoolError: The file cannot be read.
            ConfigError: The schema cannot be used.

        >>> DeadLetters(config).summary().groups[0].advice
        'correct the source: no setting makes it JSON'
        """
        summary = json.loads(_cxsink.summary(self._config, values))
        for group in summary["groups"]:
            group["first_at"], group["last_at"] = to_datetime(group["first_at"]), to_datetime(group["last_at"])
            group["patch"] = tuple(group["patch"])
        summary["groups"] = tuple(SummaryGroup(**group) for group in summary["groups"])
        return Summary(**summary)

    def mark_exported(self, offsets: Iterable[int]) -> None:
        """Marks these as exported: a purge deletes them, and the sink deletes them when ``dead_letters.bytes_max`` is reached.

        >>> letters = DeadLetters(config)
        >>> letters.mark_exported(letter.offset for letter in letters)
        """
        self._native.mark_exported(numbers("offsets", offsets))

    def purge(
        self, *, exported: bool = False, replayed: bool = False, unseen: bool = False, before: datetime | None = None
    ) -> PurgeReport:
        """Deletes dead letters permanently.

        Args:
            exported: Delete those that were exported.
            replayed: Delete those that were replayed.
            unseen: Delete those that were neither. Their events are lost.
            before: Of these, delete only those rejected before this time.

        Raises:
            ArgumentError: None are selected.
            SpoolError: The file cannot be written.

        >>> DeadLetters(config).purge(replayed=True)
        PurgeReport(deleted=0, unseen=0, unfinished=0)
        """
        micros = None if before is None else to_micros(before)
        return PurgeReport(*self._native.purge(exported, replayed, unseen, micros))


def replay(
    config: Config | Mapping[str, ConfigValue] | None = None,
    /,
    *,
    offsets: Iterable[int] | None = None,
    timeout: TimeLimit = 30.0,
    dry_run: bool = False,
    force: bool = False,
) -> ReplayReport:
    """Checks dead letters again, with the current schema and mapping, and puts the valid ones into the table.

    If no process has the spool open, this process does it, with ``config``. Otherwise the process that has it open does it on
    request, with the configuration that it was started with.

    Args:
        config: The configuration; ``None`` is the environment.
        offsets: Only those with these offsets; ``None`` means all that were not replayed yet.
        timeout: The limit for each step of the other process, in seconds.
        dry_run: Only report the fate of each; change nothing.
        force: Overwrite what later events of the same key have written. Otherwise such an event changes nothing.

    Raises:
        Timeout: The other process does not answer in time. Nothing more is replayed then.
        SpoolError: The spool does not exist.
        DatabaseError: The table does not match the configuration.

    >>> replay(config, dry_run=True)
    ReplayReport(replayed=0, rejected=1, skipped=0, by=None, superseded=0)
    """
    if dry_run:
        return replayed_from(_cxsink.replay_dry_run(native(config), offsets_from(offsets)))
    return replayed_from(_cxsink.replay(native(config), offsets_from(offsets), seconds(timeout), force))


_PAGE = 500


def pages(read: Callable[[int, int], list[str]], start: int, limit: int | None) -> Iterator[DeadLetter]:
    """Dead letters from ``read(offset, count)``, page by page."""
    return _pages(read, number("start", start), None if limit is None else number("limit", limit))


def _pages(read: Callable[[int, int], list[str]], start: int, left: int | None) -> Iterator[DeadLetter]:
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
    return None if offsets is None else numbers("offsets", offsets)


def replayed_from(text: str) -> ReplayReport:
    """The report of a replay, from the JSON of the native module."""
    found = json.loads(text)
    fates = (Fate(**{**fate, "violations": violations_from(fate)}) for fate in found.pop("fates"))
    return ReplayReport(**found, fates=tuple(fates))


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
        superseded_at=to_datetime_or_none(found["superseded_at"]),
        redacted=found.get("redacted", False),
        event=event,
    )
