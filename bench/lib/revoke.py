"""From the order to revoke to the closed session, against a GET over the same connection."""
import json
import queue
import threading
import time

from report import Row
from servers import Failed, Muster

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


class Operator:
    """Requests over one connection that is open, one after the other."""

    def __init__(self, muster):
        self.connection = muster.connection()
        self.connection.connect()

    def ask(self, method, path, body=None):
        """Milliseconds, and when it was sent."""
        sent = time.monotonic()
        self.connection.request(method, path, body and json.dumps(body).encode(),
                                {"Content-Type": "application/json"})
        answer = self.connection.getresponse()
        text = answer.read()
        if answer.status != 200:
            raise Failed("%s %s: %d %s" % (method, path, answer.status, text[:200]))
        return (time.monotonic() - sent) * 1000, sent


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


def percentile(values, p):
    return sorted(values)[min(len(values) - 1, len(values) * p // 100)]


def distribution(ctx, muster, first, count):
    """Of a round: sessions closed, answers, and the GETs in between, in milliseconds."""
    operator = Operator(muster)
    closed, answered, get = [], [], []
    with ctx.idle(muster.ports["mqtt"], count, "127.0.0.1", first, "watch") as lines:
        seen = follow(lines)
        for i in range(first, first + count):
            device = "dev-%06d" % i
            get.append(operator.ask("GET", "/devices/%s?api-version=2021-04-12" % device)[0])
            took = revoke(operator, device, seen)
            closed.append(took[0])
            answered.append(took[1])
    operator.connection.close()
    return closed, answered, get


def run(ctx):
    n = 20 if ctx.quick else DEVICES
    muster = Muster(ctx, "revoke").start()
    rounds = []
    try:
        muster.trust_own_devices()
        ctx.issue_devices(muster, n * ctx.rounds)
        ctx.load("register", muster.ports["mqtt"], 0, n * ctx.rounds, 16, ctx.scope)
        for i in range(ctx.rounds):
            rounds.append(distribution(ctx, muster, i * n, n))
    finally:
        muster.stop()

    def row(what, which, p, target=None):
        return Row(FIGURE, what, "ms", [percentile(r[which], p) for r in rounds],
                   [percentile(r[2], p) for r in rounds], "GET of a device, same connection",
                   target)
    return [
        row("order sent to session closed, %d devices: p50" % n, 0, 50),
        row("order sent to session closed: p99", 0, 99),
        row("order sent to session closed: slowest", 0, 100, ("<=", 1000, "ms")),
        row("order sent to its answer, five effects durable: p50", 1, 50)]
