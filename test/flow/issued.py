"""Certificates on the server's record, and what revoking them is asked with."""
import base64
import os

import harness
import pki
from pki import openssl


class IssuedCase(harness.ServerCase):
    """Devices with certificates that the running server issued and knows."""

    def enrolled(self, device, identity=True):
        """Files of a device's certificate and its key, by EST and an operator."""
        if identity:
            self.ca_device(device)
        base = self.path(device + "-" + os.urandom(4).hex())
        key = pki.make_key(base + ".key")
        csr = openssl("req", "-new", "-key", key, "-subj", "/CN=" + device, "-outform", "DER")
        got = self.op.post("/.well-known/est/simpleenroll", base64.b64encode(csr),
                           Content_Type="application/pkcs10")
        self.assertEqual(got.status, 200, got)
        pem = openssl("pkcs7", "-inform", "DER", "-print_certs", stdin=base64.b64decode(got.body))
        leaf = b"-----BEGIN" + pem.split(b"-----BEGIN")[1]
        with open(base + ".leaf", "wb") as f:
            f.write(leaf[:leaf.index(b"-----END CERTIFICATE-----")] +
                    b"-----END CERTIFICATE-----\n")
        with open(base + ".leaf", "rb") as f, open(self.device_ca.cert, "rb") as ca, \
                open(base + ".pem", "wb") as chain:
            chain.write(f.read() + ca.read())
        return base + ".pem", key

    def thumbprint(self, cert):
        return pki.sha256(pki.read_pem(cert)[0])

    def serial(self, cert):
        text = openssl("x509", "-in", cert, "-noout", "-serial").decode()
        return text.strip().split("=")[1].lower()

    def revoke(self, device=None, status=200, **how):
        """POST /muster/revoke; the effects by name."""
        body = {"deviceId": device} if device else {}
        got = self.op.post("/muster/revoke", {**body, **how})
        self.assertEqual(got.status, status, got)
        if status != 200:
            return got
        return {e["name"]: e for e in got.json["effects"]}

    def states(self, effects):
        return {name: e["state"] for name, e in effects.items()}
