"""Checks of a deployment: each step tried for real, with its finding and a hint."""

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
    """One step of a check and its outcome."""

    name: str
    """The name, as ``section.step``: ``"destination.table"``. Stable."""
    status: Literal["passed", "warning", "failed", "skipped"]
    """The outcome. After a warning, the sink works, but not as well as it could."""
    duration: timedelta
    """The time it took."""
    message: str
    """The finding; for a failure, what failed and why. It never contains a secret."""
    hint: str | None
    """The fix; always present for a failure or a warning."""

    def __str__(self) -> str:
        line = f"{_SIGNS[self.status]} {self.name}: {self.message}"
        return f"{line}\n    {self.hint}" if self.hint else line


@dataclass(frozen=True)
class CheckReport:
    """The result of a check. ``print`` shows a line for each step."""

    ok: bool
    """Whether no step failed."""
    steps: tuple[CheckStep, ...]
    """Every step, in the order in which they were tried."""

    def __str__(self) -> str:
        return "\n".join(map(str, self.steps))


def check(
    config: Config | Mapping[str, ConfigValue] | None = None, /, *, areas: Iterable[str] | None = None
) -> CheckReport:
    """Tries a deployment step by step, for real: configuration and schema in any case, and these areas. It leaves no trace.

    Args:
        config: The configuration; ``None`` is the environment.
        areas: Some of ``spool``, ``oauth``, ``stream`` and ``destination``; ``None`` means all. For ``stream``, the stream is opened
            and closed again at once, unless a sink has the spool open.

    Raises:
        ValueError: No area has this name.

    >>> found = check({"destination.url": "sqlite:/nowhere/events.db"}, areas=["destination"])
    >>> found.ok, found.steps[-1].name, found.steps[-1].status
    (False, 'destination.checkpoint', 'skipped')
    """
    wanted = _cxsink.check_areas() if areas is None else [areas] if isinstance(areas, str) else [*areas]
    found = json.loads(_cxsink.check(native(config), wanted))
    return CheckReport(ok=found["ok"], steps=tuple(_step(**step) for step in found["steps"]))


def _step(
    *,
    name: str,
    status: Literal["passed", "warning", "failed", "skipped"],
    seconds: float,
    message: str,
    hint: str | None = None,
) -> CheckStep:
    return CheckStep(name, status, timedelta(seconds=seconds), message, hint)
