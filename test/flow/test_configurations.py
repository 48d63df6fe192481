"""Configurations (service.md 2.7): desired properties for whoever a condition is true of."""
import json

import harness


class Configurations(harness.ServerCase):
    def create(self, *names, **more):
        self.good(self.op.post("/devices", [
            {"id": n, "importMode": "create", **more} for n in names]))

    def put(self, name, condition="", desired=None, priority=0, if_match=None, **more):
        content = {"deviceContent": {"properties.desired." + k: v
                                     for k, v in (desired or {}).items()}}
        headers = {"If_Match": if_match} if if_match else {}
        return self.op.put("/configurations/" + name, {
            "id": name, "content": content, "targetCondition": condition, "priority": priority,
            **more}, **headers)

    def delete(self, name):
        self.good(self.op.delete("/configurations/" + name), 204)

    def desired(self, device):
        got = dict(self.good(self.op.get("/twins/" + device))["properties"]["desired"])
        return {k: v for k, v in got.items() if k[0] != "$"}

    def becomes(self, device, want):
        self.eventually(lambda: self.desired(device) == want, what="desired of " + device)

    def get(self, name):
        return self.good(self.op.get("/configurations/" + name))

    def counts(self, name, targeted, applied=None):
        want = {"targetedCount": targeted, "appliedCount": targeted if applied is None else applied}
        self.eventually(lambda: self.get(name)["systemMetrics"]["results"] == want,
                        what="counts of " + name)

    def refused(self, answer, status, name):
        self.assertEqual((answer.status, answer.headers["iothub-errorcode"]), (status, name),
                         answer)

    def tag(self, device, **tags):
        self.good(self.op.call("PATCH", "/twins/" + device, {"tags": tags}))

    def test_whoever_is_meant_gets_it_now_and_later(self):
        self.create("n-1", "n-2", tags={"site": "Ulm"})
        self.create("n-3")
        made = self.good(self.put("now", "tags.site = 'Ulm'", {"water.temp": 38, "fan": {"on": 1}},
                                  labels={"app": "x"}, metrics={"queries": {
                                      "ulm": "SELECT deviceId FROM devices WHERE tags.site = 'Ulm'",
                                      "sum": "SELECT COUNT() FROM devices"}}))
        self.assertEqual((made["id"], made["schemaVersion"], made["labels"], made["priority"]),
                         ("now", "1.0", {"app": "x"}, 0))
        self.assertEqual(made["content"], {"deviceContent": {
            "properties.desired.fan": {"on": 1}, "properties.desired.water.temp": 38}})
        want = {"water": {"temp": 38}, "fan": {"on": 1}}
        self.becomes("n-1", want)
        self.becomes("n-2", want)
        self.counts("now", 2)
        self.assertEqual(self.get("now")["metrics"]["results"], {"ulm": 2, "sum": 1})
        self.tag("n-3", site="Ulm")
        self.becomes("n-3", want)
        self.create("n-4", tags={"site": "Ulm"}, properties={"desired": {"own": 1}})
        self.becomes("n-4", {"own": 1, **want})
        self.counts("now", 4)
        # who is meant no more keeps what it has
        self.tag("n-1", site="Bonn")
        self.counts("now", 3)
        self.assertEqual(self.desired("n-1"), want)
        self.good(self.op.delete("/devices/n-2", If_Match="*"), 204)
        self.counts("now", 2)
        self.delete("now")
        self.refused(self.op.get("/configurations/now"), 404, "ConfigurationNotFound")
        self.assertEqual(self.desired("n-3"), want)
        self.good(self.put("now", "tags.site = 'nowhere'", {"x": 1}))
        self.counts("now", 0)
        self.delete("now")

    def test_the_highest_priority_wins(self):
        self.create("p-1", tags={"p": 1})
        self.good(self.put("low", "tags.p = 1", {"a": 1, "b": 1}, 1))
        self.becomes("p-1", {"a": 1, "b": 1})
        self.good(self.put("high", "tags.p = 1", {"a": 9}, 9))
        self.becomes("p-1", {"a": 9, "b": 1})
        self.good(self.put("middle", "tags.p = 1", {"a": 5, "b": 5}, 5))
        self.becomes("p-1", {"a": 9, "b": 5})
        etag = self.get("high")["etag"]
        self.good(self.put("high", "tags.p = 1", {"a": 9}, 2, if_match='"%s"' % etag))
        self.becomes("p-1", {"a": 5, "b": 5})
        self.delete("middle")
        self.becomes("p-1", {"a": 9, "b": 1})
        self.delete("high")
        self.becomes("p-1", {"a": 1, "b": 1})
        self.delete("low")

    def test_a_report_and_a_connected_device(self):
        client = self.hub("r-1", key=self.sas_device("r-1"))
        client.subscribe("$iothub/twin/PATCH/properties/desired/#", "$iothub/twin/res/#")
        self.good(self.put("report", "properties.reported.fw = 1", {"fw": 2}))
        client.publish("$iothub/twin/PATCH/properties/reported/?$rid=1", '{"fw": 1}', qos=0)
        got = dict(client.message() for _ in range(2))
        pushed = [json.loads(b) for t, b in got.items() if "PATCH" in t]
        self.assertEqual([p["fw"] for p in pushed], [2])
        self.delete("report")

    def test_modules(self):
        self.create("m-1", tags={"m": 1})
        self.good(self.op.put("/devices/m-1/modules/cam", {"managedBy": "x"}))
        self.good(self.op.put("/configurations/mods", {
            "content": {"moduleContent": {"properties.desired": {"rate": 5}}},
            "targetCondition": "FROM devices.modules WHERE moduleId = 'cam'"}))
        self.becomes("m-1/modules/cam", {"rate": 5})
        self.assertEqual(self.desired("m-1"), {})
        self.counts("mods", 1)
        self.delete("mods")

    def test_what_does_not_fit_a_twin_is_not_applied(self):
        big = {"k%d" % i: "x" * 3000 for i in range(6)}
        self.create("f-1", tags={"f": 1}, properties={"desired": big})
        self.create("f-2", tags={"f": 1})
        more = {"l%d" % i: "x" * 3000 for i in range(6)}
        self.good(self.put("full", "tags.f = 1", more))
        self.becomes("f-2", more)
        self.counts("full", 2, 1)
        self.assertEqual(self.desired("f-1"), big)
        self.delete("full")

    def test_etags_and_what_stays_as_it_is(self):
        self.good(self.put("e", "", {"x": 1}))
        self.refused(self.put("e", "", {"x": 1}), 409, "ConfigurationAlreadyExists")
        self.refused(self.put("e", "", {"x": 1}, if_match='"MTIzNDU="'), 412, "PreconditionFailed")
        self.refused(self.put("e", "", {"x": 2}, if_match="*"), 400,
                     "CannotModifyImmutableConfigurationContent")
        old = self.get("e")["etag"]
        got = self.put("e", "", {"x": 1}, if_match=old, labels={"l": "1"})
        self.assertNotEqual(self.good(got)["etag"], old)
        self.assertEqual(got.headers["ETag"], '"%s"' % got.json["etag"])
        self.refused(self.put("none", "", {"x": 1}, if_match="*"), 404, "ConfigurationNotFound")
        self.refused(self.op.delete("/configurations/e", If_Match='"%s"' % old), 412,
                     "PreconditionFailed")
        self.assertIn("e", [c["id"] for c in self.good(self.op.get("/configurations?top=50"))])
        self.delete("e")
        self.refused(self.op.delete("/configurations/e"), 404, "ConfigurationNotFound")

    def test_what_is_none(self):
        for body, name in (
                ({"content": {}}, "InvalidConfigurationContent"),
                ({}, "ArgumentInvalid"),
                ({"content": {"deviceContent": {"properties.reported.x": 1}}},
                 "InvalidConfigurationContent"),
                ({"content": {"deviceContent": {"properties.desired.": 1}}},
                 "InvalidConfigurationContent"),
                ({"content": {"deviceContent": {"properties.desired.a": {"b": None}}}},
                 "InvalidConfigurationContent"),
                ({"content": {"deviceContent": {"properties.desired": 5}}},
                 "InvalidConfigurationContent"),
                ({"content": {"deviceContent": {"properties.desired.a": "x" * 40000}}},
                 "InvalidConfigurationContent"),
                ({"content": {"modulesContent": {"$edgeAgent": {"properties.desired": {}}}}},
                 "InvalidConfigurationContent"),
                ({"content": {"deviceContent": {}}, "targetCondition": "tags.x ="},
                 "InvalidConfigurationTargetCondition"),
                ({"content": {"moduleContent": {}}, "targetCondition": "tags.x = 1"},
                 "ArgumentInvalid"),
                ({"content": {"deviceContent": {}}, "metrics": {"queries": {"m": "select"}}},
                 "InvalidConfigurationCustomMetricsQuery"),
                ({"content": {"deviceContent": {}}, "labels": {"a": 5}}, "ArgumentInvalid"),
                ({"content": {"deviceContent": {}}, "priority": -1}, "ArgumentInvalid")):
            self.refused(self.op.put("/configurations/bad", body), 400, name)

    def test_queries_are_tried(self):
        got = self.good(self.op.post("/configurations/testQueries", {
            "targetCondition": "tags.x =", "customMetricQueries": {
                "good": "SELECT * FROM devices", "bad": "SELECT"}}))
        self.assertIn("character", got["targetConditionError"])
        self.assertEqual(list(got["customMetricQueryErrors"]), ["bad"])
        got = self.good(self.op.post("/configurations/testQueries", {"targetCondition": "*"}))
        self.assertEqual(got, {"targetConditionError": None, "customMetricQueryErrors": {}})

    def test_content_for_one_device(self):
        self.create("o-1")
        self.good(self.op.post("/devices/o-1/applyConfigurationContent", {
            "deviceContent": {"properties.desired.a": {"b": 1}}}), 204)
        self.assertEqual(self.desired("o-1"), {"a": {"b": 1}})
        self.refused(self.op.post("/devices/o-1/applyConfigurationContent", {
            "modulesContent": {"$edgeAgent": {"properties.desired": {}}}}), 400,
            "InvalidConfigurationContent")
        self.assertEqual(self.op.post("/devices/nobody/applyConfigurationContent", {
            "deviceContent": {}}).status, 404)

    def test_goes_on_after_a_kill(self):
        names = ["k-%03d" % i for i in range(300)]
        for i in range(0, 300, 100):
            self.create(*names[i:i + 100], tags={"k": True})
        self.good(self.put("kill", "tags.k = true", {"n": 1}))
        self.server.kill_role("core")
        self.eventually(lambda: self.counts("kill", 300) or True, 60)
        self.assertEqual({self.desired(n)["n"] for n in names[::50]}, {1})
        self.delete("kill")


if __name__ == "__main__":
    harness.main()
