"""CRLs as a service: made, served, followed by openssl; what happens when they are not made."""
import os
import signal
import time

import harness
import pki
import public
from pki import openssl


class Crl(public.PublicCase):
    def test_each_place_has_a_list_from_the_start(self):
        for issuer in ("device-ca", "service-ca"):
            for name in ("0", "1", "0-delta", "1-delta", "all"):
                with self.subTest(issuer=issuer, name=name):
                    der = self.crl(name, issuer)
                    ca = os.path.join(self.server.home, "ca", issuer + ".pem")
                    text = openssl("crl", "-inform", "DER", "-CAfile", ca, "-noout", "-text",
                                   stdin=der).decode()
                    self.assertEqual("Full Name" in text, name != "all")
                    self.assertEqual("Delta CRL Indicator: critical" in text, "delta" in name)
                    self.assertEqual("Freshest CRL" in text, name in "01")

    def test_a_revoked_certificate_is_on_the_list_it_names(self):
        cert, other = self.enrolled("l-1")[0], self.enrolled("l-2")[0]
        self.revoke("l-1", reason="keyCompromise")
        text = self.listed(self.point(cert), cert)
        self.assertIn("Key Compromise", text)
        self.assertNotIn(self.serial(other).upper(), text)
        self.listed(self.point(cert) + "-delta", cert)
        with self.subTest("openssl verify"):
            self.assertIn(b"certificate revoked", self.verify(cert))
            self.assertIn(b": OK", self.verify(other))

    def verify(self, cert):
        """openssl verify with the list that the certificate names."""
        shard = self.point(cert)
        path = self.path("crl-" + shard)
        with open(path, "wb") as f:
            f.write(openssl("crl", "-inform", "DER", stdin=self.crl(shard)))
        home = os.path.join(self.server.home, "ca")
        got = harness.run("verify", "-crl_check", "-CRLfile", path, "-CAfile",
                          os.path.join(home, "root.pem"), "-untrusted",
                          os.path.join(home, "device-ca.pem"), cert, program="openssl")
        return (got.stdout + got.stderr).encode()

    def test_a_hold_comes_and_goes(self):
        cert = self.enrolled("l-3")[0]
        shard = self.point(cert)
        self.revoke("l-3", reason="certificateHold")
        self.assertIn("Certificate Hold", self.listed(shard, cert))
        self.revoke("l-3", undo=True)
        self.eventually(lambda: self.serial(cert).upper() not in self.crl_text(self.crl(shard)))
        self.assertIn("Remove From CRL", self.crl_text(self.crl(shard + "-delta")))

    def test_numbers_grow_and_only_the_touched_shard_changes(self):
        cert = self.enrolled("l-4")[0]
        shard = self.point(cert)
        other = "1" if shard == "0" else "0"
        before = {s: self.number(self.crl(s)) for s in "01"}
        self.revoke("l-4")
        self.listed(shard, cert)
        self.assertGreater(self.number(self.crl(shard)), before[shard])
        self.assertEqual(self.number(self.crl(other)), before[other])

    def number(self, der):
        text = openssl("crl", "-inform", "DER", "-noout", "-crlnumber", stdin=der).decode()
        return int(text.strip().split("=")[1], 16)

    def test_caches_are_told_what_they_may_do(self):
        self.crl("0")
        path = "/crl/device-ca/0.crl"
        status, head, body = self.plain("GET", path)
        self.assertEqual((status, head["Content-Type"]), (200, "application/pkix-crl"))
        self.assertRegex(head["Cache-Control"], r"^public, max-age=\d+$")
        self.assertTrue(head["Last-Modified"].endswith(" GMT"))
        self.assertIsNone(head["Warning"])
        for tag in (head["ETag"], "W/" + head["ETag"], '"x", %s' % head["ETag"], "*"):
            with self.subTest(tag=tag):
                status, again, none = self.plain("GET", path, If_None_Match=tag)
                self.assertEqual((status, none, again["ETag"]), (304, b"", head["ETag"]))
        self.assertEqual(self.plain("GET", path, If_None_Match='"0"')[0], 200)
        status, again, none = self.plain("HEAD", path)
        self.assertEqual((status, int(again["Content-Length"]), none), (200, len(body), b""))

    def test_the_same_over_https(self):
        self.crl("0")
        got = self.server.anybody().get("/crl/device-ca/0.crl?x")
        self.assertEqual((got.status, got.body), (200, self.crl("0")))

    def test_ca_certificates(self):
        status, head, body = self.plain("GET", "/ca/device-ca.crt")
        self.assertEqual((status, head["Content-Type"]), (200, "application/pkix-cert"))
        self.assertEqual(body, self.device_ca.der)
        self.assertEqual(self.plain("GET", "/ca/device-ca.crt", If_None_Match=head["ETag"])[0],
                         304)
        cert = self.enrolled("l-5")[0]
        text = openssl("x509", "-in", cert, "-noout", "-text").decode()
        self.assertIn("CA Issuers - URI:%s/ca/device-ca.crt" % public.URL, text)
        self.assertIn("OCSP - URI:%s/ocsp" % public.URL, text)

    def test_what_is_not_there(self):
        for path in ("/crl/nobody/0.crl", "/crl/device-ca/99.crl", "/crl/device-ca/0",
                     "/crl/device-ca/-1.crl", "/crl/device-ca/.crl", "/crl/device-ca/all-delta.crl",
                     "/crl/device-ca/0x0.crl", "/ca/nobody.crt", "/ca/device-ca", "/ca/.crt",
                     "/crl/%2e%2e/0.crl", "/crl/" + "a" * 300 + "/0.crl"):
            with self.subTest(path=path):
                self.assertEqual(self.plain("GET", path)[0], 404)
        self.assertEqual(self.plain("POST", "/crl/device-ca/0.crl", b"x")[0], 405)

    def test_nothing_else_is_served_in_the_clear(self):
        op = self.server.operator()
        keys = self.server.policy_keys()
        auth = harness.token("127.0.0.1", keys["iothubowner"], policy="iothubowner")
        for method, path in (("GET", "/devices"), ("POST", "/devices/query"),
                             ("GET", "/muster/events"), ("POST", "/muster/revoke"),
                             ("GET", "/muster/health"), ("GET", "/.well-known/est/cacerts"),
                             ("POST", "/.well-known/est/simpleenroll"), ("GET", "/"),
                             ("PUT", "/devices/x"), ("GET", "/muster/crl")):
            with self.subTest(path=path):
                status, head, _ = self.plain(method, path, b"{}", Authorization=auth)
                self.assertEqual(status, 404)
                self.assertIsNone(head["WWW-Authenticate"])
        self.assertEqual(op.get("/devices").status, 200)


class Whole(public.PublicCase):
    HOME_SET = {"pki": {"crl_delay": "50ms"}}  # the port is the system's choice: no URL known

    def test_without_a_url_the_whole_list_has_it(self):
        cert = self.enrolled("w-1")[0]
        self.assertNotIn(b"CRL Distribution", openssl("x509", "-in", cert, "-noout", "-text"))
        self.revoke("w-1")
        self.listed("all", cert)
        self.assertEqual(self.plain("GET", "/crl/device-ca/0.crl")[0], 404)


class Restart(public.PublicCase):
    def test_lists_outlive_the_processes_and_pending_changes_are_made_up_for(self):
        cert = self.enrolled("s-1")[0]
        shard = self.point(cert)
        before = self.crl(shard)
        os.kill(self.server.pids("signer")[0], signal.SIGSTOP)
        self.revoke("s-1")
        self.server.kill_role("core")
        self.server.kill_role("signer")
        self.listed(shard, cert)
        self.assertNotEqual(self.crl(shard), before)

    def test_an_edge_serves_what_it_has_while_the_core_is_away(self):
        der = self.crl("0")
        os.kill(self.server.pids("core")[0], signal.SIGKILL)
        status, _, body = self.plain("GET", "/crl/device-ca/0.crl")
        self.assertEqual((status, body), (200, der))
        self.eventually(lambda: self.op.get("/devices").status == 200)


class Stale(public.PublicCase):
    HOME_SET = {"pki": {"public_url": public.URL, "crl_shards": 1, "crl_life": "1m",
                        "ocsp_life": "1m"}}

    def test_a_list_that_is_not_made_anew_locks_nobody_out_and_is_no_secret(self):
        """Reliability rows 23 and 24: the signer stands still beyond nextUpdate."""
        cert = self.enrolled("o-1")
        gone = self.enrolled("o-2")
        self.revoke("o-2")
        self.listed("0", gone[0])
        self.assertEqual(self.health("crl device-ca"), "ok")
        signer = self.server.pids("signer")[0]
        os.kill(signer, signal.SIGSTOP)
        try:
            self.eventually(lambda: self.health("crl device-ca") == "bad", 60)
            self.assertIsNone(self.plain("GET", "/crl/device-ca/0.crl")[1]["Warning"])
            self.eventually(lambda: 'item="crl device-ca" state=bad' in self.server.log, 60)
            self.eventually(lambda: self.plain("GET", "/crl/device-ca/0.crl")[1]["Warning"], 90)
            status, head, _ = self.plain("GET", "/crl/device-ca/0.crl")
            self.assertEqual((status, head["Cache-Control"]), (200, "no-cache"))
            self.hub("o-1", cert=cert).ping()
            self.refused(lambda: self.hub("o-2", cert=gone))
        finally:
            os.kill(signer, signal.SIGCONT)
        self.eventually(lambda: self.health("crl device-ca") == "ok", 60)
        self.eventually(
            lambda: self.plain("GET", "/crl/device-ca/0.crl")[1]["Warning"] is None, 20)

    def health(self, item):
        got = self.good(self.op.get("/muster/health"))
        return {i["name"]: i["state"] for i in got["items"]}.get(item)


if __name__ == "__main__":
    harness.main()
