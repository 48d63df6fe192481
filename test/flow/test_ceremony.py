"""The root ceremony: a root that never sees the server, requests in and certificates out by file, a
transcript that a second person can check."""
import base64
import os
import re
import shutil
import unittest

import harness
import pki
import tokens
from harness import run
from pki import openssl

WHO = ("--who", "Ada", "--who", "Grace Hopper")


class Ceremony(harness.Case):
    def setUp(self):
        self.parent = self.folder()
        self.box = os.path.join(self.parent, "box")
        os.mkdir(self.box)
        self.secret = tokens.secret(os.path.join(self.parent, "pass"), "correct horse battery")

    def do(self, verb, *args, who=WHO, env=None):
        return run("ca", "ceremony", verb, *args, "--dir", self.box, *who, "--passphrase-file",
                   self.secret, env=env)

    def check(self):
        return run("ca", "ceremony", "check", "--dir", self.box)

    def root(self, *args, **more):
        self.works(self.do("root", *args, **more))

    def home(self):
        """A home whose CAs wait; the fingerprints that its operator reads out."""
        home = os.path.join(self.parent, "home")
        got = self.works(run("init", "--home", home, "--root", "external", "--set",
                             "server.mqtt_port=0", "--set", "server.https_port=0", "--set",
                             "server.http_port=0"))
        self.assertIn("muster ca import root", got.stdout)
        shown = self.works(run("ca", "show", "--home", home)).stdout
        keys = dict(zip(("device-ca", "service-ca"), re.findall(r"key SHA-256 (\w{64})", shown)))
        for name in keys:
            shutil.copy(os.path.join(home, "ca", name + ".csr"), self.box)
        return home, keys

    def test_the_whole_way_from_no_root_to_a_server_that_issues(self):
        home, keys = self.home()
        self.assertEqual(os.listdir(os.path.join(home, "operators")), [])
        self.ends(run("serve", "--home", home), 4, "could not start")
        script = self.works(self.do("script", "device-ca.csr", "service-ca.csr")).stdout
        for word in (*keys.values(), "Ada", "program SHA-256", "muster ca ceremony root"):
            self.assertIn(word, script)
        self.root("--cn", "Example Root CA", "--org", "Example")
        key = os.path.join(self.box, "root.key")
        with open(key, encoding="ascii") as f:
            self.assertIn("ENCRYPTED", f.read())
        self.ends(self.do("root"), 5, "there already")
        self.ends(self.do("sign", "device-ca.csr"), 6, "not compared")
        self.ends(self.do("sign", "device-ca.csr", "--yes-i-compared", keys["service-ca"]), 6)
        self.assertFalse(os.path.exists(os.path.join(self.box, "device-ca.pem")))
        for name, sha in keys.items():
            self.works(self.do("sign", name + ".csr", "--yes-i-compared", sha))
        self.works(self.do("crl"))
        got = self.works(self.check()).stdout
        self.assertIn("5 lines, unbroken", got)
        self.assertIn("Grace Hopper", got)
        box = lambda name: os.path.join(self.box, name)
        self.works(run("ca", "import", "root", box("root.pem"), "--root", "--home", home))
        self.ends(run("ca", "import", "device-ca", box("service-ca.pem"), "--home", home), 5,
                  "asks for")
        for name in keys:
            self.works(run("ca", "import", name, box(name + ".pem"), "--home", home))
        self.works(run("ca", "operator", "admin", "--home", home))
        self.works(run("ca", "verify", "--home", home))
        server = harness.Server(home).start()
        self.addCleanup(lambda: server.running and server.kill())
        api = server.operator()
        self.addCleanup(api.close)
        self.assertEqual(api.put("/devices/c-1", {"deviceId": "c-1", "authentication": {
            "type": "certificateAuthority"}}).status, 200)
        leaf = self.enroll(server, api, "c-1")
        crl = os.path.join(self.parent, "root.crl.pem")
        openssl("crl", "-inform", "DER", "-in", box("root.crl"), "-out", crl)
        self.assertIn(b": OK", openssl(
            "verify", "-x509_strict", "-CAfile", box("root.pem"), "-untrusted",
            box("device-ca.pem"), "-purpose", "sslclient", leaf))
        self.assertIn(b": OK", openssl(
            "verify", "-crl_check", "-CAfile", box("root.pem"), "-CRLfile", crl,
            box("device-ca.pem")))
        self.assertEqual(server.stop(), 0)
        self.assertEqual(server.faults(), [])
        for folder, _, names in os.walk(home):
            self.assertNotIn("root.key", names, folder)

    def enroll(self, server, api, device):
        key = pki.make_key(os.path.join(self.parent, device + ".key"))
        csr = openssl("req", "-new", "-key", key, "-subj", "/CN=" + device, "-outform", "DER")
        got = api.call("POST", "/.well-known/est/simpleenroll", base64.b64encode(csr),
                       **{"Content-Type": "application/pkcs10"})
        self.assertEqual(got.status, 200, got)
        pem = openssl("pkcs7", "-inform", "DER", "-print_certs",
                      stdin=base64.b64decode(got.body))
        path = os.path.join(self.parent, device + ".pem")
        with open(path, "wb") as f:
            f.write(pem)
        return path

    def test_whatever_is_changed_afterwards_shows(self):
        _, keys = self.home()
        self.root()
        self.works(self.do("sign", "device-ca.csr", "--yes-i-compared", keys["device-ca"]))
        self.works(self.check())
        log = os.path.join(self.box, "transcript.txt")
        with open(log, encoding="ascii") as f:
            lines = f.readlines()
        for changed, line in (([lines[0].replace("Ada", "Bob"), lines[1]], "line 1"),
                              ([lines[1]], "line 1"),
                              ([lines[0], lines[0]], "line 2")):
            with open(log, "w", encoding="ascii") as f:
                f.writelines(changed)
            self.ends(self.check(), 9, line)
            self.ends(self.do("crl"), 9, line)
        with open(log, "w", encoding="ascii") as f:
            f.writelines(lines)
        for name, word in (("device-ca.csr", "is not what it was"),
                           ("device-ca.pem", "is not what it was"), ("root.pem", "")):
            path = os.path.join(self.box, name)
            with open(path, encoding="ascii") as f:
                text = f.read()
            with open(path, "a", encoding="ascii") as f:
                f.write("\n")
            got = self.check()
            self.ends(got, 9)
            self.assertIn(word, got.stdout)
            os.rename(path, path + ".away")
            self.assertNotEqual(self.check().returncode, 0)
            os.remove(path + ".away")
            with open(path, "w", encoding="ascii") as f:
                f.write(text)
        self.works(self.check())

    def rehash(self):
        """The transcript as somebody with an editor would leave it: all hashes are right again."""
        log, prev, out = os.path.join(self.box, "transcript.txt"), "0" * 64, []
        with open(log, encoding="ascii") as f:
            for line in f:
                words = line.split()[:-2]
                for i, word in enumerate(words):
                    name = word.split("=")[0].replace("%3A", ":")
                    if name.startswith(("in:", "out:")):
                        with open(os.path.join(self.box, name.split(":")[1]), "rb") as g:
                            words[i] = word.split("=")[0] + "=" + pki.sha256(g.read())
                body = " ".join([*words, prev, ""])
                prev = pki.sha256(body.encode())
                out.append(body + prev + "\n")
        with open(log, "w", encoding="ascii") as f:
            f.writelines(out)

    def test_a_transcript_made_right_again_hides_no_other_certificate(self):
        _, keys = self.home()
        self.root("--alg", "p256")
        self.works(self.do("sign", "device-ca.csr", "--yes-i-compared", keys["device-ca"]))
        self.rehash()
        self.works(self.check())
        box = lambda name: os.path.join(self.box, name)
        ext = os.path.join(self.parent, "ext")
        with open(ext, "w", encoding="ascii") as f:
            f.write("basicConstraints=critical,CA:TRUE\nkeyUsage=critical,keyCertSign,cRLSign\n")
        os.remove(box("device-ca.pem"))
        openssl("x509", "-req", "-in", box("device-ca.csr"), "-CA", box("root.pem"), "-CAkey",
                box("root.key"), "-passin", "file:" + self.secret, "-extfile", ext, "-days", "9",
                "-out", box("device-ca.pem"))
        self.rehash()
        got = self.check()
        self.ends(got, 9)
        self.assertIn("no CA of pathlen 0", got.stdout)

    def test_numbers_of_lists_grow_where_the_clock_went_back(self):
        self.root("--alg", "p256")
        later = os.path.join(self.parent, "later")
        os.mkdir(later)
        for name, text in (("conf", "[ca]\ndefault_ca=d\n[d]\ndatabase=%s/db\ncrlnumber=%s/n\n"
                            "default_md=sha256\ndefault_crl_days=9\ncrl_extensions=x\n[x]\n"
                            "authorityKeyIdentifier=keyid\n" % (later, later)),
                           ("db", ""), ("n", "0F00000000000000\n")):
            with open(os.path.join(later, name), "w", encoding="ascii") as f:
                f.write(text)
        pem = openssl("ca", "-gencrl", "-config", os.path.join(later, "conf"), "-cert",
                      os.path.join(self.box, "root.pem"), "-keyfile",
                      os.path.join(self.box, "root.key"), "-passin", "file:" + self.secret)
        crl = os.path.join(self.box, "root.crl")
        openssl("crl", "-outform", "DER", "-out", crl, stdin=pem)
        self.works(self.do("crl"))
        got = openssl("crl", "-inform", "DER", "-noout", "-crlnumber", "-in", crl).decode()
        self.assertEqual(got.strip().upper().replace("0X", ""), "CRLNUMBER=0F00000000000001")

    def test_an_intermediate_is_revoked_and_stays_so(self):
        _, keys = self.home()
        self.root("--alg", "p256")
        for name, sha in keys.items():
            self.works(self.do("sign", name + ".csr", "--yes-i-compared", sha))
        self.works(self.do("crl", "device-ca.pem", "--reason", "cACompromise"))
        self.works(self.do("crl", "--next", "30d"))
        text = openssl("crl", "-inform", "DER", "-noout", "-text", "-in",
                       os.path.join(self.box, "root.crl")).decode()
        self.assertEqual(text.count("Serial Number:"), 1)
        self.assertIn("CA Compromise", text)
        crl = os.path.join(self.parent, "crl.pem")
        openssl("crl", "-inform", "DER", "-in", os.path.join(self.box, "root.crl"), "-out", crl)
        for name, good in (("device-ca", False), ("service-ca", True)):
            got = openssl("verify", "-crl_check", "-CAfile", os.path.join(self.box, "root.pem"),
                          "-CRLfile", crl, os.path.join(self.box, name + ".pem"), check=False)
            self.assertEqual(b": OK" in got, good, got)
        self.works(self.check())

    def test_a_second_root_is_signed_for_who_knows_the_first_alone(self):
        self.root()
        other, self.box = self.box, os.path.join(self.parent, "box2")
        os.mkdir(self.box)
        self.root("--cn", "Root Two")
        shutil.copy(os.path.join(self.box, "root.pem"), os.path.join(other, "root-2.pem"))
        pub = openssl("x509", "-noout", "-pubkey", "-in", os.path.join(other, "root-2.pem"))
        der = openssl("pkey", "-pubin", "-outform", "DER", stdin=pub)
        self.box = other
        self.works(self.do("cross", "root-2.pem", "--yes-i-compared", pki.sha256(der)))
        self.assertIn(b": OK", openssl("verify", "-CAfile", os.path.join(other, "root.pem"),
                                       os.path.join(other, "cross-root-2.pem")))
        self.works(self.check())

    def test_a_root_in_a_token(self):
        hsm = tokens.SoftHsm(self)
        hsm.token("root")
        uri = hsm.uri("root", ";object=root")
        _, keys = self.home()
        self.root("--key", uri, env=hsm.env)
        self.assertFalse(os.path.exists(os.path.join(self.box, "root.key")))
        self.works(self.do("sign", "device-ca.csr", "--yes-i-compared", keys["device-ca"], "--key",
                           uri, env=hsm.env))
        self.works(self.check())

    def test_nobody_is_alone_with_the_root(self):
        self.ends(self.do("root", who=()), 2, "--who")
        self.ends(self.do("frob"), 2, "frob")
        self.root()
        outside = os.path.join(self.parent, "x.csr")
        with open(outside, "w", encoding="ascii") as f:
            f.write("x")
        self.ends(self.do("sign", outside), 4, "copy it there")
        self.secret = tokens.secret(os.path.join(self.parent, "wrong"), "another passphrase")
        self.ends(self.do("crl"), 6)
        self.works(self.check())


if __name__ == "__main__":
    unittest.main()
