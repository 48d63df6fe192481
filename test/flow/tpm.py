"""A TPM 2.0 in software (swtpm) with the keys that Azure's device SDKs make, used through
tpm2-tools as those SDKs use theirs (device.md 1.13)."""
import os
import shutil
import struct
import subprocess

import tokens

NEEDED = ("tpm2_createek", "tpm2_createprimary", "tpm2_activatecredential", "tpm2_import",
          "tpm2_load", "tpm2_hmac", "tpm2_readpublic", "tpm2_startauthsession",
          "tpm2_policysecret", "tpm2_flushcontext")
SRK = "restricted|decrypt|fixedtpm|fixedparent|noda|userwithauth|sensitivedataorigin"


def split(blob, n):
    """The first n TPM2Bs of an activation blob, sizes included, and the rest."""
    parts = []
    for _ in range(n):
        size = 2 + struct.unpack(">H", blob[:2])[0]
        parts.append(blob[:size])
        blob = blob[size:]
    return parts, blob


class Tpm:
    """A test's own. Skips it where a program is missing."""

    def __init__(self, case):
        for program in NEEDED:
            if not shutil.which(program):
                case.skipTest("no %s here" % program)
        self.dir = case.folder()
        self.env = {**os.environ, **tokens.Swtpm(case).env}
        self.run("tpm2_createek", "-c", "ek.ctx", "-G", "rsa", "-u", "ek.pub")
        self.run("tpm2_createprimary", "-Q", "-C", "o", "-g", "sha256", "-G", "rsa", "-a", SRK,
                 "-c", "srk.ctx")
        self.run("tpm2_readpublic", "-Q", "-c", "srk.ctx", "-o", "srk.pub")
        self.ek, self.srk = self.read("ek.pub"), self.read("srk.pub")

    def path(self, name):
        return os.path.join(self.dir, name)

    def read(self, name):
        with open(self.path(name), "rb") as f:
            return f.read()

    def write(self, name, data):
        with open(self.path(name), "wb") as f:
            f.write(data)

    def run(self, *argv):
        done = subprocess.run(argv, cwd=self.dir, env=self.env, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, timeout=60, check=False)
        if done.returncode:
            raise RuntimeError("%s: %s" % (" ".join(argv), done.stdout.decode(errors="replace")))
        self.run_flush()

    def run_flush(self):
        """swtpm has no resource manager: what a tool left loaded must go."""
        subprocess.run(["tpm2_flushcontext", "-t"], cwd=self.dir, env=self.env, timeout=60,
                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False)

    def activate(self, blob):
        """TPM2_ActivateCredential, then TPM2_Import of the key it opens."""
        (credential, secret, duplicate, seed, public), rest = split(blob, 5)
        assert rest == b"\0\0", rest
        self.write("cred", struct.pack(">II", 0xbadcc0de, 1) + credential + secret)
        self.run("tpm2_startauthsession", "--policy-session", "-S", "session.ctx")
        self.run("tpm2_policysecret", "-Q", "-S", "session.ctx", "-c", "e")
        self.run("tpm2_activatecredential", "-Q", "-c", "srk.ctx", "-C", "ek.ctx", "-i", "cred",
                 "-o", "inner", "-P", "session:session.ctx")
        self.run("tpm2_flushcontext", "session.ctx")
        self.write("dup", duplicate)
        self.write("seed", seed)
        self.write("key.pub", public)
        self.run("tpm2_import", "-Q", "-C", "srk.ctx", "-u", "key.pub", "-i", "dup", "-r",
                 "key.priv", "-k", "inner", "-s", "seed")
        self.run("tpm2_load", "-Q", "-C", "srk.ctx", "-u", "key.pub", "-r", "key.priv", "-c",
                 "key.ctx")

    def sign(self, text):
        """HMAC-SHA256 by the key that was activated last."""
        self.write("text", text)
        self.run("tpm2_hmac", "-c", "key.ctx", "-o", "mac", "text")
        return self.read("mac")
