"""The resource manager: what az and the management SDKs ask of it, and what it will not take."""
import base64
import json
import os

import harness
import mqtt
import pki

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
        for bad in ("no", "a b c", "north-", "n" * 51, ""):
            got = self.good(self.op.post(where, {"name": bad}))
            self.assertEqual((got["nameAvailable"], got["reason"]), (False, "Invalid"), bad)
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
        for path, body, word in (
                (HUB, {"properties": {"publicNetworkAccess": "Disabled"}}, "publicNetworkAccess"),
                (HUB, {"properties": {"ipFilterRules": [{"action": "Reject"}]}}, "ipFilterRules"),
                (HUB, {"properties": {"minTlsVersion": "1.0"}}, "minTlsVersion"),
                (HUB, {"properties": {"networkRuleSets": {"defaultAction": "Deny"}}},
                 "networkRuleSets"),
                (HUB, {"sku": {"name": "S3"}}, "sku.name"),
                (HUB, {"identity": {"type": "SystemAssigned"}}, "identity.type"),
                (HUB, {"location": "elsewhere"}, "location"),
                (DPS, {"properties": {"allocationPolicy": "Nearest"}}, "allocationPolicy"),
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


class Links(harness.ServerCase):
    """What the service is linked to, changed by a PUT of it, decides who is assigned where."""

    HOME_SET = Arm.HOME_SET

    def properties(self):
        return self.good(self.op.get(DPS))["properties"]

    def link(self, hub, policy="iothubowner", key=None, **more):
        key = self.server.policy_keys()[policy] if key is None else key
        return {"connectionString": "HostName=%s;SharedAccessKeyName=%s;SharedAccessKey=%s" % (
            hub, policy, base64.b64encode(key).decode()), "location": "westus", **more}

    def put(self, hubs, **more):
        return self.op.put(DPS, {"properties": {"iotHubs": hubs, **more}})

    def assigned(self, device, key):
        got = mqtt.dps_register(self.dps(device, harness.derive(key, device)))
        return got.json["registrationState"].get("assignedHub")

    def test_links_decide_who_is_assigned_where(self):
        key = self.sas_group("linked")
        east, west = self.link("east.example.net"), self.link("west.example.net")
        first = self.properties()["iotHubs"]
        self.good(self.put([{**h, "applyAllocationPolicy": h["name"] == "east.example.net"}
                            for h in first], allocationPolicy="static"))
        p = self.properties()
        self.assertEqual([h["applyAllocationPolicy"] for h in p["iotHubs"]],
                         [False, True, False])
        self.assertEqual(p["allocationPolicy"], "Static")
        self.assertEqual(self.assigned("l-1", key), "east.example.net")
        got = self.good(self.op.get("/enrollmentGroups/linked"))
        self.assertEqual(got["allocationPolicy"], "hashed", "it was made before")
        key2 = self.sas_group("later")
        self.assertEqual(self.good(self.op.get("/enrollmentGroups/later"))["allocationPolicy"],
                         "static")
        self.good(self.put([{**west, "allocationWeight": 7}]))
        hub, = self.properties()["iotHubs"]
        self.assertEqual((hub["name"], hub["location"], hub["allocationWeight"],
                          hub["applyAllocationPolicy"]), ("west.example.net", "westus", 7, True))
        self.assertNotIn(base64.b64encode(self.server.policy_keys()["iothubowner"]).decode(),
                         self.op.get(DPS).text)
        self.assertEqual(self.assigned("l-2", key2), "west.example.net")
        self.assertEqual(self.op.put("/enrollmentGroups/elsewhere", {
            "attestation": {"type": "symmetricKey"}, "iotHubs": ["east.example.net"]}).status, 400)
        self.good(self.op.put(DPS, {"properties": {}}))
        self.assertEqual(self.properties()["iotHubs"], [hub])
        before = self.properties()
        for bad in ([{"name": "east.example.net"}], [west, west], [self.link("north.example.net")],
                    [self.link("east.example.net", key=os.urandom(32))],
                    [{**east, "authenticationType": "SystemAssigned"}],
                    [{**east, "allocationWeight": 0}], [{**east, "allocationWeight": 1001}],
                    [{**east, "connectionString": "HostName=east.example.net"}], ["east"], [{}]):
            got = self.put(bad)
            self.assertEqual(got.status, 400, (bad, got))
            self.assertEqual(self.properties(), before)
        self.good(self.put([]))
        got = mqtt.dps_register(self.dps("l-3", harness.derive(key, "l-3")))
        self.assertEqual(got.json["registrationState"]["status"], "failed", got.json)
        self.good(self.put([east, west], allocationPolicy="Hashed"))
        self.assertEqual(self.server.stop(), 0)
        type(self).op = self.server.start().operator()
        self.assertEqual([h["name"] for h in self.properties()["iotHubs"]],
                         ["east.example.net", "west.example.net"])


class HubCertificates(harness.ServerCase):
    """A CA of a hub's lets in what it signed, on that hub and nowhere else."""

    HOME_SET = Arm.HOME_SET
    EAST, WEST = HUBS + "/east/certificates/", HUBS + "/west/certificates/"

    def upload(self, where, ca, **more):
        with open(ca.cert, "rb") as f:
            text = base64.b64encode(f.read()).decode()
        return self.op.put(where, {"properties": {"certificate": text, **more}})

    def device(self, name, hub):
        self.good(self.op.put("/devices/" + name, {
            "deviceId": name, "authentication": {"type": "certificateAuthority"}}, Host=hub))

    def at(self, hub, name, cert):
        client = self.server.mqtt(*cert)
        self.addCleanup(client.close)
        client.connect(name, mqtt.hub_user(name, hub))
        return client

    def comes(self, hub, name, cert):
        def look():
            try:
                return self.at(hub, name, cert)
            except mqtt.Refused:
                return None
        return self.eventually(look, what="the edges to know the CA")

    def proof(self, ca, code):
        cert, _ = self.leaf(code, [], issuer=ca)
        with open(cert, "rb") as f:
            return {"certificate": base64.b64encode(f.read()).decode()}

    def test_a_proven_ca_counts_on_its_hub_alone(self):
        ca = pki.make_ca(self.path("hub-ca"), "East CA")
        self.device("e-1", "east.example.net")
        self.device("w-1", "west.example.net")
        mine, theirs = (self.leaf(n, [ca.der], issuer=ca) for n in ("e-1", "w-1"))
        where = self.EAST + "Proven.1"
        made = self.good(self.upload(where, ca, isVerified=False))
        p = made["properties"]
        self.assertEqual((made["name"], made["type"], p["subject"], p["isVerified"]),
                         ("Proven.1", "Microsoft.Devices/IotHubs/Certificates", "CN=East CA", False))
        self.assertTrue(made["id"].endswith("/IotHubs/east/certificates/Proven.1"))
        self.assertEqual(base64.b64decode(p["certificate"]), ca.der)
        self.refused(lambda: self.at("east.example.net", "e-1", mine))
        self.reason("e-1", "unknown issuer")
        self.assertEqual(self.op.post(where + "/generateVerificationCode").status, 400)
        self.assertEqual(self.op.post(where + "/generateVerificationCode",
                                      If_Match="AAAA").status, 412)
        coded = self.good(self.op.post(where + "/generateVerificationCode",
                                       If_Match=made["etag"]))
        code = coded["properties"]["verificationCode"]
        self.assertRegex(code, "^[0-9A-F]{48}$")
        self.assertEqual(self.op.post(where + "/verify", self.proof(ca, "x"),
                                      If_Match=coded["etag"]).status, 400)
        done = self.good(self.op.post(where + "/verify", self.proof(ca, code),
                                      If_Match=coded["etag"]))
        self.assertTrue(done["properties"]["isVerified"])
        client = self.comes("east.example.net", "e-1", mine)
        self.refused(lambda: self.at("west.example.net", "w-1", theirs))
        self.reason("w-1", "no CA of the chain", "west.example.net")
        got = self.server.anybody(cert=theirs[0], key=theirs[1]).post("/muster/checkin", {})
        self.assertEqual(got.status, 401, got)
        self.assertEqual(mqtt.dps_register(self.dps("e-1", cert=mine)).status, 401)
        self.reason("e-1", "no enrollment group", plane="dps")
        self.assertEqual(self.op.get(self.WEST + "Proven.1").status, 404)
        self.assertEqual(self.op.delete(where, If_Match=made["etag"]).status, 412)
        self.assertEqual(self.op.delete(where, If_Match=done["etag"]).status, 204)
        self.assertTrue(client.closes(20))
        self.refused(lambda: self.at("east.example.net", "e-1", mine))

    def test_each_hub_and_the_service_have_their_own(self):
        ca = pki.make_ca(self.path("shared-ca"), "Shared CA")
        service = DPSS + "/muster/certificates/"
        for where in (self.EAST, self.WEST, service):
            self.assertTrue(self.good(self.upload(where + "shared", ca, isVerified=True))
                            ["properties"]["isVerified"])
            self.assertEqual(self.upload(where + "again", ca).status, 409)
        self.device("s-1", "west.example.net")
        leaf = self.leaf("s-1", [ca.der], issuer=ca)
        client = self.comes("west.example.net", "s-1", leaf)
        self.assertEqual(self.op.delete(self.EAST + "shared", If_Match="*").status, 204)
        self.assertEqual([r["name"] for r in self.good(self.op.get(self.EAST[:-1]))["value"]], [])
        self.assertEqual([r["name"] for r in self.good(self.op.get(self.WEST[:-1]))["value"]],
                         ["shared"])
        client.ping()
        other = pki.make_ca(self.path("other-ca"), "Other CA")
        again = self.good(self.upload(self.WEST + "shared", other))
        self.assertFalse(again["properties"]["isVerified"], "another certificate")
        self.assertTrue(client.closes(20))
        for where in (HUBS + "/north/certificates", HUBS + "/east/certificates/none"):
            self.assertEqual(self.op.get(where).status, 404)


class Routing(harness.ServerCase):
    HOME_SET = Arm.HOME_SET

    def put(self, hub=HUB, **routing):
        return self.op.put(hub, {"properties": {"routing": routing}})

    def send(self, hub, device, key, text):
        """Publishes, and waits until the hub has it."""
        with self.server.mqtt() as client:
            client.connect(device, mqtt.hub_user(device, hub),
                           harness.token("%s/devices/%s" % (hub, device), key))
            client.publish("devices/%s/messages/events/" % device, json.dumps(text).encode())

    def device(self, name, hub):
        got = self.good(self.op.put("/devices/" + name, {"deviceId": name}, Host=hub))
        return base64.b64decode(got["authentication"]["symmetricKey"]["primaryKey"])

    def test_routes_decide_what_becomes_an_event(self):
        east, west = "east.example.net", "west.example.net"
        keys = {east: self.device("r-e", east), west: self.device("r-w", west)}
        route = {"name": "All.1", "source": "DeviceMessages", "condition": "true",
                 "endpointNames": ["events"], "isEnabled": True}
        self.send(east, "r-e", keys[east], "fallback")
        self.good(self.put(fallbackRoute={"isEnabled": False}))
        self.send(east, "r-e", keys[east], "nowhere")
        self.send(west, "r-w", keys[west], "another hub")
        self.good(self.put(routes=[{**route, "isEnabled": False}]))
        self.send(east, "r-e", keys[east], "off")
        self.good(self.put(routes=[{**route, "condition": "false"}]))
        self.send(east, "r-e", keys[east], "false")
        got = self.good(self.put(routes=[route]))["properties"]["routing"]
        self.assertEqual(got["routes"], [route])
        self.assertFalse(got["fallbackRoute"]["isEnabled"])
        self.send(east, "r-e", keys[east], "routed")
        self.good(self.op.put(HUB, {"properties": {}}))
        self.assertEqual(self.good(self.op.get(HUB))["properties"]["routing"], got)
        self.server.kill_role("core")
        self.eventually(lambda: self.op.get(HUB).status == 200, what="the core to be back")
        self.good(self.put(routes=[]))
        self.send(east, "r-e", keys[east], "nowhere again")
        self.good(self.put(fallbackRoute={**got["fallbackRoute"], "isEnabled": True}))
        self.send(east, "r-e", keys[east], "back")
        self.assertEqual([e["body"] for e in self.op.events() if e["deviceId"].startswith("r-")],
                         ["fallback", "another hub", "routed", "back"])

    def test_what_cannot_be_delivered_is_refused(self):
        route = {"name": "r", "source": "DeviceMessages", "condition": "true",
                 "endpointNames": ["events"], "isEnabled": True}
        hub = HUBS + "/west"
        before = self.good(self.op.get(hub))
        for body, word in (
                ({"endpoints": {"eventHubs": [{"name": "e", "connectionString": "x"}]}},
                 "eventHubs"),
                ({"endpoints": {"storageContainers": [
                    {"name": "s", "authenticationType": "identityBased",
                     "endpointUri": "https://a", "containerName": "c"}]}}, "storageContainers"),
                ({"routes": [{**route, "endpointNames": ["e"]}]}, "endpointNames"),
                ({"routes": [{**route, "endpointNames": ["events", "e"]}]}, "endpointNames"),
                ({"routes": [{**route, "endpointNames": []}]}, "endpointNames"),
                ({"routes": [{**route, "source": "TwinChangeEvents"}]}, "TwinChangeEvents"),
                ({"routes": [{**route, "condition": "level = 'x'"}]}, "condition"),
                ({"routes": [{**route, "name": "a b"}]}, "name"),
                ({"routes": [route, {**route, "name": "R"}]}, "twice"),
                ({"routes": [{**route, "isEnabled": "yes"}]}, "isEnabled"),
                ({"routes": ["r"]}, "routes[0]"),
                ({"routes": [{**route, "name": "r%d" % i} for i in range(101)]}, "100"),
                ({"fallbackRoute": {"condition": "false"}}, "fallbackRoute"),
                ({"fallbackRoute": {"source": "DeviceMessages", "endpointNames": ["e"]}},
                 "fallbackRoute"),
                ({"enrichments": [{"key": "k"}]}, "enrichments")):
            got = self.put(hub, **body)
            self.assertEqual(got.status, 400, (body, got))
            self.assertIn(word, got.json["error"]["message"])
        self.assertEqual(self.good(self.op.get(hub)), before)

    def test_what_routes_would_do(self):
        hub = HUBS + "/west"
        route = {"name": "r", "source": "DeviceMessages", "condition": "true",
                 "endpointNames": ["events"], "isEnabled": True}
        one, every = hub + "/routing/routes/$testnew", hub + "/routing/routes/$testall"
        for condition, result in (("true", "true"), ("false", "false")):
            got = self.good(self.op.post(one, {"route": {**route, "condition": condition},
                                               "message": {"body": "x"}}))
            self.assertEqual(got, {"result": result, "details": {"compilationErrors": []}})
        for bad in ({}, {"route": {**route, "condition": "a = 'b'"}},
                    {"route": {**route, "endpointNames": ["e"]}}):
            self.assertEqual(self.op.post(one, bad).status, 400, bad)

        def names(**body):
            return [r["properties"]["name"]
                    for r in self.good(self.op.post(every, body))["routes"]]
        self.assertEqual(names(), ["$fallback"])
        self.good(self.put(hub, routes=[route, {**route, "name": "off", "isEnabled": False}]))
        self.assertEqual(names(routingSource="DeviceMessages", message={"body": "x"}), ["r"])
        self.assertEqual(names(routingSource="TwinChangeEvents"), [])
        self.good(self.put(hub, routes=[], fallbackRoute={"isEnabled": False}))
        self.assertEqual(names(), [])
        self.good(self.put(hub, fallbackRoute={"isEnabled": True}))

    def test_consumer_groups(self):
        where = HUB + "/eventHubEndpoints/events/ConsumerGroups"

        def names():
            return [g["name"] for g in self.good(self.op.get(where))["value"]]
        self.assertEqual(names(), ["$Default"])
        made = self.good(self.op.put(where + "/analytics", {"properties": {"name": "analytics"}}))
        self.assertEqual(made["name"], "analytics")
        self.assertEqual(self.good(self.op.get(where + "/Analytics")), made)
        self.assertEqual(self.good(self.op.put(where + "/analytics", {})), made, "there already")
        self.assertEqual(names(), ["$Default", "analytics"])
        other = HUBS + "/west/eventHubEndpoints/events/ConsumerGroups"
        self.assertEqual(self.op.get(other + "/analytics").status, 404)
        for bad in ("a%20b", "x" * 51):
            self.assertEqual(self.op.put(where + "/" + bad, {}).status, 400, bad)
        for i in range(18):
            self.good(self.op.put(where + "/g%d" % i, {}))
        self.assertGreaterEqual(self.op.put(where + "/one-too-many", {}).status, 400)
        self.assertEqual(self.op.delete(where + "/analytics").status, 200)
        self.assertEqual(self.op.delete(where + "/analytics").status, 404)
        self.assertEqual(self.op.delete(where + "/%24Default").status, 400)
        self.assertEqual(len(names()), 19)
        for none in (HUBS + "/north/eventHubEndpoints/events/ConsumerGroups",
                     HUB + "/eventHubEndpoints/other/ConsumerGroups"):
            self.assertEqual(self.op.get(none).status, 404)

    def test_statistics_skus_and_endpoints(self):
        before = self.good(self.op.get(HUB + "/IotHubStats"))
        self.good(self.op.put("/devices/st-1", {"deviceId": "st-1", "status": "disabled"},
                              Host="east.example.net"))
        self.good(self.op.put("/devices/st-2", {"deviceId": "st-2"}, Host="west.example.net"))
        after = self.good(self.op.get(HUB + "/IotHubStats"))
        self.assertEqual([after[k] - before[k] for k in (
            "totalDeviceCount", "enabledDeviceCount", "disabledDeviceCount")], [1, 0, 1])
        sku, = self.good(self.op.get(HUB + "/skus"))["value"]
        self.assertEqual(sku["sku"]["name"], self.good(self.op.get(HUB))["sku"]["name"])
        self.assertEqual(self.good(self.op.get(HUB + "/routingEndpointsHealth")), {"value": []})
        self.assertEqual(self.op.get(HUBS + "/north/IotHubStats").status, 404)


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
