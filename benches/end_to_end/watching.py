"""What it costs to be watched: one run, in which /metrics is scraped in some windows of time and not in others, in turn.

Two runs differ by more than a scrape costs, and two windows of one process beside each other by less. So the figures are ratios of windows of
one round, to the window without a scrape; and the share of the threads that answer, which does not depend on what else the machine does. The
clocks are those of the process and of its threads, which count nanoseconds.
"""

from __future__ import annotations

import json
import random
import shutil
import subprocess
import tempfile
import time
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from time import monotonic
from typing import Any

from postgres import TABLE
from runs import SECONDS_MAX, Case, Failed, Runner, read_settings

# Until caches are warm, and the first token is there.
WARM_UP_S = 3.0
# Scrapes a second; the last one shows a cost that one a second hides in the noise.
SCRAPES = (0, 1, 20)
# The threads that answer; the kernel keeps 15 bytes of a name.
ANSWERING = "cxsink-http"


@dataclass(frozen=True)
class Load:
    """A run: events at a rate (0: as fast as possible), and windows of so many seconds."""

    rate: int
    seconds: float
    rounds: int


class Watched:
    """A sink in the middle of a stream that does not end."""

    def __init__(self, runner: Runner, load: Load, folder: Path) -> None:
        self.runner = runner
        self.simulator = runner.start_simulator(Case("sink", "postgresql", 10**9, rate=load.rate))
        settings = {
            "CXSINK_DESTINATION__URL": runner.postgres.url,
            "CXSINK_DESTINATION__TABLE": TABLE,
            "CXSINK_LOG__FORMAT": "json",
            "CXSINK_HTTP__LISTEN": "127.0.0.1:0",
        }
        try:
            subprocess.run([runner.binary, "init-db"], cwd=folder, env=settings, check=True, stdout=subprocess.DEVNULL)
            settings.update(read_settings(self.simulator))
            self.sink = subprocess.Popen([runner.binary, "run"], cwd=folder, env=settings, stderr=subprocess.PIPE, text=True)
        except BaseException:
            self.simulator.kill()
            self.simulator.wait()
            raise
        self.url = self.read_url() + "/metrics"

    def read_url(self) -> str:
        assert self.sink.stderr is not None
        for line in self.sink.stderr:
            _, found, url = json.loads(line).get("message", "").partition("metrics and health are at ")
            if found:
                return str(url)
        raise Failed("the sink did not start")

    def close(self) -> None:
        for process in (self.sink, self.simulator):
            process.kill()
            process.wait()

    def used(self) -> tuple[float, float, int]:
        """The time, the CPU seconds of the sink and the events that are committed."""
        # clock_getcpuclockid(3) makes this number of a process.
        cpu = time.clock_gettime((~self.sink.pid << 3) | 2)
        return monotonic(), cpu, int(self.runner.postgres.ask("SELECT COALESCE(sum(position), 0) FROM cxsink_checkpoint"))

    def used_after(self, events: int) -> tuple[float, float, int]:
        """The same, once more events than these are committed."""
        until = monotonic() + SECONDS_MAX
        while (used := self.used())[2] <= events:
            if monotonic() > until:
                raise Failed(f"no event was committed within {SECONDS_MAX} s")
            time.sleep(0.05)
        return used

    def answering(self) -> dict[str, float]:
        """The CPU seconds of each thread that answers."""
        found = {}
        for task in Path(f"/proc/{self.sink.pid}/task").iterdir():
            try:
                if (task / "comm").read_text().startswith(ANSWERING):
                    found[task.name] = int((task / "schedstat").read_text().split()[0]) / 1e9
            except (FileNotFoundError, ProcessLookupError):
                # It has ended since.
                continue
        return found

    def scrape(self) -> None:
        with urllib.request.urlopen(self.url, timeout=10) as answer:
            if b"cxsink_events_received_total" not in answer.read():
                raise Failed("the sink serves no metrics")

    def window(self, load: Load, scrapes: int) -> dict[str, Any]:
        answering = self.answering()
        began, cpu, events = self.used()
        due, count = began, 0
        while scrapes and (due := due + 1 / scrapes) <= began + load.seconds:
            time.sleep(max(0.0, due - monotonic()))
            self.scrape()
            count += 1
        time.sleep(max(0.0, began + load.seconds - monotonic()))
        ended, cpu_then, events_then = self.used_after(events)
        answered = sum(used - answering.get(task, 0.0) for task, used in self.answering().items())
        return {
            "rate": load.rate,
            "scrapes": scrapes,
            "events_per_s": (events_then - events) / (ended - began),
            "cpu_us": (cpu_then - cpu) / (events_then - events) * 1e6,
            "answering_part": answered / (cpu_then - cpu),
            "scrape_cpu_us": answered / count * 1e6 if count else 0.0,
        }


def measure(runner: Runner, load: Load) -> list[dict[str, Any]]:
    """The windows of one run; those of a round have the same number."""
    folder = Path(tempfile.mkdtemp(prefix="cxsink-bench-"))
    try:
        runner.postgres.clear()
        watched = Watched(runner, load, folder)
        try:
            watched.used_after(0)
            time.sleep(min(WARM_UP_S, load.seconds))
            windows = []
            for number in range(load.rounds):
                todo = list(SCRAPES)
                random.shuffle(todo)
                windows += [{"watching": number, **watched.window(load, scrapes)} for scrapes in todo]
            return windows
        finally:
            watched.close()
    finally:
        runner.postgres.clear()
        shutil.rmtree(folder, ignore_errors=True)


def ratios(windows: list[dict[str, Any]], scrapes: int, name: str) -> list[float]:
    """Of one number, to the window of the same round without a scrape."""
    without = {window["watching"]: window[name] for window in windows if window["scrapes"] == 0}
    return [window[name] / without[window["watching"]] for window in windows if window["scrapes"] == scrapes]
