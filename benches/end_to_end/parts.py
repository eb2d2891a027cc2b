"""Reads what divan printed for benches/components.rs."""

from __future__ import annotations

import re

UNITS = {"": 1.0, "K": 1e3, "M": 1e6, "G": 1e9}
# `│  ├─ 50   37.3 µs  │ …`: how deep it is, its name, and nothing else of interest but that the figures follow.
NAMED = re.compile(r"^(?P<within>│  |   )?[├╰]─ (?P<name>\S+)")
RATE = re.compile(r"([\d.]+) ([KMG]?)item/s")


def events_per_s(printed: str) -> dict[str, tuple[float, float]]:
    """Median and fastest rate of each benchmark, by its name; with its argument where it has one."""
    found: dict[str, tuple[float, float]] = {}
    group = name = ""
    for line in printed.splitlines():
        if match := NAMED.match(line):
            if match["within"]:
                name = f"{group}, {int(match['name']):,}"
            else:
                name = group = match["name"].replace("_", " ")
        # The columns are: fastest, slowest, median, mean.
        rates = [float(number) * UNITS[unit] for number, unit in RATE.findall(line)]
        if len(rates) == 4:
            found[name] = (rates[2], rates[0])
    return found
