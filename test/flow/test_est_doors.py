"""EST's other doors: a device's own certificate, one-time tokens, approval, linking."""
import base64
import json
import os
import re
import socket
import ssl
import subprocess
import threading

import est
import harness
import mqtt
import pki
from pki import openssl

NAME = "/O=muster/CN="


class Own(est.Case):
    """RFC 7030 4.2.2: by the certificate that is to be renewed."""

    def renew(self, path, cert, key):
        return self.enroll(path, "--cert", cert, "--key", key, verb="simplereenroll")

    def test_a_device_renews_itself_with_a_new_key_and_with_the_old_one(self):
        cert, key = self.enrolled("own-1")
        path, new_key = self.csr(NAME + "own-1")
        status, head, body = self.renew(path, cert, key)
        self.assertEqual(status, 200, body)
        self.assertIn("certs-only", head)
        new = self.keep(body)
        self.assertEqual(openssl("x509", "-in", new, "-noout", "-pubkey"),
                         openssl("pkey", "-in", new_key, "-pubout"))
        path, _ = self.csr(NAME + "own-1", key=new_key)
        status, _, body = self.renew(path, new, new_key)
        self.assertEqual(status, 200, body)
        self.hub("own-1", cert=(self.keep(body), new_key))
        row = self.logged("own-1", "enroll")
        self.assertEqual((row["authType"], row["scope"]), ("x509", "device"))

    def test_a_certificate_is_for_its_own_device_alone(self):
        """field/reliability.md row 11"""
        cert, key = self.enrolled("own-2")
        path, _ = self.csr(NAME + "own-3")
        for verb in ("simpleenroll", "simplereenroll"):
            status, _, body = self.enroll(path, "--cert", cert, "--key", key, verb=verb)
            self.assertEqual(status, 403)
            self.assertIn(b"the CSR is for own-3, not own-2", body)
        self.reason("own-2", "not for the credential's own identity", plane="est")

    def test_a_renewal_keeps_subject_and_names(self):
        """row 12: compared as DER, not as text"""
        cert, key = self.enrolled("own-4")
        for subject, more, word in (
                ("/CN=own-4", (), b"another subject"),
                ("/O=muster/OU=eng/CN=own-4", (), b"another subject"),
                ("/O=muster,CN=own-4/CN=own-4", (), b"another subject"),
                (NAME + "own-4", ("-addext", "subjectAltName=DNS:own-4"), b"alternative names")):
            with self.subTest(subject):
                path, _ = self.csr(subject, "p256", *more, known=False)
                status, _, body = self.renew(path, cert, key)
                self.assertEqual(status, 403)
                self.assertIn(word, body)
                self.assertIn(b"make the CSR with the subject", body)

    def test_another_string_type_is_the_same_name(self):
        cert, key = self.enrolled("own-5")
        config = self.write("printable.cnf", b"[req]\nstring_mask = nombstr\n"
                            b"distinguished_name = dn\n[dn]\n")
        path, _ = self.csr(NAME + "own-5", "p256", "-config", config)
        with open(path, "rb") as f:
            self.assertIn(b"PRINTABLESTRING", openssl(
                "asn1parse", "-inform", "DER", stdin=base64.b64decode(f.read())))
        status, _, body = self.renew(path, cert, key)
        self.assertEqual(status, 200, body)

    def test_a_copy_signed_by_itself_is_nobody(self):
        """row 13: same issuer name, serial number and subject"""
        cert, key = self.enrolled("own-6")
        der = pki.read_pem(cert)[0]
        tbs = pki.elements(pki.elements(pki.elements(der)[0][1])[0][1])
        serial = int.from_bytes(tbs[1][1], "big")
        me = pki.Issuer.__new__(pki.Issuer)
        me.key, me.name, me.key_id = key, self.device_ca.name, pki.key_id(pki.spki(key))
        copy = me.issue(pki.name((pki.O, "muster"), (pki.CN, "own-6")), pki.spki(key),
                        serial=serial)
        path = self.path("copy.pem")
        pki.write_pem(path, "CERTIFICATE", copy)
        request, _ = self.csr(NAME + "own-6")
        status, _, body = self.renew(request, path, key)
        self.assertEqual(status, 401, body)
        self.assertEqual(self.renew(request, cert, key)[0], 200)

    def test_who_may_not_connect_may_not_renew(self):
        cert, key = self.enrolled("own-7")
        path, _ = self.csr(NAME + "own-7", known=False)
        for change, word in (({"status": "disabled"}, b"disabled"),
                             ({"authentication": {"type": "sas"}}, b"other kind of credential")):
            got = self.op.put("/devices/own-7", {
                "deviceId": "own-7", "authentication": {"type": "certificateAuthority"},
                **change}, If_Match="*")
            self.good(got)
            status, _, body = self.renew(path, cert, key)
            self.assertEqual(status, 403)
            self.assertIn(word, body)
        self.good(self.op.delete("/devices/own-7", If_Match="*"), 204)
        self.assertEqual(self.renew(path, cert, key)[0], 403)

    def test_a_revoked_device_is_told_so_for_good(self):
        """row 57: a final answer, with the way out"""
        cert, key = self.enrolled("own-8")
        self.good(self.op.post("/muster/revoke", {"deviceId": "own-8", "onlyCertificate": True,
                                                  "reason": "keyCompromise"}))
        path, _ = self.csr(NAME + "own-8", known=False)
        status, head, body = self.renew(path, cert, key)
        self.assertEqual(status, 403)
        self.assertNotIn("retry-after", head)
        self.assertIn(b"revoked", body)
        self.assertIn(b"one-time token", body)

    # ---- check-in ----

    def check_in(self, cert, key, report, status=200):
        got = self.server.anybody(cert=cert, key=key).post("/muster/checkin", report)
        self.assertEqual(got.status, status, got)
        return got.json

    def test_check_in_tells_time_window_and_tag(self):
        cert, key = self.enrolled("own-9")
        got = self.check_in(cert, key, {"custody": "tpm2", "generation": "0001",
                                        "anchors": ["ab" * 32], "clockMs": 0})
        self.assertLess(abs(got["nowMs"] / 1000 - harness.time.time()), 60)
        self.assertLess(got["nowMs"], got["renewStartMs"])
        self.assertLess(got["renewStartMs"], got["renewEndMs"])
        self.assertEqual(got["reason"], "scheduled")
        self.assertRegex(got["caTag"], "^[0-9a-f]{64}$")
        self.assertGreater(got["pollSeconds"], 0)
        again = self.check_in(cert, key, {})
        self.assertEqual(again["renewStartMs"], got["renewStartMs"], "the same each time")

    def test_check_in_refuses_strangers_and_odd_reports(self):
        cert, key = self.enrolled("own-10")
        stranger, its_key, _ = pki.self_signed(self.path("stranger"), "own-10")
        got = self.server.anybody(cert=stranger, key=its_key).post("/muster/checkin", {})
        self.assertEqual(got.status, 401)
        self.assertNotIn(b"nowMs", got.body)
        self.assertEqual(self.server.anybody().post("/muster/checkin", {}).status, 401)
        for odd in ({"custody": "pocket"}, {"anchors": ["xyz"]}, {"anchors": ["ab" * 32] * 33},
                    {"clockMs": -1}, {"clockMs": 1 << 62}, {"generation": "123456789"}, []):
            self.check_in(cert, key, odd, 400)


class Token(est.Case):
    def token(self, device, *more):
        got = self.works(self.muster("token", device, *more))
        secret = got.stdout.strip()
        self.assertRegex(secret, r"^[\w-]{43}$")
        self.assertIn(device, got.stderr)
        return secret

    def test_a_token_brings_a_device_in_once(self):
        secret = self.token("tok-1", "--create")
        path, key = self.csr("/CN=tok-1", known=False)
        status, _, body = self.enroll(path, "-u", "tok-1:" + secret)
        self.assertEqual(status, 200, body)
        self.hub("tok-1", cert=(self.keep(body), key))
        again = self.enroll(path, "-u", "tok-1:" + secret)
        self.assertEqual((again[0], again[2]), (200, body), "the answer may have been lost")
        other, _ = self.csr("/CN=tok-1", known=False)
        status, _, body = self.enroll(other, "-u", "tok-1:" + secret)
        self.assertEqual(status, 403)
        self.assertIn(b"muster est token", body)
        self.assertEqual(self.enroll(other, "-u", "tok-1:wrong")[0], 401)
        self.reason("tok-1", "used", plane="est")
        row = self.logged("tok-1", "enroll")
        self.assertEqual((row["authType"], row["scope"]), ("token", "token"))
        self.assertNotIn(secret, self.server.log)
        with open(os.path.join(self.server.home, "hub.db"), "rb") as f:
            self.assertNotIn(secret.encode(), f.read())

    def test_an_answer_that_was_lost_a_hundred_times(self):
        """row 64: the connection is cut behind the request's last byte"""
        secret = self.token("tok-lost", "--create")
        path, _ = self.csr("/CN=tok-lost", known=False)
        with open(path, "rb") as f:
            body = f.read()
        basic = base64.b64encode(b"tok-lost:" + secret.encode())
        request = (b"POST /.well-known/est/simpleenroll HTTP/1.1\r\nHost: x\r\nAuthorization: "
                   b"Basic " + basic + b"\r\nContent-Type: application/pkcs10\r\n"
                   b"Content-Length: %d\r\n\r\n" % len(body) + body)
        for _ in range(100):
            with socket.create_connection(("127.0.0.1", self.server.https_port), 10) as raw:
                mqtt.tls(self.server.ca).wrap_socket(
                    raw, server_hostname="127.0.0.1").sendall(request)
        answers = set()
        for _ in range(3):
            status, _, answer = self.eventually(
                lambda: self.taken(path, "-u", "tok-lost:" + secret), 20, "an answer")
            answers.add(answer)
        self.assertEqual(len(answers), 1, "one certificate, however often it was asked for")
        with open(os.path.join(self.server.home, "ca", "journal.log"), encoding="ascii") as f:
            self.assertEqual(f.read().count("tok-lost"), 1)

    def taken(self, *args):
        got = self.enroll(*args)
        return got if got[0] == 200 else None

    def test_two_at_once_get_one_certificate(self):
        secret = self.token("tok-2", "--create")
        paths = [self.csr("/CN=tok-2", known=False)[0] for _ in range(6)]
        got = []
        threads = [threading.Thread(
            target=lambda p=p: got.append(self.enroll(p, "-u", "tok-2:" + secret)[0]))
            for p in paths]
        for t in threads:
            t.start()
        for t in threads:
            t.join()
        self.assertEqual(got.count(200), 1, got)
        self.assertLessEqual(set(got), {200, 202, 403})

    def test_tokens_are_listed_without_their_secret_and_taken_back(self):
        secret = self.token("tok-3", "--create", "--life", "1h")
        got = self.works(self.muster("tokens", "tok-3", "-o", "json"))
        row = json.loads(got.stdout)
        self.assertEqual(row["deviceId"], "tok-3")
        self.assertEqual(row["expiresMs"] - row["createdMs"], 3600000)
        self.assertEqual(row["createdBy"], "operator:admin")
        self.assertNotIn("secret", row)
        self.assertIn("tok-3", self.works(self.muster("tokens")).stdout)
        self.works(self.muster("token", "tok-3", "--take-back"))
        path, _ = self.csr("/CN=tok-3", known=False)
        self.assertEqual(self.enroll(path, "-u", "tok-3:" + secret)[0], 401)

    def test_a_token_for_nobody(self):
        self.ends(self.muster("token", "tok-4"), 4, "tok-4")
        self.ends(self.muster("token", "no id", "--create"), 2, "no device's ID")
        self.ends(self.muster("token", "tok-4", "--life", "soon"), 3, "--life")
        self.ends(self.muster("token"), 2, "DEVICE")
        self.ends(self.muster("borrow"), 2, "no verb")

    def test_only_an_operator_hands_out(self):
        cert, key = self.enrolled("tok-5")
        keys = self.server.policy_keys()
        owner = harness.token("127.0.0.1", keys["iothubowner"], policy="iothubowner")
        for who in (self.server.anybody(), self.server.anybody(cert=cert, key=key),
                    self.server.anybody(auth=owner)):
            for method, path, body in (
                    ("PUT", "/muster/tokens/tok-5", {}), ("GET", "/muster/tokens", None),
                    ("DELETE", "/muster/tokens/tok-5", None),
                    ("GET", "/muster/enrolments", None),
                    ("POST", "/muster/enrolments/" + "0" * 64, {"approve": True}),
                    ("GET", "/muster/renew-allow", None),
                    ("PUT", "/muster/renew-allow/tok-5", {"untilMs": 1 << 42})):
                got = who.call(method, path, body)
                self.assertEqual(got.status, 401, (method, path, got))


class Approval(est.Case):
    HOME_SET = {"est": {"approval": "all", "retry_after_s": 7}}

    def waiting(self, device):
        got = self.works(self.muster("requests", "-o", "json"))
        rows = [json.loads(line) for line in got.stdout.splitlines()]
        return [r for r in rows if r["deviceId"] == device]

    def test_a_request_waits_until_it_is_approved(self):
        """RFC 7030 4.2.3: 202, and the same again after Retry-After"""
        cert, key = self.enrolled("wait-1")  # an operator's own word
        path, _ = self.csr(NAME + "wait-1")
        who = ("--cert", cert, "--key", key)
        status, head, body = self.enroll(path, *who, verb="simplereenroll")
        self.assertEqual(status, 202)
        self.assertIn("retry-after: 7\r\n", head)
        row = self.waiting("wait-1")[0]
        self.assertIn(row["id"].encode(), body)
        self.assertIn(row["id"][:12], self.works(self.muster("requests")).stdout)
        self.assertEqual(self.enroll(path, *who, verb="simplereenroll")[0], 202)
        self.assertEqual(len(self.waiting("wait-1")), 1)
        self.works(self.muster("approve", row["id"][:12], "--comment", "by phone"))
        status, _, body = self.enroll(path, *who, verb="simplereenroll")
        self.assertEqual(status, 200)
        self.assertEqual(self.enroll(path, *who, verb="simplereenroll")[2], body)
        self.ends(self.muster("approve", row["id"]), 5, "issued")
        self.ends(self.muster("approve", row["id"][:12]), 4, "no request")
        got = self.works(self.muster("requests", "--state", "issued", "-o", "json"))
        self.assertIn("operator:admin: by phone", got.stdout)

    def test_a_request_that_was_denied(self):
        cert, key = self.enrolled("wait-2")
        path, _ = self.csr(NAME + "wait-2")
        who = ("--cert", cert, "--key", key)
        self.enroll(path, *who, verb="simplereenroll")
        self.works(self.muster("deny", self.waiting("wait-2")[0]["id"]))
        status, _, body = self.enroll(path, *who, verb="simplereenroll")
        self.assertEqual(status, 403)
        self.assertIn(b"denied", body)


class Linked(est.Case):
    """RFC 7030 3.5; RFC 9266."""
    HOME_SET = {"est": {"linking": "required"}}

    def request(self, device, challenge, key=None):
        config = "[req]\nprompt = no\ndistinguished_name = dn\n[dn]\nO = muster\nCN = %s\n" % device
        if challenge is not None:
            config = config.replace("[dn]", "attributes = at\n[at]\nchallengePassword = %s\n[dn]"
                                    % challenge)
        path = self.write("linked.cnf", config.encode())
        key = key or pki.make_key(self.path("linked-%s.key" % os.urandom(4).hex()))
        der = openssl("req", "-new", "-key", key, "-config", path, "-outform", "DER")
        return base64.b64encode(der)

    def test_csrattrs_ask_for_it(self):
        """RFC 7030 4.5.2"""
        body = self.curl("csrattrs")[2]
        self.assertIn(b"challengePassword", openssl("asn1parse", "-inform", "DER",
                                                    stdin=base64.b64decode(body)))

    def test_without_it_and_with_a_wrong_one(self):
        cert, key = self.enrolled("link-1")
        for challenge, word in ((None, b"no challengePassword"), ("password", b"not of this"),
                                (base64.b64encode(os.urandom(12)).decode(), b"not of this"),
                                (base64.b64encode(os.urandom(32)).decode(), b"not of this")):
            path = self.write("wrong.b64", self.request("link-1", challenge))
            status, _, body = self.enroll(path, "--cert", cert, "--key", key,
                                          verb="simplereenroll")
            self.assertEqual(status, 403, challenge)
            self.assertIn(word, body)

    def http(self, tls, body):
        tls.sendall(b"POST /.well-known/est/simplereenroll HTTP/1.1\r\nHost: x\r\n"
                    b"Content-Type: application/pkcs10\r\nConnection: close\r\n"
                    b"Content-Length: %d\r\n\r\n" % len(body) + body)
        answer = b""
        while True:
            more = tls.recv(65536)
            if not more:
                return int(answer.split()[1]), answer
            answer += more

    def test_tls_unique_of_this_connection_on_1_2(self):
        cert, key = self.enrolled("link-2")
        context = mqtt.tls(self.server.ca, cert, key)
        context.maximum_version = ssl.TLSVersion.TLSv1_2
        stolen = None
        for _ in range(2):
            with socket.create_connection(("127.0.0.1", self.server.https_port), 10) as raw, \
                    context.wrap_socket(raw, server_hostname="127.0.0.1") as tls:
                unique = base64.b64encode(tls.get_channel_binding("tls-unique")).decode()
                body = self.request("link-2", stolen or unique)
                status, answer = self.http(tls, body)
                self.assertEqual(status, 403 if stolen else 200, answer)
                stolen = unique

    def test_tls_exporter_of_this_connection_on_1_3(self):
        cert, key = self.enrolled("link-3")
        client = subprocess.Popen(
            ["openssl", "s_client", "-connect", "127.0.0.1:%d" % self.server.https_port, "-tls1_3",
             "-CAfile", self.server.ca, "-cert", cert, "-key", key, "-keymatexport",
             "EXPORTER-Channel-Binding", "-keymatexportlen", "32", "-ign_eof"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        self.addCleanup(client.wait)
        self.addCleanup(client.stdout.close)
        self.addCleanup(client.kill)
        head = b""
        while b"Keying material: " not in head or not head.endswith(b"\n"):
            head += client.stdout.read1(65536)
        exported = re.search(rb"Keying material: ([0-9A-F]{64})", head).group(1)
        challenge = base64.b64encode(bytes.fromhex(exported.decode())).decode()
        body = self.request("link-3", challenge)
        client.stdin.write(b"POST /.well-known/est/simplereenroll HTTP/1.1\r\nHost: x\r\n"
                           b"Content-Type: application/pkcs10\r\nConnection: close\r\n"
                           b"Content-Length: %d\r\n\r\n" % len(body) + body)
        client.stdin.close()
        self.assertIn(b"HTTP/1.1 200", client.stdout.read())


if __name__ == "__main__":
    harness.main()
