"""Modules: identities below a device, their connections, and what ends them (device.md 3.1, 3.3,
3.4; service.md 2.2)."""
import base64
import json
import os

import harness
import mqtt
import pki
from harness import token

HUB = "/subscriptions/s/resourceGroups/g/providers/Microsoft.Devices/IotHubs/muster"
EVENTS = "devices/%s/modules/%s/messages/events/"


class Modules(harness.ServerCase):
    def path_of(self, device, module):
        return "/devices/%s/modules/%s" % (device, module)

    def module(self, device, module, **more):
        """A module with SAS keys of its own, made by the service; its key."""
        got = self.good(self.op.put(self.path_of(device, module), {
            "deviceId": device, "moduleId": module, **more}))
        return base64.b64decode(got["authentication"]["symmetricKey"]["primaryKey"])

    def connect(self, device, module, key=None, resource=None, password=None, **more):
        if key is not None:
            password = token(resource or "127.0.0.1/devices/%s/modules/%s" % (device, module), key)
        return self.hub("%s/%s" % (device, module), password=password, **more)


class Service(Modules):
    """PUT, GET, DELETE and the list, as the registry client of an SDK uses them."""

    def test_an_identity_as_the_service_shows_it(self):
        self.sas_device("i-1")
        put = self.op.put(self.path_of("i-1", "m"), {"moduleId": "m", "deviceId": "i-1",
                                                     "managedBy": "IotEdge"})
        made = self.good(put)
        self.assertEqual(set(made), {
            "moduleId", "managedBy", "deviceId", "generationId", "etag", "connectionState",
            "connectionStateUpdatedTime", "lastActivityTime", "cloudToDeviceMessageCount",
            "authentication"})
        self.assertEqual((made["moduleId"], made["deviceId"], made["managedBy"]),
                         ("m", "i-1", "IotEdge"))
        self.assertEqual(made["connectionState"], "Disconnected")
        auth = made["authentication"]
        self.assertEqual(auth["type"], "sas")
        self.assertEqual(auth["x509Thumbprint"],
                         {"primaryThumbprint": None, "secondaryThumbprint": None})
        keys = auth["symmetricKey"]
        self.assertNotEqual(keys["primaryKey"], keys["secondaryKey"])
        self.assertEqual(put.headers["ETag"], '"%s"' % made["etag"])
        self.assertEqual(self.good(self.op.get(self.path_of("i-1", "m"))), made)
        own = self.good(self.op.get("/devices/i-1"))
        self.assertNotEqual(own["generationId"], made["generationId"])
        self.assertNotIn("moduleId", own)

    def test_update_by_etag(self):
        self.sas_device("i-2")
        path = self.path_of("i-2", "m")
        made = self.good(self.op.put(path, {}))
        got = self.op.put(path, {})
        self.assertEqual((got.status, got.headers["iothub-errorcode"]),
                         (409, "ModuleAlreadyExistsOnDevice"))
        self.assertEqual(self.op.put(path, {}, If_Match='"AAAA"').status, 412)
        keep = made["authentication"]["symmetricKey"]
        again = self.good(self.op.put(path, {"authentication": {
            "type": "sas", "symmetricKey": keep}}, If_Match='"%s"' % made["etag"]))
        self.assertEqual(again["authentication"]["symmetricKey"], keep)
        self.assertEqual(again["generationId"], made["generationId"])
        self.assertNotEqual(again["etag"], made["etag"])
        self.assertEqual(self.op.delete(path, If_Match='"%s"' % made["etag"]).status, 412)
        self.assertEqual(self.op.delete(path, If_Match='"*"').status, 204)
        self.assertEqual(self.op.get(path).status, 404)

    def test_what_is_not_there(self):
        self.sas_device("i-3")
        for call, path, name in (
                ("GET", self.path_of("i-3", "none"), "ModuleNotFound"),
                ("DELETE", self.path_of("i-3", "none"), "ModuleNotFound"),
                ("GET", "/twins/i-3/modules/none", "ModuleNotFound"),
                ("PATCH", "/twins/i-3/modules/none", "ModuleNotFound"),
                ("GET", self.path_of("nobody", "m"), "DeviceNotFound"),
                ("PUT", self.path_of("nobody", "m"), "DeviceNotFound"),
                ("GET", "/devices/nobody/modules", "DeviceNotFound"),
                ("GET", "/twins/nobody/modules/m", "DeviceNotFound")):
            with self.subTest(call + " " + path):
                got = self.op.call(call, path, {} if call[0] == "P" else None)
                self.assertEqual((got.status, got.headers["iothub-errorcode"]), (404, name), got)
        got = self.op.put(self.path_of("i-3", "none"), {}, If_Match="*")
        self.assertEqual(got.headers["iothub-errorcode"], "ModuleNotFound")

    def test_a_module_is_no_device_and_a_slash_is_no_part_of_an_id(self):
        self.sas_device("i-4")
        self.module("i-4", "m")
        for path in ("/devices/i-4%2Fm", "/twins/i-4%2Fm", "/devices/i-4%2Fm/modules",
                     "/devices/i-4/modules/m%2Fn", "/devices/i-4%2Fm/modules/n",
                     "/twins/i-4/modules/m%2Fn"):
            self.assertEqual(self.op.get(path).status, 404, path)
        for path in ("/devices/i-4%2Fx", "/devices/i-4/modules/x%2Fy", "/devices/i-4/modules/%23"):
            self.assertEqual(self.op.put(path, {}).status, 400, path)
        self.assertEqual(self.op.put("/devices/i-4%2Fm", {}, If_Match="*").status, 400)
        self.assertEqual(self.op.delete("/devices/i-4%2Fm", If_Match="*").status, 404)
        self.assertIn(self.op.put("/muster/tokens/i-4%2Fm", {"create": True}).status, (400, 404))
        self.good(self.op.get(self.path_of("i-4", "m")))
        self.assertEqual(self.op.put("/devices/i-4/modules/n", {"moduleId": "m"}).status, 400)
        self.assertEqual(self.op.put("/devices/i-4/modules/n", {"deviceId": "m"}).status, 400)

    def test_lists_of_devices_leave_modules_out(self):
        self.sas_device("i-5")
        for name in ("b", "a", "C"):
            self.module("i-5", name)
        rows = self.good(self.op.get("/devices/i-5/modules"))
        self.assertEqual([r["moduleId"] for r in rows], ["C", "a", "b"])
        self.assertEqual(self.good(self.op.get("/devices/i-5/modules/")), rows)
        devices = self.good(self.op.get("/devices?top=1000"))
        self.assertEqual([d["deviceId"] for d in devices if "/" in d["deviceId"]], [])
        self.assertEqual(len([d for d in devices if d["deviceId"] == "i-5"]), 1)
        twins = self.good(self.op.post("/devices/query", {"query": "select * from devices"}))
        self.assertEqual([t for t in twins if "moduleId" in t], [])

    def test_twenty_modules_and_no_more(self):
        self.sas_device("i-6")
        for i in range(20):
            self.module("i-6", "m%d" % i)
        got = self.op.put(self.path_of("i-6", "m20"), {})
        self.assertEqual((got.status, got.headers["iothub-errorcode"]),
                         (413, "TooManyModulesOnDevice"))
        self.assertEqual(self.op.delete(self.path_of("i-6", "m0"), If_Match="*").status, 204)
        self.module("i-6", "m20")

    def test_twin_of_its_own(self):
        self.sas_device("i-7")
        self.module("i-7", "m")
        twin = self.good(self.op.get("/twins/i-7/modules/m"))
        self.assertEqual((twin["deviceId"], twin["moduleId"]), ("i-7", "m"))
        got = self.op.call("PATCH", "/twins/i-7/modules/m", {
            "tags": {"t": 1}, "properties": {"desired": {"d": 2}}}, If_Match='"*"')
        self.assertEqual(self.good(got)["properties"]["desired"]["d"], 2)
        self.assertEqual(self.good(self.op.get("/twins/i-7/modules/m"))["tags"], {"t": 1})
        self.assertEqual(self.good(self.op.get("/twins/i-7"))["tags"], {})
        got = self.op.put("/twins/i-7/modules/m", {"tags": {}, "properties": {"desired": {}}})
        self.assertEqual(self.good(got)["tags"], {})

    def test_a_device_that_is_deleted_takes_its_modules_along(self):
        self.sas_device("i-8")
        old = self.module("i-8", "m")
        self.assertEqual(self.op.delete("/devices/i-8", If_Match="*").status, 204)
        self.assertEqual(self.op.get(self.path_of("i-8", "m")).headers["iothub-errorcode"],
                         "DeviceNotFound")
        self.sas_device("i-8")
        self.assertEqual(self.good(self.op.get("/devices/i-8/modules")), [])
        self.assertNotEqual(self.module("i-8", "m"), old)


class Connections(Modules):
    def test_own_keys_and_nobody_elses(self):
        device = self.sas_device("c-1")
        key, other = self.module("c-1", "m"), self.module("c-1", "n")
        self.connect("c-1", "m", key).ping()
        self.connect("c-1", "m", key, "127.0.0.1/devices/c-1/modules/m/?api-version=x").ping()
        self.connect("c-1", "m", key, "127.0.0.1/devices/C-1/MODULES/M".lower()).ping()
        for how in ({"key": device}, {"key": other}, {"key": key, "resource": "127.0.0.1"},
                    {"key": key, "resource": "127.0.0.1/devices/c-1"},
                    {"key": key, "resource": "127.0.0.1/devices/c-1/modules/n"},
                    {"password": None}):
            with self.subTest(how):
                self.refused(lambda h=how: self.connect("c-1", "m", **h))
        self.refused(lambda: self.hub("c-1", password=token(
            "127.0.0.1/devices/c-1/modules/m", key)))
        self.refused(lambda: self.connect("c-1", "none", key))
        row = self.reason("c-1", "module not found")
        self.assertEqual((row["deviceId"], row["moduleId"]), ("c-1", "none"))
        self.refused(lambda: self.connect("nobody", "m", key))
        self.reason("nobody", "device not found")

    def test_names(self):
        self.sas_device("c-2")
        key = self.module("c-2", "m")
        for user in ("127.0.0.1/c-2/m", "127.0.0.1/c-2/m/api-version=2017-11-08-preview",
                     "127.0.0.1/c-2/m/?api-version=2021-04-12&model-id=dtmi:com:x;1",
                     "127.0.0.1:8883/c-2/m/?api-version=2018-06-30"):
            with self.subTest(user):
                host = user.split("/")[0]
                self.connect("c-2", "m", key, host + "/devices/c-2/modules/m", user=user).ping()
        for more in ({"client_id": "c-2"}, {"client_id": "m"}, {"client_id": "c-2/M"},
                     {"client_id": "c-2/m/"}, {"user": mqtt.hub_user("c-2")},
                     {"user": "127.0.0.1/c-2/m/x/?api-version=1"}):
            with self.subTest(more):
                self.refused(lambda m=more: self.connect("c-2", "m", key, **m))

    def test_policy_tokens(self):
        self.sas_device("c-3")
        self.module("c-3", "m")
        keys = self.server.policy_keys()

        def by(policy, resource):
            return self.connect("c-3", "m", password=token(resource, keys[policy], policy=policy))

        for resource in ("127.0.0.1", "127.0.0.1/devices", "127.0.0.1/devices/c-3",
                         "127.0.0.1/devices/c-3/modules/m"):
            by("device", resource).ping()
        self.refused(lambda: by("device", "127.0.0.1/devices/c-3/modules/n"))
        self.refused(lambda: by("service", "127.0.0.1"))

    def test_device_and_modules_are_connected_each_for_itself(self):
        key = self.sas_device("c-4")
        own = {name: self.module("c-4", name) for name in ("m", "n")}
        device = self.hub("c-4", key)
        modules = {name: self.connect("c-4", name, k) for name, k in own.items()}
        again = self.connect("c-4", "m", own["m"])
        self.assertTrue(modules["m"].closes(10), "taken over by its own kind alone")
        for client in (device, modules["n"], again):
            client.ping()
        states = {r["moduleId"]: r["connectionState"]
                  for r in self.good(self.op.get("/devices/c-4/modules"))}
        self.assertEqual(states, {"m": "Connected", "n": "Connected"})
        again.disconnect()
        self.eventually(lambda: self.op.get(self.path_of("c-4", "m")).json["connectionState"] ==
                        "Disconnected")
        self.assertEqual(self.op.get("/devices/c-4").json["connectionState"], "Connected")
        rows = self.op.connections(deviceId="c-4", what="connect")
        self.assertEqual([r.get("moduleId") for r in rows], [None, "m", "n", "m"])

    def test_telemetry_says_whose_it_is(self):
        key = self.sas_device("c-5")
        module = self.connect("c-5", "m", self.module("c-5", "m"))
        device = self.hub("c-5", key)
        module.publish(EVENTS % ("c-5", "m") + "%24.on=alarms&a=b/", '{"n":1}')
        module.publish(EVENTS % ("c-5", "m"), '{"n":2}')
        device.publish("devices/c-5/messages/events/", '{"n":3}')
        rows = self.op.events(deviceId="c-5")
        self.assertEqual([(r["deviceId"], r.get("moduleId"), r["body"]["n"]) for r in rows],
                         [("c-5", "m", 1), ("c-5", "m", 2), ("c-5", None, 3)])
        self.assertEqual(rows[0]["properties"], {"system": {"iothub-outputname": "alarms"},
                                                 "application": {"a": "b"}})
        self.assertEqual(rows[0]["generationId"],
                         self.good(self.op.get(self.path_of("c-5", "m")))["generationId"])

    def test_topics_of_others_close(self):
        self.sas_device("c-6")
        key = self.module("c-6", "m")
        self.module("c-6", "n")
        for topic in ("devices/c-6/messages/events/", EVENTS % ("c-6", "n"),
                      EVENTS % ("c-6", "M"), "devices/c-6/modules/messages/events/"):
            with self.subTest(topic):
                client = self.connect("c-6", "m", key)
                client.write(mqtt.publish_packet(topic, b"{}", 1, 1))
                self.assertTrue(client.closes(10))
        self.assertEqual(self.op.events(deviceId="c-6"), [])

    def test_will(self):
        self.sas_device("c-7")
        key = self.module("c-7", "m")
        client = self.connect("c-7", "m", key, will={"topic": EVENTS % ("c-7", "m") + "why=lost",
                                                     "payload": '"bye"', "qos": 1})
        client.close()
        row = self.eventually(lambda: self.op.events(deviceId="c-7"))[0]
        self.assertEqual((row["moduleId"], row["body"]), ("m", "bye"))
        self.assertEqual(row["properties"]["application"],
                         {"iothub-MessageType": "Will", "why": "lost"})
        self.refused(lambda: self.connect("c-7", "m", key, will={
            "topic": "devices/c-7/messages/events/", "payload": "x"}))

    def test_certificates(self):
        self.ca_device("c-8")
        self.good(self.op.put(self.path_of("c-8", "m"), {
            "authentication": {"type": "certificateAuthority"}}))
        self.connect("c-8", "m", cert=self.leaf("c-8/m")).ping()
        row = self.op.connections(deviceId="c-8", what="connect")[-1]
        self.assertEqual((row["moduleId"], row["authType"]), ("m", "x509"))
        for subject in ("c-8", "m", "c-8/n", "C-8/m"):
            self.refused(lambda s=subject: self.connect("c-8", "m", cert=self.leaf(s)))
        self.refused(lambda: self.hub("c-8", cert=self.leaf("c-8/m")))
        cert, key, thumb = pki.self_signed(self.path("pinned"), "whatever")
        self.good(self.op.put(self.path_of("c-8", "n"), {"authentication": {
            "type": "selfSigned", "x509Thumbprint": {"primaryThumbprint": thumb}}}))
        self.connect("c-8", "n", cert=(cert, key)).ping()
        self.refused(lambda: self.connect("c-8", "n", cert=self.leaf("c-8/n")))
        self.refused(lambda: self.connect("c-8", "m", key=os.urandom(32)))

    def test_what_ends_its_sessions(self):
        put = self.op.put
        own = {"authentication": {"type": "sas"}}

        def live(device):
            self.sas_device(device)
            return [self.connect(device, name, self.module(device, name)) for name in ("m", "n")]

        def all_end(clients):
            for client in clients:
                self.assertTrue(client.closes(10))

        clients = live("e-1")
        self.good(put("/devices/e-1", {"status": "disabled", **own}, If_Match="*"))
        all_end(clients)
        self.refused(lambda: self.connect("e-1", "m", os.urandom(32)))
        self.reason("e-1", "disabled")
        clients = live("e-2")
        self.assertEqual(self.op.delete("/devices/e-2", If_Match="*").status, 204)
        all_end(clients)
        clients = live("e-3")
        self.assertEqual(self.op.delete(self.path_of("e-3", "m"), If_Match="*").status, 204)
        all_end(clients[:1])
        clients[1].ping()
        self.good(put(self.path_of("e-3", "n"), own, If_Match="*"))
        all_end(clients[1:])
        clients = live("e-4")
        self.good(put("/devices/e-4", own, If_Match="*"))  # new keys of the device alone
        for client in clients:
            client.ping()
        got = self.good(self.op.post("/muster/revoke", {"deviceId": "e-4",
                                                        "reason": "keyCompromise"}))
        self.assertIn("session", json.dumps(got))
        all_end(clients)

    def test_seal_of_modules(self):
        device_key = self.sas_device("s-1")
        key = self.module("s-1", "m")
        device, module = self.hub("s-1", device_key), self.connect("s-1", "m", key)

        def turn(**properties):
            self.good(self.op.put(HUB, {"properties": properties}))

        self.addCleanup(turn, disableDeviceSAS=False, disableModuleSAS=False)
        turn(disableDeviceSAS=True)
        self.assertTrue(device.closes(10))
        module.ping()
        self.connect("s-1", "m", key).ping()
        turn(disableDeviceSAS=False, disableModuleSAS=True)
        self.refused(lambda: self.connect("s-1", "m", key))
        row = self.reason("s-1", "disableModuleSAS")
        self.assertEqual((row["moduleId"], row["authType"]), ("m", "sas"))
        self.hub("s-1", device_key).ping()

    def test_twin_over_mqtt(self):
        """The same topics as a device's, and another twin; its subscriptions are its own too."""
        self.sas_device("c-t")
        key = self.module("c-t", "m")

        def ask(client, topic, body=b" "):
            client.publish(topic + "?$rid=7", body, qos=0)
            topic, body = client.message()
            return topic, json.loads(body) if body else None

        client = self.connect("c-t", "m", key, clean=False)
        self.assertEqual(client.subscribe(
            "$iothub/twin/res/#", "$iothub/twin/PATCH/properties/desired/#", qos=0), [0, 0])
        topic, _ = ask(client, "$iothub/twin/PATCH/properties/reported/", b'{"is":1}')
        self.assertTrue(topic.startswith("$iothub/twin/res/204/?$rid=7&$version="), topic)
        topic, body = ask(client, "$iothub/twin/GET/")
        self.assertEqual((topic, body["reported"]["is"]), ("$iothub/twin/res/200/?$rid=7", 1))
        self.assertEqual(self.good(self.op.get("/twins/c-t/modules/m"))
                         ["properties"]["reported"]["is"], 1)
        self.assertNotIn("is", self.good(self.op.get("/twins/c-t"))["properties"]["reported"])
        client.close()
        client = self.connect("c-t", "m", key, clean=False)
        for path, value in (("/twins/c-t", 1), ("/twins/c-t/modules/m", 2)):
            self.good(self.op.call("PATCH", path, {"properties": {"desired": {"want": value}}}))
        self.assertEqual(json.loads(client.message()[1])["want"], 2)

    def test_telemetry_over_https(self):
        device_key = self.sas_device("c-h")
        key = self.module("c-h", "m")
        own = "127.0.0.1/devices/c-h/modules/m"
        path = self.path_of("c-h", "m") + "/messages/events"
        got = self.server.anybody(token(own, key)).post(path, {"n": 1})
        self.assertEqual(got.status, 204, got)
        row = self.op.events(deviceId="c-h")[-1]
        self.assertEqual((row["moduleId"], row["body"], row["authType"]), ("m", {"n": 1}, "sas"))
        row = self.op.connections(deviceId="c-h", what="connect")[-1]
        self.assertEqual((row["deviceId"], row["moduleId"]), ("c-h", "m"))
        for auth in (token(own, device_key), token("127.0.0.1/devices/c-h", device_key)):
            self.assertEqual(self.server.anybody(auth).post(path, {}).status, 401)
        row = self.reason("c-h", "signature")
        self.assertEqual(row["moduleId"], "m")

    def test_filters_of_inputs(self):
        """device.md section 7, row 34: both spellings, of the own module alone; C and Java also
        subscribe modules to devicebound, Java on every start."""
        self.sas_device("c-9")
        client = self.connect("c-9", "m", self.module("c-9", "m"))
        base = "devices/c-9/modules/m/"
        for wanted in (base + "inputs/#", base + "#", base + "messages/devicebound/#"):
            self.assertEqual(client.subscribe(wanted), [1])
        self.assertEqual(client.subscribe(
            "devices/c-9/modules/n/inputs/#", "devices/c-9/modules/n/#", "devices/c-9/#",
            "devices/c-9/modules/n/messages/devicebound/#",
            "devices/c-9/messages/devicebound/#"), [0x80] * 5)


if __name__ == "__main__":
    harness.main()
