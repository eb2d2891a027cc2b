"""Names and numbers are those of the library: whatever is added there is here too."""

from __future__ import annotations

import dataclasses
import json

import cxsink
from cxsink import _cxsink
from cxsink.exceptions import _CLASSES


def test_every_status_has_its_number_and_an_exception() -> None:
    assert {status.name: status.value for status in cxsink.Status} == dict(_cxsink.statuses())
    assert set(_CLASSES) == set(cxsink.Status)


def test_every_counter_is_a_number_of_stats(settings: dict[str, str]) -> None:
    names = [field.name for field in dataclasses.fields(cxsink.Stats)]
    assert set(_cxsink.counters()) < set(names)
    with cxsink.Sink(settings) as sink:
        assert all(sink.counter(name) == 0 for name in _cxsink.counters())
        assert set(names) == set(json.loads(sink._native.stats()))


def test_every_public_name_is_documented() -> None:
    names = [name for name in cxsink.__all__ if not name.startswith("_")]
    # An alias has no documentation of its own.
    aliases = {"ConfigValue", "Event", "State"}
    assert not [name for name in names if name not in aliases and not getattr(cxsink, name).__doc__]
    assert sorted(cxsink.__all__) == cxsink.__all__
