"""The exceptions: one class for each failure that a program handles differently.

The message is ``what failed: reason``; ``hint`` says what to do next, if known. Neither contains secrets or values of an event.

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
    """The kind of an error, as a number: that of the C library's ``cxsink_status``. Numbers are never reused.

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
    """One way in which an event violates the JSON Schema, or a value does not fit its column.

    >>> print(Violation(pointer="/type", message="is none of four words", keyword="enum"))
    /type: is none of four words
    """

    pointer: str
    """JSON pointer (RFC 6901) to the value in the event; empty for the event itself."""
    message: str
    """The violation in words, without values of the event."""
    keyword: str
    """The violated schema keyword, such as ``required``; ``column`` for a value that does not fit its column, ``budget`` for an event
    whose check takes too many steps."""

    def __str__(self) -> str:
        return f"{self.pointer or '(event)'}: {self.message}"


class Error(Exception):
    """The base of every exception that cxsink raises.

    ``str()`` gives the message, and the hint on a line of its own.

    >>> print(Error("opening the spool: it is in use", hint="end the other sink"))
    opening the spool: it is in use
    Hint: end the other sink
    """

    _default_status: ClassVar[Status] = Status.INTERNAL

    message: str
    """The message, ``what failed: reason``."""
    status: Status
    """The kind of the error."""
    retryable: bool
    """Whether the same call may succeed later without a change: the server was unreachable or busy."""
    hint: str | None
    """The hint: how to fix it, if known."""
    detail: Mapping[str, Any]
    """Everything known about the error, with the names of the JSON of the command line and of the C library."""
    index: int | None
    """After ``Sink.ingest_many``: the index, from 0, of the first event that was not accepted. Every event before it was."""

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
    """An argument of a call is invalid."""

    _default_status = Status.INVALID_ARGUMENT


class StateError(Error, RuntimeError):
    """The state of the sink does not allow the call, such as ``ingest`` after ``close``, or the process was forked."""

    _default_status = Status.STATE


class _ServerError(Error):
    """The server answered with an error, or not at all."""

    @property
    def http_status(self) -> int | None:
        """The HTTP status of the answer (RFC 9110 section 15), if the server answered with an error."""
        return self.detail.get("http_status")

    @property
    def close_code(self) -> int | None:
        """The close code (RFC 6455 section 7.4), if the server closed the stream with one."""
        return self.detail.get("close_code")


class AuthError(_ServerError):
    """CXone refused the credentials, the token or the scope."""

    _default_status = Status.AUTH


class StreamError(_ServerError):
    """A connection could not be made or was lost, or an answer of the server violates the protocol."""

    _default_status = Status.CONNECT


class SchemaError(Error, ValueError):
    """The event is not JSON, violates the JSON Schema, or does not fit the table."""

    _default_status = Status.SCHEMA

    @property
    def violations(self) -> tuple[Violation, ...]:
        """Every way in which it violates the schema or does not fit the table, at most 100; empty if it is not JSON."""
        return violations_from(self.detail)


class DatabaseError(Error):
    """The destination failed, its table does not match the configuration, or it refused a row."""

    _default_status = Status.DATABASE

    @property
    def sqlstate(self) -> str | None:
        """The SQLSTATE, five characters (PostgreSQL manual, appendix A), if the database sent one."""
        return self.detail.get("sqlstate")

    @property
    def constraint(self) -> str | None:
        """The constraint or index that refused the row, if the database named one."""
        return self.detail.get("constraint")

    @property
    def column(self) -> str | None:
        """The column whose value does not fit, if known."""
        return self.detail.get("column")


class SpoolError(Error):
    """The spool file cannot be used."""

    _default_status = Status.SPOOL


class Timeout(Error, TimeoutError):
    """The time given to a call has passed."""

    _default_status = Status.TIMEOUT


class CloseTimeout(Timeout):
    """Not every event could be committed within the timeout of ``close``.

    The sink has ended all the same. The rest is safe in the spool, and the next start commits it.
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
    """The violations in the JSON of the native module."""
    return tuple(Violation(**violation) for violation in found.get("violations", ()))


def from_detail(detail: str | Mapping[str, Any]) -> Error:
    """The exception for an error, from the JSON of the native module."""
    found: Mapping[str, Any] = json.loads(detail) if isinstance(detail, str) else detail
    status = Status(found["code"])
    return _made(_CLASSES[status], status, found)


def from_close_detail(detail: str) -> Error:
    """The exception for an error of ``close``, which has one of its own for a timeout."""
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
