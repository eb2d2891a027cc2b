"""The whole path from Python: a simulated CXone over real sockets, into SQLite and a real PostgreSQL, reported by notices."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

import cxsink
import pytest
from conftest import until


def test_every_event_of_a_faulty_stream_is_accounted_for(any_settings: dict[str, str]) -> None:
    faults = {"update_percent": 5, "redelivery_percent": 5, "invalid_percent": 1, "close_after": 1000, "replay_events": 50}
    with cxsink.Simulator(events=3000, close_at_end=True, **faults) as simulator:
        settings = {**any_settings, **simulator.options, "stream.on_normal_close": "stop"}
        notices: list[cxsink.Notice] = []
        stats = cxsink.Sink(settings).run(notices.append)
        report = simulator.report()
    assert report.finished and report.connections == 2
    assert stats.received == report.events and stats.inserted == report.unique_keys
    # Of the events sent again, some were invalid once more.
    assert report.invalid <= stats.dead_lettered <= report.invalid + report.replays and stats.is_balanced
    assert timedelta() < stats.latency.p50 <= stats.latency.max < timedelta(seconds=60) and stats.reconnects == 1
    states = [notice.state for notice in notices if isinstance(notice, cxsink.StateNotice)]
    assert states == ["running", "stopping", "closed"]
    stored = [notice for notice in notices if isinstance(notice, cxsink.StoredNotice)]
    assert sum(notice.inserted for notice in stored) == stats.inserted and len(stored) == stats.batches
    rejected = [notice for notice in notices if isinstance(notice, cxsink.RejectedNotice)]
    assert len(rejected) == stats.dead_lettered and all(notice.reason for notice in rejected)


def test_a_sink_is_an_iterator_of_its_notices(settings: dict[str, str]) -> None:
    with cxsink.Simulator(events=10) as simulator, cxsink.Sink({**settings, **simulator.options}) as sink:
        for notice in sink:
            match notice:
                case cxsink.StoredNotice():
                    sink.stop()
                case cxsink.StateNotice(state=state):
                    last = state
        assert (last, sink.state, list(sink), sink.poll()) == ("closed", "closed", [], None)


def test_poll_keeps_its_timeout(settings: dict[str, str]) -> None:
    with cxsink.Sink(settings) as sink:
        while sink.poll(0) is not None:
            pass
        assert sink.poll(timedelta(milliseconds=1)) is None and sink.poll(0.001) is None
        for bad in (-1, float("nan")):
            with pytest.raises(ValueError, match="timeout"):
                sink.poll(bad)
        assert sink.state == "running"


def test_wrong_credentials_end_the_sink_with_the_reason(settings: dict[str, str]) -> None:
    with cxsink.Simulator() as simulator:
        wrong = {**settings, **simulator.options, "oauth.client_secret": "hunter2"}
        with pytest.raises(cxsink.AuthError) as raised, cxsink.Sink(wrong) as sink:
            errors = [notice.error for notice in sink if isinstance(notice, cxsink.ErrorNotice)]
    error = raised.value
    assert error.http_status == 401 and error.hint and "client_secret" in error.hint and "hunter2" not in str(error)
    assert [type(each) for each in errors] == [cxsink.AuthError]
    failure = sink.failure
    assert sink.state == "failed" and isinstance(failure, cxsink.AuthError) and failure.message == error.message


def test_a_start_that_fails_ends_the_sink_and_its_notices(settings: dict[str, str]) -> None:
    stream = {"oauth.client_id": "id", "oauth.client_secret": "hunter2", "stream.id": "s", "tls.ca_file": "/nowhere/ca.pem"}
    sink = cxsink.Sink({**settings, **stream})
    with pytest.raises(cxsink.ConfigError, match=r"tls\.ca_file"):
        sink.start()
    assert sink.state == "failed" and [type(notice) for notice in sink][0] is cxsink.ErrorNotice and sink.poll() is None
    with pytest.raises(cxsink.ConfigError):
        sink.close()


def test_an_error_in_the_body_is_not_hidden_by_the_close(settings: dict[str, str]) -> None:
    with cxsink.Simulator() as simulator:
        wrong = {**settings, **simulator.options, "oauth.client_secret": "hunter2"}
        with pytest.raises(LookupError), cxsink.Sink(wrong) as sink:
            until(lambda: sink.failure, "the failure")
            raise LookupError
    assert sink.state == "failed"


def test_a_missing_table_is_a_database_error(settings: dict[str, str], postgres_settings: dict[str, str]) -> None:
    for each in (settings, postgres_settings):
        with pytest.raises(cxsink.DatabaseError, match="no_such_table") as raised:
            cxsink.Sink({**each, "destination.table": "no_such_table"}).start()
        assert "init-db" in (raised.value.hint or "")


def test_refused_credentials_have_the_sqlstate(postgres_settings: dict[str, str]) -> None:
    wrong = postgres_settings["destination.url"].replace("postgres:", "nobody:", 1)
    with pytest.raises(cxsink.DatabaseError) as raised:
        cxsink.init_db({**postgres_settings, "destination.url": wrong})
    assert raised.value.sqlstate in ("28P01", "28000")


def test_a_spool_has_one_sink_at_a_time(settings: dict[str, str]) -> None:
    with cxsink.Sink(settings), pytest.raises(cxsink.SpoolError, match="in use by"):
        cxsink.Sink(settings)
    with cxsink.Sink(settings):
        pass


def test_events_not_committed_in_time_are_kept_and_the_close_times_out(settings: dict[str, str]) -> None:
    away = {**settings, "destination.url": "postgresql://u@127.0.0.1:1/d", "spool.bytes_max": "64KiB"}
    with cxsink.Sink(away) as sink:
        sink.ingest_many([b'{"interactionId":"i","timestamp":"2026-11-22T16:00:00Z","type":"call","idempotencyKey":"k"}'])
        until(lambda: sink.state == "stalled", "the outage is seen")
    assert sink.stats().pending == 1, "close does not wait for an unreachable destination"
    with cxsink.Sink(settings) as sink:
        pass
    assert (sink.stats().recovered, sink.stats().inserted) == (1, 1)


def test_connections_and_gaps_are_recorded(settings: dict[str, str]) -> None:
    before = datetime.now(timezone.utc) - timedelta(seconds=1)
    with cxsink.Simulator(events=100, close_after=50, close_at_end=True) as simulator:
        settings = {**settings, **simulator.options, "stream.on_normal_close": "stop"}
        sink = cxsink.Sink(settings)
        sink.run()
    connections, gaps = sink.connections(), sink.gaps()
    assert [connection.events for connection in connections] == [50, 50]
    assert before < connections[0].opened_at <= (connections[0].last_event_at or before)
    assert [gap.close_code for gap in gaps] == [1008, 1000]
    assert gaps[0].start < (gaps[0].end or before) and gaps[1].end is None
    assert (cxsink.connections(settings), cxsink.gaps(settings)) == (connections, gaps)
