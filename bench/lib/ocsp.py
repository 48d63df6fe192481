"""OCSP answers a second, against bare P-256 signatures."""
from report import Row

FIGURE = "OCSP answers"


def run(ctx):
    count = 5120 if ctx.quick else 102400
    rates = {"ahead": [], "live": [], "limit": []}
    for _ in range(ctx.rounds):
        for mode, out in rates.items():
            got = ctx.json_of("bench/bench-ocsp", mode, str(count))
            out.append(got["count"] / got["seconds"])
    return [
        Row(FIGURE, "signed ahead, batches of 256", "a second", rates["ahead"], rates["limit"],
            "bare signatures", (">=", 0.9)),
        Row(FIGURE, "live: request parsed, nonce echoed", "a second", rates["live"],
            rates["limit"], "bare signatures", (">=", 0.9))]
