"""Fixtures: configurations that use only a folder of the test, and a real PostgreSQL."""

from __future__ import annotations

import json
import os
import secrets
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import cxsink
import pytest

DEADLINE_SECONDS = 60
PROJECT = Path(__file__).parents[2]


def event(key: str = "k-1", **members: object) -> dict[str, Any]:
    """A valid event."""
    return {"interactionId": "i-1", "timestamp": "2026-11-22T16:00:00Z", "type": "call", "idempotencyKey": key, **members}


def events(count: int) -> list[bytes]:
    """Valid events with a key each."""
    return [json.dumps(event(f"k-{number}")).encode() for number in range(count)]


def until(condition: Callable[[], object], what: str) -> None:
    """Waits for the thing itself."""
    end = time.monotonic() + DEADLINE_SECONDS
    while not condition():
        assert time.monotonic() < end, f"not in time: {what}"
        time.sleep(0.01)


@pytest.fixture(autouse=True)
def only_this_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No test depends on the variables, the .env file or the folder of the caller."""
    for name in os.environ:
        if name.startswith(("CXSINK_", "CXONE_", "DB_", "PG", "DATABASE_URL")) and not name.startswith("CXSINK_TEST_"):
            monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def settings(tmp_path: Path) -> dict[str, str]:
    """A sink without a stream, into an SQLite file whose table is there."""
    settings = {"spool.path": str(tmp_path / "spool.db"), "destination.url": f"sqlite:{tmp_path / 'events.db'}"}
    cxsink.init_db(settings)
    return settings


@pytest.fixture
def postgres_settings(tmp_path: Path) -> dict[str, str]:
    """A sink without a stream, into a table of the test's own in a real PostgreSQL."""
    url = os.environ.get("CXSINK_TEST_POSTGRES")
    if not url:
        pytest.fail("CXSINK_TEST_POSTGRES is not set: run the tests by scripts/with-postgres")
    table = f"events_{secrets.token_hex(6)}"
    settings = {"spool.path": str(tmp_path / "spool.db"), "destination.url": url, "destination.table": table}
    cxsink.init_db(settings)
    return settings


@pytest.fixture(params=["sqlite", "postgres"])
def any_settings(request: pytest.FixtureRequest) -> dict[str, str]:
    """The same test over each destination."""
    name = "settings" if request.param == "sqlite" else "postgres_settings"
    found: dict[str, str] = request.getfixturevalue(name)
    return found


class Program:
    """A Python program of its own, which says on a line of its own when it is ready."""

    def __init__(self, source: str, *arguments: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", textwrap.dedent(source), *arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            # A group, so that none of its children outlives it: one that waited for ever would hold our pipes open.
            start_new_session=True,
        )

    def wait_for(self, line: str) -> None:
        """Reads until the program says this."""
        assert self.process.stdout
        for said in self.process.stdout:
            if said.strip() == line:
                return
        assert self.process.stderr
        raise AssertionError(f"the program ended without saying {line!r}: {self.process.stderr.read()}")

    def end(self) -> tuple[int, str, str]:
        """Exit code, and what it has said since."""
        out, err = self.process.communicate(timeout=DEADLINE_SECONDS)
        return self.process.returncode, out, err


@pytest.fixture
def program() -> Iterator[Callable[..., Program]]:
    """Starts programs, none of which outlives the test."""
    started: list[Program] = []

    def start(source: str, *arguments: str) -> Program:
        started.append(Program(source, *arguments))
        return started[-1]

    yield start
    for each in started:
        with suppress(ProcessLookupError):
            os.killpg(each.process.pid, signal.SIGKILL)
        each.process.communicate(timeout=DEADLINE_SECONDS)
