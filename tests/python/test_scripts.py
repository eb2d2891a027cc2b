"""The scripts behind the tests: a mistake in them would make every other result doubtful."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from script import load

SCRIPTS = Path(__file__).parents[2] / "scripts"
DEADLINE_SECONDS = 90


# --- with-postgres ----------------------------------------------------------------------------------------------


def with_postgres(*command: str) -> subprocess.Popen[str]:
    # The programs that the outer server runs: nothing is searched for or installed twice.
    programs = os.environ.get("CXSINK_TEST_PG_BIN") or os.environ.get("PG_BIN", "")
    environment = {**os.environ, "PG_BIN": programs} if programs else dict(os.environ)
    return subprocess.Popen(
        [SCRIPTS / "with-postgres", *command],
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def folder_in(said: str) -> Path:
    found = re.search(r" in (/tmp/cxsink-pg-\S+)$", said, re.M)
    assert found, said
    return Path(found.group(1))


def is_alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


def wait_until_gone(pid: int) -> None:
    end = time.monotonic() + DEADLINE_SECONDS
    while is_alive(pid):
        assert time.monotonic() < end, f"process {pid} is still there"
        time.sleep(0.02)


@pytest.fixture
def running() -> Iterator[tuple[subprocess.Popen[str], Path, int, int]]:
    """A with-postgres whose command runs: it, its folder, the server's pid and the command's."""
    script = with_postgres("sh", "-c", "echo $$; exec sleep 600")
    assert script.stdout and script.stderr
    command = int(script.stdout.readline())
    folder = folder_in(script.stderr.readline())
    server = int((folder / "data" / "postmaster.pid").read_text().split()[0])
    yield script, folder, server, command
    # Whatever the script did not do: a failed test leaves nothing behind either.
    script.kill()
    for pid in (server, command):
        if is_alive(pid):
            os.kill(pid, signal.SIGKILL)
    script.communicate()
    shutil.rmtree(folder, ignore_errors=True)


def test_the_exit_code_is_that_of_the_command_and_the_server_is_gone() -> None:
    script = with_postgres("sh", "-c", 'test -x "$CXSINK_TEST_PG_BIN/postgres" && echo "$CXSINK_TEST_POSTGRES"; exit 7')
    out, said = script.communicate(timeout=DEADLINE_SECONDS)
    assert script.returncode == 7
    assert re.fullmatch(r"postgresql://postgres:[0-9a-f]{32}@127\.0\.0\.1:\d+/postgres\n", out)
    assert not folder_in(said).exists()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_the_command_and_the_server(
    running: tuple[subprocess.Popen[str], Path, int, int], number: signal.Signals
) -> None:
    script, folder, server, command = running
    assert is_alive(server) and is_alive(command)
    script.send_signal(number)
    script.communicate(timeout=DEADLINE_SECONDS)
    assert script.returncode == 128 + number
    assert not is_alive(server) and not is_alive(command)
    assert not folder.exists()


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="only Linux tells a process of its parent's end")
def test_the_server_does_not_outlive_a_script_that_is_killed(
    running: tuple[subprocess.Popen[str], Path, int, int],
) -> None:
    script, _, server, _ = running
    script.kill()
    script.wait(DEADLINE_SECONDS)
    wait_until_gone(server)


def test_a_missing_command_has_its_own_exit_code() -> None:
    script = with_postgres("/nowhere/command")
    _, said = script.communicate(timeout=DEADLINE_SECONDS)
    assert script.returncode == 127
    assert "cannot run /nowhere/command" in said
    assert not folder_in(said).exists()


def test_missing_programs_are_an_error_that_names_the_place(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CXSINK_TEST_PG_BIN", raising=False)
    monkeypatch.setenv("PG_BIN", "/nowhere")
    script = with_postgres("true")
    _, said = script.communicate(timeout=DEADLINE_SECONDS)
    assert script.returncode == 1
    assert "PG_BIN=/nowhere does not hold" in said


# --- check-licences ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("MIT", True),
        ("GPL-3.0-only", False),
        ("GPL-3.0-only OR MIT", True),
        ("MIT OR GPL-3.0-only", True),
        ("MIT/GPL-3.0-only", True),
        ("MIT AND GPL-3.0-only", False),
        ("GPL-3.0-only AND MIT OR ISC", True),
        ("GPL-3.0-only AND (MIT OR ISC)", False),
        ("(MIT OR GPL-3.0-only) AND ISC", True),
        ("Apache-2.0 WITH LLVM-exception", True),
        ("Apache-2.0", False),
        ("none", False),
    ],
)
def test_an_expression_is_met_with_the_allowed_licences(expression: str, expected: bool) -> None:
    allowed = {"MIT", "ISC", "Apache-2.0 WITH LLVM-exception"}
    assert load("check-licences").is_allowed(expression, allowed) is expected


# --- make-sdist -------------------------------------------------------------------------------------------------


def test_of_an_archive_only_what_differs_is_written(tmp_path: Path) -> None:
    script = load("make-sdist")
    unpacked = tmp_path / "unpacked"

    def unpack(**files: str) -> None:
        root = tmp_path / "tree" / "cxsink-1"
        shutil.rmtree(root, ignore_errors=True)
        (root / "src").mkdir(parents=True)
        for name, text in files.items():
            (root / "src" / name).write_text(text)
        script.pack(root, tmp_path / "archive.tar.gz")
        script.unpack(tmp_path / "archive.tar.gz", unpacked)

    unpack(same="1", changed="1", gone="1")
    os.utime(unpacked / "src" / "same", (0, 0))
    unpack(same="1", changed="2", new="2")
    found = {path.name: path.read_text() for path in (unpacked / "src").iterdir()}
    assert found == {"same": "1", "changed": "2", "new": "2"}
    assert (unpacked / "src" / "same").stat().st_mtime == 0, "cargo would build it again"


# --- test -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("test result: ok. 12 passed; 0 failed; 3 ignored; 0 measured", "12 passed, 0 failed, 3 skipped"),
        ("test result: FAILED. 1 passed; 2 failed; 0 ignored; 0 measured", "1 passed, 2 failed"),
        ("test result: \x1b[32mok\x1b[0m. 1 passed; 0 failed; 0 ignored; 0 measured", "1 passed, 0 failed"),
        ("====== 2 failed, 5 passed, 1 skipped, 1 warning in 0.51s ======", "5 passed, 2 failed, 1 skipped"),
        ("============ 4 passed in 61.02s (0:01:01) ============", "4 passed, 0 failed"),
        ("============ 1 skipped in 0.01s ============", "0 passed, 0 failed, 1 skipped"),
        ("============ 1 failed in 0.01s ============", "0 passed, 1 failed"),
        ("============ test session starts ============", "0 passed, 0 failed"),
        ("running 12 tests", "0 passed, 0 failed"),
    ],
)
def test_the_counts_are_those_of_the_runners(line: str, expected: str) -> None:
    counts = load("test").Counts()
    counts.read(line + "\n")
    assert str(counts) == expected


# --- make-sdist -------------------------------------------------------------------------------------------------


def test_the_page_on_pypi_has_no_relative_link() -> None:
    without = load("make-sdist").without_relative_links
    text = "[A](docs/a.md#b), [LICENSE](LICENSE), [c](https://c.example/d.md), [e](#e)"
    assert without(text) == "A (docs/a.md#b), LICENSE, [c](https://c.example/d.md), [e](#e)"
    page = without((SCRIPTS.parent / "README.md").read_text(encoding="utf-8"))
    assert "Configuration (docs/configuration.md)" in page
    assert not [target for target in re.findall(r"\]\(([^)]*)\)", page) if not target.startswith(("https://", "#"))]
