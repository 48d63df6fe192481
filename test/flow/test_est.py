"""EST (RFC 7030, 8951) with curl and openssl as the peers."""
import base64
import os
import re
import subprocess

import harness
import mqtt
import pki
from pki import openssl


class Est(harness.ServerCase):
    def curl(self, path, *more):
        got = subprocess.run(
            ["curl", "-sS", "--max-time", "20", "--cacert", self.server.ca, "-D", "-",
             *more, "https://127.0.0.1:%d/.well-known/est/%s" % (self.server.https_port, path)],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, check=False)
        self.assertEqual(got.returncode, 0, got.stderr)
        head, body = got.stdout.split(b"\r\n\r\n", 1)
        return int(head.split()[1]), head.decode().lower(), body

    def operator_files(self):
        base = os.path.join(self.server.home, "operators", "admin")
        return ["--cert", base + ".pem", "--key", base + ".key"]

    def certificates(self, body):
        """The PEM blocks of a base64 PKCS#7."""
        pem = openssl("pkcs7", "-inform", "DER", "-print_certs", stdin=base64.b64decode(body))
        return [b"-----BEGIN" + part for part in pem.split(b"-----BEGIN")[1:]]

    def csr(self, subject="/CN=est-1", kind="p256", *more, known=True):
        name = subject.rsplit("=", 1)[-1]
        if known and re.fullmatch(r"[\w-]+", name):
            self.op.put("/devices/" + name, {"deviceId": name})
        key = pki.make_key(self.path("csr.key"), kind)
        der = openssl("req", "-new", "-key", key, "-subj", subject, "-outform", "DER", *more)
        path = self.path("csr.b64")
        with open(path, "wb") as f:
            f.write(base64.b64encode(der))
        return path, key

    def enroll(self, path, *who):
        return self.curl("simpleenroll", *who, "-H", "Content-Type: application/pkcs10",
                         "--data-binary", "@" + path)

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
        cert, key = self.leaf("est-6")
        status, _, body = self.enroll(path, "--cert", cert, "--key", key)
        self.assertIn(status, (401, 403), body)

    def test_rsa_request(self):
        path, _ = self.csr("/CN=est-7", "rsa2048")
        status, _, body = self.enroll(path, *self.operator_files())
        self.assertEqual(status, 200)
        text = openssl("x509", "-noout", "-text", stdin=self.certificates(body)[0]).decode()
        self.assertRegex(text, r"Key Usage: critical\n\s+Digital Signature, Key Encipherment\n")

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


if __name__ == "__main__":
    harness.main()
