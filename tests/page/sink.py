"""A sink to look at: the command line with a simulated stream and a PostgreSQL that a test may kill."""

from __future__ import annotations

import base64
import json
import os
import re
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

PROJECT = Path(__file__).parents[2]
sys.path.insert(0, str(PROJECT / "tests" / "python"))

from script import load  # noqa: E402

DEADLINE_SECONDS = 60
TOKEN = "open-sesame-1234"
PASSWORD = "s3cr3t-of-the-client"
# With dead letters of several kinds, events of one key, and a gap.
STREAM = ["--events", "endless", "--rate", "100", "--seed", "7", "--client-secret", PASSWORD]
STREAM += ["--invalid-percent", "4", "--update-percent", "20", "--close-after", "200", "--close-connections", "1"]


def until(condition: Callable[[], object], what: str) -> None:
    """Waits for the thing itself."""
    end = time.monotonic() + DEADLINE_SECONDS
    while not condition():
        assert time.monotonic() < end, f"not in time: {what}"
        time.sleep(0.05)


def binary() -> str:
    found = PROJECT / "target" / "debug" / "cxsink"
    assert found.exists(), "build it: cargo build --all-features --bin cxsink"
    return str(found)


class Database:
    """A PostgreSQL that dies and comes back at the same address."""

    def __init__(self) -> None:
        script = load("with-postgres")
        programs = os.environ.get("CXSINK_TEST_PG_BIN")
        assert programs, "CXSINK_TEST_PG_BIN is not set: run the tests by scripts/with-postgres"
        self.server = script.Server(Path(programs), False)
        self.server.make_programs_reachable()
        self.server.initialise()
        self.server.start()

    def url(self) -> str:
        return str(self.server.url())

    def kill(self) -> None:
        self.server.process.send_signal(signal.SIGQUIT)
        self.server.process.wait(DEADLINE_SECONDS)

    def start(self) -> None:
        assert self.server.start_on_port(), "another process has taken the port"

    def stop(self) -> None:
        self.server.stop()


class Sink:
    """`cxsink run` with its page, and the simulator that it reads."""

    def __init__(self, folder: Path, url: str, stream: list[str] = STREAM, **environment: str) -> None:
        self.folder = folder
        (folder / "token").write_text(TOKEN)
        (folder / "cxsink.toml").write_text('[batch]\nevents_max = 500\n\n[http]\ntoken_file = "token"\n')
        self.simulator = subprocess.Popen(
            [binary(), "simulate", *stream], cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        )
        self.environment = {
            "CXSINK_RETRY__DELAY_MIN": "100ms",
            "CXSINK_RETRY__DELAY_MAX": "1s",
            "DATABASE_URL": url,
            "CXSINK_HTTP__LISTEN": "127.0.0.1:0",
            **environment,
        }
        assert self.simulator.stdout
        for line in self.simulator.stdout:
            name, _, value = line.strip().partition("=")
            self.environment[name] = value
            if name == "CXONE_STREAM_ID":
                break
        self.run("init-db")
        self.process: subprocess.Popen[bytes] | None = None
        self.address = ""
        self.start()

    def run(self, *arguments: str) -> str:
        command = [binary(), *arguments]
        done = subprocess.run(command, cwd=self.folder, env=self.environment, capture_output=True, text=True, timeout=DEADLINE_SECONDS)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def start(self) -> None:
        """At the same address, if it had one."""
        log = self.folder / "log"
        with log.open("wb") as stderr:
            self.process = subprocess.Popen([binary(), "run"], cwd=self.folder, env=self.environment, stderr=stderr)
        found: list[re.Match[str]] = []

        def is_up() -> bool:
            assert self.process and self.process.poll() is None, log.read_text()
            found.extend(re.finditer(r"metrics and health are at http://(\S+)", log.read_text()))
            return bool(found)

        until(is_up, "the sink listens")
        self.address = found[0][1]
        self.environment["CXSINK_HTTP__LISTEN"] = self.address

    def end(self, number: int) -> None:
        assert self.process
        self.process.send_signal(number)
        self.process.wait(DEADLINE_SECONDS)

    @property
    def url(self) -> str:
        return f"http://{self.address}/"

    def get(self, path: str) -> bytes:
        request = urllib.request.Request(self.url + path)
        request.add_header("Authorization", "Basic " + base64.b64encode(f"any:{TOKEN}".encode()).decode())
        with urllib.request.urlopen(request, timeout=DEADLINE_SECONDS) as answer:
            body: bytes = answer.read()
        return body

    def stats(self) -> dict[str, Any]:
        stream: dict[str, Any] = json.loads(self.get("stats.json"))["streams"][0]
        return stream

    def stop(self) -> None:
        for process in (self.process, self.simulator):
            if process and process.poll() is None:
                process.kill()
                process.wait(DEADLINE_SECONDS)
        if self.simulator.stdout:
            self.simulator.stdout.close()
