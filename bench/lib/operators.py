"""An operator who asks over one connection, and how long the answers take."""
import json
import time

from servers import Failed


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

    def get_device(self, device):
        """Milliseconds of the simplest question there is."""
        return self.ask("GET", "/devices/%s?api-version=2021-04-12" % device)[0]

    def close(self):
        self.connection.close()


def percentile(values, p):
    return sorted(values)[min(len(values) - 1, len(values) * p // 100)]
