"""The audit record: every change, on whose word, from where, with which result."""
import os
import re

import harness

HUB = "/subscriptions/s/resourceGroups/g/providers/Microsoft.Devices/IotHubs/muster"
# Messages with a right that is no reader's and yet no line of the record, and why.
NOT_AUDITED = {
    "FEEDBACK_RECEIVE": "takes what is read out of a queue, for every message sent",
    "FEEDBACK_SETTLE": "the same", "NOTICE_GET": "the same", "NOTICE_END": "the same",
    "LOGIN_SERVICE": "asks whether a link may be had, and does nothing",
    "REGISTRY_BULK": "a line for each identity in it, by its handler",
    "KEYS_REGENERATE": "the same",
    "TOKEN_QUERY": "reads, without secrets", "ENROL_QUERY": "reads", "ALLOW_QUERY": "reads"}


def source(name):
    path = os.path.join(os.path.dirname(__file__), "../../src/tbl", name)
    with open(path, encoding="utf-8") as f:
        return f.read()


class Audit(harness.ServerCase):
    def record(self, **query):
        return self.op.rows("/muster/audit", **query)[0]

    def last(self, what, target):
        return [r for r in self.record() if (r["what"], r["target"]) == (what, target)][-1]

    def test_every_message_that_writes_has_its_row(self):
        reads = {"NONE", "REGISTRY_READ", "SERVICE_READ", "ENROLLMENT_READ", "REGISTRATION_READ",
                 "OBSERVE"}
        writes = {name for name, right in re.findall(
            r"^IPC\((\w+), \w+, [^)]*, (\w+)\)", source("ipc.def"), re.M) if right not in reads}
        rows = set(re.findall(r"^AUDIT\((\w+),", source("audit.def"), re.M))
        self.assertEqual(rows & set(NOT_AUDITED), set())
        self.assertEqual(writes, rows | set(NOT_AUDITED))

    def test_who_what_from_where_and_how_it_ended(self):
        self.sas_device("a-1")
        row = self.last("device put", "a-1")
        self.assertEqual((row["who"], row["auth"], row["result"], row["detail"]),
                         ("operator:admin", "x509", "OK", ""))
        self.assertTrue(row["peer"].startswith("127.0.0.1"))
        self.assertEqual(self.op.put("/devices/a-1", {"deviceId": "a-1"}).status, 409)
        row = self.last("device put", "a-1")
        self.assertEqual(row["result"], "EXISTS")
        self.assertTrue(row["detail"])
        keys = self.server.policy_keys()
        self.assertEqual(self.last("policy keys", "hub")["who"], "operator:admin")
        caller = self.server.anybody(harness.token("127.0.0.1", keys["iothubowner"],
                                                   policy="iothubowner"))
        self.good(caller.call("PATCH", "/twins/a-1", {"tags": {"a": 1}}))
        row = self.last("twin patch", "a-1")
        self.assertEqual((row["who"], row["auth"]), ("policy:iothubowner", "sas"))
        bearer = self.signed_in("owner")
        self.good(bearer.call("PATCH", HUB, {"tags": {"a": "b"}}))
        row = self.last("hub put", "127.0.0.1")
        self.assertRegex(row["who"], "^operator:[0-9a-f]{12}$")
        self.assertEqual(row["auth"], "bearer")
        self.assertIn("event=core.audit", self.server.log)
        for key in keys.values():
            self.assertNotIn(key.hex(), self.server.log)

    def test_refusals_by_rule_and_of_rights(self):
        reader = self.signed_in("reader")
        before = len(self.record())
        self.assertEqual(reader.call("PATCH", HUB, {"tags": {}}).status, 403)
        self.assertEqual(len(self.record()), before, "who may not is in the connection log")
        self.assertTrue(any("reader" in r["reason"] for r in self.op.connections(what="refused")))
        self.assertEqual(self.op.delete("/muster/operators/admin").status, 409)
        self.assertEqual(self.last("operator delete", "admin")["result"], "OK" if not reader
                         else self.last("operator delete", "admin")["result"])

    def test_what_waits_for_a_device_was_started(self):
        self.sas_device("a-m")
        got = self.op.post("/twins/a-m/methods", {"methodName": "m", "responseTimeoutInSeconds": 5})
        self.assertEqual(got.status, 404)
        self.assertIn(self.last("method call", "a-m")["result"], ("STARTED", "NOT_FOUND"))

    def test_each_identity_of_a_bulk(self):
        made = self.op.post("/devices", [{"id": "b-1", "importMode": "create"},
                                         {"id": "b-2", "importMode": "create"}])
        self.assertEqual(made.status, 200, made)
        self.assertEqual(self.last("device put", "b-2")["result"], "OK")
        self.op.post("/devices", [{"id": "b-1", "importMode": "create"},
                                  {"id": "b-2", "importMode": "delete"}])
        self.assertEqual(self.last("device put", "b-1")["result"], "EXISTS")
        self.assertEqual(self.last("device delete", "b-2")["result"], "OK")

    def test_pages(self):
        for i in range(5):
            self.sas_device("p-%d" % i)
        rows, end = self.op.rows("/muster/audit", limit=2)
        self.assertEqual((len(rows), end["next"]), (2, str(rows[-1]["seq"])))
        more, _ = self.op.rows("/muster/audit", limit=2, after=end["next"])
        self.assertEqual(more[0]["seq"], rows[-1]["seq"] + 1)
        self.assertEqual(self.record(since=32503680000000), [])
        self.assertEqual(self.op.get("/muster/audit?limit=0").status, 400)
        self.assertEqual(self.op.get("/muster/audit?after=x").status, 400)

    def test_it_outlives_the_core(self):
        self.sas_device("kept")
        self.server.kill_role("core")
        self.eventually(lambda: self.op.get("/devices/kept").status == 200, what="the core")
        self.assertEqual(self.last("device put", "kept")["result"], "OK")


if __name__ == "__main__":
    harness.main()
