"""EST renewals, against bare mutual TLS handshakes with a signature each."""
from dps import rate
from report import Row
from servers import Accept, Muster

FIGURE = "EST enrolments"


def run(ctx):
    n = 200 if ctx.quick else 2000
    muster = Muster(ctx, "est").start()
    accept = Accept(ctx, muster, "sign")
    try:
        muster.trust_own_devices()
        ctx.issue_devices(muster, n)
        ctx.load("register", muster.ports["mqtt"], 0, n, 64, ctx.scope)
        ours, bare = [], []
        for _ in range(ctx.rounds):
            bare.append(rate(ctx, accept, accept.port, "handshake", 0, n))
            ours.append(rate(ctx, muster, muster.ports["https"], "reenroll", 0, n))
    finally:
        accept.stop()
        muster.stop()

    def column(rows, i):
        return [r[i] for r in rows]
    against = "bare handshakes, a signature each"
    return [
        Row(FIGURE, "simplereenroll, a full handshake and a new key each", "a second",
            column(ours, 0), column(bare, 0), against),
        Row(FIGURE, "server CPU of one", "ms", column(ours, 1), column(bare, 1), against)]
