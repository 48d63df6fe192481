"""The hub over MQTT: credentials, telemetry, sessions (device.md 3)."""
import base64
import json
import os
import ssl
import struct
import time

import harness
import mqtt
import pki
from harness import token

EVENTS = "devices/%s/messages/events/"


class Telemetry(harness.ServerCase):
    def events(self, device, count):
        return self.eventually(
            lambda: (rows := self.op.events(deviceId=device)) and len(rows) >= count and rows,
            what="%d events of %s" % (count, device))

    def test_qos1_is_durable_when_acknowledged(self):
        client = self.hub("t-1", self.sas_device("t-1"))
        for i in range(5):
            client.publish(EVENTS % "t-1", json.dumps({"n": i}))
            self.assertEqual(len(self.op.events(deviceId="t-1")), i + 1, "at once, not later")
        rows = self.op.events(deviceId="t-1")
        self.assertEqual([r["body"]["n"] for r in rows], list(range(5)))
        seqs = [r["seq"] for r in rows]
        self.assertEqual(seqs, sorted(set(seqs)))
        self.assertEqual({r["authType"] for r in rows}, {"sas"})
        self.assertEqual({r["thumbprint"] for r in rows}, {""})
        self.assertLess(abs(rows[0]["enqueuedTimeMs"] / 1000 - time.time()), 60)
        self.assertEqual(rows[0]["generationId"],
                         self.good(self.op.get("/devices/t-1"))["generationId"])

    def test_qos0(self):
        client = self.hub("t-0", self.sas_device("t-0"))
        client.publish(EVENTS % "t-0", "x", qos=0)
        client.ping()
        self.events("t-0", 1)

    def test_property_bags_reach_the_reader(self):
        client = self.hub("t-bag", self.sas_device("t-bag"))
        client.publish(EVENTS % "t-bag" + "%24.mid=mid-1&%24.cid=cid%2F1&$.uid=u&alert=true&"
                       "a%20b%26c%3Dd=x%2Fy%3Fz%2520%23%C3%A9&%24.ct=application%2Fjson&"
                       "%24.ce=utf-8&slash=a/b&plus=a%2Bb&empty=&flag", "{}")
        got = self.events("t-bag", 1)[0]["properties"]
        self.assertEqual(got["system"], {
            "message-id": "mid-1", "correlation-id": "cid/1", "user-id": "u",
            "content-type": "application/json", "content-encoding": "utf-8"})
        self.assertEqual(got["application"]["a b&c=d"], "x/y?z%20#é")
        self.assertEqual(got["application"]["slash"], "a/b")
        self.assertEqual(got["application"]["plus"], "a+b")
        self.assertEqual(got["application"]["alert"], "true")

    def test_bodies_of_every_kind(self):
        client = self.hub("t-body", self.sas_device("t-body"))
        bodies = [b"", b"{}", b"[1]", b'"text"', b"12", b"not json", bytes(range(256)),
                  '{"é":"\\u0000"}'.encode(), b"\xff" * 1000, b"x" * 250000]
        for body in bodies:
            client.publish(EVENTS % "t-body", body)
        for body, row in zip(bodies, self.events("t-body", len(bodies))):
            if "bodyBase64" in row:
                self.assertEqual(base64.b64decode(row["bodyBase64"]), body)
            else:
                self.assertEqual(row["body"], json.loads(body))

    def test_too_large_a_message_closes_with_a_reason(self):
        key = self.sas_device("t-big")
        client = self.hub("t-big", key)
        client.write(mqtt.publish_packet(EVENTS % "t-big", b"x" * (256 * 1024 + 1), 1, 1))
        self.assertTrue(client.closes(10))
        self.assertEqual(self.op.events(deviceId="t-big"), [])
        self.reason("t-big", "large")
        self.hub("t-big", key).ping()

    def test_retain_and_dup_become_properties(self):
        client = self.hub("t-rd", self.sas_device("t-rd"))
        client.publish(EVENTS % "t-rd", "1", retain=True)
        client.publish(EVENTS % "t-rd", "2", dup=True)
        rows = self.events("t-rd", 2)
        self.assertEqual(rows[0]["properties"]["application"]["mqtt-retain"], "true")
        self.assertEqual(rows[1]["properties"]["application"]["mqtt-dup"], "true")

    def test_many_in_flight_are_acknowledged_in_order(self):
        client = self.hub("t-fl", self.sas_device("t-fl"))
        client.write(b"".join(mqtt.publish_packet(EVENTS % "t-fl", str(n), 1, n)
                              for n in range(1, 501)))
        for n in range(1, 501):
            self.assertEqual(struct.unpack(">H", client.expect(mqtt.PUBACK))[0], n)
        self.assertEqual([r["body"] for r in self.events("t-fl", 500)], list(range(1, 501)))

    def test_reading_by_page_filter_and_time(self):
        first = self.hub("t-r1", self.sas_device("t-r1"))
        second = self.hub("t-r2", self.sas_device("t-r2"))
        for i in range(3):
            first.publish(EVENTS % "t-r1", str(i))
            second.publish(EVENTS % "t-r2", str(i))
        rows, end = self.op.rows("/muster/events", deviceId="t-r1", limit=2)
        self.assertEqual([r["body"] for r in rows], [0, 1])
        rest, _ = self.op.rows("/muster/events", deviceId="t-r1", afterSeq=end["next"])
        self.assertEqual([r["body"] for r in rest], [2])
        last = rest[-1]["enqueuedTimeMs"]
        self.assertEqual(self.op.events(deviceId="t-r1", sinceMs=last + 1), [])
        self.assertEqual(self.op.events(thumbprint="ab" * 32), [])
        for query in ("limit=0", "limit=x", "afterSeq=-1", "sinceMs=x", "deviceId=" + "x" * 200):
            self.assertEqual(self.op.get("/muster/events?" + query).status, 400, query)

    def test_more_events_than_a_page_in_one_stream(self):
        client = self.hub("t-pg", self.sas_device("t-pg"))
        for i in range(300):
            client.write(mqtt.publish_packet(EVENTS % "t-pg", "%d" % i + " " * 2000, 1, i + 1))
        for i in range(300):
            client.expect(mqtt.PUBACK)
        self.assertEqual([r["body"] for r in self.op.events(deviceId="t-pg")], list(range(300)))

    def test_twin_and_method_topics_do_not_break_a_client(self):
        client = self.hub("t-tw", self.sas_device("t-tw"))
        codes = client.subscribe("$iothub/twin/res/#", "$iothub/methods/POST/#",
                                 "devices/t-tw/messages/devicebound/#")
        self.assertEqual(codes, [1, 1, 1])
        client.publish("$iothub/twin/GET/?$rid=1", b" ", qos=0)
        client.ping()
        client.unsubscribe("$iothub/twin/res/#")

    def test_wide_and_foreign_filters_are_not_granted(self):
        client = self.hub("t-sub", self.sas_device("t-sub"))
        codes = client.subscribe("#", "+/#", "$iothub/#", "devices/other/messages/devicebound/#",
                                 "devices/#", "$dps/registrations/res/#")
        self.assertEqual(codes, [0x80] * 6)

    def test_topics_of_others_close(self):
        key = self.sas_device("t-own")
        self.sas_device("t-own2")
        for topic in (EVENTS % "t-own2", EVENTS % "T-own", "devices/t-own/messages/devicebound/",
                      "x", "$SYS/x", "devices/#/messages/events/", "devices/+/messages/events/",
                      "$iothub/methods/POST/x/?$rid=1"):
            with self.subTest(topic):
                client = self.hub("t-own", key)
                client.write(mqtt.publish_packet(topic, b"{}", 1, 1))
                self.assertTrue(client.closes(10))
        self.assertEqual(self.op.events(deviceId="t-own2"), [])
        self.assertEqual(self.op.events(deviceId="t-own"), [])

    def test_qos2_publish_closes(self):
        client = self.hub("t-q2", self.sas_device("t-q2"))
        client.write(mqtt.publish_packet(EVENTS % "t-q2", b"{}", 2, 1))
        self.assertTrue(client.closes(10))

    def test_will_of_a_lost_connection(self):
        key = self.sas_device("t-will")
        will = {"topic": EVENTS % "t-will" + "why=lost", "payload": '{"bye":1}', "qos": 1}
        client = self.hub("t-will", key, will=will)
        client.sock.close()
        row = self.events("t-will", 1)[0]
        self.assertEqual(row["body"], {"bye": 1})
        self.assertEqual(row["properties"]["application"]["iothub-MessageType"], "Will")
        self.assertEqual(row["properties"]["application"]["why"], "lost")
        client = self.hub("t-will", key, will=will)
        client.disconnect()
        self.eventually(lambda: len(self.op.connections(deviceId="t-will", what="disconnect")) == 2)
        self.assertEqual(len(self.op.events(deviceId="t-will")), 1, "not after DISCONNECT")
        other = {"topic": EVENTS % "t-own2", "payload": "x"}
        self.refused(lambda: self.hub("t-will", key, will=other))


class Sessions(harness.ServerCase):
    HOME_SET = {"hub": {"sas_grace_s": 0}}

    def test_takeover_closes_the_older_connection(self):
        key = self.sas_device("s-two")
        first = self.hub("s-two", key)
        second = self.hub("s-two", key)
        self.assertTrue(first.closes(10))
        second.ping()
        second.publish(EVENTS % "s-two", "1")
        rows = self.op.connections(deviceId="s-two", what="connect")
        self.assertEqual(len(rows), 2)
        device = self.good(self.op.get("/devices/s-two"))
        self.assertEqual(device["connectionState"], "Connected")

    def test_a_wrong_credential_takes_nothing_over(self):
        key = self.sas_device("s-keep")
        first = self.hub("s-keep", key)
        self.refused(lambda: self.hub("s-keep", os.urandom(32)))
        first.ping()

    def test_two_copies_that_fight_leave_one_session(self):
        key = self.sas_device("s-fight")
        clients = [self.hub("s-fight", key) for _ in range(10)]
        for client in clients[:-1]:
            self.assertTrue(client.closes(10))
        clients[-1].ping()
        clients[-1].disconnect()
        self.eventually(lambda: self.op.get("/devices/s-fight").json["connectionState"] ==
                        "Disconnected")

    def test_keep_alive(self):
        key = self.sas_device("s-ka")
        client = self.hub("s-ka", key, keepalive=1)
        client.ping()
        start = time.monotonic()
        self.assertTrue(client.closes(10))
        self.assertGreater(time.monotonic() - start, 1.0)
        row = self.eventually(lambda: self.op.connections(deviceId="s-ka", what="disconnect"))[-1]
        self.assertIn("silent", row["reason"])

    def test_keep_alive_that_is_kept(self):
        client = self.hub("s-ka2", self.sas_device("s-ka2"), keepalive=1)
        for _ in range(5):
            time.sleep(0.8)
            client.ping()

    def test_connection_state_and_log(self):
        key = self.sas_device("s-log")
        client = self.hub("s-log", key)
        self.assertEqual(self.op.get("/devices/s-log").json["connectionState"], "Connected")
        client.disconnect()
        self.eventually(lambda: self.op.get("/devices/s-log").json["connectionState"] ==
                        "Disconnected")
        rows = self.op.connections(deviceId="s-log")
        self.assertEqual([r["event"] for r in rows], ["connect", "disconnect"])
        self.assertEqual({(r["plane"], r["authType"], r["scope"]) for r in rows},
                         {("hub", "sas", "device")})
        self.assertTrue(rows[0]["peer"].startswith("127.0.0.1"))
        self.assertIn("test", rows[0]["agent"])
        rows, end = self.op.rows("/muster/connections", deviceId="s-log")
        self.assertGreater(end["completeSinceMs"], 0)
        self.assertEqual(self.op.connections(deviceId="s-log", authType="x509"), [])
        self.assertEqual(len(self.op.connections(deviceId="s-log", plane="hub", what="connect")), 1)

    def test_deleted_and_disabled_devices_are_put_out(self):
        key = self.sas_device("s-del")
        client = self.hub("s-del", key)
        self.assertEqual(self.op.delete("/devices/s-del", If_Match="*").status, 204)
        self.assertTrue(client.closes(10))
        self.refused(lambda: self.hub("s-del", key))
        self.reason("s-del", "not found")
        key = self.sas_device("s-dis")
        client = self.hub("s-dis", key)
        self.good(self.op.put("/devices/s-dis", {"deviceId": "s-dis", "status": "disabled"},
                              If_Match="*"))
        self.assertTrue(client.closes(10))
        self.refused(lambda: self.hub("s-dis", key))
        self.reason("s-dis", "disabled")

    def test_change_of_keys_or_kind_ends_the_session(self):
        key = self.sas_device("s-chg")
        client = self.hub("s-chg", key)
        self.ca_device_again("s-chg")
        self.assertTrue(client.closes(10))
        self.refused(lambda: self.hub("s-chg", key))
        self.reason("s-chg", "X.509")

    def ca_device_again(self, device):
        self.good(self.op.put("/devices/" + device, {
            "deviceId": device, "authentication": {"type": "certificateAuthority"}}, If_Match="*"))

    def test_token_expiry_ends_the_session(self):
        """hub.sas_grace_s is 0 here; up to a minute of jitter is spread over the fleet."""
        clients = []
        for i in range(12):
            device = "s-exp-%d" % i
            password = token("127.0.0.1/devices/" + device, self.sas_device(device), -100)
            clients.append((device, self.hub(device, password=password)))
        end = time.monotonic() + 62
        while time.monotonic() < end:
            for device, client in clients:
                if client.closes(0.05):
                    row = self.eventually(lambda d=device: self.op.connections(
                        deviceId=d, what="disconnect"))[-1]
                    self.assertEqual(row["code"], 401003)
                    self.assertIn("expired", row["reason"])
                    return
        self.fail("no session ended within a minute of its token's expiry")

    def test_session_present_and_clean(self):
        key = self.sas_device("s-clean")
        for clean in (True, False):
            client = self.server.mqtt()
            flags = client.connect("s-clean", mqtt.hub_user("s-clean"),
                                   token("127.0.0.1/devices/s-clean", key), clean=clean)
            self.assertIn(flags, (0, 1))
            client.disconnect()


class Credentials(harness.ServerCase):
    """The refusals of the hub: CONNACK 5 for the device, a reason for the operator."""

    def no_way(self, device, *words, **who):
        self.refused(lambda: self.hub(device, **who))
        return self.reason(device, *words, plane="hub")

    def test_sas(self):
        key, other = self.sas_device("h-1"), self.sas_device("h-2")
        self.no_way("h-1", "signature", key=other)
        self.no_way("h-1", "expired", password=token("127.0.0.1/devices/h-1", key, -301))
        self.no_way("h-1", "another resource", password=token("127.0.0.1/devices/h-2", key))
        self.no_way("h-1", "another resource", password=token("127.0.0.1/devices/h", key))
        self.no_way("h-1", "another resource", password=token("127.0.0.1", key))
        self.no_way("h-1", "another resource", password=token("elsewhere/devices/h-1", key))
        self.no_way("h-1", "neither a token nor a certificate")
        self.no_way("h-none", "not found", key=key)
        for text in ("x", "SharedAccessSignature sr=x", "SharedAccessSignature " + "A" * 5000):
            self.no_way("h-1", password=text)
        self.hub("h-1", password=token("127.0.0.1/devices/h-1", key, -200)).ping()
        self.hub("h-1", password=token("127.0.0.1/DEVICES/H-1".lower(), key)).ping()

    def test_secondary_key_and_own_keys(self):
        keys = [os.urandom(32), os.urandom(48)]
        one, two = [base64.b64encode(k).decode() for k in keys]
        self.good(self.op.put("/devices/h-k", {"deviceId": "h-k", "authentication": {
            "type": "sas", "symmetricKey": {"primaryKey": one, "secondaryKey": two}}}))
        for key in keys:
            self.hub("h-k", key).ping()

    def test_policy_tokens(self):
        self.sas_device("h-pol")
        keys = self.server.policy_keys()

        def password(policy, resource="127.0.0.1/devices/h-pol"):
            return token(resource, keys[policy], policy=policy)

        self.hub("h-pol", password=password("device")).ping()
        self.hub("h-pol", password=password("iothubowner", "127.0.0.1")).ping()
        self.hub("h-pol", password=password("device", "127.0.0.1/devices")).ping()
        self.assertEqual(self.op.connections(deviceId="h-pol", what="connect")[-1]["scope"], "hub")
        self.no_way("h-pol", "right", password=password("service"))
        self.no_way("h-pol", "another resource", password=password("device", "127.0.0.1/dev"))
        self.no_way("h-pol", "policy", password=token("127.0.0.1", os.urandom(32), policy="nosuch"))
        self.no_way("h-pol", "signature",
                    password=token("127.0.0.1", os.urandom(32), policy="device"))

    def test_certificates_of_a_ca_identity(self):
        now = pki.datetime.datetime.now(pki.datetime.timezone.utc)
        foreign = pki.make_ca(self.path("foreign"), "Foreign CA")
        self.ca_device("c-1")
        for words, how in (
                (("CN",), {"subject": "c-2"}), (("CN",), {"subject": "C-1"}),
                (("unknown issuer",), {"issuer": foreign}),
                (("expired",), {"start": now - 9 * pki.DAY, "end": now - pki.DAY}),
                (("not valid before",), {"start": now + pki.DAY}),
                (("certificate refused",), {"v1": True}),
                (("signature",), {"forge": pki.make_key(self.path("forger.key"))})):
            with self.subTest(how):
                how = {"subject": "c-1", **how}
                self.no_way("c-1", *words, cert=self.leaf(how.pop("subject"), **how))
        self.no_way("c-1", "neither a token nor a certificate")
        self.no_way("c-1", cert=pki.self_signed(self.path("self"), "c-1")[:2])
        self.no_way("c-1", "certificate refused", cert=(
                os.path.join(self.server.home, "operators/admin.pem"),
                os.path.join(self.server.home, "operators/admin.key")))
        for chain in ([], [self.device_ca.der], [pki.read_pem(self.server.ca)[0],
                                                 self.device_ca.der]):
            self.hub("c-1", cert=self.leaf("c-1", chain)).ping()

    def test_odd_extensions(self):
        self.ca_device("c-ext")
        for how in ({"ca": True, "usage": 0x84}, {"eku": pki.SERVER_AUTH}, {"usage": 0x20}):
            with self.subTest(how):
                key = pki.make_key(self.path("ext.key"))
                rows = pki.leaf_extensions(pki.spki(key), self.device_ca.key_id, **how)
                self.no_way("c-ext", cert=self.leaf("c-ext", key=key, extensions=rows))
        key = pki.make_key(self.path("crit.key"))
        rows = pki.leaf_extensions(pki.spki(key), self.device_ca.key_id)
        rows.append(pki.extension("1.2.3.4.5", b"\x05\x00", True))
        self.no_way("c-ext", cert=self.leaf("c-ext", key=key, extensions=rows))

    def test_thumbprints(self):
        cert, key, thumb = pki.self_signed(self.path("t1"), "whatever")
        cert2, key2, thumb2 = pki.self_signed(self.path("t2"), "whatever")
        self.good(self.op.put("/devices/t-1", {"deviceId": "t-1", "authentication": {
            "type": "selfSigned", "x509Thumbprint": {
                "primaryThumbprint": thumb.upper(), "secondaryThumbprint": thumb2}}}))
        self.hub("t-1", cert=(cert, key)).ping()
        self.hub("t-1", cert=(cert2, key2)).ping()
        row = self.op.connections(deviceId="t-1", what="connect")[-1]
        self.assertEqual((row["authType"], row["thumbprint"]), ("x509", thumb2))
        self.no_way("t-1", "thumbprint", cert=pki.self_signed(self.path("t3"), "whatever")[:2])
        # the same name and even the same key in another certificate is another certificate
        self.no_way("t-1", "thumbprint", cert=self.leaf("whatever", [], key=key))
        self.no_way("t-1", "X.509", key=os.urandom(32))
        sha1 = pki.openssl("dgst", "-sha1", "-binary", stdin=pki.read_pem(cert)[0]).hex()
        self.good(self.op.put("/devices/t-2", {"deviceId": "t-2", "authentication": {
            "type": "selfSigned", "x509Thumbprint": {"primaryThumbprint": sha1}}}))
        self.hub("t-2", cert=(cert, key)).ping()

    def test_expired_thumbprint_certificate(self):
        now = pki.datetime.datetime.now(pki.datetime.timezone.utc)
        files = self.leaf("old", [], start=now - 9 * pki.DAY, end=now - pki.DAY)
        thumb = pki.sha256(pki.read_pem(files[0])[0])
        self.good(self.op.put("/devices/t-old", {"deviceId": "t-old", "authentication": {
            "type": "selfSigned", "x509Thumbprint": {"primaryThumbprint": thumb}}}))
        self.no_way("t-old", "expired", cert=files)

    def test_sas_device_with_a_certificate(self):
        self.sas_device("c-sas")
        self.no_way("c-sas", "registered for SAS", cert=self.leaf("c-sas"))

    def test_names(self):
        key = self.sas_device("n-1")
        good = token("127.0.0.1/devices/n-1", key)
        for user, client_id in (
                ("127.0.0.1/n-1/?api-version=2021-04-12", "n-2"), ("127.0.0.1/n-1", "N-1"),
                ("127.0.0.1/n-2/?api-version=1", "n-1"), ("elsewhere.example/n-1", "n-1"),
                ("n-1", "n-1"), ("", "n-1"), ("/", "n-1"), ("127.0.0.1/n-1/mod", "n-1/mod"),
                ("127.0.0.1/#/?api-version=1", "#"), ("127.0.0.1/+", "+"),
                ("127.0.0.1/" + "x" * 300, "x" * 300)):
            with self.subTest(user=user, client_id=client_id):
                self.refused(lambda u=user, c=client_id: self.hub(
                    "n-1", password=good, user=u, client_id=c))
        for user in ("127.0.0.1/n-1", "127.0.0.1/n-1/api-version=2016-11-14",
                     "127.0.0.1/n-1/?api-version=2021-04-12&model-id=dtmi:com:x;1"):
            with self.subTest(user):
                self.hub("n-1", password=good, user=user).ping()
        self.hub("n-1", password=token("127.0.0.1:8883/devices/n-1", key),
                 user="127.0.0.1:8883/n-1/?api-version=2021-04-12").ping()

    def test_no_user_name(self):
        with self.server.mqtt() as client, self.assertRaises(mqtt.Refused) as got:
            client.connect("n-9", None)
        self.assertEqual(got.exception.code, 5)

    def test_other_protocol_levels(self):
        key = self.sas_device("n-lvl")
        password = token("127.0.0.1/devices/n-lvl", key)
        for more in ({"level": 5}, {"level": 3, "protocol": "MQIsdp"}, {"level": 0}):
            with self.subTest(more):
                try:
                    self.hub("n-lvl", password=password, **more)
                except mqtt.Refused as e:
                    self.assertEqual(e.code, 1)
                except mqtt.Closed:
                    pass
                else:
                    self.fail("accepted")

    def test_tls_versions(self):
        key = self.sas_device("n-tls")
        self.ca_device("n-tls-x")
        version = ssl.TLSVersion
        files = self.leaf("n-tls-x")
        for number in (version.TLSv1_2, version.TLSv1_3):
            context = mqtt.tls(self.server.ca, *files, least=number, most=number)
            with mqtt.Client(self.server.mqtt_port, context) as client:
                client.connect("n-tls-x", mqtt.hub_user("n-tls-x"))
            context = mqtt.tls(self.server.ca, least=number, most=number)
            with mqtt.Client(self.server.mqtt_port, context) as client:
                client.connect("n-tls", mqtt.hub_user("n-tls"),
                               token("127.0.0.1/devices/n-tls", key))
        old = mqtt.tls(self.server.ca)
        old.set_ciphers("ALL:@SECLEVEL=0")
        old.minimum_version = old.maximum_version = version.TLSv1_1
        with self.assertRaises((ssl.SSLError, OSError)):
            mqtt.Client(self.server.mqtt_port, old)

    def test_resumed_session_is_judged_again(self):
        """The certificate of a resumed session counts only as far as it would anew."""
        self.ca_device("n-res")
        context = mqtt.tls(self.server.ca, *self.leaf("n-res"),
                           most=ssl.TLSVersion.TLSv1_2)
        client = mqtt.Client(self.server.mqtt_port, context)
        client.connect("n-res", mqtt.hub_user("n-res"))
        session = client.sock.session
        client.disconnect()
        self.assertEqual(self.op.delete("/devices/n-res", If_Match="*").status, 204)
        again = mqtt.Client(self.server.mqtt_port, context, session=session)
        self.assertTrue(again.sock.session_reused)
        with again, self.assertRaises(mqtt.Refused) as got:
            again.connect("n-res", mqtt.hub_user("n-res"))
        self.assertEqual(got.exception.code, 5)

    def test_client_that_knows_no_ecdsa_is_served(self):
        """Old stacks: the cloud's own certificate is an RSA one (section 6)."""
        key = self.sas_device("n-rsa")
        context = mqtt.tls(self.server.ca, most=ssl.TLSVersion.TLSv1_2)
        context.set_ciphers("ECDHE-RSA-AES128-GCM-SHA256")

        def look():
            try:
                return mqtt.Client(self.server.mqtt_port, context)
            except (ssl.SSLError, OSError):
                return None  # this edge has not made its key yet
        with self.eventually(look, 30, "an RSA certificate") as client:
            client.connect("n-rsa", mqtt.hub_user("n-rsa"), token("127.0.0.1/devices/n-rsa", key))


if __name__ == "__main__":
    harness.main()
