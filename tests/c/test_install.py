"""`make install` and `make uninstall`, and what a program finds by pkg-config and CMake."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

from conftest import BUILT, C99, CC, CPP17, PROJECT, Installation, finished, needed, run
from test_examples import CMAKE

HERE = Path(__file__).parent
PROGRAM = HERE / "version.c"


def make(target: str, *settings: str) -> None:
    command = ["make", "--silent", target, "PROFILE=dev", *settings]
    subprocess.run(command, cwd=PROJECT, stdin=subprocess.DEVNULL, capture_output=True, check=True)


def pkg_config(installed: Installation, *arguments: str) -> list[str]:
    return run(needed("pkg-config"), *arguments, "cxsink", PKG_CONFIG_PATH=str(installed.lib / "pkgconfig")).split()


def files_in(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if not path.is_dir())


def test_install_fills_a_staging_folder_and_uninstall_empties_it(installed: Installation, tmp_path: Path) -> None:
    other = tmp_path / "usr" / "include" / "other.h"
    other.parent.mkdir(parents=True)
    other.write_text("")
    settings = (f"DESTDIR={tmp_path}", "PREFIX=/usr", "LIBDIR=/usr/lib/here")
    make("install", *settings)
    series = ".".join(installed.version.split(".")[:2])
    libraries = ["libcxsink.a", "libcxsink.so", f"libcxsink.so.{series}", f"libcxsink.so.{installed.version}"]
    packages = ["pkgconfig/cxsink.pc", "cmake/cxsink/cxsinkConfig.cmake", "cmake/cxsink/cxsinkConfigVersion.cmake"]
    headers = ["cxsink.h", "cxsink.hpp", "cxsink_simulator.h", "cxsink_simulator.hpp"]
    expected = [f"usr/lib/here/{name}" for name in libraries + packages]
    expected += [f"usr/include/{name}" for name in [*headers, "other.h"]]
    assert files_in(tmp_path) == sorted(expected)
    described = (tmp_path / "usr/lib/here/pkgconfig/cxsink.pc").read_text()
    assert str(tmp_path) not in described and "libdir=/usr/lib/here\n" in described

    make("uninstall", *settings)
    assert files_in(tmp_path) == ["usr/include/other.h"]
    make("uninstall", *settings)


def test_versions_agree(installed: Installation) -> None:
    assert pkg_config(installed, "--modversion") == [installed.version]
    header = (installed.include / "cxsink.h").read_text()
    parts = [re.search(rf"#define CXSINK_VERSION_{part} (\d+)", header) for part in ("MAJOR", "MINOR", "PATCH")]
    assert ".".join(part[1] for part in parts if part) == installed.version
    assert f'#define CXSINK_VERSION_STRING "{installed.version}"' in header
    found = run(CMAKE, "-P", write("version.cmake", f"include({installed.lib}/cmake/cxsink/cxsinkConfigVersion.cmake)\n"
                                   'message(STATUS "it is ${PACKAGE_VERSION}")\n'))
    assert f"it is {installed.version}" in found


def write(name: str, text: str) -> Path:
    path = BUILT / name
    path.write_text(text)
    return path


def test_a_shared_link_line_links(installed: Installation, tmp_path: Path) -> None:
    program = tmp_path / "shared"
    flags = [*pkg_config(installed, "--cflags", "--libs"), f'-DEXPECTED_VERSION="{installed.version}"']
    run(*CC, *C99, PROGRAM, "-o", program, *flags, f"-Wl,-rpath,{installed.lib}")
    assert "0 failed" in run(program)


def test_a_static_link_line_links_where_there_is_only_the_static_library(installed: Installation, tmp_path: Path) -> None:
    lib = tmp_path / "lib"
    (lib / "pkgconfig").mkdir(parents=True)
    (lib / "libcxsink.a").symlink_to(installed.lib / "libcxsink.a")
    described = (installed.lib / "pkgconfig/cxsink.pc").read_text()
    (lib / "pkgconfig/cxsink.pc").write_text(described.replace(str(installed.lib), str(lib)))
    moved = Installation(tmp_path, installed.version)
    for source, compiler in ((PROGRAM, [*CC, *C99]), (HERE / "wrapper.cpp", [needed("c++"), *CPP17])):
        program = tmp_path / source.stem
        flags = [*pkg_config(moved, "--static", "--cflags", "--libs"), f'-DEXPECTED_VERSION="{installed.version}"']
        assert "-ldl" in flags or "-lm" in flags, "what the static library needs is in the line"
        run(*compiler, source, "-o", program, *flags)
        assert "libcxsink" not in run("readelf", "--wide", "--dynamic", program)
        assert "0 failed" in run(program, tmp_path)


CMAKE_LISTS = """
cmake_minimum_required(VERSION 3.16)
project(consumer C)
find_package(cxsink VERSION REQUIRED)
"""


def test_cmake_takes_versions_of_the_series_only(installed: Installation, tmp_path: Path) -> None:
    major, minor, patch = installed.version.split(".")
    good = ["", f"{major}.{minor}", installed.version, f"{installed.version} EXACT"]
    bad = [f"{major}.{minor}.{int(patch) + 1}", f"{major}.{int(minor) + 1}", f"{int(major) + 1}.{minor}"]
    for number, version in enumerate(good + bad):
        folder = tmp_path / str(number)
        folder.mkdir()
        (folder / "CMakeLists.txt").write_text(CMAKE_LISTS.replace("find_package(cxsink VERSION", f"find_package(cxsink {version}"))
        done = finished(CMAKE, "-S", folder, "-B", folder / "build", f"-DCMAKE_PREFIX_PATH={installed.prefix}")
        assert (done.returncode == 0) == (version in good), f"{version}: {done.stdout}{done.stderr}"


def test_a_moved_installation_still_works(installed: Installation, tmp_path: Path) -> None:
    """CMake's package finds itself where it is."""
    moved = tmp_path / "moved"
    shutil.copytree(installed.prefix, moved, symlinks=True, ignore=shutil.ignore_patterns("*.a"))
    (tmp_path / "CMakeLists.txt").write_text(
        CMAKE_LISTS.replace(" VERSION REQUIRED", " REQUIRED")
        + f"add_executable(consumer {PROGRAM})\n"
        + "target_compile_definitions(consumer PRIVATE _POSIX_C_SOURCE=200809L "
        + f'EXPECTED_VERSION="{installed.version}")\n'
        + "target_link_libraries(consumer PRIVATE cxsink::cxsink pthread)\n"
    )
    run(CMAKE, "-S", tmp_path, "-B", tmp_path / "build", f"-DCMAKE_PREFIX_PATH={moved}")
    run(CMAKE, "--build", tmp_path / "build")
    assert str(moved) in run("readelf", "--wide", "--dynamic", tmp_path / "build" / "consumer")
    assert "0 failed" in run(tmp_path / "build" / "consumer")
