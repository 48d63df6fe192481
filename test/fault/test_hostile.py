"""Peers that are slow, stuck or hostile: the others are served, and memory stays bounded."""
import os
import re
import socket
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "flow"))
# pylint: disable=wrong-import-position
import harness
import mqtt
from harness import token

EVENTS = "devices/%s/messages/events/"
STUCK = 150
# The first bytes of a TLS record that announces a handshake message and never ends.
HALF_HELLO = b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"


class Hostile(harness.ServerCase):
    def setUp(self):
        self.key = self.sas_device("honest") if self.op.get("/devices/honest").status == 404 \
            else harness.base64.b64decode(self.op.get("/devices/honest").json[
                "authentication"]["symmetricKey"]["primaryKey"])
        self.sockets = []
        self.addCleanup(lambda: [s.close() for s in self.sockets])

    def raw(self, port):
        s = socket.create_connection(("127.0.0.1", port), 10)
        self.sockets.append(s)
        return s

    def secure(self, port):
        s = self.server_tls().wrap_socket(self.raw(port), server_hostname="127.0.0.1")
        self.sockets.append(s)
        return s

    def server_tls(self):
        return harness.mqtt.tls(self.server.ca)

    def one_exchange(self):
        """Seconds for a whole visit: TLS, CONNECT, one durable message, a service call."""
        start = time.monotonic()
        client = self.hub("honest", self.key)
        client.publish(EVENTS % "honest", "{}")
        client.disconnect()
        self.assertEqual(self.server.operator().get("/devices/honest").status, 200)
        return time.monotonic() - start

    def others_are_served(self):
        times = sorted(self.one_exchange() for _ in range(5))
        self.assertLess(times[2], 5, "others wait: %r" % times)

    def test_stuck_after_tcp(self):
        for i in range(STUCK):
            self.raw((self.server.mqtt_port, self.server.https_port)[i % 2])
        self.others_are_served()

    def test_stuck_in_the_hello(self):
        for i in range(STUCK):
            self.raw((self.server.mqtt_port, self.server.https_port)[i % 2]).sendall(HALF_HELLO)
        self.others_are_served()

    def test_stuck_before_connect(self):
        for i in range(STUCK):
            self.secure((self.server.mqtt_port, self.server.https_port)[i % 2])
        self.others_are_served()

    def test_stuck_in_connect_and_in_headers(self):
        half = mqtt.connect_packet("slow", mqtt.hub_user("slow"), "x" * 500)[:40]
        for i in range(STUCK):
            if i % 2:
                self.secure(self.server.mqtt_port).sendall(half)
            else:
                self.secure(self.server.https_port).sendall(
                    b"PUT /devices/x HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\nabc")
        self.others_are_served()

    def test_readers_that_never_read(self):
        client = self.hub("honest", self.key)
        for i in range(200):
            client.write(mqtt.publish_packet(EVENTS % "honest", "x" * 20000, 1, i + 1))
        for i in range(200):
            client.expect(mqtt.PUBACK)
        client.disconnect()
        keys = self.server.policy_keys()
        auth = token("127.0.0.1", keys["service"], policy="service")
        for _ in range(20):
            s = self.secure(self.server.https_port)
            s.sendall(("GET /muster/events?api-version=1 HTTP/1.1\r\nHost: x\r\n"
                       "Authorization: %s\r\n\r\n" % auth).encode())
        self.others_are_served()

    def memory(self):
        """Resident KiB of all edges."""
        total = 0
        for pid in self.server.pids("edge").values():
            with open("/proc/%d/status" % pid, encoding="ascii") as f:
                total += int(re.search(r"VmRSS:\s+(\d+)", f.read()).group(1))
        return total

    def test_announced_sizes_cost_nothing(self):
        """CVE-2017-7651: a length is a promise, not memory."""
        for _ in range(20):
            self.one_exchange()
        before = self.memory()
        for _ in range(100):
            self.secure(self.server.mqtt_port).sendall(b"\x10\xff\xff\xff\x7f\x00\x04MQTT\x04\x02")
        for _ in range(50):
            self.secure(self.server.https_port).sendall(
                b"PUT /devices/x HTTP/1.1\r\nHost: x\r\nContent-Length: 262144\r\n\r\n")
        self.others_are_served()
        self.assertLess(self.memory() - before, 64 * 1024, "KiB more")

    def test_packets_that_may_not_come_first(self):
        for first in range(256):
            if first >> 4 == mqtt.CONNECT:
                continue
            with self.server.mqtt() as client:
                client.write(bytes([first, 2, 0, 1]))
                self.assertTrue(client.closes(10), "0x%02x" % first)
        self.others_are_served()

    def test_every_packet_with_every_flag_in_a_session(self):
        for first in range(256):
            for body in (b"", b"\x00\x01", b"\x00\x01x\x00\x01y"):
                client = self.hub("honest", self.key)
                client.write(mqtt.packet(first, body) + b"\xc0\x00")
                client.sock.settimeout(10)
                try:
                    for _ in range(3):
                        client.read()
                except (mqtt.Closed, socket.timeout):
                    pass
                client.close()
                if first % 16:
                    break  # the other bodies for flags 0 alone: the parser's unit tests do all
        self.others_are_served()

    def test_rubbish_instead_of_tls(self):
        for port in (self.server.mqtt_port, self.server.https_port):
            for raw in (b"GET / HTTP/1.1\r\n\r\n", b"\x10\x0c\x00\x04MQTT\x04\x02\x00\x3c\x00\x00",
                        b"\x80\x2e\x01\x03\x01", b"\x00" * 600, os.urandom(5000), b"SSH-2.0-x\r\n"):
                s = self.raw(port)
                s.sendall(raw)
                s.settimeout(0.5)  # it may wait for the rest of what looks like a record
                try:
                    while s.recv(4096):
                        pass
                except OSError:
                    pass
        self.others_are_served()

    def test_many_that_come_and_go(self):
        for i in range(400):
            self.raw((self.server.mqtt_port, self.server.https_port)[i % 2]).close()
        self.others_are_served()

    def test_a_flood_of_refusals_is_answered_and_logged_to_a_limit(self):
        start = time.monotonic()
        for _ in range(100):
            with self.server.mqtt() as client:
                try:
                    client.connect("nobody", mqtt.hub_user("nobody"), "x")
                except mqtt.Refused as e:
                    self.assertEqual(e.code, 5)
        self.assertLess(time.monotonic() - start, 60)
        self.others_are_served()


class Limits(harness.ServerCase):
    HOME_SET = {"server": {"max_connections": 20, "edges": 1}}

    def test_connections_over_the_limit_are_refused_and_room_comes_back(self):
        key = self.sas_device("limit")
        held = []
        for _ in range(40):
            s = socket.create_connection(("127.0.0.1", self.server.mqtt_port), 10)
            self.addCleanup(s.close)
            held.append(s)
        for s in held:
            s.close()
        self.eventually(lambda: self.hub("limit", key), 20, "a device gets in again")


if __name__ == "__main__":
    harness.main()
