"""All devices of a region come back at once, after a power cut of the server."""
import threading
import time

from loads import Load, column, measure
from machine import memory_bytes
from report import Row
from servers import Accept, Failed, fleet

FIGURE = "Storm"
ROUNDS = 2  # each is minutes


class Peak:
    """The most memory that a server's processes had, as long as the block."""

    def __init__(self, server):
        self.server, self.bytes = server, 0
        self.ended = threading.Event()
        self.thread = threading.Thread(target=self._look, daemon=True)

    def _look(self):
        while not self.ended.wait(0.2):
            try:
                self.bytes = max(self.bytes, memory_bytes(self.server.process.pid))
            except OSError:
                pass  # a process has just ended

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.ended.set()
        self.thread.join()


def cut_and_return(muster, load, count):
    """Seconds from the server's start until all are back, and MiB at its peak."""
    muster.kill()
    start = time.monotonic()
    muster.launch()
    with Peak(muster) as peak:
        got = load.line()
        if got.get("back") != count:
            raise Failed("%s of %d devices are back" % (got, count))
        time.sleep(1)
    return got["back_at"] - start, peak.bytes / 2**20


def settled_mib(muster):
    time.sleep(1)
    return memory_bytes(muster.process.pid) / 2**20


def run(ctx):
    n = ctx.connections
    storms, bare = [], []
    with fleet(ctx, "storm", n, ctx.free_port()) as muster:
        accept = Accept(ctx, muster)
        muster.stop()
        muster.start()
        empty = settled_mib(muster)
        try:
            with Load(ctx, "storm", muster.port, 0, n, name=muster.hub) as load:
                load.await_up(n)
                quiet = settled_mib(muster)
                for _ in range(min(ROUNDS, ctx.rounds)):
                    bare.append(measure(ctx, accept, "handshake", 0, n, n)["seconds"])
                    storms.append(cut_and_return(muster, load, n))
                codes = load.end()["connack"]
        finally:
            accept.stop()
    devices, before = "{:,} devices".format(n), "before the cut"
    peaks, quiets = column(storms, 1), [quiet] * len(storms)
    return [
        Row(FIGURE, devices + ": server started to all back", "s", column(storms, 0), bare,
            "bare handshakes, all at once"),
        Row(FIGURE, "memory of the server at its peak", "MiB (PSS, all processes)",
            peaks, quiets, before, ("<=", 2)),
        Row(FIGURE, "memory a device at the peak", "KiB",
            *([(mib - empty) * 1024 / n for mib in side] for side in (peaks, quiets)), before),
        Row(FIGURE, "told to come again (CONNACK 3), in all rounds", "times", [codes["3"]], None,
            ""),
        Row(FIGURE, "told to stay away (CONNACK 1, 2, 4, 5)", "times",
            [sum(codes[c] for c in "01245")], None, "", ("<=", 0, "times"))]
