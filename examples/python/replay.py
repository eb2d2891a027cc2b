"""Dead letters, after their cause is fixed: prints the reasons, checks them again, and replays the valid ones.

Run it where the sink runs, with the same environment or .env, also while the sink is running:

    python replay.py [--yes]
"""

from __future__ import annotations

import sys
from collections import Counter

import cxsink


def main(is_sure: bool) -> int:
    config = cxsink.Config()
    reasons = Counter(
        (letter.stage, letter.reason) for letter in cxsink.DeadLetters(config) if letter.replayed_at is None
    )
    for (stage, reason), count in reasons.most_common():
        print(f"{count:7} {stage}: {reason}")

    tried = cxsink.replay(config, dry_run=True)
    print(f"under today's schema and table, {tried.replayed} would be events again and {tried.rejected} would not")
    if not is_sure or not tried.replayed:
        return 0

    done = cxsink.replay(config)
    print(f"replayed {done.replayed}" + (f" by {done.by}" if done.by else ""))
    # The replayed events are in the table, or are new dead letters: the old dead letters are not needed any more.
    print(f"deleted {cxsink.DeadLetters(config).purge(replayed=True).deleted}")
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main("--yes" in sys.argv[1:]))
    except cxsink.Error as error:
        sys.exit(str(error))
