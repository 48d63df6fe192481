"""Individual enrollments, CAs by name and their proof of possession, which enrollment decides
(device.md 1.9, 2.1, 2.2; service.md 1.2 to 1.8, 3.5)."""
import base64
import datetime
import os

import harness
import mqtt
import pki
from harness import derive

SERVICE = ("/subscriptions/s/resourceGroups/g/providers/Microsoft.Devices/provisioningServices/muster"
           "/certificates")
RFC1123 = r"^(Mon|Tue|Wed|Thu|Fri|Sat|Sun), \d\d [A-Z][a-z]{2} \d{4} \d\d:\d\d:\d\d GMT$"


def text(path):
    with open(path, encoding="ascii") as f:
        return f.read()


def base64_of_file(path):
    """A certificate as az sends it: base64 of the file's text (clients.md 1.12)."""
    return base64.b64encode(text(path).encode()).decode()


class Enrollments(harness.ServerCase):
    """What the classes below share."""

    def individual(self, name, primary=None, secondary=None, **more):
        """An individual enrollment by certificates; files."""
        certs = {"primary": {"certificate": text(primary)}}
        if secondary:
            certs["secondary"] = {"certificate": text(secondary)}
        return self.good(self.op.put("/enrollments/" + name, {
            "registrationId": name, "attestation": {
                "type": "x509", "x509": {"clientCertificates": certs}}, **more}))

    def individual_keys(self, name, key, second=None, **more):
        keys = {"primaryKey": base64.b64encode(key).decode(),
                "secondaryKey": base64.b64encode(second or key).decode()}
        return self.good(self.op.put("/enrollments/" + name, {
            "registrationId": name, "attestation": {
                "type": "symmetricKey", "symmetricKey": keys}, **more}))

    def self_signed(self, subject, label=""):
        cert, key, thumb = pki.self_signed(self.path("self-%s%s" % (subject, label)), subject)
        return (cert, key), thumb

    def assigned(self, registration, **who):
        got = mqtt.dps_register(self.dps(registration, **who))
        self.assertEqual(got.status, 200, got.json)
        self.assertEqual(got.json["status"], "assigned", got.json)
        return got.json["registrationState"]

    def blocked(self, registration, **who):
        got = mqtt.dps_register(self.dps(registration, **who))
        self.assertEqual((got.status, got.json["status"]), (200, "disabled"), got.json)
        self.assertIsInstance(got.json["registrationState"]["errorCode"], int)

    def no_way(self, registration, *words, **who):
        """Refused, by CONNACK 5 or a 401 answer; why is in the log alone."""
        try:
            client = self.dps(registration, **who)
        except mqtt.Refused as e:
            self.assertEqual(e.code, 5)
        else:
            got = mqtt.dps_register(client)
            self.assertEqual((got.status, got.json["errorCode"]), (401, 401002), got.json)
        self.reason(registration, *words, plane="dps")


class Devices(Enrollments):
    def test_self_signed_leaf(self):
        cert, thumb = self.self_signed("one")
        self.individual("one", cert[0])
        state = self.assigned("one", cert=cert)
        self.assertEqual((state["deviceId"], state["x509"]), ("one", {}))
        device = self.good(self.op.get("/devices/one"))
        self.assertEqual(device["authentication"]["type"], "selfSigned")
        pins = device["authentication"]["x509Thumbprint"]
        self.assertEqual({pins[k].lower() for k in ("primaryThumbprint", "secondaryThumbprint")},
                         {thumb})
        self.hub("one", cert=cert).ping()
        other, _ = self.self_signed("one", "-other")
        self.refused(lambda: self.hub("one", cert=other))
        self.no_way("one", "self-signed", cert=other)

    def test_secondary_certificate_and_another_device_id(self):
        first, _ = self.self_signed("two", "-a")
        second, thumb = self.self_signed("two", "-b")
        self.individual("two", first[0], second[0], deviceId="Pump.7",
                        initialTwin={"tags": {"a": 1}, "properties": {"desired": {"b": 2}}})
        for cert in (first, second):
            self.assertEqual(self.assigned("two", cert=cert)["deviceId"], "Pump.7")
            self.hub("Pump.7", cert=cert).ping()
        pins = self.good(self.op.get("/devices/Pump.7"))["authentication"]["x509Thumbprint"]
        self.assertEqual(pins["primaryThumbprint"].lower(), thumb)
        self.assertEqual(self.op.get("/devices/two").status, 404)
        self.assertEqual(self.good(self.op.get("/twins/Pump.7"))["tags"], {"a": 1})

    def test_names_and_dates_are_judged(self):
        cert, _ = self.self_signed("three")
        self.individual("three", cert[0])
        self.no_way("other", "CN", cert=cert)
        self.individual("four", self.self_signed("five")[0][0])
        self.no_way("five", "enrolled as four", cert=self.pair("five"))
        now = datetime.datetime.now(datetime.timezone.utc)
        late = self.leaf("late", [], end=now - pki.DAY, start=now - 9 * pki.DAY)
        self.individual("late", late[0])
        self.no_way("late", "expired", cert=late)

    def pair(self, subject):
        folder = self.path("self-" + subject)
        return os.path.join(folder, "self.pem"), os.path.join(folder, "self.key")

    def test_leaf_of_a_private_ca(self):
        foreign = pki.make_ca(self.path("private"), "Private CA")
        leaf = self.leaf("priv", [], issuer=foreign)
        self.individual("priv", leaf[0])
        self.assigned("priv", cert=leaf)
        self.assertEqual(self.good(self.op.get("/devices/priv"))["authentication"]["type"],
                         "selfSigned")
        self.hub("priv", cert=leaf).ping()

    def test_leaf_of_our_own_ca_is_the_only_one(self):
        """It names one certificate: another of that CN is not the device, whoever trusts its CA."""
        leaf, other = self.leaf("ours"), self.leaf("ours")
        self.individual("ours", self.only(leaf[0]))
        self.assigned("ours", cert=leaf)
        self.assertEqual(self.good(self.op.get("/devices/ours"))["authentication"]["type"],
                         "selfSigned")
        self.hub("ours", cert=leaf).ping()
        self.refused(lambda: self.hub("ours", cert=other))
        self.no_way("ours", cert=other)

    def only(self, path):
        """A file of the first certificate of another."""
        alone = path + ".leaf"
        pki.write_pem(alone, "CERTIFICATE", pki.read_pem(path)[0])
        return alone

    def test_symmetric_keys_of_its_own(self):
        key, second = os.urandom(32), os.urandom(16)
        group = self.sas_group("beside")
        self.individual_keys("Key-1", key, second)
        self.assertEqual(self.assigned("key-1", key=key)["deviceId"], "Key-1")
        self.hub("Key-1", key).ping()
        self.hub("Key-1", second).ping()
        self.assigned("Key-1", key=second)
        self.no_way("Key-1", "individual enrollment", key=derive(group, "Key-1"))
        self.no_way("Key-2", "signature", key=key)
        self.individual_keys("Key-1", key, second, provisioningStatus="disabled")
        self.blocked("Key-1", key=key)
        self.no_way("Key-1", "signature", key=derive(group, "Key-1"))

    def test_precedence(self):
        """leaf, intermediate, root: the most specific decides, a disabled one blocks."""
        root = pki.make_ca(self.path("p-root"), "Precedence Root")
        sub = pki.make_ca(self.path("p-sub"), "Precedence Sub", root)
        leaf = self.leaf("p-1", [sub.der, root.der], issuer=sub)
        other = self.leaf("p-2", [sub.der, root.der], issuer=sub)

        def by(who, device="p-1", cert=leaf):
            self.assigned(device, cert=cert)
            self.assertEqual(self.op.connections(deviceId=device, what="register")[-1]["reason"],
                             who + ", hub 127.0.0.1")

        self.no_way("p-1", "unknown issuer", cert=leaf)
        self.x509_group("p-root", root.cert)
        by("group p-root")
        self.x509_group("p-sub", sub.cert)
        by("group p-sub")
        self.x509_group("p-sub", sub.cert, provisioningStatus="disabled")
        self.blocked("p-1", cert=leaf)
        self.individual("p-1", self.only(leaf[0]))
        by("individual enrollment")
        self.x509_group("p-sub", sub.cert)
        self.individual("p-1", self.only(leaf[0]), provisioningStatus="disabled")
        self.blocked("p-1", cert=leaf)
        by("group p-sub", "p-2", other)
        renewed = self.leaf("p-1", [sub.der, root.der], issuer=sub)
        self.blocked("p-1", cert=renewed)
        self.individual("p-1", self.only(leaf[0]))
        self.no_way("p-1", "names another certificate", cert=renewed)
        self.individual("p-1", self.only(leaf[0]), self.only(renewed[0]))
        by("individual enrollment", cert=renewed)
        self.assertEqual(self.op.delete("/enrollments/p-1").status, 204)
        self.assertEqual(self.op.delete("/enrollmentGroups/p-sub").status, 204)
        by("group p-root", cert=renewed)

    def test_revoked_device_stays_out(self):
        cert, _ = self.self_signed("gone")
        self.individual("gone", cert[0])
        self.assigned("gone", cert=cert)
        self.hub("gone", cert=cert).ping()
        self.good(self.op.post("/muster/revoke", {"deviceId": "gone", "reason": "keyCompromise"}))
        self.refused(lambda: self.hub("gone", cert=cert))
        got = mqtt.dps_register(self.dps("gone", cert=cert))
        self.assertGreaterEqual(got.status, 400)


class Service(Enrollments):
    def test_what_comes_back(self):
        cert, thumb = self.self_signed("api-1")
        made = self.individual("api-1", cert[0], deviceId="Api-1", iotHubs=["127.0.0.1"],
                               optionalDeviceInformation={"batch": [1, {"x": "ü"}]},
                               capabilities={"iotEdge": True}, allocationPolicy="static")
        got = self.good(self.op.get("/enrollments/API-1"))
        self.assertEqual(got, made)
        self.assertEqual((got["registrationId"], got["deviceId"]), ("api-1", "Api-1"))
        self.assertEqual(got["optionalDeviceInformation"], {"batch": [1, {"x": "ü"}]})
        self.assertIsNone(got["registrationState"])
        self.assertNotIn("enrollmentGroupId", got)
        x509 = got["attestation"]["x509"]
        self.assertIsNone(x509["signingCertificates"])
        self.assertIsNone(x509["clientCertificates"]["secondary"])
        primary = x509["clientCertificates"]["primary"]
        self.assertIsNone(primary["certificate"])
        self.assertEqual(primary["info"]["sha256Thumbprint"].lower(), thumb)
        self.assertEqual(primary["info"]["subjectName"], "CN=api-1")
        self.assigned("api-1", cert=cert)
        state = self.good(self.op.get("/enrollments/api-1"))["registrationState"]
        self.assertEqual((state["status"], state["deviceId"], state["assignedHub"]),
                         ("assigned", "Api-1", "127.0.0.1"))
        # sent back as it came, with "info" alone: the certificate stays (clients.md 1.16)
        back = dict(made, provisioningStatus="disabled")
        self.good(self.op.put("/enrollments/api-1", back, If_Match=made["etag"]))
        self.blocked("api-1", cert=cert)
        self.assertEqual(self.op.put("/enrollments/api-1", back,
                                     If_Match=made["etag"]).status, 412)
        self.assertEqual(self.op.delete("/enrollments/api-1", If_Match=made["etag"]).status, 412)
        self.assertEqual(self.op.delete("/enrollments/api-1", If_Match="*").status, 204)
        gone = self.op.get("/enrollments/api-1")
        self.assertEqual((gone.status, gone.json["errorCode"]), (404, 404201))

    def test_keys_only_where_they_are_asked_for(self):
        made = self.good(self.op.put("/enrollments/keys-1", {
            "registrationId": "keys-1", "attestation": {"type": "symmetricKey"}}))
        self.assertNotIn("primaryKey", str(made))
        got = self.good(self.op.post("/enrollments/keys-1/attestationmechanism"))
        self.assertEqual(got["type"], "symmetricKey")
        key = base64.b64decode(got["symmetricKey"]["primaryKey"])
        self.assertGreaterEqual(len(key), 16)
        self.assigned("keys-1", key=key)
        self.good(self.op.put("/enrollments/keys-1", made))
        self.assertEqual(self.good(self.op.post("/enrollments/keys-1/attestationmechanism")), got)

    def test_query_pages(self):
        for i in range(3):
            self.individual_keys("page-%d" % i, os.urandom(32))
        first = self.op.post("/enrollments/query", {"query": "*"}, x_ms_max_item_count="2")
        rows = self.good(first)
        self.assertEqual(first.headers["x-ms-item-type"], "enrollment")
        self.assertEqual(len(rows), 2)
        while "x-ms-continuation" in first.headers:
            first = self.op.post("/enrollments/query", {"query": "*"}, x_ms_max_item_count="2",
                                 x_ms_continuation=first.headers["x-ms-continuation"])
            rows += self.good(first)
        names = [r["registrationId"] for r in rows]
        self.assertEqual(len(names), len(set(names)))
        self.assertLessEqual({"page-0", "page-1", "page-2"}, set(names))
        self.assertNotIn("Keys", str([r["attestation"].get("symmetricKey") for r in rows]))

    def test_what_is_refused(self):
        cert, _ = self.self_signed("bad")
        pem = text(cert[0])
        x509 = {"type": "x509", "x509": {"clientCertificates": {"primary": {"certificate": pem}}}}
        for body in ({"attestation": x509, "registrationId": "other"}, {"attestation": x509,
                     "deviceId": "a/b"}, {"attestation": {"type": "none"}}, {},
                     {"attestation": {"type": "x509", "x509": {"signingCertificates": {
                         "primary": {"certificate": pem}}}}},
                     {"attestation": {"type": "x509", "x509": {"clientCertificates": {}}}},
                     {"attestation": {"type": "x509", "x509": {"clientCertificates": {
                         "primary": {"certificate": pem + pem}}}}},
                     {"attestation": {"type": "x509", "x509": {"caReferences": {
                         "primary": "nothing"}}}},
                     {"attestation": {"type": "symmetricKey", "symmetricKey": {
                         "primaryKey": "c2hvcnQ="}}},
                     {"attestation": x509, "optionalDeviceInformation": [1]},
                     {"attestation": x509, "optionalDeviceInformation": {"a": "x" * 9000}}):
            with self.subTest(str(body)[:80]):
                got = self.op.put("/enrollments/bad", body)
                self.assertIn(got.status, (400, 413), got)
        self.assertEqual(self.op.get("/enrollments/bad").status, 404)
        self.assertEqual(self.op.put("/enrollmentGroups/g-bad", {"attestation": x509}).status, 400)
        self.individual("bad", cert[0])
        again = self.op.put("/enrollments/again", {"attestation": x509})
        self.assertEqual(again.status, 409, again)

    def test_bulk(self):
        def bulk(mode, *items, kind="enrollments"):
            return self.op.post("/" + kind, {"mode": mode, kind: list(items)})

        def one(name, **more):
            return {"registrationId": name, "attestation": {"type": "symmetricKey"}, **more}

        got = self.good(bulk("create", *(one("bulk-%d" % i) for i in range(10))))
        self.assertEqual(got, {"isSuccessful": True, "errors": []})
        got = self.good(bulk("create", one("bulk-10"), one("bulk-3"), one("not/an/id"),
                             {"attestation": {"type": "symmetricKey"}}))
        self.assertFalse(got["isSuccessful"])
        self.assertEqual([(e["registrationId"], e["errorCode"] // 1000) for e in got["errors"]],
                         [("bulk-3", 409), ("not/an/id", 400), ("", 400)])
        self.assertTrue(all(e["errorStatus"] for e in got["errors"]))
        self.good(self.op.get("/enrollments/bulk-10"))
        got = self.good(bulk("update", one("bulk-10", provisioningStatus="disabled"),
                             one("bulk-11")))
        self.assertEqual([(e["registrationId"], e["errorCode"]) for e in got["errors"]],
                         [("bulk-11", 404201)])
        now = self.good(self.op.get("/enrollments/bulk-10"))
        self.assertEqual(now["provisioningStatus"], "disabled")
        got = self.good(bulk("updateIfMatchETag", dict(now, provisioningStatus="enabled"),
                             dict(now, provisioningStatus="enabled")))
        self.assertEqual([e["errorCode"] // 1000 for e in got["errors"]], [412])
        got = self.good(bulk("updateIfMatchETag", dict(now, etag="")))
        self.assertEqual([e["errorCode"] // 1000 for e in got["errors"]], [412])
        got = self.good(bulk("delete", {"registrationId": "bulk-10"},
                             {"registrationId": "bulk-10"}))
        self.assertEqual([e["errorCode"] for e in got["errors"]], [404201])
        for bad in (bulk("create", *(one("over-%d" % i) for i in range(11))), bulk("merge"),
                    self.op.post("/enrollments", {"mode": "create"})):
            self.assertEqual(bad.status, 400, bad)
        self.assertEqual(self.op.get("/enrollments/over-0").status, 404)
        self.assertEqual(self.good(bulk("delete", {"enrollmentGroupId": "none"},
                                        kind="enrollmentGroups"))["errors"][0]["errorCode"],
                         404201)
        made = bulk("create", {"enrollmentGroupId": "bulk-g", "attestation": {
            "type": "symmetricKey"}}, kind="enrollmentGroups")
        self.assertTrue(self.good(made)["isSuccessful"])
        self.good(self.op.get("/enrollmentGroups/bulk-g"))


class References(Enrollments):
    """CAs in the provisioning service, with and without proof of possession."""

    def upload(self, name, ca, **more):
        return self.op.put(SERVICE + "/" + name, {"certificate": base64_of_file(ca.cert), **more})

    def group(self, name, primary, secondary=None, **more):
        return self.op.put("/enrollmentGroups/" + name, {
            "enrollmentGroupId": name, "attestation": {"type": "x509", "x509": {
                "caReferences": {"primary": primary, "secondary": secondary}}}, **more})

    def proof(self, ca, code):
        """The verification certificate as the how-to makes it: openssl, no extensions."""
        base = self.path("proof-" + os.urandom(4).hex())
        pki.openssl("req", "-new", "-newkey", "rsa:2048", "-nodes", "-keyout", base + ".key",
                    "-subj", "/CN=" + code, "-out", base + ".csr")
        pki.openssl("x509", "-req", "-in", base + ".csr", "-CA", ca.cert, "-CAkey", ca.key,
                    "-set_serial", "7", "-days", "2", "-sha256", "-out", base + ".pem")
        return base + ".pem"

    def test_proof_of_possession(self):
        ca = pki.make_ca(self.path("pop"), "Proven CA")
        other = pki.make_ca(self.path("pop2"), "Proven CA")
        leaf = self.leaf("pop-1", [ca.der], issuer=ca)
        made = self.good(self.upload("Pop.Ca_1", ca, isVerified=False))
        p = made["properties"]
        self.assertEqual((made["name"], p["isVerified"], p["subject"]),
                         ("Pop.Ca_1", False, "Proven CA"))
        self.assertTrue(made["id"].endswith("/provisioningServices/muster/certificates/Pop.Ca_1"))
        self.assertEqual(made["type"], "Microsoft.Devices/provisioningServices/Certificates")
        self.assertRegex(p["thumbprint"], "^[0-9A-F]{40}$")
        for key in ("expiry", "created", "updated"):
            self.assertRegex(p[key], RFC1123)
        self.assertNotIn("verificationCode", p)
        self.good(self.group("pop", "pop.ca_1"))
        self.no_way("pop-1", "unknown issuer", cert=leaf)
        early = self.op.post(SERVICE + "/Pop.Ca_1/verify", {
            "certificate": base64_of_file(self.proof(ca, "x"))}, If_Match=made["etag"])
        self.assertEqual(early.status, 412, "no code was asked for")
        coded = self.good(self.op.post(SERVICE + "/pop.ca_1/generateVerificationCode",
                                       If_Match=made["etag"]))
        where = SERVICE + "/Pop.Ca_1"
        for missing in (self.op.post(where + "/generateVerificationCode"), self.op.delete(where),
                        self.op.post(where + "/verify", {"certificate": base64_of_file(ca.cert)})):
            self.assertEqual(missing.status, 400, missing)
            self.assertIn("If-Match", missing.text)
        code = coded["properties"]["verificationCode"]
        self.assertRegex(code, "^[0-9A-F]{48}$")
        self.assertNotEqual(coded["etag"], made["etag"])
        where = SERVICE + "/Pop.Ca_1/verify"

        def verify(path, etag=coded["etag"]):
            return self.op.post(where, {"certificate": base64_of_file(path)}, If_Match=etag)

        good = self.proof(ca, code)
        self.assertEqual(verify(self.proof(ca, code[::-1])).status, 400)
        self.assertEqual(verify(self.proof(other, code)).status, 400, "another key, same name")
        self.assertEqual(verify(ca.cert).status, 400)
        self.assertEqual(verify(good, made["etag"]).status, 412)
        self.assertFalse(self.good(self.op.get(SERVICE + "/Pop.Ca_1"))["properties"]["isVerified"])
        self.no_way("pop-1", "unknown issuer", cert=leaf)
        reader = self.signed_in("reader")
        self.assertEqual(reader.post(where, {"certificate": base64_of_file(good)},
                                     If_Match=coded["etag"]).status, 403)
        done = self.good(verify(good))
        self.assertTrue(done["properties"]["isVerified"])
        self.assertNotIn(done["etag"], (made["etag"], coded["etag"]))
        self.assertEqual(verify(good, "*").status, 412, "a code proves once")

        def comes():
            try:
                return mqtt.dps_register(self.dps("pop-1", cert=leaf)).status == 200
            except mqtt.Refused:
                return False
        self.eventually(comes, what="the edges to know the CA")
        self.hub("pop-1", cert=leaf).ping()
        got = self.good(self.op.get("/enrollmentGroups/pop"))["attestation"]["x509"]
        self.assertEqual(got["caReferences"], {"primary": "Pop.Ca_1", "secondary": None})
        self.assertIsNone(got["signingCertificates"])
        refused = self.op.delete(SERVICE + "/Pop.Ca_1", If_Match=done["etag"])
        self.assertEqual(refused.status, 409, refused)
        self.assertIn("pop", refused.text)
        self.assertEqual(self.op.delete("/enrollmentGroups/pop").status, 204)
        self.assertEqual(self.op.delete(SERVICE + "/Pop.Ca_1", If_Match="AAAA").status, 412)
        self.assertEqual(self.op.delete(SERVICE + "/Pop.Ca_1", If_Match=done["etag"]).status, 204)
        self.assertEqual(self.op.get(SERVICE + "/Pop.Ca_1").status, 404)

    def test_both_bodies_and_the_flag(self):
        ca = pki.make_ca(self.path("flag"), "Flagged CA")
        new = {"properties": {"certificate": base64.b64encode(ca.der).decode(),
                              "isVerified": True}}
        made = self.good(self.op.put(SERVICE + "/flag", new))
        self.assertTrue(made["properties"]["isVerified"])
        again = self.good(self.upload("flag", ca))
        self.assertTrue(again["properties"]["isVerified"])
        rows = self.good(self.op.get(SERVICE))["value"]
        self.assertIn("flag", [r["name"] for r in rows])
        self.assertEqual(self.upload("second", ca).status, 409, "one certificate, one name")
        leaf = self.leaf("no-ca")
        for body in ({"certificate": base64_of_file(leaf[0])}, {"certificate": "AAAA"}, {},
                     {"certificate": text(ca.cert)}, {"certificate": 7}):
            self.assertEqual(self.op.put(SERVICE + "/bad", body).status, 400, body)
        self.assertEqual(self.op.put(SERVICE + "/bad%20name", new).status, 404)

    def test_secondary_and_one_enrollment_a_certificate(self):
        first = pki.make_ca(self.path("ref-a"), "Ref A")
        second = pki.make_ca(self.path("ref-b"), "Ref B")
        self.good(self.upload("ref-a", first, isVerified=True))
        self.good(self.upload("ref-b", second, isVerified=True))
        self.good(self.group("refs", "ref-a", "ref-b"))
        leaf = self.leaf("ref-1", [second.der], issuer=second)

        def comes():
            try:
                return mqtt.dps_register(self.dps("ref-1", cert=leaf)).status == 200
            except mqtt.Refused:
                return False
        self.eventually(comes, what="the edges to know the CA")
        self.assertEqual(self.group("more", "ref-b").status, 409)
        self.assertEqual(self.group("more", "nothing").status, 400)
        got = self.op.put("/enrollmentGroups/more", {"attestation": {"type": "x509", "x509": {
            "signingCertificates": {"primary": {"certificate": text(first.cert)}}}}})
        self.assertEqual(got.status, 409, got)
        self.good(self.group("refs", "ref-a", "ref-b", provisioningStatus="disabled"))
        self.blocked("ref-1", cert=leaf)


class Azure(Enrollments):
    HOME_SET = {"server": {"profile": "azure"}}

    def test_chains_are_not_completed(self):
        root = pki.make_ca(self.path("az-root"), "Azure Root")
        sub = pki.make_ca(self.path("az-sub"), "Azure Sub", root)
        self.x509_group("az-root", root.cert)
        whole = self.leaf("az-1", [sub.der], issuer=sub)
        got = mqtt.dps_register(self.dps("az-1", cert=whole))
        self.assertEqual((got.status, got.json["status"]), (202, "assigning"))
        alone = self.leaf("az-2", [], issuer=sub)
        self.no_way("az-2", cert=alone)
        direct = self.leaf("az-3", [], issuer=root)
        self.assertEqual(mqtt.dps_register(self.dps("az-3", cert=direct)).status, 202)

    def test_leaf_of_an_individual_is_pinned(self):
        leaf = self.leaf("az-own")
        alone = self.path("az-own.pem")
        pki.write_pem(alone, "CERTIFICATE", pki.read_pem(leaf[0])[0])
        self.individual("az-own", alone)
        self.assertEqual(mqtt.dps_register(self.dps("az-own", cert=leaf)).status, 202)
        self.assertEqual(self.good(self.op.get("/devices/az-own"))["authentication"]["type"],
                         "selfSigned")


if __name__ == "__main__":
    harness.main()
