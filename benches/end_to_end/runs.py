"""One run: the programs as a user starts them, each a process of its own, and what they took."""

from __future__ import annotations

import json
import os
import select
import shutil
import sqlite3
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from time import monotonic
from typing import Any
from urllib.parse import urlsplit

import machine
from delay import DelayedPort
from postgres import KNOWN_PERCENT, KNOWN_SEED, TABLE, Postgres

# Until a run that hangs is given up.
SECONDS_MAX = 120


@dataclass(frozen=True)
class Case:
    """The settings of a run. The others have their defaults."""

    what: str  # "sink", or "ceiling": rows from memory, one connection
    database: str  # "postgresql", "sqlite"
    events: int
    rate: int = 0  # events a second; 0: as fast as they are taken
    batch: int = 5000  # batch.events_max
    connections: int = 1  # destination.connections
    delay_ms: int = 0  # what a round trip to the database takes longer
    way: str = "sink"  # of a ceiling, as in benches/ceiling.rs
    repeats: int = 0  # the percentage of events that repeat one shortly before
    table_rows: int = 0  # what is in the table before
    known: int = 0  # the percentage of events that repeat a key of these rows


class Failed(Exception):
    """A run went wrong; the text says how."""


class Account:
    """The resources that PostgreSQL uses during a run, and those of the rest of the machine."""

    def __init__(self, postgres: Postgres) -> None:
        self.postgres = postgres
        self.started = monotonic()
        self.busy = machine.busy_seconds()
        self.wal = postgres.wal_position()
        self.used = machine.family_cpu_seconds(postgres.pid)

    def close(self, case: Case, own_cpu_s: float) -> dict[str, float]:
        """`own_cpu_s`: what the run's other processes have used."""
        used = machine.family_cpu_seconds(self.postgres.pid) - self.used
        others = machine.busy_seconds() - self.busy - used - own_cpu_s
        return {
            "database_cpu_us": used / case.events * 1e6,
            "wal_bytes": (self.postgres.wal_position() - self.wal) / case.events,
            "other_cores": max(0.0, others / (monotonic() - self.started)),
        }


class Runner:
    """Runs cases, one after another."""

    def __init__(self, binary: Path, ceiling: Path) -> None:
        self.binary = binary
        self.ceiling = ceiling
        self.postgres = Postgres()

    def run(self, case: Case) -> dict[str, Any]:
        """The case and what it took, as one flat object. CPU in microseconds an event, times of events in milliseconds."""
        folder = Path(tempfile.mkdtemp(prefix="cxsink-bench-"))
        try:
            self.postgres.clear()
            result = self.run_ceiling(case) if case.what == "ceiling" else self.run_sink(case, folder)
            if case.database == "sqlite":
                del result["database_cpu_us"], result["wal_bytes"]
            return {**asdict(case), "postgresql": self.postgres.version, **result}
        finally:
            self.postgres.clear()
            shutil.rmtree(folder, ignore_errors=True)

    def run_ceiling(self, case: Case) -> dict[str, Any]:
        database = self.database(case)
        account, before = Account(self.postgres), os.times()
        command = (self.ceiling, self.postgres.url_of(database), TABLE, str(case.events), str(case.batch), case.way)
        output = subprocess.check_output(command, timeout=SECONDS_MAX)
        after = os.times()
        own = after.children_user + after.children_system - before.children_user - before.children_system
        result = account.close(case, own)
        self.expect_rows(case.table_rows + case.events, self.count(database))
        return {"events_per_s": case.events / json.loads(output)["seconds"], **result}

    def database(self, case: Case) -> str:
        """The name of the database of this run; empty for the usual one."""
        if not case.table_rows:
            return ""
        every = 100 // KNOWN_PERCENT
        command = (self.ceiling, "--keys", str(case.events), str(every), str(KNOWN_SEED))
        known = [] if self.postgres.filled_rows == case.table_rows else subprocess.check_output(command, text=True).split()
        return self.postgres.copy_filled(case.table_rows, [self.binary, "init-db"], known)

    def count(self, database: str) -> int:
        return int(self.postgres.ask(f"SELECT count(*) FROM {TABLE}", database))

    def run_sink(self, case: Case, folder: Path) -> dict[str, Any]:
        database = self.database(case)
        with self.destination(case, folder, database) as url:
            settings = {
                "CXSINK_DESTINATION__URL": url,
                "CXSINK_DESTINATION__TABLE": TABLE,
                "CXSINK_BATCH__EVENTS_MAX": str(case.batch),
                # The simulator closes the stream after the last event: the sink then applies what is spooled, and ends.
                "CXSINK_STREAM__ON_NORMAL_CLOSE": "stop",
                "CXSINK_LOG__FORMAT": "json",
            }
            if case.connections != 1:
                settings["CXSINK_DESTINATION__CONNECTIONS"] = str(case.connections)
            subprocess.run([self.binary, "init-db"], cwd=folder, env=settings, check=True, stdout=subprocess.DEVNULL)
            account = Account(self.postgres)
            simulator = self.start_simulator(case)
            try:
                settings.update(read_settings(simulator))
                sink = watch([self.binary, "run"], settings, folder)
                used = account.close(case, sink["cpu_s"] + sum(machine.cpu_seconds(simulator.pid)))
            finally:
                simulator.terminate()
                simulator.wait()
        stats = sink["stats"]
        inserted = stats["inserted"]
        repeated = case.events - inserted
        if stats["received"] != case.events or stats["dead_lettered"] or repeated != stats["updated"] + stats["coalesced"]:
            raise Failed(f"of {case.events} events, {stats['received']} came in: {stats}")
        if (repeated > 0) != (case.repeats + case.known > 0):
            raise Failed(f"{repeated} of {case.events} events repeat a key")
        latency = {name.removesuffix("_us"): value / 1000 for name, value in stats["latency"].items()}
        result = {
            "events_per_s": case.events / sink["seconds"],
            "sink_cpu_us": sink["cpu_s"] / case.events * 1e6,
            "rss_peak_mib": sink["rss_peak_mib"],
            "batches": stats["batches"],
            "commit_ms": latency,
            **used,
        }
        if case.database == "postgresql":
            self.expect_rows(case.table_rows + inserted, self.count(database))
            if case.rate:
                result["sent_to_commit_ms"] = self.sent_to_commit()
        else:
            with sqlite3.connect(folder / "events.db") as table:
                self.expect_rows(inserted, table.execute(f"SELECT count(*) FROM {TABLE}").fetchone()[0])
        return result

    def expect_rows(self, expected: int, rows: int) -> None:
        if rows != expected:
            raise Failed(f"{rows} rows are in the table instead of {expected}")

    @contextmanager
    def destination(self, case: Case, folder: Path, database: str) -> Iterator[str]:
        if case.database == "sqlite":
            yield f"sqlite:{folder / 'events.db'}"
        elif case.delay_ms:
            port = DelayedPort(urlsplit(self.postgres.url).port or 0, case.delay_ms / 2000)
            yield self.postgres.url_by(port.port)
            port.close()
        else:
            yield self.postgres.url_of(database)

    def start_simulator(self, case: Case) -> subprocess.Popen[str]:
        options = [f"--events={case.events}", f"--rate={case.rate}", "--close-at-end=true"]
        if case.rate:
            # So that a row says when it was sent.
            options.append("--wall-clock=true")
        if case.repeats:
            options.append(f"--redelivery-percent={case.repeats}")
        if case.known:
            options.append(f"--seed={KNOWN_SEED}")
        command = [str(self.binary), "simulate", *options]
        return subprocess.Popen(command, env={}, text=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)

    def sent_to_commit(self) -> dict[str, float]:
        """The same from outside, by PostgreSQL's clock at the commit and the simulator's when it sent the event."""
        milliseconds = "extract(epoch FROM pg_xact_commit_timestamp(xmin) - timestamp) * 1000"
        quantiles = "percentile_cont(ARRAY[0.5, 0.9, 0.99, 1]) WITHIN GROUP (ORDER BY ms)"
        row = self.postgres.ask(f"SELECT {quantiles} FROM (SELECT ({milliseconds})::float8 AS ms FROM {TABLE}) AS t")
        return dict(zip(("p50", "p90", "p99", "max"), map(float, row.strip("{}").split(",")), strict=True))


def read_settings(simulator: subprocess.Popen[str]) -> dict[str, str]:
    """The variables that the simulator prints when it is ready; the stream's id is the last."""
    settings: dict[str, str] = {}
    assert simulator.stdout is not None
    while "CXONE_STREAM_ID" not in settings:
        line = simulator.stdout.readline()
        if not line:
            raise Failed("the simulator did not start")
        name, _, value = line.strip().partition("=")
        settings[name] = value
    return settings


def watch(command: list[Any], settings: dict[str, str], folder: Path) -> dict[str, Any]:
    """Runs the sink to its end: its numbers, wall-clock seconds from start to end, CPU and memory."""
    log = folder / "log"
    started, peak = monotonic(), 0.0
    with log.open("wb") as stderr:
        process = subprocess.Popen(command, cwd=folder, env=settings, stdout=subprocess.DEVNULL, stderr=stderr)
    ended = os.pidfd_open(process.pid)
    try:
        while not select.select([ended], [], [], 0.05)[0]:
            peak = max(peak, machine.rss_peak_mib(process.pid) or 0.0)
            if monotonic() - started > SECONDS_MAX:
                raise Failed(f"the sink did not end within {SECONDS_MAX} s:\n{log.read_text()[-2000:]}")
        seconds = monotonic() - started
    except BaseException:
        process.kill()
        process.wait()
        raise
    finally:
        os.close(ended)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    lines = log.read_text().splitlines()
    if process.returncode != 0 or not lines:
        raise Failed(f"the sink ended with {process.returncode}:\n" + "\n".join(lines[-20:]))
    cpu = usage.ru_utime + usage.ru_stime
    return {"seconds": seconds, "cpu_s": cpu, "rss_peak_mib": peak, "stats": json.loads(lines[-1])["stats"]}
