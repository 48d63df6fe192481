"""The resource manager: what az and the management SDKs ask of it, and what it will not take."""
import base64
import os

import harness

S = "/subscriptions/S"
RG = S + "/resourceGroups/RG"
DEVICES = "/providers/Microsoft.Devices"
HUBS, DPSS = RG + DEVICES + "/IotHubs", RG + DEVICES + "/provisioningServices"
HUB, DPS = HUBS + "/east", DPSS + "/127-0-0-1"


class Arm(harness.ServerCase):
    HOME_SET = {"hub": {"name": "127.0.0.1 east.example.net west.example.net"}}

    def test_what_signing_in_reads(self):
        one, = self.good(self.op.get("/subscriptions"))["value"]
        self.assertRegex(one["subscriptionId"], r"^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$")
        self.assertEqual(one["id"], "/subscriptions/" + one["subscriptionId"])
        self.assertEqual((one["state"], one["tenantId"]), ("Enabled", "adfs"))
        self.assertEqual(self.good(self.op.get(S))["subscriptionId"], "S")
        self.assertEqual(self.good(self.op.get(RG))["name"], "RG")
        self.assertEqual(self.op.call("HEAD", S + "/resourcegroups/RG").status, 204)

    def test_lists_by_group_and_by_subscription(self):
        names = [h["name"] for h in self.good(self.op.get(HUBS))["value"]]
        self.assertEqual(names, ["127-0-0-1", "east", "west"])
        hubs = self.good(self.op.get(S + DEVICES + "/IotHubs"))["value"]
        self.assertEqual([h["name"] for h in hubs], names)
        for hub in hubs:  # T3
            self.assertEqual((hub["resourcegroup"], hub["subscriptionid"]), ("muster", "S"))
            self.assertEqual(self.good(self.op.get(hub["id"]))["properties"]["hostName"],
                             hub["properties"]["hostName"])
        for where in (DPSS, S + DEVICES + "/provisioningServices"):
            dps, = self.good(self.op.get(where))["value"]
            self.assertEqual(dps["name"], "127-0-0-1")

    def test_names(self):
        for name in ("east", "EAST", "east.example.net"):
            self.assertEqual(self.good(self.op.get(HUBS + "/" + name))["properties"]["hostName"],
                             "east.example.net")
        self.assertEqual(self.good(self.op.get(HUBS + "/muster"))["name"], "127-0-0-1")
        for path in (HUBS + "/north", DPSS + "/north", DPSS + "/north/certificates"):
            got = self.op.get(path)
            self.assertEqual((got.status, got.json["error"]["code"]), (404, "ResourceNotFound"))
        self.assertEqual(self.op.put(HUBS + "/north", {"location": "local"}).status, 404)
        where = S + DEVICES + "/checkNameAvailability"
        got = self.good(self.op.post(where, {"name": "East"}))
        self.assertEqual((got["nameAvailable"], got["reason"]), (False, "AlreadyExists"))
        self.assertTrue(got["message"])
        self.assertTrue(self.good(self.op.post(where, {"name": "north"}))["nameAvailable"])
        where = S + DEVICES + "/checkProvisioningServiceNameAvailability"
        self.assertFalse(self.good(self.op.post(where, {"name": "127-0-0-1"}))["nameAvailable"])
        self.assertEqual(self.op.post(where, {}).status, 400)

    def test_provider_lists_no_preview_alone(self):
        got = self.good(self.op.get(S + DEVICES))
        self.assertEqual(got["namespace"], "Microsoft.Devices")
        for kind in got["resourceTypes"]:
            self.assertTrue(any("preview" not in v for v in kind["apiVersions"]))

    def test_a_resource_sent_back_as_it_was_read_is_taken(self):
        for path in (HUB, DPS):
            read = self.good(self.op.get(path))
            written = self.good(self.op.put(path, read))
            read["etag"] = written["etag"]
            self.assertEqual(written, read)
            less = {"location": read["location"], "sku": {"name": "S1", "capacity": 1},
                    "properties": {}}  # T13
            self.good(self.op.put(path, less))

    def test_what_would_have_no_effect_is_refused_by_name(self):
        endpoint = {"eventHubs": [{"name": "e", "connectionString": "x"}]}
        for path, body, word in (
                (HUB, {"properties": {"routing": {"endpoints": endpoint}}}, "eventHubs"),
                (HUB, {"properties": {"routing": {"routes": [
                    {"name": "r", "source": "DeviceMessages", "condition": "true",
                     "endpointNames": ["e"], "isEnabled": True}]}}}, "routes"),
                (HUB, {"properties": {"routing": {"fallbackRoute": {"isEnabled": False}}}},
                 "fallbackRoute.isEnabled"),
                (HUB, {"properties": {"publicNetworkAccess": "Disabled"}}, "publicNetworkAccess"),
                (HUB, {"properties": {"ipFilterRules": [{"action": "Reject"}]}}, "ipFilterRules"),
                (HUB, {"properties": {"minTlsVersion": "1.0"}}, "minTlsVersion"),
                (HUB, {"properties": {"networkRuleSets": {"defaultAction": "Deny"}}},
                 "networkRuleSets"),
                (HUB, {"sku": {"name": "S3"}}, "sku.name"),
                (HUB, {"identity": {"type": "SystemAssigned"}}, "identity.type"),
                (HUB, {"location": "elsewhere"}, "location"),
                (DPS, {"properties": {"allocationPolicy": "Static"}}, "allocationPolicy"),
                (DPS, {"properties": {"iotHubs": []}}, "iotHubs"),
                (DPS, {"properties": {"disableLocalAuth": True}}, "disableLocalAuth")):
            before = self.good(self.op.get(path))
            got = self.op.put(path, body)
            self.assertEqual(got.status, 400, (body, got))
            self.assertIn(word, got.json["error"]["message"])
            self.assertEqual(self.good(self.op.get(path)), before)
        empty = {"properties": {"networkRuleSets": None, "comments": "", "privateEndpointConnections":
                                [], "restrictOutboundNetworkAccess": False}}
        self.good(self.op.put(HUB, empty))

    def test_tags(self):
        for path, other in ((HUB, HUBS + "/west"), (DPS, None)):
            got = self.good(self.op.call("PATCH", path, {"tags": {"a": "1", "b": "2"}}))
            self.assertEqual(got["tags"], {"a": "1", "b": "2"})
            self.good(self.op.put(path, {"properties": {}}))
            self.assertEqual(self.good(self.op.get(path))["tags"], {"a": "1", "b": "2"})
            if other:
                self.assertEqual(self.good(self.op.get(other))["tags"], {})
            self.good(self.op.call("PATCH", path, {"tags": {}}))
            self.assertEqual(self.good(self.op.get(path))["tags"], {})
            for bad in ({"a": 1}, {"a": "x" * 257}, {str(i): "" for i in range(16)}, []):
                self.assertEqual(self.op.call("PATCH", path, {"tags": bad}).status, 400)

    def test_t1_if_match(self):
        for path in (HUB, DPS):
            etag = self.good(self.op.get(path))["etag"]
            new = self.good(self.op.put(path, {}, If_Match="{'IF-MATCH': '%s'}" % etag))["etag"]
            self.assertNotEqual(new, etag)
            self.assertEqual(self.op.put(path, {}, If_Match='"%s"' % etag).status, 412)
            self.good(self.op.put(path, {}, If_Match="not one of ours"))
            self.good(self.op.put(path, {}, If_Match="*"))

    def test_readers_change_nothing(self):
        reader = self.signed_in("reader")
        for path in (HUB, DPS):
            self.good(reader.get(path))
            for method, body in (("PUT", {"properties": {}}), ("PATCH", {"tags": {"a": "b"}})):
                self.assertEqual(reader.call(method, path, body).status, 403)
            self.assertEqual(reader.post(path + "/listkeys").status, 403)
        self.assertEqual(self.good(self.op.get(HUB))["tags"], {})

    def test_linked_hubs_and_hosts(self):
        p = self.good(self.op.get(DPS))["properties"]
        self.assertEqual([h["name"] for h in p["iotHubs"]],
                         ["127.0.0.1", "east.example.net", "west.example.net"])
        for hub in p["iotHubs"]:
            self.assertTrue(hub["connectionString"].endswith("SharedAccessKey=****"))
        self.assertEqual((p["idScope"], p["allocationPolicy"]), (harness.SCOPE, "Hashed"))


class Policies(harness.ServerCase):
    def put(self, path, policies):
        return self.op.put(path, {"properties": {"authorizationPolicies": policies}})

    def test_a_set_replaces_the_one_before(self):
        key = base64.b64encode(os.urandom(32)).decode()
        for path, name, rights in ((HUBS + "/muster", "mine", "RegistryRead, ServiceConnect"),
                                   (DPSS + "/muster", "theirs", "ServiceConfig, EnrollmentWrite")):
            before = self.good(self.op.post(path + "/listkeys"))["value"]
            self.good(self.put(path, before + [{"keyName": name, "rights": rights,
                                                "primaryKey": key, "secondaryKey": key}]))
            after = self.good(self.op.post(path + "/listkeys"))["value"]
            self.assertEqual([p for p in after if p["keyName"] != name], before)
            one, = [p for p in after if p["keyName"] == name]
            self.assertEqual((one["primaryKey"], one["rights"]), (key, rights))
            self.good(self.put(path, [{"keyName": name, "rights": rights}]))
            one, = self.good(self.op.post(path + "/listkeys"))["value"]
            self.assertNotEqual(one["primaryKey"], key)
            self.assertEqual(len(base64.b64decode(one["primaryKey"])), 64)
            kind = "keys" if path.startswith(DPSS) else "IotHubKeys"
            self.assertEqual(self.good(self.op.post("%s/%s/%s/listkeys" % (path, kind, name))), one)
            self.assertEqual(self.op.post("%s/%s/none/listkeys" % (path, kind)).status, 404)
            self.good(self.put(path, before))
            self.assertEqual(self.good(self.op.post(path + "/listkeys"))["value"], before)

    def test_a_wrong_set_changes_nothing(self):
        for path, wrong in ((HUBS + "/muster", "EnrollmentRead"), (DPSS + "/muster", "RegistryRead")):
            before = self.good(self.op.post(path + "/listkeys"))
            good = before["value"][0]
            for bad in ([{"keyName": "x", "rights": wrong}], [{"keyName": "x"}],
                        [{"rights": good["rights"]}], [{"keyName": "a b", "rights": good["rights"]}],
                        [{"keyName": "x", "rights": "Manage"}], [{"keyName": "x", "rights": ""}],
                        [good, {**good, "keyName": good["keyName"].upper()}], ["x"],
                        [{**good, "keyName": "x", "primaryKey": "!"}],
                        [{**good, "keyName": "x%d" % i} for i in range(17)]):
                self.assertEqual(self.put(path, bad).status, 400, bad)
            self.assertEqual(self.good(self.op.post(path + "/listkeys")), before)

    def test_a_new_policy_lets_in(self):
        path, key = DPSS + "/muster", os.urandom(32)
        before = self.good(self.op.post(path + "/listkeys"))["value"]
        text = base64.b64encode(key).decode()
        self.good(self.put(path, before + [{"keyName": "reads", "rights": "EnrollmentRead",
                                            "primaryKey": text, "secondaryKey": text}]))
        caller = self.server.anybody(harness.token("127.0.0.1", key, policy="reads"))
        self.good(caller.post("/enrollmentGroups/query", {"query": "*"}))
        self.good(self.put(path, before))
        self.assertEqual(caller.post("/enrollmentGroups/query", {"query": "*"}).status, 401)


if __name__ == "__main__":
    harness.main()
