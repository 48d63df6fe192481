"""Jobs that import and export identities (service.md 2.7), against a container of our own; Azurite
is asked in test/peer."""
import base64
import http.server
import json
import re
import socket
import threading
import urllib.parse

import harness

SECRET = "sig=s3cr3t"
MANY = 400


class Container(http.server.BaseHTTPRequestHandler):
    """A container as Azure Storage shows it, as far as an import and an export go."""
    protocol_version = "HTTP/1.1"
    blobs, blocks = {}, {}
    held = threading.Event()

    def log_message(self, *args):  # pylint: disable=arguments-differ
        pass

    def reply(self, status, body=b""):
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def place(self):
        url = urllib.parse.urlsplit(self.path)
        query = dict(urllib.parse.parse_qsl(url.query))
        return urllib.parse.unquote(url.path), query, query.get("sig") == "s3cr3t"

    def do_GET(self):
        path, _, good = self.place()
        self.held.wait(60)
        first, last = map(int, re.fullmatch("bytes=(.*)-(.*)", self.headers["x-ms-range"]).groups())
        if not good or path not in self.blobs:
            self.reply(403 if not good else 404)
        elif first >= len(self.blobs[path]):
            self.reply(416, b"<Error/>")
        else:
            self.reply(206, self.blobs[path][first:last + 1])

    def do_PUT(self):
        path, query, good = self.place()
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if not good:
            self.reply(403)
            return
        if query.get("comp") == "block":
            self.blocks[query["blockid"]] = body
        elif query.get("comp") == "blocklist":
            ids = re.findall("<Latest>(.*?)</Latest>", body.decode())
            self.blobs[path] = b"".join(self.blocks[i] for i in ids)
        else:
            assert self.headers["x-ms-blob-type"] == "BlockBlob"
            self.blobs[path] = body
        self.reply(201)


class NoLocalStorage(harness.ServerCase):
    def test_what_listens_on_this_machine_is_not_asked(self):
        asked = []
        with socket.create_server(("127.0.0.1", 0)) as s:
            s.setblocking(False)
            here = "http://127.0.0.1:%d/acct/box?sig=x" % s.getsockname()[1]
            there = "https://127.0.0.1:1/acct/box?sig=x"
            for kind, container in (("export", {"outputBlobContainerUri": here}),
                                    ("import", {"outputBlobContainerUri": here,
                                                "inputBlobContainerUri": there}),
                                    ("import", {"outputBlobContainerUri": there,
                                                "inputBlobContainerUri": here})):
                got = self.op.post("/jobs/create", {"type": kind, **container})
                asked.append((got.status, "hub.local_storage" in got.text))
            self.assertEqual(asked, [(400, True)] * 3)
            self.assertEqual(self.good(self.op.get("/jobs")), [])
            self.assertRaises(BlockingIOError, s.accept)


class Transfers(harness.ServerCase):
    HOME_SET = {"hub": {"local_storage": "true"}}

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        storage = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Container)
        threading.Thread(target=storage.serve_forever, daemon=True).start()
        cls.addClassCleanup(storage.server_close)
        cls.addClassCleanup(storage.shutdown)
        cls.port = storage.server_address[1]

    def setUp(self):
        Container.held.set()
        Container.blobs.clear()
        Container.blocks.clear()

    def uri(self, sas=SECRET):
        return "http://127.0.0.1:%d/acct/box?sv=1&%s" % (self.port, sas)

    def job(self, kind, sas=SECRET, **more):
        body = {"type": kind, "outputBlobContainerUri": self.uri(sas), **more}
        if kind == "import":
            body["inputBlobContainerUri"] = self.uri(sas)
        return self.op.post("/jobs/create", body)

    def ended(self, job, timeout=60):
        def look():
            got = self.good(self.op.get("/jobs/" + job["jobId"]))
            return got if got["endTimeUtc"] else None
        return self.eventually(look, timeout, "end of the job")

    def blob(self, name="devices.txt"):
        return [json.loads(line) for line in Container.blobs["/acct/box/" + name].splitlines()]

    def imports(self, *lines, name="devices.txt"):
        text = "\n".join(x if isinstance(x, str) else json.dumps(x) for x in lines)
        Container.blobs["/acct/box/" + name] = text.encode()
        return self.ended(self.good(self.job("import")))

    def make(self):
        self.good(self.op.post("/devices", [
            {"id": "x-sas", "importMode": "create", "tags": {"a": 1},
             "properties": {"desired": {"b": {"c": 2}}}},
            {"id": "x-off", "importMode": "create", "status": "disabled", "statusReason": "why",
             "authentication": {"type": "selfSigned",
                                "x509Thumbprint": {"primaryThumbprint": "ab" * 20}}},
            {"id": "x-ca", "importMode": "create", "capabilities": {"iotEdge": True},
             "authentication": {"type": "certificateAuthority"}}]))
        self.good(self.op.put("/devices/x-sas/modules/m", {"managedBy": "me"}))

    def shown(self, name):
        got = self.good(self.op.get("/devices/" + name))
        twin = self.good(self.op.get("/twins/" + name))
        desired = {k: v for k, v in twin["properties"]["desired"].items() if k[0] != "$"}
        return {k: got.get(k) for k in ("status", "statusReason", "authentication", "capabilities",
                                        "managedBy")}, twin["tags"], desired

    def test_what_was_exported_can_be_imported(self):
        self.make()
        names = ["x-sas", "x-off", "x-ca", "x-sas/modules/m"]
        before = [self.shown(n) for n in names]
        made = self.good(self.job("export", outputBlobName="all/of it.txt"))
        self.assertEqual((made["type"], made["status"], made["outputBlobName"]),
                         ("export", "enqueued", "all/of it.txt"))
        done = self.ended(made)
        self.assertEqual((done["status"], done["progress"], done["failureReason"]),
                         ("completed", 100, None))
        self.assertNotIn("s3cr3t", json.dumps(done))
        rows = {(r["id"], r.get("moduleId")): r for r in self.blob("all/of it.txt")}
        self.assertTrue({("x-sas", None), ("x-ca", None), ("x-sas", "m")} <= set(rows))
        self.assertEqual(rows["x-sas", None]["authentication"], before[0][0]["authentication"])
        self.assertEqual(rows["x-sas", None]["properties"]["desired"], {"b": {"c": 2}})
        for name in ("x-sas", "x-off", "x-ca"):
            self.good(self.op.delete("/devices/" + name, If_Match="*"), 204)
        Container.blobs["/acct/box/devices.txt"] = Container.blobs["/acct/box/all/of it.txt"]
        done = self.ended(self.good(self.job("import")))
        self.assertEqual(done["status"], "completed", done)
        self.assertNotIn("/acct/box/importErrors.log", list(Container.blobs))
        self.assertEqual([self.shown(n) for n in names], before)
        # without keys; over what is there already
        self.ended(self.good(self.job("export", excludeKeysInExport=True)))
        rows = {(r["id"], r.get("moduleId")): r for r in self.blob()}
        self.assertEqual(rows["x-sas", None]["authentication"]["symmetricKey"],
                         {"primaryKey": None, "secondaryKey": None})
        self.assertIn(made["jobId"], [j["jobId"] for j in self.good(self.op.get("/jobs"))])

    def test_each_mode_and_what_goes_wrong(self):
        self.good(self.op.post("/devices", [{"id": "m-%d" % i, "importMode": "create"}
                                            for i in range(6)]))
        etag = self.good(self.op.get("/devices/m-1"))["etag"]
        key = base64.b64encode(b"k" * 32).decode()
        done = self.imports(
            {"id": "m-0", "importMode": "update", "status": "disabled"},
            {"id": "m-1", "importMode": "updateIfMatchETag", "eTag": etag, "status": "disabled"},
            {"id": "m-2", "importMode": "delete"},
            {"id": "m-3", "importMode": "updateTwin", "tags": {"t": 1}},
            {"id": "m-4", "status": "disabled"}, "",
            {"id": "m-9", "importMode": "createOrUpdate", "authentication": {
                "symmetricKey": {"primaryKey": key, "secondaryKey": key}, "type": "sas"}},
            {"id": "m-5", "importMode": "create"}, "{no json", '"text"',
            {"id": "m-5", "importMode": "deleteIfMatchETag", "eTag": "MTIzNDU="},
            {"id": "a b"}, {"id": "nobody", "importMode": "update"},
            {"id": "m-5", "importMode": "magic"})
        self.assertEqual(done["status"], "completed", done)
        for name in ("m-0", "m-1", "m-4"):
            self.assertEqual(self.good(self.op.get("/devices/" + name))["status"], "disabled")
        self.assertEqual(self.op.get("/devices/m-2").status, 404)
        self.assertEqual(self.good(self.op.get("/twins/m-3"))["tags"], {"t": 1})
        self.assertEqual(self.good(self.op.get("/devices/m-9"))["authentication"]["symmetricKey"],
                         {"primaryKey": key, "secondaryKey": key})
        self.assertEqual(sorted((e["deviceId"], e["errorCode"])
                                for e in self.blob("importErrors.log")),
                         [("", "ArgumentInvalid"), ("", "ArgumentInvalid"),
                          ("a b", "ArgumentInvalid"), ("m-5", "ArgumentInvalid"),
                          ("m-5", "DeviceAlreadyExists"), ("m-5", "PreconditionFailed"),
                          ("nobody", "DeviceNotFound")])
        rows = [r["what"] for r in self.op.rows("/muster/audit")[0]]
        self.assertIn("import", rows)

    def test_storage_that_does_not_let_us_in(self):
        for kind in ("import", "export"):
            done = self.ended(self.good(self.job(kind, "sig=wr0ng")))
            self.assertEqual(done["status"], "failed")
            self.assertIn("403", done["failureReason"])
        done = self.ended(self.good(self.job("import", inputBlobName="none.txt")))
        self.assertIn("404", done["failureReason"])
        self.assertNotIn("wr0ng", self.server.log)
        self.assertNotIn("s3cr3t", self.server.log)

    def test_one_at_a_time_which_can_be_cancelled(self):
        Container.held.clear()
        Container.blobs["/acct/box/devices.txt"] = b'{"id": "never"}\n'
        first = self.good(self.job("import"))
        got = self.job("export")
        self.assertEqual((got.status, got.headers["iothub-errorcode"]),
                         (429, "ThrottlingMaxActiveJobCountExceeded"))
        self.good(self.op.delete("/jobs/" + first["jobId"]), 204)
        Container.held.set()
        self.assertEqual(self.ended(first)["status"], "cancelled")
        self.assertEqual(self.ended(self.good(self.job("export")))["status"], "completed")
        self.assertEqual(self.op.get("/devices/never").status, 404)
        for method in ("GET", "DELETE"):
            got = self.op.call(method, "/jobs/none")
            self.assertEqual((got.status, got.headers["iothub-errorcode"]), (404, "JobNotFound"))

    def test_what_is_none(self):
        good = {"type": "import", "inputBlobContainerUri": self.uri(),
                "outputBlobContainerUri": self.uri()}
        for more in ({"type": "magic"}, {"inputBlobContainerUri": None},
                     {"outputBlobContainerUri": "http://127.0.0.1?y"},
                     {"outputBlobContainerUri": "https://a.b/c"}, {"inputBlobName": "/x"},
                     {"inputBlobName": "x?y"}, {"storageAuthenticationType": "identityBased"},
                     {"includeConfigurations": True}):
            self.assertEqual(self.op.post("/jobs/create", {**good, **more}).status, 400, more)

    def test_a_policy_that_may_only_write_exports_nothing(self):
        path = "/subscriptions/s/resourceGroups/g/providers/Microsoft.Devices/IotHubs/muster"
        before = self.good(self.op.post(path + "/listkeys"))["value"]
        self.addCleanup(self.put_policies, path, before)
        self.put_policies(path, before + [{"keyName": "writer", "rights": "RegistryWrite"}])
        keys = self.server.policy_keys()
        body = {"type": "export", "outputBlobContainerUri": self.uri()}
        for policy, status in (("writer", 403), ("registryRead", 403), ("registryReadWrite", 200)):
            caller = self.server.anybody(
                harness.token("127.0.0.1", keys[policy], policy=policy))
            for more in ({}, {"excludeKeysInExport": True}):
                got = caller.post("/jobs/create", {**body, **more})
                self.assertEqual(got.status, status, (policy, got))
                if status == 200:
                    self.assertEqual(self.ended(got.json)["status"], "completed")
        writer = self.server.anybody(harness.token("127.0.0.1", keys["writer"], policy="writer"))
        Container.blobs["/acct/box/devices.txt"] = b""
        got = self.good(writer.post("/jobs/create", {
            **body, "type": "import", "inputBlobContainerUri": self.uri()}))
        self.assertEqual(self.ended(got)["status"], "completed")

    def put_policies(self, path, policies):
        self.good(self.op.put(path, {"properties": {"authorizationPolicies": policies}}))

    def test_goes_on_after_a_kill_and_does_nothing_twice(self):
        names = ["k-%04d" % i for i in range(MANY)]
        Container.blobs["/acct/box/devices.txt"] = "".join(
            json.dumps({"id": n, "importMode": "create", "tags": {"kill": "x" * 200}}) + "\n"
            for n in names).encode()
        job = self.good(self.job("import"))
        self.eventually(lambda: self.op.get("/devices/k-0000").status == 200)
        self.server.kill_role("core")
        done = self.eventually(lambda: self.ended(job, 5), 90)
        self.assertEqual(done["status"], "completed", done)
        self.assertNotIn("/acct/box/importErrors.log", list(Container.blobs))
        self.assertEqual(self.op.get("/devices/" + names[-1]).status, 200)
        done = self.ended(self.good(self.job("export")))
        self.assertEqual(len({r["id"] for r in self.blob()} & set(names)), MANY)


if __name__ == "__main__":
    harness.main()
