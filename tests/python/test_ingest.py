"""Events from the application: in any form, one by one or in bulk, and refused with every reason."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from decimal import Decimal
from pathlib import Path
from types import MappingProxyType
from typing import Any
from uuid import UUID

import cxsink
import pytest
from conftest import event, events, until
from cxsink._events import encode


def test_every_form_of_an_event_reaches_the_table(any_settings: dict[str, str]) -> None:
    text = json.dumps(event("k-1"))
    time = datetime(2026, 11, 22, 17, 0, tzinfo=timezone(timedelta(hours=1)))
    attributes = {"duration": Decimal(7), "queueName": UUID(int=1), "more": MappingProxyType({"naïve": "ü"})}
    with cxsink.Sink(any_settings) as sink:
        sink.ingest(text)
        sink.ingest(json.dumps(event("k-2")).encode())
        sink.ingest(bytearray(json.dumps(event("k-3")), "utf-8"))
        sink.ingest(memoryview(json.dumps(event("k-4")).encode()))
        sink.ingest(event("k-5"))
        sink.ingest(MappingProxyType(event("k-6", timestamp=time, attributes=attributes)))
    stats = sink.stats()
    assert (stats.received, stats.inserted, stats.state, stats.is_balanced) == (6, 6, "closed", True)
    assert 'cxsink_events_total{outcome="inserted"} 6' in sink.metrics().splitlines()
    found = cxsink.peek(any_settings)
    columns = dict(zip(found.columns, zip(*found.rows), strict=True))
    assert columns["idempotency_key"] == tuple(f"k-{number}" for number in range(1, 7))
    assert columns["duration"][-1] == "7" and columns["queue_name"][-1] == str(UUID(int=1))
    assert json.loads(columns["attributes"][-1] or "") == {"more": {"naïve": "ü"}}
    assert (columns["timestamp"][-1] or "").replace("T", " ").startswith("2026-11-22 16:00:00")


def test_a_decimal_keeps_its_digits() -> None:
    number = Decimal(2**53 + 1)
    others = [Decimal("0.1"), Decimal("1E+3"), Decimal("-0.00"), Decimal("12345678901234567890.123456789")]
    encoded = encode({"a": number, "b": others, "c": 'decimal "x"'})
    assert encoded == b'{"a":9007199254740993,"b":[0.1,1E+3,-0.00,12345678901234567890.123456789],"c":"decimal \\"x\\""}'
    for bad in ("NaN", "sNaN", "-Infinity"):
        with pytest.raises(ValueError, match="JSON does not have"):
            encode({"a": Decimal(bad)})


def test_the_error_of_an_invalid_event_has_every_violation(settings: dict[str, str]) -> None:
    with cxsink.Sink(settings) as sink:
        with pytest.raises(cxsink.SchemaError) as raised:
            sink.ingest({**event("not a key"), "type": "fax"})
    error = raised.value
    assert error.status is cxsink.Status.SCHEMA and not error.retryable and error.index is None
    assert {(violation.pointer, violation.keyword) for violation in error.violations} == {
        ("/idempotencyKey", "pattern"),
        ("/type", "enum"),
    }
    assert all(violation.message and "fax" not in violation.message for violation in error.violations)
    assert sink.stats().received == 0, "a refused event is not kept"


@pytest.mark.parametrize(
    ("bad", "kind", "message"),
    [
        (7, TypeError, "an event is bytes, str or a mapping, not int"),
        (None, TypeError, "not NoneType"),
        ({**event(), "x": object()}, TypeError, "type object"),
        ({**event(), "x": float("nan")}, ValueError, "JSON compliant"),
        ({**event(), "timestamp": datetime(2026, 1, 1)}, ValueError, "no time zone"),
        ("{", cxsink.SchemaError, "not JSON"),
        (b"\xff", cxsink.SchemaError, "not UTF-8"),
        ("\udc80", UnicodeEncodeError, "surrogates"),
    ],
)
def test_an_object_that_is_not_an_event_is_refused(settings: dict[str, str], bad: cxsink.Event, kind: type, message: str) -> None:
    with cxsink.Sink(settings) as sink, pytest.raises(kind, match=message):
        sink.ingest(bad)


def test_bulk_takes_any_iterable(any_settings: dict[str, str]) -> None:
    with cxsink.Sink(any_settings) as sink:
        assert sink.ingest_many(events(5000)) == 5000
        assert sink.ingest_many(event(f"m-{number}") for number in range(3)) == 3
        assert sink.ingest_many([]) == 0
    assert sink.stats().inserted == 5003


@pytest.mark.parametrize("place", [0, 1, 1999, 2000, 2001, 4500])
def test_events_before_an_invalid_one_are_taken_and_none_after_it(settings: dict[str, str], place: int) -> None:
    some: list[object] = [*events(5000)]
    some[place] = b'{"type":"fax"}'
    with cxsink.Sink(settings) as sink:
        with pytest.raises(cxsink.SchemaError) as raised:
            sink.ingest_many(some)  # type: ignore[arg-type]
        assert raised.value.index == place and len(raised.value.violations) == 4
    assert sink.stats().inserted == place


def test_events_before_an_exception_of_the_iterable_are_taken(settings: dict[str, str]) -> None:
    def failing() -> Iterator[bytes]:
        yield from events(3)
        raise LookupError("no more")

    with cxsink.Sink(settings) as sink:
        with pytest.raises(LookupError, match="no more"):
            sink.ingest_many(failing())
        with pytest.raises(TypeError, match="not int"):
            sink.ingest_many([event("k-3"), 4])  # type: ignore[list-item]
    assert sink.stats().inserted == 4


def test_events_of_a_slow_iterable_do_not_wait_for_its_end(settings: dict[str, str]) -> None:
    with cxsink.Sink(settings) as sink:

        def slow() -> Iterator[bytes]:
            yield from events(1)
            # Never ends if the first event is held back.
            while sink.counter("received") == 0:
                yield json.dumps(event("k-0")).encode()

        assert sink.ingest_many(slow()) >= 1


def test_lines_are_imported_and_invalid_ones_become_dead_letters(settings: dict[str, str], tmp_path: Path) -> None:
    lines = b"\n".join([*events(2), b"", b"{", b"  " + events(3)[2] + b"\r"])
    plain, packed = tmp_path / "events.jsonl", tmp_path / "events.jsonl.gz"
    plain.write_bytes(lines)
    packed.write_bytes(gzip.compress(lines))
    with cxsink.Sink(settings) as sink:
        assert sink.import_lines(plain) == 4
        assert sink.import_lines(str(plain)) == 4
        with gzip.open(packed) as file:
            assert sink.import_lines(file) == 4
        assert sink.import_lines(plain.read_text().splitlines()) == 4
    stats = sink.stats()
    assert (stats.received, stats.inserted, stats.dead_lettered) == (16, 3, 4)
    with pytest.raises(FileNotFoundError):
        sink.import_lines(tmp_path / "nowhere")


def test_after_the_end_no_event_is_taken(settings: dict[str, str]) -> None:
    with cxsink.Sink(settings) as sink:
        pass
    with pytest.raises(cxsink.StateError) as raised:
        sink.ingest_many([event()])
    assert raised.value.index == 0 and isinstance(raised.value, RuntimeError)
    with pytest.raises(cxsink.StateError):
        sink.ingest(event())


def test_validating_needs_no_sink(tmp_path: Path) -> None:
    cxsink.validate(event())
    cxsink.validate(json.dumps(event()))
    with pytest.raises(cxsink.SchemaError):
        cxsink.validate(event(more=1))
    cxsink.validate(event(more=1), config={"schema.additional_properties": "keep"})
    schema = tmp_path / "schema.json"
    schema.write_text('{"type": "object", "required": ["id"]}')
    validator = cxsink.Validator({"schema.file": schema})
    validator.validate({"id": 1})
    with pytest.raises(cxsink.SchemaError, match='"id" is a required property'):
        validator.validate({})


def test_validating_against_the_columns_needs_the_table(settings: dict[str, str], tmp_path: Path) -> None:
    validator = cxsink.Validator(settings, columns=True)
    validator.validate(event())
    with pytest.raises(cxsink.SchemaError, match=r"/attributes/duration: is not a whole number \(column \"duration\"\)"):
        validator.validate(event(attributes={"duration": 0.5}))
    with pytest.raises(cxsink.DatabaseError, match="no table"):
        cxsink.Validator({**settings, "destination.url": f"sqlite:{tmp_path / 'other.db'}"}, columns=True)


def test_one_event_in_place_of_many_is_an_error_that_names_ingest(settings: dict[str, str]) -> None:
    one: list[Any] = [event(), json.dumps(event()), json.dumps(event()).encode(), bytearray(b"{}"), 7]
    no_lines: list[Any] = [event(), b"{}", 7]
    with cxsink.Sink(settings) as sink:
        for wrong in one:
            with pytest.raises(TypeError, match="for one event, use ingest"):
                sink.ingest_many(wrong)
        for wrong in no_lines:
            with pytest.raises(TypeError, match="for one event, use ingest"):
                sink.import_lines(wrong)
    assert sink.stats().received == 0


def test_events_of_an_iterable_that_breaks_off_are_accepted(settings: dict[str, str]) -> None:
    def broken() -> Iterator[bytes]:
        yield from events(2500)
        raise KeyboardInterrupt

    with cxsink.Sink(settings) as sink:
        with pytest.raises(KeyboardInterrupt):
            sink.import_lines(broken())
        assert sink.stats().received == 2500


def test_an_export_is_imported_and_never_goes_back(settings: dict[str, str]) -> None:
    """The row that an event of the key has written since stays."""
    with cxsink.Sink(settings) as sink:
        sink.import_lines([json.dumps(event("k-1", type="fax")), json.dumps(event("k-2", type="fax"))])
        until(lambda: sink.stats().dead_lettered == 2, "both are dead letters")
        letters = [
            json.dumps({"offset": letter.offset, "event": letter.event.decode().replace("fax", "call")})
            for letter in sink.dead_letters()
        ]
        sink.ingest(event("k-1"))
        assert sink.import_lines(letters, exported=True) == 2
    stats = sink.stats()
    assert (stats.received, stats.inserted, stats.superseded, stats.is_balanced) == (5, 2, 1, True)
