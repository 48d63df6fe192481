"""The registry as a whole: several identities in one request (service.md 2.4), statistics, and
the traps of both (T14, T16, T17, T18)."""
import base64
import json

import harness


class Bulk(harness.ServerCase):
    def bulk(self, *items):
        return self.op.post("/devices", list(items))

    def works_out(self, *items):
        got = self.good(self.bulk(*items))
        self.assertEqual(got, {"isSuccessful": True, "errors": [], "warnings": []})

    def fails(self, answer, *names):
        """400 with the result as its body; the names of what went wrong, item by item."""
        self.assertEqual(answer.status, 400, answer)
        self.assertEqual(answer.headers["iothub-errorcode"], "BulkRegistryOperationFailure")
        self.assertFalse(answer.json["isSuccessful"])
        self.assertEqual([e["errorCode"] for e in answer.json["errors"]], list(names))
        return answer.json["errors"]

    def get(self, device, kind="devices"):
        return self.good(self.op.get("/%s/%s" % (kind, device)))

    def create(self, *names, **more):
        self.works_out(*({"id": n, "importMode": "create", **more} for n in names))

    def test_create(self):
        thumb = "ab" * 32
        self.works_out(
            {"id": "c-1", "importMode": "create"},
            {"id": "c-2", "importMode": "Create", "status": "disabled", "statusReason": "new",
             "authentication": {"type": "selfSigned",
                                "x509Thumbprint": {"primaryThumbprint": thumb}},
             "capabilities": {"iotEdge": True}, "tags": {"site": "Ulm"},
             "properties": {"desired": {"rate": 5}}},
            {"id": "c-3", "importMode": "create",
             "authentication": {"type": "certificateAuthority"}})
        one, two, three = (self.get("c-%d" % i) for i in (1, 2, 3))
        self.assertEqual(one["authentication"]["type"], "sas")
        self.assertEqual(len(base64.b64decode(
            one["authentication"]["symmetricKey"]["primaryKey"])), 64)
        self.assertEqual((two["status"], two["statusReason"], two["capabilities"]),
                         ("disabled", "new", {"iotEdge": True}))
        self.assertEqual(two["authentication"]["x509Thumbprint"]["primaryThumbprint"], thumb)
        self.assertEqual(three["authentication"]["type"], "certificateAuthority")
        twin = self.get("c-2", "twins")
        self.assertEqual(twin["tags"], {"site": "Ulm"})
        self.assertEqual(twin["properties"]["desired"]["rate"], 5)

    def test_what_fails_leaves_the_others(self):
        self.create("f-1")
        errors = self.fails(
            self.bulk({"id": "f-1", "importMode": "create"}, {"id": "f-2", "importMode": "create"},
                      {"id": "f-3", "importMode": "delete"}, {"id": "f 4", "importMode": "create"},
                      {"id": "f-5", "importMode": "magic"}, {"id": "f-6"},
                      {"id": "f-7", "importMode": "create", "status": "maybe"},
                      {"id": "f-2", "importMode": "delete"}, {}, 7),
            "ArgumentInvalid", "ArgumentInvalid", "ArgumentInvalid", "ArgumentInvalid",
            "DeviceDefinedMultipleTimes", "ArgumentInvalid", "DeviceDefinedMultipleTimes",
            "DeviceAlreadyExists", "DeviceNotFound")
        self.assertEqual([e["deviceId"] for e in errors],
                         ["f 4", "f-5", "f-6", "f-7", "f-2", "", "", "f-1", "f-3"])
        self.assertTrue(all(e["errorStatus"] for e in errors))
        self.get("f-2")
        for name in ("f-5", "f-6", "f-7"):
            self.assertEqual(self.op.get("/devices/" + name).status, 404)

    def test_update(self):
        self.create("u-1", "u-2", "u-3")
        one, two = self.get("u-1"), self.get("u-2")
        self.works_out({"id": "u-1", "importMode": "Update", "status": "disabled"},
                       {"id": "u-2", "importMode": "UpdateIfMatchETag", "eTag": two["etag"],
                        "authentication": {"type": "certificateAuthority"}})
        now = self.get("u-1")
        self.assertEqual(now["status"], "disabled")
        self.assertEqual(now["generationId"], one["generationId"])
        self.assertNotEqual(now["etag"], one["etag"])
        self.assertEqual(self.get("u-2")["authentication"]["symmetricKey"]["primaryKey"], None)
        self.fails(self.bulk(
            {"id": "u-2", "importMode": "updateIfMatchETag", "eTag": two["etag"]},
            {"id": "u-3", "importMode": "updateIfMatchETag"},
            {"id": "nobody", "importMode": "update"}),
            "ArgumentInvalid", "PreconditionFailed", "DeviceNotFound")

    def test_every_spelling_of_an_etag(self):
        """T17."""
        self.create("e-1")
        for form in ("*", '"*"', '"%s"', "%s"):
            etag = self.get("e-1")["etag"]
            self.works_out({"id": "e-1", "importMode": "updateIfMatchETag",
                            "eTag": form % etag if "%" in form else form})
        for bad in ("", "nonsense", '"bm9wZQ=="'):
            self.fails(self.bulk({"id": "e-1", "importMode": "updateIfMatchETag", "eTag": bad}),
                       "PreconditionFailed")

    def test_delete(self):
        self.create("d-1", "d-2", "d-3")
        etag = self.get("d-2")["etag"]
        self.fails(self.bulk({"id": "d-1", "importMode": "Delete"},
                             {"id": "d-2", "importMode": "DeleteIfMatchETag", "eTag": etag},
                             {"id": "d-3", "importMode": "deleteIfMatchETag", "eTag": "MTIz"}),
                   "PreconditionFailed")
        self.assertEqual([self.op.get("/devices/d-%d" % i).status for i in (1, 2, 3)],
                         [404, 404, 200])

    def test_twins(self):
        self.create("t-1", tags={"a": 1, "b": 2})
        self.works_out({"id": "t-1", "importMode": "updateTwin", "tags": {"a": None, "c": 3},
                        "properties": {"desired": {"x": 1}}})
        twin = self.get("t-1", "twins")
        self.assertEqual(twin["tags"], {"b": 2, "c": 3})
        self.assertEqual(twin["properties"]["desired"]["x"], 1)
        item = {"id": "t-1", "importMode": "updateTwinIfMatchETag", "tags": {"c": 4}}
        self.fails(self.bulk({**item, "twinETag": "MTIz"}), "PreconditionFailed")
        self.works_out({**item, "twinETag": twin["etag"]})
        self.assertEqual(self.get("t-1", "twins")["tags"], {"b": 2, "c": 4})

    def test_who_writes_the_registry_changes_twins_here_and_nowhere_else(self):
        """Azure asks the same right of all modes, and another one of a twin alone."""
        self.works_out({"id": "rw-1", "importMode": "create"})
        key = self.server.policy_keys()["registryReadWrite"]
        caller = self.server.anybody(
            harness.token("127.0.0.1", key, policy="registryReadWrite"))
        patch = {"tags": {"by": "bulk"}}
        self.assertEqual(caller.call("PATCH", "/twins/rw-1", patch).status, 403)
        got = caller.post("/devices", [{"id": "rw-1", "importMode": "updateTwin", **patch}])
        self.assertTrue(self.good(got)["isSuccessful"])
        self.assertEqual(self.op.get("/twins/rw-1").json["tags"], patch["tags"])

    def test_a_twin_that_cannot_be_makes_no_device(self):
        tags = {"k%d" % i: "x" * 4000 for i in range(3)}
        self.fails(self.bulk({"id": "w-1", "importMode": "create", "tags": tags}),
                   "MessageTooLarge")
        self.assertEqual(self.op.get("/devices/w-1").status, 404)

    def test_modules(self):
        self.create("m-1")
        self.works_out({"id": "m-1", "moduleId": "a", "importMode": "create", "managedBy": "me"},
                       {"id": "m-1", "moduleId": "b", "importMode": "create", "tags": {"t": 1}})
        self.assertEqual(self.get("m-1/modules/a")["managedBy"], "me")
        self.assertEqual(self.get("m-1/modules/b", "twins")["tags"], {"t": 1})
        errors = self.fails(self.bulk(
            {"id": "m-1", "moduleId": "a", "importMode": "create"},
            {"id": "m-1", "moduleId": "b", "importMode": "delete"},
            {"id": "m-1", "moduleId": "c", "importMode": "delete"}),
            "ModuleAlreadyExistsOnDevice", "ModuleNotFound")
        self.assertEqual([e["moduleId"] for e in errors], ["a", "c"])
        self.assertEqual(self.op.get("/devices/m-1/modules/b").status, 404)

    def test_a_connection_that_its_identity_no_longer_admits_ends(self):
        key = self.sas_device("k-1")
        client = self.hub("k-1", key)
        self.works_out({"id": "k-1", "importMode": "update", "status": "disabled",
                        "authentication": {"type": "sas"}})
        self.eventually(lambda: self.get("k-1")["connectionState"] == "Disconnected")
        client.close()

    def test_a_hundred(self):
        names = ["h-%03d" % i for i in range(100)]
        self.create(*names)
        over = ({"id": n, "importMode": "delete"} for n in names + ["x"])
        got = self.bulk(*over)
        self.assertEqual((got.status, got.headers["iothub-errorcode"]), (413, "TooManyDevices"))
        self.assertEqual(self.get("h-099")["status"], "enabled")
        self.works_out(*({"id": n, "importMode": "delete"} for n in names))
        self.assertEqual(self.op.get("/devices/h-000").status, 404)

    def test_a_body_over_its_cap(self):
        item = {"id": "cap-1", "importMode": "updateTwin", "tags": {"t": "x" * 300000}}
        self.assertEqual(self.bulk(item).status, 413)

    def test_bodies_that_are_no_list(self):
        for body in ([], {}, "x", 7, None):
            got = self.op.post("/devices", json.dumps(body).encode())
            self.assertEqual(got.status, 400)
            self.assertEqual(got.headers["iothub-errorcode"], "ArgumentInvalid")
        self.assertEqual(self.op.post("/devices/", [{"id": "s-1", "importMode": "create"}]).status,
                         200, "T6: a slash behind it")

    def test_keys_are_not_in_the_log(self):
        key = base64.b64encode(b"k" * 48).decode()
        self.create("log-1", authentication={"type": "sas", "symmetricKey": {
            "primaryKey": key, "secondaryKey": key}})
        self.assertEqual(self.get("log-1")["authentication"]["symmetricKey"]["primaryKey"], key)
        self.assertNotIn(key, self.server.log)


class Keys(harness.ServerCase):
    """Fresh keys for several identities at once."""

    def regenerate(self, which, *items):
        return self.op.post("/devices/keys/regenerate",
                            {"policyKey": which, "devices": list(items)})

    def keys(self, path):
        got = self.good(self.op.get(path))["authentication"]["symmetricKey"]
        return got["primaryKey"], got["secondaryKey"]

    def test_fresh_keys(self):
        self.sas_device("g-1")
        self.good(self.op.put("/devices/g-1/modules/m", {}))
        old, module = self.keys("/devices/g-1"), self.keys("/devices/g-1/modules/m")
        etag = self.good(self.op.get("/devices/g-1"))["etag"]
        got = self.good(self.regenerate("secondaryKey", {"id": "g-1"}))
        new = self.keys("/devices/g-1")
        self.assertEqual(got, {"policyKey": "secondaryKey", "errors": [], "rotatedKeys": [
            {"id": "g-1", "moduleId": None, "primaryKey": None, "secondaryKey": new[1]}]})
        self.assertEqual(new[0], old[0])
        self.assertNotEqual(new[1], old[1])
        self.assertEqual(len(base64.b64decode(new[1])), 64)
        self.assertNotEqual(self.good(self.op.get("/devices/g-1"))["etag"], etag)
        self.assertEqual(self.keys("/devices/g-1/modules/m"), module)
        got = self.good(self.regenerate("both", {"id": "g-1"}, {"id": "g-1", "moduleId": "m"}))
        self.assertEqual([(r["id"], r["moduleId"]) for r in got["rotatedKeys"]],
                         [("g-1", None), ("g-1", "m")])
        fresh = self.keys("/devices/g-1/modules/m")
        self.assertEqual((got["rotatedKeys"][1]["primaryKey"],
                          got["rotatedKeys"][1]["secondaryKey"]), fresh)
        self.assertFalse(set(fresh) & set(module))
        rows = [r for r in self.op.rows("/muster/audit")[0] if r["what"] == "device keys"]
        self.assertEqual([(r["target"], r["result"]) for r in rows], [("g-1", "OK")] * 3)
        self.assertNotIn(fresh[0], json.dumps(self.op.rows("/muster/audit")[0]))

    def test_the_old_key_opens_nothing_and_its_session_ends(self):
        key = self.sas_device("g-2")
        client = self.hub("g-2", key=key)
        self.good(self.regenerate("primaryKey", {"id": "g-2"}))
        self.assertTrue(client.closes(20))
        self.refused(lambda: self.hub("g-2", key=key))
        self.hub("g-2", key=base64.b64decode(self.keys("/devices/g-2")[0])).disconnect()

    def test_what_has_no_keys(self):
        self.ca_device("g-3")
        self.sas_device("g-4")
        got = self.regenerate("both", {"id": "g-3"}, {"id": "g-4"}, {"id": "nobody"},
                              {"id": "g-4", "moduleId": "none"})
        self.assertEqual((got.status, got.headers["iothub-errorcode"]),
                         (207, "BulkRegenerateDeviceKeyOperationFailure"), got)
        self.assertEqual([e["errorCode"] for e in got.json["errors"]],
                         ["ArgumentInvalid", "DeviceNotFound", "ModuleNotFound"])
        self.assertEqual([r["id"] for r in got.json["rotatedKeys"]], ["g-4"])
        self.assertEqual(self.regenerate("both", {"id": "nobody"}).status, 400)
        got = self.regenerate("swap", {"id": "g-4"})
        self.assertEqual((got.status, got.headers["iothub-errorcode"]), (400, "InvalidPolicyKey"))
        for items in ([], [{}], [5], [{"id": "x" * 200}], [{"id": "g-4"}] * 101):
            self.assertIn(self.regenerate("both", *items).status, (400, 413))


class Statistics(harness.ServerCase):
    def test_counts(self):
        devices = lambda: self.good(self.op.get("/statistics/devices"))
        self.assertEqual(devices(), {"totalDeviceCount": 0, "enabledDeviceCount": 0,
                                     "disabledDeviceCount": 0})
        key = self.sas_device("s-1")
        self.good(self.op.put("/devices/s-2", {"deviceId": "s-2", "status": "disabled"}))
        self.good(self.op.put("/devices/s-1/modules/m", {"deviceId": "s-1", "moduleId": "m"}))
        self.assertEqual(devices(), {"totalDeviceCount": 2, "enabledDeviceCount": 1,
                                     "disabledDeviceCount": 1})
        connected = lambda: self.good(self.op.get("/statistics/service"))["connectedDeviceCount"]
        self.assertEqual(connected(), 0)
        client = self.hub("s-1", key)
        self.assertEqual(connected(), 1)
        client.close()
        self.eventually(lambda: connected() == 0)


if __name__ == "__main__":
    harness.main()
