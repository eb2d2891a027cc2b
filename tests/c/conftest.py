"""The library as `make install` installs it, in a folder of the tests, and programs built with it.

The debug build is installed: it is there from the other tests, and has the line numbers that valgrind shows.
"""

from __future__ import annotations

import fcntl
import os
import shlex
import shutil
import subprocess
import sys
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

sys.dont_write_bytecode = True

PROJECT = Path(__file__).parents[2]
# Several runs beside each other have a folder each.
BUILT = PROJECT / "target" / os.environ.get("CXSINK_TEST_C_FOLDER", "c")
CC = shlex.split(os.environ.get("CC", "cc"))
STRICT = ["-Wall", "-Wextra", "-Wpedantic", "-Wshadow", "-Wstrict-prototypes", "-Werror", "-g"]
C99 = ["-std=c99", "-D_POSIX_C_SOURCE=200809L", *STRICT]
CPP17 = ["-std=c++17", *[flag for flag in STRICT if flag != "-Wstrict-prototypes"], "-Wnon-virtual-dtor"]
HEADERS_ALONE = ("cxsink.h", "cxsink.hpp", "cxsink_simulator.h", "cxsink_simulator.hpp")
# No test waits longer than this for something that has to happen.
PATIENCE_SECONDS = 300


def run(*command: str | Path, **environment: str) -> str:
    """The output of the command; the test fails with all of it if the command fails."""
    done = finished(*command, **environment)
    said = done.stdout + done.stderr
    assert done.returncode == 0, f"{shlex.join(map(str, command))}: exit code {done.returncode}\n{said}"
    return done.stdout


def finished(*command: str | Path, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(part) for part in command],
        env=clean_environment(**environment),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=PATIENCE_SECONDS,
        encoding="utf-8",
        errors="replace",
    )


def clean_environment(**more: str) -> dict[str, str]:
    """Without what a sink would read from it."""
    mine = ("CXSINK_", "CXONE_", "DB_", "PG", "DATABASE_URL")
    return {**{name: value for name, value in os.environ.items() if not name.startswith(mine)}, **more}


def needed(program: str) -> str:
    """The path of a program that may have to be got first."""
    return run(PROJECT / "scripts" / "need", program).strip()


@dataclass
class Installation:
    """The files of `make install`."""

    prefix: Path
    version: str
    programs: dict[tuple[str, ...], Path] = field(default_factory=dict)

    @property
    def lib(self) -> Path:
        return self.prefix / "lib"

    @property
    def include(self) -> Path:
        return self.prefix / "include"

    def header_flags(self) -> list[str]:
        return [f"-I{self.include}", f'-DEXPECTED_VERSION="{self.version}"']

    def link_flags(self) -> list[str]:
        return [f"-L{self.lib}", "-lcxsink", "-lpthread", f"-Wl,-rpath,{self.lib}"]

    def build(self, source: Path, *flags: str) -> Path:
        """The program of this C or C++ source, linked with the shared library; built once."""
        key = (str(source), *flags)
        if key not in self.programs:
            program = BUILT / f"{source.stem}-{len(self.programs)}"
            compiler = [*CC, *C99] if source.suffix == ".c" else [needed("c++"), *CPP17]
            run(*compiler, *flags, *self.header_flags(), source, "-o", program, *self.link_flags())
            self.programs[key] = program
        return self.programs[key]


@pytest.fixture(scope="session")
def installed() -> Installation:
    shutil.rmtree(BUILT, ignore_errors=True)
    prefix = BUILT / "prefix"
    # Not by `run`: the compiler is to be heard while it works, and may take its time.
    command = ["make", "--silent", "install", f"PREFIX={prefix}", "PROFILE=dev"]
    with (PROJECT / "target" / "c.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        subprocess.run(command, cwd=PROJECT, stdin=subprocess.DEVNULL, check=True)
    manifest = (PROJECT / "Cargo.toml").read_text()
    version = manifest.split("[workspace.package]")[1].split('version = "')[1].split('"')[0]
    return Installation(prefix, version)


@pytest.fixture(scope="session")
def postgres() -> str:
    """The connection string of the server that scripts/with-postgres started."""
    url = os.environ.get("CXSINK_TEST_POSTGRES")
    if url is None:
        pytest.fail("CXSINK_TEST_POSTGRES is not set: run the tests by scripts/with-postgres")
    return url


@pytest.fixture(params=["sqlite", "postgresql"])
def destination(request: pytest.FixtureRequest, tmp_path: Path) -> dict[str, str]:
    """The keys of a destination with a table of its own, in each kind of database, as environment variables."""
    if request.param == "sqlite":
        url = f"sqlite:{tmp_path}/events.db"
    else:
        url = request.getfixturevalue("postgres")
    return {"CXSINK_DESTINATION__URL": url, "CXSINK_DESTINATION__TABLE": f"t_{uuid.uuid4().hex[:12]}"}


@pytest.fixture
def in_memory(tmp_path: Path) -> Iterator[Path]:
    """A folder whose files need no disk, where there is one: for tests that open a thousand of them."""
    memory = Path("/dev/shm")
    if not os.access(memory, os.W_OK):
        yield tmp_path
        return
    folder = memory / f"cxsink-{uuid.uuid4().hex[:12]}"
    folder.mkdir()
    yield folder
    shutil.rmtree(folder)
