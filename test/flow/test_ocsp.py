"""OCSP as a service, with openssl and GnuTLS's ocsptool as the clients."""
import base64
import os
import re
import secrets
import shutil
import signal
import urllib.parse

import harness
import pki
import public
from pki import openssl

SHA1, SHA256 = "1.3.14.3.2.26", "2.16.840.1.101.3.4.2.1"


def request(ca_der, serial, algorithm=SHA1, nonce=None, copies=1):
    """An OCSPRequest (RFC 6960 4.1.1) for a serial number of a CA."""
    import hashlib
    digest = hashlib.sha1 if algorithm == SHA1 else hashlib.sha256
    tbs = pki.elements(pki.elements(pki.elements(ca_der)[0][1])[0][1])
    name = tbs[5][2]
    bits = pki.elements(pki.elements(tbs[6][2])[0][1])[1][1]
    one = pki.sequence(pki.sequence(
        pki.sequence(pki.oid(algorithm), pki.tlv(0x05)), pki.tlv(0x04, digest(name).digest()),
        pki.tlv(0x04, digest(bits[1:]).digest()), pki.integer(serial)))
    fields = [pki.sequence(*[one] * copies)]
    if nonce is not None:
        fields.append(pki.tlv(0xa2, pki.sequence(pki.sequence(
            pki.oid("1.3.6.1.5.5.7.48.1.2"), pki.tlv(0x04, pki.tlv(0x04, nonce))))))
    return pki.sequence(pki.sequence(*fields))


class OcspCase(public.PublicCase):
    def url(self):
        return "http://127.0.0.1:%d/ocsp" % self.server.http_port

    def chain(self):
        """A file with the root and the device CA, for clients to verify with."""
        path = self.path("ocsp-chain.pem")
        with open(path, "wb") as out:
            for name in ("root", "device-ca"):
                with open(os.path.join(self.server.home, "ca", name + ".pem"), "rb") as f:
                    out.write(f.read())
        return path

    def openssl_says(self, cert, *more):
        digest = [m for m in more if m == "-sha256"]  # must stand before the certificate
        got = harness.run("ocsp", "-issuer", self.device_ca.cert, *digest, "-cert", cert, "-url",
                          self.url(), "-CAfile", self.chain(),
                          *[m for m in more if m not in digest], program="openssl")
        self.assertIn("Response verify OK", got.stderr + got.stdout)
        return got.stdout

    def ask(self, der, method="POST", encode=None, **headers):
        if method == "POST":
            return self.plain("POST", "/ocsp", der, Content_Type="application/ocsp-request",
                              **headers)
        text = base64.b64encode(der).decode()
        return self.plain("GET", "/ocsp/" + (encode(text) if encode else text), **headers)

    def says(self, der):
        """What an answer says of its certificate."""
        path = self.path("answer-" + secrets.token_hex(4))
        with open(path, "wb") as f:
            f.write(der)
        return openssl("ocsp", "-respin", path, "-noverify", "-text", check=False).decode()

    def number(self, cert):
        return int(self.serial(cert), 16)


class Ocsp(OcspCase):
    def test_good_and_revoked_with_and_without_a_nonce(self):
        cert, other = self.enrolled("c-1")[0], self.enrolled("c-2")[0]
        for more in (("-no_nonce",), ("-nonce",)):
            self.assertIn(": good", self.openssl_says(cert, *more))
        self.revoke("c-1", reason="keyCompromise")
        for more in (("-no_nonce",), ("-nonce",), ("-sha256", "-no_nonce"), ("-sha256", "-nonce")):
            with self.subTest(more=more):
                text = self.openssl_says(cert, *more)
                self.assertIn(": revoked", text)
                self.assertIn("keyCompromise", text)
        self.assertIn(": good", self.openssl_says(other, "-no_nonce"))

    def test_a_hold_and_its_end(self):
        cert = self.enrolled("c-3")[0]
        self.revoke("c-3", reason="certificateHold")
        self.assertIn("certificateHold", self.openssl_says(cert, "-no_nonce"))
        self.revoke("c-3", undo=True)
        self.assertIn(": good", self.openssl_says(cert, "-no_nonce"))

    def test_gnutls(self):
        if not shutil.which("ocsptool"):
            self.skipTest("there is no ocsptool")
        cert = self.enrolled("c-4")[0]
        with open(cert, "rb") as f:
            leaf = f.read().split(b"-----END CERTIFICATE-----")[0] + b"-----END CERTIFICATE-----\n"
        path = self.path("c-4.one")
        with open(path, "wb") as f:
            f.write(leaf)
        def ask():
            got = harness.run("--ask=" + self.url(), "--load-issuer", self.device_ca.cert,
                              "--load-cert", path, "--load-trust", self.chain(),
                              program="ocsptool")
            return got.stdout + got.stderr
        self.assertRegex(ask(), r"Certificate Status: good")
        self.revoke("c-4")
        self.assertRegex(ask(), r"Certificate Status: revoked")

    def test_what_was_never_issued_is_unknown_and_signed(self):
        status, head, body = self.ask(request(self.device_ca.der, 0x1234))
        text = self.says(body)
        self.assertEqual((status, head["Content-Type"]), (200, "application/ocsp-response"))
        self.assertIn("Cert Status: unknown", text)
        self.assertIn("Signature Algorithm", text)

    def test_a_certificate_of_others_is_not_ours_to_answer_for(self):
        folder = self.path("others")
        ca = pki.make_ca(folder, "Others")
        status, head, body = self.ask(request(ca.der, 5))
        self.assertIn("unauthorized (6)", self.says(body))
        self.assertEqual((status, head["Cache-Control"]), (200, "no-store"))

    def test_several_at_once(self):
        """As openssl asks with two -cert; by hand where the CA is not the same."""
        cert, other = self.enrolled("s-1")[0], self.enrolled("s-2")[0]
        self.revoke("s-1")
        for more in (("-no_nonce",), ("-nonce",)):
            with self.subTest(more=more):
                text = self.openssl_says(cert, "-cert", other, *more)
                self.assertRegex(text, r"(?s)s-1\S*: revoked.*s-2\S*: good")
        text = self.says(self.ask(request(self.device_ca.der, 0x1234, copies=16))[2])
        self.assertEqual(text.count("Cert Status: unknown"), 16)
        service = os.path.join(self.server.home, "ca", "service-ca.pem")
        got = harness.run("ocsp", "-issuer", self.device_ca.cert, "-cert", cert, "-issuer",
                          service, "-cert", other, "-no_nonce", "-url", self.url(),
                          program="openssl")
        self.assertIn("unauthorized", got.stdout + got.stderr)

    def test_what_is_no_request(self):
        good = request(self.device_ca.der, 5)
        for body in (b"", b"x", good[:-1], good + b"x", request(self.device_ca.der, 5, copies=17),
                     request(self.device_ca.der, 5, nonce=b""),
                     request(self.device_ca.der, 5, nonce=b"n" * 129), b"\x30" * 300):
            with self.subTest(body=body[:20]):
                status, _, got = self.ask(body)
                self.assertEqual(status, 200)
                self.assertIn("malformedrequest (1)", self.says(got))
        self.assertEqual(self.ask(b"x" * 5000)[0], 413)
        for path in ("/ocsp/%zz", "/ocsp/!!!!", "/ocsp/AAAA", "/ocsp//", "/ocsp/" + "A" * 6000):
            with self.subTest(path=path[:20]):
                self.assertIn("malformedrequest (1)", self.says(self.plain("GET", path)[2]))
        self.assertEqual(self.plain("GET", "/ocsp")[0], 405)
        self.assertEqual(self.plain("PUT", "/ocsp", b"x")[0], 405)

    def test_get_with_every_kind_of_base64(self):
        """Reliability row 22: '//', '+' and '=' raw and percent-encoded."""
        seen = set()
        for _ in range(20000):
            if len(seen) == 4:
                break
            der = request(self.device_ca.der, secrets.randbits(126) | 1 << 126)
            text = base64.b64encode(der).decode()
            kinds = {k for k in ("//", "+", "=", "/") if k in text} - seen
            if not kinds:
                continue
            seen |= kinds
            want = re.search(r"Serial Number: (\w+)", self.says(self.ask(der)[2])).group(1)
            for encode in (str, lambda t: urllib.parse.quote(t, safe=""),
                           lambda t: urllib.parse.quote(t, safe="/"),
                           lambda t: t.replace("+", "%2b").replace("/", "%2f")):
                status, _, body = self.ask(der, "GET", encode)
                self.assertEqual(status, 200)
                text = self.says(body)
                self.assertIn("Cert Status: unknown", text)
                self.assertIn(want, text)
        self.assertEqual(seen, {"//", "+", "=", "/"})

    def test_caches_are_told_what_they_may_do(self):
        """RFC 5019 6.2; and a nonce's answer is nobody else's."""
        cert = self.enrolled("c-5")[0]
        der = request(self.device_ca.der, self.number(cert))
        status, head, body = self.ask(der, "GET")
        self.assertEqual(status, 200)
        self.assertRegex(head["Cache-Control"],
                         r"^max-age=3600, public, no-transform, must-revalidate$")
        for name in ("Last-Modified", "Expires", "Date"):
            self.assertTrue(head[name].endswith(" GMT"), name)
        self.assertEqual(self.ask(der, "GET", If_None_Match=head["ETag"])[::2], (304, b""))
        self.assertEqual(self.ask(der, "GET")[2], body)
        nonced = request(self.device_ca.der, self.number(cert), nonce=b"n" * 16)
        first, second = self.ask(nonced), self.ask(nonced)
        self.assertEqual(first[1]["Cache-Control"], "no-store")
        self.assertNotEqual(first[2], second[2])

    def test_the_same_over_https(self):
        cert = self.enrolled("c-6")[0]
        der = request(self.device_ca.der, self.number(cert))
        got = self.server.anybody().call("POST", "/ocsp?x", der)
        self.assertEqual(got.status, 200)
        self.assertIn("Cert Status: good", self.says(got.body))


class Away(OcspCase):
    def test_answers_are_signed_ahead_and_outlive_the_signer(self):
        """With the signer standing still a pre-signed answer is given, nothing else is made up."""
        cert = self.enrolled("c-7")[0]
        der = request(self.device_ca.der, self.number(cert))
        nonced = request(self.device_ca.der, self.number(cert), nonce=b"n" * 16)
        body = self.ask(der)[2]
        self.server.kill_role("core")
        self.eventually(lambda: self.ask(der)[2] == body, 20)
        old = self.server.pids("signer")[0]
        os.kill(old, signal.SIGKILL)
        self.assertEqual(self.ask(der)[2], body)
        self.assertIn("Cert Status: good", self.says(self.ask(nonced)[2]))
        self.eventually(lambda: self.server.pids("signer").get(0) not in (None, old))
        self.eventually(lambda: self.op.post("/.well-known/est/simpleenroll").status != 503)
        self.assertIn(": good", self.openssl_says(self.enrolled("c-8")[0], "-nonce"))


class Live(public.PublicCase):
    HOME_SET = {"pki": {"public_url": public.URL, "ocsp_presign": "false"}}

    def test_answers_are_signed_when_they_are_asked_for(self):
        cert = self.enrolled("n-1")[0]
        got = harness.run("ocsp", "-issuer", self.device_ca.cert, "-cert", cert, "-url",
                          "http://127.0.0.1:%d/ocsp" % self.server.http_port, "-CAfile",
                          self.server.ca, "-verify_other", self.device_ca.cert, "-no_nonce",
                          program="openssl")
        self.assertIn(": good", got.stdout)


if __name__ == "__main__":
    harness.main()
