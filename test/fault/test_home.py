"""Homes that cannot be served: each refused with one clear line and nothing changed."""
import os
import shutil
import socket
import sqlite3
import subprocess
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "flow"))
# pylint: disable=wrong-import-position
import harness
import pki
from harness import run


class Home(harness.Case):
    def setUp(self):
        self.home = harness.make_home(self.folder())
        self.db = os.path.join(self.home, "hub.db")

    def refused(self, *words, status=None):
        """That serve ends by itself, tells why in words, and leaves no process behind."""
        got = run("serve", "--home", self.home, timeout=30)
        self.assertNotEqual(got.returncode, 0, got.stderr)
        if status:
            self.assertIn(got.returncode, status, got.stderr)
        self.assertNotRegex(got.stderr, harness.BUG)
        self.assertLess(got.stderr.count("signer.failed") + got.stderr.count("core.failed"), 3,
                        "it says so once, not for ever")
        for word in words:
            self.assertIn(word, got.stderr)
        return got

    def serves(self):
        server = harness.Server(self.home).start()
        self.addCleanup(server.kill)
        self.assertEqual(server.stop(), 0)
        self.assertEqual(server.faults(), [])

    def test_second_server_is_told_the_pid_of_the_first(self):
        server = harness.Server(self.home).start()
        self.addCleanup(server.kill)
        got = self.ends(run("serve", "--home", self.home), 5, "in use", str(server.process.pid))
        self.assertEqual(len(got.stderr.strip().splitlines()), 1)
        self.assertEqual(server.operator().get("/devices").status, 200)
        server.kill()
        self.eventually(lambda: self.serves() is None, 20, "a dead server's lock is no lock")

    def test_stop_while_it_starts_is_no_failure(self):
        for wait in (0.2, 0.35, 0.6):
            server = subprocess.Popen([harness.MUSTER, "serve", "--home", self.home],
                                      stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
            self.addCleanup(server.kill)
            # the lock is taken before the signals are watched; from then on it ends in order
            self.eventually(lambda s=server: b"main.start" in s.stderr.readline(), 20)
            time.sleep(wait)
            server.terminate()
            _, text = server.communicate(timeout=20)
            self.assertEqual(server.returncode, 0, text)
            self.assertNotIn(b"stop_forced", text)

    def test_port_that_is_taken(self):
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            taken.listen(1)
            port = taken.getsockname()[1]
            for key in ("mqtt_port", "https_port", "http_port"):
                got = run("serve", "--home", self.home, "--set", "server.%s=%d" % (key, port))
                self.assertIn(got.returncode, (5, 7, 8), got.stderr)
                self.assertIn(str(port), got.stderr)
                self.assertEqual(len(got.stderr.strip().splitlines()), 1)
        self.serves()

    def test_address_that_is_not_ours(self):
        got = run("serve", "--home", self.home, "--set", "server.bind=192.0.2.1")
        self.assertNotEqual(got.returncode, 0)
        self.assertIn("192.0.2.1", got.stderr)

    def test_newer_schema(self):
        self.sql("PRAGMA user_version = 9999")
        self.refused("9999", "newer", status=(3, 9))
        self.assertEqual(self.sql("PRAGMA user_version"), [(9999,)])

    def sql(self, text):
        db = sqlite3.connect(self.db)
        rows = db.execute(text).fetchall()
        db.commit()
        db.close()
        return rows

    def content(self):
        with open(self.db, "rb") as f:
            return f.read()

    def test_database_of_another_program(self):
        os.remove(self.db)
        self.sql("CREATE TABLE theirs (x)")
        self.sql("INSERT INTO theirs VALUES (1)")
        os.chmod(self.db, 0o600)
        self.refused("hub.db")
        self.assertEqual(self.sql("SELECT x FROM theirs"), [(1,)])

    def test_database_that_is_rubbish_or_cut(self):
        for name in ("hub.db-wal", "hub.db-shm"):
            if os.path.exists(os.path.join(self.home, name)):
                os.remove(os.path.join(self.home, name))
        for raw in (b"rubbish" * 1000, self.content()[:5000]):
            with open(self.db, "wb") as f:
                f.write(raw)
            self.refused("hub.db")

    def test_configuration_that_is_wrong(self):
        path = os.path.join(self.home, "muster.conf")
        for raw, word in ((b"[server]\nmqtt_port = x\n", "mqtt_port"), (b"[nosuch]\na = 1\n", "nosuch"),
                          (b"[server]\nnosuch = 1\n", "nosuch"), (b"\x00\xff\x00", "muster.conf"),
                          (b"rubbish", "muster.conf"), (b"[server]\nmqtt_port = 99999\n", "99999"),
                          (b"[hub]\nretention_age = 5 parsecs\n", "retention_age")):
            with self.subTest(raw):
                with open(path, "wb") as f:
                    f.write(raw)
                got = self.refused(word, "muster.conf", status=(3,))
                self.assertRegex(got.stderr, r"line \d|muster\.conf")
        os.remove(path)
        self.refused("muster init", status=(4,))

    def test_keys_that_others_can_read(self):
        for name in ("device-ca.key", "service-ca.key"):
            path = os.path.join(self.home, "ca", name)
            os.chmod(path, 0o644)
            got = self.refused(name, "chmod 600")
            self.assertEqual(got.returncode, 8)
            os.chmod(path, 0o600)
        self.serves()

    def test_parts_that_are_missing(self):
        for name in ("ca/device-ca.pem", "ca/device-ca.key", "ca/service-ca.pem", "ca/root.pem"):
            with self.subTest(name):
                path = os.path.join(self.home, name)
                os.rename(path, path + ".away")
                self.refused(os.path.basename(name), status=(4,))
                os.rename(path + ".away", path)
        self.serves()

    def test_keys_of_another_ca(self):
        other = harness.make_home(self.folder(), "other", "--set", "pki.root_life=100d")
        shutil.copy2(os.path.join(other, "ca/device-ca.key"),
                     os.path.join(self.home, "ca/device-ca.key"))
        self.refused("device-ca")

    def test_clock_before_the_cas_birth_and_after_its_death(self):
        ca = os.path.join(self.home, "ca")
        key = os.path.join(self.folder(), "root.key")
        pki.openssl("pkey", "-in", os.path.join(ca, "root.key"), "-passin",
                    "file:" + os.path.join(ca, "root.passphrase"), "-out", key)
        root = pki.Issuer(os.path.join(ca, "root.pem"), key)
        path = os.path.join(ca, "device-ca.pem")
        der = pki.read_pem(path)[0]
        subject = pki.elements(pki.elements(pki.elements(der)[0][1])[0][1])[5][2]
        public = pki.spki(os.path.join(ca, "device-ca.key"))
        now = pki.datetime.datetime.now(pki.datetime.timezone.utc)
        rows = [pki.extension(pki.BASIC_CONSTRAINTS,
                              pki.sequence(b"\x01\x01\xff", pki.integer(0)), True),
                pki.extension(pki.KEY_USAGE, pki.tlv(0x03, b"\x01", b"\x06"), True),
                pki.extension(pki.SUBJECT_KEY_ID, pki.tlv(0x04, pki.subject_key_id(der))),
                pki.extension(pki.AUTHORITY_KEY_ID,
                              pki.sequence(pki.tlv(0x80, root.key_id)))]
        for start, end, word in ((now + pki.DAY, now + 9 * pki.DAY, "not valid yet"),
                                 (now - 9 * pki.DAY, now - pki.DAY, "expired")):
            pki.write_pem(path, "CERTIFICATE", root.issue(
                subject, public, start=start, end=end, extensions=rows))
            self.refused("Device Issuing CA", word)

    def test_home_that_is_not_ours_to_write(self):
        if os.geteuid() == 0:
            self.skipTest("root may write everywhere")
        os.chmod(self.home, 0o500)
        self.addCleanup(os.chmod, self.home, 0o700)
        self.refused("run")

    def test_home_with_spaces_and_from_the_environment(self):
        path = os.path.join(self.folder(), "a home with spaces é")
        shutil.copytree(self.home, path)
        server = harness.Server(path).start()
        self.addCleanup(server.kill)
        self.assertEqual(server.stop(), 0)
        self.works(run("ca", "verify", env={"MUSTER_HOME": path}))

    def test_options_over_the_configuration(self):
        got = self.works(run("config", "--home", self.home)).stdout
        self.assertIn("mqtt_port = 0", got.replace("=0", " = 0"))
        self.works(run("config", "--keys"))
        self.ends(run("serve", "--home", self.home, "--set", "server.edges=many"), 3, "edges")

    def test_json_log(self):
        server = harness.Server(self.home, "--set", "server.log_format=json",
                                "--set", "server.edges=1")
        server.process = None
        started = server.start()
        self.addCleanup(started.kill)
        self.assertEqual(started.stop(), 0)
        for line in started.log.splitlines():
            if line.startswith("<"):
                harness.json.loads(line.split(">", 1)[1])


if __name__ == "__main__":
    harness.main()
