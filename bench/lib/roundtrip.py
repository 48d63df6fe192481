"""Round trips of a connected device: its twin, its reports, methods that are called."""
import os
import time

from loads import Load, measure
from operators import Operator, percentile
from report import Row
from servers import Mosquitto, fleet

FIGURE = "Round trips"
DEVICE = "dev-000000"
PAGE, PAGES = 4096, 1000


def asks(ctx, server, mode, count):
    """p50 and p99 in ms of one device that asks and asks again."""
    got = measure(ctx, server, mode, 0, 1, 2, name=server.hub, messages=count)
    return got["p50_ms"], got["p99_ms"]


def writes(ctx, count):
    """p50 and p99 in ms of 4 KiB on the disk, in place as in a journal that is reused."""
    took = []
    fd = os.open(os.path.join(ctx.disk, "written"), os.O_WRONLY | os.O_CREAT)
    os.write(fd, bytes(PAGE * PAGES))
    os.fsync(fd)
    for i in range(count):
        start = time.monotonic()
        os.pwrite(fd, b"x" * PAGE, i % PAGES * PAGE)
        os.fdatasync(fd)
        took.append((time.monotonic() - start) * 1000)
    os.close(fd)
    return percentile(took, 50), percentile(took, 99)


def methods(ctx, muster, count):
    """p50 and p99 in ms of a direct method that the device answers, and of a GET of it over
    the same connection."""
    call = "/twins/%s/methods?api-version=2021-04-12" % DEVICE
    took, get = [], []
    operator = Operator(muster)
    with Load(ctx, "methods", muster.port, 0, 1, 2, name=muster.hub) as load:
        load.await_up(1)
        for _ in range(count):
            get.append(operator.get_device(DEVICE))
            took.append(operator.ask("POST", call, {"methodName": "m", "payload": {}})[0])
        load.end()
    operator.close()
    return [(percentile(v, 50), percentile(v, 99)) for v in (took, get)]


def take(ctx, muster, broker, count):
    """Of one round, by what was measured."""
    out = {}
    out["echo"] = asks(ctx, broker, "echo", count)
    out["get"] = asks(ctx, muster, "twin-get", count)
    out["write"] = writes(ctx, count)
    out["report"] = asks(ctx, muster, "twin-report", count)
    out["method"], out["device"] = methods(ctx, muster, count)
    return out


def run(ctx):
    n = 100 if ctx.quick else 2000
    with fleet(ctx, "roundtrip", 1) as muster:
        broker = Mosquitto(ctx, muster, "roundtrip-broker", ["persistence false"])
        try:
            rounds = [take(ctx, muster, broker, n) for _ in range(ctx.rounds)]
        finally:
            broker.stop()

    def rows(what, ours, theirs, against):
        return [Row(FIGURE, what + ": " + p, "ms", [r[ours][i] for r in rounds],
                    [r[theirs][i] for r in rounds], against)
                for i, p in enumerate(("p50", "p99"))]
    echo = "message to oneself by mosquitto"
    return (rows("twin read by its device", "get", "echo", echo) +
            rows("report, durable", "report", "echo", echo) +
            rows("report, durable", "report", "write", "4 KiB written and fdatasync") +
            rows("direct method, API to device and back", "method", "device",
                 "GET of a device, same connection"))
