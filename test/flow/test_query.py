"""Queries of twins over the service API (service.md 2.5): what they answer, page by page, and
what they are refused for."""
import base64
import json

import harness

FLEET = 60


class Queries(harness.ServerCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        for i in range(FLEET):
            name = "dev-%03d" % i
            auth = {"type": "sas"} if i % 3 else {"type": "certificateAuthority"}
            cls.ok(cls.op.put("/devices/" + name, {
                "deviceId": name, "authentication": auth,
                "status": "disabled" if i % 10 == 0 else "enabled",
                "capabilities": {"iotEdge": i == 7}}))
            cls.ok(cls.op.call("PATCH", "/twins/" + name, {
                "tags": {"site": {"name": "Ulm" if i % 2 else "Jena"}, "n": i,
                         **({"live": True} if i < 5 else {})},
                "properties": {"desired": {"rate": i % 4, "deep": {"x": "y%d" % i}}}}))
        for i in range(3):
            path = "/devices/dev-001/modules/m%d" % i
            cls.ok(cls.op.put(path, {"deviceId": "dev-001", "moduleId": "m%d" % i}))
        cls.ok(cls.op.call("PATCH", "/twins/dev-001/modules/m1", {"tags": {"site": "x"}}))

    @staticmethod
    def ok(answer):
        if answer.status != 200:
            raise AssertionError(answer)

    def ask(self, text, **headers):
        return self.op.post("/devices/query", {"query": text}, **headers)

    def pages(self, text, size):
        """The pages of an answer, each a list; item types are all the same."""
        pages, token = [], None
        while True:
            more = {"x_ms_continuation": token} if token else {}
            got = self.ask(text, x_ms_max_item_count=str(size), **more)
            pages.append(self.good(got))
            self.assertLessEqual(len(pages[-1]), size)
            token = got.headers.get("x-ms-continuation")
            if token is None:
                return pages
            self.assertTrue(token, "absent, not empty (T15)")

    def names(self, where, size=1000, what="devices"):
        rows = sum(self.pages("SELECT * FROM %s WHERE %s" % (what, where), size), [])
        return [r.get("moduleId", r["deviceId"]) for r in rows]

    def some(self, test):
        return ["dev-%03d" % i for i in range(FLEET) if test(i)]

    def test_conditions(self):
        for where, test in (
                ("tags.site.name = 'Ulm'", lambda i: i % 2),
                ("tags.site.name != 'Ulm'", lambda i: not i % 2),
                ("tags.n >= 10 AND tags.n < 13", lambda i: 10 <= i < 13),
                ("tags.n IN [3, 5, 99]", lambda i: i in (3, 5)),
                ("tags.live", lambda i: i < 5),
                ("NOT is_defined(tags.live) AND tags.n < 8", lambda i: 5 <= i < 8),
                ("status = 'disabled'", lambda i: i % 10 == 0),
                ("status = 'disabled' AND authenticationType = 'sas'",
                 lambda i: i % 10 == 0 and i % 3),
                ("authenticationType = 'certificateAuthority'", lambda i: i % 3 == 0),
                ("authenticationType != 'sas' OR tags.n = 1", lambda i: i % 3 == 0 or i == 1),
                ("connectionState = 'Connected'", lambda i: False),
                ("capabilities.iotEdge = true", lambda i: i == 7),
                ("properties.desired.rate = 3", lambda i: i % 4 == 3),
                ("properties.desired.deep.x = 'y44'", lambda i: i == 44),
                ("properties.desired.$version = 2", lambda i: True),
                ("deviceId IN ['dev-009', 'dev-002', 'nobody']", lambda i: i in (2, 9)),
                ("startswith(deviceId, 'dev-01')", lambda i: 10 <= i < 20),
                ("tags.n % 20 = 1 AND (tags.site.name = 'Ulm' OR status = 'disabled')",
                 lambda i: i % 20 == 1),
                ("cloudToDeviceMessageCount = 0", lambda i: True),
                ("statusReason = null", lambda i: True)):
            with self.subTest(where):
                self.assertEqual(self.names(where), self.some(test))
                self.assertEqual(self.names(where, 7), self.some(test))

    def test_a_row_is_the_twin(self):
        row = self.good(self.ask("select * from devices where deviceId = 'dev-007'"))[0]
        self.assertEqual(row, self.good(self.op.get("/twins/dev-007")))
        self.assertNotIn("authentication", row)
        self.assertNotIn("primaryKey", json.dumps(row))

    def test_connection_state(self):
        self.sas_device("dev-conn")
        client = self.hub("dev-conn", self.device_key("dev-conn"))
        self.assertEqual(self.names("connectionState = 'Connected'"), ["dev-conn"])
        client.close()
        self.eventually(lambda: self.names("connectionState = 'Connected'") == [])
        self.op.delete("/devices/dev-conn", If_Match="*")

    def device_key(self, device):
        got = self.good(self.op.get("/devices/" + device))
        return base64.b64decode(got["authentication"]["symmetricKey"]["primaryKey"])

    def test_pages(self):
        pages = self.pages("select * from devices where tags.site.name = 'Ulm'", 10)
        self.assertEqual([len(p) for p in pages], [10, 10, 10], "no empty page behind the last")
        pages = self.pages("select deviceId from devices where tags.n > 50", 4)
        self.assertEqual([len(p) for p in pages], [4, 4, 1])
        pages = self.pages("select top 5 deviceId from devices", 2)
        self.assertEqual([len(p) for p in pages], [2, 2, 1])
        pages = self.pages("select top 4 deviceId from devices", 2)
        self.assertEqual([len(p) for p in pages], [2, 2])

    def test_pages_are_stable_while_devices_come_and_go(self):
        text = "select * from devices where tags.n < 20"
        got = self.ask(text, x_ms_max_item_count="5")
        seen = [r["deviceId"] for r in self.good(got)]
        self.good(self.op.put("/devices/aaa", {"deviceId": "aaa"}))
        self.good(self.op.call("PATCH", "/twins/aaa", {"tags": {"n": 1}}))
        while got.headers.get("x-ms-continuation"):
            got = self.ask(text, x_ms_max_item_count="5",
                           x_ms_continuation=got.headers["x-ms-continuation"])
            seen += [r["deviceId"] for r in self.good(got)]
        self.assertEqual(seen, self.some(lambda i: i < 20) + ["aaa"])
        self.op.delete("/devices/aaa", If_Match="*")

    def test_a_device_made_after_the_newest_was_deleted_is_not_passed_over(self):
        self.good(self.op.put("/devices/zz-1", {"deviceId": "zz-1"}))
        text = "select * from devices"
        got = self.ask(text, x_ms_max_item_count=str(FLEET + 1))
        self.assertEqual(self.good(got)[-1]["deviceId"], "zz-1")
        self.assertNotIn("x-ms-continuation", got.headers)
        self.good(self.op.put("/devices/zz-2", {"deviceId": "zz-2"}))
        got = self.ask(text, x_ms_max_item_count=str(FLEET + 1))
        self.op.delete("/devices/zz-1", If_Match="*")
        self.op.delete("/devices/zz-2", If_Match="*")
        self.good(self.op.put("/devices/zz-3", {"deviceId": "zz-3"}))
        rest = self.good(self.ask(text, x_ms_continuation=got.headers["x-ms-continuation"]))
        self.assertEqual([r["deviceId"] for r in rest], ["zz-3"])
        self.op.delete("/devices/zz-3", If_Match="*")

    def test_a_continuation_is_of_its_query(self):
        got = self.ask("select * from devices", x_ms_max_item_count="5")
        token = got.headers["x-ms-continuation"]
        for text, word in (("select * from devices where tags.n > 3", token),
                           ("select * from devices", "!!"), ("select * from devices", "ZDE="),
                           ("select * from devices", base64.b64encode(b"x.1.2").decode())):
            bad = self.ask(text, x_ms_continuation=word)
            self.assertEqual(bad.status, 400)
            self.assertIn("continuation", bad.text)

    def test_a_made_up_continuation_does_no_harm(self):
        """What a token says is not signed: it can be made up, and must not matter."""
        got = self.ask("select deviceId from devices", x_ms_max_item_count="1")
        key = base64.b64decode(got.headers["x-ms-continuation"]).decode().split(".")[0]
        for numbers, status in (("0.%d" % (2 ** 63 - 1), 400), ("%d.0" % (2 ** 63 - 1), 200),
                                ("-1.0", 400), ("0.-1", 400), ("0.0.0", 400), ("0", 400)):
            word = base64.b64encode(("%s.%s" % (key, numbers)).encode()).decode()
            got = self.ask("select deviceId from devices", x_ms_continuation=word)
            self.assertEqual(got.status, status, numbers)
        got = self.ask("select top 3 deviceId from devices", x_ms_max_item_count="2")
        key = base64.b64decode(got.headers["x-ms-continuation"]).decode().split(".")[0]
        word = base64.b64encode((key + ".0.3").encode()).decode()
        got = self.ask("select top 3 deviceId from devices", x_ms_continuation=word)
        self.assertEqual(got.status, 400, "no more than TOP says")

    def test_the_longest_names_and_lists(self):
        self.good(self.ask("select deviceId from devices where tags.%s in [1%s]"
                           % ("\u00e9" * 7000, ",1" * 500)))

    def test_item_type(self):
        for text, item in (("select * from devices", "twin"),
                           ("select deviceId from devices", "raw"),
                           ("select count() from devices", "raw"),
                           ("select * from devices.modules", "twin")):
            self.assertEqual(self.ask(text).headers["x-ms-item-type"], item)

    def test_columns(self):
        text = "SELECT DeviceId, tags.site.name AS place, tags.live, properties.desired.deep " \
               "FROM devices WHERE tags.n IN [4, 5]"
        self.assertEqual(self.good(self.ask(text)), [
            {"deviceId": "dev-004", "place": "Jena", "live": True, "deep": {"x": "y4"}},
            {"deviceId": "dev-005", "place": "Ulm", "deep": {"x": "y5"}}])
        one = self.good(self.ask("select properties, version from devices where tags.n = 4"))[0]
        twin = self.good(self.op.get("/twins/dev-004"))
        self.assertEqual(one, {"properties": twin["properties"], "version": twin["version"]})

    def test_aggregates(self):
        count = "select count() as n from devices where "
        self.assertEqual(self.good(self.ask(count + "tags.n < 10")), [{"n": 10}])
        self.assertEqual(self.good(self.ask(count + "tags.n < 0")), [{"n": 0}])
        self.assertEqual(self.good(self.ask("SELECT COUNT() AS n FROM devices")), [{"n": FLEET}])
        rows = self.good(self.ask("SELECT status, COUNT() AS n FROM devices WHERE "
                                  "authenticationType = 'sas' GROUP BY status"))
        self.assertEqual({r["status"]: r["n"] for r in rows}, {
            "enabled": len(self.some(lambda i: i % 3 and i % 10)),
            "disabled": len(self.some(lambda i: i % 3 and not i % 10))})
        text = "SELECT tags.site.name AS s, COUNT() AS n, SUM(tags.n) AS t, AVG(tags.n) AS a, " \
               "MIN(tags.n) AS lo, MAX(tags.n) AS hi FROM devices WHERE tags.n < 10 " \
               "GROUP BY tags.site.name"
        self.assertEqual(self.good(self.ask(text)), [
            {"s": "Jena", "n": 5, "t": 20, "a": 4, "lo": 0, "hi": 8},
            {"s": "Ulm", "n": 5, "t": 25, "a": 5, "lo": 1, "hi": 9}])
        groups = self.pages("select tags.n as n from devices where is_defined(tags.n) "
                            "group by tags.n", 25)
        self.assertEqual([len(p) for p in groups], [25, 25, 10])
        self.assertEqual([r["n"] for r in sum(groups, [])], list(range(FLEET)))
        self.assertEqual(self.pages("select top 3 tags.n as n from devices group by tags.n", 2),
                         [[{"n": 0}, {"n": 1}], [{"n": 2}]])

    def test_modules(self):
        names = lambda where: self.names(where, what="devices.modules")
        self.assertEqual(names("true"), ["m0", "m1", "m2"])
        self.assertEqual(names("deviceId = 'dev-001' AND moduleId != 'm0'"), ["m1", "m2"])
        self.assertEqual(names("devices.modules.moduleId = 'm2' and devices.deviceId = 'dev-001'"),
                         ["m2"])
        self.assertEqual(names("tags.site = 'x'"), ["m1"])
        self.assertEqual(names("deviceId = 'dev-002'"), [])
        self.assertEqual(self.names("deviceId = 'dev-001/m1'"), [], "a module is no device")
        row = self.good(self.ask("select * from devices.modules where moduleId = 'm1'"))[0]
        self.assertEqual(row, self.good(self.op.get("/twins/dev-001/modules/m1")))

    def test_what_cannot_be_answered_is_400_with_what_and_where(self):
        for text, words in (
                ("", "character 1"), ("select", "character 7"),
                ("select * from devices where staus = 'x'", "character 29"),
                ("select * from devices where tags.a =", "character 37"),
                ("select * from devices where tags.a = 'x", "not closed"),
                ("select * from devices where lower(tags.a) = 'x'", "function"),
                ("select * from devices order by deviceId", "ORDER BY"),
                ("select * from devices.jobs", "devices.jobs"),
                ("select deviceId, count() from devices", "GROUP BY"),
                ("drop table devices", "SELECT"), ("x" * 9000, "characters")):
            got = self.ask(text)
            self.assertEqual(got.status, 400, text[:80])
            self.assertEqual(got.headers["iothub-errorcode"], "ArgumentInvalid")
            self.assertTrue(got.json["Message"].startswith("ErrorCode:ArgumentInvalid;"))
            self.assertIn(words, got.json["Message"])
        for body in ({"query": 7}, {}, [], "x"):
            self.assertEqual(self.op.post("/devices/query", body).status, 400)


class Hubs(harness.ServerCase):
    """Two hubs in one server: each answers of its own devices and their modules."""

    HOME_SET = {"hub": {"name": "one.example two.example"}}

    def ask(self, hub, text, **headers):
        return self.op.post("/devices/query", {"query": text}, Host=hub, **headers)

    def test_each_hub_has_its_own(self):
        for hub, names in (("one.example", ("a", "b")), ("two.example", ("c",))):
            for name in names:
                self.good(self.op.put("/devices/" + name, {"deviceId": name}, Host=hub))
                self.good(self.op.put("/devices/%s/modules/m" % name, {
                    "deviceId": name, "moduleId": "m"}, Host=hub))
                self.good(self.op.call("PATCH", "/twins/" + name, {"tags": {"t": 1}}, Host=hub))
        for text, one, two in (
                ("select deviceId from devices", ["a", "b"], ["c"]),
                ("select deviceId from devices where tags.t = 1", ["a", "b"], ["c"]),
                ("select deviceId from devices where deviceId = 'c'", [], ["c"]),
                ("select deviceId from devices.modules", ["a", "b"], ["c"])):
            for hub, want in (("one.example", one), ("two.example", two)):
                rows = self.good(self.ask(hub, text))
                self.assertEqual([r["deviceId"] for r in rows], want, (hub, text))
        for text in ("select count() as n from devices",
                     "select count() as n from devices.modules"):
            self.assertEqual([self.good(self.ask(hub, text)) for hub in
                              ("one.example", "two.example")], [[{"n": 2}], [{"n": 1}]])
        got = self.ask("one.example", "select * from devices", x_ms_max_item_count="1")
        bad = self.ask("two.example", "select * from devices",
                       x_ms_continuation=got.headers["x-ms-continuation"])
        self.assertEqual(bad.status, 400, "a continuation is of its hub")


if __name__ == "__main__":
    harness.main()
