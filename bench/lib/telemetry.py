"""Telemetry over TLS at QoS 1 and 0, durable, against mosquitto with persistence."""
import contextlib
import sqlite3
import subprocess

from loads import column, measure
from report import Row
from servers import Failed, Mosquitto, fleet

FIGURE = "Telemetry over TLS"
CONNECTIONS = 50
SAVE = ["persistence true", "max_queued_messages 0", "max_inflight_messages 0"]
EVERY_SECOND = SAVE + ["autosave_interval 1"]
EVERY_CHANGE = SAVE + ["autosave_interval 1", "autosave_on_changes true"]
QOS_0_TOO = ["queue_qos0_messages true"]


@contextlib.contextmanager
def broker(ctx, muster, name, lines):
    """mosquitto with a session that is kept for an absent reader: else it would keep nothing
    at all."""
    server = Mosquitto(ctx, muster, name, lines)
    try:
        subprocess.run(
            [ctx.mosquitto_sub, "-p", str(server.port), "-h", "127.0.0.1",
             "--cafile", muster.path("ca/root.pem"),
             "--cert", ctx.certs + "/dev-000000-fullchain.pem",
             "--key", ctx.certs + "/dev-000000.key",
             "-i", "reader", "-c", "-q", "1", "-t", "devices/#", "-E"], check=True)
        yield server
    finally:
        server.stop()


def send(ctx, server, messages, **more):
    """Messages a second, microseconds of the server's processor time each, p99 in ms."""
    got = measure(ctx, server, "telemetry", 0, CONNECTIONS, CONNECTIONS, name=server.hub,
                  messages=messages, **more)
    return got["messages"] / got["seconds"], got["cpu"] * 1e6 / got["messages"], got["p99_ms"]


def check_kept(muster, messages):
    """What was acknowledged is in the database."""
    with contextlib.closing(sqlite3.connect(muster.path("hub.db"))) as db:
        kept = db.execute("SELECT count(*) FROM event").fetchone()[0]
    if kept != messages:
        raise Failed("%d messages were acknowledged and %d are there" % (messages, kept))


def qos_1(ctx, muster):
    n, slow_n = (2000, 200) if ctx.quick else (40000, 10000)
    ours, second, change = [], [], []
    for i in range(ctx.rounds):
        ours.append(send(ctx, muster, n))
        with broker(ctx, muster, "saved-%d" % i, EVERY_SECOND) as b:
            second.append(send(ctx, b, n))
        with broker(ctx, muster, "saved-each-%d" % i, EVERY_CHANGE) as b:
            change.append(send(ctx, b, slow_n))
    saved = "mosquitto, saved every second"
    return n, [
        Row(FIGURE, "QoS 1, acknowledged, each durable", "a second", column(ours, 0),
            column(second, 0), saved),
        Row(FIGURE, "QoS 1, acknowledged, each durable", "a second", column(ours, 0),
            column(change, 0), "mosquitto, saved on changes"),
        Row(FIGURE, "QoS 1, server CPU of a message", "us", column(ours, 1), column(second, 1),
            saved),
        Row(FIGURE, "QoS 1, 99 % acknowledged within", "ms", column(ours, 2), column(second, 2),
            saved)]


def qos_0(ctx, muster):
    n = 2000 if ctx.quick else 40000
    ours, kept, passed = [], [], []
    for i in range(ctx.rounds):
        ours.append(send(ctx, muster, n, qos=0))
        with broker(ctx, muster, "kept-%d" % i, EVERY_SECOND + QOS_0_TOO) as b:
            kept.append(send(ctx, b, n, qos=0))
        with broker(ctx, muster, "passed-%d" % i, ["persistence false"]) as b:
            passed.append(send(ctx, b, n, qos=0))
    return n, [
        Row(FIGURE, "QoS 0, each durable too", "a second", column(ours, 0), column(theirs, 0),
            against)
        for theirs, against in ((kept, "mosquitto, saved every second"),
                                (passed, "mosquitto, nothing kept"))] + [
        Row(FIGURE, "QoS 0, server CPU of a message", "us", column(ours, 1), column(kept, 1),
            "mosquitto, saved every second")]


def run(ctx):
    with fleet(ctx, "telemetry", CONNECTIONS) as muster:
        sent, rows = zip(qos_1(ctx, muster), qos_0(ctx, muster))
    check_kept(muster, sum(n // CONNECTIONS * CONNECTIONS for n in sent) * ctx.rounds)
    return rows[0] + rows[1]
