"""The CAs of a home: made, imported, reloaded into a running server, moved between states; keys
in a token that comes and goes."""
import os
import signal
import subprocess
import unittest

import est
import harness
import mqtt
import pki
import tokens
from harness import run
from pki import openssl


def issuer_of(cert):
    return openssl("x509", "-noout", "-issuer", "-nameopt", "RFC2253", stdin=cert).decode().strip()


class Server(est.Case):
    """One server whose CAs change under it."""

    def setUp(self):
        super().setUp()
        self.home = self.server.home

    def ca_verb(self, *args, env=None):
        return self.works(run("ca", *args, "--home", self.home, env=env))

    def states(self):
        rows, _ = self.op.rows("/muster/issuers")
        return {row["name"]: row for row in rows}

    def reload(self, *names):
        """SIGHUP by muster ca reload; returns when the server names them."""
        self.ca_verb("reload")
        self.eventually(lambda: set(names) <= set(self.states()), 20, "%s named" % (names,))

    def enroll_leaf(self, device):
        """By an operator; waits out a signer that restarts."""
        path, key = self.csr("/CN=" + device)
        got = self.eventually(lambda: self.try_enroll(path), 20, "enrolment of " + device)
        return got, key

    def try_enroll(self, path):
        status, _, body = self.enroll(path, *self.operator_files())
        self.assertIn(status, (200, 503), body)
        return self.certificates(body)[0] if status == 200 else None

    def test_1_what_a_fresh_server_does_with_its_cas(self):
        got = self.states()
        self.assertEqual({n: (r["purpose"], r["state"], r["custody"]) for n, r in got.items()}, {
            "root": ("root", "trusted", ""), "device-ca": ("device", "active", "file"),
            "service-ca": ("service", "active", "file")})
        self.assertGreaterEqual(got["service-ca"]["unexpired"], 2)  # operator, edges
        table = self.ca_verb("states").stdout
        self.assertRegex(table, r"device-ca +device +active +file")

    def test_2_a_second_device_ca_takes_over_and_the_first_goes_on(self):
        self.x509_group()
        leaf, key = self.enroll_leaf("ca-1")
        cert = self.path("ca-1.pem")
        with open(cert, "wb") as f:
            f.write(leaf)
        client = self.dps("ca-1", cert=(cert, key))
        self.assertEqual(mqtt.dps_register(client).json["status"], "assigned")
        edges = self.server.pids("edge")
        self.ends(run("ca", "add", "Bad Name", "--purpose", "device", "--home", self.home), 3)
        self.ends(run("ca", "add", "device-2", "--home", self.home), 2, "--purpose")
        self.ca_verb("add", "device-2", "--purpose", "device")
        self.ends(run("ca", "add", "device-2", "--purpose", "device", "--home", self.home), 5)
        self.assertIn("4 CAs", self.ca_verb("reload").stdout)
        self.eventually(lambda: "device-2" in self.states(), 20, "device-2 named")
        self.assertEqual(self.states()["device-2"]["state"], "standby")
        self.assertEqual(self.server.pids("edge"), edges)
        self.assertEqual(mqtt.dps_register(client).json["status"], "assigned",
                         "the connection outlives the reload")
        self.ends(run("ca", "activate", "device-2", "--home", self.home), 5, "standby")
        self.ca_verb("trust", "device-2")
        self.assertIn("active", self.ca_verb("activate", "device-2").stdout)
        got = self.states()
        self.assertEqual((got["device-ca"]["state"], got["device-2"]["state"]),
                         ("retiring", "active"))
        leaf, key = self.enroll_leaf("ca-2")
        self.assertIn("muster Device CA device-2", issuer_of(leaf))
        cacerts = self.certificates(self.curl("cacerts")[2])
        self.assertEqual([openssl("x509", "-noout", "-subject", "-nameopt", "RFC2253", stdin=c)
                          .decode().strip().split("CN=")[1].split(",")[0] for c in cacerts],
                         ["muster Device CA device-2", "muster Device Issuing CA",
                          "muster Root CA"])
        self.eventually(lambda: self.accepts("ca-2", leaf, key), 10, "device-2's leaf at DPS")
        self.ends(run("ca", "retire", "device-2", "--home", self.home), 5, "active")
        self.ends(run("ca", "standby", "root", "--home", self.home), 10, "only root")

    def accepts(self, device, leaf, key):
        """Of a CA that no group names: the chain is good, the group is what lacks."""
        cert = self.path(device + ".pem")
        with open(cert, "wb") as f:
            f.write(leaf)
        try:
            self.dps(device, cert=(cert, key)).close()
        except mqtt.Refused:
            return False
        return True

    def test_3_a_ca_that_lost_its_trust_ends_sessions_and_lets_nobody_in(self):
        leaf, key = self.enroll_leaf("ca-3")
        chain = self.path("ca-3-chain.pem")
        with open(chain, "wb") as f:
            f.write(leaf)
        by = "device-2" if self.states()["device-2"]["state"] == "active" else "device-ca"
        client = self.hub("ca-3", cert=(chain, key))
        other = "device-ca" if by == "device-2" else "device-2"
        got = self.ca_verb("revoke", by, "--reason", "cACompromise")
        self.assertRegex(got.stdout, "%s is revoked: .* certificate of %s" % (by, other))
        self.assertTrue(client.closes(5), "the session is closed")
        self.refused(lambda: self.hub("ca-3", cert=(chain, key)))
        self.ends(run("ca", "trust", by, "--force", "--home", self.home), 5, "revoked")
        self.assertEqual(self.states()[other]["state"], "active")
        self.assertNotIn("device-2" if by == "device-2" else "Device Issuing",
                         issuer_of(self.enroll_leaf("ca-5")[0]))
        self.ca_verb("verify-journal")
        self.ca_verb("verify")

    def test_4_a_directory_that_would_not_load_is_not_reloaded(self):
        path = os.path.join(self.home, "ca", "issuers.conf")
        with open(path, encoding="ascii") as f:
            text = f.read()
        signer = self.server.pids("signer")
        with open(path, "a", encoding="ascii") as f:
            f.write("\n[x]\npurpose = device\ncert = x.pem\n")
        self.ends(run("ca", "reload", "--home", self.home), 4, "x.pem")
        with open(path, "w", encoding="ascii") as f:
            f.write(text)
        self.assertEqual(self.server.pids("signer"), signer)


    def ca_by_hand(self, name, days):
        """Files of a CA that the home's root signed, whatever its life."""
        base = os.path.join(self.home, "ca", name)
        key = pki.make_key(base + ".key")
        with open(base + ".ext", "w", encoding="ascii") as f:
            f.write("basicConstraints=critical,CA:true,pathlen:0\nkeyUsage=critical,"
                    "keyCertSign,cRLSign\nsubjectKeyIdentifier=hash\n"
                    "authorityKeyIdentifier=keyid\n")
        csr = openssl("req", "-new", "-key", key, "-subj", "/CN=By hand " + name)
        root = os.path.join(self.home, "ca", "root")
        openssl("x509", "-req", "-CA", root + ".pem", "-CAkey", root + ".key", "-passin",
                "file:" + root + ".passphrase", "-days", str(days), "-extfile", base + ".ext",
                "-out", base + ".pem", stdin=csr)
        return "\n[%s]\npurpose = device\ncert = %s.pem\nkey = file:%s.key\n" % (
            name, name, name)

    def health(self, item):
        got = self.good(self.op.get("/muster/health"))
        return next(i for i in got["items"] if i["name"] == item)

    def test_5_a_ca_that_cannot_be_used_is_left_out_and_the_others_serve_on(self):
        path = os.path.join(self.home, "ca", "issuers.conf")
        with open(path, encoding="ascii") as f:
            text = f.read()
        self.assertEqual(self.health("issuers.conf")["state"], "ok")
        with open(path, "a", encoding="ascii") as f:
            f.write(self.ca_by_hand("too-long", 30000) + self.ca_by_hand("hand-made", 300))
        self.ends(run("ca", "reload", "--home", self.home), 1, "too-long")
        self.server.process.send_signal(signal.SIGHUP)
        self.eventually(lambda: "hand-made" in self.states(), 20, "hand-made named")
        self.assertNotIn("too-long", self.states())
        item = self.health("issuers.conf")
        self.assertEqual(item["state"], "bad")
        self.assertIn("too-long", item["text"])
        got = run("health", "--home", self.home)
        self.assertEqual(got.returncode, 10, got)
        self.assertRegex(got.stdout, r"(?m)^bad +issuers\.conf +.*too-long.* lives longer")
        self.enroll_leaf("ca-9")
        with self.subTest("a file that is none"):
            signer = self.server.pids("signer")
            with open(path, "w", encoding="ascii") as f:
                f.write("[broken")
            self.server.process.send_signal(signal.SIGHUP)
            self.eventually(lambda: "ca/ is not read again" in self.server.log, 20, "the log")
            self.assertEqual(self.server.pids("signer"), signer)
        with open(path, "w", encoding="ascii") as f:
            f.write(text)
        self.ca_verb("reload")
        self.eventually(lambda: self.health("issuers.conf")["state"] == "ok", 20, "health")

    def test_6_the_last_ca_is_revoked_by_force_alone(self):
        last = [n for n, row in self.states().items()
                if row["purpose"] == "device" and row["state"] == "active"]
        self.assertEqual(self.states()["hand-made"]["custody"], "", "it went with its row")
        self.ends(run("ca", "revoke", *last, "--home", self.home), 10, "add one first")
        self.assertEqual(self.states()[last[0]]["state"], "active")
        self.assertIn("revoked", self.ca_verb("revoke", *last, "--force").stdout)
        path, _ = self.csr("/CN=ca-4")
        self.assertEqual(self.enroll(path, *self.operator_files())[0], 503)
        self.ca_verb("revoke", "root", "--force")
        self.assertEqual(self.states()["root"]["state"], "revoked")


class Offline(harness.Case):
    """ca/ without a server."""

    def test_what_is_imported_fits_or_is_refused(self):
        parent = self.folder()
        home, other = harness.make_home(parent), harness.make_home(parent, "other", "--name",
                                                                    "127.0.0.2")
        foreign = os.path.join(other, "ca", "root.pem")
        mid = os.path.join(other, "ca", "device-ca.pem")

        def ca(*args):
            return run("ca", *args, "--home", home)
        self.ends(ca("import", "x", mid, "--purpose", "device"), 1, "no root that is here")
        self.ends(ca("import", "x", mid, "--root"), 9, "no root")
        self.ends(ca("import", "x", foreign, "--purpose", "device"), 9, "root")
        self.ends(ca("import", "x", foreign, "--cross"), 5, "name and key")
        self.assertIn("foreign-root (root)", self.works(
            ca("import", "foreign-root", foreign, "--root")).stdout)
        self.ends(ca("import", "foreign-root", foreign, "--root"), 5, "has its certificate")
        self.works(ca("import", "foreign-device", mid, "--purpose", "device"))
        self.ends(ca("import", "y", mid, "--purpose", "device", "--issuer-key",
                     "file:device-ca.key"), 5, "not of the key")
        self.works(ca("verify"))
        got = self.works(ca("list")).stdout
        self.assertRegex(got, r"foreign-root +root ")
        self.assertRegex(got, r"foreign-device +device ")
        chain = openssl("storeutl", "-noout", "-certs",
                        os.path.join(home, "ca", "chain.pem")).decode()
        self.assertIn("Total found: 5", chain)
        self.ends(ca("reload"), 4, "no server")

    def test_a_ca_waits_for_its_certificate(self):
        parent = self.folder()
        home = harness.make_home(parent)
        os.rename(os.path.join(home, "ca", "root.key"), os.path.join(parent, "root.key"))
        out = os.path.join(parent, "d2.csr")

        def ca(*args):
            return run("ca", *args, "--home", home)
        self.ends(ca("add", "d2", "--purpose", "device"), 4, "--csr")
        self.assertFalse(os.path.exists(os.path.join(home, "ca", "d2.key")))
        self.works(ca("add", "d2", "--purpose", "device", "--csr", out, "--alg", "p384"))
        openssl("req", "-verify", "-noout", "-in", out)
        self.assertIn("waits", self.works(ca("list")).stdout)
        with open(out, encoding="ascii") as f:
            self.assertEqual(self.works(ca("request", "d2")).stdout, f.read())
        self.works(ca("verify"))
        cert = os.path.join(home, "ca", "device-ca.pem")
        self.ends(ca("import", "d2", cert), 5, "d2.csr asks for")

    def test_operators_are_made_where_no_server_runs(self):
        home = harness.make_home(self.folder())
        self.works(run("ca", "operator", "eve", "--home", home))
        self.ends(run("ca", "operator", "eve", "--home", home), 5, "eve")
        self.ends(run("ca", "operator", "../eve", "--home", home), 2)
        server = harness.Server(home).start()
        self.addCleanup(server.kill)
        self.assertEqual(server.operator("eve").get("/devices").status, 200)
        self.ends(run("ca", "operator", "bob", "--home", home), 5, "in use")
        self.assertEqual(server.stop(), 0)


class Tokens(est.Case):
    """Device CA and the server's own key in SoftHSM2; the token goes and returns."""

    @classmethod
    def setUpClass(cls):
        pass  # the home is of the test

    def start(self, home, env):
        cls = type(self)
        cls.parent = os.path.dirname(home)
        cls.server = harness.Server(home, env=env).start()
        cls.op = self.server.operator()
        self.addCleanup(lambda: self.server.running and self.server.kill())

    def enrolls(self, device):
        path, _ = self.csr("/CN=" + device)
        status, _, body = self.enroll(path, *self.operator_files())
        return status, body

    def test_keys_in_a_token(self):
        hsm = tokens.SoftHsm(self)
        hsm.token("muster")
        parent = self.folder()
        home = os.path.join(parent, "home")
        run_env = {**os.environ, **hsm.env}
        got = run("init", "--home", home, "--set", "server.mqtt_port=0", "--set",
                  "server.https_port=0", "--set", "server.http_port=0", "--issuer-key",
                  "device-ca=" + hsm.uri("muster", ";object=device-ca"), "--issuer-key",
                  "service-ca=" + hsm.uri("muster", ";object=service-ca"), env=run_env)
        self.works(got)
        names = os.listdir(os.path.join(home, "ca"))
        self.assertEqual([n for n in names if n.endswith(".key")], ["root.key"])
        self.works(run("key", "generate", hsm.uri("muster", ";object=tls"), env=run_env))
        harness.set_config(home, server={"tls_key": hsm.uri("muster", ";object=tls")})
        self.start(home, hsm.env)
        self.assertEqual(self.enrolls("t-1")[0], 200)
        rows, _ = self.op.rows("/muster/issuers")
        self.assertEqual({r["custody"] for r in rows if r["purpose"] != "root"}, {"pkcs11"})
        pub = self.works(run("key", "export-public", hsm.uri("muster", ";object=tls"),
                             env=run_env)).stdout
        served = openssl("s_client", "-connect", "127.0.0.1:%d" % self.server.https_port,
                         "-CAfile", self.server.ca, stdin=b"")
        self.assertIn(b"Verify return code: 0", served)
        self.assertEqual(openssl("x509", "-noout", "-pubkey", stdin=served).decode(), pub)
        # killed: started anew, and attached to signer and edges
        self.server.kill_role("keyd")
        self.eventually(lambda: self.enrolls("t-2")[0] == 200, 20, "issues after keyd's death")
        self.assertEqual(self.server.stop(), 0)
        self.assertEqual(self.server.faults(), [])

    def test_no_edge_gets_the_key_of_a_ca(self):
        hsm = tokens.SoftHsm(self)
        hsm.token("muster")
        home = os.path.join(self.folder(), "home")
        self.works(run("init", "--home", home, "--set", "server.mqtt_port=0", "--set",
                       "server.https_port=0", "--set", "server.http_port=0", "--issuer-key",
                       "device-ca=" + hsm.uri("muster", ";object=device-ca"),
                       env={**os.environ, **hsm.env}))
        harness.set_config(
            home, server={"tls_key": hsm.uri("muster", ";object=device-ca")})
        server = harness.Server(home, env=hsm.env)
        self.addCleanup(lambda: server.running and server.kill())
        with open(server.log_path, "ab") as log:
            serving = subprocess.Popen([harness.MUSTER, "serve", "--home", home], stderr=log,
                                       stdout=subprocess.DEVNULL, env={**os.environ, **hsm.env})
        try:
            self.eventually(lambda: "it is the key of a CA" in server.log, 20, "the refusal")
            self.assertNotIn("edge.certificate until_ms", server.log)
        finally:
            serving.terminate()
            serving.wait(20)

    def test_a_key_in_a_tpm(self):
        """The device CA's, in a software TPM that dies and comes back with its state."""
        tpm = tokens.Swtpm(self)
        home = os.path.join(self.folder(), "home")
        run_env = {**os.environ, **tpm.env}
        self.works(run("init", "--home", home, "--set", "server.mqtt_port=0", "--set",
                       "server.https_port=0", "--set", "server.http_port=0", "--issuer-key",
                       "device-ca=" + tpm.uri(0x81000021), env=run_env))
        self.assertNotIn("device-ca.key", os.listdir(os.path.join(home, "ca")))
        self.start(home, tpm.env)
        status, body = self.enrolls("p-1")
        self.assertEqual(status, 200, body)
        rows, _ = self.op.rows("/muster/issuers")
        self.assertEqual([r["custody"] for r in rows if r["purpose"] == "device"], ["tpm2"])
        self.assertRegex(self.server.log, r"role=keyd .*jail=.*seccomp \d+ calls denied")
        tpm.kill()
        status, body = self.enrolls("p-2")
        self.assertEqual(status, 503, body)
        tpm.start()
        self.eventually(lambda: self.enrolls("p-3")[0] == 200, 20, "issues when it is back")
        self.server.kill_role("keyd")
        self.eventually(lambda: self.enrolls("p-4")[0] == 200, 20, "issues after keyd's death")
        self.assertEqual(self.server.stop(), 0)
        self.assertEqual(self.server.faults(), [])

    def test_a_token_that_is_away_costs_issuance_alone(self):
        hsm = tokens.SoftHsm(self)
        hsm.token("muster")
        parent = self.folder()
        home = os.path.join(parent, "home")
        run_env = {**os.environ, **hsm.env}
        self.works(run("init", "--home", home, "--set", "server.mqtt_port=0", "--set",
                       "server.https_port=0", "--set", "server.http_port=0", "--issuer-key",
                       "device-ca=" + hsm.uri("muster", ";object=device-ca"), env=run_env))
        hsm.away()
        self.start(home, hsm.env)
        status, body = self.enrolls("t-3")
        self.assertEqual(status, 503, body)
        self.assertIn("issuer device-ca", self.server.log)
        hsm.back()
        self.eventually(lambda: self.enrolls("t-4")[0] == 200, 20, "issues when it is back")
        self.assertEqual(self.server.stop(), 0)
        self.assertEqual(self.server.faults(), [])


if __name__ == "__main__":
    unittest.main()
