"""scripts/need: a program is found, or got and then found, or its absence is explained."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from script import load

NEED = Path(__file__).parents[2] / "scripts" / "need"

# Answers as apt-get does: the download puts a package into the cache folder that it is told.
CONTROL = """Package: pgfictive
Version: 1
Architecture: all
Maintainer: nobody
Description: a program for a test
"""

APT_GET = r"""#!/bin/sh
for word; do case $word in Dir::Cache=*) cache=${word#Dir::Cache=} ;; esac; done
case " $* " in *" --download-only "*) cp "$PACKAGE" "$cache/archives/" ;; esac
"""


def need(project: Path, *programs: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Runs a copy of the script in a project of its own, with only the given programs on PATH."""
    script = project / "scripts" / "need"
    if not script.exists():
        script.parent.mkdir(parents=True)
        shutil.copy(NEED, script)
    return subprocess.run(
        [sys.executable, str(script), *programs], env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True
    )


def program(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(0o755)
    return path


def test_a_program_on_the_path_is_taken(tmp_path: Path) -> None:
    pooler = program(tmp_path / "bin" / "pgbouncer", "#!/bin/sh\n")
    done = need(tmp_path / "project", "pgbouncer", PATH=str(pooler.parent))
    assert (done.returncode, done.stdout, done.stderr) == (0, f"{pooler}\n", "")


def test_an_unknown_program_shows_the_usage(tmp_path: Path) -> None:
    done = need(tmp_path, "nginx", PATH=os.defpath)
    assert done.returncode == 2
    assert "Usage: scripts/need" in done.stdout and "pgbouncer" in done.stdout


def test_without_apt_the_error_names_the_package(tmp_path: Path) -> None:
    # A copy that knows a program which exists nowhere, so that the test does not depend on this machine.
    script = program(tmp_path / "project" / "scripts" / "need", NEED.read_text().replace('"pgbouncer"', '"pgfictive"'))
    done = need(script.parents[1], "pgfictive", PATH=str(tmp_path))
    assert (done.returncode, done.stdout) == (1, "")
    assert "pgfictive is not here" in done.stderr
    assert "apt-get install pgfictive" in done.stderr


def test_without_root_a_package_is_unpacked_in_the_project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    content = tmp_path / "package"
    program(content / "usr" / "sbin" / "pgfictive", '#!/bin/sh\necho "$LD_LIBRARY_PATH"\n')
    (content / "usr" / "lib" / "x86_64-linux-gnu").mkdir(parents=True)
    program(content / "DEBIAN" / "control", CONTROL)
    subprocess.run(["dpkg-deb", "--build", content, tmp_path / "pgfictive.deb"], check=True, stdout=subprocess.DEVNULL)
    program(tmp_path / "bin" / "apt-get", APT_GET)
    monkeypatch.setenv("PACKAGE", str(tmp_path / "pgfictive.deb"))
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{os.environ['PATH']}")
    script = load("need")
    monkeypatch.setattr(script, "UNPACKED", tmp_path / "unpacked")

    script.unpack("pgfictive", ["pgfictive"])

    found = script.find("pgfictive")
    assert found == str(tmp_path / "unpacked" / "bin" / "pgfictive")
    libraries = subprocess.check_output([found], text=True).strip()
    assert libraries == str(tmp_path / "unpacked" / "usr" / "lib" / "x86_64-linux-gnu")


def test_an_unavailable_package_is_an_error_with_the_message_of_apt(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program(tmp_path / "apt-get", "#!/bin/sh\necho 'E: Unable to locate package pgfictive'; exit 100\n")
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    script = load("need")
    monkeypatch.setattr(script, "UNPACKED", tmp_path / "unpacked")
    monkeypatch.setitem(script.PACKAGES, "pgfictive", ["pgfictive"])
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with pytest.raises(script.Failed, match="Unable to locate package pgfictive.*Please install pgfictive"):
        script.need("pgfictive")
