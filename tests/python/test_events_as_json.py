"""An event that is a Python object becomes the text of ``json.dumps``, or raises the same exception, whichever part encodes it."""

from __future__ import annotations

import enum
import math
import random
import struct
from collections import OrderedDict
from datetime import date, datetime, timezone
from decimal import Decimal
from types import MappingProxyType
from typing import Any, Callable
from uuid import UUID

import cxsink
import pytest
from conftest import event
from cxsink._cxsink import encode_event
from cxsink._events import encode

SEED = random.randrange(2**32)


class Text(str): ...


class Number(int):
    def __repr__(self) -> str:
        return "no number"


class Fraction(float):
    def __repr__(self) -> str:
        return "no float"


class Colour(enum.IntEnum):
    RED = 1


class Pairs(dict[str, Any]):
    def items(self) -> Any:
        return [("of", "its own")]


def outcome(encoder: Callable[[object], bytes], value: object) -> object:
    try:
        return encoder(value)
    except Exception as error:
        return type(error), str(error)


def any_float(chance: random.Random) -> float:
    (number,) = struct.unpack("d", chance.randbytes(8))
    return float(number)


def any_text(chance: random.Random) -> str:
    alphabets = ["abcXYZ 019", "\"\\/\b\f\n\r\t", "".join(map(chr, range(0x20))), "\x7f\x80äß€\u2028\u2029\ufeff", "😀𝄞", "<>&'"]
    return "".join(chance.choice(chance.choice(alphabets)) for _ in range(chance.randrange(12)))


PLAIN: list[Callable[[random.Random], object]] = [
    any_text,
    any_text,
    lambda chance: chance.choice([True, False, None]),
    lambda chance: chance.randrange(-1000, 1000),
    lambda chance: chance.choice([1, -1]) * 2 ** chance.randrange(200) + chance.randrange(-2, 3),
    lambda chance: chance.choice([0.0, -0.0, 1e16, 1e-5, 9999999999999998.0, 1e22, 1e23, 5e-324, 0.1, 1e100, 123456789.125]),
    lambda chance: round(chance.uniform(-1000, 1000), chance.randrange(6)),
    lambda chance: number if math.isfinite(number := any_float(chance)) else 0,
]
OTHERS: list[Callable[[random.Random], object]] = [
    lambda chance: Text(any_text(chance)),
    lambda chance: chance.choice([Number(7), Fraction(2.5), Colour.RED, Pairs(a=1), OrderedDict(b=2, a=1)]),
    lambda chance: chance.choice([datetime(2026, 1, 1, tzinfo=timezone.utc), date(2026, 1, 1), UUID(int=5), Decimal("1.50")]),
    lambda chance: MappingProxyType({"of": {"a": Decimal("1E+3")}}),
]
BAD: list[Callable[[random.Random], object]] = [
    lambda chance: chance.choice([float("nan"), float("inf"), float("-inf"), Decimal("NaN"), Fraction("nan")]),
    lambda chance: chance.choice([object(), b"bytes", {1, 2}, datetime(2026, 1, 1), "\udc80", Text("\ud800"), 1j]),
]


def any_value(chance: random.Random, leaves: list[Callable[[random.Random], object]], depth: int) -> object:
    kind = chance.randrange(6) if depth else 5
    if kind == 0:
        return [any_value(chance, leaves, depth - 1) for _ in range(chance.randrange(4))]
    if kind == 1:
        return tuple(any_value(chance, leaves, depth - 1) for _ in range(chance.randrange(4)))
    if kind == 2:
        return any_event(chance, leaves, depth - 1)
    return chance.choice(leaves)(chance)


def any_event(chance: random.Random, leaves: list[Callable[[random.Random], object]], depth: int = 3) -> dict[Any, object]:
    found: dict[Any, object] = {any_text(chance): any_value(chance, leaves, depth) for _ in range(chance.randrange(6))}
    if leaves is not PLAIN and chance.randrange(4) == 0:
        found[chance.choice([1, -0.5, True, None, Text("k"), Colour.RED, float("nan"), (1,), "\udc80"])] = 1
    return found


@pytest.mark.parametrize("leaves", [PLAIN, PLAIN + OTHERS, PLAIN + OTHERS + BAD], ids=["plain", "others", "bad"])
def test_any_event_becomes_the_text_of_json_dumps(leaves: list[Callable[[random.Random], object]]) -> None:
    chance = random.Random(SEED)
    exceptions = 0
    for _ in range(4000):
        some = any_event(chance, leaves)
        expected = outcome(encode, some)
        exceptions += isinstance(expected, tuple)
        assert outcome(encode_event, some) == expected, f"seed {SEED}: {some!r}"
    assert (exceptions > 100) == (leaves != PLAIN), "the other kinds have bad keys"


def test_subclasses_and_keys_of_other_types_are_encoded_as_by_json() -> None:
    for some in ({1: 2, None: 3, True: 4, 0.5: 6}, Pairs(), OrderedDict(a=1), {"a": Pairs()}, {"a": [Number(7), Colour.RED, Fraction(2)]}):
        assert outcome(encode_event, some) == outcome(encode, some)


def test_what_contains_itself_or_is_too_deep_raises_as_json_does() -> None:
    around: dict[str, Any] = {"a": 1}
    around["b"] = [around]
    with pytest.raises(ValueError, match="Circular"):
        encode_event(around)
    for depth in (90, 99, 100, 101, 500):
        deep: Any = 1
        for _ in range(depth):
            deep = [deep]
        assert encode_event({"a": deep}) == encode({"a": deep})
    for _ in range(200_000):
        deep = [deep]
    with pytest.raises(RecursionError):
        encode_event({"a": deep})
    # Freed step by step: the interpreter itself may not free so deep a list.
    while isinstance(deep, list):
        deep = deep[0]


def test_an_event_may_change_while_it_is_encoded() -> None:
    some: dict[str, Any] = {**event(), "more": {}}

    class Growing(dict[str, Any]):
        def items(self) -> Any:
            some[f"new {len(some)}"] = 1
            return [("a", 1)]

    some["more"] = Growing(a=1)
    some["last"] = 2
    assert encode_event(some).endswith(b'"more":{"a":1},"last":2}')


def test_a_signal_during_the_encoding_is_raised_once(settings: dict[str, str]) -> None:
    calls = 0

    class Interrupting(dict[str, Any]):
        def items(self) -> Any:
            nonlocal calls
            calls += 1
            raise KeyboardInterrupt

    with cxsink.Sink(settings) as sink:
        with pytest.raises(KeyboardInterrupt):
            sink.ingest_many([event("k-1"), {**event("k-2"), "x": Interrupting(a=1)}, event("k-3")])
        assert calls == 1
    assert sink.stats().received == 1
