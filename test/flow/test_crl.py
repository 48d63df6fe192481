"""CRLs as a service: made, served, followed by openssl; what happens when they are not made."""
import http.server
import json
import os
import signal
import ssl
import threading
import time

import harness
import pki
import public
from pki import openssl


class OneEdge(public.PublicCase):
    """An edge may show for a second what another no longer does."""
    HOME_SET = {**public.PublicCase.HOME_SET, "server": {"edges": 1}}


class Crl(OneEdge):
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
        time.sleep(1.1)  # what other tests changed has reached the edge
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


class Whole(OneEdge):
    HOME_SET = {"pki": {"crl_delay": "50ms"}}  # the port is the system's choice: no URL known

    def test_without_a_url_the_whole_list_has_it(self):
        cert = self.enrolled("w-1")[0]
        self.assertNotIn(b"CRL Distribution", openssl("x509", "-in", cert, "-noout", "-text"))
        self.revoke("w-1")
        self.listed("all", cert)
        self.assertEqual(self.plain("GET", "/crl/device-ca/0.crl")[0], 404)


class Restart(OneEdge):
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


class Publish(OneEdge):
    def crl_command(self, *args):
        return harness.run("crl", *args, "--home", self.server.home)

    def publish(self, room, *more):
        got = self.works(self.crl_command("publish", "--to", room, "-o", "json", *more))
        return json.loads(got.stdout)

    def read(self, room, name):
        with open(os.path.join(room, name), "rb") as f:
            return f.read()

    def settled(self):
        """The lists of both CAs are there and stay as they are for now."""
        for issuer in ("device-ca", "service-ca"):
            for name in ("0-delta", "1-delta", "all"):
                self.crl(name, issuer)

    def test_a_directory_gets_what_is_served(self):
        self.settled()
        room = self.folder()
        first = self.publish(room)
        self.assertEqual(first["refused"], 0)
        self.assertEqual(first["written"], 2 * 5 + 2)
        self.assertEqual(self.read(room, "crl/device-ca/0.crl"), self.crl("0"))
        self.assertEqual(self.read(room, "ca/device-ca.crt"), self.device_ca.der)
        self.assertEqual(os.stat(os.path.join(room, "crl/device-ca/0.crl")).st_mode & 0o777, 0o644)
        self.assertEqual(self.publish(room),
                         {"written": 0, "unchanged": first["written"], "refused": 0,
                          "problems": []})
        cert = self.enrolled("p-1")[0]
        self.revoke("p-1")
        self.listed(self.point(cert), cert)
        written = []  # its shard and the delta; an edge asks for news once a second
        self.eventually(lambda: sum(written) == 2 or written.append(
            self.publish(room)["written"]))
        self.assertIn(self.serial(cert).upper(), self.crl_text(
            self.read(room, "crl/device-ca/%s.crl" % self.point(cert))))

    def test_what_lies_there_and_does_not_fit_is_left_alone(self):
        """Reliability row 25: another CA's list, another place's, one with a higher number."""
        self.settled()
        room = self.folder()
        self.publish(room)
        place = os.path.join(room, "crl/device-ca/0.crl")
        for name in ("crl/service-ca/0.crl", "crl/device-ca/1.crl"):
            with self.subTest(name=name):
                wrong = self.read(room, name)
                with open(place, "wb") as f:
                    f.write(wrong)
                got = self.crl_command("publish", "--to", room)
                if "service" in name:
                    self.ends(got, 5, "/crl/device-ca/0.crl")
                    self.assertEqual(self.read(room, "crl/device-ca/0.crl"), wrong)
        with open(place, "wb") as f:
            f.write(b"not a list")
        self.ends(self.crl_command("publish", "--to", room), 5, "/crl/device-ca/0.crl")

    def test_a_list_that_is_not_there_costs_the_others_nothing(self):
        self.settled()
        room, op = self.folder(), self.op
        gone = ("/crl/device-ca/0.crl", "/crl/service-ca/1.crl")

        class Front(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                got = op.get(self.path)
                status = 404 if self.path in gone else got.status
                self.send_response(status)
                self.send_header("Content-Length", str(len(got.body)))
                self.end_headers()
                self.wfile.write(got.body)

            def log_message(self, *args):
                pass

        base = self.path("front")
        openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                "-keyout", base + ".key", "-out", base + ".pem", "-days", "2", "-subj",
                "/CN=front", "-addext", "subjectAltName=IP:127.0.0.1")
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        tls.load_cert_chain(base + ".pem", base + ".key")
        with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Front) as front:
            front.socket = tls.wrap_socket(front.socket, server_side=True)
            thread = threading.Thread(target=front.serve_forever)
            thread.start()
            try:
                got = self.crl_command("publish", "--to", room, "-o", "json", "--server",
                                       "https://127.0.0.1:%d" % front.server_port,
                                       "--ca", base + ".pem")
            finally:
                front.shutdown()
                thread.join()
        # which is the first goes by the issuers' digests
        self.ends(got, 5, "HTTP 404 (and 1 more)")
        said = json.loads(got.stdout)
        self.assertEqual((said["written"], said["refused"]), (2 * 5 + 2 - 2, 2))
        self.assertEqual([path for path in gone if not any(path in p for p in said["problems"])],
                         [])
        self.assertEqual(self.read(room, "crl/device-ca/1.crl"), self.crl("1"))

    def test_the_table_and_the_health(self):
        self.settled()
        got = self.works(self.crl_command("list"))
        self.assertRegex(got.stdout, r"(?m)^/crl/device-ca/0-delta\.crl +\d{13} ")
        self.eventually(lambda: harness.run(
            "health", "--home", self.server.home).returncode == 0)
        text = self.works(harness.run("health", "--home", self.server.home)).stdout
        for item in ("signer", "crl device-ca", "ocsp device-ca", "ca device-ca", "ca root",
                     "server 127.0.0.1", "operator admin", "clones", "quarantine"):
            with self.subTest(item=item):
                self.assertRegex(text, r"(?m)^ok +%s " % item)
        self.assertEqual(self.works(harness.run(
            "health", "--home", self.server.home, "--quiet")).stdout, "")

    def test_what_is_wrong_is_said(self):
        room = self.folder()
        self.ends(self.crl_command("publish"), 2, "--to")
        self.ends(self.crl_command("nothing"), 2, "list, publish or import")
        self.ends(self.crl_command("publish", "--to", "https://a.blob.core.windows.net/c"), 2,
                  "--sas-file or --key-file")
        secret = os.path.join(room, "sas")
        with open(secret, "w", encoding="ascii") as f:
            f.write("sv=1")
        os.chmod(secret, 0o644)
        self.ends(self.crl_command("publish", "--to", "https://a.blob.core.windows.net/c",
                                   "--sas-file", secret), 8, "chmod")
        os.chmod(secret, 0o600)
        self.ends(self.crl_command("publish", "--to", "http://pki.example/c", "--sas-file",
                                   secret), 2, "http")
        self.ends(self.crl_command("import", secret), 3)


class Import(public.PublicCase):
    def test_the_list_of_a_root_is_taken_in_and_served(self):
        folder = self.path("elsewhere")
        root = pki.make_ca(folder, "Elsewhere")
        self.ends(self.take(self.make(root, 5)), 4, "no CA that is known")

    def make(self, ca, number):
        """A whole list by openssl."""
        base = self.path("list")
        with open(base + ".cnf", "w", encoding="ascii") as f:
            f.write("[ca]\ndefault_ca=x\n[x]\ndatabase=%s.db\ncrlnumber=%s.num\n"
                    "default_md=sha256\ndefault_crl_days=30\ncrl_extensions=e\n"
                    "[e]\nauthorityKeyIdentifier=keyid\n" % (base, base))
        for name, text in ((".db", ""), (".num", "%02x" % number)):
            with open(base + name, "w", encoding="ascii") as f:
                f.write(text)
        openssl("ca", "-config", base + ".cnf", "-gencrl", "-keyfile", ca.key, "-cert", ca.cert,
                "-out", base + ".pem")
        return base + ".pem"

    def take(self, path):
        return harness.run("crl", "import", path, "--home", self.server.home)


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
            self.assertEqual(harness.run("health", "--home", self.server.home).returncode, 10)
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
