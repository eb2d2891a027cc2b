"""The C programs beside this file: each counts its own checks, and ends with 1 if one of them failed."""

from __future__ import annotations

import json
import re
import sqlite3
import uuid
from pathlib import Path

import pytest

from conftest import C99, CC, PROJECT, Installation, run

HERE = Path(__file__).parent


@pytest.mark.parametrize("name", ["version", "lifecycle", "logging", "dead_letters", "stream", "forked", "blocked_poll"])
def test_program(name: str, installed: Installation, tmp_path: Path) -> None:
    said = run(installed.build(HERE / f"{name}.c"), tmp_path)
    passed = re.search(r"(\d+) passed, 0 failed$", said.strip())
    assert passed and int(passed[1]) > 5, said


def test_the_cpp_wrapper(installed: Installation, tmp_path: Path) -> None:
    said = run(installed.build(HERE / "wrapper.cpp"), tmp_path)
    assert re.search(r"\d\d passed, 0 failed$", said.strip()), said


def test_a_plugin_may_unload_the_library(installed: Installation, tmp_path: Path) -> None:
    # Not linked with the library, which would keep it.
    program = tmp_path / "plugin"
    run(*CC, *C99, *installed.header_flags(), HERE / "plugin.c", "-o", program, "-ldl")
    said = run(program, installed.lib / "libcxsink.so", tmp_path)
    assert re.search(r"\d\d passed, 0 failed$", said.strip()), said
    assert "NODELETE" in run("readelf", "--wide", "--dynamic", installed.lib / "libcxsink.so")


def test_lifecycle_with_postgresql(installed: Installation, postgres: str, tmp_path: Path) -> None:
    run(installed.build(HERE / "lifecycle.c"), tmp_path, DESTINATION=postgres, TABLE="c_lifecycle")


@pytest.mark.parametrize("database", ["sqlite", "postgresql"])
def test_a_table_of_ones_own(database: str, installed: Installation, request: pytest.FixtureRequest, tmp_path: Path) -> None:
    program = installed.build(HERE / "own_table.c")
    table = {"TABLE": f"own_{uuid.uuid4().hex[:12]}"}
    if database == "postgresql":
        table["DESTINATION"] = request.getfixturevalue("postgres")
    run(program, tmp_path, **table)
    for file in tmp_path.iterdir():
        assert b"+49 30 4711" not in file.read_bytes(), file
    # As if a month had passed.
    with sqlite3.connect(tmp_path / "spool.db") as spool:
        assert spool.execute("UPDATE dead_letters SET rejected_at = rejected_at - 31 * 86400000000").rowcount == 1
    spool.close()
    run(program, tmp_path, "later", **table)


def test_a_thousand_rounds_of_eight_threads(installed: Installation, in_memory: Path) -> None:
    run(installed.build(HERE / "threads.c"), in_memory, ROUNDS="1000")


def numbers_in_header(header: str, enum: str) -> dict[int, str]:
    body = re.search(rf"enum cxsink_{enum}\b.*?{{(.*?)}};", header, re.S)
    assert body, enum
    found = re.findall(rf"CXSINK_{enum.upper()}_(\w+) = (\d+),", body[1])
    return {int(number): name for name, number in found}


def test_names_and_numbers_are_those_of_the_header_and_keys_those_of_the_reference(
    installed: Installation, tmp_path: Path
) -> None:
    said = run(installed.build(HERE / "configuration.c"), tmp_path)
    header = (installed.include / "cxsink.h").read_text()
    for enum in ("status", "state", "counter", "notice_kind"):
        told = {int(n): name for n, name in re.findall(rf"^{enum} (\d+) (\w+)$", said, re.M) if name != "UNKNOWN"}
        declared = numbers_in_header(header, enum)
        assert {number: name.upper() for number, name in told.items()} == declared, enum
        assert len(declared) > 4

    keys = json.loads(re.search(r"^keys=(.*)$", said, re.M)[1])  # type: ignore[index]
    reference = (PROJECT / "docs" / "configuration.md").read_text()
    assert len(keys) > 30
    assert [key for key in keys if f"`{key}`" not in reference] == []
