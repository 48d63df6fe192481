"""Several hubs in one server, and how devices come to them (docs/allocation.md)."""
import os

import harness
import mqtt
from harness import derive, run, token

HUBS = ("one.example", "two.example")


class HubCase(harness.ServerCase):
    """Two hubs; devices are told apart by the host that they name."""

    HOME_SET = {"hub": {"name": " ".join(HUBS), "alias": "uno.example=one.example"}}

    def at(self, hub, device, key=None, cert=None):
        """A device's connection to one of the hubs."""
        password = key and token("%s/devices/%s" % (hub, device), key)
        client = self.server.mqtt(*(cert or ()))
        self.addCleanup(client.close)
        client.connect(device, mqtt.hub_user(device, hub), password)
        return client

    def register(self, device, key, body=b"", version="2019-03-31"):
        """The registration's state once it is decided."""
        user = mqtt.dps_user(harness.SCOPE, device, version)
        client = self.dps(device, derive(key, device), user=user)
        got = mqtt.dps_register(client, body)
        while got.status == 202:
            got = mqtt.dps_poll(client, got.json["operationId"])
        self.assertEqual(got.status, 200, got.json)
        return got.json["registrationState"]

    def other(self, hub):
        return HUBS[1 - HUBS.index(hub)]

    def ids(self, hub):
        rows = self.good(self.op.get("/devices?top=1000", Host=hub))
        return {row["deviceId"] for row in rows}


class Hubs(HubCase):
    def test_devices_are_spread_and_each_is_on_its_hub_alone(self):
        key = self.sas_group("g-spread")
        names = ["spread-%d" % i for i in range(24)]
        hubs = {name: self.register(name, key)["assignedHub"] for name in names}
        self.assertEqual(set(hubs.values()), set(HUBS))
        for name in names[:4]:
            self.at(hubs[name], name, derive(key, name)).ping()
            with self.assertRaises(mqtt.Refused) as refused:
                self.at(self.other(hubs[name]), name, derive(key, name))
            self.assertEqual(refused.exception.code, 5)
            row = self.op.connections(deviceId=name, what="refused")[-1]
            self.assertIn("device not found", row["reason"])
            self.assertIn(hubs[name], row["reason"])
        for hub in HUBS:
            mine = {name for name in names if hubs[name] == hub}
            self.assertEqual(self.ids(hub) & set(names), mine)

    def test_registering_again_comes_to_the_same_hub(self):
        key = self.sas_group("g-stable")
        for i in range(6):
            first = self.register("stable-%d" % i, key)
            again = self.register("stable-%d" % i, key)
            self.assertEqual(again["assignedHub"], first["assignedHub"])
            self.assertEqual(again["substatus"], "initialAssignment")

    def test_the_service_api_is_that_of_the_hub_it_is_asked_by(self):
        one, two = ({"Host": hub} for hub in HUBS)
        self.good(self.op.put("/devices/api-two", {"deviceId": "api-two"}, **two))
        self.good(self.op.get("/devices/api-two", **two))
        self.good(self.op.get("/twins/api-two", Host="TWO.example:8443"))
        for path in ("/devices/api-two", "/twins/api-two"):
            got = self.op.get(path, **one)
            self.assertEqual((got.status, got.headers["iothub-errorcode"]),
                             (404, "DeviceNotFound"), got)
        self.assertEqual(self.op.call("PATCH", "/twins/api-two", {"tags": {"a": 1}}, **one).status,
                         404)
        self.assertEqual(self.op.delete("/devices/api-two", If_Match="*", **one).status, 404)
        self.assertEqual(self.op.put("/devices/api-two", {"deviceId": "api-two"}, **one).status,
                         409, "an ID is on one hub of a server at a time")
        self.assertIn("api-two", self.ids(HUBS[1]))
        self.assertNotIn("api-two", self.ids(HUBS[0]))
        self.assertEqual(self.op.delete("/devices/api-two", If_Match="*", **two).status, 204)

    def test_a_host_that_is_no_hub_means_the_first(self):
        self.good(self.op.put("/devices/api-first", {"deviceId": "api-first"}))
        self.assertIn("api-first", self.ids(HUBS[0]))
        self.assertIn("api-first", self.ids("uno.example"))
        self.assertNotIn("api-first", self.ids(HUBS[1]))

    def test_an_alias_is_the_hub_by_another_name(self):
        got = self.good(self.op.put("/devices/by-alias", {"deviceId": "by-alias"}, Host=HUBS[0]))
        key = harness.base64.b64decode(got["authentication"]["symmetricKey"]["primaryKey"])
        self.at("uno.example", "by-alias", key).ping()
        self.at("one.example", "by-alias", key).ping()
        with self.assertRaises(mqtt.Refused):
            self.at("three.example", "by-alias", key)

    def test_subsets_and_static(self):
        for hub in HUBS:
            name = "fix-" + hub[:3]
            key = self.sas_group("g-" + name, iotHubs=[hub], allocationPolicy="static")
            for i in range(4):
                device = "%s-%d" % (name, i)
                self.assertEqual(self.register(device, key)["assignedHub"], hub)


class Upgrade(harness.Case):
    def test_devices_made_before_hubs_were_told_apart_stay_inside(self):
        """Several names in hub.name were aliases once: no device may be locked out."""
        parent = self.folder()
        home = harness.make_home(parent)
        server = harness.Server(home).start()
        self.addCleanup(server.kill)
        got = server.operator().put("/devices/old", {"deviceId": "old"})
        key = harness.base64.b64decode(got.json["authentication"]["symmetricKey"]["primaryKey"])
        self.assertEqual(server.stop(), 0)
        harness.set_config(home, hub={"name": " ".join(HUBS)})
        server.start()
        for hub in HUBS:
            client = server.mqtt()
            self.addCleanup(client.close)
            client.connect("old", mqtt.hub_user("old", hub), token(hub + "/devices/old", key))
            client.ping()
        self.assertEqual(server.stop(), 0)
        self.assertEqual(server.faults(), [])

    def test_init_makes_one_hub_of_several_names(self):
        home = os.path.join(self.folder(), "home")
        self.works(run("init", "--home", home, "--name", "hub.example", "--name", "127.0.0.1",
                       "--name", "h2.example"))
        text = self.works(run("config", "--home", home)).stdout
        self.assertRegex(text, r"(?m)^name = hub\.example$")
        self.assertRegex(text, r"(?m)^alias = 127\.0\.0\.1=hub\.example, h2\.example=hub\.example$")


if __name__ == "__main__":
    harness.main()
