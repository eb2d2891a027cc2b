"""Events from Python objects."""

from __future__ import annotations

import json
import re
import secrets
from collections.abc import Iterable, Mapping
from datetime import date, datetime
from decimal import Decimal
from typing import Any, TypeVar, Union
from uuid import UUID

Event = Union[bytes, bytearray, memoryview, str, Mapping[str, Any]]
"""An event: JSON as bytes or text, or a mapping that becomes JSON."""


_Event = TypeVar("_Event")


def encode(event: object) -> bytes:
    """JSON for an object that is neither ``bytes`` nor ``str``, which the native module takes unchanged.

    The native module asks for events that it cannot encode by itself: those that are no plain ``dict``, or have a value without JSON.
    """
    if isinstance(event, (bytearray, memoryview)):
        return bytes(event)
    if isinstance(event, Mapping):
        return encode_value(event if isinstance(event, dict) else dict(event))
    raise TypeError(f"an event is bytes, str or a mapping, not {type(event).__name__}")


def encode_value(value: object) -> bytes:
    """JSON for a value of an event."""
    text = _ENCODER.encode(value)
    if _MARK in text:
        text = _MARKED.sub(r"\1", text)
    return text.encode()


def many(events: Iterable[_Event], message: str) -> Iterable[_Event]:
    """The events, unless they are one event, whose parts an iteration would yield."""
    if isinstance(events, (bytes, bytearray, memoryview, str, Mapping)) or not isinstance(events, Iterable):
        raise TypeError(f"{message} (not {type(events).__name__})")
    return events


def _encode_other(value: object) -> object:
    if isinstance(value, datetime):
        if value.tzinfo is None:
            raise ValueError(f"the datetime {value} has no time zone: use datetime.now(timezone.utc), for example")
        return value.isoformat()
    if isinstance(value, (date, UUID)):
        return str(value)
    if isinstance(value, Decimal):
        if not value.is_finite():
            raise ValueError(f"a Decimal of an event is {value}, which JSON does not have")
        return f"{_MARK}{value}"
    if isinstance(value, Mapping):
        return dict(value)
    raise TypeError(f"a value of an event is of type {type(value).__name__}, which JSON does not have")


# The encoder writes no number of another type than int and float, and a float has 17 digits. So a Decimal is written as a text that
# nobody can guess, and becomes a number afterwards.
_MARK = f"decimal {secrets.token_hex(16)} "
_MARKED = re.compile(f'"{_MARK}([^"]*)"')

_ENCODER = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":"), default=_encode_other)
