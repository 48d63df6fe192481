"""Building revocation lists, against OpenSSL's X509_CRL in the way of `openssl ca -gencrl`."""
from report import Row

FIGURE = "Revocation lists of 1,000,000 certificates, 100,000 revoked"
AGAINST = "X509_CRL, as openssl ca -gencrl"


def run(ctx):
    revoked = 10000 if ctx.quick else 100000
    rows = []
    for what, kind, entries, times in (
            ("full, one list of {:,}", "full", revoked, 20),
            ("one of 16 shards, {:,} entries", "full", revoked // 16, 200),
            ("a delta of {:,}", "delta", 1000, 1000)):
        if ctx.quick:
            times = max(1, times // 20)
        ours, theirs = [], []
        for _ in range(ctx.rounds):
            for side, out in (("ours", ours), ("openssl", theirs)):
                got = ctx.json_of("bench/bench-crl", side, kind, str(entries), str(times))
                out.append(got["seconds"] * 1000)
        rows.append(Row(FIGURE, what.format(entries), "ms", ours, theirs, AGAINST))
    return rows
