"""Renewal in the agent against a real server: by token, by hand, by itself, and what must not
lose the device: a server that is down, a refused certificate, expiry, a wrong clock."""
import glob
import os
import socket
import time

import device
import harness
import lab
import pki
import tokens


class Case(harness.ServerCase):
    def setUp(self):
        super().setUp()
        self.x509_group()  # what the provisioning service lets devices in by

    def device(self, name, *settings, **more):
        made = device.Device(self, name, *settings, **more)
        self.addCleanup(self.no_faults, made)
        return made

    def no_faults(self, made):
        if os.path.exists(made.log_path):
            self.assertNotRegex(made.log, harness.BUG)

    def accepted(self, made):
        """The thumbprints that the hub let the device in with."""
        return [r["thumbprint"].lower() for r in self.op.connections(
            deviceId=made.name, what="connect", plane="hub")]


class Renewal(Case):
    def test_a_token_is_the_first_certificate_and_good_once(self):
        dev = self.device("first")
        self.ends(dev.agent("run"), 4)
        token = dev.token()
        os.chmod(token, 0o644)
        self.ends(dev.agent("enrol", "--token-file", token), 8, "chmod")
        os.chmod(token, 0o600)
        self.works(dev.agent("enrol", "--token-file", token))
        self.assertEqual(dev.active, "x509 0001")
        dev.start().connected("0001")
        self.ends(dev.agent("enrol", "--token-file", token), 6)
        self.assertEqual(dev.active, "x509 0001")

    def test_a_living_device_is_not_made_anew(self):
        dev = self.device("once")
        ca = os.path.join(dev.dir, "ca.pem")
        with open(ca, "rb") as f:
            before = f.read()
        other = os.path.join(self.server.home, "ca", "device-ca.pem")
        self.ends(dev.agent("init", "--id", "twice", "--no-sas", "--id-scope", "x", "--ca-file",
                            other), 5, "lives there already")
        with open(ca, "rb") as f:
            self.assertEqual(f.read(), before)

    def test_told_to_it_renews_and_proves_before_it_switches(self):
        dev = self.device("told").enrol().start()
        one = dev.connected("0001")["thumbprint"]
        self.assertIn("nothing to renew", self.works(dev.agent("renew")).stdout)
        self.assertIn("0002", self.works(dev.agent("renew", "--now")).stdout)
        two = dev.connected("0002")["thumbprint"]
        self.assertNotEqual(one, two)
        self.assertEqual(dev.generations(), ["0001", "0002"])
        with open(dev.file("cred", "0001", "key.pem"), "rb") as a, \
                open(dev.file("cred", "0002", "key.pem"), "rb") as b:
            self.assertNotEqual(a.read(), b.read())
        self.assertIn(" renew generation=0002 ", dev.journal)
        self.eventually(lambda: self.accepted(dev).count(two) >= 2, 10,
                        "the proof and the agent's own connection")
        self.works(dev.agent("renew", "--now"))
        self.works(dev.agent("renew", "--now"))
        dev.connected("0004")
        self.assertEqual(dev.generations(), ["0002", "0003", "0004"])

    def test_a_server_that_is_down_leaves_the_old_credential_and_says_so(self):
        dev = self.device("down", "renew.check=1s").enrol()
        with socket.socket() as s:
            s.bind(("127.0.0.1", 0))
            dev.set("est", "port", s.getsockname()[1])
            dev.start().connected("0001")
            st = self.eventually(lambda: dev.status()["renewal"]["failures"] >= 2 and
                                 dev.status(), 20, "two failures")
            self.assertTrue(st["connected"])
            self.assertIn("127.0.0.1", st["renewal"]["lastError"])
            shown = dev.agent("status").stdout
            for word in ("renewal due", "next look", "renewal failed"):
                self.assertIn(word, shown)
            self.ends(dev.agent("renew", "--now"), 7)
        self.assertEqual(dev.active, "x509 0001")
        dev.set("est", "port", self.server.https_port)
        dev.end()
        dev.start()
        self.eventually(lambda: dev.status().get("renewal", {}).get("failures") == 0, 20,
                        "it is well again")

    def test_a_refused_certificate_falls_back_and_is_replaced(self):
        dev = self.device("refused").enrol().start()
        dev.connected("0001")
        self.works(dev.agent("renew", "--now"))
        two = dev.connected("0002")["thumbprint"]
        self.good(self.op.post("/muster/revoke", {
            "deviceId": dev.name, "thumbprint": two, "onlyCertificate": True,
            "reason": "keyCompromise"}))
        dev.connected("0003", 40)
        self.assertIn("fall_back", dev.journal)
        self.assertIn('to="x509 0001"', dev.journal)
        got = self.accepted(dev)
        self.assertIn(dev.status()["thumbprint"], got)

    def test_a_clock_at_1970_gets_in_and_renews(self):
        found = glob.glob("/usr/lib/*/faketime/libfaketimeMT.so.1")
        if not found:
            self.skipTest("there is no faketime")
        dev = self.device("rtc-less", "renew.check=2s", env={
            "LD_PRELOAD": found[0], "FAKETIME": "@1970-01-02 00:00:00",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
            "ASAN_OPTIONS": "verify_asan_link_order=0:detect_leaks=0"})
        dev.enrol()
        with open(dev.file("journal.log"), encoding="ascii") as f:
            self.assertNotIn("1970", f.read())  # it never took that for the time
        self.works(dev.agent("renew", "--now"))
        dev.start().connected("0002")
        self.eventually(lambda: dev.status()["renewal"]["askedMs"] > time.time() * 1000 - 60000,
                        20, "it knows what time it is")
        self.assertEqual(dev.active, "x509 0002")

    def test_trust_anchors_follow_the_server(self):
        dev = self.device("anchors").enrol()
        with open(self.server.ca, encoding="ascii") as f:
            root = f.read()
        stranger = pki.make_ca(self.path("stranger"), "Stranger")
        with open(stranger.cert, encoding="ascii") as f, \
                open(dev.file("ca.pem"), "a", encoding="ascii") as to:
            to.write(f.read())
        self.works(dev.agent("renew"))
        with open(dev.file("ca.pem"), encoding="ascii") as f:
            self.assertEqual("".join(f.read().split()), "".join(root.split()))
        with open(dev.file("ca.pem.1"), encoding="ascii") as f:
            self.assertEqual(f.read().count("BEGIN"), 2)
        dev.start().connected("0001")
        self.works(dev.agent("renew", "--now"))
        dev.connected("0002")


class Hardware(Case):
    """Each generation's key made in a token or TPM, and nowhere else; each request linked to
    its connection."""

    HOME_SET = {"est": {"linking": "required"}}

    def files(self, dev, *names):
        return [n for n in sorted(os.listdir(dev.file("cred", *names)))]

    def test_a_device_moves_its_key_into_a_token_and_renews_there(self):
        store = tokens.SoftHsm(self)
        store.token("device")
        dev = self.device("hsm", "renew.check=1s", env=store.env).enrol().start()
        dev.connected("0001")
        self.assertIn("key.pem", self.files(dev, "0001"))
        dev.end()
        dev.set("auth", "key_uri", store.uri("device"))
        dev.start()  # the move is a renewal that is due at once
        dev.connected("0002", 40)
        self.assertNotIn("key.pem", self.files(dev, "0002"))
        with open(dev.file("cred", "0002", "key.uri"), encoding="ascii") as f:
            self.assertIn("object=hsm-0002", f.read())
        for _ in range(3):
            self.works(dev.agent("renew", "--now"))
        dev.connected("0005")
        listed = self.works(harness.run("key", "list", store.uri("device"), env=store.env)).stdout
        for kept in dev.generations():
            self.assertIn("hsm-" + kept, listed)
        self.assertNotIn("hsm-0002", listed)  # pruned with its generation

    def test_a_token_that_is_gone_and_back(self):
        store = tokens.SoftHsm(self)
        store.token("device")
        dev = self.device("gone", "auth.key_uri=" + store.uri("device"), env=store.env).enrol()
        dev.start().connected("0001")
        store.away()
        got = dev.agent("renew", "--now")
        self.assertEqual(got.returncode, 7, got.stderr)
        dev.end()
        dev.start()
        st = self.eventually(lambda: dev.status().get("attempts", 0) > 1 and dev.status(), 20,
                             "waits for its token")
        self.assertIn("token", st["lastError"])
        self.assertEqual(dev.active, "x509 0001")  # nothing was thrown away
        store.back()
        dev.connected("0001", 30)
        self.works(dev.agent("renew", "--now"))
        dev.connected("0002")

    def test_keys_in_a_tpm_with_the_certificate_beside(self):
        tpm = tokens.Swtpm(self)
        dev = self.device("tpm", "auth.key_uri=" + tpm.uri(0x81010000), env=tpm.env).enrol()
        dev.start().connected("0001")
        for generation in ("0002", "0003", "0004"):
            self.works(dev.agent("renew", "--now"))
            dev.connected(generation)
        with open(dev.file("cred", "0004", "key.uri"), encoding="ascii") as f:
            self.assertIn("0x81010003", f.read())
        listed = self.works(harness.run("key", "list", "tpm2:", env=tpm.env)).stdout
        self.assertIn("0x81010003", listed)
        self.assertNotIn("0x81010000", listed)
        self.assertNotIn("certificate beside the key failed", dev.journal)


class Fleet(harness.Case):
    def test_a_lab_renews_and_a_rollback_still_reaches_sas(self):
        fleet = lab.Lab(self, 2)
        fleet.good("plan")
        fleet.good("run")
        where = os.path.join(fleet.home, "lab", "devices", "dev-0001")
        for generation in ("0002", "0003"):
            self.works(harness.run("renew", "--dir", where, "--now", program=harness.AGENT))
            self.assertEqual(fleet.active("dev-0001"), ["x509", generation])
        self.eventually(lambda: fleet.fleet()["connected"] == 2, 20, "both are connected")
        fleet.good("rollback", "--device", "dev-0001")
        self.assertEqual(fleet.active("dev-0001"), ["sas"])
        self.assertEqual(fleet.active("dev-0002"), ["x509", "0001"])


class ShortLives(Case):
    HOME_SET = {"pki": {"backdate": "0s", "leaf_life": "60s"}}

    def test_by_itself_life_after_life_without_a_gap(self):
        dev = self.device("itself", "renew.before=59s", "renew.share=90", "renew.check=2s")
        dev.enrol().start().connected("0001")
        seen = self.connected_all_along(dev, "0003", 75)
        self.assertGreater(seen, 20)
        self.assertEqual(dev.status()["renewal"]["failures"], 0)
        dev.end()
        self.offline_past_the_end(dev)

    def connected_all_along(self, dev, generation, timeout):
        """How often it was looked at until it had the generation: never on an expired one."""
        end, looks = time.monotonic() + timeout, 0
        while time.monotonic() < end:
            st = dev.status()
            self.assertGreater(st["notAfterMs"], time.time() * 1000)
            looks += 1
            if st["generation"] >= generation and st["connected"]:
                return looks
            time.sleep(0.3)
        self.fail("not renewed in time: %s\n%s" % (dev.status(), dev.log[-2000:]))

    def offline_past_the_end(self, dev):
        """Its certificate ends while it is off: it comes back, with the same key first."""
        was = int(dev.active.split()[1])
        time.sleep(62)
        dev.start()
        st = self.eventually(lambda: dev.status().get("renewal", {}).get("failures", 0) > 1 and
                             dev.status(), 20,
                             "refused: nobody has allowed it")
        self.assertIn("expired", st["renewal"]["lastError"])
        self.good(self.op.put("/muster/renew-allow/" + dev.name,
                              {"untilMs": int(time.time() + 600) * 1000}))
        dev.connected("%04d" % (was + 2), 40)  # with its old key, then with a new one
        self.assertIn('why="expired"', dev.journal)
        self.assertIn('why="the key was used again"', dev.journal)


if __name__ == "__main__":
    harness.main()
