"""Names and numbers are those of the library: an addition there is missing here until it is made."""

from __future__ import annotations

import ast
import dataclasses
import inspect
import itertools
import json
from typing import Any

import cxsink
from cxsink import _cxsink
from cxsink.exceptions import _CLASSES


def test_every_status_has_its_number_and_an_exception() -> None:
    assert {status.name: status.value for status in cxsink.Status} == dict(_cxsink.statuses())
    assert set(_CLASSES) == set(cxsink.Status)


COUNTERS = dict(_cxsink.counters())


def test_every_counter_is_a_field_of_stats(settings: dict[str, str]) -> None:
    names = [field.name for field in dataclasses.fields(cxsink.Stats)]
    assert set(COUNTERS) < set(names)
    with cxsink.Sink(settings) as sink:
        assert all(sink.counter(name) == 0 for name in COUNTERS)
        assert set(names) == set(json.loads(sink._native.stats()))


def test_every_counter_is_documented_as_in_the_library() -> None:
    body = ast.parse(inspect.getsource(cxsink.Stats)).body[0]
    assert isinstance(body, ast.ClassDef)
    documented = {
        field.target.id: " ".join(ast.literal_eval(doc.value).split())
        for field, doc in itertools.pairwise(body.body)
        if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name) and isinstance(doc, ast.Expr)
    }
    for name, description in COUNTERS.items():
        assert documented[name] == " ".join(description.replace("`", "``").split())


def balances(*names: str) -> bool:
    """Whether the accounting closes when these counters are 1 and the others 0."""
    counts: dict[str, Any] = dict.fromkeys(names, 1)
    return cxsink.Stats("running", **counts).is_balanced


def test_the_accounting_is_that_of_the_library() -> None:
    assert f"``{_cxsink.accounting()}``" in str(cxsink.Stats.__doc__)
    taken, accounted_for = (side.split(" + ") for side in _cxsink.accounting().split(" = "))
    for name in COUNTERS:
        assert balances(name) == (name not in {*taken, *accounted_for})
    assert all(balances(name, other) for name in taken for other in accounted_for)


def test_every_public_name_is_documented() -> None:
    names = [name for name in cxsink.__all__ if not name.startswith("_")]
    # An alias has no documentation of its own.
    aliases = {"ConfigValue", "Event", "State"}
    assert not [name for name in names if name not in aliases and not getattr(cxsink, name).__doc__]
    assert sorted(cxsink.__all__) == cxsink.__all__
