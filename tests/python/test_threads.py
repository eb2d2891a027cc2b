"""A sink is safe to use from many Python threads at the same time."""

from __future__ import annotations

import json
import threading
from concurrent.futures import ThreadPoolExecutor

import cxsink
from conftest import event


def test_many_threads_ingest_while_one_polls(settings: dict[str, str]) -> None:
    def put(thread: int) -> int:
        sink.ingest(event(f"one-{thread}"))
        return sink.ingest_many(json.dumps(event(f"k-{thread}-{number}")).encode() for number in range(2500))

    stored = 0
    with cxsink.Sink(settings) as sink:
        with ThreadPoolExecutor(8) as pool:
            taken = sum(pool.map(put, range(8)))
        sink.stop()
        for notice in sink:
            stored += notice.inserted if isinstance(notice, cxsink.StoredNotice) else 0
    assert taken == 20_000 and stored == sink.stats().inserted == 20_008


def test_a_close_on_another_thread_ends_every_poll(settings: dict[str, str]) -> None:
    with cxsink.Sink(settings) as sink:
        polling = [threading.Thread(target=lambda: list(sink)) for _ in range(4)]
        for thread in polling:
            thread.start()
        sink.close()
        for thread in polling:
            thread.join(30)
            assert not thread.is_alive()


def test_stop_and_close_may_be_repeated_from_any_thread(settings: dict[str, str]) -> None:
    def end(_: int) -> None:
        sink.stop()
        sink.close()
        sink.close(5)

    with cxsink.Sink(settings) as sink:
        with ThreadPoolExecutor(4) as pool:
            list(pool.map(end, range(4)))
        sink.stop()
        sink.close()
    assert sink.state == "closed"
