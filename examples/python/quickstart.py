"""The main job on this machine, with nothing set up: a simulated CXone into an SQLite file. Prints the first rows.

    python quickstart.py [EVENTS]
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import cxsink


def main(events: int) -> None:
    with tempfile.TemporaryDirectory() as folder, cxsink.Simulator(
        events=events, update_percent=5, invalid_percent=1, close_at_end=True
    ) as simulator:
        config = cxsink.Config(
            {
                **simulator.options,
                "stream.on_normal_close": "stop",
                "spool.path": Path(folder) / "spool.db",
                "destination.url": f"sqlite:{folder}/events.db",
            }
        )
        cxsink.init_db(config)

        # In a service, this is all: it returns when the stream has ended, which a real one does not.
        sink = cxsink.Sink(config)
        stats = sink.run()

        print(stats)
        found = cxsink.peek(config, 5)
        print(*found.columns[:6], sep=" | ")
        for row in found.rows:
            print(*row[:6], sep=" | ")
        for letter in sink.dead_letters(limit=1):
            print(f"the first dead letter: {letter.reason}\n  {letter.event.decode(errors='replace')}")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 10_000)
