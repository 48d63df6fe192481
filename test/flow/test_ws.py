"""MQTT over WebSocket on the HTTPS port, DPS and hub: handshake, frames, ends."""
import contextlib
import socket
import struct
import time

import harness
import mqtt
import ws
from harness import derive, token
from ws import BINARY, CLOSE, CONTINUE, PING, PONG, TEXT, frame


class WebSocket(harness.ServerCase):
    def dial(self, *cert):
        sock = ws.dial(self.server.https_port, mqtt.tls(self.server.ca, *cert))
        self.addCleanup(sock.close)
        return sock

    def open(self, *cert, **more):
        """A WebSocket that nothing was said on yet."""
        client = ws.Client(self.server.https_port, mqtt.tls(self.server.ca, *cert), **more)
        self.addCleanup(client.close)
        return client

    def hub_ws(self, device, key=None, cert=(), client=None, **more):
        client = client or self.open(*cert)
        client.connect(device, mqtt.hub_user(device),
                       key and token("127.0.0.1/devices/" + device, key), **more)
        return client

    def bodies(self, device):
        return [r["body"] for r in self.op.events(deviceId=device)]

    # ---- the handshake ---------------------------------------------------------------

    def test_sub_protocol_comes_back_as_it_was_spelled(self):
        for offered, want in (("mqtt", "mqtt"), ("MQTT", "MQTT"), ("mqttv3.1, Mqtt", "Mqtt"),
                              ("AMQPWSB10,mqtt", "mqtt")):
            with self.subTest(offered):
                got = self.open(Sec_WebSocket_Protocol=offered).sock
                self.assertEqual(got.headers["sec-websocket-protocol"], want)
                self.assertEqual(got.headers["upgrade"].lower(), "websocket")
                self.assertEqual(got.headers["connection"].lower(), "upgrade")
                self.assertEqual(sorted(got.headers), [
                    "connection", "sec-websocket-accept", "sec-websocket-protocol", "upgrade"])

    def test_paths_and_headers_that_clients_send(self):
        for more in ({"path": "/%24iothub/websocket"},
                     {"path": "/$iothub/websocket?iothub-no-client-cert=true"},
                     {"path": "/$iothub/websocket/"}, {"path": "/$IoTHub/WebSocket?"},
                     {"path": "/"}, {"path": "/mqtt"},  # .NET and Java to DPS
                     {"Connection": "keep-alive, Upgrade"}, {"Upgrade": "WebSocket"},
                     {"Sec_WebSocket_Extensions": "permessage-deflate; client_max_window_bits"},
                     {"Origin": "https://127.0.0.1"}, {"Content_Length": "0"}):
            with self.subTest(more):
                self.assertNotIn("sec-websocket-extensions", self.open(**more).sock.headers)

    def refused(self, status, **more):  # pylint: disable=arguments-differ
        sock = self.dial()
        sock.sendall(ws.request(**more))
        got, headers, _ = ws.read_head(sock)
        self.assertEqual(got, status, more)
        return headers

    def test_what_is_no_upgrade_is_refused(self):
        for more in ({"Sec_WebSocket_Version": "8"}, {"drop": ("Sec-WebSocket-Version",)},
                     {"drop": ("Upgrade",)}, {"Upgrade": "h2c"}):
            headers = self.refused(426, **more)
            self.assertEqual(headers["sec-websocket-version"], "13")
            self.assertEqual(headers["upgrade"], "websocket")
        for more in ({"drop": ("Connection",)}, {"Connection": "close"},
                     {"drop": ("Sec-WebSocket-Key",)}, {"key": "short"},
                     {"drop": ("Sec-WebSocket-Protocol",)}, {"Sec_WebSocket_Protocol": "chat"},
                     {"drop": ("Host",)}, {"Content_Length": "2", "body": "{}"},
                     {"method": "HEAD"},
                     {"Sec_WebSocket_Key": "dGhlIHNhbXBsZSBub25jZQ==\r\n"
                                           "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="}):
            with self.subTest(more):
                self.refused(400, **more)
        self.refused(501, Sec_WebSocket_Protocol="AMQPWSB10")
        self.refused(404, path="/$iothub/websockets")
        self.refused(404, path="/$servicebus/websocket")
        self.refused(405, method="POST", Content_Length="0")

    def test_a_refusal_leaves_the_connection_to_http(self):
        sock = self.dial()
        sock.sendall(ws.request(Sec_WebSocket_Version="12", Content_Type="x"))
        status, headers, rest = ws.read_head(sock)
        self.assertEqual(status, 426)
        while len(rest) < int(headers["content-length"]):
            rest += sock.recv(4096)
        got = ws.Socket(sock)
        self.assertEqual(got.status, 101)

    # ---- services --------------------------------------------------------------------

    def test_hub_with_a_key(self):
        key = self.sas_device("ws-sas")
        client = self.hub_ws("ws-sas", key)
        client.publish("devices/ws-sas/messages/events/", '{"n": 1}')
        client.ping()
        client.disconnect()
        self.assertEqual(self.bodies("ws-sas"), [{"n": 1}])
        row = self.op.connections(deviceId="ws-sas", what="connect")[-1]
        self.assertEqual((row["protocol"], row["authType"]), ("mqtt-ws", "sas"))

    def test_hub_with_the_certificate_of_the_tls_handshake(self):
        self.ca_device("ws-x509")
        client = self.hub_ws("ws-x509", cert=self.leaf("ws-x509"))
        client.publish("devices/ws-x509/messages/events/", '{"n": 2}')
        self.assertEqual(self.bodies("ws-x509"), [{"n": 2}])
        row = self.op.connections(deviceId="ws-x509", what="connect")[-1]
        self.assertEqual((row["protocol"], row["authType"]), ("mqtt-ws", "x509"))

    def test_registration(self):
        group = self.sas_group("g-ws")
        client = self.open()
        client.connect("ws-reg", mqtt.dps_user(harness.SCOPE, "ws-reg"), token(
            harness.SCOPE + "/registrations/ws-reg", derive(group, "ws-reg"),
            policy="registration"))
        self.assertEqual(client.subscribe("$dps/registrations/res/#"), [1])
        answer = mqtt.dps_register(client, b'{"registrationId": "ws-reg"}')
        self.assertEqual((answer.status, answer.json["status"]), (200, "assigned"))

    def test_registration_with_a_certificate(self):
        self.x509_group("g-ws-x509")
        client = self.open(*self.leaf("ws-reg-x"))
        client.connect("ws-reg-x", mqtt.dps_user(harness.SCOPE, "ws-reg-x"))
        client.subscribe("$dps/registrations/res/#")
        self.assertEqual(mqtt.dps_register(client).json["status"], "assigned")

    def test_a_wrong_key_is_connack_5_and_an_end(self):
        self.sas_device("ws-bad")
        client = self.open()
        with self.assertRaises(mqtt.Refused) as got:
            self.hub_ws("ws-bad", b"x" * 32, client=client)
        self.assertEqual(got.exception.code, 5)
        self.assertTrue(client.closes(10))
        self.assertEqual(client.sock.closed, 1000)
        row = self.reason("ws-bad", "signature")
        self.assertEqual(row["protocol"], "mqtt-ws")

    def test_one_device_is_one_session_over_both_transports(self):
        key = self.sas_device("ws-take")
        first = self.hub("ws-take", key)
        second = self.hub_ws("ws-take", key)
        self.assertTrue(first.closes(10))
        second.ping()
        third = self.hub("ws-take", key)
        self.assertTrue(second.closes(10))
        third.ping()

    # ---- frames ----------------------------------------------------------------------

    def connect_bytes(self, device, key):
        return mqtt.connect_packet(device, mqtt.hub_user(device),
                                   token("127.0.0.1/devices/" + device, key))

    def test_a_field_a_frame_and_a_byte_a_record(self):
        key = self.sas_device("ws-field")
        raw = self.connect_bytes("ws-field", key)
        event = mqtt.publish_packet("devices/ws-field/messages/events/", "{}", 1, 7)
        for size in (1, 2, 7):
            client = self.open()
            for at in range(0, len(raw), size):
                client.sock.sendall(raw[at:at + size])
            self.assertEqual(client.expect(mqtt.CONNACK), b"\0\0")
            for at in range(0, len(event), size):
                client.sock.raw(frame(BINARY, event[at:at + size]))
            self.assertEqual(client.expect(mqtt.PUBACK), b"\0\7")
            for byte in frame(BINARY, event):
                client.sock.raw(bytes([byte]))
            self.assertEqual(client.expect(mqtt.PUBACK), b"\0\7")

    def test_several_packets_a_frame(self):
        key = self.sas_device("ws-many")
        client = self.hub_ws("ws-many", key)
        topic = "devices/ws-many/messages/events/"
        client.sock.sendall(b"".join(mqtt.publish_packet(topic, '{"n": %d}' % n, 1, n)
                                     for n in range(1, 41)) + b"\xc0\0")
        got = [client.read() for _ in range(41)]
        acks = [struct.unpack(">H", body)[0] for first, body in got if first >> 4 == mqtt.PUBACK]
        self.assertEqual(acks, list(range(1, 41)))
        self.assertEqual(self.bodies("ws-many"), [{"n": n} for n in range(1, 41)])

    def test_fragments_with_pings_between(self):
        key = self.sas_device("ws-frag")
        client = self.hub_ws("ws-frag", key)
        event = mqtt.publish_packet("devices/ws-frag/messages/events/", '{"n": 1}', 1, 9)
        client.sock.raw(frame(BINARY, event[:3], fin=False) + frame(PING, b"one") +
                        frame(CONTINUE, b"", fin=False) + frame(PONG, b"unasked"))
        client.sock.raw(frame(CONTINUE, event[3:9], fin=False) + frame(PING, b"2" * 125))
        client.sock.raw(frame(CONTINUE, event[9:]))
        self.assertEqual(client.expect(mqtt.PUBACK), b"\0\x09")
        self.assertEqual(client.sock.pongs, [b"one", b"2" * 125])

    def test_the_largest_message_goes_through_in_one_frame(self):
        key = self.sas_device("ws-large")
        client = self.hub_ws("ws-large", key)
        body = '{"x": "%s"}' % ("y" * (250 * 1024))
        client.publish("devices/ws-large/messages/events/", body)
        self.assertEqual(len(self.bodies("ws-large")[0]["x"]), 250 * 1024)

    def test_what_breaks_the_protocol_is_told_by_its_status(self):
        """And to the operator by the connection log; the event before it is not lost."""
        huge = 1 << 40
        for name, bad, status, word in (
                ("unmasked", frame(BINARY, b"\xc0\0", mask=False), 1002, "mask"),
                ("reserved", frame(BINARY, b"\xc0\0", rsv=4), 1002, "reserved"),
                ("opcode", frame(3, b"x"), 1002, "opcode"),
                ("order", frame(CONTINUE, b"x"), 1002, "order"),
                ("long-ping", frame(PING, b"x" * 126), 1002, "malformed"),
                ("fragmented-ping", frame(PING, b"x", fin=False), 1002, "malformed"),
                ("text", frame(TEXT, b"hello"), 1003, "text"),
                ("huge", frame(BINARY, b"x", size=huge), 1009, "large"),
                ("negative", frame(BINARY, b"x", size=(1 << 63) + 5), 1002, "malformed"),
                ("close-code", frame(CLOSE, struct.pack(">H", 1005)), 1002, "status")):
            with self.subTest(name):
                device = "ws-" + name
                client = self.hub_ws(device, self.sas_device(device))
                event = mqtt.publish_packet("devices/%s/messages/events/" % device, "{}", 0)
                client.sock.raw(frame(BINARY, event) + bad)
                self.assertTrue(client.closes(10))
                self.assertEqual(client.sock.closed, status)
                client.close()
                self.eventually(lambda d=device: self.bodies(d) == [{}])
                self.eventually(lambda d=device, w=word: [
                    r for r in self.op.connections(deviceId=d)
                    if "WebSocket" in r["reason"] and w in r["reason"]], what=word)

    def test_close_is_answered_with_its_status(self):
        for payload, status in ((b"", 0), (struct.pack(">H", 1000), 1000),
                                (struct.pack(">H", 1001) + b"bye", 1001),
                                (struct.pack(">H", 4321), 4321)):
            client = self.open()
            client.sock.raw(frame(CLOSE, payload))
            self.assertTrue(client.closes(10))
            self.assertEqual(client.sock.closed, status)

    def test_the_last_words_before_an_end_are_heard(self):
        """A DISCONNECT that comes with the end of the connection: no will is sent."""
        key = self.sas_device("ws-last")
        will = {"topic": "devices/ws-last/messages/events/", "payload": '{"will": 1}', "qos": 1}
        for n in range(5):
            client = self.hub_ws("ws-last", key, will=will)
            event = mqtt.publish_packet("devices/ws-last/messages/events/", '{"n": %d}' % n, 0)
            client.sock.raw(frame(BINARY, event + b"\xe0\0") + frame(CLOSE, b"\x03\xe8"))
            with contextlib.suppress(OSError):  # the server's Close may come first
                client.sock.sock.unwrap()
            client.close()
            self.eventually(lambda n=n: {"n": n} in self.bodies("ws-last"))
        dead = self.hub_ws("ws-last", key, will=will)
        dead.close()
        self.eventually(lambda: {"will": 1} in self.bodies("ws-last"))
        self.assertEqual(self.bodies("ws-last"), [{"n": n} for n in range(5)] + [{"will": 1}])

    # ---- beside the others -----------------------------------------------------------

    def test_clients_that_stop_in_the_middle_harm_nobody(self):
        key = self.sas_device("ws-calm")
        calm = self.hub_ws("ws-calm", key)
        for half in (b"", b"\x82", b"\x82\xfe\x01", frame(BINARY, b"\x10", size=5000),
                     frame(BINARY, b"\x10\xff\xff", fin=False), b"\x89\x85aaaa12"):
            client = self.open()
            client.sock.raw(half)
        for _ in range(20):
            sock = self.dial()
            sock.sendall(ws.request()[:-1])
        calm.publish("devices/ws-calm/messages/events/", "{}")
        self.assertEqual(self.op.get("/devices/ws-calm").status, 200)

    def test_a_client_that_never_reads_is_ended_alone(self):
        key = self.sas_device("ws-calm-2")
        calm = self.hub_ws("ws-calm-2", key)
        client = self.open()
        ping = frame(PING, b"x" * 125) * 200
        client.sock.settimeout(20)
        end = time.monotonic() + 60
        with self.assertRaises((OSError, socket.timeout)):
            while time.monotonic() < end:
                client.sock.raw(ping)
        calm.publish("devices/ws-calm-2/messages/events/", "{}")

    def test_garbage_instead_of_mqtt(self):
        client = self.open()
        client.sock.sendall(b"GET / HTTP/1.1\r\n\r\n" * 10)
        self.assertTrue(client.closes(10))


class Stop(harness.Case):
    def test_sessions_end_in_order_when_the_server_stops(self):
        server = harness.Server(harness.make_home(self.folder())).start()
        client = ws.Client(server.https_port, mqtt.tls(server.ca))
        idle = ws.Client(server.https_port, mqtt.tls(server.ca))
        key = harness.base64.b64decode(server.operator().put("/devices/d", {
            "deviceId": "d"}).json["authentication"]["symmetricKey"]["primaryKey"])
        client.connect("d", mqtt.hub_user("d"), token("127.0.0.1/devices/d", key))
        self.assertEqual(server.stop(), 0)
        self.assertEqual(server.faults(), [])
        for end in (client, idle):
            self.assertTrue(end.closes(10))
            self.assertEqual(end.sock.closed, 1000)
            end.close()


if __name__ == "__main__":
    harness.main()
