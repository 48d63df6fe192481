"""What a line of the audit record costs a message to a device and a direct method."""
import os

from report import Row
from roundtrip import methods
from servers import fleet

FIGURE = "The audit record"
MANY = 100


def stored(ctx, what, count, each):
    """Microseconds of one, so many a transaction, in a database of its own."""
    path = os.path.join(ctx.disk, "audit.db")
    got = ctx.json_of("bench/bench-audit", path, what, str(count), str(each))
    for name in (path, path + "-wal"):
        os.remove(name)
    return got["seconds"] / count * 1e6


def run(ctx):
    n, calls = (200, 20) if ctx.quick else (2000, 500)
    took = {(what, each): [] for what in ("messages", "lines", "both") for each in (1, MANY)}
    called = []
    with fleet(ctx, "audit", 1) as muster:
        for _ in range(ctx.rounds):
            for (what, each), values in took.items():
                values.append(stored(ctx, what, n * (1 if each == 1 else 10), each))
            called.append(methods(ctx, muster, calls)[0][0] * 1000)
    alone = "the message without it"
    return [
        Row(FIGURE, "a message stored with its line, a transaction each", "us", took["both", 1],
            took["messages", 1], alone),
        Row(FIGURE, "a message stored with its line, %d a transaction" % MANY, "us",
            took["both", MANY], took["messages", MANY], alone),
        Row(FIGURE, "a method's line, a transaction each", "us", took["lines", 1], called,
            "direct method, API to device and back, p50"),
        Row(FIGURE, "a method's line, %d a transaction" % MANY, "us", took["lines", MANY],
            called, "direct method, API to device and back, p50")]
