"""Numbers that the native module takes: counts and offsets."""

from __future__ import annotations

from collections.abc import Iterable
from operator import index

from cxsink.exceptions import ArgumentError

_MAX = 2**63 - 1


def number(name: str, value: int) -> int:
    """The value, if it is a whole number from 0 on."""
    value = index(value)
    if not 0 <= value <= _MAX:
        raise ArgumentError(f"{name}: a whole number from 0 on, not {value}")
    return value


def numbers(name: str, values: Iterable[int]) -> list[int]:
    """Each of the values."""
    return [number(name, value) for value in values]
