"""muster key: files, SoftHSM2 tokens, a software TPM; seen by their own vendors' tools too."""
import json
import os
import pty
import shutil
import stat
import subprocess

import harness
import tokens
from harness import run
from pki import openssl


def certificate(case, public, folder):
    """Of a public key, PEM, by a CA of the moment."""
    key, ca, out = (os.path.join(folder, n) for n in ("ca.key", "ca.pem", "leaf.pem"))
    pub = os.path.join(folder, "leaf.pub")
    with open(pub, "w", encoding="ascii") as f:
        f.write(public)
    openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
            "-subj", "/CN=CA", "-keyout", key, "-out", ca)
    openssl("x509", "-new", "-subj", "/CN=dev-17", "-force_pubkey", pub, "-CA", ca, "-CAkey",
            key, "-out", out)
    case.assertTrue(os.path.exists(out))
    return out


class Files(harness.Case):
    def test_a_key_is_made_shown_tested_and_removed(self):
        path = os.path.join(self.folder(), "dev.key")
        self.works(run("key", "generate", path, "--alg", "p384"))
        self.assertEqual(stat.S_IMODE(os.stat(path).st_mode), 0o600)
        self.ends(run("key", "generate", path), 5, path)
        got = json.loads(self.works(run("key", "show", path, "-o", "json")).stdout)
        self.assertEqual((got["algorithm"], got["custody"], got["exportable"]),
                         ("p384", "file", True))
        self.assertEqual(openssl("pkey", "-in", path, "-pubout").decode(), got["publicKey"])
        self.assertEqual(self.works(run("key", "export-public", path)).stdout, got["publicKey"])
        self.assertIn("custody file, exportable", self.works(run("key", "test", path)).stdout)
        self.ends(run("key", "delete", path), 2, "--yes")
        self.works(run("key", "delete", path, "--yes"))
        self.assertFalse(os.path.exists(path))
        self.ends(run("key", "show", path), 4, path)

    def test_a_key_that_others_can_read_is_refused_with_the_cure(self):
        path = os.path.join(self.folder(), "dev.key")
        self.works(run("key", "generate", path))
        os.chmod(path, 0o640)
        self.ends(run("key", "test", path), 8, "chmod 600")
        got = run("key", "doctor", path)
        self.ends(got, 7)
        self.assertIn("-> chmod 600 " + path, got.stdout)

    def test_wrong_usage(self):
        self.ends(run("key", "frob", "x"), 2, "frob")
        self.ends(run("key", "show"), 2, "usage")
        self.ends(run("key", "show", "vault:x"), 3, "pkcs11:")
        self.ends(run("key", "show", "pkcs11:token=a?pin-value=hush9"), 3, "pin-source=file:")
        self.assertNotIn("hush9", run("key", "show", "pkcs11:token=a?pin-value=hush9").stderr)
        self.ends(run("key", "generate", "/dev/null/x", "--alg", "rot13"), 3, "--alg")

    def test_the_passphrase_comes_from_a_file_or_a_terminal(self):
        folder = self.folder()
        path = os.path.join(folder, "enc.key")
        openssl("genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", "-aes256",
                "-pass", "pass:correct horse", "-out", path)
        os.chmod(path, 0o600)
        self.ends(run("key", "test", path), 6, "passphrase")
        good = tokens.secret(os.path.join(folder, "pass"), "correct horse")
        self.works(run("key", "test", path, "--passphrase-file", good))
        bad = tokens.secret(os.path.join(folder, "bad"), "wrong horse")
        self.ends(run("key", "test", path, "--passphrase-file", bad), 6, "wrong passphrase")
        self.assertIn("1 signatures", self.typed(path, "correct horse\n"))

    def typed(self, path, text):
        """What it says when the text is typed at its terminal, which must not show it."""
        far, near = pty.openpty()
        p = subprocess.Popen([harness.MUSTER, "key", "test", path, "--count", "1"], stdin=near,
                             stdout=subprocess.PIPE, stderr=near, text=True)
        os.close(near)
        shown = b""
        while b"PIN of" not in shown:
            shown += os.read(far, 1000)
        os.write(far, text.encode())
        out = p.communicate(timeout=30)[0]
        try:
            shown += os.read(far, 1000)
        except OSError:
            pass  # the terminal went with the program
        os.close(far)
        self.assertEqual(p.returncode, 0)
        self.assertNotIn(text.strip().encode(), shown)
        return out


class Tokens(harness.Case):
    def setUp(self):
        self.hsm = tokens.SoftHsm(self)
        self.label = self.hsm.token("factory")
        self.uri = self.hsm.uri("factory", ";object=dev")

    def key(self, *args):
        return run("key", *args, env=self.hsm.env)

    def test_a_pair_made_here_is_a_token_s_own_as_others_see_it(self):
        got = json.loads(self.works(self.key("generate", self.uri, "-o", "json")).stdout)
        self.assertEqual((got["custody"], got["exportable"]), ("pkcs11", False))
        self.assertIn("custody pkcs11, not exportable",
                      self.works(self.key("test", self.uri)).stdout)
        tool = shutil.which("pkcs11-tool")
        if not tool:
            self.skipTest("no pkcs11-tool here")
        seen = self.works(run("--module", tokens.SOFTHSM, "--token-label", "factory", "--login",
                              "--pin", tokens.PIN, "--list-objects", program=tool,
                              env=self.hsm.env)).stdout
        self.assertIn("Private Key Object; EC", seen)
        self.assertIn("sensitive", seen)
        self.assertIn("never extractable", seen)

    def test_what_another_tool_made_is_found_and_its_weakness_told(self):
        tool = shutil.which("pkcs11-tool")
        if not tool:
            self.skipTest("no pkcs11-tool here")
        self.works(run("--module", tokens.SOFTHSM, "--token-label", "factory", "--login", "--pin",
                       tokens.PIN, "--keypairgen", "--key-type", "EC:prime256v1", "--label",
                       "theirs", "--id", "77", "--extractable", program=tool, env=self.hsm.env))
        uri = self.hsm.uri("factory", ";id=%77")
        rows = json.loads(self.works(self.key("list", uri, "-o", "json")).stdout)
        self.assertEqual([(r["label"], r["id"], r["exportable"]) for r in rows],
                         [("theirs", "77", True)])
        self.assertIn("warning", self.works(self.key("doctor", uri)).stdout)

    def test_list_gives_uris_that_work(self):
        for name in ("a", "b"):
            self.works(self.key("generate", self.hsm.uri("factory", ";object=" + name)))
        rows = json.loads(self.works(self.key(
            "list", self.hsm.uri("factory"), "-o", "json")).stdout)
        self.assertEqual(sorted(r["label"] for r in rows), ["a", "b"])
        for row in rows:
            self.works(self.key("test", row["uri"], "--count", "1"))
        self.assertIn("without a PIN", self.key("list", "pkcs11:token=factory").stderr)

    def test_the_certificate_lives_beside_the_key(self):
        self.works(self.key("generate", self.uri))
        self.ends(self.key("cert", self.uri), 4)
        public = self.works(self.key("export-public", self.uri)).stdout
        cert = certificate(self, public, self.folder())
        self.works(self.key("cert", self.uri, "--put", cert))
        self.assertEqual(self.works(self.key("cert", self.uri)).stdout,
                         openssl("x509", "-in", cert).decode())
        other = self.hsm.uri("factory", ";object=other")
        self.works(self.key("generate", other))
        self.ends(self.key("cert", other, "--put", cert), 5, "another key")

    def test_pins(self):
        self.works(self.key("generate", self.uri))
        os.chmod(self.hsm.pin, 0o644)
        self.ends(self.key("test", self.uri), 8, "chmod 600")
        os.chmod(self.hsm.pin, 0o600)
        tokens.secret(self.hsm.pin, "9999")
        got = self.ends(self.key("test", self.uri), 6, "CKR_PIN_INCORRECT")
        self.assertNotIn("9999", got.stderr + got.stdout)
        self.ends(self.key("test", "pkcs11:token=factory;object=dev"), 6, "pin-source")

    def test_doctor_tries_an_rsa_key_as_tls_13_does(self):
        self.works(self.key("generate", self.uri, "--alg", "rsa2048"))
        self.assertNotIn("warning", self.works(self.key("doctor", self.uri)).stdout)

    def test_doctor_finds_what_is_missing(self):
        self.works(self.key("generate", self.uri))
        self.works(self.key("doctor", self.uri))
        for uri, word, fix in (
                (self.uri.replace("libsofthsm2.so", "libno.so"), "libno.so", "softhsm2"),
                (self.hsm.uri("nobody"), "'nobody'", "put it in"),
                (self.hsm.uri("factory", ";object=no"), "no such key", "key list"),
                (self.uri + "-absent", "No such file", "")):
            with self.subTest(uri):
                got = self.ends(self.key("doctor", uri), 7)
                self.assertRegex(got.stdout, r"(?s)bad .*%s.*%s" % (word, fix))
                rows = json.loads(self.key("doctor", uri, "-o", "json").stdout)
                self.assertEqual(rows[-1]["state"], "bad")


class Tpm(harness.Case):
    HANDLE = 0x81010001

    def setUp(self):
        self.tpm = tokens.Swtpm(self)
        self.uri = self.tpm.uri(self.HANDLE)

    def key(self, *args):
        return run("key", *args, env=self.tpm.env)

    def test_a_key_lives_in_the_tpm_with_its_certificate(self):
        got = json.loads(self.works(self.key("generate", self.uri, "-o", "json")).stdout)
        self.assertEqual((got["custody"], got["exportable"]), ("tpm2", False))
        self.ends(self.key("generate", self.uri), 5)
        self.assertIn("custody tpm2", self.works(self.key("test", self.uri)).stdout)
        cert = certificate(self, got["publicKey"], self.folder())
        self.works(self.key("cert", self.uri, "--put", cert))
        self.assertEqual(self.works(self.key("cert", self.uri)).stdout,
                         openssl("x509", "-in", cert).decode())
        rows = json.loads(self.works(self.key("list", "tpm2:", "-o", "json")).stdout)
        self.assertEqual([(r["uri"], r["certificate"]) for r in rows], [(self.uri, True)])
        self.works(self.key("doctor", self.uri))
        self.seen_by_tpm2_tools(got["publicKey"], cert)
        self.works(self.key("delete", self.uri, "--yes"))
        self.ends(self.key("show", self.uri), 4)
        self.assertEqual(self.works(self.key("list", "tpm2:", "-o", "json")).stdout, "[]\n")

    def seen_by_tpm2_tools(self, public, cert):
        if not shutil.which("tpm2_readpublic"):
            self.skipTest("no tpm2-tools here")
        folder = self.folder()
        pem, der = os.path.join(folder, "pub"), os.path.join(folder, "der")
        seen = self.works(run("-c", hex(self.HANDLE), "-f", "pem", "-o", pem,
                              program="tpm2_readpublic", env=self.tpm.env)).stdout
        for word in ("fixedtpm", "fixedparent", "sensitivedataorigin", "noda", "sign"):
            self.assertIn(word, seen)
        with open(pem, encoding="ascii") as f:
            self.assertEqual(f.read(), public)
        self.works(run("-o", der, "0x01c00002", program="tpm2_nvread", env=self.tpm.env))
        self.assertEqual(openssl("x509", "-inform", "der", "-in", der),
                         openssl("x509", "-in", cert))

    def test_a_platform_s_certificate_is_never_touched(self):
        if not shutil.which("tpm2_nvdefine"):
            self.skipTest("no tpm2-tools here")
        self.works(run("0x01c00002", "-C", "p", "-s", "16", "-a",
                       "ppwrite|ppread|ownerread|authread|platformcreate",
                       program="tpm2_nvdefine", env=self.tpm.env))
        public = json.loads(self.works(self.key("generate", self.uri, "-o", "json")).stdout)
        cert = certificate(self, public["publicKey"], self.folder())
        self.ends(self.key("cert", self.uri, "--put", cert), 6, "nv=")
        other = self.tpm.uri(self.HANDLE, ";nv=0x01c10001")
        self.works(self.key("cert", other, "--put", cert))
        self.works(self.key("delete", other, "--yes"))
        seen = self.works(run("0x01c00002", program="tpm2_nvreadpublic", env=self.tpm.env))
        self.assertIn("platformcreate", seen.stdout)

    def test_a_key_outlives_the_tpm_s_death(self):
        self.works(self.key("generate", self.uri))
        self.tpm.kill()
        self.ends(self.key("test", self.uri), 7, "TPM")
        self.ends(self.key("doctor", self.uri), 7)
        self.tpm.start()
        self.works(self.key("test", self.uri))

    def test_authorization(self):
        auth = tokens.secret(os.path.join(self.folder(), "auth"), "open sesame")
        uri = self.uri + "?auth-source=file:" + auth
        self.works(self.key("generate", uri))
        self.works(self.key("test", uri))
        self.ends(self.key("test", self.uri), 6, "auth-source")
        os.chmod(auth, 0o604)
        self.ends(self.key("test", uri), 8, "chmod 600")

    def test_no_tpm_is_said_in_plain_words(self):
        got = run("key", "doctor", self.uri, env={"MUSTER_TCTI": "device:/dev/no-tpm"})
        self.ends(got, 7)
        self.assertIn("/dev/no-tpm", got.stdout)
        self.assertIn("-> switch it on", got.stdout)


if __name__ == "__main__":
    harness.main()
