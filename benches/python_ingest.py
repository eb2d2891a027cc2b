"""How fast events go in from Python, and whether the stream is as fast as with the command of Rust.

    cargo build --release --features cli
    maturin develop --release        # or install the wheel that is to be measured
    python benches/python_ingest.py [--events N] [--rounds N] [--destination URL] [--binary target/release/cxsink]

Each line is the best of the rounds. The stream's times are of whole processes, Python's start included.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import cxsink

RUN = "import cxsink; cxsink.Sink().run()"

_Event = TypeVar("_Event", bytes, dict[str, Any])


def measure(name: str, events: int, rounds: int, run: Callable[[Path], float]) -> None:
    best = float("inf")
    for _ in range(rounds):
        with tempfile.TemporaryDirectory() as folder:
            best = min(best, run(Path(folder)))
    print(f"{name:58} {events / best:12,.0f} events/s", flush=True)


def settings(folder: Path, destination: str | None, number: int = 0) -> dict[str, str]:
    found = {
        "spool.path": str(folder / "spool.db"),
        "destination.url": destination or f"sqlite:{folder / 'events.db'}",
        "destination.table": f"bench_{os.getpid()}_{time.monotonic_ns()}",
    }
    cxsink.init_db(found)
    return found


def variables(found: dict[str, str]) -> dict[str, str]:
    return {f"CXSINK_{key.replace('.', '__').upper()}": value for key, value in found.items()}


def into_spool(events: list[_Event], take: Callable[[cxsink.Sink, list[_Event]], object]) -> Callable[[Path], float]:
    def run(folder: Path) -> float:
        # Not started: nothing else uses the processors.
        sink = cxsink.Sink(settings(folder, None))
        start = time.perf_counter()
        take(sink, events)
        took = time.perf_counter() - start
        assert sink.counter("received") == len(events)
        sink.close()
        return took

    return run


def into_table(events: list[bytes], destination: str | None) -> Callable[[Path], float]:
    def run(folder: Path) -> float:
        start = time.perf_counter()
        with cxsink.Sink(settings(folder, destination)) as sink:
            sink.ingest_many(events)
        took = time.perf_counter() - start
        assert sink.stats().inserted == len(events)
        return took

    return run


def stream(events: int, command: list[str], destination: str | None) -> Callable[[Path], float]:
    def run(folder: Path) -> float:
        arguments = ["--events", str(events), "--close-at-end", "true"]
        simulator = subprocess.Popen(
            [sys.executable, "-m", "cxsink", "simulate", *arguments],
            stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
        )  # fmt: skip
        assert simulator.stdout
        # It says the five variables with which a sink reads from it.
        said = dict(simulator.stdout.readline().strip().split("=", 1) for _ in range(5))
        found = {**settings(folder, destination), "stream.on_normal_close": "stop", "log.level": "error"}
        start = time.perf_counter()
        subprocess.run(command, env={**os.environ, **said, **variables(found)}, check=True, capture_output=True)
        took = time.perf_counter() - start
        simulator.communicate()
        return took

    return run


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--events", type=int, default=300_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--destination", help="postgresql://…; an SQLite file by default")
    parser.add_argument("--binary", default="target/release/cxsink", help="the command of Rust, to compare with")
    options = parser.parse_args()
    rounds, destination = options.rounds, options.destination

    with cxsink.Simulator(events=options.events) as simulator:
        events = list(simulator.events())
    few = events[: len(events) // 10]
    mappings = [json.loads(event) for event in events]
    print(f"{len(events):,} events of {sum(map(len, events)) / len(events):.0f} bytes, the best of {rounds} rounds")
    measure("ingest_many, into the spool", len(events), rounds, into_spool(events, lambda s, e: s.ingest_many(e)))
    measure("ingest_many of mappings, into the spool", len(events), rounds, into_spool(mappings, lambda s, e: s.ingest_many(e)))
    measure("import_lines, into the spool", len(events), rounds, into_spool(events, lambda s, e: s.import_lines(e)))
    measure("ingest, one by one, into the spool", len(few), rounds, into_spool(few, lambda s, e: [*map(s.ingest, e)]))
    measure("ingest_many, into the table", len(events), rounds, into_table(events, destination))
    python = [sys.executable, "-c", RUN]
    measure("the stream into the table, Sink.run in Python", len(events), rounds, stream(len(events), python, destination))
    if Path(options.binary).exists():
        binary = [options.binary, "run"]
        measure("the stream into the table, the command of Rust", len(events), rounds, stream(len(events), binary, destination))


if __name__ == "__main__":
    main()
