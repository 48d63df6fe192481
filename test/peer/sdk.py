"""A device on an official SDK for Node: a process of its own that does what it is told, a line of
JSON each, and says what it hears."""
import json
import os
import queue
import subprocess
import threading

ANSWER_S = 60


class Sdk:
    """tell() gives the answer to a command, heard() what came unasked, in its order."""

    def __init__(self, case, room, script):
        self.errors = os.path.join(case.folder(), "errors")
        with open(self.errors, "wb") as errors:
            self.process = subprocess.Popen(
                ["node", script], cwd=room, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                stderr=errors, env={**os.environ, "NODE_EXTRA_CA_CERTS": case.server.ca,
                                    "NODE_NO_WARNINGS": "1"})
        self.answers, self.unasked = queue.Queue(), queue.Queue()
        threading.Thread(target=self._read, daemon=True).start()
        case.addCleanup(self._end)

    def _read(self):
        for line in self.process.stdout:
            got = json.loads(line)
            (self.answers if "ok" in got or "failed" in got else self.unasked).put(got)

    def _end(self):
        self.process.kill()
        self.process.wait()
        self.process.stdin.close()
        self.process.stdout.close()

    def _next(self, where):
        try:
            return where.get(timeout=ANSWER_S)
        except queue.Empty:
            with open(self.errors, encoding="utf-8", errors="replace") as f:
                raise AssertionError("the SDK says nothing: " + f.read()[-2000:]) from None

    def tell(self, what, **more):
        self.process.stdin.write(json.dumps({"do": what, **more}).encode() + b"\n")
        self.process.stdin.flush()
        return self._next(self.answers)

    def heard(self):
        return self._next(self.unasked)
