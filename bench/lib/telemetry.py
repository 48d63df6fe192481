"""QoS 1 telemetry, acknowledged when durable, against mosquitto with TLS and persistence."""
import contextlib
import sqlite3
import subprocess

from machine import cpu_seconds
from report import Row
from servers import Failed, Mosquitto, Muster

FIGURE = "QoS 1 telemetry"
CONNECTIONS = 50
SAVE = ["persistence true", "max_queued_messages 0", "max_inflight_messages 0"]
EVERY_SECOND = SAVE + ["autosave_interval 1"]
EVERY_CHANGE = SAVE + ["autosave_interval 1", "autosave_on_changes true"]


def subscribe_and_leave(ctx, muster, broker):
    """A session that is kept for an absent reader: else mosquitto would keep nothing at all."""
    subprocess.run(
        [ctx.mosquitto_sub, "-p", str(broker.port), "-h", "127.0.0.1",
         "--cafile", muster.path("ca/root.pem"),
         "--cert", ctx.certs + "/dev-000000-fullchain.pem", "--key", ctx.certs + "/dev-000000.key",
         "-i", "reader", "-c", "-q", "1", "-t", "devices/#", "-E"], check=True)


def send(ctx, server, port, hub, messages):
    before = cpu_seconds(server.process.pid)
    got = ctx.load("telemetry", port, 0, CONNECTIONS, CONNECTIONS, hub, messages)
    used = cpu_seconds(server.process.pid) - before
    return got["messages"] / got["seconds"], used * 1e6 / got["messages"], got["p99_ms"]


def mosquitto(ctx, muster, name, lines, messages):
    broker = Mosquitto(ctx, muster, name, lines)
    try:
        subscribe_and_leave(ctx, muster, broker)
        return send(ctx, broker, broker.port, "hub", messages)
    finally:
        broker.stop()


def check_kept(muster, messages):
    """What was acknowledged is in the database."""
    with contextlib.closing(sqlite3.connect(muster.path("hub.db"))) as db:
        kept = db.execute("SELECT count(*) FROM event").fetchone()[0]
    if kept != messages:
        raise Failed("%d messages were acknowledged and %d are there" % (messages, kept))


def run(ctx):
    n, slow_n = (2000, 200) if ctx.quick else (40000, 10000)
    muster = Muster(ctx, "telemetry").start()
    ours, second, change = [], [], []
    try:
        muster.trust_own_devices()
        ctx.issue_devices(muster, CONNECTIONS)
        ctx.load("register", muster.ports["mqtt"], 0, CONNECTIONS, 16, ctx.scope)
        for i in range(ctx.rounds):
            ours.append(send(ctx, muster, muster.ports["mqtt"], "127.0.0.1", n))
            second.append(mosquitto(ctx, muster, "saved-%d" % i, EVERY_SECOND, n))
            change.append(mosquitto(ctx, muster, "saved-each-%d" % i, EVERY_CHANGE, slow_n))
    finally:
        muster.stop()
    check_kept(muster, n // CONNECTIONS * CONNECTIONS * ctx.rounds)

    def column(rows, i):
        return [r[i] for r in rows]
    return [
        Row(FIGURE, "messages acknowledged, each durable", "a second", column(ours, 0),
            column(second, 0), "mosquitto, saved every second"),
        Row(FIGURE, "messages acknowledged, each durable", "a second", column(ours, 0),
            column(change, 0), "mosquitto, saved on changes"),
        Row(FIGURE, "server CPU of a message", "us", column(ours, 1), column(second, 1),
            "mosquitto, saved every second"),
        Row(FIGURE, "99 % acknowledged within", "ms", column(ours, 2), column(second, 2),
            "mosquitto, saved every second")]
