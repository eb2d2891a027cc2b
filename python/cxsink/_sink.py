"""The sink: the handle of the application."""

from __future__ import annotations

import atexit
import logging
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from types import TracebackType
from typing import TYPE_CHECKING
from weakref import WeakSet

from cxsink import _connections, _cxsink, _logs, _notices, _stats
from cxsink._config import Config, ConfigValue, StrPath
from cxsink._connections import Gap, StreamConnection
from cxsink._dead_letters import DeadLetter, ReplayReport, offsets_from, pages, replayed_from
from cxsink._events import Event, many
from cxsink._notices import Notice
from cxsink._stats import State, Stats
from cxsink._times import TimeLimit, seconds
from cxsink.exceptions import Error

if TYPE_CHECKING:
    from typing_extensions import Self


class Sink:
    """Reads the stream into the table, through the spool. The constructor opens the spool; ``start`` starts the threads.

    It is a context manager: entering starts it, leaving closes it. It is an iterator of its notices; the sink works without reading
    them. Every method may be called from any thread. While one blocks, other threads run, and Ctrl-C interrupts it.

    Args:
        config: Keys and values, as for ``Config``, or a ``Config``. A mapping alone is the whole configuration: the environment is
            not read.
        path: A TOML file; the environment overrides it. Without ``config`` and ``path``, the environment alone.
        logger: The logger for the records of this sink; the default is ``logging.getLogger("cxsink")``.
        options: Keys and values that override all others: ``spool__path="…"``, or ``spool={"path": "…"}``.

    Raises:
        ConfigError: A key, a value or the schema is bad.
        SpoolError: The spool cannot be used, for example because another process has it open.

    >>> with Simulator(events=1000, close_at_end=True) as simulator:
    ...     options = {**simulator.options, "stream.on_normal_close": "stop"}
    ...     with Sink({**settings, **options}) as sink:
    ...         for notice in sink:
    ...             if isinstance(notice, StateNotice):
    ...                 print(notice.state)
    running
    stopping
    closed
    """

    def __init__(
        self,
        config: Config | Mapping[str, ConfigValue] | None = None,
        /,
        *,
        path: StrPath | None = None,
        logger: logging.Logger | None = None,
        **options: ConfigValue,
    ) -> None:
        self._config = Config(config, path=path, **options)
        self._logger = logger
        self._native = _cxsink.Sink(self._config._native, _logs.number_of(logger, self))
        self._process = os.getpid()
        _opened.add(self)

    @property
    def config(self) -> Config:
        """The configuration that the sink was opened with."""
        return self._config

    def start(self) -> Self:
        """Connects to the destination and starts reading the stream. A sink starts once. Returns the sink itself.

        An unreachable destination is not an error: events wait in the spool, and the state is ``stalled``. Without a stream in the
        configuration, the sink accepts events from the application only.

        Raises:
            ConfigError: A configured file or address cannot be used. The sink has ended as ``failed``.
            DatabaseError: The table does not exist or does not match the configuration, or the server refuses the credentials. The
                sink has ended as ``failed``.
            StateError: The sink was started before.
        """
        self._native.start()
        return self

    def poll(self, timeout: TimeLimit = None) -> Notice | None:
        """Waits for the next notice, for ``timeout`` seconds at most.

        Returns ``None`` if none came in time, or if the sink has ended and every notice was fetched; ``state`` distinguishes the two.
        After the start, a ``StatsNotice`` comes every ten seconds at least; before the start, there are no notices. Ctrl-C, or an
        exception of another signal handler, loses no notice: the next call returns it.

        Raises:
            StateError: In a forked child.

        >>> with Sink(settings) as sink:
        ...     sink.poll(timeout=1)
        StateNotice(state='running')
        """
        taken: list[str] = []
        try:
            self._native.poll(seconds(timeout), taken)
            return _notices.from_json(taken[0]) if taken else None
        except BaseException:
            self._native.give_back(taken)
            raise

    def run(self, on_notice: Callable[[Notice], object] | None = None) -> Stats:
        """Starts the sink if it is not started, and runs it until it ends. Returns its statistics.

        Ctrl-C stops reading, commits the spooled events, within 30 seconds, and then raises KeyboardInterrupt; a second Ctrl-C ends
        it at once. An exception from ``on_notice`` also stops reading, and is raised again. ``stop`` from a signal handler or another
        thread ends it gracefully.

        Args:
            on_notice: Called with each notice, on this thread.

        Raises:
            Error: The error that ended the sink, if it failed.

        >>> with Simulator(events=1000, close_at_end=True) as simulator:
        ...     Sink({**settings, **simulator.options}, stream__on_normal_close="stop").run().received
        1000
        """
        try:
            if self.state == "open":
                self.start()
            for notice in self:
                if on_notice is not None:
                    on_notice(notice)
        except BaseException:
            self._close_after_exception()
            raise
        self.close()
        return self.stats()

    def ingest(self, event: Event, /) -> None:
        """Accepts an event from the application. It is validated at once, and then takes the same path as an event of the stream.
        It is an event, not a message: the section ``event`` of the configuration does not apply.

        Returns when the event is in the spool; ``spool.sync`` sets what it survives. Blocks while the spool is full.

        Args:
            event: JSON as bytes or text, or a mapping, whose values may also be ``datetime`` (with a time zone), ``date``, ``UUID``
                and ``Decimal``.

        Raises:
            SchemaError: The event is not valid; it is not kept. ``violations`` has every violation.
            StateError: The sink is stopping.

        >>> with Sink(settings) as sink:
        ...     sink.ingest({**event, "type": "fax"})
        Traceback (most recent call last):
        cxsink.exceptions.SchemaError: the event does not match the schema: /type: value is not one of "call", "chat" or 2 other candidates
        """
        self._native.ingest(event)

    def ingest_many(self, events: Iterable[Event], /) -> int:
        """Accepts every event of an iterable, many in one transaction of the spool. Returns the number of events accepted.

        Events of a slow iterable are accepted with the next one after a tenth of a second at the latest. Other threads run in the
        meantime.

        Raises:
            TypeError: One event is given instead of an iterable of events.
            SchemaError: An event is not valid; ``index`` is its index, from 0. After this, or any other exception, every event before
                it is accepted, and none after it.
            StateError: The sink is stopping.

        >>> with Simulator(events=3000) as simulator, Sink(settings) as sink:
        ...     sink.ingest_many(simulator.events())
        3000
        """
        return self._native.ingest_many(many(events, "ingest_many takes an iterable of events; for one event, use ingest"))

    def import_lines(self, lines: StrPath | Iterable[bytes | str], /, *, exported: bool = False) -> int:
        """Accepts events from JSON Lines: a file by its path, or an iterable such as an open file. Returns their number. They are
        events, not messages: the section ``event`` of the configuration does not apply.

        Invalid events become dead letters, as those of the stream do; ``ingest`` raises for them instead. Empty lines are skipped.
        Blocks while the spool is full.

        Args:
            lines: The lines, or the path of their file.
            exported: The lines are dead letters, as ``cxsink dead-letters export`` writes them. Their events are late: a row that an
                event of their key has written since is not overwritten.

        Raises:
            OSError: The file cannot be read.
            StateError: The sink is stopping.

        >>> with Sink(settings) as sink, gzip.open("events.jsonl.gz") as file:
        ...     sink.import_lines(file)
        2
        """
        if isinstance(lines, (str, os.PathLike)):
            with open(lines, "rb") as file:
                return self._native.import_lines(file, exported)
        message = "import_lines takes a path or an iterable of lines; for one event, use ingest"
        return self._native.import_lines(many(lines, message), exported)

    def stop(self) -> None:
        """Begins a graceful stop: the sink stops reading, commits the spooled events, and ends. Does not wait for it. May be repeated,
        and called in a signal handler.

        If the destination is unreachable, the events stay in the spool for the next start.
        """
        self._native.stop()

    def close(self, timeout: TimeLimit = 30.0) -> None:
        """Stops reading, waits until the spooled events are committed, and ends. May be repeated. Ctrl-C ends it at once.

        Does not wait for an unreachable destination: that is not an error, and the next start commits the pending events.

        Args:
            timeout: Seconds, or a ``timedelta``; ``None`` waits without limit.

        Raises:
            CloseTimeout: Not every event could be committed in time. The sink has ended all the same; the rest is in the spool.
            Error: The error that ended the sink, if it failed.

        >>> sink = Sink(settings).start()
        >>> sink.close(timeout=timedelta(seconds=5))
        >>> sink.state
        'closed'
        """
        self._native.close(seconds(timeout))

    def stats(self) -> Stats:
        """The statistics, at this moment; also after the end of the sink.

        >>> with Sink(settings) as sink:
        ...     sink.ingest(event)
        >>> sink.stats().inserted + sink.stats().updated
        1
        """
        return _stats.from_json(self._native.stats())

    def metrics(self) -> str:
        """The metrics in Prometheus' text format (version 0.0.4), at this moment; also after the end of the sink.

        Append them to those of your application, or serve them alone. docs/metrics.md lists them.

        >>> with Sink(settings) as sink:
        ...     "cxsink_spool_events 0" in sink.metrics().splitlines()
        True
        """
        return self._native.metrics()

    def counter(self, name: str) -> int:
        """One counter, by its name in ``Stats``; cheaper than all of them.

        Raises:
            ValueError: No counter has this name.

        >>> with Sink(settings) as sink:
        ...     sink.counter("received")
        0
        """
        return self._native.counter(name)

    @property
    def state(self) -> State:
        """The state of the sink."""
        return self._native.state

    @property
    def failure(self) -> Error | None:
        """The error that ended the sink, if its state is ``failed``."""
        return self._native.failure

    def dead_letters(self, start: int = 0, limit: int | None = None) -> Iterator[DeadLetter]:
        """Events that could not be stored, the oldest first, from the offset ``start`` on; at most ``limit``.

        Raises:
            SpoolError: The file cannot be read.
        """
        return pages(self._native.dead_letters, start, limit)

    def replay(self, offsets: Iterable[int] | None = None, *, force: bool = False) -> ReplayReport:
        """Checks dead letters again, with the schema that the sink was opened with and the table as it is now, and accepts the valid
        ones as new events. The others stay, with their new reason. A message that could not be unwrapped is unwrapped with the
        settings of this sink, and each of its events is a new one. An event changes nothing if a later one of its key has been written;
        ``Stats.superseded`` counts those.

        Args:
            offsets: Only those with these offsets; ``None`` means all that were not replayed yet.
            force: Overwrite what later events of the same key have written.

        Raises:
            StateError: The sink is stopping: those replayed before stay replayed.
            SpoolError: The file cannot be used.

        >>> with Sink(config) as sink:
        ...     sink.replay()
        ReplayReport(replayed=0, rejected=1, skipped=0, by=None, superseded=0)
        """
        return replayed_from(self._native.replay(offsets_from(offsets), force))

    def connections(self) -> list[StreamConnection]:
        """The last 10,000 connections to the stream, the oldest first, including those of earlier processes with this spool.

        Raises:
            SpoolError: The file cannot be read.
        """
        return _connections.connections_from(self._native.connections())

    def gaps(self) -> list[Gap]:
        """The times in which events may have been missed, the oldest first.

        Raises:
            SpoolError: The file cannot be read.
        """
        return _connections.gaps_from(self._native.gaps())

    def __enter__(self) -> Self:
        try:
            return self.start() if self.state == "open" else self
        except BaseException:
            self._close_after_exception(0)
            raise

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if error is None:
            self.close()
        else:
            self._close_after_exception()

    def __iter__(self) -> Iterator[Notice]:
        return self

    def __next__(self) -> Notice:
        # Not by `poll`: up to Python 3.10 a signal may be handled, and raise, where one function returns to another.
        taken: list[str] = []
        try:
            self._native.poll(None, taken)
            if taken:
                return _notices.from_json(taken[0])
        except BaseException:
            self._native.give_back(taken)
            raise
        raise StopIteration

    def __repr__(self) -> str:
        if os.getpid() != self._process:
            return "<cxsink.Sink of another process>"
        return f"<cxsink.Sink {self.state}, spool {self._config.get('spool.path')!r}>"

    def _close_after_exception(self, timeout: float = 30.0) -> None:
        """Closes while an exception is raised, which an error of the closing must not hide."""
        if os.getpid() != self._process:
            return
        try:
            self.close(timeout)
        except Error as error:
            (self._logger or _logs.default).warning("closing the sink: %s", error)


_opened: WeakSet[Sink] = WeakSet()


@atexit.register
def _close_all() -> None:
    """Closes sinks that are still running when the interpreter exits, within a second each."""
    running = [sink for sink in list(_opened) if sink._process == os.getpid()]
    for sink in running:
        sink.stop()
    for sink in running:
        sink._close_after_exception(1.0)


def metrics_of(sinks: Iterable[Sink]) -> str:
    """The metrics of several sinks in one text, as ``Sink.metrics``: each metric once, with the label ``stream``.

    The label is the ``stream.name`` of the sink.

    >>> with Sink(settings, stream__name="sales") as sales:
    ...     'cxsink_spool_events{stream="sales"} 0' in metrics_of([sales]).splitlines()
    True
    """
    return _cxsink.metrics_of([sink._native for sink in sinks])
