"""Several streams: the configuration of each, a sink of its own, and the metrics of all."""

from __future__ import annotations

from pathlib import Path

import pytest

import cxsink

EVENT = {"interactionId": "i-1", "timestamp": "2026-11-22T16:00:00Z", "type": "call", "idempotencyKey": "k-1"}


def whole(folder: Path) -> cxsink.Config:
    own = {"destination": {"table": "sales_events"}, "headers": {"X-Tenant": "t1"}, "id": "s-1"}
    return cxsink.Config(
        {
            "spool.path": folder / "spool.db",
            "destination.url": f"sqlite:{folder}/events.db",
            "oauth": {"client_id": "id", "client_secret": "hunter2"},
            "streams": {"sales": own},
        },
        streams__emea_calls__id="s-2",
        streams__emea_calls__destination__table="calls",
    )


def test_each_stream_has_what_is_its_own(tmp_path: Path) -> None:
    config = whole(tmp_path)
    assert config.stream_names == ["sales", "emea_calls"]
    sales, calls = (config.for_stream(name) for name in config.stream_names)
    assert (sales["stream.id"], sales["destination.table"], calls["destination.table"]) == ("s-1", "sales_events", "calls")
    assert sales["stream.headers"] is not None and calls["stream.headers"] is None
    assert sales["spool.path"] == str(tmp_path / "spool-sales.db")
    assert sales.stream_names == [] and sales["oauth.client_secret"] == "***"
    assert config["streams.sales.id"] == "s-1" and "streams.sales.id" in config
    with pytest.raises(KeyError):
        config["streams.sales.spool.path"]
    assert "streams=['sales', 'emea_calls']" in repr(config) and "hunter2" not in repr(config)
    # A copy has the same streams, and may have more.
    assert cxsink.Config(config, streams__other__id="s-3").stream_names == ["sales", "emea_calls", "other"]


def test_mistakes_name_the_nearest(tmp_path: Path) -> None:
    config = whole(tmp_path)
    with pytest.raises(cxsink.ConfigError, match='the nearest known one is "sales"'):
        config.for_stream("sale")
    with pytest.raises(cxsink.ConfigError, match='"streams.sales.destination.table"'):
        cxsink.Config(config, streams={"sales": {"destination": {"tabel": "x"}}})
    with pytest.raises(cxsink.ConfigError, match="streams.sales is a stream"):
        cxsink.Config(config, streams={"sales": "x"})
    with pytest.raises(cxsink.ConfigError, match="of several streams"):
        cxsink.Sink(config)


def test_an_application_opens_a_sink_for_each(tmp_path: Path) -> None:
    config = whole(tmp_path)
    streams = [cxsink.Config(config.for_stream(name), oauth__client_id=None, oauth__client_secret=None, stream__id=None) for name in config.stream_names]
    for stream in streams:
        cxsink.init_db(stream)
    sinks = [cxsink.Sink(stream) for stream in streams]
    for sink in sinks:
        sink.start()
        sink.ingest(EVENT)
        sink.close()
    metrics = cxsink.metrics_of(sinks).splitlines()
    for name in config.stream_names:
        assert f'cxsink_events_total{{stream="{name}",outcome="inserted"}} 1' in metrics
    assert len([line for line in metrics if line == "# TYPE cxsink_events_total counter"]) == 1
    assert [len(cxsink.peek(stream, 5).rows) for stream in streams] == [1, 1]
