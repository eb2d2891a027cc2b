"""The configuration: the keys of docs/configuration.md, with values of Python's types."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator, Mapping
from datetime import timedelta
from typing import Any, Union

from cxsink import _cxsink
from cxsink.exceptions import ConfigError

ConfigValue = Union[str, int, "os.PathLike[str]", timedelta, Iterable[Union[str, Mapping[str, Any]]], Mapping[str, Any], None]
"""A value of a key, or a section as a mapping of its keys. ``None`` removes an optional value."""

StrPath = Union[str, "os.PathLike[str]"]


class Config:
    """An immutable configuration. docs/configuration.md lists every key.

    It reads like a mapping of every key to its value as text, ``None`` if that is not set.

    Args:
        config: Keys and values: ``{"spool.path": …}``, or nested as in TOML: ``{"spool": {"path": …}}``. Without ``path``, neither
            ``.env`` nor the environment is read. Another ``Config`` is copied.
        path: A TOML file. Without ``config`` and ``path``, the environment alone.
        options: Keys and values that override all others: ``spool__path=…``, as in the environment, or ``spool={"path": …}``.

    Several streams, each with what it has of its own, are ``{"streams": {"sales": {"id": …, "destination": {"table": …}}}}``, or
    ``streams__sales__id=…``; ``for_stream`` gives the configuration of each.

    The order, each overriding the one before: the file, ``.env`` in the working directory, the environment, ``config``, ``options``.

    Values are text (``"30s"``, ``"64MiB"``), or: ``timedelta`` for durations, ``int`` for numbers and for sizes in bytes,
    ``pathlib.Path`` for paths, ``bool`` for switches, lists and mappings for columns, messages and patterns, ``None`` for "not set".

    Raises:
        ConfigError: A key is unknown, or a value is bad. The message names the key, and the nearest known one.

    >>> from datetime import timedelta
    >>> config = Config({"stream.idle_timeout": timedelta(seconds=90)}, batch__events_max=2000)
    >>> config["stream.idle_timeout"]
    '90s'
    >>> config
    Config(batch.events_max='2000', stream.idle_timeout='90s')
    >>> "spool.path" in config, len(config) == len(Config.keys())
    (True, True)
    >>> dict(config)["spool.path"]
    'cxsink-spool.db'
    >>> Config({"stream.ignore": ["pong", {"pointer": "/command", "equals": ["SUBSCRIBED"]}], "event.each": True})
    Config(event.each='true', stream.ignore='["pong", { pointer = "/command", equals = ["SUBSCRIBED"] }]')
    >>> Config({}, spool__pat="x")
    Traceback (most recent call last):
    cxsink.exceptions.ConfigError: unknown key "spool.pat"; the nearest known one is "spool.path"
    Hint: see docs/configuration.md for all keys
    """

    __slots__ = ("_native",)
    _native: _cxsink.Config

    def __init__(
        self,
        config: Config | Mapping[str, ConfigValue] | None = None,
        /,
        *,
        path: StrPath | None = None,
        **options: ConfigValue,
    ) -> None:
        over = [(_dotted(key), value) for key, value in options.items()]
        if isinstance(config, Config):
            if path is not None:
                raise TypeError("a Config already contains its file: pass path when it is made")
            self._native = config._native.replaced(_settings(over))
            return
        if config is not None and not isinstance(config, Mapping):
            raise TypeError(_not_a_configuration(config))
        settings = _settings([*(config or {}).items(), *over])
        self._native = _cxsink.Config(None if path is None else os.fspath(path), config is None, settings)

    def get(self, key: str, default: str | None = None) -> str | None:
        """The value of ``section.key`` as text, a secret as ``***``; ``default`` if it is not set or the key is unknown.

        >>> Config({}).get("spool.bytes_max")
        '4GiB'
        """
        value = self._native.get(key)
        return default if value is None else value

    def __getitem__(self, key: str) -> str | None:
        value = self._native.get(key)
        if value is None and key not in self:
            raise KeyError(key)
        return value

    def __contains__(self, key: object) -> bool:
        return isinstance(key, str) and (key in self.keys() or self._native.get(key) is not None)

    def __iter__(self) -> Iterator[str]:
        return iter(self.keys())

    def __len__(self) -> int:
        return len(self.keys())

    @staticmethod
    def keys() -> list[str]:
        """The names of all keys.

        >>> Config.keys()[0]
        'oauth.grant'
        """
        return _cxsink.Config.keys()

    @property
    def stream_names(self) -> list[str]:
        """The names of the streams, in the order in which the configuration names them.

        Empty for a configuration of one stream, without a name.

        >>> Config({"streams": {"sales": {"id": "s-1"}, "support": {"id": "s-2"}}}).stream_names
        ['sales', 'support']
        """
        return self._native.stream_names()

    def for_stream(self, name: str) -> Config:
        """The configuration of one of several streams, for a sink of its own.

        It is the whole one, with what the stream has of its own in its place. ``stream.name`` is the name, and ``spool.path`` gets the name
        before its extension, unless the stream has one of its own. Sinks of the streams of one configuration share a token where the
        sections ``oauth``, ``tls`` and ``proxy`` are equal.

        Raises:
            ConfigError: There is no stream of this name. The message names the nearest.

        >>> config = Config({"oauth.client_id": "id", "streams": {"sales": {"id": "s-1", "destination": {"table": "sales_events"}}}})
        >>> config.for_stream("sales")["destination.table"], config.for_stream("sales")["spool.path"]
        ('sales_events', 'cxsink-spool-sales.db')
        """
        own = object.__new__(Config)
        own._native = self._native.for_stream(name)
        return own

    def validate(self) -> None:
        """Checks the configuration as a whole, as opening a sink does; of several streams each.

        Raises:
            ConfigError: The message names the key.

        >>> Config({"destination.url": "sqlite:events.db"}).validate()
        """
        self._native.validate()

    def __repr__(self) -> str:
        defaults = _cxsink.Config(None, False, [])
        values = ((key, self._native.get(key)) for key in sorted(self.keys()))
        shown = [f"{key}={value!r}" for key, value in values if value != defaults.get(key)]
        if self.stream_names:
            shown.append(f"streams={self.stream_names!r}")
        return f"Config({', '.join(shown)})"

    def __reduce__(self) -> tuple[Any, ...]:
        raise TypeError("pickling a Config: it may hold secrets; pass its file or its values to the other process instead")


def native(config: Config | Mapping[str, ConfigValue] | None) -> _cxsink.Config:
    """The native configuration for an argument; ``None`` is the environment."""
    return (config if isinstance(config, Config) else Config(config))._native


def _not_a_configuration(config: object) -> str:
    hint = "for a file, use Config(path=…)" if isinstance(config, (str, bytes, os.PathLike)) else "such as {'spool.path': 'spool.db'}"
    return f"a configuration is a Config or a mapping, not {type(config).__name__}; {hint}"


def _settings(items: Iterable[tuple[str, ConfigValue]]) -> list[tuple[str, str]]:
    return [(key, _text(key, value)) for key, value in _flat(items)]


def _flat(items: Iterable[tuple[str, ConfigValue]]) -> Iterator[tuple[str, ConfigValue]]:
    """``section.key`` for each key of a nested section."""
    for name, value in items:
        if name == "streams" and isinstance(value, Mapping):
            for stream, own in value.items():
                if not isinstance(own, Mapping):
                    raise ConfigError(f"streams.{stream} is a stream: give its keys as a mapping")
                yield from _flat_stream(f"streams.{stream}", own)
        elif "." not in name and isinstance(value, Mapping):
            yield from ((f"{name}.{key}", below) for key, below in value.items())
        else:
            yield name, value


def _flat_stream(stream: str, own: Mapping[str, ConfigValue]) -> Iterator[tuple[str, ConfigValue]]:
    """``streams.NAME.key`` and ``streams.NAME.section.key``. A mapping may be a section, or the value of a key."""
    for name, value in own.items():
        key = f"{stream}.{name}"
        if isinstance(value, Mapping) and not _cxsink.Config.is_key(key):
            yield from ((f"{key}.{below}", of_below) for below, of_below in value.items())
        else:
            yield key, value


def _dotted(option: str) -> str:
    """The key of an option: ``spool__path``, ``streams__sales__destination__table``."""
    return option.replace("__", ".", 3 if option.startswith("streams__") else 1)


def _text(key: str, value: ConfigValue) -> str:
    """The value as text for the native configuration."""
    if value is None:
        return ""
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, timedelta):
        return duration_text(key, value)
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    if isinstance(value, Iterable) and not isinstance(value, (bytes, bytearray)):
        return _toml(value)
    raise ConfigError(f"{key}: a value of type {type(value).__name__} is not accepted by any key")


def _toml(value: object) -> str:
    """A list, a table, or what is in one, as inline TOML."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (int, float)):
        return repr(value)
    if isinstance(value, Mapping):
        return f"{{{', '.join(f'{_quoted(name)} = {_toml(below)}' for name, below in value.items())}}}"
    if isinstance(value, Iterable) and not isinstance(value, (str, bytes, bytearray)):
        return f"[{', '.join(_toml(element) for element in value)}]"
    return _quoted(value)


def duration_text(key: str, value: timedelta) -> str:
    """A duration as text, in whole milliseconds."""
    milliseconds, rest = divmod(value, timedelta(milliseconds=1))
    if rest or milliseconds < 0:
        raise ConfigError(f"{key}: a duration is a whole number of milliseconds, not {value}")
    return f"{milliseconds}ms"


def _quoted(text: object) -> str:
    """A TOML string: every JSON string is one."""
    return json.dumps(str(text), ensure_ascii=False)
