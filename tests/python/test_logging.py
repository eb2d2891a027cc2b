"""The library's log goes to `logging`, on the thread that calls, with the levels that are set there."""

from __future__ import annotations

import json
import logging
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import cxsink
import pytest
from conftest import until
from cxsink import _logs


class Records(logging.Handler):
    """Keeps each record, and the thread that brought it."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[tuple[logging.LogRecord, int]] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.found.append((record, threading.get_ident()))


LOGGER = logging.getLogger("cxsink")


@pytest.fixture
def records(request: pytest.FixtureRequest) -> Iterator[Records]:
    handler = Records()
    LOGGER.setLevel(logging.DEBUG)
    LOGGER.addHandler(handler)
    yield handler
    LOGGER.removeHandler(handler)
    LOGGER.setLevel(logging.NOTSET)


def test_records_come_on_the_calling_thread_with_their_own_time_and_thread(
    settings: dict[str, str], records: Records, monkeypatch: pytest.MonkeyPatch
) -> None:
    # As if a handler on another thread took its time: they are handed over only after the end.
    _logs.drain()
    monkeypatch.setattr(_logs, "_is_draining", True)
    before = time.time()
    with cxsink.Sink(settings) as sink:
        pass
    after = time.time()
    monkeypatch.setattr(_logs, "_is_draining", False)
    assert not records.found
    sink.poll(0)
    assert {thread for _, thread in records.found} == {threading.get_ident()}
    found = {record.getMessage(): record for record, _ in records.found}
    closed = found["the sink is closed"]
    assert closed.levelno == logging.INFO and str(closed.threadName).startswith("cxsink-")
    assert before - 0.001 <= found["the sink is running"].created <= closed.created <= after


def test_each_sink_logs_to_its_own_logger(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    def settings(name: str) -> dict[str, str]:
        found = {"spool.path": str(tmp_path / f"{name}.spool"), "destination.url": f"sqlite:{tmp_path / name}.db"}
        cxsink.init_db(found)
        return found

    caplog.set_level(logging.INFO)
    loggers = {name: logging.getLogger(f"app.{name}") for name in ("calls", "chats")}
    sinks = [cxsink.Sink(settings(name), logger=logger) for name, logger in loggers.items()]
    sinks.append(cxsink.Sink(settings("third")))
    for sink in sinks:
        sink.start()
    for sink in reversed(sinks):
        # Whichever call fetches a record, it goes to the logger of the sink that it is of.
        sinks[0].poll(0)
        sink.close()
    said = ["the sink is running", "the sink is stopping", "the sink is closed"]
    for name in ("app.calls", "app.chats", "cxsink"):
        assert [record.getMessage() for record in caplog.records if record.name == name] == said


def test_the_default_is_the_logger_of_the_package(settings: dict[str, str], caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "cxsink"), cxsink.Sink(settings):
        pass
    assert ("cxsink", logging.INFO, "the sink is running") in caplog.record_tuples


def test_levels_are_those_of_the_logger_and_may_change(
    settings: dict[str, str], records: Records
) -> None:
    LOGGER.setLevel(logging.ERROR)
    with cxsink.Sink(settings):
        assert not records.found
        LOGGER.setLevel(logging.INFO)
    assert {record.levelno for record, _ in records.found} == {logging.INFO}


def test_a_warning_of_a_thread_of_the_library_comes_with_the_next_poll(
    settings: dict[str, str], records: Records
) -> None:
    away = {**settings, "destination.url": "postgresql://u@127.0.0.1:1/d"}
    with cxsink.Sink(away) as sink:
        until(lambda: sink.poll(0.05) is None and records.found, "a warning")
    warnings = [record for record, _ in records.found if record.levelno == logging.WARNING]
    assert any("127.0.0.1:1" in record.getMessage() for record in warnings)


def test_a_handler_may_call_the_sink(settings: dict[str, str], records: Records) -> None:
    seen: list[str] = []

    class Asking(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            seen.append(sink.state)

    sink = cxsink.Sink(settings)
    asking = Asking()
    LOGGER.addHandler(asking)
    with sink:
        pass
    LOGGER.removeHandler(asking)
    assert seen


def test_records_that_no_call_fetches_are_bounded_and_counted(records: Records, tmp_path: Path) -> None:
    schema = tmp_path / "schema.json"
    # Each keyword that no draft knows is a warning, all of them in one call.
    schema.write_text(json.dumps({f"keyword-{number}": 1 for number in range(10_050)}))
    cxsink.Validator({"schema.file": schema})
    said = [record.getMessage() for record, _ in records.found]
    assert said[0] == "50 older log records were dropped: no call fetched them in time"
    assert len(said) == 1 + 10_000
