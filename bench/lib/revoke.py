"""From the order to revoke to the closed session, against a GET over the same connection."""
import json
import queue
import threading

from loads import Load
from operators import Operator, percentile
from report import Row
from servers import Failed, fleet

FIGURE = "Revocation of a connected device"
DEVICES = 200


def follow(lines):
    """A queue of what is read: a session that never ends must not stop the figures."""
    out = queue.Queue()

    def read():
        for line in lines:
            out.put(json.loads(line))
    threading.Thread(target=read, daemon=True).start()
    return out


def revoke(operator, device, closed):
    """Milliseconds to the closed session, which the device saw, and to the answer."""
    answered, sent = operator.ask("POST", "/muster/revoke",
                                  {"deviceId": device, "reason": "keyCompromise"})
    try:
        seen = closed.get(timeout=10)
    except queue.Empty:
        raise Failed("%s was revoked and is still connected" % device) from None
    if seen["closed"] != device:
        raise Failed("%s was revoked, %s was closed" % (device, seen["closed"]))
    return (seen["at"] - sent) * 1000, answered


def distribution(ctx, muster, first, count):
    """Of a round: sessions closed, answers, and the GETs in between, in milliseconds."""
    operator = Operator(muster)
    closed, answered, get = [], [], []
    with Load(ctx, "watch", muster.port, first, count, name=muster.hub) as load:
        load.await_up(count)
        seen = follow(load.process.stdout)
        for i in range(first, first + count):
            device = "dev-%06d" % i
            get.append(operator.get_device(device))
            took = revoke(operator, device, seen)
            closed.append(took[0])
            answered.append(took[1])
    operator.close()
    return closed, answered, get


def run(ctx):
    n = 20 if ctx.quick else DEVICES
    rounds = []
    with fleet(ctx, "revoke", n * ctx.rounds) as muster:
        for i in range(ctx.rounds):
            rounds.append(distribution(ctx, muster, i * n, n))

    def row(what, which, p, target=None):
        return Row(FIGURE, what, "ms", [percentile(r[which], p) for r in rounds],
                   [percentile(r[2], p) for r in rounds], "GET of a device, same connection",
                   target)
    return [
        row("order sent to session closed, %d devices: p50" % n, 0, 50),
        row("order sent to session closed: p99", 0, 99),
        row("order sent to session closed: slowest", 0, 100, ("<=", 1000, "ms")),
        row("order sent to its answer, five effects durable: p50", 1, 50)]
