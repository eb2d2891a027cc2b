"""The command line: ``python -m cxsink`` and the command ``cxsink`` are the same program as the Rust binary."""

from __future__ import annotations

import signal
import sys

from cxsink import _cxsink


def main() -> int:
    """Runs the command line with the arguments of this process; returns its exit code."""
    # The command line handles SIGINT itself. Python's own handler would run beside it, and raise KeyboardInterrupt at the end.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    return _cxsink.main(["cxsink", *sys.argv[1:]])


if __name__ == "__main__":
    sys.exit(main())
