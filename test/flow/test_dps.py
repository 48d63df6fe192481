"""The provisioning service over MQTT: topics, bodies, groups, profiles (device.md 1, 2)."""
import base64
import json
import os
import re
import time

import harness
import mqtt
import pki
from harness import derive, token

TIME = re.compile(r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{7}Z$")


class Native(harness.ServerCase):
    def test_sas_group_assigns_at_once(self):
        key = self.sas_group("g-1", initialTwin={
            "tags": {"wave": "1"}, "properties": {"desired": {"interval": 5}}})
        got = mqtt.dps_register(self.dps("dev-a", derive(key, "dev-a")), rid="a-b-c")
        self.assertEqual(got.topic, "$dps/registrations/res/200/?$rid=a-b-c")
        self.assertEqual(got.json["status"], "assigned")
        self.assertRegex(got.json["operationId"], r"^[A-Za-z0-9.-]+$")
        state = got.json["registrationState"]
        self.assertEqual(state["registrationId"], "dev-a")
        self.assertEqual(state["deviceId"], "dev-a")
        self.assertEqual(state["status"], "assigned")
        self.assertEqual(state["substatus"], "initialAssignment")
        self.assertIn(".", state["assignedHub"])
        self.assertRegex(state["createdDateTimeUtc"], TIME)
        self.assertRegex(state["lastUpdatedDateTimeUtc"], TIME)
        self.assertRegex(state["etag"], r'^".+"$')
        self.assertNotIn("x509", state)
        twin = self.good(self.op.get("/twins/dev-a"))
        self.assertEqual(twin["tags"], {"wave": "1"})
        self.assertEqual(twin["properties"]["desired"]["interval"], 5)
        self.assertEqual(twin["authenticationType"], "sas")
        # the same derived key then opens the hub (device.md 1.9)
        self.hub("dev-a", derive(key, "dev-a")).ping()

    def test_documented_derivation(self):
        key = base64.b64decode("8isrFI1sGsIlvvFSSFRiMfCNzv21fjbE/+ah/lSh3lF8e2YG1Te7w1KpZhJF"
                               "FXJrqYKi9yegxkqIChbqOS9Egw==")
        device = base64.b64decode("Jsm0lyGpjaVYVP2g3FnmnmG9dI/9qU24wNoykUmermc=")
        self.sas_group("g-doc", key)
        got = mqtt.dps_register(self.dps("sn-007-888-abc-mac-a1-b2-c3-d4-e5-f6", device))
        self.assertEqual(got.status, 200)

    def test_secondary_group_key_works(self):
        key = os.urandom(32)
        self.good(self.op.put("/enrollmentGroups/g-2nd", {
            "enrollmentGroupId": "g-2nd", "attestation": {"type": "symmetricKey", "symmetricKey": {
                "primaryKey": base64.b64encode(os.urandom(32)).decode(),
                "secondaryKey": base64.b64encode(key).decode()}}}))
        got = mqtt.dps_register(self.dps("dev-2nd", derive(key, "dev-2nd")))
        self.assertEqual(got.status, 200)
        self.hub("dev-2nd", derive(key, "dev-2nd")).ping()

    def test_x509_group_makes_a_ca_identity(self):
        self.x509_group()
        cert = self.leaf("dev-x")
        got = mqtt.dps_register(self.dps("dev-x", cert=cert))
        self.assertEqual((got.status, got.json["status"]), (200, "assigned"))
        self.assertEqual(got.json["registrationState"]["x509"], {})
        device = self.good(self.op.get("/devices/dev-x"))
        self.assertEqual(device["authentication"]["type"], "certificateAuthority")
        self.hub("dev-x", cert=cert).ping()
        row = self.op.connections(deviceId="dev-x", what="connect")[-1]
        self.assertEqual(row["authType"], "x509")
        self.assertEqual(row["thumbprint"], pki.sha256(pki.read_pem(cert[0])[0]))

    def test_every_shape_of_register_body(self):
        key = self.sas_group("g-body")
        for number, body in enumerate((
                b"", b" ", b"{}", b'{"registrationId":"DEV-B"}',
                b'{"payload": null, "registrationId": "dev-b"}',
                b'{"registrationId":"dev-b","payload":{"a":[1,2]}}',
                b'{"registrationId":"dev-b","csr":"AAAA","unknown":{}}')):
            with self.subTest(body):
                got = mqtt.dps_register(self.dps("dev-b", derive(key, "dev-b")), body, str(number))
                self.assertEqual(got.status, 200, got.json)

    def test_bad_bodies_are_400_in_json(self):
        key = self.sas_group("g-bad")
        client = self.dps("dev-c", derive(key, "dev-c"))
        for body in (b'{"registrationId":"other"}', b"{", b"[]", b'"x"', b"\xff\xfe", b"nul",
                     b'{"registrationId":7}', b"[" * 5000):
            with self.subTest(body[:30]):
                got = mqtt.dps_register(client, body)
                self.assertIn(got.status, (400, 413))
                self.assertEqual(got.json["errorCode"] // 1000, got.status)
                self.assertTrue(got.json["message"] and got.json["trackingId"])
        self.assertEqual(mqtt.dps_register(client).status, 200, "the connection goes on")

    def test_qos0_register_has_no_puback_and_one_answer(self):
        key = self.sas_group("g-q0")
        client = self.dps("dev-q0", derive(key, "dev-q0"))
        client.publish(mqtt.REGISTER % "1", b"", qos=0)
        self.assertEqual(mqtt.Answer(*client.message()).status, 200)
        client.ping()
        self.assertEqual(client.inbox, [])

    def test_puback_comes_before_the_answer(self):
        key = self.sas_group("g-ord")
        client = self.dps("dev-ord", derive(key, "dev-ord"))
        client.write(mqtt.publish_packet(mqtt.REGISTER % "1", b"", 1, 7))
        self.assertEqual(client.read()[0] >> 4, mqtt.PUBACK)
        self.assertEqual(client.read()[0] >> 4, mqtt.PUBLISH)

    def test_rid_comes_back_as_it_was(self):
        key = self.sas_group("g-rid")
        client = self.dps("dev-rid", derive(key, "dev-rid"))
        for rid in ("1", "1", "a%2Fb", "x" * 100, "7.8:9-_"):
            got = mqtt.dps_register(client, rid=rid)
            self.assertEqual(got.topic, "$dps/registrations/res/200/?$rid=" + rid)

    def test_poll_on_another_connection(self):
        key = self.sas_group("g-poll")
        first = mqtt.dps_register(self.dps("dev-p", derive(key, "dev-p")))
        got = mqtt.dps_poll(self.dps("dev-p", derive(key, "dev-p")), first.json["operationId"])
        self.assertEqual(got.status, 200)
        self.assertEqual(got.json["registrationState"]["deviceId"], "dev-p")

    def test_poll_of_an_operation_that_is_not_its_own(self):
        key = self.sas_group("g-poll2")
        first = mqtt.dps_register(self.dps("dev-p1", derive(key, "dev-p1")))
        other = self.dps("dev-p2", derive(key, "dev-p2"))
        for operation in (first.json["operationId"], "4.0.none", "x"):
            got = mqtt.dps_poll(other, operation)
            self.assertEqual(got.status, 404)
            self.assertEqual(got.json["errorCode"], 404201)

    def test_disabled_group(self):
        key = self.sas_group("g-off")
        self.sas_group("g-off", key, provisioningStatus="disabled")
        got = mqtt.dps_register(self.dps("dev-off", derive(key, "dev-off")))
        self.assertEqual((got.status, got.json["status"]), (200, "disabled"))
        state = got.json["registrationState"]
        self.assertIsInstance(state["errorCode"], int)
        self.assertTrue(state["errorMessage"])
        self.assertNotIn("assignedHub", state)
        self.assertEqual(self.op.get("/devices/dev-off").status, 404)
        self.reason("dev-off", "disabled", "g-off")
        self.sas_group("g-off", key)
        again = mqtt.dps_register(self.dps("dev-off", derive(key, "dev-off")))
        self.assertEqual(again.json["status"], "assigned")

    def test_registering_again_keeps_identity_and_twin(self):
        key = self.sas_group("g-re", initialTwin={"tags": {"from": "group"}, "properties": {}})
        first = mqtt.dps_register(self.dps("dev-re", derive(key, "dev-re")))
        before = self.good(self.op.get("/devices/dev-re"))
        self.good(self.op.call("PATCH", "/twins/dev-re", {"tags": {"mine": 1}}))
        second = mqtt.dps_register(self.dps("dev-re", derive(key, "dev-re")))
        after = self.good(self.op.get("/devices/dev-re"))
        self.assertEqual(second.json["registrationState"]["substatus"], "initialAssignment")
        self.assertEqual(after["generationId"], before["generationId"])
        self.assertEqual(second.json["registrationState"]["createdDateTimeUtc"],
                         first.json["registrationState"]["createdDateTimeUtc"])
        self.assertEqual(self.good(self.op.get("/twins/dev-re"))["tags"],
                         {"from": "group", "mine": 1})

    def test_reset_policy_writes_the_initial_twin_again(self):
        more = {"initialTwin": {"tags": {"from": "group"}, "properties": {}},
                "reprovisionPolicy": {"updateHubAssignment": True, "migrateDeviceData": False}}
        key = self.sas_group("g-reset", **more)
        mqtt.dps_register(self.dps("dev-rs", derive(key, "dev-rs")))
        self.good(self.op.call("PATCH", "/twins/dev-rs", {"tags": {"mine": 1}}))
        got = mqtt.dps_register(self.dps("dev-rs", derive(key, "dev-rs")))
        self.assertEqual(got.json["registrationState"]["substatus"], "deviceDataReset")
        self.assertEqual(self.good(self.op.get("/twins/dev-rs"))["tags"], {"from": "group"})

    def test_registration_ids_are_compared_without_case(self):
        key = self.sas_group("g-case")
        mqtt.dps_register(self.dps("Dev-Case", derive(key, "Dev-Case")))
        got = mqtt.dps_register(self.dps("dev-case", derive(key, "dev-case")))
        self.assertEqual(got.json["registrationState"]["deviceId"], "Dev-Case")
        self.good(self.op.get("/registrations/DEV-CASE"))

    def test_migration_window(self):
        """A SAS device that proves itself with X.509 may use both until it is sealed."""
        key = self.sas_group("g-mig")
        self.x509_group()
        mqtt.dps_register(self.dps("dev-m", derive(key, "dev-m")))
        cert = self.leaf("dev-m")
        got = mqtt.dps_register(self.dps("dev-m", cert=cert))
        self.assertEqual(got.json["status"], "assigned")
        self.hub("dev-m", cert=cert).ping()
        self.hub("dev-m", derive(key, "dev-m")).ping()
        got = mqtt.dps_register(self.dps("dev-m", derive(key, "dev-m")))
        self.assertEqual(got.json["status"], "assigned", "the way back stays open")
        device = self.good(self.op.get("/devices/dev-m"))
        self.assertEqual(device["authentication"]["type"], "certificateAuthority")

    def test_x509_device_cannot_be_taken_by_a_group_key(self):
        key = self.sas_group("g-down")
        self.x509_group()
        mqtt.dps_register(self.dps("dev-d", cert=self.leaf("dev-d")))
        got = mqtt.dps_register(self.dps("dev-d", derive(key, "dev-d")))
        self.assertEqual((got.status, got.json["errorCode"]), (401, 401002))
        self.reason("dev-d", "may not go back to a key")

    def test_disabled_identity(self):
        key = self.sas_group("g-id")
        mqtt.dps_register(self.dps("dev-dis", derive(key, "dev-dis")))
        self.good(self.op.put("/devices/dev-dis", {"deviceId": "dev-dis", "status": "disabled"},
                              If_Match="*"))
        got = mqtt.dps_register(self.dps("dev-dis", derive(key, "dev-dis")))
        self.assertGreaterEqual(got.status, 400)
        self.reason("dev-dis", "device is disabled", plane="dps")

    def test_hashed_allocation_is_one_of_the_groups_hubs(self):
        key = self.sas_group("g-hubs", iotHubs=["127.0.0.1"], allocationPolicy="static")
        got = mqtt.dps_register(self.dps("dev-h", derive(key, "dev-h")))
        self.assertEqual(got.json["registrationState"]["assignedHub"], "127.0.0.1")
        bad = self.op.put("/enrollmentGroups/g-bad-hub", {
            "enrollmentGroupId": "g-bad-hub", "iotHubs": ["elsewhere.example"],
            "attestation": {"type": "symmetricKey"}})
        self.assertEqual(bad.status, 400, bad)

    def test_session_present_is_always_0(self):
        key = self.sas_group("g-sp")
        for clean in (True, False, False):
            client = self.server.mqtt()
            flags = client.connect("dev-sp", mqtt.dps_user(harness.SCOPE, "dev-sp"),
                                   token(harness.SCOPE + "/registrations/dev-sp",
                                         derive(key, "dev-sp")), clean=clean)
            self.assertEqual(flags, 0)
            client.close()

    def test_user_names_of_all_sdks(self):
        key = self.sas_group("g-user")
        for tail in ("/api-version=2019-03-31&ClientVersion=azure-iot-provisioning-device%2F1.9.1",
                     "/api-version=2021-06-01&ClientVersion=1.15.0", "/api-version=2019-03-31",
                     "/api-version=2019-03-31&ClientVersion=a/b (c; d)"):
            with self.subTest(tail):
                user = harness.SCOPE + "/registrations/dev-u" + tail
                client = self.dps("dev-u", derive(key, "dev-u"), user=user)
                self.assertEqual(mqtt.dps_register(client).status, 200)

    def test_foreign_topics_close_the_connection(self):
        key = self.sas_group("g-top")
        for topic in ("devices/dev-t/messages/events/", "$dps/registrations/PUT/other/?$rid=1",
                      "$dps/registrations/res/200/?$rid=1", "x"):
            with self.subTest(topic):
                client = self.dps("dev-t", derive(key, "dev-t"))
                client.write(mqtt.publish_packet(topic, b"", 1, 1))
                self.assertTrue(client.closes(10))
        client = self.dps("dev-t", derive(key, "dev-t"))
        self.assertEqual(client.subscribe("#", "$dps/#", "$dps/registrations/res/#", "+/+/res/#"),
                         [0x80, 0x80, 1, 0x80])

    def test_no_answer_where_nobody_subscribed(self):
        key = self.sas_group("g-nosub")
        client = self.server.mqtt()
        self.addCleanup(client.close)
        client.connect("dev-ns", mqtt.dps_user(harness.SCOPE, "dev-ns"),
                       token(harness.SCOPE + "/registrations/dev-ns", derive(key, "dev-ns")))
        client.publish(mqtt.REGISTER % "1", b"")
        client.ping()
        self.assertEqual(client.inbox, [])

    def test_registrations_in_the_service_api(self):
        key = self.sas_group("g-list")
        for i in range(5):
            mqtt.dps_register(self.dps("list-%d" % i, derive(key, "list-%d" % i)))
        got = self.op.post("/registrations/g-list/query", x_ms_max_item_count="3")
        self.assertEqual(len(self.good(got)), 3)
        rest = self.op.post("/registrations/g-list/query", {"query": "*"},
                            x_ms_continuation=got.headers["x-ms-continuation"])
        self.assertEqual(len(self.good(rest)), 2)
        self.assertNotIn("x-ms-continuation", rest.headers)
        one = self.good(self.op.get("/registrations/list-0"))
        self.assertEqual((one["status"], one["deviceId"]), ("assigned", "list-0"))
        self.assertEqual(self.op.delete("/registrations/list-0").status, 204)
        self.assertEqual(self.op.get("/registrations/list-0").status, 404)


class Refusals(harness.ServerCase):
    """Each wrong credential: refused, told to the device by number alone, by reason to us."""

    def no_way(self, device, *words, **who):
        """Refused by CONNACK 5, or by a 401 answer; and why is in the log."""
        try:
            client = self.dps(device, **who)
        except mqtt.Refused as e:
            self.assertEqual(e.code, 5)
        else:
            got = mqtt.dps_register(client)
            self.assertEqual((got.status, got.json["errorCode"]), (401, 401002), got.json)
            for word in words:
                self.assertNotIn(word, json.dumps(got.json), "inner words reached a device")
        row = self.reason(device, *words, plane="dps")
        self.assertEqual(row["code"], 401002)
        self.assertEqual(self.op.get("/devices/" + device).status, 404, "no identity was made")
        return row

    def test_sas(self):
        key = self.sas_group()
        sr = harness.SCOPE + "/registrations/"
        good = derive(key, "s-1")
        self.no_way("s-wrong", "signature", key=os.urandom(32))
        self.no_way("s-group", "signature", key=key)
        self.no_way("s-other", "signature", key=derive(key, "s-1"))
        self.no_way("s-exp", "expired", password=token(sr + "s-exp", derive(key, "s-exp"), -400))
        self.no_way("s-res", "another resource", password=token(sr + "s-1", good))
        self.no_way("s-hub", "another resource",
                    password=token("127.0.0.1/devices/s-hub", derive(key, "s-hub")))
        self.no_way("s-none", "neither a token nor a certificate")
        self.no_way("s-scope", "scope", scope="0ne0000ffff", key=derive(key, "s-scope"))

    def test_skew_is_allowed(self):
        key = self.sas_group("g-skew")
        password = token(harness.SCOPE + "/registrations/s-skew", derive(key, "s-skew"), -200)
        self.assertEqual(mqtt.dps_register(self.dps("s-skew", password=password)).status, 200)

    def test_lower_cased_audience(self):
        key = self.sas_group("g-lower")
        password = token((harness.SCOPE + "/registrations/S-Low").lower(), derive(key, "S-Low"))
        self.assertEqual(mqtt.dps_register(self.dps("S-Low", password=password)).status, 200)

    def test_malformed_tokens(self):
        self.sas_group()
        for number, text in enumerate((
                "x", "SharedAccessSignature", "SharedAccessSignature sr=a&sig=b&se=c",
                "SharedAccessSignature sr=a&sig=" + "A" * 3000 + "&se=1",
                "SharedAccessSignature sr=a&sig=%zz&se=99999999999999999999", "\0", "\xff")):
            with self.subTest(text[:40]):
                device = "s-mal-%d" % number
                self.refused(lambda d=device, t=text: self.dps(d, password=t))
                self.reason(device, plane="dps")

    def test_error_answers_never_show_the_token(self):
        password = token(harness.SCOPE + "/registrations/s-secret", os.urandom(32))
        mqtt.dps_register(self.dps("s-secret", password=password))
        signature = password.split("sig=")[1].split("&")[0]
        rows = json.dumps(self.op.connections(deviceId="s-secret"))
        self.assertNotIn(signature, rows)
        self.assertNotIn(signature, self.server.log)

    def test_certificates(self):
        self.x509_group()
        foreign = pki.make_ca(self.path("foreign"), "Foreign CA")
        now = pki.datetime.datetime.now(pki.datetime.timezone.utc)
        self.no_way("c-cn", "CN", cert=self.leaf("c-another"))
        self.no_way("c-foreign", "unknown issuer", cert=self.leaf("c-foreign", issuer=foreign))
        self.no_way("c-expired", "expired",
                    cert=self.leaf("c-expired", start=now - 9 * pki.DAY, end=now - pki.DAY))
        self.no_way("c-early", "not valid before", cert=self.leaf("c-early", start=now + pki.DAY))
        self.no_way("c-forged", "signature",
                    cert=self.leaf("c-forged", forge=pki.make_key(self.path("forger.key"))))
        self.no_way("c-self", cert=pki.self_signed(self.path("self"), "c-self")[:2])

    def test_certificates_that_no_enrollment_could_make_good(self):
        self.x509_group()

        def odd(name, **how):
            key = pki.make_key(self.path(name + ".key"))
            rows = pki.leaf_extensions(pki.spki(key), self.device_ca.key_id, **how)
            return self.leaf(name, key=key, extensions=rows)

        self.refused(lambda: self.dps("c-v1", cert=self.leaf("c-v1", v1=True)))
        self.refused(lambda: self.dps("c-ca", cert=odd("c-ca", ca=True, usage=0x84)))
        self.refused(lambda: self.dps("c-eku", cert=odd("c-eku", eku=pki.SERVER_AUTH)))
        for device in ("c-v1", "c-ca", "c-eku"):
            self.assertEqual(self.op.get("/devices/" + device).status, 404)
            self.reason(device, plane="dps")

    def test_weak_key(self):
        self.x509_group()
        key = pki.make_key(self.path("weak.key"), "rsa1024")
        try:
            context = mqtt.tls(self.server.ca)
            context.set_ciphers("DEFAULT@SECLEVEL=0")
            cert, _ = self.leaf("c-weak", key=key)
            context.load_cert_chain(cert, key)
            client = mqtt.Client(self.server.mqtt_port, context)
        except (OSError, harness.ssl.SSLError):
            return  # not even a handshake
        with client, self.assertRaises((mqtt.Refused, mqtt.Closed)):
            client.connect("c-weak", mqtt.dps_user(harness.SCOPE, "c-weak"))

    def test_odd_common_names(self):
        self.x509_group()
        for number, subject in enumerate((
                pki.name((pki.CN, "d"), (pki.CN, "n-0")), pki.name((pki.O, "n-1")),
                pki.name((pki.CN, "n-2\0x")), pki.name((pki.CN, "n-3,OU=eng")),
                pki.name((pki.CN, "N-4 ")), pki.name((pki.CN, "n-5*")))):
            with self.subTest(subject):
                device = "n-%d" % number
                self.refused(lambda d=device, s=subject: self.dps(d, cert=self.leaf(s)))

    def test_a_certificate_without_its_key(self):
        """The handshake proves possession: a copied certificate is worth nothing."""
        self.x509_group()
        cert, key = self.leaf("c-thief")
        thief = pki.stolen(key, pki.make_key(self.path("thief-own.key")), self.path("thief.key"))
        with self.assertRaises((mqtt.Closed, OSError)):
            self.dps("c-thief", cert=(cert, thief))
        self.assertEqual(self.op.get("/devices/c-thief").status, 404)
        self.dps("c-thief", cert=(cert, key)).ping()

    def test_chain_order_and_leaf_only_do_not_matter(self):
        self.x509_group()
        root = pki.read_pem(self.server.ca)[0]
        for device, chain in (("o-leaf", []), ("o-full", [self.device_ca.der, root]),
                              ("o-swapped", [root, self.device_ca.der]),
                              ("o-twice", [self.device_ca.der, self.device_ca.der])):
            with self.subTest(device):
                got = mqtt.dps_register(self.dps(device, cert=self.leaf(device, chain)))
                self.assertEqual(got.json["status"], "assigned")

    def test_nearest_ca_decides_and_a_disabled_one_blocks(self):
        root = pki.make_ca(self.path("own-root"), "Own Root")
        below = pki.make_ca(self.path("own-sub"), "Own Sub", root)
        self.x509_group("g-root", root.cert)
        got = mqtt.dps_register(self.dps("z-1", cert=self.leaf("z-1", issuer=below)))
        self.assertEqual(got.json["status"], "assigned", "through the sub CA to the group's root")
        self.x509_group("g-sub", below.cert, provisioningStatus="disabled")
        got = mqtt.dps_register(self.dps("z-2", cert=self.leaf("z-2", issuer=below)))
        self.assertEqual(got.json["status"], "disabled", "the higher group must not take it")
        got = mqtt.dps_register(self.dps("z-3", cert=self.leaf("z-3", issuer=root)))
        self.assertEqual(got.json["status"], "assigned")
        taken = self.op.put("/enrollmentGroups/g-again", {
            "enrollmentGroupId": "g-again", "attestation": {"type": "x509", "x509": {
                "signingCertificates": {"primary": {
                    "certificate": base64.b64encode(root.der).decode()}}}}})
        self.assertEqual(taken.status, 409, "a certificate is in one enrollment only")

    def test_no_group_names_the_ca(self):
        mqtt_ca = pki.make_ca(self.path("later"), "Later CA")
        self.x509_group("g-later", mqtt_ca.cert)
        self.dps("k-0", cert=self.leaf("k-0", issuer=mqtt_ca)).ping()
        self.assertEqual(self.op.delete("/enrollmentGroups/g-later").status, 204)
        self.no_way("k-1", "unknown issuer", cert=self.leaf("k-1", issuer=mqtt_ca))


class Azure(harness.ServerCase):
    HOME_SET = {"server": {"profile": "azure"}, "dps": {"retry_after_s": 1}}

    def settle(self, client, first):
        """Polls as an SDK does."""
        self.assertEqual((first.status, first.json["status"]), (202, "assigning"))
        self.assertEqual(list(first.pairs), ["$rid", "retry-after"])
        self.assertEqual(first.pairs["retry-after"], "1")
        operation = first.json["operationId"]
        early = mqtt.dps_poll(client, operation)
        self.assertEqual(early.status, 202)
        self.assertEqual(early.json["registrationState"], {
            "registrationId": first.json["registrationState"]["registrationId"],
            "status": "assigning"})
        time.sleep(2)
        got = mqtt.dps_poll(client, operation)
        self.assertEqual((got.status, got.json["status"]), (200, "assigned"))
        return got.json["registrationState"]

    def test_x509_becomes_a_thumbprint(self):
        self.x509_group()
        cert = self.leaf("az-x")
        client = self.dps("az-x", cert=cert)
        state = self.settle(client, mqtt.dps_register(client))
        self.assertEqual(state["deviceId"], "az-x")
        device = self.good(self.op.get("/devices/az-x"))
        thumb = pki.sha256(pki.read_pem(cert[0])[0])
        self.assertEqual(device["authentication"]["type"], "selfSigned")
        self.assertEqual(device["authentication"]["x509Thumbprint"]["primaryThumbprint"].lower(),
                         thumb)
        self.assertEqual(device["authentication"]["x509Thumbprint"]["secondaryThumbprint"].lower(),
                         thumb)
        self.hub("az-x", cert=cert).ping()
        # another certificate of the same CA and name has to come to DPS first (2.3)
        self.refused(lambda: self.hub("az-x", cert=self.leaf("az-x")))
        self.reason("az-x", "thumbprint")

    def test_sas(self):
        key = self.sas_group()
        client = self.dps("az-s", derive(key, "az-s"))
        self.settle(client, mqtt.dps_register(client))
        self.hub("az-s", derive(key, "az-s")).ping()

    def test_one_kind_of_credential_an_identity(self):
        key = self.sas_group("g-one")
        self.x509_group()
        mqtt.dps_register(self.dps("az-1", derive(key, "az-1")))
        mqtt.dps_register(self.dps("az-1", cert=self.leaf("az-1")))
        self.refused(lambda: self.hub("az-1", derive(key, "az-1")))


if __name__ == "__main__":
    harness.main()
