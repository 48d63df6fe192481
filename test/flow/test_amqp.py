"""AMQP: who may do what, and what happens to those who behave badly. That the official clients get
along with it is in test/peer/test_amqp.py."""
import base64
import os
import ssl
import struct
import time

import amqp
import harness
import mqtt

DEVICEBOUND = "/messages/devicebound"
FEEDBACK = "/messages/serviceBound/feedback"
LATEST = {amqp.Symbol("apache.org:selector-filter:string"):
          amqp.Described((amqp.Symbol("apache.org:selector-filter:string"),
                          "amqp.annotation.x-opt-offset > '@latest'"))}
EVENTS = "127-0-0-1/ConsumerGroups/$Default/Partitions/0"
UNAUTHORIZED = "amqp:unauthorized-access"


class Amqp(harness.ServerCase):
    HOME_SET = {"server": {"amqp_port": 0, "edges": 1}, "hub": {"clock_skew_s": 0}}

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.keys = cls.server.policy_keys()
        with open(os.path.join(cls.server.home, "run", "ports"), encoding="ascii") as f:
            cls.port = int(dict(l.split("=") for l in f.read().split())["amqp"])

    def client(self, sasl=None, cert=None, key=None):
        client = amqp.Client(self.port, mqtt.tls(self.server.ca, cert, key), sasl=sasl)
        self.addCleanup(client.sock.close)
        return client

    def hub_token(self, policy="service", **how):
        return harness.token("127.0.0.1", self.keys[policy], policy=policy, **how)

    def events_token(self, policy="service", path="127-0-0-1", key=None, **how):
        """T8: the key's text is the key."""
        return harness.token("sb://127.0.0.1/" + path,
                             key or base64.b64encode(self.keys[policy]), policy=policy, **how)

    def operator_client(self):
        base = os.path.join(self.server.home, "operators", "admin")
        return self.client(cert=base + ".pem", key=base + ".key")

    def to(self, device, body=b"hello", **application):
        return amqp.message(body, [None, None, "/devices/%s/messages/devicebound" % device],
                            application)

    def refused(self, what, *args, **how):
        with self.assertRaises(amqp.Closed) as got:
            what(*args, **how)
        return str(got.exception)

    def telemetry(self, device, *bodies):
        with self.server.mqtt() as link:
            key = base64.b64decode(self.good(self.op.get("/devices/" + device))[
                "authentication"]["symmetricKey"]["primaryKey"])
            link.connect(device, mqtt.hub_user(device),
                         harness.token("127.0.0.1/devices/" + device, key))
            for body in bodies:
                link.publish("devices/%s/messages/events/" % device, body)
            link.disconnect()

    # ---- rights ----

    def test_a_link_needs_the_right_of_its_route(self):
        self.sas_device("am-r")
        c = self.client()
        for address, receive in ((DEVICEBOUND, False), (FEEDBACK, True), (EVENTS, True),
                                 ("/messages/serviceBound/filenotifications", True),
                                 ("/messages/events/$management", True)):
            self.assertEqual(self.refused(c.attach, address, receive), UNAUTHORIZED)
        self.assertEqual(c.put_token(self.hub_token("registryReadWrite")), 200)
        for address, receive in ((DEVICEBOUND, False), (FEEDBACK, True), (EVENTS, True)):
            self.assertEqual(self.refused(c.attach, address, receive), UNAUTHORIZED)
        self.assertEqual(c.put_token(self.hub_token()), 200)
        self.assertEqual(c.send(c.attach(DEVICEBOUND), self.to("am-r")), (amqp.ACCEPTED, None))
        c.attach(FEEDBACK, True)
        c.attach(EVENTS, True)
        self.assertEqual(self.good(self.op.get("/devices/am-r"))["cloudToDeviceMessageCount"], 1)
        self.eventually(lambda: 'what="message send" target=am-r result=OK' in self.server.log)

    def test_tokens_that_are_not_good(self):
        c = self.client()
        for token in (self.hub_token(expiry=int(time.time()) - 10),
                      harness.token("127.0.0.1", b"0" * 32, policy="service"),
                      harness.token("elsewhere.net", self.keys["service"], policy="service"),
                      harness.token("127.0.0.1", base64.b64encode(self.keys["service"]),
                                    policy="service"),
                      self.events_token(key=self.keys["service"]),
                      harness.token("sb://elsewhere.net/127-0-0-1",
                                    base64.b64encode(self.keys["service"]), policy="service"),
                      "SharedAccessSignature sr=x", "", "a.b.c"):
            self.assertEqual(c.put_token(token), 401, token)
        self.assertEqual(self.refused(c.attach, DEVICEBOUND), UNAUTHORIZED)

    def test_a_token_may_end_beyond_the_calendar(self):
        for expiry in (253402300800, 2**63 // 1000):
            c = self.client()
            self.assertEqual(c.put_token(self.hub_token(expiry=expiry)), 200, expiry)
            c.attach(DEVICEBOUND)

    def test_a_token_for_events_reads_events_alone(self):
        c = self.client()
        self.assertEqual(c.put_token(self.events_token()), 200)
        self.assertEqual(self.refused(c.attach, DEVICEBOUND), UNAUTHORIZED)
        c.attach(EVENTS, True)
        c.attach("amqps://127.0.0.1/" + EVENTS, True)
        other = self.client()
        self.assertEqual(other.put_token(self.events_token(path="127-0-0-1/$management")), 200)
        self.assertEqual(self.refused(other.attach, EVENTS, True), UNAUTHORIZED)
        for path in ("other/ConsumerGroups/$Default/Partitions/0",
                     "127-0-0-1/ConsumerGroups/mine/Partitions/0",
                     "127-0-0-1/ConsumerGroups/$Default/Partitions/1", "nothing", ""):
            self.assertEqual(self.refused(c.attach, path, True), "amqp:not-found")

    def test_sasl_plain(self):
        user = b"\0service@sas.root.127\0"
        c = self.client(("PLAIN", user + self.hub_token().encode()))
        c.attach(DEVICEBOUND)
        for password in ("nonsense", harness.token("127.0.0.1", b"0" * 32, policy="service")):
            self.assertEqual(self.refused(self.client, ("PLAIN", user + password.encode())),
                             "SASL says 1")
        self.assertEqual(self.refused(self.client, ("PLAIN", None)), "SASL says 1")
        self.assertEqual(self.refused(self.client, ("GSSAPI", b"x")), "SASL says 1")

    def test_certificates(self):
        self.sas_device("am-c")
        c = self.operator_client()
        sender = c.attach(DEVICEBOUND)
        self.assertEqual(c.send(sender, self.to("am-c")), (amqp.ACCEPTED, None))
        self.assertEqual(c.send(sender, self.to("am-none")), (amqp.REJECTED, "amqp:not-found"))
        self.assertEqual(c.send(sender, amqp.message(b"x"))[0], amqp.REJECTED)
        self.assertEqual(c.send(sender, b"\x00\x53\x75\xa0\xffxx")[0], amqp.REJECTED)
        self.assertEqual(c.send(sender, self.to("am-c", **{"iothub-ack": "often"}))[0],
                         amqp.REJECTED)
        cert, key = self.leaf("am-c")
        device = self.client(cert=cert, key=key)
        self.assertEqual(self.refused(device.attach, DEVICEBOUND), UNAUTHORIZED)

    def test_long_properties_are_rejected(self):
        c = self.operator_client()
        sender = c.attach(DEVICEBOUND)
        whole = self.to("am-none", **{"k" * 140000: "v"})
        for at in range(0, len(whole), 50000):
            c.say(amqp.TRANSFER, amqp.Uint(sender), amqp.Uint(0), b"0", amqp.Uint(0), False,
                  at + 50000 < len(whole), payload=whole[at:at + 50000])
        outcome, state = c.hear(amqp.DISPOSITION)[4]
        self.assertEqual((outcome, amqp.condition(state[0])),
                         (amqp.REJECTED, "amqp:link:message-size-exceeded"))

    def test_a_link_ends_with_its_token(self):
        def attached(life):
            c = self.client()
            try:
                return c if c.put_token(self.hub_token(life=life)) == 200 and \
                    c.attach(DEVICEBOUND) >= 0 else None
            except amqp.Closed:
                return None
        # a busy machine needs longer for it than the token lasts
        c = next(filter(None, map(attached, (2, 5, 15, 60))))
        c.sock.settimeout(90)
        self.assertEqual(amqp.condition(c.hear(amqp.DETACH)[-1]), UNAUTHORIZED)

    def test_z_a_sealed_hub_takes_no_policies(self):
        hub = "/subscriptions/s/resourceGroups/g/providers/Microsoft.Devices/IotHubs/muster"
        self.sas_device("am-z")
        c = self.client()
        self.assertEqual(c.put_token(self.hub_token()), 200)
        sender = c.attach(DEVICEBOUND)
        self.good(self.op.put(hub, {"properties": {"disableLocalAuth": True}}))
        self.assertEqual(c.send(sender, self.to("am-z")), (amqp.REJECTED, UNAUTHORIZED))
        self.assertEqual(self.client().put_token(self.hub_token()), 401)
        self.assertEqual(self.client().put_token(self.events_token()), 401)
        c = self.operator_client()
        self.assertEqual(c.send(c.attach(DEVICEBOUND), self.to("am-z")), (amqp.ACCEPTED, None))

    # ---- rows of the trap table (protocol/service.md 0.3) ----

    def test_t10_every_way_to_begin(self):
        for sasl in (None, ("MSSBCBS", None), ("ANONYMOUS", b"\0iothubowner"), ("EXTERNAL", b"")):
            c = self.client(sasl)
            self.assertEqual(c.put_token(self.hub_token()), 200, sasl)
            c.attach(DEVICEBOUND)

    def test_t11_addresses_with_and_without_the_host(self):
        c = self.operator_client()
        for address in ("/messages/devicebound", "messages/devicebound",
                        "amqps://127.0.0.1/messages/devicebound",
                        "amqps://127.0.0.1:5671/messages/deviceBound"):
            c.attach(address)
        for address in ("/messages/serviceBound/feedback",
                        "amqps://127.0.0.1/messages/servicebound/feedback"):
            c.attach(address, True)

    def test_t12_answers_without_reply_to_and_in_the_type_of_the_id(self):
        for number in (amqp.Ulong(0), amqp.Ulong(5), "text", b"raw", 7):
            self.assertEqual(self.client().put_token(self.hub_token(), number=number,
                                                     reply_to=None), 200)

    # ---- what is told ----

    def test_feedback_waits_for_its_outcome(self):
        self.sas_device("am-f")
        c = self.operator_client()
        body = amqp.message(b"x", ["f-1", None, "/devices/am-f/messages/devicebound"],
                            {"iothub-ack": "full"})
        self.assertEqual(c.send(c.attach(DEVICEBOUND), body)[0], amqp.ACCEPTED)
        self.good(self.op.delete("/devices/am-f/commands"))
        told = c.attach(FEEDBACK, True)
        c.credit(told, 10)
        got, number = c.receive()
        self.assertIn(b'"originalMessageId":"f-1"', got[0x75])
        c.say(amqp.DISPOSITION, True, amqp.Uint(number), amqp.Uint(number), True,
              amqp.Described((amqp.RELEASED, [])))
        again, number = c.receive()
        self.assertEqual(again[0x75], got[0x75])
        c.say(amqp.DISPOSITION, True, amqp.Uint(number), amqp.Uint(number), True,
              amqp.Described((amqp.ACCEPTED, [])))
        self.eventually(lambda: self.op.get("/messages/servicebound/feedback").status == 204)

    def test_events_come_as_they_are_sent(self):
        self.sas_device("am-e")
        c = self.client()
        self.assertEqual(c.put_token(self.events_token()), 200)
        link = c.attach(EVENTS, True, LATEST)
        c.credit(link, 2)
        self.telemetry("am-e", b'{"n":1}', b'{"n":2}', b'{"n":3}')
        first, second = c.receive()[0], c.receive()[0]
        self.assertEqual((first[0x75], second[0x75]), (b'{"n":1}', b'{"n":2}'))
        self.assertEqual(first[0x72]["iothub-connection-device-id"], "am-e")
        self.assertEqual(first[0x72]["x-opt-offset"], str(first[0x72]["x-opt-sequence-number"]))
        c.credit(link, 1, 2)
        self.assertEqual(c.receive()[0][0x75], b'{"n":3}')

    # ---- those who behave badly ----

    def test_a_reader_that_does_not_read_harms_nobody(self):
        self.sas_device("am-b")
        c = self.client()
        self.assertEqual(c.put_token(self.events_token()), 200)
        c.credit(c.attach(EVENTS, True, LATEST), 1000000)
        self.telemetry("am-b", *[b"x" * 200000] * 40)
        other = self.client()
        self.assertEqual(other.put_token(self.events_token()), 200)
        link = other.attach(EVENTS, True, LATEST)
        other.credit(link, 1)
        self.telemetry("am-b", b"to the other")
        self.assertEqual(other.receive()[0][0x75], b"to the other")
        for _ in range(40):
            self.assertEqual(len(c.receive()[0][0x75]), 200000)

    def test_garbage_ends_a_connection_and_no_other(self):
        c = self.operator_client()
        sender = c.attach(DEVICEBOUND)
        for raw in (b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", b"\x16\x03\x01" * 40, bytes(range(256)),
                    b"AMQP\x00\x01\x00\x00" + struct.pack(">IBBH", 0x7fffffff, 2, 0, 0),
                    b"AMQP\x00\x01\x00\x00" + b"\xff" * 200,
                    b"AMQP\x03\x01\x00\x00" + struct.pack(">IBBH", 9, 2, 1, 0) + b"\x40"):
            with mqtt.tls(self.server.ca).wrap_socket(
                    amqp.socket.create_connection(("127.0.0.1", self.port), 20),
                    server_hostname="127.0.0.1") as sock:
                sock.sendall(raw)
                try:
                    while sock.recv(4096):
                        pass
                except (ConnectionResetError, ssl.SSLError):
                    pass
        self.assertEqual(c.send(sender, self.to("am-none")), (amqp.REJECTED, "amqp:not-found"))

    def test_a_stranger_gets_few_links(self):
        c = self.client()
        with self.assertRaises(amqp.Closed) as got:
            for _ in range(100):
                c.attach("$cbs")
        self.assertEqual(str(got.exception), "amqp:resource-limit-exceeded")
        self.assertEqual(c.handles, 9)


if __name__ == "__main__":
    harness.main()
