"""Revocation: five effects, live sessions, holds, what no ticket and no other door gets around."""
import datetime
import json
import os
import socket
import ssl

import harness
import issued
import mqtt
import pki

ALL = {"crl": "done", "ocsp": "done", "identity": "done", "enrollment": "done", "session": "done"}


class Revoke(issued.IssuedCase):
    def still_there(self, client):
        client.ping()

    def test_one_order_five_effects(self):
        self.x509_group()
        cert = self.enrolled("r-1")
        live = self.hub("r-1", cert=cert)
        effects = self.revoke("r-1", reason="keyCompromise", comment="stolen")
        self.assertEqual(self.states(effects), ALL)
        self.assertTrue(live.closes(10))
        with self.subTest("the hub"):
            self.refused(lambda: self.hub("r-1", cert=cert))
        with self.subTest("the identity"):
            device = self.good(self.op.get("/devices/r-1"))
            self.assertEqual(device["status"], "disabled")
            self.assertEqual(device["statusReason"], "revoked: keyCompromise; stolen")
        with self.subTest("the log"):
            rows = self.op.connections(deviceId="r-1", what="revoke")
            self.assertIn("keyCompromise, 1 certificates; stolen", rows[-1]["reason"])
        with self.subTest("again"):
            self.eventually(lambda: set(self.states(self.revoke(
                "r-1", reason="keyCompromise")).values()) == {"unchanged"})

    def test_the_certificate_alone_is_refused_at_every_door(self):
        self.x509_group()
        cert = self.enrolled("r-2")
        live = self.hub("r-2", cert=cert)
        effects = self.revoke(thumbprint=self.thumbprint(cert[0]), onlyCertificate=True)
        self.assertEqual(self.states(effects), {**ALL, "identity": "unchanged",
                                                "enrollment": "unchanged"})
        self.assertTrue(live.closes(10))
        self.refused(lambda: self.hub("r-2", cert=cert))
        self.reason("r-2", "certificate is revoked", plane="hub")
        with self.dps("r-2", cert=cert) as client:
            answer = mqtt.dps_register(client)
            self.assertEqual(answer.status, 401, answer.json)
        self.reason("r-2", "certificate is revoked", plane="dps")
        self.assertEqual(self.good(self.op.get("/devices/r-2"))["status"], "enabled")
        newer = self.enrolled("r-2", identity=False)
        self.still_there(self.hub("r-2", cert=newer))

    def test_a_blocked_registration_cannot_come_back_by_another_way(self):
        key = self.sas_group("g-block")
        self.x509_group()
        cert = self.enrolled("r-3")
        self.hub("r-3", cert=cert).disconnect()
        self.revoke("r-3", reason="cessationOfOperation")
        self.good(self.op.delete("/devices/r-3", If_Match="*"), 204)
        fresh = self.leaf("r-3")
        for how in ({"cert": fresh}, {"key": harness.derive(key, "r-3")}):
            with self.subTest(how=list(how)), self.dps("r-3", **how) as client:
                answer = mqtt.dps_register(client)
                self.assertEqual(answer.status, 403, answer.json)
        self.reason("r-3", "blocked", plane="dps")

    def test_a_hold_ends(self):
        cert = self.enrolled("r-4")
        live = self.hub("r-4", cert=cert)
        self.revoke("r-4", reason="certificateHold")
        self.assertTrue(live.closes(10))
        self.refused(lambda: self.hub("r-4", cert=cert))
        self.revoke("r-4", undo=True)
        self.still_there(self.hub("r-4", cert=cert))
        self.assertEqual(self.good(self.op.get("/devices/r-4"))["status"], "enabled")

    def test_only_a_hold_ends(self):
        cert = self.enrolled("r-5")
        self.revoke("r-5", reason="keyCompromise")
        got = self.revoke("r-5", status=412, undo=True)
        self.assertIn("keyCompromise", got.text)
        self.refused(lambda: self.hub("r-5", cert=cert))

    def test_an_id_that_was_revoked_for_good_enrols_again(self):
        self.x509_group()
        cert = self.enrolled("r-9")
        self.hub("r-9", cert=cert).disconnect()
        self.revoke("r-9", reason="keyCompromise")
        order = {"deviceId": "r-9", "allow": True}
        self.assertEqual(self.op.post("/muster/revoke", order).status, 400)
        effects = self.revoke("r-9", allow=True, comment="a new board")
        self.assertEqual({name for name, state in self.states(effects).items()
                          if state == "done"}, {"enrollment"})
        row = self.op.connections(deviceId="r-9", what="allow")[-1]
        self.assertIn("a new board", row["reason"])
        self.assertTrue(row["thumbprint"])
        with self.subTest("the old certificate"), self.dps("r-9", cert=cert) as client:
            self.assertEqual(mqtt.dps_register(client).status, 401)
        self.good(self.op.delete("/devices/r-9", If_Match="*"), 204)
        fresh = self.leaf("r-9")
        with self.dps("r-9", cert=fresh) as client:
            answer = mqtt.dps_register(client)
            self.assertEqual(answer.status, 200, answer.json)
        self.still_there(self.hub("r-9", cert=fresh))
        self.refused(lambda: self.hub("r-9", cert=cert))
        self.revoke("r-9", status=412, allow=True, comment="again")

    def test_what_cannot_be_ordered(self):
        for body, status in (({"deviceId": "nobody-here"}, 404), ({}, 400),
                             ({"deviceId": "r-6", "reason": "because"}, 400),
                             ({"deviceId": "r-6", "reason": "removeFromCRL"}, 400),
                             ({"thumbprint": "zz"}, 400), ({"deviceId": 5}, 400),
                             ({"thumbprint": "00" * 32}, 404)):
            with self.subTest(body=body):
                self.assertEqual(self.op.post("/muster/revoke", body).status, status)
        self.assertEqual(self.op.post("/muster/revoke", b"[]").status, 400)
        self.assertEqual(self.op.get("/muster/revoke").status, 405)

    def test_who_may_not_order(self):
        cert = self.enrolled("r-7")
        keys = self.server.policy_keys()
        body = {"deviceId": "r-7"}
        for name, who in (
                ("nobody", self.server.anybody()), ("a device", self.server.anybody(
                    None, *cert)),
                ("a policy", self.server.anybody(harness.token(
                    "127.0.0.1", keys["iothubowner"], policy="iothubowner")))):
            with self.subTest(name):
                self.assertIn(who.post("/muster/revoke", body).status, (401, 403))
        self.still_there(self.hub("r-7", cert=cert))

    def test_exactly_the_revoked_ones_are_cut(self):
        """Reliability row 27, scaled: a fifth of those connected."""
        n = 500
        key = pki.make_key(self.path("many.key"))
        public = pki.spki(key)
        clients = {}
        for i in range(n):
            device = "m-%d" % i
            self.ca_device(device)
            base = self.path(device)
            pki.write_pem(base + ".pem", "CERTIFICATE", self.device_ca.issue(device, public),
                          self.device_ca.der)
            clients[device] = self.hub(device, cert=(base + ".pem", key))
        gone = {"m-%d" % i for i in range(0, n, 5)}
        for device in sorted(gone):
            self.revoke(device, reason="keyCompromise")
        for device in sorted(gone):
            self.assertTrue(clients[device].closes(10), device)
        for device, client in clients.items():
            if device not in gone:
                client.ping()

    def test_no_ticket_outlives_a_revocation(self):
        """Row 30: who resumes a session is judged anew, whichever edge it comes to."""
        cert = self.enrolled("r-8")
        context = mqtt.tls(self.server.ca, *cert, most=ssl.TLSVersion.TLSv1_2)
        with mqtt.Client(self.server.mqtt_port, context) as client:
            client.connect("r-8", mqtt.hub_user("r-8"))
            session = client.sock.session
        for _ in range(6):
            with mqtt.Client(self.server.mqtt_port, context, session=session) as client:
                self.assertTrue(client.sock.session_reused)
                client.connect("r-8", mqtt.hub_user("r-8"))
        self.revoke(thumbprint=self.thumbprint(cert[0]), onlyCertificate=True)
        for _ in range(6):
            with mqtt.Client(self.server.mqtt_port, context, session=session) as client:
                self.assertTrue(client.sock.session_reused)
                self.refused(lambda link=client: link.connect("r-8", mqtt.hub_user("r-8")))

    def test_no_ticket_outlives_a_revocation_over_https(self):
        for most in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
            with self.subTest(version=most):
                device = "r-9-%d" % most
                cert = self.enrolled(device)
                context = mqtt.tls(self.server.ca, *cert, most=most)
                status, session, reused = self.check_in(context)
                self.assertEqual((status, reused), (200, False))
                status, session, reused = self.check_in(context, session)
                self.assertEqual((status, reused), (200, True))
                self.revoke(thumbprint=self.thumbprint(cert[0]), onlyCertificate=True)
                status, session, reused = self.check_in(context, session)
                self.assertEqual((status, reused), (401, True))

    def check_in(self, context, session=None):
        """(status, session to resume with, whether this one was resumed)"""
        raw = socket.create_connection(("127.0.0.1", self.server.https_port), 20)
        with context.wrap_socket(raw, server_hostname="127.0.0.1", session=session) as link:
            link.sendall(b"POST /muster/checkin HTTP/1.1\r\nHost: 127.0.0.1\r\n"
                         b"Content-Type: application/json\r\nContent-Length: 2\r\n"
                         b"Connection: close\r\n\r\n{}")
            status = int(link.recv(65536).split(b" ", 2)[1])
            return status, link.session, link.session_reused


class Operator(issued.IssuedCase):
    def test_an_operator_is_judged_with_each_request(self):
        """Nor does a kept connection outlive the certificate it was opened with."""
        self.good(self.op.get("/devices/nobody"), 404)
        link = self.op.link
        cert = os.path.join(self.server.home, "operators", "admin.pem")
        effects = self.revoke(thumbprint=self.thumbprint(cert))
        self.assertEqual(effects["identity"]["text"], "operator admin is disabled")
        self.assertEqual(self.op.get("/devices/nobody").status, 401)
        self.assertIs(self.op.link, link)


class Dates(issued.IssuedCase):
    def test_a_session_ends_with_its_certificate(self):
        """The hub closes at notAfter, and lets nobody in after it."""
        end = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(seconds=4)
        cert = self.leaf("d-1", end=end)
        self.ca_device("d-1")
        live = self.hub("d-1", cert=cert)
        self.assertTrue(live.closes(30))
        self.refused(lambda: self.hub("d-1", cert=cert))
        self.reason("d-1", "expired")


class Azure(issued.IssuedCase):
    HOME_SET = {"server": {"profile": "azure"}}

    def test_the_hub_asks_for_no_revocation_but_the_identity_is_disabled(self):
        cert = self.enrolled("a-1")
        live = self.hub("a-1", cert=cert)
        self.revoke(thumbprint=self.thumbprint(cert[0]), onlyCertificate=True)
        live.ping()
        self.hub("a-1", cert=cert).ping()
        self.revoke("a-1")
        self.refused(lambda: self.hub("a-1", cert=cert))


class Clones(issued.IssuedCase):
    HOST = "127.0.0.1"

    def test_one_certificate_in_two_places(self):
        """127.0.0.1 and 127.0.0.2 take the device from each other in turn."""
        cert = self.enrolled("c-1")
        for source in ("127.0.0.1", "127.0.0.2", "127.0.0.1"):
            self.assertEqual(self.op.connections(deviceId="c-1", what="clone"), [])
            self.come("c-1", cert, source)
        rows = self.op.connections(deviceId="c-1", what="clone")
        self.assertEqual(len(rows), 1)
        self.assertIn("127.0.0.1 and 127.0.0.2", rows[0]["reason"])
        self.assertRegex(self.server.log, r"event=core\.clone device=c-1")

    def test_one_key_in_two_certificates(self):
        first = self.leaf("c-2")
        second = self.leaf("c-3", key=first[1])
        for device, cert in (("c-2", first), ("c-3", second)):
            self.ca_device(device)
            self.hub(device, cert=cert).ping()
        rows = self.op.connections(deviceId="c-3", what="clone")
        self.assertEqual(len(rows), 1)
        self.assertIn("c-2", rows[0]["reason"])

    def come(self, device, cert, source):
        client = mqtt.Client(self.server.mqtt_port, mqtt.tls(self.server.ca, *cert),
                             source=source)
        self.addCleanup(client.close)
        client.connect(device, mqtt.hub_user(device))


class Command(issued.IssuedCase):
    def muster(self, *args):
        return harness.run("revoke", "--home", self.server.home, *args)

    def effects(self, *args):
        got = self.works(self.muster("-o", "json", *args))
        return {e["name"]: e["state"] for e in json.loads(got.stdout)}

    def test_the_command(self):
        cert = self.enrolled("k-1")
        live = self.hub("k-1", cert=cert)
        got = self.works(self.muster("k-1", "--reason", "keyCompromise", "--comment", "lost"))
        for name in ALL:
            self.assertRegex(got.stdout, r"(?m)^%s +done +\S" % name)
        self.assertTrue(live.closes(10))
        self.assertEqual(set(self.effects("k-1", "--reason", "keyCompromise")) , set(ALL))

    def test_a_hold_by_thumbprint_and_its_end(self):
        cert = self.enrolled("k-2")
        one = ["--thumbprint", self.thumbprint(cert[0]), "--only-certificate"]
        self.assertEqual(self.effects(*one, "--reason", "certificateHold")["crl"], "done")
        self.refused(lambda: self.hub("k-2", cert=cert))
        self.assertEqual(self.effects("k-2", "--undo")["crl"], "done")
        self.hub("k-2", cert=cert).ping()

    def test_what_is_wrong_is_said_in_one_line(self):
        self.ends(self.muster("nobody-here"), 4, "nobody-here")
        self.ends(self.muster("nobody-here", "--reason", "why"), 3, "keyCompromise")
        self.ends(self.muster(), 2, "DEVICE")
        self.ends(self.muster("k-1", "--target", "aws"), 2, "'aws'", "there are muster")
        self.enrolled("k-3")
        self.works(self.muster("k-3", "--reason", "keyCompromise"))
        self.ends(self.muster("k-3", "--undo"), 5, "keyCompromise")

    def test_the_way_back(self):
        self.enrolled("k-4")
        self.works(self.muster("k-4", "--reason", "keyCompromise"))
        self.ends(self.muster("k-4", "--allow"), 2, "--comment")
        allow = ["--allow", "--comment", "a new board"]
        self.ends(self.muster(*allow, "--thumbprint", "00" * 32), 2, "DEVICE")
        self.ends(self.muster("k-4", *allow, "--target", "azure"), 3, "azure")
        self.assertEqual(self.effects("k-4", *allow)["enrollment"], "done")
        self.ends(self.muster("k-4", *allow), 5, "not blocked")

    def test_azures_api_has_some_of_the_effects(self):
        self.x509_group()
        cert = self.enrolled("z-1")
        with self.dps("z-1", cert=cert) as client:
            self.assertEqual(mqtt.dps_register(client).status, 200)
        live = self.hub("z-1", cert=cert)
        azure = ["z-1", "--target", "azure"]
        self.assertEqual(self.effects(*azure, "--reason", "certificateHold"), {
            "crl": "not offered", "ocsp": "not offered", "identity": "done",
            "enrollment": "partly", "session": "unknown"})
        self.assertTrue(live.closes(10))
        self.refused(lambda: self.hub("z-1", cert=cert))
        self.assertEqual(self.op.get("/registrations/z-1").status, 404)
        self.assertEqual(self.effects(*azure)["identity"], "unchanged")
        self.assertEqual(self.effects(*azure, "--undo")["identity"], "done")
        self.hub("z-1", cert=cert).ping()
        self.ends(self.muster(*azure, "--undo"), 5, "not on hold")
        self.ends(self.muster(*azure, "--only-certificate"), 3, "azure")


if __name__ == "__main__":
    harness.main()
