"""DPS registrations over MQTT with X.509, against bare mutual TLS handshakes."""
from machine import cpu_seconds
from report import Row
from servers import Accept, Muster

FIGURE = "DPS registrations with X.509"


def rate(ctx, server, port, mode, first, count, *more):
    """Units a second, and milliseconds of the server's processor time a unit."""
    before = cpu_seconds(server.process.pid)
    got = ctx.load(mode, port, first, count, 64, *more)
    used = cpu_seconds(server.process.pid) - before
    return count / got["seconds"], used * 1000 / count


def run(ctx):
    n = 200 if ctx.quick else 2000
    muster = Muster(ctx, "dps").start()
    accept = Accept(ctx, muster)
    try:
        muster.trust_own_devices()
        ctx.issue_devices(muster, n * (ctx.rounds + 1))
        ours, bare, again = [], [], []
        rate(ctx, muster, muster.ports["mqtt"], "register", 0, n, ctx.scope)
        for i in range(1, ctx.rounds + 1):
            bare.append(rate(ctx, accept, accept.port, "handshake", i * n, n))
            ours.append(rate(ctx, muster, muster.ports["mqtt"], "register", i * n, n, ctx.scope))
            again.append(rate(ctx, muster, muster.ports["mqtt"], "register", i * n, n, ctx.scope))
    finally:
        accept.stop()
        muster.stop()

    def column(rows, i):
        return [r[i] for r in rows]
    return [
        Row(FIGURE, "first registrations", "a second", column(ours, 0), column(bare, 0),
            "bare handshakes"),
        Row(FIGURE, "the same devices again", "a second", column(again, 0), column(bare, 0),
            "bare handshakes"),
        Row(FIGURE, "server CPU of a first registration", "ms", column(ours, 1), column(bare, 1),
            "bare handshakes")]
