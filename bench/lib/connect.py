"""Latency of connections to the hub under load, against mosquitto under the same load."""
from loads import Load, column, measure
from report import Row
from servers import fleet
from telemetry import CONNECTIONS, EVERY_SECOND, broker

FIGURE = "Connecting under load"
MESSAGES = 2000  # a second, of other devices
VISITS = 100     # a second


def visits(ctx, server, count):
    """p50 and p99 of CONNECT to CONNACK, and of all from TCP to CONNACK, in ms."""
    with Load(ctx, "telemetry", server.port, 0, CONNECTIONS, name=server.hub,
              rate=MESSAGES) as load:
        load.await_up(CONNECTIONS)
        got = measure(ctx, server, "connect", CONNECTIONS, count, count, name=server.hub,
                      rate=VISITS)
        load.end()
    return got["p50_ms"], got["p99_ms"], got["whole_p50_ms"], got["whole_p99_ms"]


def run(ctx):
    n = 100 if ctx.quick else 1000
    ours, theirs = [], []
    with fleet(ctx, "connect", CONNECTIONS + n) as muster:
        for i in range(ctx.rounds):
            ours.append(visits(ctx, muster, n))
            with broker(ctx, muster, "connect-%d" % i, EVERY_SECOND) as b:
                theirs.append(visits(ctx, b, n))
    return [Row(FIGURE, what, "ms", column(ours, i), column(theirs, i), "mosquitto")
            for i, what in enumerate(("CONNECT to CONNACK: p50", "CONNECT to CONNACK: p99",
                                      "TCP, TLS, CONNECT to CONNACK: p50",
                                      "TCP, TLS, CONNECT to CONNACK: p99"))]
