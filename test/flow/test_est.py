"""EST (RFC 7030, 8951) with curl and openssl as the peers: the endpoints, and what an operator
may do as a registration authority."""
import base64
import email
import os
import subprocess

import est
import harness
import mqtt
import pki
from pki import openssl


class Est(est.Case):
    def test_cacerts_for_anybody(self):
        status, head, body = self.curl("cacerts")
        self.assertEqual(status, 200)
        self.assertIn("application/pkcs7-mime", head)
        self.assertNotIn("content-transfer-encoding", head)
        got = self.certificates(body)
        self.assertEqual(len(got), 2)
        text = b"".join(openssl("x509", "-noout", "-subject", stdin=c) for c in got)
        self.assertIn(b"Device Issuing CA", text)
        self.assertIn(b"Root CA", text)

    def test_enrolled_certificate_has_the_profile_and_works(self):
        self.x509_group()
        path, key = self.csr()
        status, head, body = self.enroll(path, *self.operator_files())
        self.assertEqual(status, 200, body)
        self.assertIn("certs-only", head)
        got = self.certificates(body)
        self.assertEqual(len(got), 1, "only the issued certificate")
        cert = self.path("est-1.pem")
        with open(cert, "wb") as f:
            f.write(got[0])
        ok = openssl("verify", "-x509_strict", "-purpose", "sslclient", "-CAfile", self.server.ca,
                     "-untrusted", self.device_ca.cert, cert)
        self.assertIn(b": OK", ok)
        self.assertEqual(openssl("x509", "-in", cert, "-noout", "-pubkey"),
                         openssl("pkey", "-in", key, "-pubout"))
        answer = mqtt.dps_register(self.dps("est-1", cert=(cert, key)))
        self.assertEqual(answer.json["status"], "assigned")
        journal = os.path.join(self.server.home, "ca/journal.log")
        with open(journal, encoding="ascii") as f:
            self.assertIn(pki.sha256(pki.read_pem(cert)[0]), f.read())

    def test_what_a_csr_asks_for_beyond_the_profile_is_not_given(self):
        """AD CS "ESC1": nothing in a request adds a right (reliability.md, row 10)."""
        path, _ = self.csr(
            "/CN=est-2", "p256", "-addext", "basicConstraints=critical,CA:TRUE", "-addext",
            "keyUsage=keyCertSign", "-addext", "extendedKeyUsage=serverAuth,anyExtendedKeyUsage",
            "-addext", "subjectAltName=DNS:another-device,DNS:localhost")
        status, _, body = self.enroll(path, *self.operator_files())
        if status == 200:
            text = openssl("x509", "-noout", "-text", stdin=self.certificates(body)[0]).decode()
            self.assertRegex(text, r"Basic Constraints: critical\n\s+CA:FALSE\n")
            self.assertRegex(text, r"Key Usage: critical\n\s+Digital Signature\n")
            self.assertNotIn("Subject Alternative Name", text)
            self.assertRegex(text, r"Extended Key Usage: *\n\s+TLS Web Client Authentication\n")
        else:
            self.assertEqual(status, 400)

    def test_subject_is_the_cn_alone(self):
        path, _ = self.csr("/O=Evil/OU=eng/CN=est-3")
        status, _, body = self.enroll(path, *self.operator_files())
        if status == 200:
            text = openssl("x509", "-noout", "-subject", stdin=self.certificates(body)[0]).decode()
            self.assertNotIn("Evil", text)
            self.assertNotIn("eng", text)

    def test_names_and_keys_that_are_refused(self):
        for subject, kind in (("/O=none", "p256"), ("/CN=a/CN=b", "p256"), ("/CN=a b", "p256"),
                              ("/CN=a,OU=eng", "p256"), ("/CN=", "p256"), ("/CN=a#", "p256"),
                              ("/CN=..", "p256"), ("/CN=weak", "rsa1024")):
            with self.subTest(subject):
                path, _ = self.csr(subject, kind)
                self.assertEqual(self.enroll(path, *self.operator_files())[0], 400)

    def test_csr_signed_by_another_key(self):
        one, two = self.csr()[1], pki.make_key(self.path("two.key"))
        der = openssl("req", "-new", "-key", one, "-subj", "/CN=est-4", "-outform", "DER")
        info = pki.elements(pki.elements(der)[0][1])
        signature = openssl("dgst", "-sha256", "-sign", two, stdin=info[0][2])
        forged = pki.sequence(info[0][2], info[1][2], pki.tlv(0x03, b"\0" + signature))
        path = self.path("forged.b64")
        with open(path, "wb") as f:
            f.write(base64.b64encode(forged))
        self.assertEqual(self.enroll(path, *self.operator_files())[0], 400)

    def test_bodies_that_are_none(self):
        path = self.path("bad")
        for body in (b"", b"AAAA", b"not base64!", os.urandom(500),
                     base64.b64encode(os.urandom(500)), b"A" * 200000):
            with open(path, "wb") as f:
                f.write(body)
            self.assertIn(self.enroll(path, *self.operator_files())[0], (400, 413))

    def test_white_space_in_base64_is_taken(self):
        path, _ = self.csr("/CN=est-5")
        with open(path, "rb") as f:
            raw = f.read()
        with open(path, "wb") as f:
            f.write(b"\r\n".join(raw[i:i + 64] for i in range(0, len(raw), 64)) + b"\r\n")
        self.assertEqual(self.enroll(path, *self.operator_files())[0], 200)

    def test_device_that_the_hub_does_not_know(self):
        path, _ = self.csr("/CN=est-unknown", known=False)
        status, _, body = self.enroll(path, *self.operator_files())
        self.assertEqual(status, 404)
        self.assertIn(b"est-unknown", body)

    def test_who_may_not_enroll(self):
        path, _ = self.csr("/CN=est-6")
        status, _, body = self.enroll(path)
        self.assertEqual(status, 401, body)
        cert, key = self.leaf("est-another")
        status, _, body = self.enroll(path, "--cert", cert, "--key", key)
        self.assertEqual(status, 403, body)
        cert, key, _ = pki.self_signed(self.path("stranger"), "est-6")
        status, _, body = self.enroll(path, "--cert", cert, "--key", key)
        self.assertEqual(status, 401, body)

    def test_rsa_request(self):
        path, _ = self.csr("/CN=est-7", "rsa2048")
        status, _, body = self.enroll(path, *self.operator_files())
        self.assertEqual(status, 200)
        text = openssl("x509", "-noout", "-text", stdin=self.certificates(body)[0]).decode()
        self.assertRegex(text, r"Key Usage: critical\n\s+Digital Signature, Key Encipherment\n")

    def test_csrattrs_say_what_a_request_should_hold(self):
        """RFC 7030 4.5.2"""
        status, head, body = self.curl("csrattrs")
        self.assertEqual(status, 200)
        self.assertIn("content-type: application/csrattrs", head)
        text = openssl("asn1parse", "-inform", "DER", stdin=base64.b64decode(body)).decode()
        for word in ("id-ecPublicKey", "prime256v1", "ecdsa-with-SHA256"):
            self.assertIn(word, text)
        self.assertNotIn("challengePassword", text)

    def test_a_label_changes_nothing(self):
        """RFC 7030 3.2.2"""
        self.assertEqual(self.curl("cacerts")[2], self.curl("some-label/cacerts")[2])
        self.assertEqual(self.curl("some-label/csrattrs")[0], 200)
        path, _ = self.csr("/CN=est-label")
        self.assertEqual(self.enroll(path, *self.operator_files(), verb="x/simpleenroll")[0], 200)
        self.assertEqual(self.enroll(path, verb="x/simpleenroll")[0], 401)
        self.assertEqual(self.curl("x/y/cacerts")[0], 404)
        self.assertEqual(self.curl("fullcmc")[0], 404)

    def test_what_real_clients_send_is_read_and_named(self):
        path, _ = self.csr("/CN=est-odd")
        with open(path, "rb") as f:
            text = f.read()
        der = base64.b64decode(text)
        lines = b"\n".join(text[i:i + 64] for i in range(0, len(text), 64))
        pem = b"-----BEGIN %sCERTIFICATE REQUEST-----\n" + lines
        pem += b"\n-----END %sCERTIFICATE REQUEST-----\n"
        rows = [
            (text, "application/pkcs10", [], None),
            (lines.replace(b"\n", b"\r\n"), "application/pkcs10; charset=x", [], None),
            (text, "application/pkcs10", ["Content-Transfer-Encoding: base64"], None),
            (pem % (b"", b""), "application/pkcs10", [], "pem armour"),
            (pem % (b"NEW ", b"NEW "), "application/pkcs10", [], "pem armour"),
            (der, "application/pkcs10", [], "der without base64"),
            (text.translate(bytes.maketrans(b"+/", b"-_")), "application/pkcs10", [],
             "base64url" if b"+" in text or b"/" in text else None),
            (text.rstrip(b"="), "application/pkcs10", [],
             "base64 without padding" if b"=" in text else None),
            (text + b"\0", "application/pkcs10", [], "nul at the end"),
            (b"\xef\xbb\xbf" + text, "application/pkcs10", [], "byte order mark"),
            (text, "", [], "no content-type"),
            (text, "application/x-www-form-urlencoded", [],
             "content-type application/x-www-form-urlencoded"),
            (text, "a/b<c<script>", [], "content-type a/b?c?script?"),
            (text, "application/pkcs10", ["Content-Transfer-Encoding: binary"],
             "content-transfer-encoding binary"),
            (pem % (b"", b""), "text/plain", ["Content-Transfer-Encoding: 8bit"],
             "content-type text/plain; content-transfer-encoding 8bit; pem armour"),
        ]
        for body, kind, headers, odd in rows:
            with self.subTest(odd=odd, body=body[:40]):
                more = [w for h in headers for w in ("-H", h)]
                status, head, answer = self.enroll(
                    self.write("odd", body), *self.operator_files(), *more, content_type=kind)
                self.assertEqual(status, 200, answer)
                if odd:
                    self.assertIn("muster-tolerated: %s\r\n" % odd, head + "\r\n")
                else:
                    self.assertNotIn("muster-tolerated", head)
        self.logged("est-odd", "enroll", "tolerated: PEM armour")

    def test_a_body_that_is_something_else_is_told_so(self):
        cert = pki.read_pem(self.device_ca.cert)[0]
        with open(self.device_ca.cert, "rb") as f:
            pem = f.read()
        with open(pki.make_key(self.path("leak.key")), "rb") as f:
            leak = f.read()
        for body, word in ((b'{"csr":1}', b"JSON"), (b"<html>", b"HTML"), (pem, b"no CERTIFICATE"),
                           (leak, b"known to others now"), (b"", b"empty"),
                           (base64.b64encode(cert), b""), (b"MII=A", b"base64")):
            with self.subTest(body[:20]):
                status, head, answer = self.enroll(self.write("else", body),
                                                   *self.operator_files())
                self.assertEqual(status, 400)
                self.assertIn("text/plain", head)
                self.assertIn(word, answer)

    def test_without_a_credential_a_token_is_asked_for(self):
        """RFC 7030 3.2.3, 4.2.3"""
        path, _ = self.csr("/CN=est-401")
        for verb in ("simpleenroll", "simplereenroll", "serverkeygen"):
            for who in ([], ["-u", "est-401:wrong"], ["-H", "Authorization: Bearer x"],
                        ["-H", "Authorization: Basic !"], ["-H", "Authorization: Basic"]):
                if verb == "serverkeygen" and who == ["-u", "est-401:wrong"]:
                    continue  # it is off, whoever asks
                status, head, body = self.enroll(path, *who, verb=verb)
                self.assertEqual(status, 401, (verb, who))
                self.assertIn('www-authenticate: basic realm="est"', head)
                self.assertNotIn(b"token", body, "a stranger is told nothing")

    def test_no_keys_are_made_unless_it_is_said(self):
        path, _ = self.csr("/CN=est-keygen")
        status, _, body = self.enroll(path, *self.operator_files(), verb="serverkeygen")
        self.assertEqual(status, 404)
        self.assertIn(b"est.serverkeygen is off", body)

    def test_a_key_of_another_device_is_refused(self):
        """field/reliability.md row 17"""
        _, key = self.enrolled("est-key-1")
        path, _ = self.csr("/CN=est-key-2", key=key)
        status, _, body = self.enroll(path, *self.operator_files())
        self.assertEqual(status, 403)
        self.assertIn(b"certified for another identity", body)
        self.assertIn(b"make a new key pair", body)
        path, _ = self.csr("/CN=est-key-1", key=key)
        self.assertEqual(self.enroll(path, *self.operator_files())[0], 200, "its own, again")
        key = os.path.join(self.server.home, "ca", "device-ca.key")
        path, _ = self.csr("/CN=est-key-2", key=key)
        status, _, body = self.enroll(path, *self.operator_files())
        self.assertEqual(status, 403, "the CA's own")

    def test_server_certificate_as_openssl_sees_it(self):
        for port in (self.server.mqtt_port, self.server.https_port):
            got = subprocess.run(
                ["openssl", "s_client", "-connect", "127.0.0.1:%d" % port, "-CAfile",
                 self.server.ca, "-verify_return_error", "-verify_ip", "127.0.0.1", "-showcerts"],
                input=b"", stdout=subprocess.PIPE, stderr=subprocess.PIPE, check=False,
                timeout=20).stdout
            self.assertIn(b"Verify return code: 0 (ok)", got)
            self.assertIn(b"Service Issuing CA", got)
            leaf = got[got.index(b"-----BEGIN"):]
            text = openssl("x509", "-noout", "-text", stdin=leaf).decode()
            self.assertRegex(text, r"Extended Key Usage: *\n\s+TLS Web Server Authentication\n")
            self.assertIn("IP Address:127.0.0.1", text)
            soon = openssl("x509", "-noout", "-checkend", "90000", stdin=leaf, check=False)
            self.assertIn(b"will expire", soon, "it lives a day")

    def test_renegotiation_is_refused(self):
        got = subprocess.run(
            ["openssl", "s_client", "-connect", "127.0.0.1:%d" % self.server.https_port,
             "-tls1_2", "-CAfile", self.server.ca], input=b"R\n", stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, check=False, timeout=20).stdout
        self.assertTrue(b"no renegotiation" in got or b"handshake failure" in got
                        or b"alert" in got or b"error" in got, got[-500:])


class Keygen(est.Case):
    HOME_SET = {"est": {"serverkeygen": "true"}}

    def test_key_and_certificate_come_as_one_answer(self):
        """RFC 7030 4.4.2"""
        path, own = self.csr("/CN=gen-1")
        status, head, body = self.enroll(path, *self.operator_files(), verb="serverkeygen")
        self.assertEqual(status, 200, body)
        kind = [h for h in head.split("\r\n") if h.startswith("content-type:")][0]
        message = email.message_from_bytes(kind.encode() + b"\r\n\r\n" + body)
        parts = message.get_payload()
        self.assertEqual([p.get_content_type() for p in parts],
                         ["application/pkcs8", "application/pkcs7-mime"])
        key = parts[0].get_payload(decode=True)
        cert = self.certificates(base64.b64encode(parts[1].get_payload(decode=True)))[0]
        public = openssl("pkey", "-inform", "DER", "-pubout", stdin=key)
        self.assertEqual(public, openssl("x509", "-noout", "-pubkey", stdin=cert))
        self.assertNotEqual(public, openssl("pkey", "-in", own, "-pubout"))
        with open(self.server.log_path, "rb") as f:
            self.assertNotIn(base64.b64encode(key)[:40], f.read())

    def test_an_encrypted_key_is_not_offered(self):
        path, key = self.csr("/CN=gen-2")
        with open(path, "rb") as f:
            info = pki.elements(pki.elements(base64.b64decode(f.read()))[0][1])[0]
        fields = [e[2] for e in pki.elements(info[1])[:3]]
        attribute = pki.sequence(pki.oid("1.2.840.113549.1.9.16.2.37"),
                                 pki.tlv(0x31, pki.tlv(0x04, b"key id")))
        info = pki.sequence(*fields, pki.tlv(0xa0, attribute))
        sign = openssl("dgst", "-sha256", "-sign", key, stdin=info)
        der = pki.sequence(info, pki.sequence(pki.oid("1.2.840.10045.4.3.2")),
                           pki.tlv(0x03, b"\0" + sign))
        path = self.write("encrypted", base64.b64encode(der))
        status, _, body = self.enroll(path, *self.operator_files(), verb="serverkeygen")
        self.assertEqual(status, 400)
        self.assertIn(b"DecryptKeyIdentifier", body)
        self.assertEqual(self.enroll(path, *self.operator_files())[0], 200)


if __name__ == "__main__":
    harness.main()
