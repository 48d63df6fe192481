"""Azure Blob Storage's emulator, Azurite, unmodified: CRLs are published to it.

It is installed from npm into the build directory, by its lock file, without running any scripts.
Without npm or a registry the file is skipped.
"""
import base64
import datetime
import hashlib
import hmac
import http.client
import json
import os
import socket
import subprocess
import sys
import urllib.parse

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(HERE, "..", "flow")]
# pylint: disable=wrong-import-position
import harness
import npm
import public

ACCOUNT = "devstoreaccount1"
# The account key that every emulator has (Azurite's manual): no secret.
KEY = ("Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==")
VERSION = "2021-08-06"


def signature(text):
    return base64.b64encode(hmac.new(base64.b64decode(KEY), text.encode(),
                                     hashlib.sha256).digest()).decode()


class Storage(public.PublicCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            cls.port = free.getsockname()[1]
        cls.emulator = subprocess.Popen(
            ["node", os.path.join(ROOM, "node_modules", "azurite", "dist", "src", "blob", "main.js"),
             "--silent", "--inMemoryPersistence", "--disableTelemetry", "--skipApiVersionCheck",
             "--blobHost", "127.0.0.1", "--blobPort", str(cls.port)], cwd=cls.parent,
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        cls.addClassCleanup(cls.emulator.wait)
        cls.addClassCleanup(cls.emulator.kill)

    def setUp(self):
        for issuer in ("device-ca", "service-ca"):
            for name in ("0-delta", "1-delta", "all"):
                self.crl(name, issuer)
        self.name = "c" + os.urandom(4).hex()
        self.eventually(lambda: self.request("PUT", "/" + self.name, "restype=container")[0] == 201,
                        30, "the emulator")

    def request(self, method, path, query=""):
        """As the account's owner, by Shared Key: status, headers and body."""
        date = datetime.datetime.now(datetime.timezone.utc).strftime("%a, %d %b %Y %H:%M:%S GMT")
        resource = "/%s/%s%s" % (ACCOUNT, ACCOUNT, path)
        for pair in sorted(query.split("&") if query else []):
            resource += "\n" + pair.replace("=", ":", 1)
        text = "%s\n\n\n\n\n\n\n\n\n\n\n\nx-ms-date:%s\nx-ms-version:%s\n%s" % (
            method, date, VERSION, resource)
        link = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        try:
            link.request(method, "/%s%s%s" % (ACCOUNT, path, query and "?" + query), None, {
                "x-ms-date": date, "x-ms-version": VERSION,
                "Authorization": "SharedKey %s:%s" % (ACCOUNT, signature(text)),
                **({"Content-Length": "0"} if method == "PUT" else {})})
            got = link.getresponse()
            return got.status, got.headers, got.read()
        finally:
            link.close()

    def secret(self, name, text):
        path = self.path(name)
        with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w",
                  encoding="ascii") as f:
            f.write(text + "\n")
        return path

    def publish(self, *how):
        return harness.run("crl", "publish", "--home", self.server.home, "-o", "json", "--to",
                           "http://127.0.0.1:%d/%s/%s" % (self.port, ACCOUNT, self.name), *how)

    def sas(self, rights):
        """A service SAS of the container."""
        end = (datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(hours=1)).strftime(
            "%Y-%m-%dT%H:%M:%SZ")
        text = "\n".join([rights, "", end, "/blob/%s/%s" % (ACCOUNT, self.name), "", "", "",
                          VERSION, "c", "", "", "", "", "", "", ""])
        return urllib.parse.urlencode({"sv": VERSION, "sr": "c", "sp": rights, "se": end,
                                       "sig": signature(text)})

    def whole_life(self, *how):
        first = json.loads(self.works(self.publish(*how)).stdout)
        self.assertEqual(first, {"written": 12, "unchanged": 0, "refused": 0, "problems": []})
        for path in ("crl/device-ca/0.crl", "crl/device-ca/0-delta.crl", "crl/service-ca/all.crl"):
            status, head, body = self.request("GET", "/%s/%s" % (self.name, path))
            self.assertEqual((status, head["Content-Type"]), (200, "application/pkix-crl"))
            self.assertEqual(body, self.plain("GET", "/" + path)[2])
            self.assertEqual(head["x-ms-blob-type"], "BlockBlob")
        again = json.loads(self.works(self.publish(*how)).stdout)
        self.assertEqual(again, {"written": 0, "unchanged": 12, "refused": 0, "problems": []})

    def test_by_the_accounts_key(self):
        self.whole_life("--key-file", self.secret("account", KEY))

    def test_by_a_shared_access_signature(self):
        self.whole_life("--sas-file", self.secret("sas", self.sas("rcw")))

    def test_what_is_not_allowed_is_said_without_the_secret(self):
        sas = self.sas("r")
        got = self.publish("--sas-file", self.secret("sas-r", sas))
        self.assertNotEqual(got.returncode, 0)
        self.assertNotIn(sas[-20:], got.stderr + got.stdout)
        wrong = base64.b64encode(b"x" * 64).decode()
        self.ends(self.publish("--key-file", self.secret("wrong", wrong)), 6, "403")


if __name__ == "__main__":
    ROOM = npm.install(os.path.join(HERE, "storage"), (), "Azurite")
    harness.main()
