"""Reads interaction events from a NICE CXone Data Actions stream, validates them and upserts them into PostgreSQL.

A sink runs on threads of its own, none of which touches Python. Events wait in a local spool file until they are committed to the
table.

>>> import cxsink, tempfile
>>> folder = tempfile.TemporaryDirectory()
>>> config = cxsink.Config({
...     "spool.path": f"{folder.name}/spool.db",
...     "destination.url": f"sqlite:{folder.name}/events.db",
... })
>>> cxsink.init_db(config)
>>> event = {"interactionId": "i-1", "timestamp": "2026-11-22T16:00:00Z", "type": "call", "idempotencyKey": "k-1"}
>>> with cxsink.Sink(config) as sink:
...     sink.ingest(event)
>>> sink.stats().inserted
1
>>> folder.cleanup()

docs/python.md is the guide, docs/configuration.md lists every setting.
"""

from cxsink._check import CheckReport, CheckStep, check
from cxsink._config import Config, ConfigValue
from cxsink._connections import Gap, StreamConnection, connections, gaps
from cxsink._cxsink import __version__
from cxsink._dead_letters import DeadLetter, DeadLetters, Fate, PurgeReport, ReplayReport, Summary, SummaryGroup, replay
from cxsink._events import Event
from cxsink._notices import ErrorNotice, Notice, RejectedNotice, StateNotice, StatsNotice, StoredNotice
from cxsink._simulator import Simulator, SimulatorReport
from cxsink._sink import Sink, metrics_of
from cxsink._stats import Latency, State, Stats
from cxsink._table import FirstRows, init_db, init_db_sql, peek, renew_spool
from cxsink._validation import Validator, validate
from cxsink.exceptions import (
    ArgumentError,
    AuthError,
    CloseTimeout,
    ConfigError,
    DatabaseError,
    Error,
    InternalError,
    SchemaError,
    SpoolError,
    StateError,
    Status,
    StreamError,
    Timeout,
    Violation,
)

__all__ = [
    "ArgumentError",
    "AuthError",
    "CheckReport",
    "CheckStep",
    "CloseTimeout",
    "Config",
    "ConfigError",
    "ConfigValue",
    "DatabaseError",
    "DeadLetter",
    "DeadLetters",
    "Error",
    "ErrorNotice",
    "Event",
    "Fate",
    "FirstRows",
    "Gap",
    "InternalError",
    "Latency",
    "Notice",
    "PurgeReport",
    "RejectedNotice",
    "ReplayReport",
    "SchemaError",
    "Simulator",
    "SimulatorReport",
    "Sink",
    "SpoolError",
    "State",
    "StateError",
    "StateNotice",
    "Stats",
    "StatsNotice",
    "Status",
    "StoredNotice",
    "StreamConnection",
    "StreamError",
    "Summary",
    "SummaryGroup",
    "Timeout",
    "Validator",
    "Violation",
    "__version__",
    "check",
    "connections",
    "gaps",
    "init_db",
    "init_db_sql",
    "metrics_of",
    "peek",
    "renew_spool",
    "replay",
    "validate",
]
