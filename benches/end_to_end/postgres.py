"""The PostgreSQL that scripts/with-postgres started, and the tables of the runs."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path
from urllib.parse import urlsplit

TABLE = "bench_events"
# The databases of the runs against a large table: one that is filled once, and a copy of it for each run.
FILLED, COPY = "bench_filled", "bench_copy"
# The large table has this share of the keys of `KNOWN_SEED`, far apart, for the runs in which keys repeat from far back.
KNOWN_PERCENT, KNOWN_SEED = 5, 3
STEPS = 20


def find_psql(programs: Path) -> Path:
    """The one beside the server; some packages have none, and any other speaks with this server too."""
    installed = sorted(Path("/usr/lib/postgresql").glob("*/bin/psql"), reverse=True)
    places = [programs / "psql", *map(Path, filter(None, [shutil.which("psql")])), *installed]
    return next((place for place in places if place.exists()), programs / "psql")


class Postgres:
    """The server that scripts/with-postgres started."""

    def __init__(self) -> None:
        self.url = os.environ["CXSINK_TEST_POSTGRES"]
        self.psql = find_psql(Path(os.environ["CXSINK_TEST_PG_BIN"]))
        self.pid = int(self.ask("SELECT split_part(pg_read_file('postmaster.pid'), E'\\n', 1)"))
        self.folder = Path(self.ask("SHOW data_directory"))
        self.version = self.ask("SHOW server_version").split()[0]
        self.filled_rows = 0

    def ask(self, sql: str, database: str = "", text: str | None = None) -> str:
        """What psql prints; `text` is its standard input."""
        url = self.url_of(database)
        options = ("--no-psqlrc", "--quiet", "--tuples-only", "--no-align", "--set=ON_ERROR_STOP=1", f"--dbname={url}")
        quiet = {**os.environ, "PGOPTIONS": "--client-min-messages=warning"}
        command = (self.psql, *options, f"--command={sql}")
        return subprocess.run(command, env=quiet, text=True, check=True, stdout=subprocess.PIPE, input=text or "").stdout.strip()

    def url_of(self, database: str) -> str:
        return self.url.rpartition("/")[0] + "/" + database if database else self.url

    def url_by(self, port: int) -> str:
        """The same database, by another port of this machine."""
        return self.url.replace(f":{urlsplit(self.url).port}/", f":{port}/")

    def wal_position(self) -> int:
        return int(self.ask("SELECT pg_wal_lsn_diff(pg_current_wal_insert_lsn(), '0/0')"))

    def clear(self) -> None:
        """Every run starts with no table, and with nothing that is still to be written to the disk."""
        self.ask(f"DROP DATABASE IF EXISTS {COPY}")
        self.ask(f"DROP TABLE IF EXISTS {TABLE}, cxsink_checkpoint")
        self.ask("CHECKPOINT")

    def copy_filled(self, rows: int, init_db: list[str | Path], known: list[str]) -> str:
        """A database whose table has so many rows; returns its name. `init_db` is the command that creates tables."""
        if self.filled_rows != rows:
            self.fill(rows, init_db, known)
        # Before version 15 files were always copied; the log would be as long as the table.
        how = "STRATEGY FILE_COPY" if int(self.version.split(".")[0]) >= 15 else ""
        self.ask(f"CREATE DATABASE {COPY} TEMPLATE {FILLED} {how}")
        self.ask("CHECKPOINT")
        return COPY

    def fill(self, rows: int, init_db: list[str | Path], known: list[str]) -> None:
        self.ask(f"DROP DATABASE IF EXISTS {FILLED}")
        self.ask(f"CREATE DATABASE {FILLED}")
        settings = {"CXSINK_DESTINATION__URL": self.url_of(FILLED), "CXSINK_DESTINATION__TABLE": TABLE}
        subprocess.run(init_db, env=settings, check=True, stdout=subprocess.DEVNULL)
        self.ask("CREATE TABLE known (number serial, key text)", FILLED)
        self.ask("COPY known (key) FROM STDIN", FILLED, "".join(f"{key}\n" for key in known))
        random = "SELECT gen_random_uuid()::text"
        for step in range(STEPS):
            keys = f"SELECT key FROM known WHERE number % {STEPS} = {step}"
            count = rows * (step + 1) // STEPS - rows * step // STEPS - int(self.ask(f"SELECT count(*) FROM ({keys}) AS k", FILLED))
            self.ask(
                f"INSERT INTO {TABLE} (interaction_id, timestamp, type, idempotency_key, duration, disposition, queue_name, agent_id, attributes)"
                f" SELECT gen_random_uuid(), '2026-01-01T00:00:00Z', 'call', key, 60, 'resolved', 'support', 'agent-17', '{{\"rating\": 4}}'"
                f" FROM ({keys} UNION ALL {random} FROM generate_series(1, {max(count, 0)})) AS k (key)",
                FILLED,
            )
        self.ask("DROP TABLE known", FILLED)
        self.ask(f"VACUUM (FREEZE, ANALYZE) {TABLE}", FILLED)
        self.ask("CHECKPOINT")
        self.filled_rows = rows
