"""Activation blobs on a TPM: swtpm by tpm2-tools takes what is made without one."""
import hashlib
import hmac
import os
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "flow"))
# pylint: disable=wrong-import-position
import harness
import tpm

MAKER = os.environ["PEER_TPM"]
KEY = "a key of 32 bytes for its SAS..."


class Activation(harness.Case):
    def setUp(self):
        self.tpm = tpm.Tpm(self)

    def blob(self, key=KEY, ek="ek.pub", srk="srk.pub", status=0):
        done = subprocess.run([MAKER, self.tpm.path(ek), self.tpm.path(srk), key],
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=60,
                              check=False)
        self.assertEqual(done.returncode, status, done.stderr)
        return done.stdout

    def test_the_key_signs_in_the_tpm(self):
        for key in (KEY, "k" * 16, "x" * 64):
            self.tpm.activate(self.blob(key))
            text = b"scope%2fregistrations%2fid\n1999999999"
            self.assertEqual(self.tpm.sign(text),
                             hmac.new(key.encode(), text, hashlib.sha256).digest())

    def test_two_blobs_have_nothing_in_common(self):
        one, two = tpm.split(self.blob(), 5)[0], tpm.split(self.blob(), 5)[0]
        for a, b in zip(one, two):
            self.assertNotEqual(a, b)
        self.assertNotIn(KEY.encode(), b"".join(one))

    def test_another_tpm_or_another_parent_gets_nothing(self):
        other = tpm.Tpm(self)
        with self.assertRaises(RuntimeError):
            other.activate(self.blob())
        self.tpm.write("other-srk.pub", other.srk)
        with self.assertRaises(RuntimeError):  # the credential is bound to the parent's name
            self.tpm.activate(self.blob(srk="other-srk.pub"))
        self.tpm.run("tpm2_flushcontext", "-s")

    def test_a_changed_byte_is_noticed(self):
        good = self.blob()
        parts = tpm.split(good, 5)[0]
        at = 0
        for part in parts:
            bad = bytearray(good)
            bad[at + len(part) - 1] ^= 1
            at += len(part)
            with self.assertRaises(RuntimeError):
                self.tpm.activate(bytes(bad))
            self.tpm.run("tpm2_flushcontext", "-s")

    def test_keys_that_hold_no_secrets(self):
        """A signing key, an elliptic one, one that may leave its TPM: refused, not wrapped for."""
        for number, (alg, attributes) in enumerate((
                ("rsa:rsassa:null", "sign|restricted|fixedtpm|fixedparent|userwithauth|sensitivedataorigin"),
                ("ecc", tpm.SRK), ("rsa", "restricted|decrypt|userwithauth|sensitivedataorigin"))):
            name = "bad%d" % number
            self.tpm.run("tpm2_createprimary", "-Q", "-C", "o", "-g", "sha256", "-G", alg, "-a",
                         attributes, "-c", name + ".ctx")
            self.tpm.run("tpm2_readpublic", "-Q", "-c", name + ".ctx", "-o", name + ".pub")
            self.blob(srk=name + ".pub", status=1)


if __name__ == "__main__":
    harness.main()
