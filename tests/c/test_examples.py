"""The examples, built by make and by CMake against the installed library, shared and static, do what they are for."""

from __future__ import annotations

import json
import re
import shutil
import signal
import subprocess
from pathlib import Path

import pytest

from conftest import BUILT, PATIENCE_SECONDS, PROJECT, Installation, clean_environment, needed, run

EXAMPLES = PROJECT / "examples"
CMAKE = PROJECT / ".venv" / "bin" / "cmake"


def start(command: list[str], folder: Path, environment: dict[str, str], stdin: int | None = None) -> subprocess.Popen[str]:
    return subprocess.Popen(
        command,
        cwd=folder,
        env=clean_environment(**environment),
        stdin=subprocess.DEVNULL if stdin is None else stdin,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def ended(process: subprocess.Popen[str]) -> tuple[str, str]:
    """Its output until its end, which was in order."""
    out, err = process.communicate(timeout=PATIENCE_SECONDS)
    assert process.returncode == 0, f"exit code {process.returncode}\n{out}\n{err}"
    return out, err


def run_sink(command: list[str], spool: str, destination: dict[str, str], folder: Path, events: int) -> dict[str, int]:
    """Runs it on a simulated stream until every event is stored, and interrupts it then; what its summary says."""
    environment = {**destination, "CXSINK_SPOOL__PATH": spool}
    process = start([*command, "--init-db", "--simulate", str(events)], folder, environment)
    assert process.stdout
    stored = 0
    try:
        for line in process.stdout:
            notice = json.loads(line)
            stored += notice["inserted"] + notice["updated"] if notice["kind"] == "stored" else 0
            if stored == events:
                process.send_signal(signal.SIGINT)
                break
        out, _ = ended(process)
    finally:
        process.kill()
    state, *counters = [line for line in out.splitlines() if not line.startswith("{")]
    assert state == "closed", out
    return {name: int(number) for name, number in (line.split() for line in counters)}


def check_sink(command: list[str], destination: dict[str, str], folder: Path, events: int = 2000) -> None:
    first = run_sink(command, "first.db", destination, folder, events)
    assert (first["received"], first["inserted"], first["pending"]) == (events, events, 0)
    # The same events over another spool: the rows are there.
    second = run_sink(command, "second.db", destination, folder, events)
    assert (second["received"], second["inserted"], second["updated"]) == (events, 0, events)


EVENT = '{{"interactionId":"i","timestamp":"2026-11-22T16:00:00Z","type":"call","idempotencyKey":"{key}"}}\n'


def check_ingest(command: list[str], destination: dict[str, str], folder: Path) -> None:
    for expected in ("accepted 3, refused 2, inserted 3, updated 0", "accepted 3, refused 2, inserted 0, updated 3"):
        process = start(command, folder, destination, subprocess.PIPE)
        lines = [EVENT.format(key=key) for key in ("a", "b", "c")]
        out, err = process.communicate("".join([lines[0], "{}\n", lines[1], "no event\n", lines[2]]), PATIENCE_SECONDS)
        assert process.returncode == 0 and f"{expected}, waiting 0" in out, out + err
        assert "line 2: " in err and "line 4: " in err


@pytest.fixture(scope="session", params=["make", "make static", "cmake", "cmake static"])
def examples(request: pytest.FixtureRequest, installed: Installation) -> Path:
    """The folder of the programs, built from a copy that knows nothing of this project."""
    kind: str = request.param
    tool, is_static = kind.split()[0], kind.endswith("static")
    scratch = BUILT / kind.replace(" ", "-")
    shutil.copytree(EXAMPLES, scratch, ignore=shutil.ignore_patterns("build"))
    if tool == "make":
        rpath = [] if is_static else [f"LDFLAGS=-Wl,-rpath,{installed.lib}"]
        tools = [f"PKG_CONFIG={needed('pkg-config')}", f"CXX={needed('c++')}"]
        how = ["STATIC=1"] if is_static else rpath
        run("make", "-C", scratch, "OUT=build", *tools, *how, PKG_CONFIG_PATH=str(installed.lib / "pkgconfig"))
    else:
        build = scratch / "build"
        options = [f"-DCMAKE_PREFIX_PATH={installed.prefix}", f"-DCMAKE_CXX_COMPILER={needed('c++')}"]
        options += ["-DCXSINK_STATIC=ON"] if is_static else []
        run(CMAKE, "-S", scratch, "-B", build, *options)
        run(CMAKE, "--build", build)
    needs = run("readelf", "--wide", "--dynamic", scratch / "build" / "sink")
    assert ("libcxsink.so" in needs) != is_static
    return scratch / "build"


@pytest.mark.parametrize("program", ["sink", "sink-cpp"])
def test_the_sink_reads_a_stream_until_it_is_interrupted(
    program: str, examples: Path, destination: dict[str, str], tmp_path: Path
) -> None:
    check_sink([str(examples / program)], destination, tmp_path)


def test_an_application_pushes_its_own_events(examples: Path, destination: dict[str, str], tmp_path: Path) -> None:
    check_ingest([str(examples / "ingest")], destination, tmp_path)


def test_an_interrupt_ends_the_ingest_example_while_it_waits_for_input(installed: Installation, tmp_path: Path) -> None:
    program = installed.build(EXAMPLES / "c" / "ingest.c")
    process = start([str(program)], tmp_path, {"CXSINK_DESTINATION__URL": "sqlite:events.db"}, subprocess.PIPE)
    assert process.stdin
    process.stdin.write(EVENT.format(key="a") + "broken\n")
    process.stdin.flush()
    # It complains of the second line when it has accepted the first.
    assert process.stderr and "line 2" in process.stderr.readline()
    process.send_signal(signal.SIGINT)
    out, _ = ended(process)
    assert "accepted 1, refused 1, inserted 1" in out


def test_the_examples_report_their_errors(installed: Installation, tmp_path: Path) -> None:
    for source in ("c/sink.c", "cpp/sink.cpp", "c/ingest.c"):
        program = installed.build(EXAMPLES / source)
        process = start([str(program)], tmp_path, {})
        _, err = process.communicate(timeout=PATIENCE_SECONDS)
        assert process.returncode == 1 and re.search(r"CONFIG: .*destination", err), err
        process = start([str(program)], tmp_path, {"CXSINK_SPOOL__PATHS": "x"})
        _, err = process.communicate(timeout=PATIENCE_SECONDS)
        assert process.returncode == 1 and 'the nearest known one is "CXSINK_SPOOL__PATH"' in err, err


def test_the_example_reads_a_file(installed: Installation, tmp_path: Path) -> None:
    (tmp_path / "cxsink.toml").write_text('[destination]\nurl = "sqlite:here.db"\n')
    program = installed.build(EXAMPLES / "c" / "ingest.c")
    run("sh", "-c", f"cd '{tmp_path}' && '{program}' cxsink.toml < /dev/null")
    assert (tmp_path / "here.db").exists()
