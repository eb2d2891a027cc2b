"""What can go wrong, one class for each thing that a program would do something different about.

Every exception says what was tried, on what, and why it failed; ``hint`` says what to do next, where that is known. None
holds a secret or a value of an event.

>>> import cxsink
>>> try:
...     cxsink.validate({"type": "fax"})
... except cxsink.SchemaError as error:
...     for violation in error.violations[:2]:
...         print(violation)
(event): "interactionId" is a required property
(event): "timestamp" is a required property
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum
from typing import Any, ClassVar

__all__ = [
    "ArgumentError",
    "AuthError",
    "CloseTimeout",
    "ConfigError",
    "DatabaseError",
    "Error",
    "InternalError",
    "SchemaError",
    "SpoolError",
    "StateError",
    "Status",
    "StreamError",
    "Timeout",
    "Violation",
]


class Status(IntEnum):
    """What went wrong, as a number: that of the C library's ``cxsink_status``. Numbers are never reused.

    >>> Status.SCHEMA
    <Status.SCHEMA: 31>
    """

    TIMEOUT = 1
    INVALID_ARGUMENT = 10
    CONFIG = 11
    STATE = 12
    FORKED = 13
    AUTH = 20
    CONNECT = 21
    PROTOCOL = 22
    JSON = 30
    SCHEMA = 31
    UNMAPPED = 32
    DATABASE = 40
    CONSTRAINT = 41
    SPOOL = 50
    INTERNAL = 90
    PANIC = 91


@dataclass(frozen=True)
class Violation:
    """One way in which an event misses the JSON Schema, or a value misses its column.

    >>> print(Violation(pointer="/type", message="is none of four words", keyword="enum"))
    /type: is none of four words
    """

    pointer: str
    """JSON pointer (RFC 6901) to the value in the event; empty for the event itself."""
    message: str
    """What is wrong, without the event's own values."""
    keyword: str
    """The schema keyword that was missed, such as ``required``; ``column`` for a value that does not fit its column."""

    def __str__(self) -> str:
        return f"{self.pointer or '(event)'}: {self.message}"


class Error(Exception):
    """Whatever cxsink raises.

    ``str()`` gives the message, and the hint on a line of its own.

    >>> print(Error("opening the spool: it is in use", hint="one sink at a time"))
    opening the spool: it is in use
    Hint: one sink at a time
    """

    _default_status: ClassVar[Status] = Status.INTERNAL

    message: str
    """What was tried, on what, and why it failed."""
    status: Status
    """What went wrong, as the C library counts it."""
    retryable: bool
    """Whether the same call may succeed later without any change: the other side was away or busy."""
    hint: str | None
    """What to do next, where that is known."""
    detail: Mapping[str, Any]
    """Everything that is known of the error, by the names that the command line and the C library use in JSON."""
    index: int | None
    """After ``Sink.ingest_many``: where the event stands, counted from 0, that could not be taken. Every one before it was."""

    def __init__(
        self,
        message: str = "",
        *,
        status: Status | None = None,
        retryable: bool = False,
        hint: str | None = None,
        detail: Mapping[str, Any] | None = None,
        index: int | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.status = self._default_status if status is None else status
        self.retryable = retryable
        self.hint = hint
        self.detail = {} if detail is None else detail
        self.index = index

    def __str__(self) -> str:
        return f"{self.message}\nHint: {self.hint}" if self.hint else self.message


class ConfigError(Error, ValueError):
    """A configuration value is unknown, missing or bad. The message names the key, and the file and line or the variable."""

    _default_status = Status.CONFIG


class ArgumentError(Error, ValueError):
    """An argument of a call makes no sense."""

    _default_status = Status.INVALID_ARGUMENT


class StateError(Error, RuntimeError):
    """The call does not fit the state of the sink, such as ``ingest`` after ``close``, or the process was forked."""

    _default_status = Status.STATE


class AuthError(Error):
    """CXone refused the credentials, the token or the scope."""

    _default_status = Status.AUTH

    @property
    def answer(self) -> int | None:
        """The HTTP status or WebSocket close code of the answer, where there was one."""
        return self.detail.get("status")


class StreamError(Error):
    """A connection could not be made or was lost, or the other side answered what the protocol does not allow."""

    _default_status = Status.CONNECT

    @property
    def answer(self) -> int | None:
        """The HTTP status or WebSocket close code of the answer, where there was one."""
        return self.detail.get("status")


class SchemaError(Error, ValueError):
    """The event is not JSON, does not match the JSON Schema, or does not fit the table."""

    _default_status = Status.SCHEMA

    @property
    def violations(self) -> tuple[Violation, ...]:
        """Every way in which it misses the schema or the table, at most 100; empty if it is not JSON."""
        return violations_from(self.detail)


class DatabaseError(Error):
    """The destination failed, is not set up as needed, or refused a row."""

    _default_status = Status.DATABASE

    @property
    def sqlstate(self) -> str | None:
        """PostgreSQL's five-character SQLSTATE, where the database gave one."""
        return self.detail.get("sqlstate")

    @property
    def constraint(self) -> str | None:
        """The constraint or index that refused the row, where the database named one."""
        return self.detail.get("constraint")

    @property
    def column(self) -> str | None:
        """The column whose value did not fit, where it is known."""
        return self.detail.get("column")


class SpoolError(Error):
    """The spool file cannot be used."""

    _default_status = Status.SPOOL


class Timeout(Error, TimeoutError):
    """The time given to a call has passed."""

    _default_status = Status.TIMEOUT


class CloseTimeout(Timeout):
    """Not everything could be applied before the time given to ``close`` had passed.

    The sink has ended all the same. The rest is safe in the spool, and the next start applies it.
    """


class InternalError(Error):
    """A bug in cxsink. The spool is intact."""

    _default_status = Status.INTERNAL


_CLASSES: dict[Status, type[Error]] = {
    Status.TIMEOUT: Timeout,
    Status.INVALID_ARGUMENT: ArgumentError,
    Status.CONFIG: ConfigError,
    Status.STATE: StateError,
    Status.FORKED: StateError,
    Status.AUTH: AuthError,
    Status.CONNECT: StreamError,
    Status.PROTOCOL: StreamError,
    Status.JSON: SchemaError,
    Status.SCHEMA: SchemaError,
    Status.UNMAPPED: SchemaError,
    Status.DATABASE: DatabaseError,
    Status.CONSTRAINT: DatabaseError,
    Status.SPOOL: SpoolError,
    Status.INTERNAL: InternalError,
    Status.PANIC: InternalError,
}


def violations_from(found: Mapping[str, Any]) -> tuple[Violation, ...]:
    """The violations in what the native module tells as JSON."""
    return tuple(Violation(**violation) for violation in found.get("violations", ()))


def from_detail(detail: str | Mapping[str, Any]) -> Error:
    """The exception for an error that the native module tells as JSON."""
    found: Mapping[str, Any] = json.loads(detail) if isinstance(detail, str) else detail
    status = Status(found["code"])
    return _made(_CLASSES[status], status, found)


def from_close_detail(detail: str) -> Error:
    """The same for ``close``, which has an exception of its own for a timeout."""
    error = from_detail(detail)
    return _made(CloseTimeout, error.status, error.detail) if type(error) is Timeout else error


def _made(kind: type[Error], status: Status, found: Mapping[str, Any]) -> Error:
    return kind(
        found["message"],
        status=status,
        retryable=found["retryable"],
        hint=found.get("hint"),
        detail=found,
        index=found.get("index"),
    )
