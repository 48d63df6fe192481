"""What the SDKs do to a hub over MQTT, row by row of the quirk table (device.md section 7): the
bytes are theirs, scripted from the reference, and each test names its row."""
import json
import os
import ssl
import struct
import time

import harness
import mqtt
from harness import token

EVENTS = "devices/%s/messages/events/"


class Quirks(harness.ServerCase):
    def one_event(self, device):
        return self.eventually(lambda: self.op.events(deviceId=device), what="an event")[-1]

    def raw(self, device, key, **more):
        """A connection on which the answers to CONNECT are still to be read."""
        client = self.server.mqtt()
        self.addCleanup(client.close)
        client.write(mqtt.connect_packet(device, mqtt.hub_user(device), token(
            "127.0.0.1/devices/" + device, key), **more))
        return client

    # ---- CONNACK ---------------------------------------------------------------------

    def test_row_4_and_6_a_server_in_trouble_never_says_5(self):
        """5 ends the reconnect loop of Python and Node for ever; while the core is being started
        anew a good device is refused with 3, or its connection ends."""
        self.ca_device("q-4c")
        for device, how in (("q-4", {"key": self.sas_device("q-4")}),
                            ("q-4c", {"cert": self.leaf("q-4c")})):
            with self.subTest(device):
                self.comes_back(device, how)

    def comes_back(self, device, how):
        self.hub(device, **how)
        seen = set()
        for _ in range(3):
            for pid in self.server.pids("core").values():
                os.kill(pid, harness.signal.SIGKILL)
            end = time.monotonic() + 20
            while time.monotonic() < end:
                try:
                    self.hub(device, **how).ping()
                    break
                except mqtt.Refused as e:
                    seen.add(e.code)
                except (mqtt.Closed, OSError):
                    pass
            else:
                self.fail("the device did not come back")
            time.sleep(0.2)
        self.assertLessEqual(seen, {3})

    def test_row_5_codes_2_and_4_stop_the_c_sdk_for_ever(self):
        key = self.sas_device("q-5")
        good = token("127.0.0.1/devices/q-5", key)
        for client_id, user, password in (
                ("", mqtt.hub_user("q-5"), good), ("other", mqtt.hub_user("q-5"), good),
                ("q-5", "", good), ("q-5", None, None), ("q-5", "nothing", "nothing"),
                ("q-5", mqtt.hub_user("q-5"), "not a token"), ("q-5", mqtt.hub_user("q-5"), None),
                ("x" * 129, mqtt.hub_user("x" * 129), good),
                ("q-5", "127.0.0.1/q-5/a/b/c/?api-version=1", good)):
            with self.subTest(client_id=client_id[:9], user=user, password=password):
                with self.server.mqtt() as client:
                    client.write(mqtt.connect_packet(client_id, user, password))
                    try:
                        self.assertIn(client.expect(mqtt.CONNACK)[1], (3, 5))
                    except mqtt.Closed:
                        pass  # MQTT itself forbids the packet
                    self.assertTrue(client.closes(10))

    def test_row_5_code_1_for_a_real_mismatch_of_the_level(self):
        for level, protocol in ((3, "MQIsdp"), (5, "MQTT")):
            client = self.raw("q-5", os.urandom(32), level=level, protocol=protocol)
            with self.subTest(level):
                self.assertEqual(client.expect(mqtt.CONNACK), b"\0\1")
                self.assertTrue(client.closes(10))

    def test_row_9_exact_encodings(self):
        """umqtt ends the connection on any other length or reserved bit."""
        key = self.sas_device("q-9")
        client = self.raw("q-9", key)
        self.assertEqual(client.read(), (0x20, b"\0\0"))
        client.write(mqtt.publish_packet(EVENTS % "q-9", "1", 1, 0x1234))
        self.assertEqual(client.read(), (0x40, b"\x12\x34"))
        client.write(mqtt.packet(0x82, b"\0\7" + mqtt.text("nonsense/#") + b"\1"))
        self.assertEqual(client.read(), (0x90, b"\0\7\x80"))
        client.write(mqtt.packet(0xa2, b"\0\x08" + mqtt.text("nonsense/#")))
        self.assertEqual(client.read(), (0xb0, b"\0\x08"))
        client.write(mqtt.packet(0xc0, b""))
        self.assertEqual(client.read(), (0xd0, b""))
        with self.server.mqtt() as bad:
            bad.write(mqtt.connect_packet("q-9", mqtt.hub_user("q-9"), "x"))
            self.assertEqual(bad.read(), (0x20, b"\0\5"))

    # ---- SUBSCRIBE -------------------------------------------------------------------

    def test_row_13_one_suback_with_the_codes_in_order(self):
        client = self.hub("q-13", self.sas_device("q-13"), keepalive=240, clean=False)
        filters = ["devices/q-13/messages/devicebound/#", "nonsense/1",
                   "$iothub/twin/res/#", "nonsense/2", "$iothub/methods/POST/#"]
        codes = client.subscribe(*filters)
        self.assertEqual(len(codes), 5)
        self.assertEqual([codes[1], codes[3]], [0x80, 0x80])
        for wanted, code in zip(filters, codes):
            self.assertEqual(client.subscribe(wanted), [code], wanted)

    def test_row_46_unsuback_always(self):
        client = self.hub("q-46", self.sas_device("q-46"))
        for known in ("$iothub/twin/res/#", "never/subscribed", "#"):
            client.unsubscribe(known)

    def test_row_52_a_mosquitto_bridge(self):
        """It subscribes to "#" and announces itself on a topic of its own."""
        key = self.sas_device("q-52")
        client = self.hub("q-52", key, clean=False)
        self.assertEqual(client.subscribe("#"), [0x80])
        client.ping()
        topic = "$SYS/broker/connection/bridge/state"
        client.write(mqtt.publish_packet(topic, "1", 1, 9, retain=True))
        self.assertTrue(client.closes(10))
        self.reason("q-52", topic)

    # ---- names -----------------------------------------------------------------------

    def test_row_30_model_id_unescaped(self):
        key = self.sas_device("q-30")
        user = ("127.0.0.1/q-30/?api-version=2021-04-12&model-id=dtmi:com:example:Thermostat;1"
                "&DeviceClientType=azure-iot-device%2F1.18.4%20(node%20v20.20.2%3B%20x64)")
        self.hub("q-30", key, user=user).ping()
        row = self.op.connections(deviceId="q-30", what="connect")[-1]
        self.assertIn("azure-iot-device%2F1.18.4", row["agent"])

    def test_row_48_ids_with_odd_characters_stand_raw_in_topics(self):
        for n, device in enumerate(("q?48", "q%2f48", "q(4,8)'", "q=48@;$!", "q*48", "q%2?")):
            with self.subTest(device):
                quoted = harness.urllib.parse.quote(device, safe="")
                got = self.good(self.op.put("/devices/" + quoted, {"deviceId": device}))
                key = harness.base64.b64decode(got["authentication"]["symmetricKey"]["primaryKey"])
                client = self.hub(device, key)
                client.publish(EVENTS % device + "n=%d" % n, str(n))
                self.assertEqual(self.one_event(device)["properties"]["application"],
                                 {"n": str(n)})
                for other in (EVENTS % "q", EVENTS % "+", EVENTS % device[:-1]):
                    client = self.hub(device, key)
                    client.write(mqtt.publish_packet(other, "x", 1, 1))
                    self.assertTrue(client.closes(10), other)
        for device in ("q#48", "q+48", "q/48"):
            quoted = harness.urllib.parse.quote(device, safe="")
            self.assertEqual(self.op.put("/devices/" + quoted, {}).status, 400, device)

    def test_question_marks_in_ids_and_user_names(self):
        """device.md 3.1: the query begins at the last "/?", or at what holds api-version=."""
        device = "q?api"
        quoted = harness.urllib.parse.quote(device, safe="")
        got = self.good(self.op.put("/devices/" + quoted, {"deviceId": device}))
        key = harness.base64.b64decode(got["authentication"]["symmetricKey"]["primaryKey"])
        for user in ("127.0.0.1/q?api", "127.0.0.1/q?api/", "127.0.0.1/q?api/?",
                     "127.0.0.1/q?api/?api-version=2021-04-12", "127.0.0.1/q?api/api-version=1"):
            with self.subTest(user):
                self.hub(device, key, user=user).ping()

    # ---- credentials -----------------------------------------------------------------

    def test_row_42_tls_1_2_alone(self):
        key = self.sas_device("q-42")
        version = ssl.TLSVersion.TLSv1_2
        client = mqtt.Client(self.server.mqtt_port,
                             mqtt.tls(self.server.ca, least=version, most=version))
        self.addCleanup(client.close)
        client.connect("q-42", mqtt.hub_user("q-42"), token("127.0.0.1/devices/q-42", key))
        self.assertEqual(client.sock.version(), "TLSv1.2")
        client.ping()

    def test_row_44_a_session_outlives_its_token_by_the_grace(self):
        """.NET and Java make a new token and wait to be dropped, ten minutes after the end."""
        key = self.sas_device("q-44")
        client = self.hub("q-44", password=token("127.0.0.1/devices/q-44", key, 1))
        time.sleep(2.5)
        client.publish(EVENTS % "q-44", "1")

    def test_row_45_renewal_by_a_new_connection(self):
        """DISCONNECT and CONNECT with a fresh token; or without the DISCONNECT, where the new
        connection takes the old one over, once it has proved itself."""
        key = self.sas_device("q-45")
        client = self.hub("q-45", key, clean=False)
        client.write(mqtt.packet(0xe0, b""))
        second = self.hub("q-45", key, clean=False)
        self.refused(lambda: self.hub("q-45", password=token("127.0.0.1/devices/q-45", key, -999)))
        second.ping()
        third = self.hub("q-45", key, clean=False)
        self.assertTrue(second.closes(10))
        third.ping()
        row = self.eventually(lambda: [r for r in self.op.connections(
            deviceId="q-45", what="disconnect") if "newer" in r["reason"]])
        self.assertEqual(len(row), 1)

    def test_row_51_plain_clients(self):
        """curl and mosquitto: an empty password beside a certificate, no api-version, and the
        hub's name as it was given, in any case and with its port."""
        self.ca_device("q-51")
        cert = self.leaf("q-51")
        for user in ("127.0.0.1/q-51", "127.0.0.1/q-51/", "127.0.0.1:8883/q-51/?api-version=x"):
            for password in ("", None):
                with self.subTest(user=user, password=password):
                    self.hub("q-51", cert=cert, user=user, password=password).publish(
                        EVENTS % "q-51", "1")
        self.sas_device("q-51s")
        self.refused(lambda: self.hub("q-51s", password=""))
        self.reason("q-51s", "neither a token nor a certificate")

    # ---- telemetry -------------------------------------------------------------------

    def bag(self, device, bag, clients={}):  # pylint: disable=dangerous-default-value
        """The properties that a bag becomes."""
        if device not in clients:
            clients[device] = self.hub(device, self.sas_device(device))
        before = len(self.op.events(deviceId=device))
        clients[device].publish(EVENTS % device + bag, "{}")
        rows = self.op.events(deviceId=device)
        self.assertEqual(len(rows), before + 1)
        return rows[-1]["properties"]

    def test_row_30_slash_behind_the_bag_of_an_output(self):
        got = self.bag("q-30b", "%24.mid=1&%24.on=alarms&a=b/")
        self.assertEqual(got, {"system": {"message-id": "1", "iothub-outputname": "alarms"},
                               "application": {"a": "b"}})

    def test_slash_behind_every_bag_of_dotnet(self):
        """Of a device too, behind what is encoded; one slash, no more."""
        got = self.bag("q-30d", "%24.ct=application%2Fjson&a=b%2Fc&%24.ce=utf-8/")
        self.assertEqual(got, {"system": {"content-type": "application/json",
                                          "content-encoding": "utf-8"},
                               "application": {"a": "b/c"}})
        self.assertEqual(self.bag("q-30d", "path=/a//")["application"], {"path": "/a/"})

    def test_row_31_values_that_the_c_sdk_does_not_encode(self):
        got = self.bag("q-31", "alert=a b/c:d%&half=100%&odd=%zz&%24.ct=application%2fjson")
        self.assertEqual(got, {"system": {"content-type": "application/json"}, "application": {
            "alert": "a b/c:d%", "half": "100%", "odd": "%zz"}})

    def test_row_32_slashes_that_python_leaves_in_values(self):
        got = self.bag("q-32", "%24.ct=application/json&%24.ce=utf-8&path=a/b/c")
        self.assertEqual(got, {"system": {"content-type": "application/json",
                                          "content-encoding": "utf-8"},
                               "application": {"path": "a/b/c"}})

    def test_bags_of_every_kind(self):
        """device.md 3.8: plus is plus, no "=" is null, an unknown "$." key is kept, and what the
        hub stamps cannot be set."""
        got = self.bag("q-38", "a=1+1&null&empty=&$.new=x&$.cdid=other&$.cmid=m&"
                       "iothub-connection-device-id=other&iothub-message-source=x&"
                       "iothub-MessageType=Will")
        self.assertEqual(got, {"system": {"$.new": "x"},
                               "application": {"a": "1+1", "null": None, "empty": ""}})

    def test_telemetry_topic_without_its_last_slash(self):
        """device.md 3.9: Edge Hub takes both."""
        client = self.hub("q-39", self.sas_device("q-39"))
        client.publish("devices/q-39/messages/events", "1")
        self.assertEqual(self.one_event("q-39")["body"], 1)

    def test_row_47_a_message_that_is_sent_again_is_acknowledged_again(self):
        """Under the same number, before and after its PUBACK, and on another connection."""
        key = self.sas_device("q-47")
        client = self.hub("q-47", key, clean=False)
        for dup in (False, True):
            client.write(mqtt.publish_packet(EVENTS % "q-47", "1", 1, 77, dup=dup))
        for _ in range(2):
            self.assertEqual(client.expect(mqtt.PUBACK), struct.pack(">H", 77))
        client.write(mqtt.publish_packet(EVENTS % "q-47", "1", 1, 77, dup=True))
        self.assertEqual(client.expect(mqtt.PUBACK), struct.pack(">H", 77))
        again = self.hub("q-47", key, clean=False)
        again.write(mqtt.publish_packet(EVENTS % "q-47", "1", 1, 77, dup=True))
        self.assertEqual(again.expect(mqtt.PUBACK), struct.pack(">H", 77))
        rows = self.op.events(deviceId="q-47")
        self.assertEqual([r["properties"]["application"].get("mqtt-dup") for r in rows],
                         [None, "true", "true", "true"])

    def test_a_puback_that_nobody_waits_for_is_ignored(self):
        """device.md 3.5: for what was never sent, and twice; umqtt numbers from 1 anew. 0 is what
        .NET says to a message at QoS 0."""
        client = self.hub("q-ack", self.sas_device("q-ack"))
        for number in (0, 1, 1, 0xffff):
            client.write(mqtt.packet(0x40, struct.pack(">H", number)))
        for _ in range(2):
            client.write(mqtt.publish_packet(EVENTS % "q-ack", "1", 1, 1))
            self.assertEqual(client.expect(mqtt.PUBACK), b"\0\1")
        client.ping()

    def test_row_10_what_is_never_acknowledged_stalls_nothing(self):
        """Twin and methods at QoS 1, and no PUBACK ever: all of it comes, and messages beside."""
        client = self.hub("q-10", self.sas_device("q-10"))
        self.assertEqual(client.subscribe(
            "$iothub/twin/res/#", "$iothub/twin/PATCH/properties/desired/#",
            "$iothub/methods/POST/#", "devices/q-10/messages/devicebound/#"), [1] * 4)
        for n in range(150):
            client.publish("$iothub/twin/GET/?$rid=%d" % n, b"", qos=0)
            self.assertEqual(client.message()[0], "$iothub/twin/res/200/?$rid=%d" % n)
        got = self.op.post("/messages/devicebound", b"hello",
                           iothub_to="/devices/q-10/messages/devicebound")
        self.assertLess(got.status, 300, got)
        self.assertEqual(client.message()[1], b"hello")
        client.publish(EVENTS % "q-10", "1")

    def test_row_9_packet_number_0_closes(self):
        client = self.hub("q-90", self.sas_device("q-90"))
        client.write(mqtt.publish_packet(EVENTS % "q-90", "1", 1, 0))
        self.assertTrue(client.closes(10))
        self.assertEqual(self.op.events(deviceId="q-90"), [])

    def test_row_20_no_puback_for_qos_0(self):
        client = self.hub("q-20", self.sas_device("q-20"))
        client.publish(EVENTS % "q-20", "1", qos=0)
        client.write(mqtt.packet(0xc0, b""))
        self.assertEqual(client.read(), (0xd0, b""))

    def test_row_43_a_ping_is_answered_while_messages_are_stored(self):
        client = self.hub("q-43", self.sas_device("q-43"))
        for n in range(1, 41):
            client.write(mqtt.publish_packet(EVENTS % "q-43", b"x" * 60000, 1, n))
        client.write(mqtt.packet(0xc0, b""))
        start, kinds = time.monotonic(), []
        while mqtt.PINGRESP not in kinds:
            kinds.append(client.read(30)[0] >> 4)
        self.assertLess(time.monotonic() - start, 30)
        while kinds.count(mqtt.PUBACK) < 40:
            kinds.append(client.read(30)[0] >> 4)

    # ---- the end of a connection -----------------------------------------------------

    def test_keep_alive_0_is_no_time_out(self):
        """device.md 3.5: the C SDK against DPS and .NET ask for it; the hub has a limit of its
        own, far away."""
        client = self.hub("q-ka", self.sas_device("q-ka"), keepalive=0)
        time.sleep(3)
        client.ping()

    def test_will_of_a_connection_that_was_taken_over(self):
        """device.md 3.6: a takeover is no DISCONNECT."""
        key = self.sas_device("q-will")
        will = {"topic": EVENTS % "q-will" + "$.ct=text%2Fplain&why=gone", "payload": '"bye"',
                "qos": 1}
        first = self.hub("q-will", key, will=will)
        second = self.hub("q-will", key)
        self.assertTrue(first.closes(10))
        row = self.one_event("q-will")
        self.assertEqual(row["body"], "bye")
        self.assertEqual(row["properties"], {
            "system": {"content-type": "text/plain"},
            "application": {"iothub-MessageType": "Will", "why": "gone"}})
        second.ping()
        self.assertEqual(self.op.get("/devices/q-will").json["connectionState"], "Connected")

    def test_forbidden_topics_close_and_the_log_says_why(self):
        """device.md 3.7: another's topic, and one that does not exist."""
        key = self.sas_device("q-topic")
        for topic in (EVENTS % "q-other", "messages/events", "$iothub/nonsense/?$rid=1"):
            with self.subTest(topic):
                client = self.hub("q-topic", key)
                client.write(mqtt.publish_packet(topic, "{}", 1, 1))
                self.assertTrue(client.closes(10))
                self.reason("q-topic", "publish to " + topic)

    def test_qos_2(self):
        """device.md 3.6: a publish closes, a subscription is granted at 1."""
        client = self.hub("q-qos", self.sas_device("q-qos"))
        self.assertEqual(client.subscribe("$iothub/twin/res/#", qos=2), [1])
        client.write(mqtt.publish_packet(EVENTS % "q-qos", "{}", 2, 1))
        self.assertTrue(client.closes(10))


class Sequences(harness.ServerCase):
    """device.md 7.1: what each SDK sends to a hub, in its order."""

    def ask(self, client, topic, rid, body, qos):
        """A twin request: the status of its answer, its pairs behind the rid, its body."""
        client.publish(topic % rid, body, qos=qos)
        topic, body = client.message()
        head, _, pairs = topic.partition("/?$rid=" + rid)
        return int(head.rsplit("/", 1)[1]), pairs, body

    def change(self, device, value):
        self.good(self.op.call("PATCH", "/twins/" + device, {
            "properties": {"desired": {"want": value}}}, If_Match='"*"'))

    def expect_change(self, client, value):
        topic, body = client.message()
        self.assertTrue(topic.startswith("$iothub/twin/PATCH/properties/desired/?$version="))
        self.assertEqual(json.loads(body)["want"], value)

    def connect(self, device, key, keepalive):
        return self.hub(device, key, clean=False, keepalive=keepalive)

    def test_node(self):
        """A filter a SUBSCRIBE, all of the twin at QoS 0, a space for a body; twin topics never
        again after a reconnect (row 2)."""
        key = self.sas_device("n-1")
        client = self.connect("n-1", key, 180)
        self.assertEqual(client.subscribe("$iothub/twin/res/#", qos=0), [0])
        status, pairs, body = self.ask(client, "$iothub/twin/GET/?$rid=%s",
                                       "c2a4d9a1-6b4e-4a77-8d35-4a8a4f1b2b6e", b" ", 0)
        self.assertEqual((status, pairs), (200, ""))
        self.assertEqual(set(json.loads(body)), {"desired", "reported"})
        self.assertEqual(client.subscribe("$iothub/twin/PATCH/properties/desired/#", qos=0), [0])
        status, pairs, body = self.ask(client, "$iothub/twin/PATCH/properties/reported/?$rid=%s",
                                       "5d2f1c7e-2222-4a77-8d35-4a8a4f1b2b6e", b'{"is":1}', 0)
        self.assertEqual((status, body), (204, b""))
        self.assertRegex(pairs, r"^&\$version=\d+$")
        client.publish(EVENTS % "n-1" + "%24.ct=application%2Fjson&%24.ce=utf-8", '{"n":1}')
        client.write(mqtt.packet(0xe0, b""))
        again = self.connect("n-1", key, 180)
        self.change("n-1", 2)
        self.expect_change(again, 2)

    def test_python(self):
        """QoS 1 throughout, and nothing subscribed twice in its life (row 1); a GET on every
        reconnect (row 3)."""
        key = self.sas_device("p-1")
        client = self.connect("p-1", key, 60)
        for wanted in ("$iothub/twin/res/#", "$iothub/twin/PATCH/properties/desired/#"):
            self.assertEqual(client.subscribe(wanted), [1])
        for n in range(3):
            status, _, body = self.ask(client, "$iothub/twin/GET/?$rid=%s", "get-%d" % n, b" ", 1)
            self.assertEqual(status, 200)
            self.assertIn("$version", json.loads(body)["desired"])
            self.change("p-1", n)
            self.expect_change(client, n)
            client.publish(EVENTS % "p-1", str(n))
            client.close()
            client = self.connect("p-1", key, 60)

    def test_c(self):
        """All that waits in one SUBSCRIBE, each with its own QoS; the desired properties only
        after the first twin (row 12), to which nothing is ever acknowledged (row 10)."""
        client = self.connect("c-1", self.sas_device("c-1"), 240)
        filters = (("$iothub/twin/res/#", 0), ("devices/c-1/messages/devicebound/#", 1),
                   ("$iothub/methods/POST/#", 0))
        client.write(mqtt.packet(0x82, b"\0\2" + b"".join(
            mqtt.text(f) + bytes([qos]) for f, qos in filters)))
        codes = client.expect(mqtt.SUBACK)
        self.assertEqual((codes[:2], codes[2], len(codes)), (b"\0\2", 0, 5))
        status, _, body = self.ask(client, "$iothub/twin/GET/?$rid=%s", "3", b"", 0)
        self.assertEqual((status, json.loads(body)["reported"]), (200, {"$version": 1}))
        self.assertEqual(client.subscribe("$iothub/twin/PATCH/properties/desired/#", qos=0), [0])
        client.publish(EVENTS % "c-1" + "alert=a b/c&%24.ct=application%2fjson", '{"n":1}')
        for n in range(20):
            self.change("c-1", n)
            self.expect_change(client, n)
        client.ping()


    def test_dotnet(self):
        """Twin answers first of all, twin and methods at QoS 0; a slash behind the bag."""
        key = self.sas_device("d-1")
        user = ("127.0.0.1/d-1/?api-version=2020-09-30&DeviceClientType=.NET%2F1.42.0%20%28.NET%20"
                "6.0.1%3B%20Linux%3B%20X64%29&model-id=dtmi:com:example:Thermostat;1")
        client = self.hub("d-1", key, clean=False, keepalive=300, user=user)
        for wanted, qos in (("$iothub/twin/res/#", 0), ("$iothub/methods/POST/#", 0),
                            ("$iothub/twin/PATCH/properties/desired/#", 0),
                            ("devices/d-1/messages/devicebound/#", 1)):
            self.assertEqual(client.subscribe(wanted, qos=qos), [qos])
        status, _, body = self.ask(client, "$iothub/twin/GET/?$rid=%s",
                                   "1f9d2c4e-2222-4a77-8d35-4a8a4f1b2b6e", b"", 0)
        self.assertEqual((status, set(json.loads(body))), (200, {"desired", "reported"}))
        self.change("d-1", 1)
        self.expect_change(client, 1)
        client.publish(EVENTS % "d-1" + "%24.mid=1&%24.ct=application%2Fjson&a=b/", "{}")
        row = self.eventually(lambda: self.op.events(deviceId="d-1"), what="an event")[-1]
        self.assertEqual(row["properties"]["application"], {"a": "b"})

    def test_java(self):
        """All at QoS 1 and by a filter a SUBSCRIBE; "$." raw and first in the bag; a report is for
        version 0 where the application named none."""
        key = self.sas_device("j-1")
        user = ("127.0.0.1/j-1/?api-version=2020-09-30&DeviceClientType=com.microsoft.azure.sdk.iot"
                ".iot-device-client%2F2.5.0%20%2811.0.2%3B%20Linux%3B%20amd64%29")
        client = self.hub("j-1", key, clean=False, keepalive=230, user=user)
        for wanted in ("devices/j-1/messages/devicebound/#", "$iothub/methods/POST/#",
                       "$iothub/twin/res/#", "$iothub/twin/PATCH/properties/desired/#"):
            self.assertEqual(client.subscribe(wanted), [1])
        status, _, body = self.ask(client, "$iothub/twin/GET/?$rid=%s", "g-1", b"", 1)
        self.assertEqual((status, json.loads(body)["reported"]), (200, {"$version": 1}))
        for version, want in ((0, 2), (0, 3), (3, 4)):
            client.publish("$iothub/twin/PATCH/properties/reported/?$rid=r%d&$version=%d" % (
                want, version), b'{"n":%d}' % want)
            topic, body = client.message()
            self.assertEqual((topic, body), (
                "$iothub/twin/res/204/?$rid=r%d&$version=%d" % (want, want), b""))
        client.publish(EVENTS % "j-1" + "$.mid=m-1&$.ct=application%2Fjson&$.ce=utf-8&a%20b=c", "{}")
        row = self.eventually(lambda: self.op.events(deviceId="j-1"), what="an event")[-1]
        self.assertEqual(row["properties"], {
            "system": {"message-id": "m-1", "content-type": "application/json",
                       "content-encoding": "utf-8"}, "application": {"a b": "c"}})


class DpsSequences(harness.ServerCase):
    """The same for the provisioning service, with the waiting that Azure asks for."""

    HOME_SET = {"server": {"profile": "azure"}, "dps": {"retry_after_s": 1}}

    def register(self, reg, body, connect, qos=1, poll_body=b" ", rids=("r1", "r2"),
                 heard=lambda client: None):
        """CONNECT, SUBSCRIBE, PUT, wait, GET; the open connection. heard: what the client does
        when it was answered."""
        cert = self.leaf(reg)
        client = self.server.mqtt(*cert)
        self.addCleanup(client.close)
        self.assertEqual(client.connect(reg, mqtt.dps_user(harness.SCOPE, reg), **connect), 0)
        self.assertEqual(client.subscribe("$dps/registrations/res/#"), [1])
        client.publish(mqtt.REGISTER % rids[0], body, qos=qos)
        got = mqtt.Answer(*client.message())
        heard(client)
        self.assertEqual((got.status, got.json["status"], got.pairs["$rid"]),
                         (202, "assigning", rids[0]))
        operation = got.json["operationId"]
        for _ in range(20):
            time.sleep(int(got.pairs["retry-after"]))
            client.publish(mqtt.POLL % (rids[1], operation), poll_body, qos=qos)
            got = mqtt.Answer(*client.message())
            heard(client)
            self.assertEqual(got.pairs["$rid"], rids[1])
            if got.json["status"] != "assigning":
                break
        self.assertEqual((got.status, got.json["status"]), (200, "assigned"))
        self.assertEqual(got.json["registrationState"]["deviceId"], reg)
        return client

    def setUp(self):
        self.x509_group()

    def test_node(self):
        """Row 46: UNSUBSCRIBE before DISCONNECT."""
        client = self.register("dps-n", b'{"registrationId":"dps-n"}',
                               {"clean": True, "keepalive": 180})
        client.unsubscribe("$dps/registrations/res/#")
        client.disconnect()

    def test_python(self):
        """Row 19: no clean session, and a payload that is null."""
        self.register("dps-p", b'{"payload": null, "registrationId": "dps-p"}',
                      {"clean": False, "keepalive": 60}).disconnect()

    def test_c(self):
        """Row 20: QoS 0, no keep-alive, the body of the register with every poll."""
        body = b'{"registrationId":"dps-c"}'
        self.register("dps-c", body, {"clean": True, "keepalive": 0}, 0, body).disconnect()

    def test_dotnet(self):
        """Row 23: an empty body, and none with the poll; a PUBACK for each answer, which names
        packet 0 where that came at QoS 0."""
        self.register("dps-d", b"", {"clean": True, "keepalive": 0}, 1, b"",
                      heard=lambda client: client.write(mqtt.packet(0x40, b"\0\0"))).disconnect()

    def test_java(self):
        """QoS 0 under numbers of its own, and no body with the poll."""
        self.register("dps-j", b'{"registrationId":"dps-j"}', {"clean": False, "keepalive": 230}, 0,
                      b"", ("1", "2")).disconnect()

    def test_java_names_no_policy_in_its_token(self):
        """"skn=", and nothing behind it."""
        key = harness.derive(self.sas_group("dps-js"), "dps-js-1")
        auth = token("%s/registrations/dps-js-1" % harness.SCOPE, key) + "&skn="
        got = mqtt.dps_register(self.dps("dps-js-1", password=auth))
        self.assertEqual((got.status, got.json["status"]), (202, "assigning"))

    def test_embedded_c(self):
        """Row 24: one rid for all."""
        self.register("dps-e", b"", {"clean": False, "keepalive": 240}, 1, b"",
                      ("1", "1")).disconnect()


class MigrationWindow(harness.ServerCase):
    """In native a device may hold its key and its certificate at once while it migrates."""

    def test_key_and_certificate_until_the_identity_is_put(self):
        group = self.sas_group("w-keys")
        self.x509_group("w-certs")
        key = harness.derive(group, "w-1")
        mqtt.dps_register(self.dps("w-1", key))
        by_key = self.hub("w-1", key)
        cert = self.leaf("w-1")
        self.assertEqual(mqtt.dps_register(self.dps("w-1", cert=cert)).json["status"], "assigned")
        by_cert = self.hub("w-1", cert=cert)
        self.assertTrue(by_key.closes(10), "one connection an identity")
        by_key = self.hub("w-1", key)
        self.assertTrue(by_cert.closes(10))
        self.good(self.op.put("/devices/w-1", {"authentication": {
            "type": "certificateAuthority"}}, If_Match="*"))
        self.assertTrue(by_key.closes(10), "its window is over")
        self.refused(lambda: self.hub("w-1", key))
        self.reason("w-1", "registered for X.509")
        self.hub("w-1", cert=cert).ping()
        self.assertEqual(mqtt.dps_register(self.dps("w-1", key)).status, 401)
        self.hub("w-1", cert=cert).ping()


if __name__ == "__main__":
    harness.main()
