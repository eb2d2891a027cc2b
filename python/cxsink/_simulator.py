"""A local stand-in for CXone, for trying things out and for tests."""

from __future__ import annotations

import json
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

OptionValue = Union[str, int, float, timedelta, Iterable[object]]


@dataclass(frozen=True)
class SimulatorReport:
    """What a simulator has sent and refused so far.

    The account is closed: ``events`` equals ``unique_keys + redeliveries + updates + invalid + replays``.
    """

    events: int
    """Events sent, everything included: what a reader that lost nothing has received."""
    unique_keys: int
    """Valid events with a new idempotency key: the rows a table has when nothing was lost."""
    redeliveries: int
    """Events that repeated an earlier one of the sequence."""
    updates: int
    """Events with an earlier key and other content."""
    invalid: int
    """Events that a sink must refuse."""
    replays: int
    """Events sent again at the start of a further connection."""
    events_confirmed: int
    """Of ``events``, those of which the reader has shown that it read them."""
    connections: int
    """Streams opened."""
    tokens_issued: int
    """Tokens issued."""
    tokens_refused: int
    """Token requests refused."""
    handshakes_refused: int
    """Handshakes refused."""
    requests_refused: int
    """Requests refused before it was known what they were for."""
    closes: int
    """Close frames that the simulator sent of its own accord."""
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
    """A local CXone: token endpoint and stream on one loopback port, with faults on demand. It runs from its making to ``stop``, or
    to the end of a ``with``.

    Args:
        options: Events, shares and faults by name: ``events=1000``, ``rate=500``, ``update_percent=10``, ``close_after=400`` and
            many more; ``Simulator.option_names()`` lists them.

    Raises:
        ArgumentError: There is no such option, or it does not take the value.

    >>> with Simulator(events=100, update_percent=10) as simulator:
    ...     len(list(simulator.events()))
    100
    >>> Simulator(evnts=100)
    Traceback (most recent call last):
    cxsink.exceptions.ArgumentError: the simulator has no option "evnts"
    Hint: did you mean "events"?
    """

    __slots__ = ("_native",)

    def __init__(self, **options: OptionValue) -> None:
        self._native = _cxsink.Simulator([(name, _text(name, value)) for name, value in options.items()])

    @property
    def options(self) -> dict[str, str]:
        """The settings with which a sink reads from here: ``Sink({**simulator.options, "spool.path": …})``.

        >>> with Simulator() as simulator:
        ...     sorted(simulator.options)
        ['oauth.client_id', 'oauth.client_secret', 'oauth.scope', 'oauth.url', 'stream.id', 'stream.url']
        """
        return dict(self._native.settings())

    @property
    def port(self) -> int:
        """The loopback port that token endpoint and stream are on."""
        return self._native.port

    @staticmethod
    def option_names() -> dict[str, str]:
        """The options that there are, each with what it takes.

        >>> Simulator.option_names()["rate"]
        'a number'
        """
        return dict(_cxsink.Simulator.options())

    def events(self) -> Iterator[bytes]:
        """The events of the stream from its beginning, byte for byte, whatever has been sent so far."""
        return self._native.events()

    def report(self) -> SimulatorReport:
        """What was sent and refused so far."""
        return SimulatorReport(**json.loads(self._native.report()))

    def wait_finished(self, timeout: TimeLimit = None) -> bool:
        """Blocks until every event was sent; false when ``timeout`` has passed first, the simulator was stopped, or this is a forked
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
    """The value as a text that the native simulator takes."""
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (int, float)):
        return str(value)
    if isinstance(value, timedelta):
        return duration_text(name, value)
    return ",".join(str(item) for item in value)
