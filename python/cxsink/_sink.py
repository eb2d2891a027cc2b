"""The sink."""

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
from cxsink._dead_letters import DeadLetter, Replayed, offsets_from, pages, replayed_from
from cxsink._events import Event
from cxsink._notices import Notice
from cxsink._stats import State, Stats
from cxsink._times import TimeLimit, seconds
from cxsink.exceptions import Error

if TYPE_CHECKING:
    from typing_extensions import Self


class Sink:
    """From the stream through the spool into the table: opens the spool when made, and works on threads of its own once started.

    A context manager: entering starts it, leaving closes it. An iterator of its notices: reading them is not needed for the sink
    to work. Every method may be called from any thread; those that block let other threads run, and Ctrl-C ends them.

    Args:
        config: Keys and values, as for ``Config``, or a ``Config``. A mapping alone is the whole configuration: the environment is
            not read.
        path: A TOML file; the environment is over it. Without ``config`` and ``path``, the environment alone.
        logger: Where the log of this sink goes; by default to ``logging.getLogger("cxsink")``.
        options: Keys and values that win over all others: ``spool__path="…"``, or ``spool={"path": "…"}``.

    Raises:
        ConfigError: A key or a value is bad, or the schema is.
        SpoolError: The spool cannot be used, for example because another process has it.

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
        """Connects to the destination and starts reading the stream. Once. Returns the sink itself.

        A destination that cannot be reached is no error: events wait in the spool, and the state is ``stalled``. Without any
        stream in the configuration the sink takes only what ``ingest`` gives it.

        Raises:
            ConfigError: What the configuration names cannot be used. The sink has ended as ``failed``.
            DatabaseError: The table does not exist or does not fit, or the credentials are refused. The same.
            StateError: It was started before.
        """
        self._native.start()
        return self

    def poll(self, timeout: TimeLimit = None) -> Notice | None:
        """Waits for the next notice, for ``timeout`` seconds at most.

        Returns ``None`` if there was none in time, or if the sink has ended and every notice was taken: ``state`` tells which.
        From the start on there is one every ten seconds at least, a ``StatsNotice``: a longer timeout does not pass. Before the
        start there is none. Ctrl-C loses no notice, nor does an exception of another signal handler: what could not be returned comes
        with the next call.

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
        """Starts the sink if it is not started, and follows it until it ends. Returns its numbers.

        Ctrl-C stops reading, applies what is spooled, for 30 seconds at most, and then raises KeyboardInterrupt; a second Ctrl-C ends
        at once. So does any exception out of ``on_notice``. ``stop`` from a signal handler or another thread ends it in order.

        Args:
            on_notice: Called with each notice, on this thread.

        Raises:
            Error: What ended the sink, if it failed.

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
        """Takes an event: the same path as the stream's, with the check up front.

        Returns when the event is in the spool, and so survives what ``spool.sync`` says. Blocks while the spool is full.

        Args:
            event: JSON as bytes or text, or a mapping. In a mapping, values of type ``datetime`` (with a time zone), ``date``,
                ``UUID`` and ``Decimal`` are fine as well.

        Raises:
            SchemaError: It is not valid: it is refused, not kept. ``violations`` says where and how.
            StateError: The sink is stopping.

        >>> with Sink(settings) as sink:
        ...     sink.ingest({**event, "type": "fax"})
        Traceback (most recent call last):
        cxsink.exceptions.SchemaError: the event does not match the schema: /type: value is not one of "call", "chat" or 2 other candidates
        """
        self._native.ingest(event)

    def ingest_many(self, events: Iterable[Event], /) -> int:
        """Takes every event of an iterable, many in one transaction of the spool; other threads run meanwhile. Returns how many.

        Events of a slow iterable are taken after a tenth of a second at the latest.

        Raises:
            SchemaError: For the first event that is not valid. ``index`` says where it stands, counted from 0. In this case, as with
                any other exception, every event before it is taken, and none from there on.
            StateError: The sink is stopping.

        >>> with Simulator(events=3000) as simulator, Sink(settings) as sink:
        ...     sink.ingest_many(simulator.events())
        3000
        """
        return self._native.ingest_many(events)

    def import_lines(self, lines: StrPath | Iterable[bytes | str], /) -> int:
        """Takes JSON Lines: from the file with this path, or from an iterable such as an open file. Returns how many events.

        Unlike ``ingest``, invalid events become dead letters, as those of the stream do. Empty lines are skipped. Blocks while the
        spool is full.

        Raises:
            OSError: The file cannot be read.
            StateError: The sink is stopping.

        >>> with Sink(settings) as sink, gzip.open("events.jsonl.gz") as file:
        ...     sink.import_lines(file)
        2
        """
        if isinstance(lines, (str, os.PathLike)):
            with open(lines, "rb") as file:
                return self._native.import_lines(file)
        return self._native.import_lines(lines)

    def stop(self) -> None:
        """Tells the sink to stop reading, to apply what is spooled and to end; does not wait for it. May be repeated, and called
        in a signal handler.

        If the destination is away, what is spooled stays there for the next start.
        """
        self._native.stop()

    def close(self, timeout: TimeLimit = 30.0) -> None:
        """Stops, waits until what is spooled is applied, and ends. May be repeated. Ctrl-C ends at once.

        Args:
            timeout: Seconds, or a ``timedelta``; ``None`` waits as long as it takes.

        Raises:
            CloseTimeout: Not everything could be applied in time: the sink has ended all the same, and the rest is in the spool. A
                destination that is away is not waited for, and is no error.
            Error: What ended the sink, if it failed.

        >>> sink = Sink(settings).start()
        >>> sink.close(timeout=timedelta(seconds=5))
        >>> sink.state
        'closed'
        """
        self._native.close(seconds(timeout))

    def stats(self) -> Stats:
        """The sink's numbers, at this moment; also after its end.

        >>> with Sink(settings) as sink:
        ...     sink.ingest(event)
        >>> sink.stats().inserted + sink.stats().updated
        1
        """
        return _stats.from_json(self._native.stats())

    def counter(self, name: str) -> int:
        """One of the sink's numbers, by the name that it has in ``Stats``; cheaper than all of them.

        Raises:
            ValueError: There is no such counter.

        >>> with Sink(settings) as sink:
        ...     sink.counter("received")
        0
        """
        return self._native.counter(name)

    @property
    def state(self) -> State:
        """Where the sink stands."""
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

    def replay(self, offsets: Iterable[int] | None = None) -> Replayed:
        """Checks dead letters again, under the schema that the sink was opened with and the table as it is now, and takes the good ones
        as new events. Those still bad stay, with today's reason.

        Args:
            offsets: Only those with these offsets; ``None``: all that were not replayed yet.

        Raises:
            StateError: The sink is stopping: those replayed before stay replayed.
            SpoolError: The file cannot be used.

        >>> with Sink(config) as sink:
        ...     sink.replay()
        Replayed(replayed=0, rejected=1, skipped=0, by=None)
        """
        return replayed_from(self._native.replay(offsets_from(offsets)))

    def connections(self) -> list[StreamConnection]:
        """The last 10,000 connections to the stream, the oldest first, also those of earlier processes over this spool.

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
        """Closes while an exception is under way, which an error of the closing must not hide."""
        if os.getpid() != self._process:
            return
        try:
            self.close(timeout)
        except Error as error:
            (self._logger or _logs.default).warning("closing the sink: %s", error)


_opened: WeakSet[Sink] = WeakSet()


@atexit.register
def _close_all() -> None:
    """Ends sinks that are still running when the interpreter exits: what can be applied within a second is."""
    running = [sink for sink in list(_opened) if sink._process == os.getpid()]
    for sink in running:
        sink.stop()
    for sink in running:
        sink._close_after_exception(1.0)
