"""DPS registrations over MQTT with X.509, against bare mutual TLS handshakes."""
from loads import column, rate
from report import Row
from servers import Accept, Muster

FIGURE = "DPS registrations with X.509"


def run(ctx):
    n = 200 if ctx.quick else 2000
    muster = Muster(ctx, "dps").start()
    accept = Accept(ctx, muster)
    try:
        muster.trust_own_devices()
        ctx.issue_devices(muster, n * (ctx.rounds + 1))
        ours, bare, again = [], [], []
        rate(ctx, muster, "register", 0, n, name=ctx.scope)
        for i in range(1, ctx.rounds + 1):
            bare.append(rate(ctx, accept, "handshake", i * n, n))
            ours.append(rate(ctx, muster, "register", i * n, n, name=ctx.scope))
            again.append(rate(ctx, muster, "register", i * n, n, name=ctx.scope))
    finally:
        accept.stop()
        muster.stop()
    return [
        Row(FIGURE, "first registrations", "a second", column(ours, 0), column(bare, 0),
            "bare handshakes"),
        Row(FIGURE, "the same devices again", "a second", column(again, 0), column(bare, 0),
            "bare handshakes"),
        Row(FIGURE, "server CPU of a first registration", "ms", column(ours, 1), column(bare, 1),
            "bare handshakes")]
