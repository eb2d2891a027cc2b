"""Ctrl-C ends every call that blocks within 200 ms, and other Python threads run in the meantime.

Each program of a test makes the same call several times and is interrupted each time. The fastest one counts, since what a busy machine
adds is no property of the call. A thread of the program says when the main thread is inside the call: that it can say so is
the proof that it runs.
"""

from __future__ import annotations

import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import FrameType

import cxsink
import pytest
from conftest import Program

TRIES = 5
PROMPT_SECONDS = 0.2

PROGRAM = """
import os, socket, sys, threading, time
from urllib.parse import urlsplit
import cxsink
from cxsink import Sink, Simulator

def say(word):
    print(word, flush=True)

def say_when_inside(main=threading.get_ident()):
    # The main thread has been in the same call of the package at 20 looks, 5 ms apart.
    place, looks = None, 0
    while looks < 20:
        time.sleep(0.005)
        frame = sys._current_frames()[main]
        here = (frame.f_code.co_filename, frame.f_lasti)
        looks = looks + 1 if here == place and "cxsink" in here[0] else 0
        place = here
    say("inside")

def event(number):
    return b'{"interactionId":"i","timestamp":"2026-11-22T16:00:00Z","type":"call","idempotencyKey":"k-%d"}' % number

folder = sys.argv[1]
silent = socket.create_server(("127.0.0.1", 0))  # Takes connections and never answers.
silent_port = silent.getsockname()[1]
closed = socket.create_server(("127.0.0.1", 0))
closed_port = closed.getsockname()[1]
closed.close()
runs = 0

def settings(**more):
    global runs
    runs += 1
    found = {"spool.path": f"{folder}/spool-{runs}.db", "destination.url": f"sqlite:{folder}/events-{runs}.db"}
    cxsink.init_db(found)
    return {**found, **{key.replace("__", "."): value for key, value in more.items()}}

def stream(port):
    return {
        "oauth__url": f"http://127.0.0.1:{port}/token", "oauth__client_id": "i", "oauth__client_secret": "s",
        "stream__url": f"ws://127.0.0.1:{port}/stream", "retry__delay_min": "30s",
        "oauth__request_timeout": "10m", "stream__connect_timeout": "10m",
    }

def away(**more):
    # The database is unreachable, so no event is committed.
    return settings(destination__url=f"postgresql://u:p@127.0.0.1:{closed_port}/d", spool__bytes_max="64KiB", **more)

CALL

for _ in range(TRIES):
    with call() as blocking:
        threading.Thread(target=say_when_inside, daemon=True).start()
        try:
            blocking()
        except KeyboardInterrupt:
            say("interrupted")
        else:
            say("returned")
"""

# Each makes what the call needs, and yields the call.
CALLS = {
    "poll": """
        def call():
            with Sink(settings()) as sink:
                while sink.poll(0): pass
                yield sink.poll
    """,
    "iterate": """
        def call():
            with Sink(settings()) as sink:
                yield lambda: list(sink)
    """,
    "run": """
        def call():
            yield Sink(settings()).run
    """,
    "the whole life of a sink whose stream is refused, in the sleep before the next try": """
        def call():
            def life():
                with Sink(settings(**stream(closed_port))) as sink:
                    for notice in sink: pass
            yield life
    """,
    "the whole life of a sink whose stream does not answer": """
        def call():
            def life():
                with Sink(settings(**stream(silent_port))) as sink:
                    for notice in sink: pass
            yield life
    """,
    "start, with a database that does not answer": """
        def call():
            url = f"postgresql://u:p@127.0.0.1:{silent_port}/d"
            yield Sink(settings(destination__url=url, destination__connect_timeout="10m")).start
    """,
    "init_db, with a database that does not answer": """
        def call():
            url = f"postgresql://u:p@127.0.0.1:{silent_port}/d"
            found = {"destination.url": url, "destination.connect_timeout": "10m"}
            yield lambda: cxsink.init_db(found)
    """,
    "close, with a batch that the database does not answer": """
        def call():
            # Between the sink and the real database, until it is told to keep everything to itself.
            url = urlsplit(os.environ["CXSINK_TEST_POSTGRES"])
            listener, is_open = socket.create_server(("127.0.0.1", 0)), threading.Event()
            is_open.set()

            def forward(one, other):
                while part := one.recv(65536):
                    is_open.wait()
                    other.sendall(part)

            def serve():
                while True:
                    near, _ = listener.accept()
                    far = socket.create_connection((url.hostname, url.port))
                    for pair in ((near, far), (far, near)):
                        threading.Thread(target=forward, args=pair, daemon=True).start()

            threading.Thread(target=serve, daemon=True).start()
            through = url._replace(netloc=f"{url.username}:{url.password}@127.0.0.1:{listener.getsockname()[1]}").geturl()
            table = {"destination__table": f"signals_{os.getpid()}_{runs}"}
            found = settings(destination__url=through, destination__statement_timeout="10m", **table)
            cxsink.init_db(found)
            sink = Sink(found).start()
            is_open.clear()
            sink.ingest(event(1))
            yield lambda: sink.close(None)
    """,
    "ingest, with a spool that is full": """
        def call():
            sink = Sink(away()).start()
            yield lambda: [sink.ingest(event(number)) for number in range(10_000)]
            sink.close()
    """,
    "ingest_many, with a spool that is full": """
        def call():
            sink = Sink(away()).start()
            yield lambda: sink.ingest_many(event(number) for number in range(10_000))
            sink.close()
    """,
    "import_lines, with a spool that is full": """
        def call():
            sink = Sink(away()).start()
            yield lambda: sink.import_lines(event(number) for number in range(10_000))
            sink.close()
    """,
    "replay, by a process that does not do it": """
        def call():
            found = settings()
            with Sink(found) as sink:
                sink.import_lines([b"{"])
            sink = Sink({**found, "destination.url": away()["destination.url"]}).start()
            yield lambda: cxsink.replay(found, timeout=600)
            sink.close()
    """,
    "wait_finished of a simulator": """
        def call():
            with Simulator() as simulator:
                yield simulator.wait_finished
    """,
}


def source(call: str) -> str:
    lines = [line[8:] for line in call.splitlines()]
    body = "\n".join(["import contextlib", "@contextlib.contextmanager", *lines[1:]])
    return PROGRAM.replace("CALL", body).replace("TRIES", str(TRIES))


@pytest.mark.parametrize("name", CALLS)
def test_ctrl_c_ends_it_and_other_threads_run(name: str, program: Callable[..., Program], tmp_path: Path) -> None:
    running = program(source(CALLS[name]), str(tmp_path))
    took = []
    for _ in range(TRIES):
        running.wait_for("inside")
        sent = time.monotonic()
        running.process.send_signal(signal.SIGINT)
        running.wait_for("interrupted")
        took.append(time.monotonic() - sent)
    code, out, err = running.end()
    assert (code, out) == (0, ""), err
    assert min(took) < PROMPT_SECONDS, took


def test_a_custom_signal_handler_may_stop_the_sink(program: Callable[..., Program], tmp_path: Path) -> None:
    running = program(
        """
        import signal, sys
        import cxsink
        settings = {"spool.path": f"{sys.argv[1]}/spool.db", "destination.url": f"sqlite:{sys.argv[1]}/events.db"}
        cxsink.init_db(settings)
        sink = cxsink.Sink(settings)
        signal.signal(signal.SIGTERM, lambda *_: sink.stop())
        print(sink.run(lambda notice: print(notice.kind, flush=True)).state)
        """,
        str(tmp_path),
    )
    running.wait_for("state")
    running.process.send_signal(signal.SIGTERM)
    code, out, err = running.end()
    assert (code, out.split(), err) == (0, ["state", "state", "closed"], "")


def test_ctrl_c_in_run_commits_the_spooled_events_first(program: Callable[..., Program], tmp_path: Path) -> None:
    running = program(
        """
        import sys
        import cxsink
        settings = {"spool.path": f"{sys.argv[1]}/spool.db", "destination.url": f"sqlite:{sys.argv[1]}/events.db"}
        cxsink.init_db(settings)
        simulator = cxsink.Simulator(events="endless")
        sink = cxsink.Sink({**settings, **simulator.options})
        try:
            sink.run(lambda notice: print(notice.kind, flush=True))
        except KeyboardInterrupt:
            stats = sink.stats()
            print(stats.state, stats.pending, stats.received == stats.inserted, stats.received > 0)
        """,
        str(tmp_path),
    )
    running.wait_for("stored")
    running.process.send_signal(signal.SIGINT)
    code, out, err = running.end()
    assert (code, out.splitlines()[-1], err) == (0, "closed 0 True True", "")


# Where Python looks for signals: when a function of its own starts, and when one of C has ended.
LOOKS = ("call", "c_call", "c_return")


def interrupted(call: Callable[[], cxsink.Notice | None], at: int) -> cxsink.Notice | None:
    """Makes the call, with Ctrl-C at the so-manieth place in the package's code at which it may come."""
    left = at

    def profile(frame: FrameType, what: str, _: object) -> None:
        nonlocal left
        if what in LOOKS and "cxsink" in frame.f_code.co_filename:
            left -= 1
            if left < 0:
                raise KeyboardInterrupt

    sys.setprofile(profile)
    try:
        return call()
    finally:
        sys.setprofile(None)


@pytest.mark.parametrize("way", ["poll", "next"])
def test_ctrl_c_loses_no_notice_wherever_it_comes(settings: dict[str, str], way: str) -> None:
    sink = cxsink.Sink(settings).start()
    sink.close()
    call = sink.poll if way == "poll" else lambda: next(sink)
    first = None
    for at in range(1000):
        try:
            first = interrupted(call, at)
            break
        except KeyboardInterrupt:
            pass
    assert at > 5, "Ctrl-C came at several places"
    states = [notice.state for notice in (first, *sink) if isinstance(notice, cxsink.StateNotice)]
    assert states == ["running", "stopping", "closed"]
