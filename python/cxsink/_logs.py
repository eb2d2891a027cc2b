"""The log of the library, passed to ``logging`` on the thread of the caller.

The library's threads never touch Python: their records wait in the native module until a call fetches them.
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
# Silent unless the application configures logging.
default.addHandler(logging.NullHandler())

_loggers: dict[int, logging.Logger] = {}
_numbers = itertools.count(1)
_is_draining = False
_fetched: deque[tuple[int, int, str, str, float, str]] = deque()

if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_cxsink.after_fork)


def number_of(logger: logging.Logger | None, owner: object) -> int:
    """The number of this logger in the native module, valid as long as ``owner`` lives."""
    if logger is None:
        return 0
    number = next(_numbers)
    _loggers[number] = logger
    weakref.finalize(owner, _loggers.pop, number, None)
    return number


def drain() -> None:
    """Passes the waiting records to ``logging``. The native module calls it often."""
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
        # One by one: an exception in a handler, such as Ctrl-C, loses no later record.
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
    # The time and thread of the record, not of this call.
    record.created = created
    record.msecs = (created - int(created)) * 1000
    record.threadName = thread
    logger.handle(record)
