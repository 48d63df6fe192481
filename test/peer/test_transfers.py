"""Import and export of identities: the official Azure service SDK for Node over HTTPS, and Azure
Blob Storage's emulator, Azurite; both unmodified.

The SDK knows port 443 alone, so the server has a loopback address of its own for it. Without npm, a
registry or that port the file is skipped.
"""
import base64
import datetime
import hashlib
import hmac
import http.client
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

HOST = "127.8.83.49"
ACCOUNT = "devstoreaccount1"
# The account key that every emulator has (Azurite's manual): no secret.
KEY = ("Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==")
VERSION = "2021-08-06"


def sign(text):
    return base64.b64encode(hmac.new(base64.b64decode(KEY), text.encode(),
                                     hashlib.sha256).digest()).decode()


class Node(harness.ServerCase):
    HOST = HOST
    HOME_SET = {"server": {"https_port": 443, "bind": HOST, "name": HOST},
                "hub": {"name": HOST, "local_storage": "true"}}

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            cls.port = free.getsockname()[1]
        cls.emulator = subprocess.Popen(
            ["node", os.path.join(STORAGE, "node_modules", "azurite", "dist", "src", "blob",
                                  "main.js"),
             "--silent", "--inMemoryPersistence", "--disableTelemetry", "--skipApiVersionCheck",
             "--blobHost", "127.0.0.1", "--blobPort", str(cls.port)], cwd=cls.parent,
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        cls.addClassCleanup(cls.emulator.wait)
        cls.addClassCleanup(cls.emulator.kill)

    def make_container(self, name):
        date = datetime.datetime.now(datetime.timezone.utc).strftime("%a, %d %b %Y %H:%M:%S GMT")
        text = "PUT\n\n\n\n\n\n\n\n\n\n\n\nx-ms-date:%s\nx-ms-version:%s\n/%s/%s/%s\nrestype:%s" % (
            date, VERSION, ACCOUNT, ACCOUNT, name, "container")
        link = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        try:
            link.request("PUT", "/%s/%s?restype=container" % (ACCOUNT, name), None, {
                "x-ms-date": date, "x-ms-version": VERSION, "Content-Length": "0",
                "Authorization": "SharedKey %s:%s" % (ACCOUNT, sign(text))})
            return link.getresponse().status == 201
        finally:
            link.close()

    def uri(self, name):
        end = (datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(hours=1)).strftime(
            "%Y-%m-%dT%H:%M:%SZ")
        text = "\n".join(["rcwdl", "", end, "/blob/%s/%s" % (ACCOUNT, name), "", "", "", VERSION,
                          "c", "", "", "", "", "", "", ""])
        return "http://127.0.0.1:%d/%s/%s?%s" % (self.port, ACCOUNT, name, urllib.parse.urlencode(
            {"sv": VERSION, "sr": "c", "sp": "rcwdl", "se": end, "sig": sign(text)}))

    def test_export_and_import(self):
        self.eventually(lambda: self.make_container("box"), 30, "the emulator")
        key = base64.b64encode(self.server.policy_keys()["registryReadWrite"]).decode()
        text = "HostName=%s;SharedAccessKeyName=registryReadWrite;SharedAccessKey=%s\n%s" % (
            HOST, key, self.uri("box"))
        self.assertEqual(npm.node(self, ROOM, "transfers.js", text), {
            "made": ["export", "enqueued"], "exported": ["completed", None], "left": 0,
            "imported": ["completed", None], "back": 50, "same": True,
            "jobs": ["import", "export"]})


if __name__ == "__main__":
    harness.need_ports(HOST, 443)
    ROOM = npm.install(HERE, ("transfers.js",), "the Azure SDKs")
    STORAGE = npm.install(os.path.join(HERE, "storage"), (), "Azurite",
                          os.environ.get("MUSTER_STORAGE"))
    harness.main()
