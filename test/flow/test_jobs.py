"""Scheduled jobs (service.md 2.7): twins and methods for whoever a condition is true of."""
import json
import time

import harness

POST = "$iothub/methods/POST/"
MANY = 800


def at(ahead):
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + ahead))


class Jobs(harness.ServerCase):
    def create(self, *names, **more):
        for i in range(0, len(names), 100):
            self.good(self.op.post("/devices", [
                {"id": n, "importMode": "create", **more} for n in names[i:i + 100]]))

    def schedule(self, job, **body):
        return self.op.put("/jobs/v2/" + job, {"jobId": job, "startTime": None, **body})

    def update(self, job, condition, tags=None, desired=None, **more):
        patch = {"etag": "*", "tags": tags or {}, "properties": {"desired": desired or {}}}
        return self.schedule(job, type="scheduleUpdateTwin", queryCondition=condition,
                             updateTwin=patch, **more)

    def call(self, job, condition, **more):
        method = {"methodName": "reboot", "payload": {"delay": 5}, "responseTimeoutInSeconds": 20}
        method.update(more)
        return self.schedule(job, type="scheduleDeviceMethod", queryCondition=condition,
                             cloudToDeviceMethod=method, maxExecutionTimeInSeconds=300)

    def job(self, job):
        return self.good(self.op.get("/jobs/v2/" + job))

    def ended(self, job, timeout=60):
        return self.eventually(lambda: (lambda j: j if j["endTime"] else None)(self.job(job)),
                               timeout, "end of job " + job)

    def counts(self, job):
        s = job["deviceJobStatistics"]
        self.assertEqual(s["pendingCount"], 0)
        self.assertEqual(s["deviceCount"],
                         s["succeededCount"] + s["failedCount"] + s["runningCount"])
        return s["succeededCount"], s["failedCount"], s["runningCount"]

    def refused(self, answer, status, name):
        self.assertEqual((answer.status, answer.headers["iothub-errorcode"]), (status, name),
                         answer)

    def listed(self, query=""):
        return sorted(j["jobId"] for j in self.good(self.op.get("/jobs/v2/query?" + query)))

    def test_twins_are_updated_where_the_condition_is_true(self):
        self.create("t-1", "t-2", tags={"site": "Ulm", "old": 1})
        self.create("t-3", tags={"site": "Bonn"})
        made = self.good(self.update("twin-1", "tags.site = 'Ulm'", {"old": None, "new": 1},
                                     {"rate": 5}))
        self.assertEqual((made["jobId"], made["type"], made["queryCondition"], made["status"]),
                         ("twin-1", "scheduleUpdateTwin", "tags.site = 'Ulm'", "queued"))
        done = self.ended("twin-1")
        self.assertEqual((done["status"], self.counts(done)), ("completed", (2, 0, 0)))
        self.assertEqual(done["updateTwin"], {
            "etag": "*", "tags": {"old": None, "new": 1}, "properties": {"desired": {"rate": 5}}})
        for name in ("t-1", "t-2"):
            twin = self.good(self.op.get("/twins/" + name))
            self.assertEqual(twin["tags"], {"site": "Ulm", "new": 1})
            self.assertEqual(twin["properties"]["desired"]["rate"], 5)
        self.assertEqual(self.good(self.op.get("/twins/t-3"))["tags"], {"site": "Bonn"})
        self.refused(self.update("twin-1", "*"), 409, "JobAlreadyExists")
        # an etag that is no twin's
        self.good(self.schedule("twin-2", type="scheduleUpdateTwin", updateTwin={
            "etag": "MTIzNDU=", "tags": {"x": 1}}, queryCondition="tags.site = 'Ulm'"))
        done = self.ended("twin-2")
        self.assertEqual((done["status"], self.counts(done)), ("completed", (0, 2, 0)))
        row = [r for r in self.op.rows("/muster/audit")[0] if r["target"] == "twin-1"][0]
        self.assertEqual((row["what"], row["who"]), ("job put", "operator:admin"))

    def test_a_connected_device_is_told(self):
        client = self.hub("n-1", key=self.sas_device("n-1"))
        client.subscribe("$iothub/twin/PATCH/properties/desired/#")
        self.good(self.update("told", "deviceId = 'n-1'", None, {"rate": 9}))
        topic, body = client.message()
        self.assertTrue(topic.startswith("$iothub/twin/PATCH/properties/desired/"), topic)
        self.assertEqual(json.loads(body)["rate"], 9)
        self.ended("told")

    def test_methods(self):
        names = ["m-%d" % i for i in range(3)]
        clients = {n: self.hub(n, key=self.sas_device(n)) for n in names}
        for name in names[:2]:
            clients[name].subscribe(POST + "#", qos=0)
        self.good(self.call("call-1", "deviceId IN ['m-0', 'm-1', 'm-2']"))
        topic, body = clients["m-0"].message()
        self.assertEqual(json.loads(body), {"delay": 5})
        # m-1 has not answered yet, m-2 does not listen
        self.eventually(lambda: self.counts(self.job("call-1")) == (0, 1, 2))
        clients["m-0"].publish("$iothub/methods/res/200/?" + topic.split("/?")[1], "{}", qos=0)
        self.eventually(lambda: self.counts(self.job("call-1")) == (1, 1, 1))
        self.assertEqual(self.job("call-1")["status"], "running")
        topic, _ = clients["m-1"].message()
        clients["m-1"].publish("$iothub/methods/res/500/?" + topic.split("/?")[1], "{}", qos=0)
        done = self.ended("call-1")
        self.assertEqual((done["status"], self.counts(done)), ("completed", (2, 1, 0)))
        self.assertEqual(done["cloudToDeviceMethod"], {
            "methodName": "reboot", "payload": {"delay": 5}, "connectTimeoutInSeconds": 0,
            "responseTimeoutInSeconds": 20})

    def test_one_that_waits_can_be_cancelled(self):
        self.create("w-1")
        made = self.good(self.update("later", "deviceId = 'w-1'", {"x": 1}, startTime=at(3600)))
        self.assertEqual(made["status"], "scheduled")
        gone = self.good(self.op.post("/jobs/v2/later/cancel"))
        self.assertEqual(gone["status"], "cancelled")
        self.assertTrue(gone["endTime"])
        self.refused(self.op.post("/jobs/v2/later/cancel"), 412, "JobRunPreconditionFailed")
        self.assertIn("later", self.listed("jobStatus=cancelled"))
        self.assertNotIn("later", self.listed("jobStatus=completed&jobType=scheduleUpdateTwin"))
        self.good(self.update("soon", "deviceId = 'w-1'", {"y": 2}, startTime=at(2)))
        self.assertEqual(self.counts(self.ended("soon")), (1, 0, 0))
        self.assertEqual(self.good(self.op.get("/twins/w-1"))["tags"], {"y": 2})

    def test_what_is_none(self):
        for name in ("none", "x" * 200, "a%2Fb"):
            self.refused(self.op.get("/jobs/v2/" + name), 404, "JobNotFound")
            self.refused(self.op.post("/jobs/v2/%s/cancel" % name), 404, "JobNotFound")
        for more in ({"queryCondition": "tags.x ="}, {"queryCondition": "1 = 1 GROUP BY status"},
                     {"queryCondition": ""}, {"type": "export"}, {"jobId": "other"},
                     {"startTime": "tomorrow"}, {"maxExecutionTimeInSeconds": 0},
                     {"updateTwin": {}}, {"updateTwin": {"tags": {"$x": 1}}},
                     {"updateTwin": None}):
            body = {"type": "scheduleUpdateTwin", "queryCondition": "*",
                    "updateTwin": {"tags": {"a": 1}}, **more}
            self.assertEqual(self.op.put("/jobs/v2/bad", body).status, 400, more)
        self.assertEqual(self.op.get("/jobs/v2/query?jobType=magic").status, 400)
        self.assertEqual(self.good(self.op.get("/jobs/v2/query?jobType=export")), [])

    def test_pages_and_limits(self):
        for i in range(3):
            self.good(self.update("p-%d" % i, "*", {"x": 1}, startTime=at(7200)))
        got = self.op.get("/jobs/v2/query", x_ms_max_item_count="2")
        first = [j["jobId"] for j in self.good(got)]
        self.assertEqual(len(first), 2)
        rest = self.op.get("/jobs/v2/query", x_ms_continuation=got.headers["x-ms-continuation"])
        self.assertTrue({"p-0", "p-1", "p-2"} <= set(
            first + [j["jobId"] for j in self.good(rest)]))
        self.create("limit")
        calls = [self.call("busy-%d" % i, "deviceId = 'limit'", connectTimeoutInSeconds=300)
                 for i in range(11)]
        self.assertEqual([c.status for c in calls[:10]], [200] * 10)
        self.refused(calls[-1], 429, "ThrottlingMaxActiveJobCountExceeded")
        for i in range(10):
            self.good(self.op.post("/jobs/v2/busy-%d/cancel" % i))

    def test_goes_on_after_a_kill_and_does_nothing_twice(self):
        """A call that was under way is not repeated, and has failed."""
        client = self.hub("z-1", key=self.sas_device("z-1"))
        client.subscribe(POST + "#", qos=0)
        self.good(self.call("lost", "deviceId = 'z-1'"))
        client.message()
        names = ["k-%04d" % i for i in range(MANY)]
        self.create(*names, tags={"kill": True})
        self.good(self.update("long", "tags.kill = true", None, {"n": 1}))
        self.eventually(lambda: self.counts(self.job("long"))[0] > 0)
        self.server.kill_role("core")
        done = self.eventually(lambda: self.ended("long", 5), 90)
        self.assertEqual((done["status"], self.counts(done)), ("completed", (MANY, 0, 0)))
        rows, token = [], {}
        while True:
            got = self.op.post("/devices/query", {
                "query": "SELECT deviceId, properties.desired.$version AS v FROM devices"
                         " WHERE tags.kill = true"}, **token)
            rows += self.good(got)
            if "x-ms-continuation" not in got.headers:
                break
            token = {"x_ms_continuation": got.headers["x-ms-continuation"]}
        self.assertEqual([r["deviceId"] for r in rows], names)
        self.assertEqual({r["v"] for r in rows}, {2})
        done = self.ended("lost")
        self.assertEqual((done["status"], self.counts(done)), ("completed", (0, 1, 0)))


class ManyJobs(harness.ServerCase):
    def pages(self, query=""):
        all_of, token = [], {}
        while not all_of or token:
            got = self.op.get("/jobs/v2/query" + query, **token)
            all_of.append([j["jobId"] for j in self.good(got)])
            text = got.headers["x-ms-continuation"]
            token = {"x_ms_continuation": text} if text else {}
        return all_of

    def test_a_page_looks_at_so_many_and_no_more(self):
        body = {"type": "scheduleUpdateTwin", "queryCondition": "*", "startTime": at(86400),
                "updateTwin": {"etag": "*", "tags": {"x": 1}}}
        names = ["w-%03d" % i for i in range(249)]
        for name in names:
            self.good(self.op.put("/jobs/v2/" + name, {"jobId": name, **body}))
            self.good(self.op.post("/jobs/v2/%s/cancel" % name))
        self.good(self.op.put("/jobs/v2/x", {"jobId": "x", **body}))
        self.assertEqual(self.pages("?jobStatus=scheduled"), [[], ["x"]])
        self.assertEqual(sum(self.pages(), []), names + ["x"])


if __name__ == "__main__":
    harness.main()
