"""From runs to medians, tables and plots."""

from __future__ import annotations

import json
import shutil
import statistics
from collections.abc import Callable, Iterable
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import parts
import plot
import watching
from runs import Case

Run = dict[str, Any]
NAMES = {"postgresql": "PostgreSQL", "sqlite": "SQLite"}
BLUE, ORANGE, GREEN, GREY, RED = "#2563eb", "#d97706", "#0f9d7a", "#64748b", "#c2415b"


@dataclass
class Spread:
    """The median and the extremes of some runs."""

    low: float
    middle: float
    high: float

    @classmethod
    def of(cls, values: Iterable[float]) -> Spread:
        values = list(values)
        return cls(min(values), statistics.median(values), max(values))

    def text(self, digits: int) -> str:
        if self.low == self.high:
            return f"{self.middle:,.{digits}f}"
        return f"{self.middle:,.{digits}f} ({self.low:,.{digits}f}–{self.high:,.{digits}f})"


@dataclass
class Table:
    """The first column is text, the others are numbers."""

    title: str
    head: list[str]
    rows: list[list[str]]

    def as_text(self) -> str:
        widths = [max(len(row[at]) for row in [self.head, *self.rows]) for at in range(len(self.head))]

        def line(row: list[str]) -> str:
            cells = [f"{cell:>{width}}" for cell, width in zip(row[1:], widths[1:], strict=True)]
            return "  ".join(["", f"{row[0]:{widths[0]}}", *cells]).rstrip()

        rule = line(["─" * width for width in widths])
        return "\n".join([f"{self.title}\n", line(self.head), rule, *map(line, self.rows)])

    def as_markdown(self) -> str:
        rule = "|---|" + "--:|" * (len(self.head) - 1)
        lines = [f"| {' | '.join(row)} |" for row in [self.head, *self.rows]]
        return "\n".join([f"**{self.title}**\n", lines[0], rule, *lines[1:]])


class Results:
    """The measurements of one machine."""

    def __init__(self, path: Path, machine: dict[str, Any], runs: list[Run], windows: list[Run]) -> None:
        self.path = path
        self.machine = machine
        self.runs = runs
        self.windows = windows
        self.by_case: dict[Case, list[Run]] = {}
        for run in runs:
            # Runs of earlier versions lack some of the settings.
            case = Case(**{field.name: run.get(field.name, field.default) for field in fields(Case)})
            self.by_case.setdefault(case, []).append(run)

    @classmethod
    def read(cls, path: Path) -> Results:
        lines = [json.loads(line) for line in path.read_text().splitlines()]
        machine = [line["machine"] for line in lines if "machine" in line][-1]
        return cls(path, machine, [line for line in lines if "round" in line], [line for line in lines if "watching" in line])

    def cases(self, wanted: Callable[[Case], bool]) -> list[Case]:
        def place(case: Case) -> tuple[Any, ...]:
            kind = case.table_rows, case.what == "ceiling", case.way, case.database, case.delay_ms, case.repeats, case.known
            return *kind, case.connections, case.rate, case.batch

        return sorted(filter(wanted, self.by_case), key=place)

    def spread(self, case: Case, *path: str) -> Spread | None:
        """Of one number of a case's runs; None where they do not have it. `path` leads to it."""
        values: list[Any] = self.by_case[case]
        for name in path:
            values = [value[name] for value in values if name in value]
        return Spread.of(values) if values else None

    def cell(self, case: Case, digits: int, *path: str) -> str:
        spread = self.spread(case, *path)
        return spread.text(digits) if spread else "–"

    def median(self, case: Case, name: str, digits: int = 1) -> str:
        spread = self.spread(case, name)
        return f"{spread.middle:,.{digits}f}" if spread else "–"

    def rows_per_core(self, case: Case) -> str:
        """How many rows one core of the database would take: what its owner saves."""
        spread = self.spread(case, "database_cpu_us")
        return f"{1e6 / spread.middle:,.0f}" if spread else "–"

    def floods(self) -> Table:
        head = ["As fast as possible", "events", "events/s", "CPU of the sink, µs/event", "of PostgreSQL"]
        head += ["rows/s for each core of PostgreSQL", "WAL, bytes/event", "peak memory, MiB"]
        cases = self.cases(lambda case: not case.rate)
        rows = [
            [
                describe(case),
                f"{case.events:,}",
                self.cell(case, 0, "events_per_s"),
                self.median(case, "sink_cpu_us"),
                self.median(case, "database_cpu_us"),
                self.rows_per_core(case),
                self.median(case, "wal_bytes", 0),
                self.median(case, "rss_peak_mib"),
            ]
            for case in cases
        ]
        return Table("Throughput, from the sink's start to its end", head, rows)

    def ratios(self) -> Table:
        """Within a round, as the machine is never the same for long."""
        floods = self.cases(lambda case: not case.rate and case.database == "postgresql")
        ceilings = [case for case in floods if case.what == "ceiling" and (case.batch == 5000 or (case.batch, case.way) == (1000, "upsert"))]
        kinds = sorted({(case.way, case.batch) for case in ceilings}, key=lambda kind: (list(WAYS).index(kind[0]), kind))
        head = ["", *(f"{WAYS[way]}, batches of {batch:,}" for way, batch in kinds)]

        def cell(case: Case, kind: tuple[str, int]) -> str:
            same = [c for c in ceilings if (c.way, c.batch) == kind and c.table_rows == case.table_rows]
            return self.ratio(case, same[0]).text(2) if same else "–"

        rows = [[describe(case), *(cell(case, kind) for kind in kinds)] for case in floods if case.what == "sink"]
        return Table("Events/s, as a part of the ceiling's in the same round", head, rows)

    def versions(self) -> Table:
        """The same cases with different versions of PostgreSQL, one after the other on the same machine."""
        names = sorted({str(run["postgresql"]) for run in self.runs}, key=lambda name: [int(n) for n in name.split(".") if n.isdigit()])
        cases = self.cases(lambda case: not case.rate)
        head = ["Events/s (CPU of PostgreSQL, µs/event)", *names]

        def cell(case: Case, name: str) -> str:
            runs = [run for run in self.by_case[case] if run["postgresql"] == name]
            if not runs:
                return "–"
            rate, cpu = (statistics.median(run[of] for run in runs) for of in ("events_per_s", "database_cpu_us"))
            return f"{rate:,.0f} ({cpu:.1f})"

        rows = [[describe(case), *(cell(case, name) for name in names)] for case in cases]
        return Table("By version of PostgreSQL", head, rows)

    def ratio(self, one: Case, other: Case) -> Spread:
        others = {run["round"]: run["events_per_s"] for run in self.by_case[other]}
        return Spread.of(r["events_per_s"] / others[r["round"]] for r in self.by_case[one] if r["round"] in others)

    def rates(self) -> Table:
        head = ["At a fixed rate", "p50, ms", "p99", "max", "sent to commit, p99", "CPU of the sink, µs/event", "of PostgreSQL", "peak memory, MiB"]
        rows = [
            [
                f"{NAMES[case.database]}, {case.rate:,}/s",
                *(self.cell(case, 2, "commit_ms", name) for name in ("p50", "p99", "max")),
                self.cell(case, 2, "sent_to_commit_ms", "p99"),
                self.median(case, "sink_cpu_us"),
                self.median(case, "database_cpu_us"),
                self.median(case, "rss_peak_mib"),
            ]
            for case in self.cases(lambda case: case.rate > 0)
        ]
        return Table("Latency, from receipt to commit", head, rows)

    def watched(self) -> Table:
        """Within a round of windows of one run."""
        head = ["Scraped, beside not at all", "CPU of the sink", "events/s", "part of the CPU that answers took", "CPU of a scrape, µs"]
        rows = []
        for rate in sorted({window["rate"] for window in self.windows}, reverse=True):
            windows = [window for window in self.windows if window["rate"] == rate]
            for scrapes in sorted({window["scrapes"] for window in windows} - {0}):
                cpu, events = (Spread.of(watching.ratios(windows, scrapes, name)).text(3) for name in ("cpu_us", "events_per_s"))
                scraped = [window for window in windows if window["scrapes"] == scrapes]
                part, cost = (Spread.of(window[name] for window in scraped) for name in ("answering_part", "scrape_cpu_us"))
                often = "each second" if scrapes == 1 else f"{scrapes} times a second"
                load = f"{rate:,} events/s" if rate else "as fast as possible"
                rows.append([f"{often}, {load}", cpu, events, part.text(4), cost.text(0)])
        return Table("What being watched costs", head, rows)

    def hardware(self) -> str:
        m = self.machine
        return (
            f"{m['cpu']}, {m['cores']} cores, {m['memory']}; {m['kernel']}, {m['disk']}; PostgreSQL {m['postgresql']}; "
            f"Rust {m['rust']}; {m['date']}."
        )

    def conditions(self) -> str:
        m = self.machine
        flush, others = Spread.of(r["flush_us"] for r in self.runs), Spread.of(r["other_cores"] for r in self.runs)
        rounds = len({run["round"] for run in self.runs})
        return (
            f"{self.hardware()} {rounds} {'round' if rounds == 1 else 'rounds'}; a flush of 8 KiB took "
            f"{flush.text(0)} µs; the rest of the machine used {others.text(2)} cores. "
            f"The program has {mib(m['binary_bytes'])} MiB, {mib(m['stripped_bytes'])} MiB without symbols."
        )

    def as_text(self) -> str:
        watched = [self.watched().as_text()] if self.windows else []
        if not self.runs:
            return "\n\n".join([self.hardware(), *watched])
        if len({run.get("postgresql") for run in self.runs}) > 1:
            return f"{self.conditions()}\n\n{self.versions().as_text()}"
        tables = [self.floods(), self.ratios(), self.rates()]
        return "\n\n".join([self.conditions(), *(table.as_text() for table in tables), *watched])

    def write(self, folder: Path) -> None:
        """Runs and plots into the folder, tables into the page beside it."""
        if self.windows:
            rounds = len({window["watching"] for window in self.windows})
            fill(folder.with_suffix(".md"), "watched", [f"{self.hardware()} {rounds} rounds.", self.watched().as_markdown()])
        if not self.runs:
            return
        if len({run.get("postgresql") for run in self.runs}) > 1:
            fill(folder.with_suffix(".md"), "versions", [self.conditions(), self.versions().as_markdown()])
            return
        folder.mkdir(parents=True, exist_ok=True)
        if self.path.resolve() != (folder / "runs.jsonl").resolve():
            shutil.copyfile(self.path, folder / "runs.jsonl")
        (folder / "throughput.svg").write_text(self.throughput_chart().svg())
        (folder / "latency.svg").write_text(self.latency_chart().svg())
        tables = [table.as_markdown() for table in (self.floods(), self.ratios(), self.rates())]
        plots = [
            f"![Throughput against the size of a batch]({folder.name}/throughput.svg)",
            f"![From receipt to commit, against the rate]({folder.name}/latency.svg)",
        ]
        fill(folder.with_suffix(".md"), "results", [self.conditions(), *tables, *plots])

    def line(self, label: str, colour: str, cases: list[Case], along: str, *path: str, dashed: bool = False) -> plot.Line:
        spreads = [(getattr(case, along), self.spread(case, *path)) for case in cases]
        points = [(at, spread.low, spread.middle, spread.high) for at, spread in spreads if spread]
        return plot.Line(label, colour, points, dashed)

    def throughput_chart(self) -> plot.Chart:
        def flood(what: str, connections: int = 1, way: str = "sink") -> list[Case]:
            kind = (what, connections, way, "postgresql", 0, 0, 0, 0)
            return self.cases(
                lambda c: (c.what, c.connections, c.way, c.database, c.rate, c.delay_ms, c.repeats, c.table_rows) == kind
            )

        lines = [
            self.line("ceiling: upsert", GREY, flood("ceiling", way="upsert"), "batch", "events_per_s", dashed=True),
            self.line("cxsink", BLUE, flood("sink"), "batch", "events_per_s"),
            self.line("cxsink, 2 connections", GREEN, flood("sink", 2), "batch", "events_per_s"),
        ]
        lines = [line for line in lines if line.points]
        return plot.Chart(
            title="Throughput against the size of a batch",
            note="PostgreSQL, durable; medians, with bars from the lowest to the highest run",
            x_label="events in a transaction at most (batch.events_max)",
            y_label="events/s",
            x_ticks=sorted({at for line in lines for at, *_ in line.points}),
            y_ticks=plot.ticks_up_to(max(high for line in lines for *_, high in line.points)),
            lines=lines,
        )

    def latency_chart(self) -> plot.Chart:
        lines, rates = [], self.cases(lambda case: case.rate > 0)
        for database, dashed in (("postgresql", False), ("sqlite", True)):
            cases = [case for case in rates if case.database == database]
            for name, colour in (("max", RED), ("p99", ORANGE), ("p50", BLUE)):
                label = f"{NAMES[database]}, {name}"
                lines.append(self.line(label, colour, cases, "rate", "commit_ms", name, dashed=dashed))
        lines = [line for line in lines if line.points]
        return plot.Chart(
            title="From receipt to commit, against the rate",
            note="Batches form by themselves; medians, with bars from the lowest to the highest run",
            x_label="events/s",
            y_label="milliseconds",
            x_ticks=sorted({at for line in lines for at, *_ in line.points}),
            y_ticks=plot.log_ticks(
                min(low for line in lines for _, low, *_ in line.points),
                max(high for line in lines for *_, high in line.points),
            ),
            y_log=True,
            lines=lines,
        )


# The ceilings, as in benches/ceiling.rs, in the order of the columns.
WAYS = {"sink": "the sink's statements", "upsert": "upsert", "insert": "plain INSERT", "copy": "COPY"}


def describe(case: Case) -> str:
    words = [f"ceiling: {WAYS[case.way]}" if case.what == "ceiling" else f"cxsink to {NAMES[case.database]}", f"batches of {case.batch:,}"]
    if case.connections != 1:
        words.append(f"{case.connections} connections")
    if case.delay_ms:
        words.append(f"{case.delay_ms} ms away")
    if case.repeats:
        words.append(f"{case.repeats} % repeat one shortly before")
    if case.known:
        words.append(f"{case.known} % repeat a row of the table")
    if case.table_rows:
        words.append(f"a table of {case.table_rows:,} rows")
    return ", ".join(words)


def parts_table(printed: str) -> Table:
    """From what the benchmark of the parts printed."""
    rates = parts.events_per_s(printed)
    rows = [[name, f"{1e6 / median:,.2f}", f"{1e6 / fastest:,.2f}"] for name, (median, fastest) in rates.items()]
    return Table("Microseconds for an event", ["", "median", "fastest"], rows)


def fill(page: Path, name: str, blocks: list[str]) -> None:
    """Puts the blocks where the page has a place of this name; a page that does not exist needs none."""
    if page.exists():
        before, rest = page.read_text().split(f"<!-- {name} -->")
        end = f"<!-- end of {name} -->"
        page.write_text("\n\n".join([before + f"<!-- {name} -->", *blocks, end]) + rest.split(end)[1])


def mib(size: int) -> str:
    return f"{size / 2**20:.1f}"
