"""Processor time of a message, by its size and by how many connections there are beside."""
import contextlib

from loads import column
from report import Row
from servers import fleet
from telemetry import CONNECTIONS, EVERY_SECOND, broker, send

FIGURE = "Cost of a message"
SIZES = {16: 40000, 256: 40000, 4096: 10000, 65536: 1500}  # bytes: messages
CROWDS = 1000, 10000
SAVED = "mosquitto, saved every second"


def by_size(ctx, muster):
    rows = []
    for size, n in SIZES.items():
        n = n // 20 if ctx.quick else n
        ours, theirs = [], []
        for i in range(ctx.rounds):
            ours.append(send(ctx, muster, n, size=size))
            with broker(ctx, muster, "cost-%d-%d" % (size, i), EVERY_SECOND) as b:
                theirs.append(send(ctx, b, n, size=size))
        rows.append(Row(FIGURE, "server CPU of a message of {:,} bytes".format(size), "us",
                        column(ours, 1), column(theirs, 1), SAVED))
    return rows


def by_crowd(ctx, muster, crowds):
    n = 2000 if ctx.quick else 40000
    alone, beside = [], {crowd: [] for crowd in crowds}
    for _ in range(ctx.rounds):
        alone.append(send(ctx, muster, n))
        with contextlib.ExitStack() as stack:
            there = 0
            for crowd in crowds:
                stack.enter_context(ctx.idle(muster, CONNECTIONS + there, crowd - there))
                there = crowd
                beside[crowd].append(send(ctx, muster, n))
    return [Row(FIGURE, "the same of 256 bytes, {:,} idle connections beside".format(crowd), "us",
                column(beside[crowd], 1), column(alone, 1), "none beside", ("<=", 1.2))
            for crowd in crowds]


def run(ctx):
    crowds = [100, 400] if ctx.quick else [min(c, ctx.connections) for c in CROWDS]
    with fleet(ctx, "cost", CONNECTIONS + max(crowds)) as muster:
        return by_size(ctx, muster) + by_crowd(ctx, muster, crowds)
