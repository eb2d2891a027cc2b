"""Chromium as the tests want it, and axe-core: got by the project's scripts, if they are not here."""

from __future__ import annotations

import subprocess
import zlib
from functools import cache
from pathlib import Path

PROJECT = Path(__file__).parents[2]
HERE = Path(__file__).parent

# As root it has no sandbox of its own. The rest keeps it from looking for other hosts.
ARGUMENTS = [
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-gpu",
    "--disable-quic",
    "--disable-sync",
    "--no-first-run",
]
SECONDS = 900


@cache
def need(program: str) -> str:
    command = [str(PROJECT / "scripts" / "need"), program]
    return subprocess.run(command, stdout=subprocess.PIPE, check=True, encoding="utf-8", timeout=SECONDS).stdout.strip()


@cache
def axe() -> str:
    """The source of axe-core, in the version of package-lock.json."""
    stamp = HERE / "node_modules" / ".stamp"
    made_from = str(zlib.crc32((HERE / "package-lock.json").read_bytes()))
    if not stamp.exists() or stamp.read_text() != made_from:
        command = [need("npm"), "ci", "--prefix", str(HERE), "--ignore-scripts", "--no-audit", "--no-fund", "--silent"]
        subprocess.run(command, check=True, timeout=SECONDS)
        # Last, so that an interrupted run is not taken for a finished one.
        stamp.write_text(made_from)
    return (HERE / "node_modules" / "axe-core" / "axe.min.js").read_text()
