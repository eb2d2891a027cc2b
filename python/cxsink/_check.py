"""Checking a deployment: each step tried for real, with the fix for what fails."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Literal

from cxsink import _cxsink
from cxsink._config import Config, ConfigValue, native

_SIGNS = {"passed": "\N{CHECK MARK}", "warning": "!", "failed": "\N{BALLOT X}", "skipped": "-"}


@dataclass(frozen=True)
class CheckStep:
    """One thing that was tried."""

    name: str
    """What, as ``section.step``: ``"destination.table"``. Stable."""
    status: Literal["passed", "warning", "failed", "skipped"]
    """How it ended. A warning works, but not as well as it could."""
    duration: timedelta
    """How long it took."""
    message: str
    """What was found, or what was tried, on what, and why it failed. Never a secret."""
    hint: str | None
    """What to do about it; always there for a failure or a warning."""

    def __str__(self) -> str:
        line = f"{_SIGNS[self.status]} {self.name}: {self.message}"
        return f"{line}\n    {self.hint}" if self.hint else line


@dataclass(frozen=True)
class Check:
    """What a check found. ``print`` shows a line for each step."""

    ok: bool
    """Whether no step failed."""
    steps: tuple[CheckStep, ...]
    """Every step, in the order in which they were tried."""

    def __str__(self) -> str:
        return "\n".join(map(str, self.steps))


def check(
    config: Config | Mapping[str, ConfigValue] | None = None, /, *, areas: Iterable[str] | None = None
) -> Check:
    """Tries a deployment, step by step and for real: configuration and schema in any case, and these areas. It leaves no trace.

    Args:
        config: The configuration; ``None`` is the environment.
        areas: Some of ``spool``, ``oauth``, ``stream`` and ``destination``; ``None``: all of them. For ``stream``, the stream is
            opened and closed again at once, unless a sink has the spool.

    Raises:
        ValueError: There is no such area.

    >>> found = check({"destination.url": "sqlite:/nowhere/events.db"}, areas=["destination"])
    >>> found.ok, found.steps[-1].name, found.steps[-1].status
    (False, 'destination.checkpoint', 'skipped')
    """
    wanted = _cxsink.check_areas() if areas is None else [*areas]
    found = json.loads(_cxsink.check(native(config), wanted))
    return Check(ok=found["ok"], steps=tuple(_step(**step) for step in found["steps"]))


def _step(
    *,
    name: str,
    status: Literal["passed", "warning", "failed", "skipped"],
    seconds: float,
    message: str,
    hint: str | None = None,
) -> CheckStep:
    return CheckStep(name, status, timedelta(seconds=seconds), message, hint)
