"""What anybody may ask: plain HTTP, and the tools that read its answers."""
import http.client

import issued
from pki import openssl

URL = "http://pki.test"


class PublicCase(issued.IssuedCase):
    """A server whose certificates say where to ask; asked by path, whatever the name."""

    HOME_SET = {"pki": {"public_url": URL, "crl_shards": 2, "crl_delay": "50ms"}}

    def plain(self, method, path, body=None, port=None, **headers):
        """One request over plain HTTP: status, headers, body."""
        link = http.client.HTTPConnection("127.0.0.1", port or self.server.http_port, timeout=20)
        try:
            link.request(method, path, body, {k.replace("_", "-"): v for k, v in headers.items()})
            got = link.getresponse()
            return got.status, got.headers, got.read()
        finally:
            link.close()

    def crl(self, name, issuer="device-ca"):
        """The bytes of a list, once it is there."""
        def fetch():
            status, _, body = self.plain("GET", "/crl/%s/%s.crl" % (issuer, name))
            return body if status == 200 else None
        return self.eventually(fetch, 20, "CRL %s of %s" % (name, issuer))

    def crl_text(self, der):
        return openssl("crl", "-inform", "DER", "-noout", "-text", stdin=der).decode()

    def point(self, cert):
        """The shard that a certificate's distribution point names."""
        text = openssl("x509", "-in", cert, "-noout", "-text").decode()
        prefix = "URI:%s/crl/device-ca/" % URL
        self.assertIn(prefix, text)
        return text.split(prefix)[1].split(".crl")[0]

    def listed(self, name, cert, issuer="device-ca"):
        """Waits until a list has a certificate; its text."""
        def look():
            text = self.crl_text(self.crl(name, issuer))
            return text if self.serial(cert).upper() in text else None
        return self.eventually(look, 20, "%s in CRL %s" % (cert, name))
