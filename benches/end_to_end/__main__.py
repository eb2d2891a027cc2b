#!/usr/bin/env python3
"""The end-to-end benchmark: simulator, sink and database, each a process of its own; `make bench` runs it.

Usage: scripts/with-postgres --durable python3 benches/end_to_end [full|quick|watching|smoke] [OPTION...]
       python3 benches/end_to_end --report [--to FOLDER]
"""

from __future__ import annotations

import argparse
import json
import random
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import machine
import report
from postgres import KNOWN_PERCENT
from runs import Case, Failed, Runner
from watching import Load, measure

PROJECT = Path(__file__).resolve().parent.parent.parent
RATES = (100, 1000, 5000, 20_000)


@dataclass(frozen=True)
class Scope:
    """How much is run."""

    rounds: int
    batches: tuple[int, ...]
    events: int  # of a run as fast as possible
    seconds: float  # of a run at a fixed rate,
    rate_events: int  # which has so many events at least
    table_rows: int = 0  # of the large table; 0: none
    watched: tuple[Load, ...] = ()

    def cases(self) -> list[Case]:
        """A round: each is run once, in a new random order."""
        if not self.batches:
            return [
                Case(what, "postgresql", self.events, way=way)
                for what, way in (("sink", "sink"), *(("ceiling", way) for way in ("sink", "upsert", "insert", "copy")))
            ]
        # Small batches take so much longer that fewer events will do.
        sizes = [(size, min(self.events, 400 * size)) for size in self.batches]
        floods = [Case("sink", "postgresql", events, batch=size) for size, events in sizes]
        floods += [Case("ceiling", "postgresql", events, batch=size, way="upsert") for size, events in sizes]
        floods += [Case("ceiling", "postgresql", self.events, way=way) for way in ("sink", "insert", "copy")]
        floods.append(Case("sink", "sqlite", self.events))
        floods += [
            Case("sink", "postgresql", events, batch=size, connections=2) for size, events in sizes if size >= 500
        ]
        floods += [Case("sink", "postgresql", self.events, connections=n, delay_ms=2) for n in (1, 2)]
        floods += [Case("sink", "postgresql", self.events, repeats=percent) for percent in (1, 5, 20)]
        if self.table_rows:
            large = [("sink", "sink", 0), ("sink", "sink", KNOWN_PERCENT)]
            large += [("ceiling", way, 0) for way in ("upsert", "insert", "copy")]
            floods += [
                Case(what, "postgresql", self.events, way=way, table_rows=self.table_rows, known=known)
                for what, way, known in large
            ]
        counts = [(rate, max(int(rate * self.seconds), self.rate_events)) for rate in RATES]
        return floods + [Case("sink", to, count, rate=rate) for rate, count in counts for to in ("postgresql", "sqlite")]


SCOPES = {
    # A round takes five minutes, and filling the large table two.
    "full": Scope(
        rounds=5, batches=(100, 500, 1000, 2000, 5000, 10_000), events=400_000, seconds=6, rate_events=1200, table_rows=5_000_000,
        watched=(Load(1000, 10, 7), Load(0, 2, 7)),
    ),
    "quick": Scope(
        rounds=1, batches=(1000, 5000), events=100_000, seconds=3, rate_events=500, watched=(Load(1000, 3, 3),)
    ),
    # Only what it costs to be watched.
    "watching": Scope(rounds=0, batches=(), events=0, seconds=0, rate_events=0, watched=(Load(1000, 10, 9), Load(0, 2, 9))),
    # For each version of PostgreSQL: `make bench-versions`.
    "versions": Scope(rounds=3, batches=(), events=400_000, seconds=0, rate_events=0),
    # With debug builds, to see that everything works; the numbers mean nothing.
    "smoke": Scope(rounds=1, batches=(1000, 5000), events=500, seconds=0.1, rate_events=20, table_rows=2000, watched=(Load(200, 0.5, 1),)),
}


def build(*arguments: str) -> dict[str, Path]:
    """Builds programs, and finds them: a benchmark's name has a hash."""
    command = ["cargo", "build", "--quiet", "--locked", "--message-format=json-render-diagnostics", *arguments]
    done = subprocess.run(command, cwd=PROJECT, check=True, stdout=subprocess.PIPE)
    messages = [json.loads(line) for line in done.stdout.splitlines()]
    return {message["target"]["name"]: Path(message["executable"]) for message in messages if message.get("executable")}


def build_programs(scope: str) -> dict[str, Path]:
    """The sink as users build it, and benches/ceiling.rs."""
    if scope == "smoke":
        # What the tests have built already: the same features of the same packages.
        return build("--workspace", "--all-features", "--bin=cxsink", "--bench=ceiling")
    release = build("--release", "--features=cli", "--bin=cxsink")
    return release | build("--release", "--features=_bench", "--bench=ceiling")


def describe(runner: Runner) -> dict[str, Any]:
    """The machine and what was measured on it."""
    stripped = runner.binary.with_suffix(".stripped")
    subprocess.run(["strip", "-o", stripped, runner.binary], check=True)
    return {
        **machine.facts(),
        "postgresql": runner.postgres.version,
        "rust": subprocess.run(["rustc", "--version"], check=True, text=True, stdout=subprocess.PIPE).stdout.split()[1],
        "date": time.strftime("%Y-%m-%d"),
        "binary_bytes": runner.binary.stat().st_size,
        "stripped_bytes": stripped.stat().st_size,
    }


def run_round(runner: Runner, todo: list[Case], out: Path) -> None:
    random.shuffle(todo)
    started, flush = time.time(), machine.flush_us(runner.postgres.folder)
    for place, case in enumerate(todo):
        if sys.stderr.isatty():
            print(f"\r  {place + 1} of {len(todo)} \x1b[K", end="", file=sys.stderr, flush=True)
        result = {"round": round(started), "flush_us": flush, **runner.run(case)}
        with out.open("a") as lines:
            lines.write(json.dumps(result) + "\n")
    if sys.stderr.isatty():
        print("\r\x1b[K", end="", file=sys.stderr, flush=True)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("scope", choices=SCOPES, nargs="?", default="full", help="how much is run (full)")
    parser.add_argument("--rounds", type=int, help="how often each case is run")
    parser.add_argument("--out", type=Path, default=PROJECT / "target" / "bench.jsonl", help="the results, one a line")
    parser.add_argument("--append", action="store_true", help="add rounds to the results that are there")
    parser.add_argument("--report", action="store_true", help="run nothing, only report the results that are there")
    parser.add_argument("--to", type=Path, metavar="FOLDER", help="write the runs and the plots there, and the tables into FOLDER.md")
    parts = PROJECT / "target" / "bench.parts"
    parser.add_argument("--parts", type=Path, default=parts, metavar="FILE", help="what benches/components.rs printed")
    options = parser.parse_args()

    if not options.report:
        scope = SCOPES[options.scope]
        programs = build_programs(options.scope)
        runner = Runner(programs["cxsink"], programs["ceiling"])
        if not options.append:
            options.out.unlink(missing_ok=True)
        with options.out.open("a") as lines:
            lines.write(json.dumps({"machine": describe(runner)}) + "\n")
        for _ in range(options.rounds or scope.rounds):
            run_round(runner, scope.cases(), options.out)
        for load in scope.watched:
            with options.out.open("a") as lines:
                lines.writelines(json.dumps(window) + "\n" for window in measure(runner, load))
    results = report.Results.read(options.out)
    print(results.as_text())
    if options.to:
        results.write(options.to)
        if options.parts.exists():
            table = report.parts_table(options.parts.read_text())
            report.fill(options.to.with_suffix(".md"), "parts", [table.as_markdown()])
    return 0


if __name__ == "__main__":
    # So that what was started is ended, and what was made is removed.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    try:
        sys.exit(main())
    except (Failed, subprocess.CalledProcessError) as problem:
        sys.exit(f"end_to_end: {problem}")
