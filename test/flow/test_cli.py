"""The commands of daily work, against the home's server, against it as if it were Azure (a
connection string), and against a stand-in that gives tokens."""
import base64
import glob
import json
import os
import shutil
import sqlite3
import tempfile
import threading

import azure_fake
import harness
import mqtt
import pki

ARM = "/subscriptions/s/resourceGroups/g/providers/Microsoft.Devices/"


def secret(path, text, mode=0o600):
    with open(path, "w", encoding="ascii", opener=lambda p, f: os.open(p, f, mode)) as f:
        f.write(text + "\n")
    os.chmod(path, mode)
    return path


def section(name, **keys):
    return "[%s]\n%s\n" % (name, "".join("%s = %s\n" % row for row in keys.items()))


class CliCase(harness.ServerCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.home = cls.server.home
        cls.usual()

    @classmethod
    def usual(cls):
        cls.targets(
            section("here", kind="muster", server="https://127.0.0.1:%d" % cls.server.https_port,
                    ca="ca/root.pem", cert="operators/admin.pem", key="operators/admin.key"),
            cls.string_section("keys"))

    @classmethod
    def targets(cls, *sections):
        with open(os.path.join(cls.home, "targets.conf"), "w", encoding="ascii") as f:
            f.write("\n".join(sections))

    @classmethod
    def string_section(cls, name, mode=0o600):
        """The home's server as Azure: by keys of its policies, which it keeps to itself."""
        with tempfile.TemporaryDirectory() as copy:  # the server has the file to itself
            for path in glob.glob(os.path.join(cls.home, "hub.db*")):
                shutil.copy(path, copy)
            db = sqlite3.connect(os.path.join(copy, "hub.db"))
            rows = db.execute("SELECT plane, name, primary_key FROM policy").fetchall()
            db.close()
        files = {}
        for plane, policy, key in rows:
            if policy not in ("iothubowner", "provisioningserviceowner"):
                continue
            files[plane + "_connection"] = os.path.basename(secret(
                os.path.join(cls.home, "%s-%s.conn" % (name, plane)),
                "HostName=127.0.0.1:%d;SharedAccessKeyName=%s;SharedAccessKey=%s" % (
                    cls.server.https_port, policy, base64.b64encode(key).decode()), mode))
        return section(name, kind="azure", sign_in="connection-string", ca="ca/root.pem", **files)

    def muster(self, *args, stdin=None):
        return harness.run(*args, "--home", self.home, stdin=stdin)

    def json(self, *args, **more):
        """The one document that a command shows."""
        return json.loads(self.works(self.muster(*args, "-o", "json", **more)).stdout)

    def lines(self, *args):
        """A list's rows as JSON."""
        out = self.works(self.muster(*args, "-o", "json")).stdout
        return [json.loads(line) for line in out.splitlines()]

    def tsv(self, *args):
        out = self.works(self.muster(*args, "-o", "tsv")).stdout
        return [line.split("\t") for line in out.splitlines()]


class Device(CliCase):
    """Each as an operator and by a connection string."""

    def each_way(self):
        for number, way in enumerate(([], ["--target", "here"], ["--target", "keys"])):
            with self.subTest(way=way):
                yield number, way

    def test_an_identity_from_the_first_to_the_last_day(self):
        for n, way in self.each_way():
            name = "life-%d" % n
            made = self.json("device", "create", name, *way)
            self.assertEqual(made["authentication"]["type"], "sas")
            self.assertIsNone(made["authentication"]["symmetricKey"]["primaryKey"])
            keys = self.json("device", "show", name, "--keys", *way)
            self.assertEqual(len(base64.b64decode(
                keys["authentication"]["symmetricKey"]["primaryKey"])), 64)
            self.ends(self.muster("device", "create", name, *way), 5, name, "exists")
            off = self.json("device", "disable", name, "--reason", "stolen", *way)
            self.assertEqual((off["status"], off["statusReason"]), ("disabled", "stolen"))
            self.assertEqual(self.op.get("/devices/" + name).json["status"], "disabled")
            on = self.json("device", "enable", name, *way)
            self.assertEqual(on["status"], "enabled")
            thumb = "AB:" * 31 + "CD"
            new = self.json("device", "update", name, "--auth", "selfSigned", "--thumbprint",
                            thumb, "--second-thumbprint", "12" * 32, "--edge", "yes", *way)
            self.assertEqual(new["authentication"]["x509Thumbprint"], {
                "primaryThumbprint": ("ab" * 31 + "cd"), "secondaryThumbprint": "12" * 32})
            self.assertTrue(new["capabilities"]["iotEdge"])
            kept = self.json("device", "update", name, "--reason", "x", *way)
            self.assertEqual(kept["authentication"], new["authentication"])
            self.ends(self.muster("device", "update", name, "--reason", "y", "--etag",
                                  new["etag"], *way), 5, name, "changed meanwhile")
            self.ends(self.muster("device", "delete", name, "--etag", new["etag"], *way), 5)
            self.works(self.muster("device", "delete", name, *way))
            self.ends(self.muster("device", "show", name, *way), 4, name)
            self.ends(self.muster("device", "delete", name, *way), 4, name)

    def test_keys_stay_in_a_table_only_where_they_are_asked_for(self):
        shown = self.works(self.muster("device", "create", "k-1")).stdout
        self.assertNotIn("Key", shown)
        key = self.op.get("/devices/k-1").json["authentication"]["symmetricKey"]["primaryKey"]
        self.assertNotIn(key, self.works(self.muster("device", "show", "k-1")).stdout)
        self.assertIn(key, self.works(self.muster("device", "show", "k-1", "--keys")).stdout)

    def test_a_certificate_gives_its_thumbprint(self):
        cert, _ = self.leaf("cert-1")
        made = self.json("device", "create", "cert-1", "--auth", "selfSigned", "--device-cert",
                         cert)
        self.assertEqual(made["authentication"]["x509Thumbprint"]["primaryThumbprint"],
                         pki.sha256(pki.read_pem(cert)[0]).lower())

    def test_options_that_do_not_fit(self):
        for args, word in ((["--auth", "selfSigned"], "--thumbprint"),
                           (["--thumbprint", "12" * 32], "selfSigned"),
                           (["--auth", "selfSigned", "--thumbprint", "12"], "hex digits"),
                           (["--auth", "password"], "selfSigned or ca"),
                           (["--edge", "maybe"], "yes or no")):
            self.ends(self.muster("device", "create", "odd-1", *args), 2, word)
        self.assertEqual(self.op.get("/devices/odd-1").status, 404)
        self.ends(self.muster("device", "create", "a b"), 3, "deviceId")
        self.ends(self.muster("device"), 2, "verb")
        self.ends(self.muster("device", "frobnicate"), 2, "frobnicate")

    def test_lists(self):
        for name in ("l-1", "l-2", "l-3"):
            self.sas_device(name)
        for _, way in self.each_way():
            rows = {row["deviceId"]: row for row in self.lines("device", "list", *way)}
            self.assertLessEqual({"l-1", "l-2", "l-3"}, set(rows))
            self.assertEqual(rows["l-1"]["authenticationType"], "sas")
            self.assertIn(["l-2", "enabled", "sas", "Disconnected", "never", "0", ""],
                          self.tsv("device", "list", *way))
            some = self.works(self.muster("device", "list", "--top", "2", *way))
            self.assertEqual(len(some.stdout.splitlines()), 3)
            self.assertRegex(some.stdout, r"^DEVICE +STATUS +AUTH")
            self.assertIn("more", some.stderr)

    def test_more_than_a_page(self):
        names = ["p-%04d" % n for n in range(1010)]
        for name in names:
            self.good(self.op.put("/devices/" + name, {"deviceId": name}))
        rows = self.lines("device", "list", "--target", "keys")
        self.assertLessEqual(set(names), {row["deviceId"] for row in rows})
        self.assertEqual(len(self.lines("device", "list", "--top", "1005")), 1005)

    def test_a_condition_goes_to_the_hub_as_it_is(self):
        self.sas_device("w-1")
        got = self.muster("device", "list", "--where", "this is \"no\" condition")
        self.ends(got, 3, "HTTP 400", "ArgumentInvalid")
        self.assertEqual(got.stdout, "")

    def test_twins(self):
        for n, way in self.each_way():
            name = "t-%d" % n
            self.sas_device(name)
            doc = {"tags": {"hall": {"line": 3}}, "properties": {"desired": {"a": 1, "b": 2}}}
            self.json("device", "twin", name, "--patch", json.dumps(doc), *way)
            path = self.path("patch.json")
            with open(path, "w", encoding="ascii") as f:
                json.dump({"properties": {"desired": {"a": None}}}, f)
            got = self.json("device", "twin", name, "--patch", path, *way)
            self.assertEqual(got["tags"], {"hall": {"line": 3}})
            self.assertEqual(got["properties"]["desired"]["b"], 2)
            self.assertNotIn("a", got["properties"]["desired"])
            table = self.works(self.muster("device", "twin", name, *way)).stdout
            self.assertRegex(table, r"(?m)^Device +%s$" % name)
            self.assertRegex(table, r"Tags\n  hall\.line  3\n\nDesired \(version 3\)\n  b  2\n")
            self.ends(self.muster("device", "twin", name, "--set", '{"tags":{}}', "--etag",
                                  "MQ==", *way), 5, name)
            new = self.json("device", "twin", name, "--set", "-", *way,
                            stdin='{"tags":{"x":"y"},"properties":{"desired":{}}}')
            self.assertEqual(new["tags"], {"x": "y"})
            self.assertNotIn("b", new["properties"]["desired"])
        self.ends(self.muster("device", "twin", "t-0", "--set", '{"hall":7}'), 2, "tags")
        self.ends(self.muster("device", "twin", "t-0", "--set", '{"tags":'), 3, "--set")
        self.ends(self.muster("device", "twin", "t-0", "--set", "/no/such"), 4, "/no/such")
        self.ends(self.muster("device", "twin", "nobody"), 4, "nobody")

    def answering(self, device):
        """A device that answers each method by its payload."""
        client = self.hub(device, key=self.sas_device(device))
        client.subscribe("$iothub/methods/POST/#", qos=0)

        def serve():
            try:
                while True:
                    topic, body = client.message(60)[:2]
                    rid = topic.split("$rid=")[1]
                    client.publish("$iothub/methods/res/207/?$rid=" + rid,
                                   b'{"got":' + body + b"}", qos=0)
            except (OSError, mqtt.Closed, AssertionError, TypeError):
                pass
        threading.Thread(target=serve, daemon=True).start()
        return client

    def test_methods(self):
        self.answering("m-1")
        for _, way in self.each_way():
            self.assertEqual(
                self.json("device", "method", "m-1", "reboot", "--payload", '{"delay":5}', *way),
                {"status": 207, "payload": {"got": {"delay": 5}}})
            table = self.works(self.muster("device", "method", "m-1", "reboot", "--payload", "7",
                                           *way)).stdout
            self.assertEqual(table, 'Status  207\n{\n  "got": 7\n}\n')
            self.assertEqual(self.tsv("device", "method", "m-1", "x", "--payload", "7", *way),
                             [["207", '{"got":7}']])
        self.sas_device("m-2")
        self.ends(self.muster("device", "method", "m-2", "x"), 4, "method x of device m-2",
                  "DeviceNotOnline")
        self.ends(self.muster("device", "method", "m-2", "x", "--timeout", "1"), 3, "--timeout")

    def test_messages(self):
        key = self.sas_device("c-1")
        self.works(self.muster("device", "send", "c-1", "hello", "--property", "colour=blue",
                               "--message-id", "m-7", "--content-type", "text/plain"))
        self.works(self.muster("device", "send", "c-1", "--file", "-", stdin="from a pipe"))
        client = self.hub("c-1", key=key)
        client.subscribe("devices/c-1/messages/devicebound/#")
        topic, body = client.message()[:2]
        self.assertEqual(body, b"hello")
        self.assertIn("colour=blue", topic)
        self.assertIn("m-7", topic)
        self.assertEqual(client.message()[1], b"from a pipe")
        self.ends(self.muster("device", "send", "c-1"), 2, "TEXT")
        self.ends(self.muster("device", "send", "c-1", "x", "--property", "colour"), 2,
                  "NAME=VALUE")
        self.ends(self.muster("device", "send", "c-1", "x", "--message-id", "a\r\nb: c"), 2,
                  "control character")
        self.ends(self.muster("device", "send", "nobody", "x"), 4, "nobody")
        self.ends(self.muster("device", "send", "c-1", "x", "--target", "keys"), 3, "AMQP")


class Targets(CliCase):
    """Which there are, and what is wrong with them."""

    def test_a_target_that_is_none(self):
        self.ends(self.muster("device", "list", "--target", "prod"), 2, "'prod'", "targets.conf",
                  "muster, here, keys")
        self.works(self.muster("device", "list", "--target", "muster"))

    def test_a_command_that_azure_has_not(self):
        self.ends(self.muster("certificates", "--target", "keys"), 3, "target keys is Azure")
        self.works(self.muster("certificates", "--target", "here"))
        self.ends(self.muster("device", "list", "--target", "keys", "--operator", "admin"), 2,
                  "for a muster")
        self.ends(self.muster("certificates", "-o", "tsv"), 2, "table or json")
        self.ends(self.muster("device", "list", "-o", "xml"), 2, "table, json or tsv")

    def test_a_secret_that_others_may_read(self):
        self.targets(self.string_section("open", mode=0o644))
        self.addCleanup(self.usual)
        got = self.ends(self.muster("device", "list", "--target", "open"), 8, "chmod")
        self.assertNotIn("SharedAccessKey=", got.stderr)

    def test_a_key_that_is_not_the_hubs(self):
        secret(os.path.join(self.home, "wrong.conn"),
               "HostName=127.0.0.1:%d;SharedAccessKeyName=iothubowner;SharedAccessKey=%s" % (
                   self.server.https_port, base64.b64encode(b"x" * 32).decode()))
        self.targets(section("wrong", kind="azure", sign_in="connection-string", ca="ca/root.pem",
                             hub_connection="wrong.conn"))
        self.addCleanup(self.usual)
        self.ends(self.muster("device", "list", "--target", "wrong"), 6, "HTTP 401",
                  "does not accept the credential")

    def test_a_file_that_is_wrong_says_where(self):
        self.targets("[x]\nkind = azure\nsign_in = connection-string\ncolour = red\n")
        self.addCleanup(self.usual)
        self.ends(self.muster("device", "list", "--target", "x"), 3, "targets.conf", "line 4",
                  "colour")

    def test_revoke_by_the_kind_of_the_target(self):
        for name, target in (("rv-1", "keys"), ("rv-2", "azure"), ("rv-3", "here")):
            self.sas_device(name)
            rows = self.json("revoke", name, "--target", target)
            states = {row["name"]: row["state"] for row in rows}
            self.assertEqual(states["identity"], "done")
            self.assertEqual(states["crl"] == "not offered", target != "here")


class Azure(CliCase):
    """A stand-in gives the tokens and plays the planes."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.pair = azure_fake.certificate(cls.parent)

    def setUp(self):
        self.fake = azure_fake.Fake(self, self.pair)
        self.imds = azure_fake.Fake(self)
        host = "127.0.0.1:%d" % self.fake.port
        secret(os.path.join(self.home, "prod.secret"), "s3cr3t&+=")
        both = {"kind": "azure", "ca": self.pair[0], "hub": host, "dps": host,
                "arm": self.fake.url, "hub_resource": ARM + "IotHubs/h",
                "dps_resource": ARM + "provisioningServices/d"}
        self.targets(
            section("sp", sign_in="service-principal", tenant="tenant-1", client_id="app-1",
                    secret="prod.secret", authority=self.fake.url, **both),
            section("mi", sign_in="managed-identity", imds=self.imds.url, **both),
            section("mine", sign_in="managed-identity", imds=self.imds.url, client_id="id-7",
                    **both))
        self.identity = {"deviceId": "d-1", "status": "enabled", "etag": "e1",
                         "authentication": {"type": "certificateAuthority"}}
        self.fake.on("POST", "/tenant-1/oauth2/v2.0/token", {
            "token_type": "Bearer", "expires_in": 3599, "access_token": "entra-token"})
        self.imds.on("GET", "/metadata/identity/oauth2/token", {
            "token_type": "Bearer", "expires_in": "86399", "access_token": "machine-token"})
        self.fake.on("GET", "/devices/d-1", self.identity)

    def test_a_service_principal(self):
        self.assertEqual(self.json("device", "show", "d-1", "--target", "sp"), self.identity)
        asked, = self.fake.seen("POST", "/tenant-1/oauth2/v2.0/token")
        self.assertEqual(asked.form, {
            "grant_type": "client_credentials", "client_id": "app-1",
            "client_secret": "s3cr3t&+=", "scope": "https://iothubs.azure.net/.default"})
        self.assertEqual(asked.headers["content-type"], "application/x-www-form-urlencoded")
        self.assertNotIn("authorization", asked.headers)
        told, = self.fake.seen("GET", "/devices/d-1")
        self.assertEqual(told.headers["authorization"], "Bearer entra-token")
        self.assertEqual(told.query, {"api-version": "2021-04-12"})

    def test_a_managed_identity(self):
        for target, query in (("mi", {}), ("mine", {"client_id": "id-7"})):
            with self.subTest(target=target):
                self.imds.requests.clear()
                self.json("device", "show", "d-1", "--target", target)
                asked, = self.imds.requests
                self.assertEqual(asked.headers["metadata"], "true")
                self.assertEqual(asked.query, {
                    "api-version": "2018-02-01", "resource": "https://iothubs.azure.net",
                    **query})
                self.assertEqual(self.fake.seen("GET", "/devices/d-1")[-1].headers[
                    "authorization"], "Bearer machine-token")

    def test_one_token_serves_many_requests(self):
        self.fake.on("PUT", "/devices/d-1", self.identity)
        self.json("device", "disable", "d-1", "--target", "sp")
        self.assertEqual(len(self.fake.seen("POST", "/tenant-1/oauth2/v2.0/token")), 1)
        put, = self.fake.seen("PUT", "/devices/d-1")
        self.assertEqual(put.headers["if-match"], '"e1"')
        self.assertEqual(put.json["status"], "disabled")

    def test_a_kept_token_that_is_refused_is_asked_for_anew(self):
        self.fake.on("PUT", "/devices/d-1", (401, {}, {"Message": "ErrorCode:Expired;late"}),
                     self.identity)
        self.json("device", "enable", "d-1", "--target", "sp")
        self.assertEqual(len(self.fake.seen("POST", "/tenant-1/oauth2/v2.0/token")), 2)

    def test_a_token_that_is_not_given(self):
        self.fake.on("POST", "/tenant-1/oauth2/v2.0/token", (401, {}, {
            "error": "invalid_client", "error_description":
            "AADSTS7000215: Invalid client secret provided.\r\nTrace ID: 1"}))
        got = self.ends(self.muster("device", "show", "d-1", "--target", "sp"), 6, "target sp",
                        "service-principal", "AADSTS7000215: Invalid client secret provided.")
        self.assertNotIn("s3cr3t", got.stderr)
        self.assertNotIn("Trace", got.stderr)
        self.assertFalse(self.fake.seen("GET", "/devices/d-1"))

    def test_a_token_that_is_none(self):
        for body in ({"access_token": "x"}, {"expires_in": 5}, ["x"],
                     {"access_token": "a\r\nb: c", "expires_in": 5}):
            self.imds.on("GET", "/metadata/identity/oauth2/token", body)
            self.ends(self.muster("device", "show", "d-1", "--target", "mi"), 3, "target mi")
        self.assertFalse(self.fake.seen("GET", "/devices/d-1"))

    def test_throttled_and_then_not(self):
        self.fake.on("GET", "/devices/d-1", (429, {"Retry-After": "1"}, {
            "Message": "ErrorCode:ThrottlingException;slow"}), self.identity)
        self.json("device", "show", "d-1", "--target", "sp")
        self.assertEqual(len(self.fake.seen("GET", "/devices/d-1")), 2)

    def test_throttled_for_good(self):
        self.fake.on("GET", "/devices/d-1", (429, {"Retry-After": "1"}, {
            "Message": "ErrorCode:ThrottlingException;slow"}))
        self.ends(self.muster("device", "show", "d-1", "--target", "sp"), 7, "device d-1",
                  "HTTP 429", "ThrottlingException: slow", "try again in 1 s")

    def test_what_azure_refuses_is_told(self):
        inner = json.dumps({"errorCode": 404001, "message": "no such device", "trackingId": "x"})
        for status, body, code, words in (
                (404, {"Message": inner}, 4, ["HTTP 404: no such device"]),
                (403, {"Message": "ErrorCode:Suspended;paid"}, 6, ["lacks the right"]),
                (400, {"Message": "ErrorCode:ArgumentInvalid;\u001b[2Jbad"}, 3, ["?[2Jbad"]),
                (500, None, 1, ["HTTP 500"])):
            with self.subTest(status=status):
                self.fake.on("GET", "/devices/d-1", (status, {}, body))
                self.ends(self.muster("device", "show", "d-1", "--target", "sp"), code,
                          "device d-1", *words)

    def test_pages_and_the_query(self):
        self.fake.on("POST", "/devices/query",
                     (200, {"x-ms-continuation": "t/+1"}, [{"deviceId": "a"}, {"deviceId": "b"}]),
                     (200, {}, [{"deviceId": "c"}]))
        rows = self.tsv("device", "list", "--target", "sp", "--where", "tags.x = 'y\"z'")
        self.assertEqual([row[0] for row in rows], ["a", "b", "c"])
        first, second = self.fake.seen("POST", "/devices/query")
        self.assertEqual(first.json, {"query": "select * from devices where tags.x = 'y\"z'"})
        self.assertEqual(second.json, first.json)
        self.assertNotIn("x-ms-continuation", first.headers)
        self.assertEqual(second.headers["x-ms-continuation"], "t/+1")
        self.assertEqual(first.headers["x-ms-max-item-count"], "1000")

    def test_no_hub_there(self):
        self.targets(section("dps-only", kind="azure", sign_in="managed-identity",
                             dps="127.0.0.1:1", ca=self.pair[0]))
        self.ends(self.muster("device", "list", "--target", "dps-only"), 2, "set hub")


if __name__ == "__main__":
    harness.main()
