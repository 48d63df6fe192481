"""Hub connections, full and resumed, against bare handshakes and mosquitto.

Resumption is that of TLS 1.2: over 1.3 a hub connection gets no ticket, which would cost a
fifth of a handshake (src/crypto/tls.h).
"""
from loads import column, measure
from report import Row
from servers import Accept, Failed, Mosquitto, fleet

FIGURE = "Hub connections"
BARE = "bare handshakes"


def visit(ctx, server, mode, count, resume):
    """Connections a second, milliseconds of processor time each: of the server, of the core."""
    options = {"resume": 1, "tls": 12} if resume else {}
    got = measure(ctx, server, mode, 0, count, name=server.hub, **options)
    if got["resumed"] != (count if resume else 0):
        raise Failed("%s: %d of %d handshakes were resumed" % (
            type(server).__name__, got["resumed"], count))
    return count / got["seconds"], got["cpu"] * 1000 / count, got["core_cpu"] * 1000 / count


def compare(ctx, servers, count, resume):
    """Of muster, the bare limit and mosquitto in turn: a list of visits each."""
    out = [[] for _ in servers]
    for _ in range(ctx.rounds):
        for visits, (server, mode) in zip(out, servers):
            visits.append(visit(ctx, server, mode, count, resume))
    return out


def rows_of(kind, ours, bare, theirs):
    rows = [
        Row(FIGURE, kind + ", CONNECT to CONNACK with it", "a second", column(ours, 0),
            column(bare, 0), BARE),
        Row(FIGURE, kind + ", CONNECT to CONNACK with it", "a second", column(ours, 0),
            column(theirs, 0), "mosquitto"),
        Row(FIGURE, kind + ", server CPU of one", "ms", column(ours, 1), column(bare, 1), BARE),
        Row(FIGURE, kind + ", server CPU of one", "ms", column(ours, 1), column(theirs, 1),
            "mosquitto"),
        Row(FIGURE, kind + ", of it the core's", "ms", column(ours, 2), column(ours, 1),
            "all of it")]
    return rows


def run(ctx):
    n = 200 if ctx.quick else 2000
    with fleet(ctx, "handshake", n) as muster:
        bare = Accept(ctx, muster, "tickets")
        broker = Mosquitto(ctx, muster, "handshake-broker", ["persistence false"])
        servers = (muster, "connect"), (bare, "handshake"), (broker, "connect")
        try:
            full = compare(ctx, servers, n, False)
            resumed = compare(ctx, servers, n, True)
        finally:
            broker.stop()
            bare.stop()
    return rows_of("full, TLS 1.3", *full) + rows_of("resumed, TLS 1.2", *resumed)
