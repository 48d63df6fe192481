"""The limit of a registry: bare SQLite that loses nothing at a power cut either, one table."""
import os
import sqlite3
import time


def bytes_in_use(db):
    pages, free, each = (db.execute("PRAGMA " + p).fetchone()[0]
                         for p in ("page_count", "freelist_count", "page_size"))
    return (pages - free) * each


class Bare:
    """A file on the disk that muster's is on, with the same pragmas, an identity a row."""

    def __init__(self, directory, name):
        self.path = os.path.join(directory, name)
        self.db = sqlite3.connect(self.path, isolation_level=None)
        for pragma in ("locking_mode=EXCLUSIVE", "journal_mode=WAL", "synchronous=FULL",
                       "wal_autocheckpoint=4096", "cache_size=-32768"):
            self.db.execute("PRAGMA " + pragma).fetchall()
        self.db.execute("CREATE TABLE device (id TEXT PRIMARY KEY, doc TEXT)")
        self._grow_log()

    def _grow_log(self):
        """A log that has its full length is written over, as a server's is that has run a while; to
        make one longer costs the file system a write of its own."""
        self.db.execute("CREATE TABLE filler AS SELECT zeroblob(16 << 20) AS b")
        self.db.execute("DROP TABLE filler")
        self.db.execute("PRAGMA wal_checkpoint(RESTART)").fetchall()

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
        """Its bytes: of the pages in use."""
        size = bytes_in_use(self.db)
        self.db.close()
        return size
