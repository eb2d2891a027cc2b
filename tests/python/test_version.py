"""The package and the crate are one product with one version."""

from __future__ import annotations

import importlib.metadata
import re
from pathlib import Path

import cxsink

CARGO_TOML = Path(__file__).parents[2] / "Cargo.toml"


def crate_version() -> str:
    # By hand: tomllib came with Python 3.11.
    found = re.search(r'^\[workspace\.package\][^\[]*?^version = "([^"]+)"', CARGO_TOML.read_text(), re.M | re.S)
    assert found, f"no version in [workspace.package] of {CARGO_TOML}"
    return found.group(1)


def test_the_version_is_that_of_the_crate() -> None:
    assert cxsink.__version__ == crate_version()


def test_the_installed_package_has_the_same_version() -> None:
    assert importlib.metadata.version("cxsink") == cxsink.__version__
