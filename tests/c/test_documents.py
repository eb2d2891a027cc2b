"""The programs in docs/c.md and README.md compile unchanged, and work as the text says."""

from __future__ import annotations

import json
import re
import sqlite3
import subprocess
from pathlib import Path

import pytest

from conftest import BUILT, PATIENCE_SECONDS, PROJECT, Installation, clean_environment, finished, run

HERE = Path(__file__).parent
DOCUMENTS = ("README.md", "docs/c.md")


def programs(document: str) -> list[tuple[str, str]]:
    """The language and the text of each program."""
    text = (PROJECT / document).read_text()
    blocks = re.findall(r"^```(c|cpp)\n(.*?)^```", text, re.M | re.S)
    return [(language, block) for language, block in blocks if "int main(" in block]


def built(document: str, number: int, installed: Installation) -> Path:
    language, text = programs(document)[number]
    source = BUILT / f"{document.replace('/', '-')}-{number}.{language}"
    source.write_text(text)
    return installed.build(source)


def test_every_program_compiles(installed: Installation) -> None:
    count = {document: len(programs(document)) for document in DOCUMENTS}
    assert count == {"README.md": 1, "docs/c.md": 4}
    for document, number in count.items():
        for program in range(number):
            built(document, program, installed)


def test_the_example_in_the_header_compiles(installed: Installation) -> None:
    header = (installed.include / "cxsink.h").read_text()
    example = re.search(r"^ \*     (cxsink_config \*config.*?)^ \*\n", header, re.M | re.S)
    assert example
    body = re.sub(r"^ \*", "", example[1], flags=re.M)
    source = BUILT / "header-example.c"
    source.write_text(f"#include <cxsink.h>\n#include <stdio.h>\nint main(void)\n{{\n{body}\nreturn 0;\n}}\n")
    installed.build(source)


@pytest.mark.parametrize(("document", "number"), [("README.md", 0), ("docs/c.md", 0), ("docs/c.md", 1)])
def test_a_first_program_reads_a_stream_to_its_end(
    document: str, number: int, installed: Installation, tmp_path: Path
) -> None:
    options = ["events=500", "invalid_percent=2", "close_at_end=true"]
    cxone = subprocess.Popen(
        [installed.build(HERE / "cxone.c"), *options],
        env=clean_environment(),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert cxone.stdout
        variables = dict(cxone.stdout.readline().strip().split("=", 1) for _ in range(5))
        destination = f'[destination]\nurl = "sqlite:{tmp_path}/events.db"\n'
        spool = f'[spool]\npath = "{tmp_path}/spool.db"\n[stream]\non_normal_close = "stop"\n'
        (tmp_path / "cxsink.toml").write_text(destination + spool)
        program = built(document, number, installed)
        start = f"cd '{tmp_path}' && exec '{program}'"

        done = finished("sh", "-c", start, **variables)
        assert done.returncode == 1 and "cxsink init-db" in done.stderr, done.stdout + done.stderr

        run(installed.build(HERE / "init_db.c"), tmp_path / "cxsink.toml", **variables)
        said = run("sh", "-c", start, **variables)
        notices = [json.loads(line) for line in said.splitlines()]
        rejected = sum(notice["kind"] == "rejected" for notice in notices)
        assert notices[-1] == {"kind": "state", "state": "closed"} and rejected > 2
        with sqlite3.connect(tmp_path / "events.db") as database:
            assert database.execute("SELECT count(*) FROM cxone_events").fetchone() == (500 - rejected,)
        if document == "docs/c.md":
            # The program for dead letters finds them, and replays what it can: nothing, as they are bad.
            found = run("sh", "-c", f"cd '{tmp_path}' && exec '{built(document, 2, installed)}'", **variables)
            letters, replayed = map(json.loads, found.splitlines())
            assert len(letters) == rejected == replayed["rejected"]
    finally:
        cxone.communicate("", PATIENCE_SECONDS)
    assert cxone.returncode == 0


def test_the_program_with_a_simulator_runs(installed: Installation) -> None:
    run(built("docs/c.md", 3, installed))


def test_the_commands_for_another_prefix_build_a_program_that_finds_its_library(
    installed: Installation, tmp_path: Path
) -> None:
    text = (PROJECT / "docs" / "c.md").read_text()
    (commands,) = (block for block in re.findall(r"^```sh\n(.*?)^```", text, re.M | re.S) if "-rpath" in block)
    (tmp_path / "program.c").write_text(programs("docs/c.md")[0][1])
    environment = clean_environment(PREFIX=str(installed.prefix))
    environment.pop("LD_LIBRARY_PATH", None)
    done = subprocess.run(
        ["sh", "-ec", f"{commands}\n./program"], cwd=tmp_path, env=environment, capture_output=True, text=True
    )
    # It starts, and has no configuration.
    assert done.returncode == 1 and "cxsink.toml" in done.stderr, done.stdout + done.stderr
