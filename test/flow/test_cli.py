"""The commands of daily work, against the home's server, against it as if it were Azure (a
connection string), and against a stand-in that gives tokens."""
import base64
import json
import os
import re
import signal
import subprocess
import threading
import time
from email.utils import formatdate

import azure_fake
import cli
import harness
import mqtt
import pki


class Device(cli.CliCase):
    """Identities and what is said to them."""

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
        for name in ("w-1", "w-2", "w-3"):
            self.sas_device(name)
        self.works(self.muster("device", "twin", "w-2", "--patch", '{"tags":{"hall":"\\"7\\""}}'))
        self.works(self.muster("device", "disable", "w-3"))
        for _, way in self.each_way():
            for where, found in (("tags.hall = '\"7\"'", ["w-2"]),
                                 ("status = 'disabled' and starts_with(deviceId, 'w-')", ["w-3"]),
                                 ("deviceId in ['w-1', 'nobody']", ["w-1"]),
                                 ("deviceId = 'nobody'", [])):
                rows = self.tsv("device", "list", "--where", where, *way)
                self.assertEqual([row[0] for row in rows], found, where)
            got = self.muster("device", "list", "--where", "this is \"no\" condition", *way)
            self.ends(got, 3, "HTTP 400", "ArgumentInvalid")
            self.assertEqual(got.stdout, "")

    def test_a_query_has_the_columns_that_it_asks_for(self):
        for name, site in (("q-1", "ulm"), ("q-2", "ulm"), ("q-3", "jena")):
            self.sas_device(name)
            self.works(self.muster("device", "twin", name, "--patch", '{"tags":{"q":"%s"}}' % site))
        sql = ("select tags.q as site, count() as n from devices where is_defined(tags.q) "
               "group by tags.q")
        for _, way in self.each_way():
            self.assertEqual({row["site"]: row["n"] for row in self.lines(
                "device", "query", sql, *way)}, {"ulm": 2, "jena": 1})
            self.assertEqual(sorted(self.tsv("device", "query", sql, *way)),
                             [["jena", "1"], ["ulm", "2"]])
            table = self.works(self.muster("device", "query", sql, *way)).stdout
            self.assertRegex(table, r"^site +n\n")
            none = self.works(self.muster(
                "device", "query", "select * from devices where deviceId = 'x'", *way))
            self.assertEqual((none.stdout, none.stderr), ("", "no rows\n"))
        self.ends(self.muster("device", "query", "select"), 3, "HTTP 400")

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
                  "Device is not online")
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


class Enrollment(cli.CliCase):
    """Who may register, and who has."""

    def test_a_group_of_a_ca(self):
        ca = self.device_ca.cert
        for n, way in self.each_way():
            name = "ca-%d" % n
            made = self.json("group", "create", name, "--signing-ca", ca, "--hub", "127.0.0.1",
                             "--allocation", "static", "--reprovision", "never", "--tags",
                             '{"site":"x"}', "--disabled", *way)
            self.assertEqual((made["provisioningStatus"], made["allocationPolicy"],
                              made["iotHubs"]), ("disabled", "static", ["127.0.0.1"]))
            self.assertEqual(made["initialTwin"]["tags"], {"site": "x"})
            self.assertEqual(made["reprovisionPolicy"], {
                "updateHubAssignment": False, "migrateDeviceData": False})
            self.ends(self.muster("group", "create", name, "--symmetric", *way), 5, name,
                      "already")
            was = self.op.get("/enrollmentGroups/" + name).json
            on = self.json("group", "enable", name, *way)
            for part in ("attestation", "initialTwin", "iotHubs", "reprovisionPolicy"):
                self.assertEqual(on[part], was[part])
            self.assertEqual(on["provisioningStatus"], "enabled")
            self.ends(self.muster("group", "disable", name, "--etag", was["etag"], *way), 5,
                      name, "changed meanwhile")
            row, = [r for r in self.tsv("group", "list", *way) if r[0] == name]
            self.assertEqual(row[1:3], ["enabled", "x509"])
            self.assertIn("CN=", row[3])
            self.works(self.muster("group", "delete", name, *way))
            self.ends(self.muster("group", "show", name, *way), 4, name)

    def test_a_group_of_a_key_keeps_it(self):
        keys = self.path("group.keys")
        for n, way in self.each_way():
            name, key = "key-%d" % n, base64.b64encode(os.urandom(32)).decode()
            cli.secret(keys, key)
            hidden = self.json("group", "create", name, "--keys-file", keys, *way)
            self.assertNotIn(key, json.dumps(hidden))
            for verb in ("disable", "enable"):
                self.json("group", verb, name, *way)
                got = self.json("group", "show", name, "--keys", *way)
                self.assertEqual(got["attestation"]["symmetricKey"]["primaryKey"], key)
            made = self.json("group", "create", name + "-made", "--symmetric", "--keys", *way)
            first = made["attestation"]["symmetricKey"]["primaryKey"]
            self.assertGreaterEqual(len(base64.b64decode(first)), 16)
            with self.dps(name, key=harness.derive(base64.b64decode(key), name)) as client:
                self.assertEqual(mqtt.dps_register(client).status, 200)
            self.assertEqual([r[0] for r in self.tsv("registration", "list", name, *way)], [name])
        os.chmod(keys, 0o644)
        self.ends(self.muster("group", "create", "key-x", "--keys-file", keys), 8, "chmod")

    def test_an_enrollment_of_a_device(self):
        for n, way in self.each_way():
            name = "one-%d" % n
            cert = self.leaf(name)
            made = self.json("enrollment", "create", name, "--device-cert", cert[0],
                             "--device-id", name + "-dev", *way)
            self.assertEqual(made["deviceId"], name + "-dev")
            with self.dps(name, cert=cert) as client:
                self.assertEqual(mqtt.dps_register(client).status, 200)
            shown = self.json("registration", "show", name, *way)
            self.assertEqual((shown["status"], shown["deviceId"]), ("assigned", name + "-dev"))
            row, = [r for r in self.tsv("enrollment", "list", *way) if r[0] == name]
            self.assertEqual(row[3], name + "-dev")
            self.works(self.muster("enrollment", "disable", name, *way))
            self.works(self.muster("registration", "delete", name, *way))
            self.ends(self.muster("registration", "show", name, *way), 4, name)
            with self.dps(name, cert=cert) as client:
                self.assertEqual(mqtt.dps_register(client).json["status"], "disabled")
            self.works(self.muster("enrollment", "delete", name, *way))
            self.ends(self.muster("enrollment", "show", name, *way), 4, name)

    def test_options_that_do_not_fit(self):
        ca = self.device_ca.cert
        for args, word in (([], "--signing-ca"), (["--symmetric", "--signing-ca", ca], "one of"),
                           (["--symmetric", "--second-ca", ca], "one of"),
                           (["--second-ca", ca], "first one"),
                           (["--symmetric", "--reprovision", "maybe"], "migrate")):
            self.ends(self.muster("group", "create", "odd", *args), 2, word)
        self.ends(self.muster("group", "create", "odd", "--signing-ca", self.device_ca.key), 3)
        self.ends(self.muster("group", "create", "odd", "--symmetric", "--tags", "{"), 3, "--tags")
        self.assertEqual(self.op.get("/enrollmentGroups/odd").status, 404)


class Logs(cli.CliCase):
    """What devices sent, and who came."""

    def test_events(self):
        client = self.hub("e-1", key=self.sas_device("e-1"))
        client.publish("devices/e-1/messages/events/level=high&%24.ct=application%2Fjson",
                       b'{"t":21.5}')
        client.publish("devices/e-1/messages/events/", b"\x1b[2Jraw\xff")
        rows = self.eventually(lambda: (r := self.lines("events", "--device", "e-1"))[1:] and r)
        self.assertEqual([r.get("body") for r in rows], [{"t": 21.5}, None])
        cells = self.tsv("events", "--device", "e-1")
        self.assertEqual(cells[0][1:], ["e-1", "", "sas", '{"level":"high"}', '{"t":21.5}'])
        self.assertEqual(base64.b64decode(cells[1][5]), b"\x1b[2Jraw\xff")
        self.assertEqual(len(self.lines("events", "--device", "e-1", "--top", "1")), 1)
        table = self.works(self.muster("events", "--device", "e-1")).stdout
        self.assertRegex(table, r"^TIME +DEVICE +AUTH +PROPERTIES +BODY\n")
        none = self.works(self.muster("events", "--device", "e-1", "--since", "1ms"))
        self.assertEqual((none.stdout, none.stderr), ("", "nothing in the last 1ms\n"))

    def test_more_events_than_a_page(self):
        client = self.hub("e-2", key=self.sas_device("e-2"))
        for n in range(410):
            client.publish("devices/e-2/messages/events/", b"%d" % n, qos=1)
        rows = self.lines("events", "--device", "e-2")
        self.assertEqual([r["body"] for r in rows], list(range(410)))
        self.assertEqual(len(self.lines("events", "--device", "e-2", "--top", "205")), 205)

    def test_connections(self):
        key = self.sas_device("n-1")
        self.hub("n-1", key=key).disconnect()
        self.refused(lambda: self.hub("n-1", key=b"x" * 32))
        rows = self.eventually(lambda: (
            r := self.lines("connections", "--device", "n-1"))[2:] and r)
        self.assertEqual({r["event"] for r in rows}, {"connect", "disconnect", "refused"})
        only, = self.lines("connections", "--device", "n-1", "--what", "refused")
        self.assertEqual(only["authType"], "sas")
        self.assertEqual(self.lines("connections", "--device", "n-1", "--plane", "dps"), [])

    def test_following(self):
        key = self.sas_device("f-1")
        run = subprocess.Popen(
            [harness.MUSTER, "connections", "-f", "--device", "f-1", "-o", "tsv", "--home",
             self.home], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        try:
            for _ in range(2):
                self.hub("f-1", key=key).disconnect()
                seen = {run.stdout.readline().split("\t")[1] for _ in range(2)}
                self.assertEqual(seen, {"connect", "disconnect"})
        finally:
            run.terminate()
            run.communicate(timeout=20)

    def test_following_ends_with_its_reader(self):
        self.hub("f-2", key=self.sas_device("f-2")).disconnect()
        run = subprocess.Popen(
            [harness.MUSTER, "connections", "-f", "--device", "f-2", "--home", self.home],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        run.stdout.readline()
        run.stdout.close()
        self.assertEqual(run.stderr.read(), b"")
        run.stderr.close()
        self.assertEqual(run.wait(60), -signal.SIGPIPE)

    def test_azure_keeps_no_such_logs(self):
        for command in ("events", "connections"):
            self.ends(self.muster(command, "--target", "keys"), 3, "is Azure")
            self.ends(self.muster(command, "--since", "yesterday"), 3, "--since")


class Targets(cli.CliCase):
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
        self.ends(self.muster("health", "-o", "tsv"), 2, "table or json")
        self.assertIn("admin", [row[0] for row in self.tsv("certificates")])
        self.ends(self.muster("device", "list", "-o", "xml"), 2, "table, json or tsv")

    def test_a_secret_that_others_may_read(self):
        self.targets(self.string_section("open", mode=0o644))
        self.addCleanup(self.usual)
        got = self.ends(self.muster("device", "list", "--target", "open"), 8, "chmod")
        self.assertNotIn("SharedAccessKey=", got.stderr)

    def test_a_key_that_is_not_the_hubs(self):
        cli.secret(os.path.join(self.home, "wrong.conn"),
               "HostName=127.0.0.1:%d;SharedAccessKeyName=iothubowner;SharedAccessKey=%s" % (
                   self.server.https_port, base64.b64encode(b"x" * 32).decode()))
        self.targets(cli.section("wrong", kind="azure", sign_in="connection-string",
                                 ca="ca/root.pem", hub_connection="wrong.conn"))
        self.addCleanup(self.usual)
        self.ends(self.muster("device", "list", "--target", "wrong"), 6, "HTTP 401",
                  "does not accept the credential")

    def test_a_file_that_is_wrong_says_where(self):
        self.targets("[x]\nkind = azure\nsign_in = connection-string\ncolour = red\n")
        self.addCleanup(self.usual)
        self.ends(self.muster("device", "list", "--target", "x"), 3, "targets.conf", "line 4",
                  "colour")

    def test_the_provisioning_service_as_a_resource(self):
        for way in ([], ["--target", "here"]):
            shown = self.json("dps", "show", *way)
            self.assertEqual(shown["properties"]["idScope"], harness.SCOPE)
        self.assertRegex(self.works(self.muster("dps", "show")).stdout,
                         r"(?m)^ID scope +%s$" % harness.SCOPE)

    def test_the_hub_as_a_resource(self):
        shown = self.json("hub", "show")
        self.assertEqual(shown["properties"]["hostName"], "127.0.0.1")
        self.assertEqual(self.json("hub", "show", "--target", "here"), shown)
        self.ends(self.muster("hub", "show", "--target", "keys"), 2, "hub_resource")

    def test_revoke_by_the_kind_of_the_target(self):
        for name, target in (("rv-1", "keys"), ("rv-2", "azure"), ("rv-3", "here")):
            self.sas_device(name)
            rows = self.json("revoke", name, "--target", target)
            states = {row["name"]: row["state"] for row in rows}
            self.assertEqual(states["identity"], "done")
            self.assertEqual(states["crl"] == "not offered", target != "here")


class Principal(cli.CliCase):
    """The home's server as if it were Azure, by an operator's secret."""

    def principal(self, name, role):
        made = self.works(self.muster("operator", "add", name, "--role", role))
        cli.secret(os.path.join(self.home, name + ".secret"), made.stdout.strip())
        host = "127.0.0.1:%d" % self.server.https_port
        app = re.search(r"application (\S+)", made.stderr).group(1)
        return cli.section(name, kind="azure", sign_in="service-principal", ca="ca/root.pem",
                       tenant="adfs", client_id=app, secret=name + ".secret", hub=host, dps=host,
                       authority="https://" + host, arm="https://" + host,
                       hub_resource=cli.ARM + "IotHubs/muster")

    def test_every_plane(self):
        self.targets(self.principal("ci", "owner"), self.principal("lee", "reader"))
        self.addCleanup(self.usual)
        self.json("device", "create", "sp-1", "--target", "ci")
        self.works(self.muster("group", "create", "sp-1", "--symmetric", "--target", "ci"))
        shown = self.json("hub", "show", "--target", "ci")
        self.assertEqual(shown["properties"]["hostName"], "127.0.0.1")
        self.json("device", "show", "sp-1", "--target", "lee")
        self.ends(self.muster("device", "delete", "sp-1", "--target", "lee"), 6, "sp-1")
        self.works(self.muster("operator", "rotate", "lee"))
        self.ends(self.muster("device", "show", "sp-1", "--target", "lee"), 6, "target lee",
                  "service-principal")


class Endless(list):
    """Rules of the stand-in that are made one by one."""

    def __init__(self, make):
        super().__init__([None])
        self.make = make

    def __getitem__(self, at):
        return self.make()


class Azure(cli.CliCase):
    """A stand-in gives the tokens and plays the planes."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.pair = azure_fake.certificate(cls.parent)

    def setUp(self):
        self.fake = azure_fake.Fake(self, self.pair)
        self.imds = azure_fake.Fake(self)
        host = "127.0.0.1:%d" % self.fake.port
        cli.secret(os.path.join(self.home, "prod.secret"), "s3cr3t&+=")
        both = {"kind": "azure", "ca": self.pair[0], "hub": host, "dps": host,
                "arm": self.fake.url, "hub_resource": cli.ARM + "IotHubs/h",
                "dps_resource": cli.ARM + "provisioningServices/d"}
        self.targets(
            cli.section("sp", sign_in="service-principal", tenant="tenant-1", client_id="app-1",
                    secret="prod.secret", authority=self.fake.url, **both),
            cli.section("mi", sign_in="managed-identity", imds=self.imds.url, **both),
            cli.section("mine", sign_in="managed-identity", imds=self.imds.url, client_id="id-7",
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

    def test_told_to_wait_longer_than_anybody_waits(self):
        """Not asked again before the time: given up at once, with what was told."""
        year_2020 = 1577836800
        for told, says in (({"Retry-After": "3600"}, "3600 s"),
                           ({"Retry-After": "9" * 30}, "2147483647 s"),
                           ({"Retry-After": formatdate(time.time() + 5400, usegmt=True)}, "s: longer"),
                           ({"Retry-After": formatdate(year_2020 + 3600, usegmt=True),
                             "Date": formatdate(year_2020, usegmt=True)}, "3600 s")):
            for status in (429, 503):
                with self.subTest(told=told, status=status):
                    self.fake.requests.clear()
                    self.fake.on("GET", "/devices/d-1", (status, told, {}), self.identity)
                    self.ends(self.muster("device", "show", "d-1", "--target", "sp"), 7,
                              "device d-1", "HTTP %d" % status, "not to be asked again for",
                              says, "60 s")
                    self.assertEqual(len(self.fake.seen("GET", "/devices/d-1")), 1)

    def test_a_time_to_wait_that_is_none(self):
        for told in ("yesterday", "-5", formatdate(1577836800, usegmt=True), ""):
            with self.subTest(told=told):
                self.fake.on("GET", "/devices/d-1", (503, {"Retry-After": told}, {}),
                             self.identity)
                self.json("device", "show", "d-1", "--target", "sp")

    def test_what_may_have_been_done_is_not_done_again(self):
        """Or it would be told of what the first try did: it is not there, it was changed."""
        lost = (None, {}, None)
        self.fake.on("DELETE", "/devices/d-1", lost, (404, {}, {}))
        self.ends(self.muster("device", "delete", "d-1", "--target", "sp"), 7, "d-1")
        self.fake.on("PUT", "/devices/d-1", lost, (412, {}, {}))
        self.ends(self.muster("device", "disable", "d-1", "--target", "sp"), 7, "d-1")
        for path in ("/enrollmentGroups/g", "/registrations/g"):
            self.fake.on("DELETE", path, lost, (404, {}, {}))
        self.ends(self.muster("group", "delete", "g", "--target", "sp"), 7, "group g")
        self.ends(self.muster("registration", "delete", "g", "--target", "sp"), 7,
                  "registration g")
        self.assertEqual(len([r for r in self.fake.requests if r.method == "DELETE"]), 3)
        self.fake.on("POST", "/twins/d-1/methods", (503, {"Retry-After": "1"}, {}),
                     {"status": 200, "payload": None})
        self.ends(self.muster("device", "method", "d-1", "reboot", "--target", "sp"), 7, "reboot")
        self.assertEqual(len(self.fake.seen("POST", "/twins/d-1/methods")), 1)

    def test_a_page_that_follows_itself(self):
        self.fake.on("POST", "/devices/query",
                     (200, {"x-ms-continuation": "t"}, [{"deviceId": "a"}]))
        self.ends(self.muster("device", "list", "--target", "sp"), 9, "the same one")

    def test_a_list_that_nobody_reads_any_more(self):
        """A page is 1000 rows at most, so there are pages without end."""
        token = iter(range(10 ** 9))
        rows = [{"deviceId": "a" * 100} for _ in range(1000)]
        self.fake.rules[("POST", "/devices/query")] = Endless(
            lambda: (200, {"x-ms-continuation": "t%d" % next(token)}, rows))
        run = subprocess.Popen(
            [harness.MUSTER, "device", "list", "--target", "sp", "-o", "json", "--home",
             self.home], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        run.stdout.readline()
        run.stdout.close()
        self.assertEqual(run.stderr.read(), b"")
        run.stderr.close()
        self.assertEqual(run.wait(60), -signal.SIGPIPE)

    def test_a_list_that_finds_no_room(self):
        with open("/dev/full", "wb") as full:
            run = subprocess.run([harness.MUSTER, "device", "show", "d-1", "--target", "sp",
                                  "--home", self.home], stdout=full, stderr=subprocess.PIPE,
                                 text=True, timeout=60, check=False)
        self.assertEqual(run.returncode, 8)
        self.assertIn("standard output", run.stderr)

    def test_an_etag_that_is_empty(self):
        """Of a script whose variable was never set: it would have matched all."""
        for command in (("group", "delete", "g"), ("enrollment", "disable", "g"),
                        ("registration", "delete", "g")):
            self.fake.on("GET", "/enrollments/g", {"registrationId": "g", "etag": "e"})
            self.ends(self.muster(*command, "--target", "sp", "--etag", ""), 2, "empty ETag")
        self.assertFalse([r for r in self.fake.requests if r.method in ("DELETE", "PUT")])

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

    def test_the_planes_have_tokens_of_their_own(self):
        hub = {"id": cli.ARM + "IotHubs/h", "name": "h", "properties": {"hostName": "h.example.net"}}
        dps = {"id": cli.ARM + "provisioningServices/d", "name": "d", "properties": {
            "idScope": "0ne1", "iotHubs": [{"name": "h.example.net", "location": "x",
                                            "connectionString": "HostName=..;****"}]}}
        self.fake.on("GET", cli.ARM + "IotHubs/h", hub)
        self.fake.on("GET", cli.ARM + "provisioningServices/d", dps)
        self.fake.on("GET", "/enrollmentGroups/g", {"enrollmentGroupId": "g"})
        self.assertEqual(self.json("hub", "show", "--target", "sp"), hub)
        self.assertEqual(self.json("group", "show", "g", "--target", "sp")["enrollmentGroupId"], "g")
        self.assertEqual(
            [r.form["scope"] for r in self.fake.seen("POST", "/tenant-1/oauth2/v2.0/token")],
            [self.fake.url + "/.default", "https://azure-devices-provisioning.net/.default"])
        table = self.works(self.muster("dps", "show", "--target", "sp")).stdout
        self.assertRegex(table, r"(?m)^ID scope +0ne1$")
        self.assertRegex(table, r"(?m)^h\.example\.net +x$")
        self.ends(self.muster("hub", "show", "--target", "keys"), 2, "keys")

    def test_no_hub_there(self):
        self.targets(cli.section("dps-only", kind="azure", sign_in="managed-identity",
                             dps="127.0.0.1:1", ca=self.pair[0]))
        self.ends(self.muster("device", "list", "--target", "dps-only"), 2, "set hub")


if __name__ == "__main__":
    harness.main()
