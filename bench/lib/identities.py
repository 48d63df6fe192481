"""A registry that grows: what an identity costs to make, to read and to find, and what a start
costs, by the size of the fleet."""
import contextlib
import json
import os
import random
import sqlite3
import threading
import time

from bare import Bare, bytes_in_use
from loads import Cost
from operators import Operator, percentile
from report import Row
from servers import Failed, Muster, wait_for

FIGURE = "Identities"
VERSION = "?api-version=2021-04-12"
BULK = 100
CONNECTIONS = 4
SAME_TAG = 10   # identities that have one value of tags.batch
CONNECTED = 10
SQLITE = "bare SQLite, as durable"

# What is asked, and how large a page; each finds as many whatever the size of the fleet.
QUERIES = (
    ("ten by a tag", "SELECT * FROM devices WHERE tags.batch = 'b7'", 100, 10),
    ("a page of 100 by authentication type",
     "SELECT * FROM devices WHERE authenticationType = 'certificateAuthority'", 100, 100),
    ("ten by connection state", "SELECT * FROM devices WHERE connectionState = 'Connected'", 100,
     CONNECTED),
    ("ten by a tag and the type", "SELECT * FROM devices WHERE authenticationType = 'sas' AND "
     "tags.batch IN ['b7', 'b8', 'b9']", 100, 15),
    ("count by authentication type",
     "SELECT authenticationType, COUNT() AS n FROM devices GROUP BY authenticationType", 100, 2))
WALK = "SELECT deviceId FROM devices WHERE properties.reported.none = 1"


def identity(i, mode=None):
    """As an import has it. Some 300 bytes, keys of half of them made by the server."""
    out = {"id": "unit-%07d" % i, "status": "enabled",
           "authentication": {"type": "certificateAuthority" if i % 2 else "sas"},
           "tags": {"batch": "b%d" % (i // SAME_TAG), "site": {"name": "Ulm", "floor": i % 7}},
           "properties": {"desired": {"interval": 30}}}
    return dict(out, importMode=mode) if mode else out


def rows_of(first, count):
    return [(r["id"], json.dumps(r)) for r in (identity(i) for i in range(first, first + count))]


# ---- making them ----------------------------------------------------------------------------


def put_each(muster, first, count):
    """One after the other over one connection: seconds."""
    operator = Operator(muster)
    start = time.monotonic()
    for i in range(first, first + count):
        name = "unit-%07d" % i
        operator.ask("PUT", "/devices/" + name + VERSION, {
            "deviceId": name, "status": "enabled",
            "authentication": identity(i)["authentication"]})
    operator.close()
    return time.monotonic() - start


def bulk(operator, first, count):
    operator.ask("POST", "/devices" + VERSION,
                 [identity(i, "create") for i in range(first, first + count)])


def in_parallel(muster, first, count, connections, work):
    """Seconds of work(operator, first, n) for all in slices of a hundred, over so many
    connections."""
    starts = iter(range(first, first + count, BULK))
    lock, failed = threading.Lock(), []

    def run():
        operator = Operator(muster)
        try:
            while not failed:
                with lock:
                    at = next(starts, None)
                if at is None:
                    return
                work(operator, at, min(BULK, first + count - at))
        except (Failed, OSError) as why:
            failed.append(why)
        finally:
            operator.close()
    threads = [threading.Thread(target=run) for _ in range(connections)]
    start = time.monotonic()
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    if failed:
        raise Failed(str(failed[0]))
    return time.monotonic() - start


def delete(muster, first, count):
    def work(operator, at, n):
        operator.ask("POST", "/devices" + VERSION,
                     [{"id": "unit-%07d" % i, "importMode": "delete"} for i in range(at, at + n)])
    in_parallel(muster, first, count, 2, work)


def creates(ctx, muster, first):
    """Rows of creates a second; what is made is deleted again."""
    single, many = (100, 1000) if ctx.quick else (2000, 20000)
    ours, theirs, cpu = {1: [], BULK: []}, {1: [], BULK: []}, {1: [], BULK: []}
    for _ in range(ctx.rounds):
        for each, count in ((1, single), (BULK, many)):
            bare = Bare(ctx.disk, "creates")
            theirs[each].append(count / bare.add(rows_of(first, count), each))
            bare.close()
            os.remove(bare.path)
            cost = Cost(muster)
            seconds = (put_each(muster, first, count) if each == 1
                       else in_parallel(muster, first, count, CONNECTIONS, bulk))
            ours[each].append(count / seconds)
            cpu[each].append(cost.used()[0] / count * 1e6)
            delete(muster, first, count)
    one, hundred = "made one by one, one connection", "made by the hundred, four connections"
    return [
        Row(FIGURE, one, "a second", ours[1], theirs[1], SQLITE + ", a transaction each"),
        Row(FIGURE, hundred, "a second", ours[BULK], theirs[BULK],
            SQLITE + ", a hundred a transaction"),
        Row(FIGURE, "server CPU of one, by the hundred", "us", cpu[BULK], cpu[1], "one by one")]


# ---- a fleet of a size ----------------------------------------------------------------------


class Size:
    """What was measured while there were so many; lists have a value a round."""

    def __init__(self):
        self.read, self.nothing, self.bare, self.start, self.walk = [], [], [], [], []
        self.queries = {what: [] for what, *_ in QUERIES}


def query(operator, text, page):
    """Milliseconds, and rows of the first page."""
    operator.connection.request("POST", "/devices/query" + VERSION,
                                json.dumps({"query": text}).encode(),
                                {"Content-Type": "application/json",
                                 "x-ms-max-item-count": str(page)})
    sent = time.monotonic()
    answer = operator.connection.getresponse()
    body = answer.read()
    took = (time.monotonic() - sent) * 1000
    if answer.status != 200:
        raise Failed("%s: %d %s" % (text, answer.status, body[:200]))
    return took, len(json.loads(body))


def nothing(operator):
    """Milliseconds of a question that the edge answers by itself: there is no such path."""
    sent = time.monotonic()
    operator.connection.request("GET", "/none")
    operator.connection.getresponse().read()
    return (time.monotonic() - sent) * 1000


def ask_queries(operator, size, times):
    for what, text, page, want in QUERIES:
        took = []
        for _ in range(times):
            ms, n = query(operator, text, page)
            if n != want:
                raise Failed("%s: %d rows, not %d" % (text, n, want))
            took.append(ms)
        size.queries[what].append(percentile(took, 50))


def restart(muster):
    """Milliseconds from the server's start to its first answer about an identity."""
    muster.stop()
    start = time.monotonic()
    muster.launch(0.005)
    while True:
        try:
            operator = Operator(muster)
            operator.get_device("unit-0000000")
            operator.close()
            return (time.monotonic() - start) * 1000
        except (Failed, OSError):
            if time.monotonic() - start > 60:
                raise
            time.sleep(0.005)


def look(ctx, muster, bare, count):
    """All that is asked of a fleet of that size."""
    size, times = Size(), 20 if ctx.quick else 200
    ids = ["unit-%07d" % i for i in random.Random(count).sample(range(count), times)]
    for _ in range(ctx.rounds):
        size.start.append(restart(muster))
        with ctx.idle(muster, 0, CONNECTED):
            operator = Operator(muster)
            nothing(operator)
            size.nothing.append(percentile([nothing(operator) for _ in ids], 50))
            size.bare.append(percentile(bare.get(ids), 50))
            size.read.append(percentile([operator.get_device(i) for i in ids], 50))
            ask_queries(operator, size, times)
            operator.close()
    operator = Operator(muster)
    size.walk.append(query(operator, WALK, 100)[0])
    operator.close()
    return size


# ---- the figures ----------------------------------------------------------------------------


def by_size(sizes):
    """Rows that say how cost grows; the ratio is the largest fleet's to the smallest's."""
    small, large = sizes[min(sizes)], sizes[max(sizes)]
    against = "{:,} identities".format(min(sizes))
    rows = []

    def row(what, ours, theirs, target=None):
        rows.append(Row(FIGURE, "{}, of {:,}".format(what, max(sizes)), "ms", ours, theirs,
                        against, target))
    row("one read", large.read, small.read, ("<=", 2))
    for what, *_ in QUERIES:
        row(what, large.queries[what], small.queries[what], ("<=", 2))
    row("a condition without an index, all looked at", large.walk, small.walk)
    row("server started to its first answer", large.start, small.start, ("<=", 2))
    middle = sorted(sizes)[1]
    for what in ("ten by a tag", "a page of 100 by authentication type"):
        rows.append(Row(FIGURE, "{}, of {:,}".format(what, middle), "ms",
                        sizes[middle].queries[what], small.queries[what], against))
    return rows


def bytes_of(muster):
    """Of its database, stopped: what is in use of the one file that it is then."""
    muster.stop()
    path = "file:%s?mode=ro&immutable=1" % muster.path("hub.db")
    with contextlib.closing(sqlite3.connect(path, uri=True)) as db:
        size = bytes_in_use(db)
    muster.start()
    return size


def grow(ctx, muster, bare, first, to):
    """Seconds of each side for what is missing to a size."""
    ours = in_parallel(muster, first, to - first, CONNECTIONS, bulk)
    theirs = sum(bare.add(rows_of(at, min(50000, to - at)), BULK) for at in range(first, to, 50000))
    return ours, theirs


def measure(ctx, muster):
    counts = (200, 500, 2000) if ctx.quick else (1000, 100000, 1000000)
    bare = Bare(ctx.disk, "bare.db")
    sizes, at, rows = {}, 0, []
    for count in counts:
        took = grow(ctx, muster, bare, at, count)
        if count == counts[0]:
            rows += creates(ctx, muster, counts[-1])
            empty = bytes_of(muster)
        sizes[count], grown, at = look(ctx, muster, bare, count), count - at, count
    rows.append(Row(FIGURE, "import of {:,} more, by the hundred, four connections".format(grown),
                    "s", [took[0]], [took[1]], SQLITE + ", a hundred a transaction"))
    last = sizes[counts[-1]]
    rows.append(Row(FIGURE, "one read, of {:,}".format(at), "ms", last.read, last.nothing,
                    "a path that is not there, same connection"))
    rows.append(Row(FIGURE, "one read, of {:,}".format(at), "ms", last.read, last.bare,
                    "bare SQLite lookup, no network"))
    each = (bytes_of(muster) - empty) / (at - counts[0])
    rows.append(Row(FIGURE, "database an identity, with twin, indexes and audit record", "bytes",
                    [each], [bare.close() / at], "bare SQLite, the same as JSON"))
    return rows + by_size(sizes)


def run(ctx):
    muster = Muster(ctx, "identities").start()
    try:
        muster.trust_own_devices()
        ctx.issue_devices(muster, CONNECTED)
        ctx.load("register", muster.port, 0, CONNECTED, CONNECTED, name=ctx.scope)
        wait_for(muster.answers, "answer from the server")
        return measure(ctx, muster)
    finally:
        muster.stop()
