"""A local stand-in for CXone, for trying things out and for tests."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from types import TracebackType
from typing import TYPE_CHECKING, Union

from cxsink import _cxsink
from cxsink._config import duration_text
from cxsink._times import TimeLimit, seconds

if TYPE_CHECKING:
    from typing_extensions import Self

OptionValue = Union[str, int, float, timedelta, "os.PathLike[str]", Iterable[object]]


@dataclass(frozen=True)
class SimulatorReport:
    """The numbers of a simulator: what it has sent and refused so far.

    They add up: ``events`` equals ``unique_keys + redeliveries + updates + invalid + replays``.
    """

    events: int
    """All events sent: a reader that lost none has received this many."""
    unique_keys: int
    """Valid events with a new idempotency key: the rows of the table if no event was lost."""
    redeliveries: int
    """Events that repeated an earlier one of the sequence."""
    updates: int
    """Events with an earlier key and other content."""
    invalid: int
    """Events that a sink must refuse."""
    replays: int
    """Events sent again at the start of a further connection."""
    events_confirmed: int
    """Of ``events``, those that the reader has shown to have read."""
    messages: int
    """Messages with events sent."""
    acknowledgements_received: int
    """Acknowledgements received."""
    heartbeats_received: int
    """Heartbeats of the conversation received."""
    connections: int
    """Streams opened."""
    tokens_issued: int
    """Tokens issued."""
    tokens_refused: int
    """Token requests refused."""
    handshakes_refused: int
    """Handshakes refused."""
    openings_refused: int
    """Openings of the conversation that failed."""
    requests_refused: int
    """Requests refused before their target was known."""
    closes: int
    """Close frames that the simulator sent first."""
    cuts: int
    """Connections cut."""
    silences: int
    """Connections that fell silent."""
    pings_sent: int
    """Pings sent."""
    pings_received: int
    """Pings received."""
    finished: bool
    """Whether every event of the sequence was sent."""
    invalid_by_kind: dict[str, int] = field(repr=False)
    """The invalid events by their kind."""


class Simulator:
    """A local CXone: token endpoint and stream on one loopback port, with faults on demand. The constructor starts it; ``stop``, or
    the end of a ``with`` block, ends it.

    Args:
        options: Events, shares and faults by name: ``events=1000``, ``rate=500``, ``update_percent=10``, ``close_after=400``,
            ``profile="event-hub"`` and many more; ``Simulator.option_names()`` lists them.

    Raises:
        ArgumentError: No option has this name, or the option does not accept the value.

    >>> with Simulator(events=100, update_percent=10) as simulator:
    ...     len(list(simulator.events()))
    100
    >>> Simulator(evnts=100)
    Traceback (most recent call last):
    cxsink.exceptions.ArgumentError: parsing the simulator's options: there is no option "evnts"
    Hint: did you mean "events"?
    """

    __slots__ = ("_native",)

    def __init__(self, **options: OptionValue) -> None:
        self._native = _cxsink.Simulator([(name, _text(name, value)) for name, value in options.items()])

    @property
    def options(self) -> dict[str, str]:
        """The settings of a sink that reads from this simulator: ``Sink({**simulator.options, "spool.path": …})``. With another
        profile than the default they are the profile's: conversation, messages, schema and mapping.

        >>> with Simulator() as simulator:
        ...     sorted(simulator.options)
        ['oauth.client_id', 'oauth.client_secret', 'oauth.scope', 'oauth.url', 'stream.id', 'stream.url']
        """
        return dict(self._native.settings())

    @property
    def port(self) -> int:
        """The loopback port of token endpoint and stream."""
        return self._native.port

    @staticmethod
    def option_names() -> dict[str, str]:
        """The names of the options, each with the kind of its value.

        >>> Simulator.option_names()["rate"]
        'a number'
        """
        return dict(_cxsink.Simulator.options())

    def events(self) -> Iterator[bytes]:
        """The events of the stream from its beginning, byte for byte, whatever has been sent so far."""
        return self._native.events()

    def report(self) -> SimulatorReport:
        """The numbers so far."""
        return SimulatorReport(**json.loads(self._native.report()))

    def wait_finished(self, timeout: TimeLimit = None) -> bool:
        """Blocks until every event was sent. Returns false if ``timeout`` passes first, if the simulator was stopped, or in a forked
        child, in which it does not run."""
        return self._native.wait_finished(seconds(timeout))

    def stop(self) -> None:
        """Cuts every connection and frees the port. May be repeated; the report stays readable. In a forked child it does nothing."""
        self._native.stop()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stop()

    def __repr__(self) -> str:
        return f"<cxsink.Simulator on port {self.port}>"


def _text(name: str, value: OptionValue) -> str:
    """The value as text for the native simulator."""
    if isinstance(value, (str, os.PathLike)):
        return os.fspath(value)
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (int, float)):
        return str(value)
    if isinstance(value, timedelta):
        return duration_text(name, value)
    return ",".join(str(item) for item in value)
