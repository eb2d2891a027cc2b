"""`python -m cxsink` and the command `cxsink` are the command line of the library."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path

import cxsink
import pytest
from conftest import DEADLINE_SECONDS, event, events

COMMANDS = {"python -m": [sys.executable, "-m", "cxsink"], "cxsink": [str(Path(sys.executable).parent / "cxsink")]}


def run(*arguments: str, stdin: str = "") -> tuple[int, str, str]:
    done = subprocess.run(
        [*COMMANDS["python -m"], *arguments], input=stdin, capture_output=True, text=True, timeout=DEADLINE_SECONDS
    )
    return done.returncode, done.stdout, done.stderr


@pytest.mark.parametrize("command", COMMANDS)
def test_both_commands_are_there(command: str) -> None:
    done = subprocess.run([*COMMANDS[command], "--version"], capture_output=True, text=True, timeout=DEADLINE_SECONDS)
    assert (done.returncode, done.stdout) == (0, f"cxsink {cxsink.__version__}\n")


def test_exit_codes_are_those_of_the_command_line() -> None:
    good, bad = json.dumps(event()), json.dumps(event(more=1))
    assert run("validate", "-", stdin=good) == (0, "1 valid, 0 invalid\n", "")
    code, out, _ = run("validate", "-", stdin=f"{good}\n{bad}\n")
    assert code == 1 and "line 2: " in out and out.endswith("1 valid, 1 invalid\n")
    code, _, err = run("frobnicate")
    assert code == 2 and "frobnicate" in err
    code, _, err = run("--set", "spool.pth=x", "init-db")
    assert code == 2 and "spool.path" in err


def test_a_file_is_imported_and_its_summary_printed(settings: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "events.jsonl").write_bytes(b"\n".join(events(300)))
    sets = [part for key, value in settings.items() for part in ("--set", f"{key}={value}")]
    code, _, err = run(*sets, "import", str(tmp_path / "events.jsonl"))
    assert code == 0 and "300" in err, err
    assert len(cxsink.peek(settings, 1000).rows) == 300


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_a_run_gracefully(settings: dict[str, str], number: signal.Signals) -> None:
    with cxsink.Simulator(events=500) as simulator:
        found = {**settings, **simulator.options}
        sets = [part for key, value in found.items() for part in ("--set", f"{key}={value}")]
        process = subprocess.Popen(
            [*COMMANDS["python -m"], *sets, "run"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        try:
            assert simulator.wait_finished(DEADLINE_SECONDS)
            process.send_signal(number)
            out, err = process.communicate(timeout=DEADLINE_SECONDS)
        finally:
            process.kill()
    assert process.returncode == 0 and "Traceback" not in err and "KeyboardInterrupt" not in err, err
    # An event that was in the socket, not yet read, may be missing: the table has what the summary says.
    assert "received" in err and out == ""


def test_a_closed_pipe_is_not_an_error() -> None:
    with subprocess.Popen(
        [*COMMANDS["python -m"], "simulate", "--list"], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdout and process.stderr
        process.stdout.close()
        err = process.stderr.read()
    assert process.returncode == 0 and err == b""
