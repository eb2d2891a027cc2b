"""The examples and the test programs under valgrind and AddressSanitizer.

valgrind sees every access of the library. AddressSanitizer is compiled into the C side; there it checks each access to what the
library gave, and because the library allocates by malloc, also its leaks and what it frees twice. (rustc cannot instrument the Rust
side in its stable version; that side has few `unsafe` lines, and valgrind watches them.)
"""

from __future__ import annotations

from pathlib import Path

import pytest

from conftest import Installation, finished, needed, run
from test_examples import EXAMPLES, check_ingest, run_sink

HERE = Path(__file__).parent
FOUND = 99
VALGRIND = [
    "--quiet",
    "--leak-check=full",
    "--errors-for-leak-kinds=definite,indirect,possible",
    f"--suppressions={HERE / 'valgrind.supp'}",
    f"--error-exitcode={FOUND}",
    # Threads are let run in turn; otherwise one that polls may starve the others.
    "--fair-sched=yes",
]
MISTAKES = ["leak", "use-after-free", "double-free"]
# Those that start threads, replay, log and fail; `threads` with a few rounds, as each takes a second there.
PROGRAMS = ["lifecycle", "dead_letters", "logging", "stream", "configuration", "threads"]


@pytest.fixture(scope="session", params=["valgrind", "address sanitizer"])
def checker(request: pytest.FixtureRequest) -> tuple[list[str], list[str]]:
    """The flags to compile with, and the command to run under."""
    if request.param == "valgrind":
        return [], [needed("valgrind"), *VALGRIND]
    flags = ["-fsanitize=address", "-fno-omit-frame-pointer"]
    return flags, ["env", f"ASAN_OPTIONS=detect_leaks=1:exitcode={FOUND}"]


Checker = tuple[list[str], list[str]]


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_reported(mistake: str, checker: Checker, installed: Installation) -> None:
    flags, under = checker
    program = installed.build(HERE / "wrong.c", *flags)
    done = finished(*under, program, mistake)
    assert done.returncode == FOUND, done.stdout + done.stderr
    run(*under, program, "none")


@pytest.mark.parametrize("name", PROGRAMS)
def test_a_program_is_clean(name: str, checker: Checker, installed: Installation, tmp_path: Path) -> None:
    flags, under = checker
    run(*under, installed.build(HERE / f"{name}.c", *flags), tmp_path, ROUNDS="5")


def test_the_cpp_wrapper_is_clean(checker: Checker, installed: Installation, tmp_path: Path) -> None:
    flags, under = checker
    run(*under, installed.build(HERE / "wrapper.cpp", *flags), tmp_path)


def test_the_sink_example_is_clean(
    checker: Checker, installed: Installation, destination: dict[str, str], tmp_path: Path
) -> None:
    flags, under = checker
    sink = [*under, str(installed.build(EXAMPLES / "c/sink.c", *flags))]
    assert run_sink(sink, "spool.db", destination, tmp_path, 300)["inserted"] == 300


def test_the_cpp_example_is_clean(checker: Checker, installed: Installation, tmp_path: Path) -> None:
    flags, under = checker
    sink = [*under, str(installed.build(EXAMPLES / "cpp/sink.cpp", *flags))]
    assert run_sink(sink, "spool.db", {"CXSINK_DESTINATION__URL": "sqlite:events.db"}, tmp_path, 300)["inserted"] == 300


def test_the_ingest_example_is_clean(checker: Checker, installed: Installation, tmp_path: Path) -> None:
    flags, under = checker
    ingest = [*under, str(installed.build(EXAMPLES / "c/ingest.c", *flags))]
    check_ingest(ingest, {"CXSINK_DESTINATION__URL": "sqlite:events.db"}, tmp_path)
