"""Good neighbours of bad ones: devices that stay connected, and send and are asked all the time,
notice nothing of what is done beside them to the same server.
"""
import contextlib
import os
import re
import resource
import socket
import struct
import sys
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "flow"))
# pylint: disable=wrong-import-position
import harness
import mqtt
import ws
from harness import token

EVENTS = "devices/%s/messages/events/"
DESIRED = "$iothub/twin/PATCH/properties/desired/#"
TWIN, METHODS = "$iothub/twin/res/#", "$iothub/methods/POST/#"
SENDERS = 5
SOURCES = ["127.0.0.%d" % n for n in range(2, 10)]  # of strangers; devices come from 127.0.0.1
CROWD = 1000
# The first bytes of a TLS record that announces a ClientHello and never ends.
HALF_HELLO = b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"
# What no client may send in a session, and words of the reason that the log has for it.
GARBAGE = {
    "reserved-0": (b"\x00\x02\x00\x01", "packet"),
    "reserved-15": (b"\xf0\x02\x00\x01", "packet"),
    "a-server-packet": (b"\x20\x02\x00\x00", "packet"),
    "second-connect": (mqtt.connect_packet("second-connect", "x", "y"), "second CONNECT"),
    "qos-3": (b"\x36\x04\x00\x00\x00\x01", "QoS"),
    "oversize": (b"\x32\xff\xff\xff\x7f\x00\x01x", "packet"),
    "endless-length": (b"\x32\xff\xff\xff\xff\x01", "length"),
    "short-topic": (b"\x32\x04\x00\x40ab", "PUBLISH"),
    "no-filters": (b"\x82\x02\x00\x01", "SUBSCRIBE"),
    "foreign-topic": (mqtt.publish_packet(EVENTS % "other", "x", 1, 1), "topic"),
    "noise": (bytes(range(255, 127, -1)) * 40, "remaining length"),
}


class Worker(threading.Thread):
    """Does something again and again; what went wrong ends it and is kept."""

    def __init__(self, pause):
        super().__init__(daemon=True)
        self.pause, self.count, self.fault, self.over = pause, 0, None, threading.Event()

    def run(self):
        try:
            while not self.over.is_set():
                self.once()
                self.count += 1
                self.over.wait(self.pause)
        except Exception as e:  # pylint: disable=broad-except
            self.fault = "%s: %r after %d" % (self.name, e, self.count)

    def once(self):
        raise NotImplementedError


class Sender(Worker):
    """A device that sends, each message acknowledged before the next."""

    def __init__(self, case, device):
        super().__init__(0.1)
        self.name, self.client = device, case.hub(device, case.sas_device(device))

    def once(self):
        self.client.publish(EVENTS % self.name, '{"n": %d}' % self.count)


class Asked(Worker):
    """A device that answers methods, and asks for its twin between them."""

    def __init__(self, case, device):
        super().__init__(0)
        self.name, self.client = device, case.hub(device, case.sas_device(device))
        assert self.client.subscribe(TWIN, METHODS, qos=0) == [0, 0]
        self.twins = 0

    def once(self):
        self.client.publish("$iothub/twin/GET/?$rid=%d" % self.count, b" ", qos=0)
        end = time.monotonic() + 0.3
        while time.monotonic() < end:
            with contextlib.suppress(socket.timeout):
                self.take(*self.client.message(0.1))

    def take(self, topic, _body):
        if topic.startswith("$iothub/twin/res/200/"):
            self.twins += 1
            return
        rid = re.fullmatch(r"\$iothub/methods/POST/ping/\?\$rid=(\w+)", topic).group(1)
        self.client.publish("$iothub/methods/res/200/?$rid=" + rid, "{}", qos=0)


class Caller(Worker):
    """The service, which calls a method of a device."""

    def __init__(self, case, device):
        super().__init__(0.3)
        self.name, self.api = "caller", case.server.operator()
        self.path = "/twins/%s/methods" % device

    def once(self):
        got = self.api.post(self.path, {"methodName": "ping", "responseTimeoutInSeconds": 30})
        assert got.status == 200, got


class Visitor(Worker):
    """A device that comes anew each time: over MQTT, over WebSocket, over HTTPS."""

    def __init__(self, case, device):
        super().__init__(0.5)
        self.name, self.server, self.key = device, case.server, case.sas_device(device)
        self.slowest = 0

    def password(self):
        return token("127.0.0.1/devices/" + self.name, self.key)

    def over_https(self):
        api = self.server.anybody(self.password())
        got = api.post("/devices/%s/messages/events" % self.name, b"{}")
        api.close()
        assert got.status == 204, got

    def once(self):
        start = time.monotonic()
        context = mqtt.tls(self.server.ca)
        if self.count % 3 == 2:
            self.over_https()
        else:
            dial = (mqtt.Client, ws.Client)[self.count % 3]
            port = (self.server.mqtt_port, self.server.https_port)[self.count % 3]
            with dial(port, context) as client:
                client.connect(self.name, mqtt.hub_user(self.name), self.password())
                client.publish(EVENTS % self.name, "{}")
        self.slowest = max(self.slowest, time.monotonic() - start)


def ended(sock):
    """Whether the server has ended a connection, whatever it sent before."""
    sock.settimeout(0)
    try:
        while sock.recv(65536):
            pass
        return True
    except (BlockingIOError, mqtt.ssl.SSLWantReadError):
        return False
    except OSError:
        return True


class Neighbours(harness.ServerCase):
    @classmethod
    def setUpClass(cls):
        # What was freed shall count as little with a sanitizer as without.
        os.environ["ASAN_OPTIONS"] = os.environ.get("ASAN_OPTIONS", "") + ":quarantine_size_mb=1"
        super().setUpClass()

    # Fewer places at a port than there are strangers: they have to wait for each other.
    HOME_SET = {"server": {"max_connections": 400, "edges": 1}}

    def setUp(self):
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        if hard < 2 * CROWD:
            self.skipTest("a thousand connections are not allowed here")
        resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, 2 * CROWD), hard))
        self.workers, self.hostile = [], []
        self.addCleanup(lambda: [s.close() for s in self.hostile])

    # ---- who is good -----------------------------------------------------------------

    def begin(self):
        asked = Asked(self, "asked")
        self.visitor = Visitor(self, "visitor")
        self.workers = [Sender(self, "sender-%d" % i) for i in range(SENDERS)]
        self.workers += [asked, Caller(self, "asked"), self.visitor]
        for w in self.workers:
            self.addCleanup(w.over.set)
            w.start()
        self.live_on()

    def live_on(self):
        """Each gets on by a few, and none has met with a fault."""
        before = [w.count for w in self.workers]
        self.eventually(lambda: any(w.fault for w in self.workers) or all(
            w.count >= n + 3 for w, n in zip(self.workers, before)), 60, "neighbours get on")
        self.assertEqual([w.fault for w in self.workers if w.fault], [])

    # ---- who is bad ------------------------------------------------------------------

    def raw(self, port, source="127.0.0.1", small=False):
        s = socket.socket()
        self.hostile.append(s)
        if small:
            s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        s.settimeout(30)
        s.bind((source, 0))
        s.connect(("127.0.0.1", port))
        return s

    def unread(self, device):
        """A device that subscribes to all there is, and whose socket is its test's to read."""
        client = mqtt.Client.__new__(mqtt.Client)
        client.pending, client.number, client.inbox = b"", 0, []
        raw = self.raw(self.server.mqtt_port, small=True)
        client.sock = mqtt.tls(self.server.ca).wrap_socket(raw, server_hostname="127.0.0.1")
        self.hostile[-1] = client.sock
        client.connect(device, mqtt.hub_user(device), token(
            "127.0.0.1/devices/" + device, self.sas_device(device)), keepalive=0)
        client.subscribe(DESIRED, METHODS, qos=0)
        client.subscribe("devices/%s/messages/devicebound/#" % device)
        return client

    def feed(self, device, rounds):
        """Changes of its twin, messages and methods, of which it confirms none."""
        for i in range(rounds):
            got = self.op.call("PATCH", "/twins/" + device, {
                "properties": {"desired": {k: "%04d" % i * 1000 for k in "abcdefg"}}})
            self.assertEqual(got.status, 200, got)
            got = self.op.post("/devices/%s/messages/devicebound" % device, b"x" * 10000)
            self.assertIn(got.status, (204, 403, 404), got)

    def crowd(self):
        """A thousand connections of strangers, half of them at each port."""
        context, found = mqtt.tls(self.server.ca), []
        for i in range(CROWD):
            port = (self.server.mqtt_port, self.server.https_port)[i % 2]
            source = SOURCES[i // 2 % len(SOURCES)]
            s = self.raw(port, source)
            if i < CROWD // 8:  # while there is room: the others may have to wait
                self.hostile[-1] = context.wrap_socket(s, server_hostname="127.0.0.1")
            elif i < CROWD // 2:
                s.sendall(HALF_HELLO)
            found.append(self.hostile[-1])
        return found

    def loris(self):
        """HTTP that comes a header at a time and never ends."""
        def drip():
            n = 0
            with contextlib.suppress(OSError):
                while True:
                    s.sendall(b"X-%d: y\r\n" % n)
                    n += 1
                    time.sleep(0.5)
        s = ws.dial(self.server.https_port, mqtt.tls(self.server.ca))
        self.hostile.append(s)
        s.sendall(b"GET /devices/x HTTP/1.1\r\nHost: x\r\n")
        threading.Thread(target=drip, daemon=True).start()

    def memory(self):
        """Resident KiB of edge and core."""
        total = 0
        for role in ("edge", "core"):
            for pid in self.server.pids(role).values():
                with open("/proc/%d/status" % pid, encoding="ascii") as f:
                    total += int(re.search(r"VmRSS:\s+(\d+)", f.read()).group(1))
        return total

    def reasons(self, device):
        return [r["reason"] for r in self.op.connections(deviceId=device)
                if r["event"] in ("disconnect", "refused")]

    # ---- all of it at once -----------------------------------------------------------

    def garbage(self):
        for name, (raw, words) in GARBAGE.items():
            client = self.hub(name, self.sas_device(name))
            client.write(raw)
            self.assertTrue(client.closes(20), name)
            client.close()
            self.eventually(lambda n=name, w=words: any(w in r for r in self.reasons(n)), 20,
                            "a reason of %s with %r" % (name, words))
        client = self.hub("truncated", self.sas_device("truncated"))
        client.write(mqtt.publish_packet(EVENTS % "truncated", "x" * 500, 1, 1)[:-1])
        client.close()
        self.eventually(lambda: self.reasons("truncated"), 20, "a reason for half a packet")

    def slow(self, client):
        """Reads a byte a second."""
        def sip():
            with contextlib.suppress(OSError, ValueError):
                while raw.recv(1):
                    time.sleep(1)
        raw = socket.socket(fileno=os.dup(client.sock.fileno()))  # below TLS
        self.hostile.append(raw)
        threading.Thread(target=sip, daemon=True).start()

    def test_all_of_it_at_once(self):
        self.begin()
        slow, deaf = self.unread("slow"), self.unread("deaf")
        self.feed("slow", 20)  # what a device gets that is well
        before = self.memory()
        self.slow(slow)
        self.loris()
        strangers = self.crowd()
        self.live_on()
        self.garbage()
        self.live_on()
        for device in ("slow", "deaf"):
            self.feed(device, 300)
        self.live_on()
        held = len([s for s in strangers if not ended(s)])
        self.assertGreater(held, CROWD // 4, "the strangers were gone too soon to matter")
        self.eventually(lambda: all(ended(s) for s in self.hostile), 180, "bad ones are ended")
        self.live_on()
        self.assertLess(self.memory() - before, 64 * 1024, "KiB more")
        for device in ("slow", "deaf"):
            self.eventually(lambda d=device: any("does not read" in r for r in self.reasons(d)),
                            20, "%s: %r" % (device, self.reasons(device)))
        nameless = [r["reason"] for r in self.op.connections(what="refused")
                    if not r.get("deviceId")]
        self.assertIn("TLS handshake: not finished in time", nameless)
        self.assertLess(len(nameless), CROWD // 5, "a line each")
        for w in self.workers:
            w.over.set()
        for w in self.workers:
            w.join(30)
        self.assertEqual([w.fault for w in self.workers if w.fault], [])
        for w in self.workers:
            if isinstance(w, Sender):
                rows = self.op.connections(deviceId=w.name)
                self.assertEqual([r["event"] for r in rows], ["connect"], w.name)
                self.assertGreaterEqual(len(self.op.events(deviceId=w.name)), w.count, w.name)


if __name__ == "__main__":
    harness.main()
