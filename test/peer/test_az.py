"""Debian's azure-cli, unmodified: signs in with a service principal and runs the core commands of
the two migration guides. Without az the file is skipped; the package is too large to be asked for.
"""
import json
import os
import shutil
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(HERE, "..", "flow")]
# pylint: disable=wrong-import-position
import azcli
import harness
import pki


class Az(azcli.AzCase):
    def test_signed_in(self):
        self.assertEqual(self.account["state"], "Enabled")
        self.assertEqual(self.account["user"]["type"], "servicePrincipal")

    def test_the_tutorial_finds_hub_and_provisioning_service(self):
        hub = self.az("iot", "hub", "list", "-g", "RG", "--query", "[0].name", "-o", "tsv")
        self.assertEqual(hub, "127-0-0-1")
        show = ("iot", "hub", "show", "-g", "RG", "-n", hub, "--query")
        self.assertTrue(self.az(*show, "id", "-o", "tsv").endswith("/IotHubs/" + hub))
        self.assertEqual(self.az(*show, "properties.hostName", "-o", "tsv"), "127.0.0.1")
        dps = self.az("iot", "dps", "list", "-g", "RG", "--query", "[0].name", "-o", "tsv")
        self.assertEqual(self.az("iot", "dps", "show", "-g", "RG", "-n", dps, "--query",
                                 "properties.idScope", "-o", "tsv"), harness.SCOPE)
        self.assertIn("north", self.az("iot", "hub", "show", "-n", "north", status=1) +
                      self.az("iot", "dps", "show", "-g", "RG", "-n", "north", status=3))

    def test_the_guide_proves_possession_of_a_ca(self):
        ca = pki.make_ca(self.path("proven"), "Az Proven CA")
        cert = ("iot", "dps", "certificate")
        where = ("--dps-name", "127-0-0-1", "-g", "RG", "--certificate-name", "proven")
        shutil.copy(ca.cert, self.path("proven.pem"))
        self.az(*cert, "create", *where, "--path", self.path("proven.pem"))
        etag = self.az(*cert, "show", *where, "--query", "etag", "-o", "tsv")
        coded = json.loads(self.az(*cert, "generate-verification-code", *where, "--etag", etag,
                                   "-o", "json"))
        code = coded["properties"]["verificationCode"]
        pki.openssl("req", "-new", "-newkey", "rsa:2048", "-nodes", "-keyout", self.path("v.key"),
                    "-subj", "/CN=" + code, "-out", self.path("v.csr"))
        pki.openssl("x509", "-req", "-in", self.path("v.csr"), "-CA", ca.cert, "-CAkey", ca.key,
                    "-set_serial", "9", "-days", "1", "-sha256", "-out", self.path("v.pem"))
        done = json.loads(self.az(*cert, "verify", *where, "--etag", coded["etag"], "--path",
                                  self.path("v.pem"), "-o", "json"))
        self.assertTrue(done["properties"]["isVerified"])

    def test_a_ca_of_the_hub(self):
        ca = pki.make_ca(self.path("hub-ca"), "Az Hub CA")
        cert = ("iot", "hub", "certificate")
        hub = ("--hub-name", "127-0-0-1", "-g", "RG")
        where = (*hub, "--name", "hub-ca")
        shutil.copy(ca.cert, self.path("hub-ca.pem"))
        made = json.loads(self.az(*cert, "create", *where, "--path", self.path("hub-ca.pem"),
                                  "-o", "json"))
        self.assertFalse(made["properties"]["isVerified"])
        coded = json.loads(self.az(*cert, "generate-verification-code", *where, "--etag",
                                   made["etag"], "-o", "json"))
        proof, _ = self.leaf(coded["properties"]["verificationCode"], [], issuer=ca)
        done = json.loads(self.az(*cert, "verify", *where, "--etag", coded["etag"], "--path",
                                  proof, "-o", "json"))
        self.assertTrue(done["properties"]["isVerified"])
        listed = json.loads(self.az(*cert, "list", *hub, "-o", "json"))
        self.assertEqual([c["name"] for c in listed["value"]], ["hub-ca"])
        self.az(*cert, "delete", *where, "--etag", done["etag"])
        self.assertEqual(self.good(self.op.get(done["id"].rpartition("/")[0]))["value"], [])

    def test_linked_hubs_routes_and_consumer_groups(self):
        dps = ("--dps-name", "127-0-0-1", "-g", "RG")
        hub = ("--hub-name", "127-0-0-1", "-g", "RG")
        link = ("iot", "dps", "linked-hub")
        self.az(*link, "delete", *dps, "--linked-hub", "127.0.0.1")
        self.assertEqual(json.loads(self.az(*link, "list", *dps, "-o", "json")), [])
        self.az(*link, "create", *dps, "--hub-name", "127-0-0-1", "--allocation-weight", "5")
        one = json.loads(self.az(*link, "show", *dps, "--linked-hub", "127.0.0.1", "-o", "json"))
        self.assertEqual((one["name"], one["allocationWeight"]), ("127.0.0.1", 5))
        self.az("iot", "hub", "route", "create", *hub, "--route-name", "all", "--source-type",
                "devicemessages", "--endpoint-name", "events")
        routes = json.loads(self.az("iot", "hub", "route", "list", *hub, "-o", "json"))
        self.assertEqual([(r["name"], r["endpointNames"]) for r in routes], [("all", ["events"])])
        self.az("iot", "hub", "consumer-group", "create", *hub, "-n", "mine")
        groups = json.loads(self.az("iot", "hub", "consumer-group", "list", *hub, "-o", "json"))
        self.assertEqual([g["name"] for g in groups], ["$Default", "mine"])

    def test_the_tutorial_uploads_a_verified_ca(self):
        ca = pki.make_ca(self.path("verified"), "Az Verified CA")
        shutil.copy(ca.cert, self.path("verified.pem"))
        made = json.loads(self.az(
            "iot", "dps", "certificate", "create", "--dps-name", "127-0-0-1", "--resource-group",
            "RG", "--certificate-name", "verified", "--path", self.path("verified.pem"), "--verified", "true",
            "-o", "json"))
        self.assertTrue(made["properties"]["isVerified"])

    def test_z_the_tutorial_seals_the_hub(self):
        hub = ("--resource-group", "RG", "--name", "127-0-0-1")
        keys = self.server.policy_keys()
        caller = self.server.anybody(harness.token("127.0.0.1", keys["iothubowner"],
                                                   policy="iothubowner"))
        self.good(caller.get("/devices"))
        self.az("iot", "hub", "update", *hub, "--set", "properties.disableLocalAuth=true")
        self.assertEqual(caller.get("/devices").status, 401)
        show = ("iot", "hub", "show", "-g", "RG", "-n", "127-0-0-1", "--query")
        self.assertEqual(self.az(*show, "properties.disableLocalAuth", "-o", "tsv"), "true")
        self.assertEqual(len(self.server.policy_keys()), 5, "an update leaves the keys alone")
        self.az("iot", "hub", "policy", "create", "--hub-name", "127-0-0-1", "-g", "RG", "-n",
                "mine", "--permissions", "RegistryRead", "ServiceConnect")
        self.assertEqual(set(self.server.policy_keys()), {*keys, "mine"})
        self.az("iot", "hub", "update", *hub, "--set", "properties.authorizationPolicies=[]")
        self.assertEqual(self.server.policy_keys(), {})
        self.assertEqual(self.az(*show, "properties.authorizationPolicies", "-o", "tsv"), "")
        resource = self.az(*show, "id", "-o", "tsv")
        self.az("resource", "update", "--ids", resource, "--set",
                "properties.disableDeviceSAS=true", "properties.disableModuleSAS=true")
        got = self.good(self.op.get(resource))["properties"]
        self.assertEqual([got[k] for k in ("disableLocalAuth", "disableDeviceSAS",
                                           "disableModuleSAS")], [True] * 3)


if __name__ == "__main__":
    harness.need(shutil.which("az"), "there is no az")
    harness.main()
