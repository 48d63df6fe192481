"""What bench-load did to a server, and what it cost the server."""
import json
import subprocess
import threading

from machine import cpu_seconds, role_cpu_seconds
from servers import Failed

LATE_S = 600


class Load:
    """A bench-load that runs as long as the block. Its lines are JSON."""

    def __init__(self, ctx, mode, port, first, count, at_once=64, **options):
        self.words = [ctx.program("bench/bench-load"), mode, "127.0.0.1", str(port), ctx.certs,
                      str(first), str(count), str(at_once)]
        self.words += ["%s=%s" % pair for pair in options.items()]

    def __enter__(self):
        self.process = subprocess.Popen(self.words, stdin=subprocess.PIPE, text=True,
                                        stdout=subprocess.PIPE)
        return self

    def line(self):
        """Its next line; what says nothing for so long never will."""
        late = threading.Timer(LATE_S, self.process.kill)
        late.start()
        try:
            text = self.process.stdout.readline()
        finally:
            late.cancel()
        if not text:
            raise Failed("%s: exit status %d" % (" ".join(self.words), self.process.wait()))
        return json.loads(text)

    def await_up(self, count):
        up = self.line()["up"]
        if up != count:
            raise Failed("%s of %d connections came up" % (up, count))

    def go(self):
        """What waits for the end of its input goes on, or ends."""
        self.process.stdin.close()

    def result(self):
        """Its last line; a failure of any connection is one of the figures."""
        lines = self.process.stdout.read().splitlines()
        if self.process.wait() or not lines:
            raise Failed("%s: exit status %d %s" % (
                " ".join(self.words), self.process.returncode, " ".join(lines)[-500:]))
        return json.loads(lines[-1])

    def end(self):
        self.go()
        return self.result()

    def __exit__(self, wrong, *_):
        if wrong:
            self.process.kill()
        self.process.stdin.close()
        self.process.wait()
        self.process.stdout.close()


class Cost:
    """Processor time of a server's processes from one moment to another."""

    def __init__(self, server):
        self.pid = server.process.pid
        self.start = self.now()

    def now(self):
        return cpu_seconds(self.pid), role_cpu_seconds(self.pid, "core")

    def used(self):
        """Seconds of all processes, and of the core alone."""
        end = self.now()
        return end[0] - self.start[0], end[1] - self.start[1]


def measure(ctx, server, mode, first, count, at_once=64, port=None, **options):
    """The result of a load that ends by itself, with the seconds of processor time that it
    cost the server (cpu) and the core (core_cpu). With resume=1 of the second round alone."""
    with Load(ctx, mode, port or server.port, first, count, at_once, **options) as load:
        if options.get("resume"):
            load.line()
        cost = Cost(server)
        load.go()
        got = load.result()
    got["cpu"], got["core_cpu"] = cost.used()
    return got


def rate(ctx, server, mode, first, count, **more):
    """Units a second, and milliseconds of the server's processor time a unit."""
    got = measure(ctx, server, mode, first, count, **more)
    return count / got["seconds"], got["cpu"] * 1000 / count


def column(rows, i):
    return [r[i] for r in rows]

