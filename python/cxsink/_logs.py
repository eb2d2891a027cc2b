"""The library's log, handed over to ``logging`` on the thread that calls.

The library's threads never touch Python: what they log waits in the native module until a call fetches it.
"""

from __future__ import annotations

import itertools
import logging
import os
import weakref
from collections import deque

from cxsink import _cxsink

TRACE = 5
logging.addLevelName(TRACE, "TRACE")

default = logging.getLogger("cxsink")
# Quiet unless the application sets logging up.
default.addHandler(logging.NullHandler())

_loggers: dict[int, logging.Logger] = {}
_numbers = itertools.count(1)
_is_draining = False
_fetched: deque[tuple[int, int, str, str, float, str]] = deque()

if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_cxsink.after_fork)


def number_of(logger: logging.Logger | None, owner: object) -> int:
    """The number under which the native module knows this logger, as long as ``owner`` lives."""
    if logger is None:
        return 0
    number = next(_numbers)
    _loggers[number] = logger
    weakref.finalize(owner, _loggers.pop, number, None)
    return number


def drain() -> None:
    """Hands over what waits. Called by the native module, often."""
    global _is_draining
    # A handler may call a sink.
    if _is_draining:
        return
    _is_draining = True
    try:
        _cxsink.set_log_level(min(map(_level, [default, *_loggers.values()])))
        records, dropped = _cxsink.take_logs()
        if dropped:
            default.warning("%d older log records were dropped: no call fetched them in time", dropped)
        _fetched.extend(records)
        # One by one: an exception out of a handler, Ctrl-C for one, loses none of those behind it.
        while _fetched:
            _hand_over(*_fetched.popleft())
    finally:
        _is_draining = False


def _level(logger: logging.Logger) -> int:
    return logging.CRITICAL + 1 if logger.disabled else logger.getEffectiveLevel()


def _hand_over(number: int, level: int, module: str, message: str, created: float, thread: str) -> None:
    logger = _loggers.get(number, default)
    if not logger.isEnabledFor(level):
        return
    record = logger.makeRecord(logger.name, level, module, 0, "%s", (message,), None)
    # When and where it was said, not when it was fetched.
    record.created = created
    record.msecs = (created - int(created)) * 1000
    record.threadName = thread
    logger.handle(record)
