"""muster init and muster ca: what they make, as OpenSSL sees it, and what they refuse."""
import os
import re
import stat

import harness
from harness import run
from pki import openssl


def text(path):
    return openssl("x509", "-in", path, "-noout", "-text").decode()


class Artefacts(harness.Case):
    @classmethod
    def setUpClass(cls):
        cls.scratch = harness.tempfile.mkdtemp(prefix="muster-test-")
        cls.addClassCleanup(harness.shutil.rmtree, cls.scratch, True)
        cls.home = harness.make_home(cls.scratch)

    def file(self, name):
        return os.path.join(self.home, name)

    def lasts(self, path, days):
        """notBefore lies a little back; notAfter is so many days ahead, less at most that."""
        start = openssl("x509", "-in", path, "-noout", "-checkend", str(days * 86400 - 7200))
        self.assertIn(b"will not expire", start)
        end = openssl("x509", "-in", path, "-noout", "-checkend", str(days * 86400 + 7200),
                      check=False)
        self.assertIn(b"will expire", end)

    def test_root_profile(self):
        got = text(self.file("ca/root.pem"))
        self.assertIn("Version: 3", got)
        self.assertRegex(got, r"Basic Constraints: critical\n\s+CA:TRUE\n")
        self.assertRegex(got, r"Key Usage: critical\n\s+Certificate Sign, CRL Sign\n")
        self.assertIn("Subject Key Identifier", got)
        self.assertNotIn("pathlen", got)
        self.assertIn("NIST CURVE: P-256", got)
        self.lasts(self.file("ca/root.pem"), 7300)

    def test_intermediate_profiles(self):
        for name in ("device-ca", "service-ca"):
            with self.subTest(name):
                got = text(self.file("ca/%s.pem" % name))
                self.assertRegex(got, r"Basic Constraints: critical\n\s+CA:TRUE, pathlen:0\n")
                self.assertRegex(got, r"Key Usage: critical\n\s+Certificate Sign, CRL Sign\n")
                self.assertIn("Subject Key Identifier", got)
                self.assertIn("Authority Key Identifier", got)
                self.assertNotIn("Extended Key Usage", got)
                self.lasts(self.file("ca/%s.pem" % name), 1825)

    def test_operator_profile(self):
        got = text(self.file("operators/admin.pem"))
        self.assertRegex(got, r"Basic Constraints: critical\n\s+CA:FALSE\n")
        self.assertRegex(got, r"Key Usage: critical\n\s+Digital Signature\n")
        self.assertRegex(got, r"Extended Key Usage: *\n\s+TLS Web Client Authentication\n")
        self.assertIn("CN = admin", got)
        self.lasts(self.file("operators/admin.pem"), 365)

    def test_serials_are_positive_and_random(self):
        serials = set()
        for name in ("ca/root.pem", "ca/device-ca.pem", "ca/service-ca.pem",
                     "operators/admin.pem"):
            line = openssl("x509", "-in", self.file(name), "-noout", "-serial").decode()
            number = int(line.strip().split("=")[1], 16)
            self.assertGreater(number, 1 << 64)
            self.assertLess(number, 1 << 159)
            serials.add(number)
        self.assertEqual(len(serials), 4)

    def test_chains_verify(self):
        root = self.file("ca/root.pem")
        for leaf, ca in (("ca/device-ca.pem", None), ("ca/service-ca.pem", None),
                         ("operators/admin.pem", "ca/service-ca.pem")):
            more = ["-untrusted", self.file(ca)] if ca else []
            got = openssl("verify", "-x509_strict", "-CAfile", root, *more, self.file(leaf))
            self.assertIn(b": OK", got)

    def test_keys_match_their_certificates(self):
        for cert, key in (("ca/device-ca.pem", "ca/device-ca.key"),
                          ("ca/service-ca.pem", "ca/service-ca.key"),
                          ("operators/admin.pem", "operators/admin.key")):
            self.assertEqual(openssl("x509", "-in", self.file(cert), "-noout", "-pubkey"),
                             openssl("pkey", "-in", self.file(key), "-pubout"))

    def test_root_key_is_encrypted_and_opens_with_its_passphrase(self):
        with open(self.file("ca/root.key"), encoding="ascii") as f:
            self.assertIn("ENCRYPTED PRIVATE KEY", f.read())
        got = openssl("pkey", "-in", self.file("ca/root.key"), "-pubout", "-passin",
                      "file:" + self.file("ca/root.passphrase"))
        self.assertEqual(got, openssl("x509", "-in", self.file("ca/root.pem"), "-noout", "-pubkey"))
        wrong = run("pkey", "-in", self.file("ca/root.key"), "-noout", "-passin", "pass:wrong",
                    program="openssl")
        self.assertNotEqual(wrong.returncode, 0)

    def test_modes(self):
        for folder, _, names in os.walk(self.home):
            self.assertEqual(stat.S_IMODE(os.stat(folder).st_mode), 0o700, folder)
            for name in names:
                mode = stat.S_IMODE(os.stat(os.path.join(folder, name)).st_mode)
                public = name.endswith(".pem")
                self.assertEqual(mode, 0o644 if public else 0o600, name)

    def test_modes_do_not_depend_on_umask(self):
        path = os.path.join(self.folder(), "home")
        got = run("-c", 'umask 000 && exec "$0" init --home "$1"', harness.MUSTER, path,
                  program="/bin/sh")
        self.works(got)
        for name in ("hub.db", "ca/device-ca.key", "ca/root.key", "ca/root.passphrase",
                     "ca/journal.log", "operators/admin.key", "muster.conf"):
            mode = stat.S_IMODE(os.stat(os.path.join(path, name)).st_mode)
            self.assertEqual(mode, 0o600, name)

    def test_report_holds_no_secret(self):
        path = os.path.join(self.folder(), "home")
        got = self.works(run("init", "--home", path))
        with open(os.path.join(path, "ca/root.passphrase"), encoding="ascii") as f:
            self.assertNotIn(f.read().strip(), got.stdout + got.stderr)

    def test_lifetimes_and_kinds_of_keys_are_configurable(self):
        path = harness.make_home(self.folder(), "rsa", "--set", "pki.key=rsa2048", "--set",
                                 "pki.root_life=365d", "--set", "pki.intermediate_life=60d")
        self.assertIn("Public-Key: (2048 bit)", text(os.path.join(path, "ca/root.pem")))
        self.lasts(os.path.join(path, "ca/root.pem"), 365)
        self.lasts(os.path.join(path, "ca/device-ca.pem"), 60)


class Refusals(harness.Case):
    def test_home_that_is_not_empty(self):
        path = self.folder()
        with open(os.path.join(path, "mine"), "w", encoding="ascii") as f:
            f.write("x")
        self.ends(run("init", "--home", path), 5, path, "not empty")
        self.assertEqual(os.listdir(path), ["mine"])

    def test_home_where_none_can_be(self):
        path = os.path.join(self.folder(), "file")
        with open(path, "w", encoding="ascii") as f:
            f.write("x")
        for home in ("/proc/muster", path, path + "/home"):
            with self.subTest(home):
                got = run("init", "--home", home)
                self.assertIn(got.returncode, (4, 5, 8), got.stderr)
                self.assertIn(home, got.stderr)

    def test_passphrase_file_that_others_can_read(self):
        folder = self.folder()
        path = os.path.join(folder, "passphrase")
        with open(path, "w", encoding="ascii") as f:
            f.write("a long enough passphrase\n")
        os.chmod(path, 0o644)
        got = run("init", "--home", os.path.join(folder, "home"), "--passphrase-file", path)
        self.ends(got, 8, path)
        self.assertEqual(os.listdir(folder), ["passphrase"], "nothing may be left")

    def test_passphrase_file_that_is_missing_or_too_short(self):
        folder = self.folder()
        home, path = os.path.join(folder, "home"), os.path.join(folder, "passphrase")
        self.ends(run("init", "--home", home, "--passphrase-file", path), 4, path)
        with open(path, "w", encoding="ascii") as f:
            f.write("abc\n")
        os.chmod(path, 0o600)
        self.ends(run("init", "--home", home, "--passphrase-file", path), 3, "passphrase")

    def test_own_passphrase_opens_the_root_key(self):
        folder = self.folder()
        home, path = os.path.join(folder, "home"), os.path.join(folder, "passphrase")
        with open(path, "w", encoding="ascii") as f:
            f.write("a long enough passphrase\n")
        os.chmod(path, 0o600)
        self.works(run("init", "--home", home, "--passphrase-file", path))
        self.assertFalse(os.path.exists(os.path.join(home, "ca/root.passphrase")))
        openssl("pkey", "-in", os.path.join(home, "ca/root.key"), "-noout", "-passin",
                "pass:a long enough passphrase")

    def test_configuration_that_is_wrong(self):
        home = os.path.join(self.folder(), "home")
        for option, status, word in (("server.mqtt_port=70000", 3, "mqtt_port"),
                                     ("server.nonsense=1", 3, "nonsense"),
                                     ("no equals sign", 2, "no equals sign"),
                                     ("hub.name=nodot", 3, "nodot")):
            with self.subTest(option):
                got = run("init", "--home", home, "--set", option)
                self.ends(got, status, word)
                self.assertFalse(os.path.exists(home))

    def test_usage(self):
        for args in (("nosuch",), ("init", "--nosuch"), ("init", "--home"), ("init", "extra"),
                     ("ca",), ("ca", "nosuch"), ("init", "--operator", "../x")):
            with self.subTest(args):
                self.ends(run(*args, env={"HOME": self.folder()}), 2)

    def test_help_is_everywhere(self):
        for args in (("--help",), ("init", "--help"), ("serve", "--help"), ("issue", "--help"),
                     ("ca", "--help"), ("config", "--help")):
            got = self.works(run(*args))
            self.assertTrue(got.stdout.startswith("usage: muster"), args)


class Ca(harness.Case):
    def setUp(self):
        self.home = harness.make_home(self.folder())
        self.journal = os.path.join(self.home, "ca/journal.log")

    def ca(self, *args):
        return run("ca", *args, "--home", self.home)

    def edit_journal(self, change):
        with open(self.journal, "rb") as f:
            lines = f.read().splitlines(True)
        with open(self.journal, "wb") as f:
            f.write(b"".join(change(lines)))

    def issue(self, *names):
        path = os.path.join(self.folder(), "list")
        with open(path, "w", encoding="ascii") as f:
            f.write("".join(n + "\n" for n in names))
        out = self.folder()
        self.works(run("issue", "--home", self.home, "--devices", path, "--out", out))
        return out

    def test_show_list_verify(self):
        got = self.works(self.ca("show")).stdout
        for name in ("root", "device-ca", "service-ca"):
            sha = openssl("x509", "-in", os.path.join(self.home, "ca", name + ".pem"), "-noout",
                          "-fingerprint", "-sha256").decode().split("=")[1].strip()
            self.assertIn(sha.replace(":", "").lower(), got.lower().replace(":", ""))
        self.assertEqual(len(self.works(self.ca("list")).stdout.splitlines()), 4)
        self.assertIn("pathlen", self.works(self.ca("show", "device-ca")).stdout)
        self.works(self.ca("verify"))
        self.ends(self.ca("show", "nosuch"), 2, "nosuch")

    def test_verify_finds_a_key_of_another_ca(self):
        ca = os.path.join(self.home, "ca")
        os.rename(os.path.join(ca, "service-ca.key"), os.path.join(ca, "x"))
        os.rename(os.path.join(ca, "device-ca.key"), os.path.join(ca, "service-ca.key"))
        os.rename(os.path.join(ca, "x"), os.path.join(ca, "device-ca.key"))
        got = self.ca("verify")
        self.ends(got, 9, "device-ca.key")

    def test_verify_refuses_a_key_that_others_can_read(self):
        os.chmod(os.path.join(self.home, "ca/device-ca.key"), 0o640)
        self.ends(self.ca("verify"), 8, "device-ca.key")

    def test_verify_goes_on_without_the_root_key(self):
        os.remove(os.path.join(self.home, "ca/root.key"))
        self.works(self.ca("verify"))

    def test_journal_verifies_and_a_copy_too(self):
        self.issue("a", "b", "c")
        got = self.works(self.ca("verify-journal")).stdout
        self.assertIn("4 entries", got)
        copy = os.path.join(self.folder(), "copy")
        harness.shutil.copy(self.journal, copy)
        self.assertIn("4 entries", self.works(self.ca("verify-journal", copy)).stdout)

    def test_every_issued_certificate_is_in_the_journal(self):
        out = self.issue("dev-1")
        der = openssl("x509", "-in", os.path.join(out, "dev-1.pem"), "-outform", "DER")
        sha = openssl("dgst", "-sha256", "-r", stdin=der).decode().split()[0]
        with open(self.journal, encoding="ascii") as f:
            self.assertIn(sha, f.read().splitlines()[-1].split(" "))

    def test_tampered_journal_is_found_with_its_line(self):
        self.issue("a", "b", "c")
        with open(self.journal, "rb") as f:
            whole = f.read()

        def change_a_field(lines):
            fields = lines[1].split(b" ")
            fields[6] = b"z"
            return [lines[0], b" ".join(fields), *lines[2:]]

        for name, change, line in (
                ("changed", change_a_field, 2),
                ("removed", lambda l: [l[0], *l[2:]], 2),
                ("swapped", lambda l: [l[0], l[2], l[1], l[3]], 2),
                ("head cut", lambda l: l[1:], 1),
                ("garbage", lambda l: [*l, b"v1 nonsense\n"], 5)):
            with self.subTest(name):
                with open(self.journal, "wb") as f:
                    f.write(whole)
                self.edit_journal(change)
                got = self.ends(self.ca("verify-journal"), 9, "journal.log")
                self.assertRegex(got.stderr, r"\b%d\b" % line)

    def test_server_refuses_a_tampered_journal(self):
        self.issue("a", "b", "c")
        self.edit_journal(lambda lines: [lines[0], *lines[2:]])
        got = run("serve", "--home", self.home)
        self.assertNotEqual(got.returncode, 0)
        self.assertIn("journal.log", got.stderr)
        self.assertIsNone(re.search(r"main\.ready role=signer", got.stderr))

    def test_half_a_line_at_the_end_is_cut_and_told(self):
        self.issue("a")
        with open(self.journal, "ab") as f:
            f.write(b"v1 3 17953")
        self.issue("b")
        self.assertIn("3 entries", self.works(self.ca("verify-journal")).stdout)

    def test_home_that_is_none(self):
        self.ends(run("ca", "verify", "--home", "/nonexistent"), 4, "/nonexistent")
        self.ends(run("serve", "--home", "/nonexistent"), 4, "muster init")


if __name__ == "__main__":
    harness.main()
