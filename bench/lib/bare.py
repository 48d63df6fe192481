"""The limit of a registry: bare SQLite that loses nothing at a power cut either, one table."""
import os
import sqlite3
import time


class Bare:
    """A file on the disk that muster's is on, with the same pragmas, an identity a row."""

    def __init__(self, directory, name):
        self.path = os.path.join(directory, name)
        self.db = sqlite3.connect(self.path, isolation_level=None)
        for pragma in ("locking_mode=EXCLUSIVE", "journal_mode=WAL", "synchronous=FULL",
                       "wal_autocheckpoint=4096", "cache_size=-32768"):
            self.db.execute("PRAGMA " + pragma).fetchall()
        self.db.execute("CREATE TABLE IF NOT EXISTS device (id TEXT PRIMARY KEY, doc TEXT)")

    def add(self, rows, each):
        """Seconds of adding rows (ID, document), so many a transaction."""
        start = time.monotonic()
        for at in range(0, len(rows), each):
            self.db.execute("BEGIN IMMEDIATE")
            self.db.executemany("INSERT INTO device VALUES (?, ?)", rows[at:at + each])
            self.db.execute("COMMIT")
        return time.monotonic() - start

    def get(self, ids):
        """Milliseconds of each lookup."""
        took = []
        for i in ids:
            start = time.monotonic()
            self.db.execute("SELECT doc FROM device WHERE id = ?", (i,)).fetchone()
            took.append((time.monotonic() - start) * 1000)
        return took

    def close(self):
        """Its bytes, all in one file."""
        self.db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
        self.db.close()
        return os.path.getsize(self.path)
