"""The official Azure device SDKs for Node over HTTPS, unmodified, and Azurite for their files.

They know port 443 alone, so the server has a loopback address of its own for it. Without npm, a
registry or that port the file is skipped.
"""
import base64
import json
import os
import socket
import subprocess
import sys
import urllib.request

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(HERE, "..", "flow")]
# pylint: disable=wrong-import-position
import harness
import npm
import pki
from harness import derive

HOST = "127.8.83.21"
ACCOUNT = "devstoreaccount1"
# The account key that every emulator has (Azurite's manual): no secret.
KEY = ("Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==")
VERSION = "2021-08-06"


class Emulator:
    """Azurite over TLS, with one container."""

    def __init__(self, folder):
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.cert, key = os.path.join(folder, "azurite.pem"), os.path.join(folder, "azurite.key")
        pki.openssl("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", key, "-out",
                    self.cert, "-days", "2", "-subj", "/CN=127.0.0.1", "-addext",
                    "subjectAltName=IP:127.0.0.1")
        self.process = subprocess.Popen(
            ["node", os.path.join(STORAGE, "node_modules", "azurite", "dist", "src", "blob",
                                  "main.js"),
             "--silent", "--inMemoryPersistence", "--disableTelemetry", "--skipApiVersionCheck",
             "--loose",  # the SDK's storage library sends a header that is refused otherwise
             "--blobHost", "127.0.0.1", "--blobPort", str(self.port), "--cert", self.cert, "--key",
             key], cwd=folder, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL)

    def end(self):
        self.process.kill()
        self.process.wait()

    def request(self, method, path, query=""):
        """As the account's owner, by Shared Key: the body."""
        now = harness.time.strftime("%a, %d %b %Y %H:%M:%S GMT", harness.time.gmtime())
        resource = "/%s/%s%s" % (ACCOUNT, ACCOUNT, path)
        for pair in sorted(query.split("&") if query else []):
            resource += "\n" + pair.replace("=", ":", 1)
        text = "%s\n\n\n\n\n\n\n\n\n\n\n\nx-ms-date:%s\nx-ms-version:%s\n%s" % (
            method, now, VERSION, resource)
        sig = base64.b64encode(harness.hmac.new(base64.b64decode(KEY), text.encode(),
                                                harness.hashlib.sha256).digest()).decode()
        ask = urllib.request.Request(
            "https://127.0.0.1:%d/%s%s%s" % (self.port, ACCOUNT, path, query and "?" + query),
            method=method, headers={"x-ms-date": now, "x-ms-version": VERSION,
                                    "Authorization": "SharedKey %s:%s" % (ACCOUNT, sig)})
        context = harness.ssl.create_default_context(cafile=self.cert)
        with urllib.request.urlopen(ask, timeout=20, context=context) as got:
            return got.read()


class Http(harness.ServerCase):
    HOST = HOST

    @classmethod
    def setUpClass(cls):
        room = harness.tempfile.mkdtemp(prefix="muster-test-")
        cls.addClassCleanup(harness.shutil.rmtree, room, True)
        cls.emulator = Emulator(room)
        cls.addClassCleanup(cls.emulator.end)
        key = os.path.join(room, "upload.key")
        with open(os.open(key, os.O_WRONLY | os.O_CREAT, 0o600), "w", encoding="ascii") as f:
            f.write(KEY + "\n")
        cls.HOME_SET = {
            "server": {"https_port": 443, "bind": HOST, "name": HOST},
            "hub": {"name": HOST, "upload_key_file": key, "upload_notices": "true",
                    "upload_container": "https://127.0.0.1:%d/%s/uploads" % (cls.emulator.port, ACCOUNT)}}
        super().setUpClass()
        cls.trust = os.path.join(room, "trust.pem")
        with open(cls.trust, "w", encoding="ascii") as out:
            for path in (cls.server.ca, cls.emulator.cert):
                with open(path, encoding="ascii") as f:
                    out.write(f.read())

    def sdk(self, **task):
        return npm.node(self, ROOM, "http.js", json.dumps({"host": HOST, **task}), self.trust)

    def whole_life(self, device, auth, **credential):
        got = self.sdk(id=device, scope=harness.SCOPE, send='{"n": 0}', payload={"m": 1},
                       **credential)
        self.assertEqual(got, {"ok": True, "hub": HOST, "deviceId": device, "status": "assigned"})
        rows = self.op.events(deviceId=device)
        self.assertEqual([r["body"] for r in rows], [{"n": 0}, {"n": 1}, {"n": 2}])
        self.assertEqual({r["authType"] for r in rows}, {auth})
        self.assertEqual(rows[0]["properties"], {
            "system": {"content-type": "application/json", "content-encoding": "utf-8",
                       "message-id": "m-0"},
            "application": {"alert": "a b&c/d"}})
        self.assertEqual(rows[1]["properties"]["application"], {"alert": "a b&c/d"})
        # one line for three requests
        self.assertEqual([r["authType"] for r in self.op.connections(
            deviceId=device, what="connect")], [auth])

    def test_x509(self):
        self.x509_group()
        cert, key = self.leaf("http-x")
        self.whole_life("http-x", "x509", cert=cert, key=key)

    def test_symmetric_key_group(self):
        group = self.sas_group()
        self.whole_life("http-s", "sas", sasKey=base64.b64encode(derive(group, "http-s")).decode())

    def test_messages_are_settled(self):
        key = self.sas_device("http-m")
        for text in ("complete", "reject", "abandon"):
            got = self.op.post("/messages/devicebound", text.encode(), iothub_messageid="id-" + text,
                               iothub_to="/devices/http-m/messages/devicebound",
                               iothub_app_alert="a b", iothub_ack="full")
            self.assertIn(got.status, (200, 201, 204), got)
        got = self.sdk(id="http-m", receive=4, sasKey=base64.b64encode(key).decode())
        self.assertTrue(got["ok"], got)
        self.assertEqual(sorted(m["text"] for m in got["received"]),
                         ["abandon", "abandon", "complete", "reject"])
        self.assertEqual({m["id"] for m in got["received"]},
                         {"id-complete", "id-reject", "id-abandon"})
        self.assertEqual({(m["to"], m["alert"]) for m in got["received"]},
                         {("/devices/http-m/messages/devicebound", "a b")})
        api = self.server.anybody(harness.token(HOST + "/devices/http-m", key))
        self.assertEqual(api.get("/devices/http-m/messages/devicebound").status, 204)

    def upload(self, device, **credential):
        text = "contents of %s " % device * 1000
        got = self.sdk(id=device, upload={"name": "dir/a file.txt", "text": text}, **credential)
        self.assertTrue(got["ok"], got)
        blob = self.emulator.request("GET", "/uploads/%s/dir/a%%20file.txt" % device)
        self.assertEqual(blob.decode(), text)
        notice = self.op.get("/messages/serviceBound/filenotifications")
        self.assertEqual(self.good(notice)["blobName"], device + "/dir/a file.txt")
        self.assertEqual(self.op.delete("/messages/serviceBound/filenotifications/" +
                                        notice.headers["ETag"].strip('"')).status, 204)

    def test_upload(self):
        self.eventually(lambda: self.emulator.request("PUT", "/uploads", "restype=container") == b"",
                        30, "the emulator")
        key = self.sas_device("http-u")
        self.upload("http-u", sasKey=base64.b64encode(key).decode())
        self.ca_device("http-v")
        cert, pem = self.leaf("http-v")
        self.upload("http-v", cert=cert, key=pem)

    def test_wrong_key_is_an_error_that_the_sdk_knows(self):
        self.sas_device("http-w")
        wrong = base64.b64encode(os.urandom(32)).decode()
        got = self.sdk(id="http-w", send="{}", sasKey=wrong)
        self.assertEqual((got["ok"], got["error"]), (False, "UnauthorizedError"), got)
        self.reason("http-w", "signature")


if __name__ == "__main__":
    harness.need_ports(HOST, 443)
    ROOM = npm.install(HERE, ("http.js",), "the Azure SDKs")
    STORAGE = npm.install(os.path.join(HERE, "storage"), (), "Azurite",
                          os.environ.get("MUSTER_STORAGE"))
    harness.main()
