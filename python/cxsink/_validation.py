"""Validation of events against the schema, and against the columns of the table, without a sink."""

from __future__ import annotations

from collections.abc import Mapping

from cxsink import _cxsink
from cxsink._config import Config, ConfigValue, native
from cxsink._events import Event


class Validator:
    """A schema, compiled once for many events.

    Args:
        config: The configuration; ``None`` is the environment. ``schema.*`` and ``stream.event_bytes_max`` matter.
        columns: Whether each value must also fit its column. Connects to the destination once, reads the columns of the table, and
            writes nothing. Constraints, and values that only the database can read (of the type ``inet``, …), are not tried.

    Raises:
        ConfigError: The schema cannot be used; with ``columns``, the mapping does not fit the table.
        DatabaseError: With ``columns``: the table cannot be read.

    >>> Validator({}).validate('{"interactionId":"i","timestamp":"2026-11-22T16:00:00Z","type":"chat","idempotencyKey":"k"}')
    """

    __slots__ = ("_native",)

    def __init__(self, config: Config | Mapping[str, ConfigValue] | None = None, /, *, columns: bool = False) -> None:
        self._native = _cxsink.Validator(native(config), columns)

    def validate(self, event: Event, /) -> None:
        """Checks one event.

        Raises:
            SchemaError: It is not JSON, violates the schema, or does not fit the columns; ``violations`` has every violation.
        """
        self._native.validate(event)


def validate(event: Event, /, *, config: Config | Mapping[str, ConfigValue] | None = None) -> None:
    """Checks one event. For many events with a schema of your own, use ``Validator``, which compiles it only once.

    Args:
        event: JSON as bytes or text, or a mapping.
        config: The configuration; ``None`` means the built-in schema, regardless of the environment.

    Raises:
        SchemaError: It is not JSON, or violates the schema; ``violations`` has every violation.

    >>> validate({"interactionId": "i", "timestamp": "2026-11-22T16:00:00Z", "type": "fax", "idempotencyKey": "k"})
    Traceback (most recent call last):
    cxsink.exceptions.SchemaError: the event does not match the schema: /type: value is not one of "call", "chat" or 2 other candidates
    """
    global _built_in
    if config is not None:
        return Validator(config).validate(event)
    if _built_in is None:
        _built_in = Validator({})
    _built_in.validate(event)


_built_in: Validator | None = None
