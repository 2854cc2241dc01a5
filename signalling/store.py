"""What a focus account keeps on disk: its Olm account and sessions, its place in the sync, and a few JSON values.

One SQLite file in a folder that only its owner can enter; one process at a time may
hold it. There is no table for room keys, so none can be kept. It knows neither HTTP nor
what an Olm pickle holds.
"""

from __future__ import annotations

import fcntl
import json
import os
import sqlite3
from collections.abc import Iterable
from pathlib import Path
from typing import Any

TABLES = """
CREATE TABLE IF NOT EXISTS value (name TEXT PRIMARY KEY, json TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS olm_session (
    curve25519 TEXT NOT NULL, id TEXT NOT NULL, pickle TEXT NOT NULL, used INTEGER NOT NULL,
    PRIMARY KEY (curve25519, id)
) WITHOUT ROWID;
"""

ACCOUNT, SINCE = "olm account", "since"
"Names of our own values; those of `save` carry a prefix and cannot collide with them."


class StoreInUse(Exception):
    """Another process holds the store."""


class Store:
    """Open from construction to `close`. Raises `StoreInUse` or `OSError`."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._lock = os.open(folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            # The kernel lets go of it when the process ends, however it ends.
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(self._lock)
            raise StoreInUse(f"{folder} is in use by another focus") from None
        path = folder / "store.db"
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
        self._db = sqlite3.connect(path, isolation_level=None)
        # Ratchets must never be wound back, so each commit reaches the disk.
        self._db.executescript("PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL;" + TABLES)

    def close(self) -> None:
        """Close the file and let go of the folder. Twice is once."""
        self._db.close()
        lock, self._lock = self._lock, -1
        if lock != -1:
            os.close(lock)

    # `link.Memory`.

    def load(self, name: str) -> Any:
        """The JSON value saved under a name, None if there is none."""
        return self._get("memory " + name)

    def save(self, name: str, value: Any) -> None:
        """Save a JSON value under a name."""
        self._put("memory " + name, value)

    def _get(self, name: str) -> Any:
        row = self._db.execute("SELECT json FROM value WHERE name = ?", (name,)).fetchone()
        return None if row is None else json.loads(row[0])

    def _put(self, name: str, value: Any) -> None:
        self._db.execute("INSERT OR REPLACE INTO value VALUES (?, ?)", (name, json.dumps(value)))

    # Sync and Olm.

    @property
    def since(self) -> str | None:
        """Up to where the sync has been handled."""
        found: str | None = self._get(SINCE)
        return found

    @since.setter
    def since(self, token: str) -> None:
        self._put(SINCE, token)

    @property
    def account(self) -> str | None:
        """The pickled Olm account, None in a new store."""
        found: str | None = self._get(ACCOUNT)
        return found

    def sessions(self, curve25519: str) -> list[tuple[str, str]]:
        """Id and pickle of each session with a device, the one used last first."""
        query = "SELECT id, pickle FROM olm_session WHERE curve25519 = ? ORDER BY used DESC"
        return list(self._db.execute(query, (curve25519,)))

    def write(self, account: str | None, sessions: Iterable[tuple[str, str, str]], most: int) -> None:
        """Write an account (unless None) and sessions (device key, id, pickle) as one; all survive a crash, or none.

        The sessions count as used now, in order. Of each device's the newest `most` are kept.
        """
        self._db.execute("BEGIN IMMEDIATE")
        try:
            if account is not None:
                self._put(ACCOUNT, account)
            for curve25519, id, pickle in sessions:
                (now,) = self._db.execute("SELECT COALESCE(MAX(used), 0) + 1 FROM olm_session").fetchone()
                self._db.execute(
                    "INSERT OR REPLACE INTO olm_session VALUES (?, ?, ?, ?)", (curve25519, id, pickle, now)
                )
                self._db.execute(
                    "DELETE FROM olm_session WHERE curve25519 = ?1 AND id NOT IN"
                    " (SELECT id FROM olm_session WHERE curve25519 = ?1 ORDER BY used DESC LIMIT ?2)",
                    (curve25519, most),
                )
            self._db.execute("COMMIT")
        except BaseException:
            self._db.execute("ROLLBACK")
            raise

    def tables(self) -> set[str]:
        """The names of all tables, for whoever wants to be sure of what is not kept."""
        return {name for (name,) in self._db.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
