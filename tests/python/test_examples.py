"""Each example does what it says, as its user would run it."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import cxsink
import pytest
from conftest import DEADLINE_SECONDS, PROJECT, event, events, until

EXAMPLES = PROJECT / "examples" / "python"


@pytest.fixture
def start() -> Iterator[Callable[..., subprocess.Popen[str]]]:
    started: list[subprocess.Popen[str]] = []

    def start(name: str, *arguments: str, **variables: str) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, str(EXAMPLES / name), *arguments],
            env={**os.environ, **variables},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()


def variables(settings: dict[str, str]) -> dict[str, str]:
    return {f"CXSINK_{key.replace('.', '__').upper()}": value for key, value in settings.items()}


def end(process: subprocess.Popen[str]) -> str:
    out, err = process.communicate(timeout=DEADLINE_SECONDS)
    assert process.returncode == 0, err
    return out


def test_quickstart(start: Callable[..., subprocess.Popen[str]]) -> None:
    out = end(start("quickstart.py", "2000"))
    stats, header, *rows = out.splitlines()
    assert stats.startswith("Stats(state='closed', received=2000, ")
    assert header.startswith("id | interaction_id | timestamp") and rows[0].startswith("1 | ")
    assert "the first dead letter: " in out


def test_run_sink(start: Callable[..., subprocess.Popen[str]], any_settings: dict[str, str], tmp_path: Path) -> None:
    with cxsink.Simulator(events=500) as simulator:
        found = {**any_settings, **simulator.options}
        (tmp_path / ".env").write_text("".join(f"{name}='{value}'\n" for name, value in variables(found).items()))
        running = start("run_sink.py")
        table = {key: value for key, value in any_settings.items() if key.startswith("destination.")}
        until(lambda: len(cxsink.peek(table, 500).rows) == 500, "every event is in the table")
        running.send_signal(signal.SIGTERM)
        out = end(running)
    assert out.startswith("Stats(state='closed', received=500, inserted=500")


def test_run_sink_without_a_configuration_names_the_missing_keys(start: Callable[..., subprocess.Popen[str]]) -> None:
    process = start("run_sink.py")
    _, err = process.communicate(timeout=DEADLINE_SECONDS)
    assert process.returncode == 2 and "destination.url" in err and "Traceback" not in err


def test_ingest_webhook(start: Callable[..., subprocess.Popen[str]], settings: dict[str, str]) -> None:
    running = start("ingest_webhook.py", "0", **variables(settings))
    assert running.stdout
    url = re.sub(r"listening on ", "", running.stdout.readline().strip())

    def post(body: bytes, kind: str = "application/json") -> tuple[int, bytes]:
        request = urllib.request.Request(url, body, {"Content-Type": kind})
        try:
            with urllib.request.urlopen(request, timeout=DEADLINE_SECONDS) as answer:
                return answer.status, answer.read()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read()

    assert post(json.dumps(event("k-x")).encode()) == (204, b"")
    assert post(b"\n".join(events(100)), "application/x-ndjson") == (204, b"")
    status, body = post(json.dumps(event(more=1)).encode())
    assert status == 422 and json.loads(body)["violations"][0]["message"]
    status, body = post(b"\n".join([*events(3), b"{"]), "application/x-ndjson")
    assert (status, json.loads(body)["index"]) == (422, 3)
    running.send_signal(signal.SIGINT)
    assert end(running).startswith("Stats(state='closed', received=104, ")
    assert len(cxsink.peek(settings, 1000).rows) == 101


def test_replay(start: Callable[..., subprocess.Popen[str]], settings: dict[str, str]) -> None:
    with cxsink.Sink(settings) as sink:
        sink.import_lines([json.dumps(event("k-1", more=1)).encode(), b"{", b"{"])
    keeping = variables({**settings, "schema.additional_properties": "keep"})
    assert "1 would be events again and 2 would not" in end(start("replay.py", **keeping))
    assert cxsink.peek(settings).rows == []
    out = end(start("replay.py", "--yes", **keeping))
    assert "      2 json: the event is not JSON" in out and out.endswith("replayed 1\ndeleted 1\n")
    assert len(cxsink.peek(settings).rows) == 1 and len(cxsink.DeadLetters(settings)) == 2
