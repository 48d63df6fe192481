"""EST renewals, against bare mutual TLS handshakes with a signature each."""
from loads import column, rate
from report import Row
from servers import Accept, fleet

FIGURE = "EST enrolments"


def run(ctx):
    n = 200 if ctx.quick else 2000
    ours, bare = [], []
    with fleet(ctx, "est", n) as muster:
        accept = Accept(ctx, muster, "sign")
        try:
            for _ in range(ctx.rounds):
                bare.append(rate(ctx, accept, "handshake", 0, n))
                ours.append(rate(ctx, muster, "reenroll", 0, n, port=muster.ports["https"]))
        finally:
            accept.stop()
    against = "bare handshakes, a signature each"
    return [
        Row(FIGURE, "simplereenroll, a full handshake and a new key each", "a second",
            column(ours, 0), column(bare, 0), against),
        Row(FIGURE, "server CPU of one", "ms", column(ours, 1), column(bare, 1), against)]
