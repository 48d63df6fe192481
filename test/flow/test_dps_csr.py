"""Certificates within a registration, and renewal over the hub session: Azure's preview of 2025
(docs/allocation.md)."""
import base64
import json
import os

import harness
import mqtt
import pki
from harness import derive

ISSUE = "$iothub/credentials/POST/issueCertificate/?$rid=%s"


class CsrCase(harness.ServerCase):
    def csr(self, subject, *more, key=None):
        """base64 of a request, and the file of its key."""
        path = key or self.path("key-" + os.urandom(4).hex())
        if not key:
            pki.openssl("genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256",
                        "-out", path)
        der = pki.openssl("req", "-new", "-key", path, "-subj", subject, "-outform", "DER", *more)
        return base64.b64encode(der).decode(), path

    def files(self, chain, key):
        """What a TLS client takes, of an issued chain."""
        path = self.path("cert-" + os.urandom(4).hex() + ".pem")
        pki.write_pem(path, "CERTIFICATE", *(base64.b64decode(c) for c in chain))
        return path, key

    def register(self, device, key, body):
        client = self.dps(device, derive(key, device))
        got = mqtt.dps_register(client, json.dumps(body).encode())
        while got.status == 202:
            got = mqtt.dps_poll(client, got.json["operationId"])
        return got

    def chains(self, chain, device):
        """It leads from the leaf to the root, and the leaf is the device's."""
        subjects = [pki.openssl("x509", "-inform", "DER", "-noout", "-subject", "-nameopt",
                                "RFC2253", stdin=base64.b64decode(c)).decode().strip()
                    for c in chain]
        self.assertEqual(len(chain), 3, subjects)
        self.assertIn("CN=" + device, subjects[0])
        path = self.path("chain-" + os.urandom(4).hex())
        pki.write_pem(path + "-leaf", "CERTIFICATE", base64.b64decode(chain[0]))
        pki.write_pem(path + "-ca", "CERTIFICATE", base64.b64decode(chain[1]))
        pki.openssl("verify", "-CAfile", self.server.ca, "-untrusted", path + "-ca",
                    path + "-leaf")


class Registration(CsrCase):
    HOME_SET = {"dps": {"issue": "true"}}

    def test_a_key_gets_a_certificate_that_opens_the_hub(self):
        group = self.sas_group("g-csr")
        csr, key = self.csr("/CN=csr-1")
        got = self.register("csr-1", group, {"csr": csr, "payload": {"a": 1}})
        self.assertEqual((got.status, got.json["status"]), (200, "assigned"))
        state = got.json["registrationState"]
        self.assertEqual(state["connectionProfile"], "classic")
        self.chains(state["issuedCertificateChain"], "csr-1")
        self.hub("csr-1", cert=self.files(state["issuedCertificateChain"], key)).ping()
        device = self.good(self.op.get("/devices/csr-1"))
        self.assertEqual(device["authentication"]["type"], "certificateAuthority")
        rows = self.op.rows("/muster/certificates", deviceId="csr-1")[0]
        self.assertEqual(len(rows), 1)

    def test_a_poll_has_the_chain_too_and_the_service_has_not(self):
        group = self.sas_group("g-poll")
        csr, _ = self.csr("/CN=CSR-poll")
        got = self.register("csr-poll", group, {"csr": csr})
        other = mqtt.dps_poll(self.dps("csr-poll", derive(group, "csr-poll")),
                              got.json["operationId"])
        self.assertEqual(other.json["registrationState"]["issuedCertificateChain"],
                         got.json["registrationState"]["issuedCertificateChain"])
        shown = self.good(self.op.get("/registrations/csr-poll"))
        self.assertNotIn("issuedCertificateChain", shown)

    def test_one_by_certificate_gets_another(self):
        self.x509_group()
        csr, key = self.csr("/CN=csr-x")
        client = self.dps("csr-x", cert=self.leaf("csr-x"))
        got = mqtt.dps_register(client, json.dumps({"csr": csr}).encode())
        chain = got.json["registrationState"]["issuedCertificateChain"]
        self.hub("csr-x", cert=self.files(chain, key)).ping()

    def test_what_is_no_request_is_400(self):
        group = self.sas_group("g-bad")
        csr, _ = self.csr("/CN=csr-bad")
        broken = base64.b64decode(csr)
        broken = base64.b64encode(broken[:-3] + bytes([broken[-3] ^ 1]) + broken[-2:]).decode()
        for body in ("AAAA", "!", "", broken, csr[:80], "A" * 9000, 7, {}):
            with self.subTest(str(body)[:20]):
                got = self.register("csr-bad", group, {"csr": body})
                self.assertEqual((got.status, got.json["errorCode"]), (400, 400040), got.json)
        self.assertEqual(self.op.get("/devices/csr-bad").status, 404)

    def test_a_request_for_somebody_else_fails(self):
        group = self.sas_group("g-other")
        csr, _ = self.csr("/CN=somebody")
        got = self.register("csr-other", group, {"csr": csr})
        self.assertEqual((got.status, got.json["status"]), (200, "failed"))
        self.assertEqual(got.json["registrationState"]["errorCode"], 403000)
        self.reason("csr-other", "somebody", plane="dps")

    def test_a_key_of_another_device_fails(self):
        group = self.sas_group("g-key")
        csr, key = self.csr("/CN=csr-k1")
        self.assertEqual(self.register("csr-k1", group, {"csr": csr}).json["status"], "assigned")
        csr, _ = self.csr("/CN=csr-k2", key=key)
        self.assertEqual(self.register("csr-k2", group, {"csr": csr}).json["status"], "failed")

    def test_without_a_request_nothing_is_issued(self):
        group = self.sas_group("g-none")
        state = self.register("csr-none", group, {"csr": None}).json["registrationState"]
        self.assertNotIn("issuedCertificateChain", state)
        self.assertNotIn("connectionProfile", state)


class Moved(CsrCase):
    HOME_SET = {"dps": {"issue": "true"}, "hub": {"name": "one.example two.example"}}

    def test_one_that_is_moved_leaves_its_hub_though_it_gets_no_certificate(self):
        group = self.sas_group("g-moved", iotHubs=["one.example"], allocationPolicy="static")
        self.assertEqual(self.register("mv-1", group, {}).json["status"], "assigned")
        key = derive(group, "mv-1")
        live = self.hub("mv-1", user=mqtt.hub_user("mv-1", "one.example"),
                        password=harness.token("one.example/devices/mv-1", key))
        self.sas_group("g-moved", group, iotHubs=["two.example"], allocationPolicy="static")
        csr, _ = self.csr("/CN=somebody")
        self.assertEqual(self.register("mv-1", group, {"csr": csr}).json["status"], "failed")
        self.assertTrue(live.closes(20))


class Off(CsrCase):
    def test_the_member_is_ignored(self):
        group = self.sas_group("g-off")
        csr, _ = self.csr("/CN=off-1")
        state = self.register("off-1", group, {"csr": csr}).json["registrationState"]
        self.assertNotIn("issuedCertificateChain", state)

    def test_the_session_does_not_renew(self):
        self.ca_device("off-2")
        client = self.hub("off-2", cert=self.leaf("off-2"))
        self.assertEqual(client.subscribe("$iothub/credentials/res/#"), [0x80])
        client.publish(ISSUE % "1", b"{}")
        client.ping()
        self.assertEqual(client.inbox, [])


class Renewal(CsrCase):
    HOME_SET = {"hub": {"issue": "true"}}

    def session(self, device, **who):
        client = self.hub(device, **who)
        self.assertEqual(client.subscribe("$iothub/credentials/res/#"), [1])
        return client

    def ask(self, client, rid, body):
        raw = body if isinstance(body, bytes) else json.dumps(body).encode()
        client.publish(ISSUE % rid, raw)
        return self.answer(client, rid)

    def answer(self, client, rid):
        topic, body = client.message()
        head, tail = topic.split("/?$rid=")
        self.assertEqual(tail, rid)
        return int(head.rsplit("/", 1)[1]), json.loads(body)

    def device(self, name):
        self.ca_device(name)
        return self.leaf(name)

    def test_it_is_accepted_then_issued_and_the_session_stays(self):
        client = self.session("r-1", cert=self.device("r-1"))
        csr, key = self.csr("/CN=r-1")
        status, body = self.ask(client, "req-1", {"id": "r-1", "csr": csr, "replace": None})
        self.assertEqual(status, 202)
        self.assertTrue(body["correlationId"] and body["operationExpires"])
        status, issued = self.answer(client, "req-1")
        self.assertEqual((status, issued["correlationId"]), (200, body["correlationId"]))
        self.chains(issued["certificates"], "r-1")
        client.ping()
        other = self.hub("r-1", cert=self.files(issued["certificates"], key))
        other.ping()

    def test_what_is_no_request(self):
        client = self.session("r-2", cert=self.device("r-2"))
        csr, _ = self.csr("/CN=r-2")
        for body in (b"", b"{", b"[]", {}, {"csr": "AAAA"}, {"id": "other", "csr": csr},
                     {"id": "r-2", "csr": 7}):
            with self.subTest(str(body)[:30]):
                status, got = self.ask(client, "x", body)
                self.assertEqual((status, got["errorCode"]), (400, 400040), got)
                self.assertTrue(got["message"] and got["trackingId"] and got["timestampUtc"])
        status, got = self.ask(client, "x", {"id": "r-2", "csr": csr, "replace": "none"})
        self.assertEqual((status, got["errorCode"]), (412, 412001))
        self.assertEqual(self.ask(client, "y", {"id": "r-2", "csr": csr, "replace": "*"})[0], 202)
        self.assertEqual(self.answer(client, "y")[0], 200)

    def test_a_name_that_is_not_its_own(self):
        client = self.session("r-3", cert=self.device("r-3"))
        csr, _ = self.csr("/CN=r-1")
        self.assertEqual(self.ask(client, "1", {"csr": csr})[0], 202)
        status, got = self.answer(client, "1")
        self.assertEqual((status, got["errorCode"]), (403, 403000))
        self.assertEqual(self.op.rows("/muster/certificates", deviceId="r-3")[0], [])
        client.ping()

    def test_several_at_once(self):
        client = self.session("r-4", cert=self.device("r-4"))
        csr, _ = self.csr("/CN=r-4")
        for rid, replace in (("a", None), ("b", None), ("c", "a"), ("d", "*"), ("e", "b")):
            client.write(mqtt.publish_packet(ISSUE % rid, json.dumps(
                {"csr": csr, "replace": replace}), 0))
        got = {}
        while not any(s == 200 for s, _ in got.values()):
            topic, body = client.message()
            head, rid = topic.split("/?$rid=")
            got[rid] = (int(head.rsplit("/", 1)[1]), json.loads(body))
        self.assertEqual(got["b"][1]["errorCode"], 409005)
        self.assertEqual(got["b"][1]["info"]["requestId"], "a")
        self.assertEqual(got["e"][1]["errorCode"], 412001)
        client.ping()

    def test_a_session_by_key_has_nothing_to_renew(self):
        key = self.sas_device("r-5")
        client = self.session("r-5", key=key)
        csr, _ = self.csr("/CN=r-5")
        status, got = self.ask(client, "1", {"csr": csr})
        self.assertEqual((status, got["errorCode"]), (403, 403000))


if __name__ == "__main__":
    harness.main()
