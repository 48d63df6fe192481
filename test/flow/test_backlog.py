"""What a start finds left to do: devices that were connected when the server ended, tags that are in
no index yet. It serves at once, and is right all the while. And what is long is read in slices: the
connection log, events."""
import contextlib
import os
import sqlite3

import amqp
import harness
import mqtt

MANY = 10500  # more than are seen to before anybody is served
LINES = 10500  # more than a turn looks at
COPY = """WITH RECURSIVE c (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM c WHERE i < {many})
    INSERT INTO {table} ({columns}) SELECT {values} FROM c, {table} t WHERE t.n = {template}"""


def copy_rows(db, table, template, **values):
    """MANY rows as the one with number template, but for what values says."""
    columns = [r[1] for r in db.execute("PRAGMA table_info(%s)" % table)]
    values["n"] = "t.n + i"
    db.execute(COPY.format(many=MANY, table=table, template=template, columns=", ".join(columns),
                           values=", ".join(values.get(c, "t." + c) for c in columns)))


def copy_log(db, table, seq, sums=""):
    """LINES rows behind the last, as that one is."""
    columns = [r[1] for r in db.execute("PRAGMA table_info(%s)" % table)]
    last, = db.execute("SELECT %s FROM tally" % seq).fetchone()
    db.execute("WITH RECURSIVE c (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM c WHERE i < %d)"
               " INSERT INTO %s SELECT %s FROM c, %s t WHERE t.seq = %d" % (
                   LINES, table, ", ".join("t.seq + i" if c == "seq" else "t." + c for c in columns),
                   table, last))
    db.execute("UPDATE tally SET %s = %s + %d %s" % (seq, seq, LINES, sums))


class Backlog(harness.ServerCase):
    HOME_SET = {"server": {"amqp_port": 0}}

    @contextlib.contextmanager
    def database(self):
        """Of the server, which is stopped meanwhile."""
        self.server.stop()
        with contextlib.closing(sqlite3.connect(os.path.join(self.server.home, "hub.db"))) as db:
            yield db
            db.commit()
            db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
        self.server.start()
        type(self).op = self.server.operator()  # ports are new

    def leave_behind(self, db):
        """An older version's database, whose server was killed with all devices connected."""
        template, = db.execute("SELECT n FROM device WHERE id = 'copied'").fetchone()
        copy_rows(db, "device", template, id="'copy-' || i", connected="1", conn_updated_ms="5")
        copy_rows(db, "twin", template, tags="'{\"i\":' || i || '}'")
        db.execute("UPDATE device SET connected = 1 WHERE id = 'back'")
        db.execute("DELETE FROM twin_tag")
        db.execute("UPDATE tally SET device_n = (SELECT max(n) FROM device), tag_done = 0,"
                   " tag_last = (SELECT max(n) FROM device)")

    def names(self, where):
        rows = self.good(self.op.post("/devices/query", {
            "query": "SELECT deviceId FROM devices WHERE " + where}))
        return [r["deviceId"] for r in rows]

    def connected(self):
        return self.good(self.op.get("/statistics/service"))["connectedDeviceCount"]

    def test_it_serves_at_once_and_is_right_in_the_end(self):
        key = self.sas_device("back")
        self.sas_device("copied")
        self.good(self.op.call("PATCH", "/twins/back", {"tags": {"i": 7}}))
        with self.database() as db:
            self.leave_behind(db)
        client = self.hub("back", key)
        self.good(self.op.call("PATCH", "/twins/copy-9", {"tags": {"i": 7}}))
        want = ["back", "copy-7", "copy-9"]
        self.assertEqual(self.names("tags.i = 7"), want, "whether they are in the index or not")
        self.eventually(lambda: "event=core.backlog_done" in self.server.log)
        self.assertEqual(self.names("tags.i = 7"), want)
        self.assertEqual(self.names("tags.i = %d" % MANY), ["copy-%d" % MANY])
        self.assertEqual(self.names("connectionState = 'Connected'"), ["back"])
        self.assertEqual(self.connected(), 1)
        client.ping()

    def test_a_long_log_is_read_to_its_end(self):
        key = self.sas_device("log-1")
        self.hub("log-1", key).publish("devices/log-1/messages/events/", b"early")
        with self.database() as db:
            copy_log(db, "conn", "conn_seq")
            copy_log(db, "event", "event_seq",
                     ", event_bytes = (SELECT sum(length(CAST(props AS BLOB)) + length(body)) FROM event)")
        with self.assertRaises(mqtt.Refused):
            self.hub("log-1", b"not the key")
        self.assertEqual([r["deviceId"] for r in self.op.connections(what="refused")], ["log-1"])
        self.assertEqual(self.op.connections(what="nothing like it"), [])
        self.assertEqual(self.op.events(thumbprint="0" * 64), [])
        got = self.op.events(afterSeq=LINES)
        self.assertEqual([r["seq"] for r in got], [LINES + 1])
        self.read_by_amqp("log-1", key, got[0]["enqueuedTimeMs"])

    def read_by_amqp(self, device, key, early):
        """From a time that is behind all but the last."""
        self.hub(device, key).publish("devices/%s/messages/events/" % device, b"late")
        base = os.path.join(self.server.home, "operators", "admin")
        with open(os.path.join(self.server.home, "run", "ports"), encoding="ascii") as f:
            port = int(dict(l.split("=") for l in f.read().split())["amqp"])
        name = amqp.Symbol("apache.org:selector-filter:string")
        since = amqp.Described((name, "amqp.annotation.x-opt-enqueued-time > '%d'" % early))
        with amqp.Client(port, mqtt.tls(self.server.ca, base + ".pem", base + ".key")) as c:
            c.credit(c.attach("127-0-0-1/ConsumerGroups/$Default/Partitions/0", True,
                              {name: since}), 10)
            self.assertEqual(c.receive()[0][0x75], b"late")


if __name__ == "__main__":
    harness.main()
