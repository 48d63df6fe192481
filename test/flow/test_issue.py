"""muster issue: keys and certificates for a list of devices."""
import os
import signal
import stat
import subprocess
import time

import harness
from harness import run
from pki import openssl


class Issue(harness.Case):
    @classmethod
    def setUpClass(cls):
        cls.scratch = harness.tempfile.mkdtemp(prefix="muster-test-")
        cls.addClassCleanup(harness.shutil.rmtree, cls.scratch, True)
        cls.home = harness.make_home(cls.scratch)

    def list(self, *lines):
        path = os.path.join(self.folder(), "devices.txt")
        with open(path, "wb") as f:
            f.write(b"".join(n.encode() + b"\n" for n in lines))
        return path

    def issue(self, devices, out, *more):
        return run("issue", "--home", self.home, "--devices", devices, "--out", out, *more)

    def verify(self, out, name):
        root, chain = os.path.join(self.home, "ca/root.pem"), os.path.join(out, name)
        got = openssl("verify", "-x509_strict", "-purpose", "sslclient", "-CAfile", root,
                      "-untrusted", chain + "-fullchain.pem", chain + ".pem")
        self.assertIn(b": OK", got)
        self.assertEqual(openssl("x509", "-in", chain + ".pem", "-noout", "-pubkey"),
                         openssl("pkey", "-in", chain + ".key", "-pubout"))
        return openssl("x509", "-in", chain + ".pem", "-noout", "-text").decode()

    def test_p256_leaves_have_exactly_the_profile(self):
        out = os.path.join(self.folder(), "out")
        self.works(self.issue(self.list("dev-1", "", "# comment", "  dev.2  "), out))
        self.assertEqual(sorted(os.listdir(out)), [
            "dev-1-fullchain.pem", "dev-1.key", "dev-1.pem",
            "dev.2-fullchain.pem", "dev.2.key", "dev.2.pem"])
        got = self.verify(out, "dev-1")
        self.assertIn("Version: 3", got)
        self.assertRegex(got, r"Subject: .*CN = dev-1\n")
        self.assertRegex(got, r"Basic Constraints: critical\n\s+CA:FALSE\n")
        self.assertRegex(got, r"Key Usage: critical\n\s+Digital Signature\n")
        self.assertRegex(got, r"Extended Key Usage: *\n\s+TLS Web Client Authentication\n")
        self.assertIn("Subject Key Identifier", got)
        self.assertIn("Authority Key Identifier", got)
        self.assertNotIn("Subject Alternative Name", got)
        self.assertEqual(got.count("X509v3 "), 6, "nothing besides the profile's extensions")
        mode = stat.S_IMODE(os.stat(os.path.join(out, "dev-1.key")).st_mode)
        self.assertEqual(mode, 0o600)
        with open(os.path.join(out, "dev-1-fullchain.pem"), encoding="ascii") as f:
            self.assertEqual(f.read().count("BEGIN CERTIFICATE"), 2)

    def test_rsa_leaves_may_encipher_keys(self):
        out = os.path.join(self.folder(), "out")
        self.works(self.issue(self.list("dev-1", "dev-2"), out, "--key", "rsa2048"))
        got = self.verify(out, "dev-1")
        self.assertIn("Public-Key: (2048 bit)", got)
        self.assertRegex(got, r"Key Usage: critical\n\s+Digital Signature, Key Encipherment\n")
        self.verify(out, "dev-2")

    def test_life_and_its_limit(self):
        out = os.path.join(self.folder(), "out")
        devices = self.list("dev-1")
        self.works(self.issue(devices, out, "--life", "30d"))
        path = os.path.join(out, "dev-1.pem")
        openssl("x509", "-in", path, "-noout", "-checkend", str(30 * 86400 - 7200))
        late = openssl("x509", "-in", path, "-noout", "-checkend", str(30 * 86400 + 60),
                       check=False)
        self.assertIn(b"will expire", late)
        self.ends(self.issue(devices, out, "--life", "91d"), 3, "--life")

    def test_a_leaf_never_outlives_its_issuer(self):
        folder = self.folder()
        home = harness.make_home(folder, "short", "--set", "pki.intermediate_life=1d")
        out = os.path.join(folder, "out")
        self.works(run("issue", "--home", home, "--devices", self.list("dev-1"), "--out", out))

        def end(path):
            return openssl("x509", "-in", path, "-noout", "-enddate", "-dateopt", "iso_8601")

        self.assertLessEqual(end(os.path.join(out, "dev-1.pem")),
                             end(os.path.join(home, "ca/device-ca.pem")))

    def test_all_serials_differ(self):
        out = os.path.join(self.folder(), "out")
        names = ["s-%d" % i for i in range(300)]
        self.works(self.issue(self.list(*names), out))
        with open(os.path.join(self.home, "ca/journal.log"), encoding="ascii") as f:
            rows = [line.split(" ") for line in f]
        serials = [r[5] for r in rows if r[6].startswith("s-")]
        self.assertEqual(len(serials), 300)
        self.assertEqual(len(set(serials)), 300)
        for bit in range(64):  # 64 random bits at least, so none stands still
            self.assertEqual(len({int(s, 16) >> bit & 1 for s in serials}), 2, bit)

    def test_second_run_makes_only_what_is_missing(self):
        out, devices = os.path.join(self.folder(), "out"), self.list("a", "b", "c")
        self.works(self.issue(devices, out))
        before = {n: os.stat(os.path.join(out, n)).st_mtime_ns for n in os.listdir(out)}
        os.remove(os.path.join(out, "b.pem"))
        os.truncate(os.path.join(out, "c.key"), 0)
        got = self.works(self.issue(devices, out))
        self.assertIn("2 certificates", got.stdout)
        after = {n: os.stat(os.path.join(out, n)).st_mtime_ns for n in os.listdir(out)}
        self.assertEqual(sorted(after), sorted(before))
        self.assertTrue(all(after[n] == before[n] for n in after if n.startswith("a")))
        for name in "abc":
            self.verify(out, name)

    def test_resumes_after_kill(self):
        out = os.path.join(self.folder(), "out")
        names = ["k-%04d" % i for i in range(1500)]
        devices = self.list(*names)
        process = subprocess.Popen(
            [harness.MUSTER, "issue", "--home", self.home, "--devices", devices, "--out", out,
             "--key", "p256"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.eventually(lambda: os.path.isdir(out) and len(os.listdir(out)) > 200, 30,
                        "files of the first batch")
        process.send_signal(signal.SIGKILL)
        process.wait()
        made = len(os.listdir(out))
        self.assertLess(made, 4500, "killed too late to show anything")
        self.eventually(lambda: self.issue(devices, out).returncode == 0, 60, "second run")
        self.assertEqual(len(os.listdir(out)), 4500)
        bad = [n for n in os.listdir(out) if os.stat(os.path.join(out, n)).st_size == 0]
        self.assertEqual(bad, [])
        checked = openssl("verify", "-CAfile", os.path.join(self.home, "ca/root.pem"),
                          "-untrusted", os.path.join(self.home, "ca/device-ca.pem"),
                          *[os.path.join(out, n + ".pem") for n in names])
        self.assertEqual(checked.count(b": OK"), 1500)
        for name in names[::300]:
            self.verify(out, name)
        self.works(run("ca", "verify-journal", "--home", self.home))


class BadLists(harness.Case):
    def setUp(self):
        self.work = self.folder()
        self.home = harness.make_home(self.work)
        self.out = os.path.join(self.work, "out")

    def issue(self, raw, *more, out=None):
        path = os.path.join(self.work, "list")
        with open(path, "wb") as f:
            f.write(raw)
        return run("issue", "--home", self.home, "--devices", path, "--out", out or self.out, *more)

    def nothing_made(self):
        self.assertFalse(os.path.isdir(self.out) and os.listdir(self.out))

    def test_duplicates_and_malformed_ids_are_named_with_their_lines(self):
        got = self.issue(b"ok-1\nbad id\nok-2\nok-1\n../etc\n" + b"x" * 65 + b"\n")
        self.ends(got, 3, "4 lines", "nothing was made")
        for line, word in ((2, "bad id"), (4, "line 1"), (5, "../etc"), (6, "64")):
            self.assertRegex(got.stderr, r"(?m)^\S+list:%d: .*%s" % (line, word))
        self.nothing_made()

    def test_hostile_lists(self):
        for name, raw in (("NUL", b"a\0b\n"), ("escape", b"a\x1b[2Jb\n"), ("binary", bytes(range(255, 10, -1))),
                          ("UTF-8", "ä-1\n".encode()), ("dots", b"..\n"), ("slash", b"a/b\n"),
                          ("empty", b""), ("only comments", b"# x\n\n")):
            with self.subTest(name):
                got = self.issue(raw)
                self.assertEqual(got.returncode, 3, got.stderr)
                self.assertNotIn("\x1b", got.stderr)
                self.nothing_made()

    def test_ids_that_differ_in_case_alone_are_duplicates(self):
        # DPS compares registration IDs without case (device.md 1.2)
        got = self.issue(b"Dev-1\ndev-1\n")
        self.ends(got, 3)
        self.nothing_made()

    def test_long_lists_of_faults_are_cut(self):
        got = self.issue(b"bad id\n" * 1000)
        self.assertLess(len(got.stderr.splitlines()), 20)
        self.ends(got, 3, "1000 lines")

    def test_windows_line_ends(self):
        self.works(self.issue(b"dev-1\r\ndev-2\r\n"))
        self.assertIn("dev-2.key", os.listdir(self.out))

    def test_missing_and_unreadable_list(self):
        for path, status in (("/nonexistent/list", 4), (self.work, 8)):
            got = run("issue", "--home", self.home, "--devices", path, "--out", self.out)
            self.assertIn(got.returncode, (status, 3) if status == 8 else (status,), got.stderr)
            self.assertIn(path, got.stderr)

    def test_out_that_cannot_be_written(self):
        got = self.issue(b"dev-1\n", out="/proc/out")
        self.assertIn(got.returncode, (4, 8), got.stderr)
        self.assertIn("/proc/out", got.stderr)
        path = os.path.join(self.work, "file")
        with open(path, "w", encoding="ascii") as f:
            f.write("x")
        got = self.issue(b"dev-1\n", out=path)
        self.assertNotEqual(got.returncode, 0)
        self.assertIn(path, got.stderr)

    def test_out_that_is_full(self):
        harness.need_root(self)
        full = os.path.join(self.work, "full")
        os.mkdir(full)
        harness.mount_tmpfs(self, full, "64k")
        got = self.issue("".join("d-%d\n" % i for i in range(64)).encode(), out=full)
        self.ends(got, 8, "run it again")
        again = self.issue("".join("d-%d\n" % i for i in range(64)).encode(), out=self.out)
        self.works(again)

    def test_kind_of_key_that_there_is_not(self):
        self.ends(self.issue(b"dev-1\n", "--key", "rsa512"), 3, "--key")

    def test_links_in_out_are_not_followed(self):
        os.mkdir(self.out)
        victim = os.path.join(self.work, "victim")
        with open(victim, "w", encoding="ascii") as f:
            f.write("precious")
        os.symlink(victim, os.path.join(self.out, "dev-1.key"))
        self.works(self.issue(b"dev-1\n"))
        with open(victim, encoding="ascii") as f:
            self.assertEqual(f.read(), "precious")
        self.assertFalse(os.path.islink(os.path.join(self.out, "dev-1.key")))

    def test_home_in_use_by_a_server(self):
        server = harness.Server(self.home).start()
        self.addCleanup(server.kill)
        got = self.issue(b"dev-1\n")
        self.ends(got, 5, "in use", str(server.process.pid))
        self.nothing_made()
        self.assertEqual(server.stop(), 0)
        self.works(self.issue(b"dev-1\n"))

    def test_home_with_unsafe_key(self):
        os.chmod(os.path.join(self.home, "ca/device-ca.key"), 0o644)
        got = self.issue(b"dev-1\n")
        self.assertEqual(got.returncode, 8, got.stderr)
        self.assertIn("chmod 600", got.stderr)
        self.nothing_made()

    def test_is_quiet_in_a_pipe_and_quick(self):
        start = time.monotonic()
        got = self.works(self.issue(b"dev-1\n"))
        self.assertEqual(got.stderr, "")
        self.assertLess(time.monotonic() - start, 20)


if __name__ == "__main__":
    harness.main()
