"""A forked child has the memory of a sink, but not the sink: every call is an error, and the parent's sink is unharmed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from conftest import Program

HEAD = """
import multiprocessing, os, sys, warnings
import cxsink
# Python warns of forking with threads. This is about just that.
warnings.simplefilter("ignore", DeprecationWarning)
folder = sys.argv[1]
event = b'{"interactionId":"i","timestamp":"2026-11-22T16:00:00Z","type":"call","idempotencyKey":"k-%d"}'

def settings(name):
    found = {"spool.path": f"{folder}/{name}-spool.db", "destination.url": f"sqlite:{folder}/{name}.db"}
    cxsink.init_db(found)
    return found
"""


def check(program: Callable[..., Program], folder: Path, source: str, said: str) -> None:
    code, out, err = program(HEAD + source, str(folder)).end()
    assert (code, out, err) == (0, said, "")


def test_a_simulator_continues_after_a_child_has_dropped_it(program: Callable[..., Program], tmp_path: Path) -> None:
    check(
        program,
        tmp_path,
        """
simulator = cxsink.Simulator(events=10, close_at_end=True)
for use in ("with simulator: pass", "simulator.stop()", "del simulator", "print(simulator.wait_finished())"):
    child = os.fork()
    if not child:
        exec(use)
        sys.exit(0)
    assert os.waitpid(child, 0)[1] == 0
with simulator:
    found = {**settings("parent"), **simulator.options, "stream.on_normal_close": "stop"}
    print(cxsink.Sink(found).run().received)
""",
        "False\n10\n",
    )


def test_in_a_child_every_call_is_an_error_and_the_parent_continues(program: Callable[..., Program], tmp_path: Path) -> None:
    check(
        program,
        tmp_path,
        """
sink = cxsink.Sink(settings("parent")).start()
sink.ingest(event % 1)
child = os.fork()
if not child:
    calls = [
        sink.start, sink.poll, sink.stop, sink.close, sink.stats, sink.replay, sink.connections, sink.gaps, sink.run,
        sink.metrics,
        lambda: sink.ingest(event % 2), lambda: sink.ingest_many([event % 2]), lambda: sink.import_lines([event % 2]),
        lambda: sink.counter("received"), lambda: sink.state, lambda: sink.failure, lambda: list(sink.dead_letters()),
        sink.__enter__, lambda: list(sink),
    ]
    for call in calls:
        try:
            call()
        except cxsink.StateError as error:
            assert error.status is cxsink.Status.FORKED and "fork" in error.hint, error
        else:
            print("no error", call)
    assert repr(sink) == "<cxsink.Sink of another process>"
    del sink, calls, call
    sys.exit(0)
assert os.waitpid(child, 0)[1] == 0
sink.ingest(event % 3)
sink.close()
print(sink.stats().inserted)
""",
        "2\n",
    )


def test_a_child_may_open_a_sink_of_its_own(program: Callable[..., Program], tmp_path: Path) -> None:
    check(
        program,
        tmp_path,
        """
import logging
logging.basicConfig(level=logging.INFO, stream=sys.stdout, format="%(message)s")
# What the parent's sink logs waits while this is set, so that the child has it in memory too.
from cxsink import _logs
logging.getLogger("cxsink").setLevel(logging.INFO)
sink = cxsink.Sink(settings("parent"))
_logs._is_draining = True
sink.start()
child = os.fork()
if not child:
    _logs._is_draining = False
    with cxsink.Sink(settings("child")) as own:
        own.ingest(event % 1)
    print(own.stats().inserted, flush=True)
    os._exit(0)
assert os.waitpid(child, 0)[1] == 0
sink.close()
""",
        # Once: what the parent's sink said is not the child's to say.
        "the sink is running\nthe sink is stopping\nthe sink is closed\n1\n",
    )


def test_multiprocessing_starts_children_either_way(program: Callable[..., Program], tmp_path: Path) -> None:
    (tmp_path / "work.py").write_text(
        HEAD
        + """
def work(name):
    with cxsink.Sink(settings(name)) as sink:
        sink.ingest(event % 1)
    return sink.stats().inserted

def refuse(_):
    cxsink.validate({"type": "fax"})
"""
    )
    check(
        program,
        tmp_path,
        """
sys.path.insert(0, folder)
import work
if __name__ == "__main__":
    with cxsink.Sink(settings("parent")) as sink:
        for method in ("spawn", "fork"):
            with multiprocessing.get_context(method).Pool(2) as pool:
                print(pool.map(work.work, [f"{method}-1", f"{method}-2"]))
                try:
                    pool.map(work.refuse, [1])
                except cxsink.SchemaError as error:
                    print(len(error.violations), error.status)
""",
        "[1, 1]\n4 31\n" * 2,
    )


def test_a_closed_sink_can_be_opened_again_while_a_child_lives(program: Callable[..., Program], tmp_path: Path) -> None:
    check(
        program,
        tmp_path,
        """
found = settings("parent")
sink = cxsink.Sink(found).start()
end, hold = os.pipe()
child = os.fork()
if not child:
    os.close(hold)
    os.read(end, 1)
    os._exit(0)
sink.close(5)
with cxsink.Sink(found) as again:
    again.ingest(event % 1)
print(again.stats().inserted)
os.close(hold)
assert os.waitpid(child, 0)[1] == 0
""",
        "1\n",
    )


def test_sinks_are_opened_and_closed_while_programs_are_started(program: Callable[..., Program], tmp_path: Path) -> None:
    """Until its exec, a program that is being started has a copy of every descriptor."""
    check(
        program,
        tmp_path,
        """
import subprocess, threading
found = settings("parent")
ended = threading.Event()

def start_programs():
    while not ended.is_set():
        subprocess.run([sys.executable, "-S", "-c", ""], check=True)

threads = [threading.Thread(target=start_programs) for _ in range(2)]
for thread in threads:
    thread.start()
refused = 0
for _ in range(300):
    try:
        cxsink.Sink(found).close()
    except cxsink.SpoolError:
        refused += 1
ended.set()
for thread in threads:
    thread.join()
print(refused, "refused")
""",
        "0 refused\n",
    )
