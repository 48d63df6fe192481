"""Direct methods (device.md 3.11, service.md 2.6)."""
import base64
import json
import threading
import time

import harness
import mqtt

POST = "$iothub/methods/POST/"
RES = "$iothub/methods/res/%s/?$rid=%s"


class Call(threading.Thread):
    """A call of the service, under way."""

    def __init__(self, case, path, body, **more):
        super().__init__(daemon=True)
        self.api, self.path, self.body, self.more = case.server.operator(), path, body, more
        self.answer = None
        case.addCleanup(self.api.close)
        self.start()

    def run(self):
        self.answer = self.api.post(self.path, self.body, **self.more)

    def done(self, timeout=30):
        self.join(timeout)
        assert self.answer is not None, "no answer within %d s" % timeout
        return self.answer


class Methods(harness.ServerCase):
    def listen(self, device, qos=0, **more):
        client = self.hub(device, key=self.sas_device(device), **more)
        self.assertEqual(client.subscribe(POST + "#", qos=qos), [qos])
        return client

    def call(self, device, method="reboot", payload=None, response=30, connect=0):
        return Call(self, "/twins/%s/methods" % device, {
            "methodName": method, "payload": payload, "responseTimeoutInSeconds": response,
            "connectTimeoutInSeconds": connect})

    def request(self, client, method="reboot"):
        """The next request: its rid and payload."""
        topic, body = client.message()
        head = POST + method + "/?$rid="
        self.assertTrue(topic.startswith(head), topic)
        rid = topic[len(head):]
        self.assertRegex(rid, "^[0-9a-f]{1,16}$")
        return rid, json.loads(body)

    def refused(self, answer, status, name):
        self.assertEqual((answer.status, answer.headers["iothub-errorcode"]), (status, name),
                         answer)

    def test_call_and_answer(self):
        for qos in (0, 1):
            client = self.listen("m-%d" % qos, qos)
            call = self.call("m-%d" % qos, payload={"delay": 5, "name": "é"})
            rid, payload = self.request(client)
            self.assertEqual(payload, {"delay": 5, "name": "é"})
            client.publish(RES % (207, rid), '{"ok": true, "n": [1, 2.5, null]}', qos=qos)
            self.assertEqual(self.good(call.done()), {
                "status": 207, "payload": {"ok": True, "n": [1, 2.5, None]}})

    def test_qos_of_the_request_is_the_one_granted(self):
        for qos in (0, 1):
            client = self.listen("m-q%d" % qos, qos)
            call = self.call("m-q%d" % qos)
            first, body = client.read(20)
            self.assertEqual(first, 0x32 if qos else 0x30)
            client.inbox.append(mqtt.parse_publish(first, body))
            client.publish(RES % (200, self.request(client)[0]), "{}", qos=0)
            self.good(call.done())

    def test_payloads_and_statuses_of_every_kind(self):
        client = self.listen("m-kinds")
        for payload in (None, 0, "text", [], {}, {"a": {"b": [1]}}, True):
            call = self.call("m-kinds", payload=payload)
            rid, got = self.request(client)
            self.assertEqual(got, payload)
            client.publish(RES % (0, rid), json.dumps(payload), qos=0)
            self.assertEqual(self.good(call.done()), {"status": 0, "payload": payload})
        for status in (-1, 404, 2147483647):
            call = self.call("m-kinds")
            rid, _ = self.request(client)
            client.publish(RES % (status, rid), b"", qos=1)
            self.assertEqual(self.good(call.done()), {"status": status, "payload": None})

    def test_calls_at_once_are_told_apart(self):
        client = self.listen("m-many", 1)
        calls = {n: self.call("m-many", payload=n) for n in range(20)}
        asked = [self.request(client) for _ in calls]
        self.assertEqual(len({rid for rid, _ in asked}), 20)
        for rid, n in reversed(asked):
            client.publish(RES % (200, rid), json.dumps({"n": n}))
        for n, call in calls.items():
            self.assertEqual(self.good(call.done())["payload"], {"n": n})

    def test_device_that_is_not_there(self):
        self.sas_device("m-off")
        self.refused(self.call("m-off").done(), 404, "DeviceNotOnline")
        self.refused(self.call("nobody").done(), 404, "DeviceNotFound")
        client = self.hub("m-off", key=self.good_key("m-off"))
        # connected, and not listening
        self.refused(self.call("m-off").done(), 404, "DeviceNotOnline")
        client.subscribe(POST + "#", qos=0)
        call = self.call("m-off")
        client.publish(RES % (200, self.request(client)[0]), "{}", qos=0)
        self.good(call.done())
        client.unsubscribe(POST + "#")
        self.refused(self.call("m-off").done(), 404, "DeviceNotOnline")

    def good_key(self, device):
        got = self.good(self.op.get("/devices/" + device))
        return base64.b64decode(got["authentication"]["symmetricKey"]["primaryKey"])

    def test_connect_timeout_waits_for_device_and_subscription(self):
        key = self.sas_device("m-wait")
        call = self.call("m-wait", payload="late", connect=60)
        time.sleep(0.3)
        client = self.hub("m-wait", key=key, clean=False)
        time.sleep(0.3)
        self.assertIsNone(call.answer)
        client.subscribe(POST + "#", qos=0)
        rid, payload = self.request(client)
        self.assertEqual(payload, "late")
        client.publish(RES % (200, rid), '"here"', qos=0)
        self.assertEqual(self.good(call.done()), {"status": 200, "payload": "here"})
        client.close()
        # the stored subscription is enough
        self.eventually(lambda: self.good(self.op.get(
            "/devices/m-wait"))["connectionState"] == "Disconnected")
        call = self.call("m-wait", connect=60)
        time.sleep(0.3)
        client = self.hub("m-wait", key=key, clean=False)
        client.publish(RES % (200, self.request(client)[0]), "1", qos=0)
        self.assertEqual(self.good(call.done())["payload"], 1)

    def test_time_limits(self):
        self.sas_device("m-time")
        start = time.monotonic()
        self.refused(self.call("m-time", connect=1).done(), 404, "DeviceNotOnline")
        self.assertGreater(time.monotonic() - start, 0.9)
        client = self.hub("m-time", key=self.good_key("m-time"))
        client.subscribe(POST + "#", qos=0)
        call = self.call("m-time", response=5)
        rid, _ = self.request(client)
        self.refused(call.done(), 504, "GatewayTimeout")
        # too late, twice, and never asked: ignored, and acknowledged
        for what in (rid, rid, "ffffffffffffffff", "1", "zz", "A" * 200, "%24"):
            client.publish(RES % (200, what), "{}", qos=1)
        client.ping()

    def test_answer_of_another_device_does_not_count(self):
        client, other = self.listen("m-own"), self.listen("m-other")
        call = self.call("m-own")
        rid, _ = self.request(client)
        other.publish(RES % (200, rid), '"forged"', qos=1)
        client.publish(RES % (200, rid), '"true"', qos=1)
        self.assertEqual(self.good(call.done())["payload"], "true")

    def test_module_has_methods_of_its_own(self):
        device = self.listen("m-edge")
        path = "/devices/m-edge/modules/mod"
        got = self.good(self.op.put(path, {"moduleId": "mod", "deviceId": "m-edge"}))
        key = base64.b64decode(got["authentication"]["symmetricKey"]["primaryKey"])
        module = self.hub("m-edge/mod", password=harness.token("127.0.0.1" + path, key))
        module.subscribe(POST + "#", qos=0)
        call = Call(self, "/twins/m-edge/modules/mod/methods", {"methodName": "reboot"})
        rid, _ = self.request(module)
        device.publish(RES % (200, rid), '"forged"', qos=1)
        module.publish(RES % (200, rid), '"mine"', qos=1)
        self.assertEqual(self.good(call.done())["payload"], "mine")
        call = self.call("m-edge")
        device.publish(RES % (200, self.request(device)[0]), '"device"', qos=1)
        self.assertEqual(self.good(call.done())["payload"], "device")
        got = self.op.post("/twins/m-edge/modules/none/methods", {"methodName": "reboot"})
        self.refused(got, 404, "ModuleNotFound")

    def test_answer_may_come_on_the_next_connection(self):
        client = self.listen("m-re")
        call = self.call("m-re")
        rid, _ = self.request(client)
        client.close()
        client = self.hub("m-re", key=self.good_key("m-re"))
        client.publish(RES % (200, rid), '"back"', qos=1)
        self.assertEqual(self.good(call.done())["payload"], "back")

    def test_answer_that_is_no_json(self):
        client = self.listen("m-json")
        for body in (b"{", b"plain", b"\xff", b'{"a":1,"a":2}', b"x" * (129 * 1024)):
            call = self.call("m-json")
            rid, _ = self.request(client)
            client.publish(RES % (200, rid), body, qos=1)
            self.refused(call.done(), 502, "GenericBadGateway")

    def test_what_cannot_be_called(self):
        self.listen("m-bad")
        for body in ({}, {"methodName": ""}, {"methodName": "a/b"}, {"methodName": "a b"},
                     {"methodName": "a#"}, {"methodName": "a+"}, {"methodName": "a$"},
                     {"methodName": "é"}, {"methodName": "x" * 129}, {"methodName": 1},
                     {"methodName": "a", "responseTimeoutInSeconds": 4},
                     {"methodName": "a", "responseTimeoutInSeconds": 301},
                     {"methodName": "a", "responseTimeoutInSeconds": "x"},
                     {"methodName": "a", "connectTimeoutInSeconds": 301},
                     {"methodName": "a", "connectTimeoutInSeconds": -1}):
            self.assertEqual(self.op.post("/twins/m-bad/methods", body).status, 400, body)
        got = self.op.post("/twins/m-bad/methods", {"methodName": "a", "payload": "x" * 131072})
        self.assertEqual(got.status, 413, got)
        self.assertEqual(self.op.post("/twins/m-bad%2Fx/methods", {"methodName": "a"}).status, 404)

    def test_largest_payload_both_ways(self):
        client = self.listen("m-big")
        text = "x" * (128 * 1024 - 2)
        call = self.call("m-big", payload=text)
        rid, got = self.request(client)
        self.assertEqual(got, text)
        client.publish(RES % (200, rid), json.dumps(text), qos=1)
        self.assertEqual(self.good(call.done())["payload"], text)

    def test_names_of_components_and_timeouts_as_text(self):
        client = self.listen("m-pnp")
        call = Call(self, "/twins/m-pnp/methods", {
            "methodName": "thermostat1*getReport", "responseTimeoutInSeconds": "30",
            "connectTimeoutInSeconds": "30"})
        rid, payload = self.request(client, "thermostat1*getReport")
        self.assertIsNone(payload)
        client.publish(RES % (200, rid), "{}", qos=0)
        self.good(call.done())

    def test_caller_who_leaves_is_forgotten(self):
        client = self.listen("m-left")
        api = self.server.operator()
        api._send("GET", "/devices/m-left?" + harness.API, None, {})
        api.link.request("POST", "/twins/m-left/methods?" + harness.API,
                         json.dumps({"methodName": "reboot"}))
        rid, _ = self.request(client)
        api.close()
        client.publish(RES % (200, rid), "{}", qos=1)
        call = self.call("m-left")
        client.publish(RES % (200, self.request(client)[0]), "2", qos=1)
        self.assertEqual(self.good(call.done())["payload"], 2)

    def test_device_that_never_reads(self):
        deaf = self.listen("m-deaf")
        calls = [self.call("m-deaf", payload="x" * 100000, response=5) for _ in range(30)]
        for call in calls:
            self.refused(call.done(), 504, "GatewayTimeout")
        self.reason("m-deaf", "does not read")
        deaf.close()

    def test_core_that_dies_ends_its_calls(self):
        client = self.listen("m-core")
        call = self.call("m-core")
        self.request(client)
        self.server.kill_role("core")
        self.assertEqual(call.done().status, 503)
        type(self).op = self.server.operator()
        client = self.eventually(lambda: self.hub("m-core", key=self.good_key("m-core")))
        client.subscribe(POST + "#", qos=0)
        call = self.call("m-core")
        client.publish(RES % (200, self.request(client)[0]), "3", qos=0)
        self.assertEqual(self.good(call.done())["payload"], 3)


if __name__ == "__main__":
    harness.main()
