"""The library's log, handed over to ``logging`` on the thread that calls.

The library's threads never touch Python: what they log waits in the native module until a call fetches it.
"""

from __future__ import annotations

import logging
import os
from collections import deque

from cxsink import _cxsink

TRACE = 5
logging.addLevelName(TRACE, "TRACE")

default = logging.getLogger("cxsink")
# Quiet unless the application sets logging up.
default.addHandler(logging.NullHandler())

_target = default
_is_draining = False
_fetched: deque[tuple[int, str, str, float, str]] = deque()

if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_cxsink.after_fork)


def use(logger: logging.Logger) -> None:
    """Sends the log to this logger from now on."""
    global _target
    _target = logger


def drain() -> None:
    """Hands over what waits. Called by the native module, often."""
    global _is_draining
    # A handler may call a sink.
    if _is_draining:
        return
    _is_draining = True
    try:
        _cxsink.set_log_level(_target.getEffectiveLevel() if not _target.disabled else logging.CRITICAL + 1)
        records, dropped = _cxsink.take_logs()
        if dropped:
            _target.warning("%d older log records were dropped: no call fetched them in time", dropped)
        _fetched.extend(records)
        # One by one: an exception out of a handler, Ctrl-C for one, loses none of those behind it.
        while _fetched:
            _hand_over(*_fetched.popleft())
    finally:
        _is_draining = False


def _hand_over(level: int, module: str, message: str, created: float, thread: str) -> None:
    if not _target.isEnabledFor(level):
        return
    record = _target.makeRecord(_target.name, level, module, 0, "%s", (message,), None)
    # When and where it was said, not when it was fetched.
    record.created = created
    record.msecs = (created - int(created)) * 1000
    record.threadName = thread
    _target.handle(record)
