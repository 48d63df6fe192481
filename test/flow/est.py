"""An EST client (RFC 7030) out of curl and openssl, for the tests of that server."""
import base64
import os
import re
import subprocess

import harness
import pki
from pki import openssl


class Case(harness.ServerCase):
    def curl(self, path, *more, prefix="/.well-known/est/"):
        """Status, headers in lower case, body."""
        got = subprocess.run(
            ["curl", "-sS", "--max-time", "20", "--cacert", self.server.ca, "-D", "-",
             *more, "https://127.0.0.1:%d%s%s" % (self.server.https_port, prefix, path)],
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

    def csr(self, subject="/CN=est-1", kind="p256", *more, known=True, key=None):
        """Files of a request in base64 and of its key; the device exists."""
        name = subject.rsplit("=", 1)[-1]
        if known and re.fullmatch(r"[\w-]+", name):
            self.op.put("/devices/" + name, {
                "deviceId": name, "authentication": {"type": "certificateAuthority"}})
        base = self.path("csr-" + os.urandom(4).hex())
        key = key or pki.make_key(base + ".key", kind)
        der = openssl("req", "-new", "-key", key, "-subj", subject, "-outform", "DER", *more)
        with open(base + ".b64", "wb") as f:
            f.write(base64.b64encode(der))
        return base + ".b64", key

    def enroll(self, path, *who, verb="simpleenroll", content_type="application/pkcs10"):
        return self.curl(verb, *who, "-H", "Content-Type:" + (content_type and " " + content_type),
                         "--data-binary", "@" + path)

    def write(self, name, content):
        path = self.path(name)
        with open(path, "wb") as f:
            f.write(content)
        return path

    def enrolled(self, device, *more):
        """Files of a certificate that the server gave a device, and of its key."""
        path, key = self.csr("/CN=" + device, "p256", *more)
        status, _, body = self.enroll(path, *self.operator_files())
        self.assertEqual(status, 200, body)
        return self.keep(body), key

    def keep(self, body):
        """The certificate of an answer, as a file."""
        return self.write("cert-%s.pem" % os.urandom(4).hex(), self.certificates(body)[0])

    def muster(self, *args):
        return harness.run("est", *args, "--home", self.server.home)

    def logged(self, device, what, *words):
        """A line of the connection log."""
        def look():
            rows = self.op.connections(deviceId=device, what=what, plane="est")
            return [r for r in rows if all(w in r["reason"] for w in words)]
        return self.eventually(look, 10, "%s of %s with %s" % (what, device, words))[-1]
