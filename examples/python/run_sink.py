"""A deployment: reads the stream into PostgreSQL until SIGINT or SIGTERM.

Set the variables of .env.example in the environment, or in a file .env in the working directory, then

    python -m cxsink init-db     # once
    python run_sink.py
"""

from __future__ import annotations

import logging
import signal
import sys

import cxsink


def main() -> int:
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)-7s %(threadName)s: %(message)s")
    try:
        sink = cxsink.Sink()
    except cxsink.Error as error:
        print(error, file=sys.stderr)
        return 2

    # Both signals end it in order: what is spooled is applied first. What cannot be applied waits for the next start.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: sink.stop())

    def on_notice(notice: cxsink.Notice) -> None:
        # Everything else is in the log already. This is the place for metrics and alerts of your own.
        if isinstance(notice, cxsink.StatsNotice):
            logging.info("%s", notice.stats)

    try:
        print(sink.run(on_notice))
    except cxsink.Error as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
