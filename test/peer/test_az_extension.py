"""The azure-iot extension of azure-cli, unmodified: every command of it that the two migration guides
run, as they write it but for names and paths, and the everyday ones besides. What the guides get
wrong (service.md 5.2) is run as they have it, and gives what it gives on Azure.

MUSTER_AZ_EXTENSION names the directory where the extension is installed (docs/testing.md says how);
without it, without az or without the port 443 that az asks a hub at, the file is skipped.
"""
import base64
import json
import os
import shutil
import socket
import sys
import threading

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(HERE, "..", "flow")]
# pylint: disable=wrong-import-position
import azcli
import harness
import mqtt
import pki

HOST = "127.8.83.31"
NAME = HOST.replace(".", "-")
EXTENSION = os.environ.get("MUSTER_AZ_EXTENSION", "")
RG = ("--resource-group", "RG")
TWIN = {"tags": {"authType": "x509", "migrationWave": "pilot",
                 "migratedDate": "2026-01-01T00:00:00Z"}}


class Extension(azcli.AzCase):
    HOST = HOST
    HOME_SET = {"server": {"https_port": 443, "bind": HOST, "name": HOST}, "hub": {"name": HOST}}
    MORE = {"AZURE_EXTENSION_DIR": EXTENSION}

    def hub_az(self, *args, **more):
        return self.az("iot", "hub", *args, "--hub-name", NAME, **more)

    def hub_json(self, *args):
        return json.loads(self.hub_az(*args, "-o", "json") or "null")

    def hub_at_host(self, device, token):
        return self.hub(device, password=token, user=mqtt.hub_user(device, HOST))

    def dps_json(self, *args):
        return json.loads(self.az("iot", "dps", *args, "--dps-name", NAME, *RG, "-o", "json") or
                          "null")


class Guides(Extension):
    """The guides' own commands, in their order."""

    def test_groups_and_registrations(self):
        """Rows 9 to 12."""
        ca, name = self.device_ca.cert, "csa-fleet-x509"
        made = self.dps_json(
            "enrollment-group", "create", "--enrollment-id", name, "--certificate-path", ca,
            "--provisioning-status", "enabled", "--allocation-policy", "hashed", "--iot-hubs", HOST,
            "--initial-twin-properties", json.dumps(TWIN))
        self.assertEqual((made["enrollmentGroupId"], made["provisioningStatus"]),
                         (name, "enabled"))
        # what the guide means for tags are desired properties (5.2, row 1)
        self.assertEqual(made["initialTwin"]["properties"]["desired"]["tags"], TWIN["tags"])
        shown = self.az(
            "iot", "dps", "enrollment-group", "show", "--dps-name", NAME, "-g", "RG",
            "--enrollment-id", name, "--query",
            "{id:enrollmentGroupId, status:provisioningStatus, attestation:attestation.type}",
            "-o", "table")
        self.assertIn("enabled", shown)
        self.assertIn("x509", shown)
        leaf = self.leaf("pilot-01")
        self.assertEqual(mqtt.dps_register(self.dps("pilot-01", cert=leaf)).json["status"],
                         "assigned")
        listed = self.az(
            "iot", "dps", "enrollment-group", "registration", "list", "--dps-name", NAME, *RG,
            "--enrollment-id", name, "--query",
            "[].{deviceId:deviceId, status:status, lastUpdated:lastUpdatedDateTimeUtc}", "-o",
            "table")
        self.assertRegex(listed, r"pilot-01 +assigned +20\d\d-")
        refused = self.az("iot", "dps", "enrollment-group", "delete", "--enrollment-id", name,
                          status=1)
        self.assertIn("--dps-name", refused)  # 5.2, row 15
        self.dps_json("enrollment-group", "delete", "--enrollment-id", name)
        gone = self.az("iot", "dps", "enrollment-group", "show", "--dps-name", NAME, *RG,
                       "--enrollment-id", name, status=3)
        self.assertIn("Not found", gone)

    def test_identities(self):
        """Rows 13 to 15."""
        self.sas_device("g-sas")
        self.ca_device("device-compromised")
        names = self.hub_az("device-identity", "list", "--query", "[].deviceId", "-o", "tsv")
        self.assertGreaterEqual(set(names.split()), {"g-sas", "device-compromised"})
        table = self.hub_az("device-identity", "list", "--query",
                            "[?authentication.type=='certificateAuthority']"
                            ".{deviceId:deviceId, status:status}", "-o", "table")
        self.assertEqual(table, "")  # 5.2, row 2: a twin has no authentication
        kinds = self.hub_json("device-identity", "list", "--query",
                              "[].{deviceId:deviceId, authType:authenticationType}")
        self.assertIn({"deviceId": "device-compromised", "authType": "certificateAuthority"}, kinds)
        shown = self.hub_az(
            "device-identity", "show", "--device-id", "device-compromised", "--query",
            "{deviceId:deviceId, authType:authentication.type, status:status}", "-o", "table")
        self.assertRegex(shown, r"device-compromised +certificateAuthority +enabled")
        self.assertIn("DeviceNotFound", self.hub_az("device-identity", "show", "--device-id", "no",
                                                    status=3))
        before = self.good(self.op.get("/devices/device-compromised"))
        got = self.hub_json("device-identity", "update", "--device-id", "device-compromised",
                            "--set", "status=disabled")
        self.assertEqual(got["status"], "disabled")
        after = self.good(self.op.get("/devices/device-compromised"))
        for field in ("authentication", "generationId", "capabilities"):
            self.assertEqual(after[field], before[field])
        key = self.good(self.op.get("/devices/g-sas"))["authentication"]
        self.hub_az("device-identity", "update", "--device-id", "g-sas", "--set", "status=disabled")
        self.assertEqual(self.good(self.op.get("/devices/g-sas"))["authentication"], key)

    def test_z_tokens(self):
        """Row 19, and what is left of it when the policies are gone: last, by its name."""
        token = self.hub_json("generate-sas-token")["sas"]
        self.good(self.server.anybody(token).get("/devices"))
        hub = ("--resource-group", "RG", "--name", NAME)
        self.az("iot", "hub", "update", *hub, "--set", "properties.disableLocalAuth=true")
        self.assertEqual(self.server.anybody(token).get("/devices").status, 401)
        self.hub_json("generate-sas-token")  # made on the spot: no hub is asked (5.2, row 13)
        login = ("--auth-type", "login")
        self.assertIsInstance(self.hub_json("device-identity", "list", *login), list)
        self.hub_az("device-identity", "list", status=1)
        self.az("iot", "hub", "update", *hub, "--set", "properties.authorizationPolicies=[]")
        self.assertIn("not", self.hub_az("generate-sas-token", status=3))
        self.az("iot", "hub", "update", "--name", NAME, "--set",
                "properties.disableLocalAuth=false")


class Everyday(Extension):
    def test_identities(self):
        made = self.hub_json("device-identity", "create", "--device-id", "e-sas")
        key = made["authentication"]["symmetricKey"]["primaryKey"]
        self.assertEqual(len(base64.b64decode(key)) in (32, 64), True)
        thumb = "ab" * 20
        got = self.hub_json("device-identity", "create", "--device-id", "e-thumb", "--am",
                            "x509_thumbprint", "--ptp", thumb)
        self.assertEqual(got["authentication"]["x509Thumbprint"]["primaryThumbprint"], thumb)
        got = self.hub_json("device-identity", "create", "--device-id", "e-ca", "--am", "x509_ca",
                            "--edge-enabled")
        self.assertEqual(got["capabilities"], {"iotEdge": True})
        edges = self.hub_json("device-identity", "list", "--edge-enabled")
        self.assertEqual([d["deviceId"] for d in edges], ["e-ca"])
        got = self.hub_json("device-identity", "update", "--device-id", "e-sas", "--am", "x509_ca")
        self.assertEqual(got["authentication"]["type"], "certificateAuthority")
        self.assertIsNone(got["authentication"]["symmetricKey"]["primaryKey"])
        self.hub_az("device-identity", "create", "--device-id", "e-sas", status=1)
        self.hub_json("device-identity", "create", "--device-id", "e-key")
        before = self.good(self.op.get("/devices/e-key"))["authentication"]["symmetricKey"]
        self.hub_json("device-identity", "renew-key", "--device-id", "e-key", "--kt", "swap")
        after = self.good(self.op.get("/devices/e-key"))["authentication"]["symmetricKey"]
        self.assertEqual((after["primaryKey"], after["secondaryKey"]),
                         (before["secondaryKey"], before["primaryKey"]))
        text = self.hub_json("device-identity", "connection-string", "show", "--device-id",
                             "e-key")["connectionString"]
        self.assertEqual(text, "HostName=%s;DeviceId=e-key;SharedAccessKey=%s" % (
            HOST, after["primaryKey"]))
        token = self.hub_json("generate-sas-token", "--device-id", "e-key")["sas"]
        self.hub_at_host("e-key", token).ping()
        self.hub_az("device-identity", "delete", "--device-id", "e-key")
        self.assertEqual(self.op.get("/devices/e-key").status, 404)

    def test_twins_modules_and_queries(self):
        self.sas_device("t-1")
        which = ("--device-id", "t-1")
        twin = self.hub_json("device-twin", "update", *which, "--tags", '{"site": "Ulm"}',
                             "--desired", '{"rate": 5}')
        self.assertEqual((twin["tags"], twin["properties"]["desired"]["rate"]),
                         ({"site": "Ulm"}, 5))
        self.assertEqual(self.hub_json("device-twin", "show", *which)["tags"], {"site": "Ulm"})
        replaced = {**twin, "tags": {"site": "Bern"}}
        got = self.hub_json("device-twin", "replace", *which, "--json", json.dumps(replaced))
        self.assertEqual(got["tags"], {"site": "Bern"})
        rows = self.hub_json("query", "--query-command",
                             "select deviceId from devices where tags.site = 'Bern'")
        self.assertEqual(rows, [{"deviceId": "t-1"}])
        self.assertIn("ErrorCode", self.hub_az("query", "--query-command", "drop table", status=1))
        module = (*which, "--module-id", "m")
        self.hub_json("module-identity", "create", *module)
        self.assertEqual([m["moduleId"] for m in self.hub_json("module-identity", "list", *which)],
                         ["m"])
        got = self.hub_json("module-twin", "update", *module, "--tags", '{"a": 1}')
        self.assertEqual(got["tags"], {"a": 1})
        self.hub_az("module-identity", "delete", *module)
        self.assertEqual(self.hub_json("module-identity", "list", *which), [])

    def test_methods(self):
        client = self.hub_at_host("m-1", harness.token(HOST + "/devices/m-1", self.sas_device("m-1")))
        client.subscribe("$iothub/methods/POST/#", qos=0)

        def answer():
            topic, body = client.message(60)
            client.publish("$iothub/methods/res/207/?$rid=" + topic.rpartition("=")[2],
                           json.dumps({"heard": json.loads(body)}), qos=0)
        player = threading.Thread(target=answer, daemon=True)
        player.start()
        got = self.hub_json("invoke-device-method", "--device-id", "m-1", "--method-name", "reboot",
                            "--method-payload", '{"delay": 5}')
        self.assertEqual(got, {"status": 207, "payload": {"heard": {"delay": 5}}})
        player.join(20)
        client.close()
        self.sas_device("m-off")
        said = self.hub_az("invoke-device-method", "--device-id", "m-off", "--method-name", "x",
                           "--timeout", "10", status=3)
        self.assertIn("404103", said)

    def test_commands_over_https(self):
        self.sas_device("c-1")
        which = ("--device-id", "c-1")
        self.assertEqual(self.op.post("/messages/devicebound", b"hello",
                                      iothub_to="/devices/c-1/messages/devicebound").status, 204)
        received = self.az_json("iot", "device", "c2d-message", "receive", "--hub-name", NAME,
                                *which)
        self.assertEqual(received["data"], "hello")
        self.az("iot", "device", "c2d-message", "complete", "--hub-name", NAME, *which, "--etag",
                received["etag"])
        purged = self.az_json("iot", "device", "c2d-message", "purge", "--hub-name", NAME, *which)
        self.assertEqual(purged["totalMessagesPurged"], 0)

    def test_enrollments(self):
        made = self.dps_json("enrollment", "create", "--enrollment-id", "i-key",
                             "--attestation-type", "symmetrickey", "--device-id", "other")
        self.assertEqual((made["registrationId"], made["deviceId"]), ("i-key", "other"))
        cert = pki.self_signed(self.path("i-x509"), "i-x509")[0]
        self.dps_json("enrollment", "create", "--enrollment-id", "i-x509", "--attestation-type",
                      "x509", "--certificate-path", cert)
        names = [e["registrationId"] for e in self.dps_json("enrollment", "list")]
        self.assertEqual(sorted(names), ["i-key", "i-x509"])
        shown = self.dps_json("enrollment", "show", "--enrollment-id", "i-key", "--show-keys")
        key = shown["attestation"]["symmetricKey"]["primaryKey"]
        got = self.dps_json("enrollment", "update", "--enrollment-id", "i-key",
                            "--provisioning-status", "disabled")
        self.assertEqual(got["provisioningStatus"], "disabled")
        kept = self.good(self.op.post("/enrollments/i-key/attestationmechanism"))
        self.assertEqual(kept["symmetricKey"]["primaryKey"], key)
        got = self.dps_json("enrollment", "update", "--enrollment-id", "i-x509", "--device-id", "x")
        self.assertEqual(got["deviceId"], "x")
        for name in names:
            self.dps_json("enrollment", "delete", "--enrollment-id", name)
        self.assertEqual(self.dps_json("enrollment", "list"), [])

    def test_groups(self):
        self.dps_json("enrollment-group", "create", "--enrollment-id", "e-key")
        shown = self.dps_json("enrollment-group", "show", "--enrollment-id", "e-key", "--show-keys")
        key = base64.b64decode(shown["attestation"]["symmetricKey"]["primaryKey"])
        derived = self.dps_json("enrollment-group", "compute-device-key", "--enrollment-id",
                                "e-key", "--registration-id", "k-1")
        self.assertEqual(base64.b64decode(derived), harness.derive(key, "k-1"))
        mqtt.dps_register(self.dps("k-1", base64.b64decode(derived)))
        state = self.dps_json("enrollment-group", "registration", "show", "--registration-id", "k-1")
        self.assertEqual((state["status"], state["deviceId"]), ("assigned", "k-1"))
        self.dps_json("enrollment-group", "registration", "delete", "--registration-id", "k-1")
        self.assertEqual(self.dps_json("enrollment-group", "registration", "list",
                                       "--enrollment-id", "e-key"), [])
        got = self.dps_json("enrollment-group", "update", "--enrollment-id", "e-key",
                            "--provisioning-status", "disabled")
        self.assertEqual(got["provisioningStatus"], "disabled")
        names = [g["enrollmentGroupId"] for g in self.dps_json("enrollment-group", "list")]
        self.assertEqual(names, ["e-key"])
        text = self.dps_json("connection-string", "show")["connectionString"]
        self.assertTrue(text.startswith("HostName=%s;SharedAccessKeyName=" % HOST), text)


def need_port():
    with socket.socket() as probe:
        try:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((HOST, 443))
        except OSError as e:
            harness.need(False, "%s:443: %s" % (HOST, e))


if __name__ == "__main__":
    harness.need(shutil.which("az"), "there is no az")
    harness.need(os.path.isdir(os.path.join(EXTENSION, "azure-iot")) if EXTENSION else False,
                 "MUSTER_AZ_EXTENSION names no directory with the azure-iot extension")
    need_port()
    harness.main()
