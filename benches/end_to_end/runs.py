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

TABLE = "bench_events"
# Until a run that hangs is given up.
SECONDS_MAX = 120


@dataclass(frozen=True)
class Case:
    """The settings of a run. The others have their defaults."""

    what: str  # "sink", or "ceiling": rows from memory through the sink's statement, one connection
    database: str  # "postgresql", "sqlite"
    events: int
    rate: int = 0  # events a second; 0: as fast as they are taken
    batch: int = 5000  # batch.events_max
    connections: int = 1  # destination.connections
    delay_ms: int = 0  # what a round trip to the database takes longer


class Failed(Exception):
    """A run went wrong; the text says how."""


class Postgres:
    """The server that scripts/with-postgres started."""

    def __init__(self) -> None:
        self.url = os.environ["CXSINK_TEST_POSTGRES"]
        self.psql = Path(os.environ["CXSINK_TEST_PG_BIN"]) / "psql"
        self.pid = int(self.ask("SELECT split_part(pg_read_file('postmaster.pid'), E'\\n', 1)"))
        self.folder = Path(self.ask("SHOW data_directory"))

    def ask(self, sql: str) -> str:
        options = ("--no-psqlrc", "--tuples-only", "--no-align", "--set=ON_ERROR_STOP=1", f"--dbname={self.url}")
        quiet = {**os.environ, "PGOPTIONS": "--client-min-messages=warning"}
        return subprocess.check_output((self.psql, *options, f"--command={sql}"), env=quiet, text=True).strip()

    def url_by(self, port: int) -> str:
        """The same database, by another port of this machine."""
        return self.url.replace(f":{urlsplit(self.url).port}/", f":{port}/")

    def clear(self) -> None:
        """Every run starts with no table, and with nothing that is still to be written to the disk."""
        self.ask(f"DROP TABLE IF EXISTS {TABLE}, cxsink_checkpoint")
        self.ask("CHECKPOINT")


class Account:
    """The resources that PostgreSQL uses during a run, and those of the rest of the machine."""

    def __init__(self, postgres: Postgres) -> None:
        self.postgres = postgres
        self.started = monotonic()
        self.busy = machine.busy_seconds()
        self.used = machine.family_cpu_seconds(postgres.pid)

    def close(self, case: Case, own_cpu_s: float) -> dict[str, float]:
        """`own_cpu_s`: what the run's other processes have used."""
        used = machine.family_cpu_seconds(self.postgres.pid) - self.used
        others = machine.busy_seconds() - self.busy - used - own_cpu_s
        return {
            "database_cpu_us": used / case.events * 1e6,
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
                del result["database_cpu_us"]
            return {**asdict(case), **result}
        finally:
            self.postgres.clear()
            shutil.rmtree(folder, ignore_errors=True)

    def run_ceiling(self, case: Case) -> dict[str, Any]:
        account, before = Account(self.postgres), os.times()
        command = (self.ceiling, self.postgres.url, TABLE, str(case.events), str(case.batch))
        output = subprocess.check_output(command, timeout=SECONDS_MAX)
        after = os.times()
        own = after.children_user + after.children_system - before.children_user - before.children_system
        result = account.close(case, own)
        self.expect_rows(case.events, self.postgres.ask(f"SELECT count(*) FROM {TABLE}"))
        return {"events_per_s": case.events / json.loads(output)["seconds"], **result}

    def run_sink(self, case: Case, folder: Path) -> dict[str, Any]:
        with self.destination(case, folder) as url:
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
        if stats["received"] != case.events or stats["inserted"] != case.events:
            raise Failed(f"of {case.events} events, {stats['received']} came in and {stats['inserted']} went out")
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
            self.expect_rows(case.events, self.postgres.ask(f"SELECT count(*) FROM {TABLE}"))
            if case.rate:
                result["sent_to_commit_ms"] = self.sent_to_commit()
        else:
            with sqlite3.connect(folder / "events.db") as database:
                self.expect_rows(case.events, str(database.execute(f"SELECT count(*) FROM {TABLE}").fetchone()[0]))
        return result

    def expect_rows(self, events: int, rows: str) -> None:
        if rows != str(events):
            raise Failed(f"of {events} events, {rows} are in the table")

    @contextmanager
    def destination(self, case: Case, folder: Path) -> Iterator[str]:
        if case.database == "sqlite":
            yield f"sqlite:{folder / 'events.db'}"
        elif case.delay_ms:
            port = DelayedPort(urlsplit(self.postgres.url).port or 0, case.delay_ms / 2000)
            yield self.postgres.url_by(port.port)
            port.close()
        else:
            yield self.postgres.url

    def start_simulator(self, case: Case) -> subprocess.Popen[str]:
        options = [f"--events={case.events}", f"--rate={case.rate}", "--close-at-end=true"]
        if case.rate:
            # So that a row says when it was sent.
            options.append("--wall-clock=true")
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
