"""The store and the journal on a disk that fills up or fails: nothing acknowledged is lost,
nothing is acknowledged that is not there, and work goes on when there is room again."""
import base64
import json
import os
import shutil
import sys

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "flow"))
# pylint: disable=wrong-import-position
import harness
import mqtt
import pki
from harness import derive, token

EVENTS = "devices/%s/messages/events/"


class Disk(harness.Case):
    def start(self, small=None, size="8m"):
        """A server of whose home the part named small lies on a file system of that size."""
        folder = self.folder()
        self.home = harness.make_home(folder)
        if small == "store":
            self.disk = os.path.join(folder, "disk")
            os.mkdir(self.disk, 0o700)
            harness.mount_tmpfs(self, self.disk, size)
            shutil.move(os.path.join(self.home, "hub.db"), self.disk)
            harness.set_config(self.home, store={"path": os.path.join(self.disk, "hub.db")})
        elif small == "journal":
            self.disk = os.path.join(self.home, "ca")
            kept = os.path.join(folder, "kept")
            os.rename(self.disk, kept)
            os.mkdir(self.disk, 0o700)
            harness.mount_tmpfs(self, self.disk, size)
            for name in os.listdir(kept):
                shutil.copy2(os.path.join(kept, name), self.disk)
        self.server = harness.Server(self.home).start()
        self.addCleanup(self.server.kill)
        self.op = self.server.operator()

    def fill(self):
        """Leaves not one block on the small disk."""
        path = os.path.join(self.disk, "filler")
        with open(path, "ab", buffering=0) as f:
            try:
                while True:
                    f.write(b"\0" * 4096)
            except OSError:
                return path

    def device(self, name):
        got = self.op.put("/devices/" + name, {"deviceId": name})
        self.assertEqual(got.status, 200, got)
        return base64.b64decode(got.json["authentication"]["symmetricKey"]["primaryKey"])

    def hub(self, name, key):
        client = self.server.mqtt()
        self.addCleanup(client.close)
        client.connect(name, mqtt.hub_user(name), token("127.0.0.1/devices/" + name, key))
        return client

    def send(self, name, key, notes, count):
        client = self.hub(name, key)
        for _ in range(count):
            number = len(notes)
            client.publish(EVENTS % name, json.dumps({"n": number, "pad": "x" * 2000}))
            notes.append(number)
        client.disconnect()

    def lost(self, name, notes):
        there = {r["body"]["n"] for r in self.op.events(deviceId=name)}
        return [n for n in notes if n not in there]

    def ends_well(self):
        self.assertEqual(self.server.stop(), 0)
        self.assertEqual(self.server.faults(), [])

    # ---- the store -------------------------------------------------------------------

    def test_store_disk_full(self):
        harness.need_root(self)
        self.start("store")
        notes, key = [], self.device("d-1")
        self.send("d-1", key, notes, 20)
        client = self.hub("d-1", key)
        filler = self.fill()
        with self.assertRaises(mqtt.Closed):
            for _ in range(2000):
                client.publish(EVENTS % "d-1", json.dumps({"n": len(notes), "pad": "x" * 2000}))
                notes.append(len(notes))
        self.assertIn("FULL", self.server.log)
        self.assertIn("hub.db", self.server.log)
        full = self.op.put("/devices/d-2", {"deviceId": "d-2"})
        self.assertIn(full.status, (200, 503, 507), full)
        if full.status != 200:
            self.assertGreaterEqual(full.status, 500)
        with self.assertRaises((mqtt.Refused, mqtt.Closed)) as got:
            for _ in range(2000):
                self.hub("d-1", key).publish(EVENTS % "d-1", "{}" + " " * 2000)
        if isinstance(got.exception, mqtt.Refused):
            self.assertEqual(got.exception.code, 3, "5 would park the device for ever")
        os.remove(filler)
        self.eventually(lambda: self.send("d-1", key, notes, 5) is None, 30, "room again")
        self.assertEqual(self.lost("d-1", notes), [])
        self.assertEqual(self.op.get("/devices/d-1").status, 200)
        self.ends_well()

    def test_store_that_is_full_at_start(self):
        harness.need_root(self)
        self.start("store")
        self.device("d-1")
        self.assertEqual(self.server.stop(), 0)
        filler = self.fill()
        got = harness.run("serve", "--home", self.home, timeout=60)
        self.assertIn(got.returncode, (7, 8), got.stderr)
        self.assertRegex(got.stderr, "FULL|no space|No space")
        os.remove(filler)
        again = harness.Server(self.home).start()
        self.addCleanup(again.kill)
        self.assertEqual(again.operator().get("/devices/d-1").status, 200)
        self.assertEqual(again.stop(), 0)

    def test_failed_fsync_of_the_store_acknowledges_nothing(self):
        """fsyncgate: what a failed fsync left behind is never called durable."""
        harness.need_strace(self, attach=True)
        self.start()
        notes, key = [], self.device("d-1")
        self.send("d-1", key, notes, 5)
        client = self.hub("d-1", key)
        broken = harness.Injection(self.server.pids("core")[0], "fdatasync,fsync", "EIO")
        self.addCleanup(broken.end)
        client.sock.settimeout(10)
        with self.assertRaises(mqtt.Closed):
            client.publish(EVENTS % "d-1", json.dumps({"n": "never"}))
        got = None
        try:
            got = self.op.put("/devices/d-2", {"deviceId": "d-2"})
        except (OSError, harness.http.client.HTTPException):
            pass
        broken.end()
        if got is not None and got.status == 200:
            self.assertEqual(self.op.get("/devices/d-2").status, 200)
        self.eventually(lambda: self.send("d-1", key, notes, 5) is None, 30, "the disk is well")
        self.assertEqual(self.lost("d-1", notes), [])
        # and after a crash of all, when only the disk remembers
        self.server.kill()
        self.server = harness.Server(self.home).start()
        self.addCleanup(self.server.kill)
        self.op = self.server.operator()
        self.assertEqual(self.lost("d-1", notes), [])
        self.ends_well()

    def test_registrations_on_a_full_disk_are_told_to_come_back(self):
        harness.need_root(self)
        self.start("store")
        group = os.urandom(32)
        text = base64.b64encode(group).decode()
        self.assertEqual(self.op.put("/enrollmentGroups/g", {
            "enrollmentGroupId": "g", "attestation": {"type": "symmetricKey", "symmetricKey": {
                "primaryKey": text, "secondaryKey": text}}}).status, 200)

        def register(name):
            with self.server.mqtt() as client:
                client.connect(name, mqtt.dps_user(harness.SCOPE, name),
                               token(harness.SCOPE + "/registrations/" + name,
                                     derive(group, name)))
                client.subscribe("$dps/registrations/res/#")
                return mqtt.dps_register(client)

        filler = self.fill()
        done, refused = [], None
        for i in range(600):
            got = register("r-%d" % i)
            if got.status != 200:
                refused = got
                break
            done.append("r-%d" % i)
        self.assertIsNotNone(refused, "the disk did not fill")
        self.assertGreaterEqual(refused.status, 500, "every SDK waits and tries again")
        self.assertIn("retry-after", refused.pairs)
        os.remove(filler)
        self.eventually(lambda: register("r-last").status == 200, 30, "room again")
        for name in done:
            self.assertEqual(self.op.get("/registrations/" + name).json["status"], "assigned")
        self.ends_well()

    # ---- the journal -----------------------------------------------------------------

    def csr(self, name):
        self.device(name)
        key = pki.make_key(os.path.join(self.folder(), "key"))
        return base64.b64encode(pki.openssl("req", "-new", "-key", key, "-subj", "/CN=" + name,
                                            "-outform", "DER"))

    def enroll(self, body):
        try:
            got = self.op.post("/.well-known/est/simpleenroll", body)
        except (OSError, harness.http.client.HTTPException):
            return None
        if got.status != 200:
            self.assertGreaterEqual(got.status, 500, got)
            return None
        pem = pki.openssl("pkcs7", "-inform", "DER", "-print_certs",
                          stdin=base64.b64decode(got.body))
        return pki.sha256(pki.openssl("x509", "-outform", "DER", stdin=pem))

    def is_in_journal(self, issued):
        self.works(harness.run("ca", "verify-journal",
                               os.path.join(self.home, "ca/journal.log"), "--home", self.home))
        with open(os.path.join(self.home, "ca/journal.log"), encoding="ascii") as f:
            known = {line.split(" ")[10] for line in f}
        self.assertEqual(issued - known, set(), "handed out, and the journal does not know it")

    def test_journal_disk_full(self):
        harness.need_root(self)
        self.start("journal", "256k")
        body = self.csr("est-1")
        issued = {self.enroll(body) for _ in range(3)}
        self.assertNotIn(None, issued)
        filler = self.fill()
        refused = 0
        for _ in range(40):
            got = self.enroll(body)
            if got:
                issued.add(got)
            else:
                refused += 1
            if refused == 3:
                break
        self.assertEqual(refused, 3, "the disk did not fill")
        self.assertRegex(self.server.log, "journal.*(FULL|No space|no space)")
        # devices that need no certificate do not notice
        key = self.device("plain")
        self.hub("plain", key).ping()
        os.remove(filler)
        self.eventually(lambda: issued.add(self.enroll(body)) or None not in issued
                        or issued.discard(None), 30, "certificates again")
        self.is_in_journal(issued)
        self.ends_well()

    def test_failed_fsync_of_the_journal_hands_nothing_out(self):
        harness.need_strace(self, attach=True)
        self.start()
        body = self.csr("est-2")
        issued = {self.enroll(body)}
        signer = self.server.pids("signer")[0]
        broken = harness.Injection(signer, "fdatasync,fsync", "EIO")
        self.addCleanup(broken.end)
        self.assertIsNone(self.enroll(body), "a certificate was handed out")
        broken.end()
        self.eventually(lambda: self.server.pids("signer").get(0, signer) != signer, 20,
                        "a signer whose journal failed ends and is started anew")
        last = self.eventually(lambda: self.enroll(body), 30, "certificates again")
        self.is_in_journal(issued | {last})
        self.ends_well()


if __name__ == "__main__":
    harness.main()
