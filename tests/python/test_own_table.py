"""A table of one's own, end to end, with a dictionary for a configuration: sources that are tables, redaction, history, the stream's
name, the age of dead letters and their summary."""

from __future__ import annotations

import hashlib
import hmac
import json
import secrets
import sqlite3
from datetime import timedelta
from decimal import Decimal
from pathlib import Path

import cxsink
from conftest import until

SCHEMA = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "type": "object",
    "properties": {
        "id": {"type": "string", "maxLength": 20},
        "amount": {"type": "number"},
        "started": {"type": "integer"},
        "queue": {"type": ["string", "null"]},
        "phone": {"type": "string"},
        "agent": {"type": "string"},
        "notes": {},
    },
    "required": ["id"],
}
KEY = b"0123456789abcdef0123456789abcdef"
CANARY = "+49 30 4711"


def configured(settings: dict[str, str], folder: Path) -> dict[str, cxsink.ConfigValue]:
    """As a program writes it: Python's own types, and a dictionary where TOML has a table."""
    (folder / "key").write_bytes(KEY + b"\n")
    table = f"own_{secrets.token_hex(6)}"
    return {
        "spool.path": settings["spool.path"],
        "destination.url": settings["destination.url"],
        "destination.table": table,
        "destination.history_table": f"{table}_history",
        "stream": {"name": "emea"},
        "schema": {"inline": json.dumps(SCHEMA)},
        "mapping": {
            "columns": {
                "id": "/id",
                "amount": "/amount",
                "started_at": {"pointer": "/started", "format": "epoch_ms"},
                "queue": {"pointer": ["/queue", "/team"], "default": "none", "trim": True},
                "phone": "/phone",
                "agent": "/agent",
                "source": {"constant": "cxone"},
                "stream": "stream",
                "place": "offset",
                "rest": "rest",
            },
            "key": ["id"],
        },
        "redact": [
            {"pointer": "/phone", "with": "hmac", "key_file": folder / "key"},
            {"pointer": "/agent", "with": "mask"},
            {"pointer": "/notes", "with": "drop"},
        ],
    }


def rows_of(settings: dict[str, cxsink.ConfigValue], table: object) -> list[dict[str, str | None]]:
    found = cxsink.peek(cxsink.Config(settings, destination__table=str(table), destination__history_table=None))
    return [dict(zip(found.columns, row, strict=True)) for row in found.rows]


def test_a_table_of_ones_own_from_a_dictionary(any_settings: dict[str, str], tmp_path: Path) -> None:
    settings = configured(any_settings, tmp_path)
    cxsink.init_db(settings)
    first = {
        "id": "a",
        "amount": Decimal("12345678901234567890.10"),
        "started": 1764241200123,
        "team": "  support ",
        "phone": CANARY,
        "agent": CANARY,
        "notes": {"of": CANARY},
    }
    with cxsink.Sink(settings) as sink:
        sink.ingest(first)
        sink.ingest({**first, "queue": "sales", "more": Decimal("1.50")})
        sink.ingest({"id": "b"})
        sink.import_lines([b'{"id":"c","amount":"much","phone":"' + CANARY.encode() + b'"}'])
    assert (sink.stats().received, sink.stats().dead_lettered, sink.stats().is_balanced) == (4, 1, True)

    hashed = hmac.new(KEY, CANARY.encode(), hashlib.sha256).hexdigest()
    a, b = sorted(rows_of(settings, settings["destination.table"]), key=lambda row: str(row["id"]))
    assert (a["id"], a["queue"], a["phone"], a["agent"]) == ("a", "sales", hashed, "***")
    assert (a["source"], a["stream"], a["place"]) == ("cxone", "emea", "1")
    assert (b["id"], b["queue"], b["amount"], b["phone"], b["rest"]) == ("b", "none", None, None, None)
    assert (a["started_at"] or "").replace("T", " ").startswith("2025-11-27 11:00:00.123")
    assert json.loads(a["rest"] or "") == {"more": 1.5}
    history = rows_of(settings, settings["destination.history_table"])
    history.sort(key=lambda row: int(row["spool_offset"] or ""))
    assert [(row["id"], row["queue"], row["spool_offset"]) for row in history] == [
        ("a", "support", "0"),
        ("a", "sales", "1"),
        ("b", "none", "2"),
    ]
    assert all(row["received_at"] and row["spool_id"] for row in history)
    if "postgres" in any_settings["destination.url"]:
        assert a["amount"] == history[0]["amount"] == "12345678901234567890.10", "every digit"

    letters = cxsink.DeadLetters(settings)
    (letter,) = letters
    assert letter.redacted and letter.stage == "schema"
    assert json.loads(letter.event) == {"id": "c", "amount": "much", "phone": hashed}
    (group,) = letters.summary().groups
    assert (group.pointer, group.keyword, group.dead_letters) == ("/amount", "type", 1)
    assert group.patch == ({"op": "replace", "path": "/properties/amount/type", "value": ["number", "string"]},)
    for file in tmp_path.iterdir():
        assert CANARY.encode() not in file.read_bytes(), file


def test_dead_letters_that_are_too_old_go(settings: dict[str, str]) -> None:
    with cxsink.Sink(settings) as sink:
        sink.import_lines([b"{", b"["])
    # No sink is running, so Python's SQLite may open the file.
    with sqlite3.connect(settings["spool.path"]) as spool:
        month = timedelta(days=31) // timedelta(microseconds=1)
        assert spool.execute("UPDATE dead_letters SET rejected_at = rejected_at - ? WHERE offset = 0", (month,)).rowcount == 1
    spool.close()
    with cxsink.Sink(settings, retention={"dead_letters": timedelta(days=30)}):
        letters = cxsink.DeadLetters(settings)
        until(lambda: [letter.offset for letter in letters] == [1], "the old one is gone")
