"""The table of the destination."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from cxsink import _cxsink
from cxsink._config import Config, ConfigValue, native
from cxsink._numbers import number


@dataclass(frozen=True)
class FirstRows:
    """The first rows of a table."""

    columns: list[str]
    """The names of the columns."""
    rows: list[list[str | None]]
    """The rows, in the order of the first column; each value as text, ``None`` for NULL."""


def init_db(config: Config | Mapping[str, ConfigValue] | None = None, /) -> None:
    """Creates the table ``destination.table`` at ``destination.url``, and the table ``cxsink_checkpoint`` beside it, if they do not
    exist. With ``mapping.columns`` of your own it creates these columns, with the types that the schema allows.

    Args:
        config: The configuration; ``None`` is the environment.

    Raises:
        DatabaseError: The destination is unreachable or refuses, or the table exists without the columns of your own mapping.
        ConfigError: ``destination.url``, the mapping or the schema is missing or bad.

    >>> init_db({"destination.url": "sqlite::memory:"})
    """
    _cxsink.init_db(native(config))


def init_db_sql(config: Config | Mapping[str, ConfigValue] | None = None, /) -> str:
    """The SQL of ``init_db``, for review or for a migration tool.

    Raises:
        ConfigError: ``destination.url``, the mapping or the schema is missing or bad.

    >>> print(init_db_sql({"destination.url": "postgresql://localhost/app"}).splitlines()[0])
    CREATE TABLE IF NOT EXISTS "cxone_events" (
    """
    return _cxsink.init_db_sql(native(config))


def renew_spool(config: Config | Mapping[str, ConfigValue] | None = None, /) -> None:
    """Makes the spool file a spool of its own, with a new id: for a copy of a spool file, or one restored from a backup, whose
    checkpoint another sink owns.

    The next start applies every event in the file, also those that the other sink has applied already.

    Raises:
        SpoolError: A sink has the file open, or it cannot be used.

    >>> renew_spool(config)
    """
    _cxsink.renew_spool(native(config))


def peek(config: Config | Mapping[str, ConfigValue] | None = None, /, count: int = 10) -> FirstRows:
    """The first ``count`` rows of the table of the destination.

    Raises:
        ArgumentError: ``count`` is negative.
        DatabaseError: The destination is unreachable, or the table does not exist.
        ConfigError: ``destination.url`` is missing or bad.

    >>> peek(config, 2).columns[:3]
    ['id', 'interaction_id', 'timestamp']
    """
    return FirstRows(*_cxsink.peek(native(config), number("count", count)))
