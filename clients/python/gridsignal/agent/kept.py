"""What the agent knows lies on disk before it acts on it: orders, alerts, questions to people, readings sent.

SQLite, one file: the agent that runs has it, and whoever answers a question opens it beside.
Bounded: MOST_ORDERS that are not over, alerts by who keeps them; orders that are over are forgotten after a week;
MOST_TAKEN_UP of when alerts were taken up, of a week.
When full: `keep` raises StateFailed.
Conflates: nothing.
"""

from __future__ import annotations

import json
import os
import secrets
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Literal

from gridsignal.agent.alerts import Heeded
from gridsignal.agent.orders import Followed, Stage
from gridsignal.agent.standing_terms import Standing, Stands
from gridsignal.clock import wall
from gridsignal.errors import GridsignalError
from gridsignal.failsafe import Contact, FailsafeState
from gridsignal.ids import name_under
from gridsignal_schemas.messages import TOLERANT
from gridsignal_schemas.values import rfc3339

MOST_ORDERS = 1000
MOST_TAKEN_UP = 1000
Answer = Literal["accept", "refuse"]
_KEPT = timedelta(days=7)
_PATIENCE_S = 10.0
_TABLES = """
CREATE TABLE IF NOT EXISTS orders (order_id TEXT PRIMARY KEY, body TEXT NOT NULL, over_at TEXT) STRICT;
CREATE TABLE IF NOT EXISTS questions (
    order_id TEXT PRIMARY KEY, revision INTEGER NOT NULL, said TEXT NOT NULL, respond_by TEXT NOT NULL,
    answer TEXT, who TEXT
) STRICT;
CREATE TABLE IF NOT EXISTS readings (meter TEXT PRIMARY KEY, until TEXT NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS contact (
    one INTEGER PRIMARY KEY CHECK (one = 1), contact TEXT NOT NULL, heard_at TEXT NOT NULL, free_at TEXT NOT NULL
) STRICT;
CREATE TABLE IF NOT EXISTS alerts (name TEXT PRIMARY KEY, body TEXT NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS taken_up (name TEXT PRIMARY KEY, at TEXT NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS standing (one INTEGER PRIMARY KEY CHECK (one = 1), body TEXT NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS names (one INTEGER PRIMARY KEY CHECK (one = 1), secret TEXT NOT NULL, since TEXT) STRICT;
CREATE TABLE IF NOT EXISTS permits (one INTEGER PRIMARY KEY CHECK (one = 1), who TEXT NOT NULL) STRICT;
"""


class StateFailed(GridsignalError):
    """The state can't be read or written: nothing new is promised."""


class Kept:
    """The agent's state. Raises StateFailed, wherever the file can't be used."""

    def __init__(self, file: Path) -> None:
        self._file = file
        with self._told():
            file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            os.close(os.open(file, os.O_RDWR | os.O_CREAT, 0o600))  # orders and prices: nobody else's to read
            self._db = sqlite3.connect(file, timeout=_PATIENCE_S, isolation_level=None, check_same_thread=False)
            self._db.execute("PRAGMA journal_mode = WAL")
            self._db.execute("PRAGMA synchronous = FULL")
            is_older = self._db.execute("SELECT 1 FROM sqlite_master WHERE name = 'orders'").fetchone() is not None
            self._db.executescript(_TABLES)
            since = rfc3339(wall() + _KEPT) if is_older else None
            row = (secrets.token_hex(32), since)
            self._db.execute("INSERT OR IGNORE INTO names VALUES (1, ?, ?)", row)
            secret, since = self._db.execute("SELECT secret, since FROM names").fetchone()
        self._secret = bytes.fromhex(secret)
        self.names_since: datetime | None = None if since is None else datetime.fromisoformat(since)
        """Requests whose gate closes before then are offered on under the names of a version that had no secret."""

    def close(self) -> None:
        """Gives the file free."""
        self._db.close()

    # --- orders --------------------------------------------------------------------------------------------------

    def orders(self) -> dict[str, Followed]:
        """By id, those that are not over, or of which something has still to be told."""
        with self._told():
            rows = self._db.execute("SELECT order_id, body FROM orders WHERE over_at IS NULL").fetchall()
        return {name: Followed.model_validate_json(body, context=TOLERANT) for name, body in rows}

    def keep(self, followed: Followed, now: datetime, *, is_done: bool = False) -> None:
        """Returns when it is on disk. `is_done`: over, and nothing is left to be told."""
        with self._told():
            if not is_done and followed.stage is Stage.RECEIVED:
                (count,) = self._db.execute("SELECT count(*) FROM orders WHERE over_at IS NULL").fetchone()
                if count >= MOST_ORDERS:
                    raise StateFailed(f"expected at most {MOST_ORDERS} orders that are not over, got one more")
            over_at = rfc3339(now) if is_done else None
            row = (followed.order.order_id, followed.model_dump_json(exclude_none=True), over_at)
            self._db.execute("INSERT OR REPLACE INTO orders VALUES (?, ?, ?)", row)
            if is_done:
                self._db.execute("DELETE FROM orders WHERE over_at < ?", (rfc3339(now - _KEPT),))

    # --- alerts --------------------------------------------------------------------------------------------------

    def alerts(self) -> dict[str, Heeded]:
        """By name, those of which something is asked, comes back, or has still to be told."""
        with self._told():
            rows = self._db.execute("SELECT name, body FROM alerts").fetchall()
        return {name: Heeded.model_validate_json(body, context=TOLERANT) for name, body in rows}

    def keep_alert(self, held: Heeded) -> None:
        """Returns when it is on disk."""
        with self._told():
            row = (held.name, held.model_dump_json(exclude_none=True))
            self._db.execute("INSERT OR REPLACE INTO alerts VALUES (?, ?)", row)

    def forget_alert(self, name: str) -> None:
        """It is over, and nothing is left of it."""
        with self._told():
            self._db.execute("DELETE FROM alerts WHERE name = ?", (name,))

    def take_up(self, name: str, now: datetime) -> None:
        """The site keeps to it from now on; the first time counts, also after it was forgotten."""
        with self._told():
            self._db.execute("INSERT OR IGNORE INTO taken_up VALUES (?, ?)", (name, rfc3339(now)))
            self._db.execute("DELETE FROM taken_up WHERE at < ?", (rfc3339(now - _KEPT),))
            self._db.execute(
                "DELETE FROM taken_up WHERE name NOT IN (SELECT name FROM taken_up ORDER BY at DESC, name LIMIT ?)",
                (MOST_TAKEN_UP,),
            )

    def taken_up_at(self, name: str) -> datetime | None:
        """When the site kept to it first; None: not within a week."""
        with self._told():
            row = self._db.execute("SELECT at FROM taken_up WHERE name = ?", (name,)).fetchone()
        return None if row is None else datetime.fromisoformat(row[0])

    # --- what it stands by with ----------------------------------------------------------------------------------

    def standing(self, most_w: int) -> Standing:
        """Where the standing offer stands. `most_w`: what it can have at most, for an older version kept less."""
        with self._told():
            row = self._db.execute("SELECT body FROM standing").fetchone()
        if row is None:
            return Standing()
        if "offer_id" not in json.loads(row[0]):
            return Standing.model_validate_json(row[0])
        told = Stands.model_validate_json(row[0])
        return Standing(taken=told.model_copy(update={"power_w": most_w}), sent=told)

    def keep_standing(self, standing: Standing) -> None:
        """Returns when it is on disk."""
        with self._told():
            self._db.execute("INSERT OR REPLACE INTO standing VALUES (1, ?)", (standing.model_dump_json(),))

    def name(self, *what: str | int) -> str:
        """An id that follows from what it names, for whoever has this state, and for nobody else."""
        return name_under(self._secret, *what)

    # --- questions to people -------------------------------------------------------------------------------------

    def ask(self, order_id: str, revision: int, said: str, respond_by: datetime) -> None:
        """Puts a question about this revision, once; what was said of another one is gone."""
        with self._told():
            self._db.execute("DELETE FROM questions WHERE order_id = ? AND revision <> ?", (order_id, revision))
            row = (order_id, revision, said, rfc3339(respond_by))
            self._db.execute("INSERT OR IGNORE INTO questions VALUES (?, ?, ?, ?, NULL, NULL)", row)

    def answer(self, order_id: str, answer: Answer, who: str, revision: int | None = None) -> bool:
        """A person's answer, to this revision alone where it is named; False: not asked, or answered before."""
        with self._told():
            done = self._db.execute(
                "UPDATE questions SET answer = ?, who = ?"
                " WHERE order_id = ? AND revision = coalesce(?, revision) AND answer IS NULL",
                (answer, who, order_id, revision),
            )
        return done.rowcount == 1

    def answered(self, order_id: str, revision: int) -> tuple[Answer, str] | None:
        """What a person said to this revision, and who; None so far."""
        with self._told():
            asked = "SELECT answer, who FROM questions WHERE order_id = ? AND revision = ?"
            row = self._db.execute(asked, (order_id, revision)).fetchone()
        return None if row is None or row[0] is None else (row[0], row[1])

    def questions(self) -> list[tuple[str, str, str]]:
        """Those without an answer: order, what is asked, until when."""
        with self._told():
            rows = self._db.execute(
                "SELECT order_id, said, respond_by FROM questions WHERE answer IS NULL ORDER BY respond_by"
            )
            return rows.fetchall()

    def withdraw(self, order_id: str, revision: int) -> None:
        """The question is no more."""
        with self._told():
            self._db.execute("DELETE FROM questions WHERE order_id = ? AND revision = ?", (order_id, revision))

    # --- readings ------------------------------------------------------------------------------------------------

    def read_until(self, meter: str) -> datetime | None:
        """The end of the last reading that was handed to the outbox."""
        with self._told():
            row = self._db.execute("SELECT until FROM readings WHERE meter = ?", (meter,)).fetchone()
        return None if row is None else datetime.fromisoformat(row[0])

    def reported(self, meter: str, until: datetime) -> None:
        """A reading that ends then was handed to the outbox."""
        with self._told():
            self._db.execute("INSERT OR REPLACE INTO readings VALUES (?, ?)", (meter, rfc3339(until)))

    # --- contact with the grid -----------------------------------------------------------------------------------

    def contact(self) -> FailsafeState | None:
        """How the site stood with the grid; None where it never ran."""
        with self._told():
            row = self._db.execute("SELECT contact, heard_at, free_at FROM contact").fetchone()
        if row is None:
            return None
        return FailsafeState(Contact(row[0]), datetime.fromisoformat(row[1]), datetime.fromisoformat(row[2]))

    def keep_contact(self, state: FailsafeState) -> None:
        """How it stands now."""
        row = (state.contact.value, rfc3339(state.heard_at), rfc3339(state.free_at))
        with self._told():
            self._db.execute("INSERT OR REPLACE INTO contact VALUES (1, ?, ?, ?)", row)

    def permit(self, who: str) -> None:
        """A person lets the site return from a failsafe."""
        with self._told():
            self._db.execute("INSERT OR REPLACE INTO permits VALUES (1, ?)", (who,))

    def take_permit(self) -> bool:
        """Whether somebody did; once."""
        with self._told():
            return self._db.execute("DELETE FROM permits").rowcount == 1

    @contextmanager
    def _told(self) -> Iterator[None]:
        try:
            yield
        except (sqlite3.Error, OSError) as error:
            raise StateFailed(f"the state {self._file} can't be used: {error}") from error
