"""The machine, and the resources that its processes use."""

from __future__ import annotations

import os
import platform
import statistics
import tempfile
import time
from pathlib import Path

TICK = os.sysconf("SC_CLK_TCK")


def facts() -> dict[str, str]:
    """The description of the machine: figures mean nothing without it."""
    cpu = field(Path("/proc/cpuinfo"), "model name") or platform.machine()
    memory = int((field(Path("/proc/meminfo"), "MemTotal") or "0 kB").split()[0]) / 2**20
    return {
        "cpu": cpu,
        "cores": str(len(os.sched_getaffinity(0))),
        "memory": f"{memory:.1f} GiB",
        "kernel": f"{platform.system()} {platform.release()}",
        "disk": file_system(Path(tempfile.gettempdir())),
    }


def file_system(path: Path) -> str:
    """The type of the file system that holds the path."""
    mounts = [line.split() for line in Path("/proc/self/mounts").read_text().splitlines()]
    holding = [(point, kind) for _, point, kind, *_ in mounts if path.is_relative_to(point)]
    return max(holding, key=lambda mount: len(mount[0]))[1]


def flush_us(folder: Path) -> float:
    """The median of 40 flushes of 8 KiB to the disk that has this folder: what a commit costs at least."""
    times = []
    with tempfile.TemporaryFile(dir=folder) as file:
        for place in range(40):
            started = time.perf_counter()
            os.pwrite(file.fileno(), bytes(8192), 8192 * (place % 8))
            os.fdatasync(file.fileno())
            times.append(time.perf_counter() - started)
    return statistics.median(times) * 1e6


def field(file: Path, name: str) -> str | None:
    """The value of `name:` in a file of /proc."""
    for line in file.read_text().splitlines():
        key, _, value = line.partition(":")
        if key.strip() == name:
            return value.strip()
    return None


def rss_peak_mib(pid: int) -> float | None:
    """The most memory that the process has had so far; None when it is gone."""
    try:
        peak = field(Path(f"/proc/{pid}/status"), "VmHWM")
    except (FileNotFoundError, ProcessLookupError):
        return None
    return int(peak.split()[0]) / 1024 if peak else None


def cpu_seconds(pid: int) -> tuple[float, float]:
    """The CPU time of the process, and of its children that have ended."""
    # proc(5): the name may hold spaces, the state follows its bracket; utime is field 14 of the manual's count.
    values = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    own, ended = (int(values[at]) + int(values[at + 1]) for at in (11, 13))
    return own / TICK, ended / TICK


def family_cpu_seconds(pid: int) -> float:
    """What a server that has a process for each connection has used: itself, its children, and those that have ended."""
    total = sum(cpu_seconds(pid))
    for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split():
        try:
            total += cpu_seconds(int(child))[0]
        except (FileNotFoundError, ProcessLookupError):
            # It has ended since, and so its time may be missing from this sum. The next one has it.
            continue
    return total


def busy_seconds() -> float:
    """What all processes together have used since the machine was started, the time stolen by its host included."""
    user, nice, system, _idle, _wait, irq, softirq, steal = map(int, Path("/proc/stat").read_text().split()[1:9])
    return (user + nice + system + irq + softirq + steal) / TICK
