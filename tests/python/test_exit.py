"""The interpreter exits cleanly with a running sink, wherever its threads are, and commits the spooled events."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cxsink
import pytest
from conftest import Program

HEAD = """
import sys, threading
import cxsink
settings = {"spool.path": f"{sys.argv[1]}/spool.db", "destination.url": f"sqlite:{sys.argv[1]}/events.db"}
cxsink.init_db(settings)
event = b'{"interactionId":"i","timestamp":"2026-11-22T16:00:00Z","type":"call","idempotencyKey":"k"}'
"""

EXITS = {
    "a sink in a global": "sink = cxsink.Sink(settings).start(); sink.ingest(event)",
    "a sink without a reference": "cxsink.Sink(settings).start().ingest(event)",
    "a sink in a cycle": "sink = cxsink.Sink(settings).start(); sink.ingest(event); sink.me = sink; del sink",
    "a thread that polls": """
sink = cxsink.Sink(settings).start()
polls = threading.Event()
def poll():
    for notice in sink: polls.set()
threading.Thread(target=poll, daemon=True).start()
sink.ingest(event)
polls.wait()
""",
    "a thread that puts events in": """
sink = cxsink.Sink(settings).start()
def put():
    try:
        while True: sink.ingest_many([event] * 100)
    except cxsink.StateError:
        pass  # The exit has closed it.
threading.Thread(target=put, daemon=True).start()
while not sink.counter("inserted"): pass
""",
    "a stream under way": """
simulator = cxsink.Simulator(events="endless")
sink = cxsink.Sink({**settings, **simulator.options}).start()
while not sink.counter("inserted"): pass
""",
    # Nothing ends this wait before the interpreter is gone.
    "a thread in a call that never returns": """
sink = cxsink.Sink(settings).start()
sink.ingest(event)
simulator = cxsink.Simulator()
threading.Thread(target=simulator.wait_finished, daemon=True).start()
""",
    "an exception": "sink = cxsink.Sink(settings).start(); sink.ingest(event); raise SystemExit(0)",
}


def test_the_end_of_the_sink_is_still_logged(program: Callable[..., Program], tmp_path: Path) -> None:
    source = """
import logging
logging.basicConfig(level=logging.INFO, stream=sys.stdout, format="%(message)s")
sink = cxsink.Sink(settings).start()
"""
    said = "the sink is running\nthe sink is stopping\nthe sink is closed\n"
    assert program(HEAD + source, str(tmp_path)).end() == (0, said, "")


@pytest.mark.parametrize("name", EXITS)
def test_the_exit_is_clean(name: str, program: Callable[..., Program], tmp_path: Path) -> None:
    def once(number: int) -> tuple[int, str, str]:
        folder = tmp_path / str(number)
        folder.mkdir()
        return program(HEAD + EXITS[name], str(folder)).end()

    times = 50 if name == "a sink in a global" else 10
    with ThreadPoolExecutor(4) as pool:
        assert set(pool.map(once, range(times))) == {(0, "", "")}
    tables = [{"destination.url": f"sqlite:{tmp_path / str(number) / 'events.db'}"} for number in range(times)]
    assert all(cxsink.peek(table).rows for table in tables), "events accepted before the exit are committed"
