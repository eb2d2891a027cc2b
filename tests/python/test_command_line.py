"""`python -m cxsink` and the command `cxsink` are the command line of the library."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import signal
import struct
import subprocess
import sys
import termios
import threading
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


def on_terminal(command: list[str], ended_by: str, **variables: str) -> str:
    """What a command prints on a terminal of 80 columns; it gets Ctrl-C once it has printed `ended_by`."""
    ours, theirs = os.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
    environment = {**os.environ, "TERM": "xterm", **variables}
    process = subprocess.Popen(command, stdin=theirs, stdout=theirs, stderr=theirs, env=environment)
    os.close(theirs)
    said, is_ended = b"", False
    give_up = threading.Timer(DEADLINE_SECONDS, process.kill)
    give_up.start()
    try:
        # On Linux the end of the other side is an error.
        with contextlib.suppress(OSError):
            while part := os.read(ours, 4096):
                said += part
                if ended_by.encode() in said and not is_ended:
                    process.send_signal(signal.SIGINT)
                    is_ended = True
        process.wait()
    finally:
        give_up.cancel()
        process.kill()
        os.close(ours)
    return said.decode()


def test_colours_are_for_terminals_that_want_them(tmp_path: Path) -> None:
    arguments = ["--set", f"spool.path={tmp_path}/spool.db", "--set", "destination.url=sqlite:/nowhere/events.db"]
    command = [*COMMANDS["python -m"], *arguments, "check", "--only", "destination"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=DEADLINE_SECONDS)
    assert "✗" in done.stdout and "\x1b[" not in done.stdout + done.stderr
    assert "\x1b[31m✗\x1b[0m" in on_terminal(command, "never", NO_COLOR="")
    assert "\x1b[" not in on_terminal(command, "never", NO_COLOR="1")
    assert "\x1b[" not in on_terminal(command, "never", NO_COLOR="", TERM="dumb")


def test_the_live_line_counts_down_to_the_next_try(settings: dict[str, str]) -> None:
    with cxsink.Simulator(events=1) as simulator:
        found = {**settings, **simulator.options, "retry.delay_min": "30s"}
    # It is gone.
    sets = [part for key, value in found.items() for part in ("--set", f"{key}={value}")]
    said = on_terminal([*COMMANDS["python -m"], *sets, "run"], "stream not connected, next try in ")
    assert "stream not connected, next try in " in said
