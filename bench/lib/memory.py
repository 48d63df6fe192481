"""Memory of idle mutual TLS connections to the hub, against mosquitto's."""
import time

from machine import memory_bytes
from report import Row
from servers import Mosquitto, fleet

FIGURE = "Memory"
OPENSSL_FLOOR = 19300  # bytes of an idle connection on OpenSSL 3.0, chain dropped (measured)


def per_connection(ctx, server, count):
    empty = memory_bytes(server.process.pid)
    with ctx.idle(server, 0, count):
        time.sleep(1)
        full = memory_bytes(server.process.pid)
    return (full - empty) / count, empty / 2**20


def run(ctx):
    count = ctx.connections
    with fleet(ctx, "memory", count) as muster:
        muster.stop()
        muster.start()
        ours = per_connection(ctx, muster, count)
        broker = Mosquitto(ctx, muster, "idle", ["max_connections -1", "persistence false"])
        try:
            theirs = per_connection(ctx, broker, count)
        finally:
            broker.stop()
    what = "an idle connection, {:,} of them".format(count)
    return [
        Row(FIGURE, what, "bytes", [ours[0]], [theirs[0]], "mosquitto"),
        Row(FIGURE, what, "bytes", [ours[0]], [OPENSSL_FLOOR], "OpenSSL's floor"),
        Row(FIGURE, "the whole server, no connection", "MiB (PSS, all processes)", [ours[1]],
            [theirs[1]], "mosquitto")]
