"""Other people's programs and our lists and answers: openssl crl, verify and ocsp, GnuTLS's
ocsptool. What is wrong with a list or an answer, they must see too."""
import os
import re
import shutil
import subprocess
import tempfile
import unittest

MAKER = os.environ["PEER_REVOCATION"]


class Peers(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.dir = tempfile.mkdtemp(prefix="revocation-")
        cls.addClassCleanup(shutil.rmtree, cls.dir)
        subprocess.run([MAKER, "make", cls.dir], check=True)
        with open(cls.file("both.pem"), "wb") as both:
            for name in ("root.pem", "ca.pem"):
                with open(cls.file(name), "rb") as f:
                    both.write(f.read())

    @classmethod
    def file(cls, name):
        return os.path.join(cls.dir, name)

    def say(self, *argv):
        """Exit status and all that a program said."""
        done = subprocess.run(argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                              cwd=self.dir, timeout=30, check=False)
        return done.returncode, done.stdout


class Lists(Peers):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        for name in ("root", "full", "delta"):
            subprocess.run(["openssl", "crl", "-inform", "DER", "-in", name + ".crl", "-out",
                            name + ".crl.pem"], check=True, cwd=cls.dir)

    def verify(self, leaf, lists, *more):
        with open(self.file("lists.pem"), "wb") as out:
            for name in lists:
                with open(self.file(name + ".crl.pem"), "rb") as f:
                    out.write(f.read())
        return self.say("openssl", "verify", "-x509_strict", "-CAfile", "root.pem", "-untrusted",
                        "ca.pem", "-CRLfile", "lists.pem", "-crl_check", "-crl_check_all", *more,
                        leaf + ".pem")

    def test_openssl_crl_verifies_the_signature(self):
        for name in ("full", "delta"):
            status, text = self.say("openssl", "crl", "-inform", "DER", "-in", name + ".crl",
                                    "-CAfile", "both.pem", "-noout", "-verify")
            self.assertEqual(status, 0, text)
            self.assertIn("verify OK", text)
        _, text = self.say("openssl", "crl", "-inform", "DER", "-in", "root.crl", "-CAfile",
                           "ca.pem", "-noout", "-verify")
        self.assertNotIn("verify OK", text)

    def test_openssl_crl_shows_number_shard_and_reason(self):
        _, text = self.say("openssl", "crl", "-inform", "DER", "-in", "full.crl", "-noout", "-text")
        for want in ("Version 2", "Issuing Distribution Point: critical", "Only User Certificates",
                     "URI:http://pki.example.net/crl/3.crl", "Freshest CRL", "Key Compromise",
                     "Certificate Hold", "X509v3 Authority Key Identifier"):
            self.assertIn(want, text)
        _, text = self.say("openssl", "crl", "-inform", "DER", "-in", "delta.crl", "-noout", "-text")
        self.assertIn("Delta CRL Indicator: critical", text)
        self.assertIn("Remove From CRL", text)

    def test_a_leaf_is_good_and_another_revoked_by_the_list_of_its_shard(self):
        status, text = self.verify("good", ["root", "full"])
        self.assertEqual(status, 0, text)
        status, text = self.verify("revoked", ["root", "full"])
        self.assertNotEqual(status, 0)
        self.assertIn("certificate revoked", text)

    def test_the_list_of_another_shard_says_nothing(self):
        status, text = self.verify("elsewhere", ["root", "full"])
        self.assertNotEqual(status, 0)
        self.assertIn("different CRL scope", text)

    def test_no_list_for_the_intermediate_is_no_good_path(self):
        status, text = self.verify("good", ["full"])
        self.assertNotEqual(status, 0)
        self.assertIn("unable to get certificate CRL", text)

    def test_a_delta_revokes_and_releases(self):
        deltas = ("-use_deltas", "-extended_crl")
        lists = ["root", "full", "delta"]
        self.assertEqual(self.verify("gone", ["root", "full"])[0], 0)
        status, text = self.verify("gone", lists, *deltas)
        self.assertNotEqual(status, 0)
        self.assertIn("certificate revoked", text)
        self.assertNotEqual(self.verify("held", ["root", "full"])[0], 0)
        status, text = self.verify("held", lists, *deltas)
        self.assertEqual(status, 0, text)


class Answers(Peers):
    def ask(self, leaf, *more):
        status, text = self.say("openssl", "ocsp", "-issuer", "ca.pem", *more, "-cert",
                                leaf + ".pem", "-reqout", leaf + ".req")
        self.assertEqual(status, 0, text)

    def answer(self, leaf, who="ocsp"):
        subprocess.run([MAKER, "answer", self.dir, who, self.file(leaf + ".req"),
                        self.file(leaf + ".resp")], check=True)

    def openssl(self, leaf, digest="-sha1"):
        """Its verdict on the answer to the request; -no_nonce: it adds none of its own."""
        return self.say("openssl", "ocsp", "-issuer", "ca.pem", digest, "-cert", leaf + ".pem",
                        "-no_nonce", "-reqin", leaf + ".req", "-respin", leaf + ".resp",
                        "-CAfile", "both.pem")

    def test_openssl_believes_each_status(self):
        for leaf, want in (("good", "good"), ("revoked", "revoked"), ("gone", "unknown")):
            for digest in ("-sha1", "-sha256"):
                self.ask(leaf, digest)
                self.answer(leaf)
                status, text = self.openssl(leaf, digest)
                self.assertEqual(status, 0, text)
                self.assertIn("Response verify OK", text)
                self.assertIn("%s.pem: %s" % (leaf, want), text)
        self.assertIn("Reason: keyCompromise", self.openssl("revoked", "-sha256")[1])

    def test_openssl_takes_the_delegate_as_the_only_signer(self):
        self.ask("good", "-no_nonce")
        self.answer("good")
        status, text = self.say("openssl", "ocsp", "-issuer", "ca.pem", "-cert", "good.pem",
                                "-respin", "good.resp", "-VAfile", "ocsp.pem")
        self.assertEqual(status, 0, text)
        self.assertIn("Response verify OK", text)

    def test_the_nonce_of_the_request_comes_back(self):
        self.ask("good")
        self.answer("good")
        _, text = self.say("openssl", "ocsp", "-reqin", "good.req", "-no_nonce", "-req_text",
                           "-respin", "good.resp", "-resp_text", "-noverify")
        nonces = re.findall(r"OCSP Nonce: *\n *([0-9A-F]{36})", text)
        self.assertEqual(len(nonces), 2, text)
        self.assertEqual(nonces[0], nonces[1])

    def test_a_foreign_hash_is_unauthorized(self):
        self.ask("good", "-sha512")
        self.answer("good")
        self.assertIn("unauthorized", self.openssl("good")[1])

    # reliability row 68: CVE-2022-1343
    def test_openssl_believes_no_forged_answer(self):
        for who in ("expired", "client", "thief"):
            self.ask("good")
            self.answer("good", who)
            status, text = self.openssl("good")
            self.assertIn("Response Verify Failure", text, who)
            self.assertNotIn("Response verify OK", text, who)
            self.assertNotEqual(status, 0, who)


@unittest.skipUnless(shutil.which("ocsptool"), "skipped: no ocsptool (gnutls-bin)")
class Gnutls(Peers):
    """The same answers, asked for and read by GnuTLS."""

    def ask_and_verify(self, leaf, who):
        files = [self.file(leaf + end) for end in (".pem", ".req", ".resp")]
        status, text = self.say("ocsptool", "--generate-request", "--load-issuer", "ca.pem",
                                "--load-cert", files[0], "--outfile", files[1], "--outder")
        self.assertEqual(status, 0, text)
        subprocess.run([MAKER, "answer", self.dir, who] + files[1:], check=True)
        return self.say("ocsptool", "--verify-response", "--load-trust", "ca.pem", "--inder",
                        "--infile", files[2])

    def test_gnutls_believes_each_status(self):
        for leaf, want in (("good", "good"), ("revoked", "revoked"), ("gone", "unknown")):
            status, text = self.ask_and_verify(leaf, "ocsp")
            self.assertEqual(status, 0, text)
            self.assertIn("Verifying OCSP Response: Success", text)
            self.assertIn("Certificate Status: " + want, text)

    def test_gnutls_believes_no_forged_answer(self):
        for who in ("expired", "client", "thief"):
            _, text = self.ask_and_verify("good", who)
            self.assertIn("Verifying OCSP Response: Failure", text, who)


if __name__ == "__main__":
    unittest.main()
