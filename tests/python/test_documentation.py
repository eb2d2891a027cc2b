"""The examples in docstrings, in docs/python.md and in README.md do what they say."""

from __future__ import annotations

import doctest
import gzip
import importlib
import pkgutil
import re
from datetime import timedelta
from pathlib import Path
from typing import Any

import cxsink
import pytest
from conftest import PROJECT, event, events

MODULES = ["cxsink", *(f"cxsink.{found.name}" for found in pkgutil.iter_modules(cxsink.__path__))]


@pytest.fixture
def names(settings: dict[str, str], tmp_path: Path) -> dict[str, Any]:
    """The names for examples: `config` has a spool with a dead letter, `settings` one of its own."""
    with cxsink.Sink(settings) as sink:
        sink.import_lines([b"{"])
    Path("events.jsonl.gz").write_bytes(gzip.compress(b"\n".join(events(2))))
    return {
        **vars(cxsink),
        "config": cxsink.Config(settings),
        "settings": {**settings, "spool.path": str(tmp_path / "another.db")},
        "event": event(),
        "gzip": gzip,
        "timedelta": timedelta,
    }


@pytest.mark.parametrize("name", [name for name in MODULES if not name.endswith(("__main__", "._cxsink"))])
def test_the_examples_of_a_module_work(name: str, names: dict[str, Any]) -> None:
    module = importlib.import_module(name)
    failed, _ = doctest.testmod(module, extraglobs=names)
    assert not failed


def test_most_public_names_have_an_example() -> None:
    finder = doctest.DocTestFinder()
    tests = [test for name in MODULES if "__main__" not in name for test in finder.find(importlib.import_module(name))]
    with_examples = {test.name.split(".", 2)[2] for test in tests if test.examples and test.name.count(".") > 1}
    calls = {"init_db", "init_db_sql", "peek", "validate", "replay", "connections", "gaps", "check", "Config", "Sink"}
    calls |= {"Simulator", "Validator", "DeadLetters", "Stats", "Sink.ingest", "Sink.ingest_many", "Sink.run", "Sink.poll"}
    calls |= {"Sink.close", "Sink.replay", "Sink.stats", "Sink.metrics", "Sink.import_lines", "DeadLetters.purge", "Error", "Violation"}
    assert not calls - with_examples


def python_in(file: str) -> list[str]:
    return re.findall(r"^```python\n(.*?)^```", (PROJECT / file).read_text(encoding="utf-8"), re.M | re.S)


def test_the_guide_works_from_top_to_bottom() -> None:
    blocks = python_in("docs/python.md")
    assert len(blocks) >= 8
    # One namespace, as in a notebook.
    namespace: dict[str, Any] = {}
    for number, block in enumerate(blocks):
        exec(compile(block, f"docs/python.md, block {number}", "exec"), namespace)


def test_the_example_in_the_readme_works(settings: dict[str, str], tmp_path: Path) -> None:
    (block,) = python_in("README.md")
    with cxsink.Simulator(events=5, close_at_end=True) as simulator:
        found = {**settings, **simulator.options, "stream.on_normal_close": "stop"}
        lines = (f"{key} = '{value}'" for key, value in found.items())
        # Dotted keys at the top of a file are sections.
        (tmp_path / "cxsink.toml").write_text("\n".join(lines))
        exec(compile(block, "README.md", "exec"), {})
    assert len(cxsink.peek(settings).rows) == 5
