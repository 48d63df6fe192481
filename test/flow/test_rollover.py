"""From one CA to the next: a campaign with real agents, a CA in other hands, the server's own."""
import hashlib
import json
import os
import shutil
import signal
import subprocess
import time

import device
import harness
import mqtt
import pki
from harness import run


def place(name):
    """Where a device lies among ten thousand (domain/pki/census.h)."""
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[8:12], "big") % 10000


def names_in(low, high, n, prefix):
    """Names of n devices that lie in [low, high)."""
    found, i = [], 0
    while len(found) < n:
        i += 1
        name = "%s-%d" % (prefix, i)
        if low <= place(name) < high:
            found.append(name)
    return found


class Case(harness.Case):
    """A server of the test's own, since its CAs change."""

    HOME_SET = {}

    def setUp(self):
        self.parent = self.folder()
        self.home = harness.make_home(self.parent)
        harness.set_config(self.home, **self.HOME_SET)
        self.server = harness.Server(self.home).start()
        self.addCleanup(self.end)
        self.op = self.server.operator()
        self.device_ca = self.issuer("device-ca")
        self.devices = {}

    def end(self):
        status = self.server.stop()
        self.assertEqual((status, self.server.faults()), (0, []), self.server.log[-3000:])

    good = harness.ServerCase.good
    x509_group = harness.ServerCase.x509_group
    leaf = harness.ServerCase.leaf
    path = harness.ServerCase.path
    refused = harness.ServerCase.refused
    hub = harness.ServerCase.hub
    dps = harness.ServerCase.dps

    # ---- CAs ----

    def ca_file(self, name):
        return os.path.join(self.home, "ca", name)

    def issuer(self, name, key=None):
        return pki.Issuer(self.ca_file(name + ".pem"), key or self.ca_file(name + ".key"))

    def root(self):
        """The root with its key, as who holds it would."""
        key = os.path.join(self.parent, "root.key")
        pki.openssl("pkey", "-in", self.ca_file("root.key"), "-passin",
                    "file:" + self.ca_file("root.passphrase"), "-out", key)
        return self.issuer("root", key)

    def add_ca(self, name, purpose, issuer=None, with_key=True):
        """Makes a CA known to the running server; waits until it is."""
        days = 1000 if issuer else 2000  # nothing outlives its root
        made = pki.make_ca(os.path.join(self.parent, name), name, issuer, days)
        self.put_ca(name, purpose, made.cert, made.key if with_key else None)
        return made

    def put_ca(self, name, purpose, cert, key=None):
        shutil.copy(cert, self.ca_file(name + ".pem"))
        row = "\n[%s]\npurpose = %s\ncert = %s.pem\n" % (name, purpose, name)
        if key:
            shutil.copy(key, self.ca_file(name + ".key"))
            os.chmod(self.ca_file(name + ".key"), 0o600)
            row += "key = file:%s.key\n" % name
        with open(self.ca_file("issuers.conf"), "a", encoding="ascii") as f:
            f.write(row)
        self.server.process.send_signal(signal.SIGHUP)
        self.eventually(lambda: self.state(name), 20, name + " is known")

    def state(self, name):
        rows, _ = self.op.rows("/muster/issuers", name=name)
        return rows[0]["state"]

    # ---- commands ----

    def muster(self, *args):
        return run(*args, "--home", self.home)

    def rollover(self, *args):
        return self.muster("ca", "rollover", *args)

    def status(self):
        got = self.works(self.rollover("status", "-o", "json"))
        return json.loads(got.stdout)[0]

    def listed(self, which):
        got = self.works(self.rollover("status", "--list", which, "-o", "json"))
        return [json.loads(line)["deviceId"] for line in got.stdout.splitlines()]

    def group(self, name="g-x509"):
        got = self.good(self.op.get("/enrollmentGroups/" + name))
        certs = got["attestation"]["x509"]["signingCertificates"]
        return [certs[k]["info"]["sha256Thumbprint"].lower() if certs.get(k) else None
                for k in ("primary", "secondary")]

    # ---- devices ----

    def connect(self, names, *settings):
        for name in names:
            made = device.Device(self, name, "renew.check=1s", *settings).enrol().start()
            self.devices[name] = made
        for name in names:
            self.devices[name].connected("0001", 60)

    def issuer_of(self, name):
        """The CA of what the device is connected with now, as its agent has it."""
        made = self.devices[name]
        text = pki.openssl("x509", "-in", made.file("cred", made.active.split()[1], "cert.pem"),
                           "-noout", "-issuer")
        return text.decode()

    def moved(self, names, ca, timeout=90):
        for name in names:
            self.eventually(lambda n=name: ca in self.issuer_of(n) and
                            self.devices[n].status().get("connected"),
                            timeout, "%s has a certificate of %s" % (name, ca))

    def registers_anew(self, name):
        """The agent that has forgotten its hub asks DPS, with what it was issued last."""
        made = self.devices[name]
        made.end()
        meta = made.file("cred", made.active.split()[1], "meta")
        with open(meta, encoding="ascii") as f:
            facts = json.load(f)
        for key in ("hub", "deviceId"):
            del facts[key]
        with open(meta, "w", encoding="ascii") as f:
            json.dump(facts, f)
        before = len(self.op.connections(deviceId=name, what="register"))
        made.start().connected(made.active.split()[1])
        rows = self.op.connections(deviceId=name, what="register")[before:]
        self.assertEqual({row["thumbprint"].lower() for row in rows}, {facts["thumbprint"]})
        with open(meta, encoding="ascii") as f:
            self.assertEqual(json.load(f)["deviceId"], name)

    def nobody_was_refused(self, names):
        for name in names:
            self.assertEqual(self.op.connections(deviceId=name, what="refused"), [])


class Campaign(Case):
    HOME_SET = {"pki": {"leaf_life": "20m"}}

    def test_a_fleet_moves_in_waves_and_the_old_ca_is_retired_with_proof(self):
        early = names_in(0, 5000, 3, "dev")
        late = names_in(5000, 10000, 2, "dev")
        sleeper = names_in(5000, 10000, 1, "sleeper")
        self.x509_group()
        self.connect(early + late + sleeper)
        self.devices[sleeper[0]].end()
        old = pki.sha256(self.device_ca.der)
        self.ends(self.rollover("status", "--list", "silent"), 4)
        self.ends(self.rollover("start", "device-ca-2"), 4, "device-ca-2")
        new_ca = self.add_ca("device-ca-2", "device", self.root())
        new = pki.sha256(new_ca.der)
        self.assertEqual(self.state("device-ca-2"), "standby")

        self.works(self.rollover("start", "device-ca-2", "--spread", "2s"))
        self.assertEqual(self.group(), [old, new])
        self.assertEqual(self.state("device-ca-2"), "trusted")
        self.ends(self.rollover("start", "device-ca-2"), 5, "under way")
        self.ends(self.rollover("finish"), 5, "nothing was moved")

        self.works(self.rollover("wave", "50", "--spread", "2s"))
        self.assertEqual([self.state("device-ca"), self.state("device-ca-2")],
                         ["retiring", "active"])
        self.moved(early, "device-ca-2")
        st = self.eventually(lambda: self.status()["moved"] == 3 and self.status(), 20,
                             "three have moved")
        self.assertEqual([st["state"], st["old"], st["called"]], ["moving", 3, 0])
        for name in late:
            self.assertNotIn("device-ca-2", self.issuer_of(name))

        self.ends(self.rollover("wave", "20"), 5, "only grows")
        self.works(self.rollover("wave", "100"))
        self.assertEqual(self.status()["spreadMs"], 2000, "the spread is kept")
        self.moved(late, "device-ca-2")
        self.registers_anew(early[0])  # while the group names both
        self.eventually(lambda: self.status()["old"] == 1, 20, "the sleeper is left")
        self.assertEqual(self.listed("silent"), sleeper)
        got = self.ends(self.rollover("finish"), 10, sleeper[0], "device-ca is in use")
        self.assertIn("1 devices used it last", got.stderr)

        shutil.copytree(self.devices[sleeper[0]].file("cred", "0001"), self.path("stale"))
        self.devices[sleeper[0]].start()
        self.moved(sleeper, "device-ca-2")
        self.eventually(lambda: self.status()["old"] == 0, 20, "nobody is left")
        evidence = self.path("evidence.json")
        nowhere = self.path("no-such-folder/evidence.json")
        self.assertIn("nothing was changed", self.rollover(
            "finish", "--evidence", nowhere).stderr)
        self.assertEqual(self.state("device-ca"), "retiring")
        self.works(self.rollover("finish", "--evidence", evidence))
        self.assertFalse(os.path.exists(evidence + ".before"))
        with open(evidence, encoding="ascii") as f:
            said = json.load(f)
        self.assertEqual([said["fromSha256"], said["toSha256"], said["moved"], said["old"],
                          said["state"], said["fromState"], said["forced"]],
                         [old, new, 6, 0, "finished", "retired", False])
        head = self.works(self.muster("ca", "verify-journal")).stdout
        self.assertGreater(said["journalEntries"], 6)
        self.assertRegex(said["journalHead"], "^[0-9a-f]{64}$")
        self.assertIn("unbroken", head)
        self.assertEqual(self.group(), [new, None])
        self.nobody_was_refused(early + late + sleeper)
        for name in early + late + sleeper:
            self.assertTrue(self.devices[name].status()["connected"], name)
        cert = (self.path("stale/cert.pem"), self.path("stale/key.pem"))
        self.refused(lambda: self.hub(sleeper[0], cert=cert))
        self.registers_anew(late[0])  # when it names the new one alone
        with self.dps(sleeper[0], cert=cert) as client:
            self.assertEqual(mqtt.dps_register(client).status, 401)

    def test_what_stands_in_the_way_is_named_before_anything_changes(self):
        self.x509_group()
        new = self.add_ca("device-ca-2", "device", self.root())
        self.x509_group("other", new.cert)
        self.ends(self.rollover("start", "device-ca-2"), 5, "g-x509", "other")
        self.assertEqual(self.state("device-ca-2"), "standby")
        self.good(self.op.delete("/enrollmentGroups/other"), 204)
        self.add_ca("no-key", "device", self.root(), with_key=False)
        self.ends(self.rollover("start", "no-key"), 5, "key is not here")
        self.ends(self.rollover("start", "service-ca"), 5, "active already")
        self.ends(self.rollover("start", "root"), 5, "root")

    def test_stop_puts_everything_back(self):
        self.x509_group()
        self.connect(["d-1"])
        before = self.group()
        self.add_ca("device-ca-2", "device", self.root())
        self.works(self.rollover("start", "device-ca-2", "--spread", "1s"))
        self.works(self.rollover("wave", "0.01", "--spread", "1s"))
        self.works(self.rollover("stop"))
        self.assertEqual([self.state("device-ca"), self.state("device-ca-2")],
                         ["active", "trusted"])
        self.assertEqual(self.group(), before)
        self.assertEqual(self.status()["state"], "stopped")
        self.works(self.devices["d-1"].agent("renew", "--now"))
        self.assertNotIn("device-ca-2", self.issuer_of("d-1"))


class Compromise(Case):
    HOME_SET = {"pki": {"leaf_life": "20m"}}

    def test_drill_and_compromise_count_down_to_zero(self):
        names = ["d-1", "d-2", "d-3", "d-4"]
        self.x509_group()
        self.connect(names)
        self.ends(self.muster("revoke", "--issuer", "device-ca"), 10, "add one first")
        got = self.muster("ca", "drill", "device-ca")
        self.assertEqual(got.returncode, 10, got.stderr)
        self.assertIn("add one first", got.stdout)
        self.add_ca("device-ca-2", "device", self.root())
        got = self.works(self.muster("ca", "drill", "device-ca", "-o", "json"))
        said = json.loads(got.stdout)
        self.assertEqual([said["rollover"]["old"], said["rollover"]["to"],
                          said["drill"]["sessions"], said["drill"]["groups"],
                          said["drill"]["ready"]], [4, "device-ca-2", 4, "g-x509", True])
        self.assertEqual(self.state("device-ca"), "active")

        thief = self.leaf("d-1")
        stale = self.path("stale")
        shutil.copytree(self.devices["d-1"].file("cred", "0001"), stale)
        got = self.works(self.muster("revoke", "--issuer", "device-ca", "--reason",
                                     "cACompromise", "--spread", "2s"))
        self.assertIn("4 sessions end", got.stdout)
        self.assertIn("root's CRL", got.stdout)
        self.assertEqual([self.state("device-ca"), self.state("device-ca-2")],
                         ["revoked", "active"])
        # what a thief makes with the stolen key is good for nothing
        self.refused(lambda: self.hub("d-1", cert=thief))
        api = self.server.anybody(cert=thief[0], key=thief[1])
        self.assertEqual(api.post("/muster/checkin", {}).status, 401)
        # and what was good is good for no connection
        self.refused(lambda: self.hub("d-1", cert=(stale + "/cert.pem", stale + "/key.pem")))
        self.moved(names, "device-ca-2", 120)
        st = self.eventually(lambda: self.status()["old"] == 0 and self.status(), 30,
                             "the countdown is at zero")
        self.assertEqual([st["state"], st["moved"]], ["emergency", 4])
        self.works(self.rollover("finish"))
        self.assertEqual(self.state("device-ca"), "revoked")
        self.assertEqual(self.group()[1], None)

    def test_what_was_issued_since_does_not_come_back(self):
        self.x509_group()
        self.connect(["before"])
        time.sleep(1.1)  # moments are told in seconds
        moment = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        self.connect(["after"])
        self.add_ca("device-ca-2", "device", self.root())
        self.works(self.muster("revoke", "--issuer", "device-ca", "--since", moment, "--spread",
                               "1s"))
        self.moved(["before"], "device-ca-2", 120)
        rows = self.eventually(lambda: [r for r in self.op.connections(
            deviceId="after", what="refused", plane="est") if "compromised" in r["reason"]],
            60, "it is refused")
        self.assertTrue(rows)
        self.assertEqual(self.status()["old"], 1)
        self.assertNotIn("device-ca-2", self.issuer_of("after"))
        # a token is an operator's word
        self.works(self.devices["after"].agent("enrol", "--token-file",
                                               self.devices["after"].token()))
        self.moved(["after"], "device-ca-2", 60)



class Servers(Case):
    """The CA of servers and operators, and its root."""

    HOME_SET = {"pki": {"leaf_life": "20m"}}

    def cross(self, name, below, root):
        """Another signature over a root, by an older one (RFC 4210 4.4)."""
        public = pki.spki(root.key)
        der = below.issue(root.name, public, extensions=[
            pki.extension(pki.BASIC_CONSTRAINTS, pki.sequence(b"\x01\x01\xff"), True),
            pki.extension(pki.KEY_USAGE, pki.tlv(0x03, b"\x01", b"\x06"), True),
            pki.extension(pki.SUBJECT_KEY_ID, pki.tlv(0x04, root.key_id)),
            pki.extension(pki.AUTHORITY_KEY_ID,
                          pki.sequence(pki.tlv(0x80, below.key_id)))])
        path = self.path(name + ".pem")
        pki.write_pem(path, "CERTIFICATE", der)
        self.put_ca(name, "cross", path)

    def shown(self, *anchors, port=None):
        """What the server shows to who trusts these files alone: (verified, issuer)."""
        trusted = self.path("anchors.pem")
        with open(trusted, "w", encoding="ascii") as out:
            for name in anchors:
                with open(name, encoding="ascii") as f:
                    out.write(f.read())
        got = subprocess.run(
            ["openssl", "s_client", "-connect", "127.0.0.1:%d" % (port or self.server.mqtt_port),
             "-CAfile", trusted, "-no-CApath", "-no-CAstore", "-verify_ip", "127.0.0.1"],
            input=b"", capture_output=True, timeout=30, check=False).stdout.decode()
        issuer = [line for line in got.splitlines() if line.startswith("issuer=")]
        return "Verify return code: 0 (ok)" in got, issuer[0] if issuer else ""

    def test_the_root_is_rolled_when_all_devices_have_the_new_one(self):
        names = ["d-1", "d-2", "d-3"]
        self.x509_group()
        self.connect(names)
        old_root = self.ca_file("root.pem")
        root = self.add_ca("root-2", "root", with_key=False)
        self.cross("root-2-by-root", self.root(), root)
        self.add_ca("service-ca-2", "service", root)
        self.assertEqual(self.state("root-2"), "standby")
        self.works(self.rollover("start", "service-ca-2", "--spread", "5s"))
        self.assertEqual(self.state("root-2"), "trusted")
        self.ends(self.rollover("wave", "100"), 10, "trust the new root", "d-1")
        self.assertEqual(self.state("service-ca-2"), "trusted")
        self.assertIn("d-1", self.listed("lacking"))
        self.assertNotIn("service-ca-2", self.shown(old_root)[1])

        self.eventually(lambda: self.status()["lackingAnchor"] == 0, 90,
                        "all have told that they trust the new root")
        for name in names:
            with open(self.devices[name].file("ca.pem"), encoding="ascii") as f:
                self.assertEqual(f.read().count("BEGIN"), 2, name)
        before = [self.devices[n].status()["connects"] for n in names]
        self.works(self.rollover("wave", "100", "--spread", "5s"))
        for port in (self.server.mqtt_port, self.server.https_port):
            self.eventually(lambda p=port: "service-ca-2" in self.shown(root.cert, port=p)[1], 20,
                            "the edges show a certificate of the new CA")
        # without dropping anybody
        self.assertEqual([self.devices[n].status()["connects"] for n in names], before)
        # who knows one root alone gets in, by whichever it is
        self.assertTrue(self.shown(root.cert)[0])
        self.assertTrue(self.shown(old_root)[0])
        self.devices["d-1"].end()
        self.devices["d-1"].start().connected()

        self.ends(self.rollover("finish"), 10, "admin", "service-ca is in use")
        self.assertEqual(self.server.stop(), 0)
        self.works(self.muster("ca", "operator", "second"))
        harness.set_config(self.home, server={"mqtt_port": self.server.mqtt_port,
                                              "https_port": self.server.https_port})
        self.server.start()
        second = ("--operator", "second")
        admin = pki.sha256(pki.read_pem(os.path.join(self.home, "operators", "admin.pem"))[0])
        self.works(self.muster("revoke", "--thumbprint", admin, "--only-certificate", *second))
        self.works(self.rollover("finish", *second))
        self.op = self.server.operator("second")
        self.assertEqual(self.state("service-ca"), "retired")
        # the devices' CA is still below it
        self.assertEqual(self.state("root"), "trusted")
        for name in names:
            self.devices[name].connected(timeout=60)


if __name__ == "__main__":
    harness.main()
