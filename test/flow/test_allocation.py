"""Several hubs in one server, and how devices come to them (docs/allocation.md)."""
import contextlib
import http.server
import json
import os
import shutil
import ssl
import tempfile
import threading
import time

import harness
import mqtt
import pki
from harness import derive, run, token

HUBS = ("one.example", "two.example")
OUT = "three.example"  # a hub that nobody is assigned to


class HubCase(harness.ServerCase):
    """Two hubs; devices are told apart by the host that they name."""

    HOME_SET = {"hub": {"name": " ".join((*HUBS, OUT)), "alias": "uno.example=one.example"},
                "dps": {"hubs_excluded": OUT, "regions": "here=127.0.0.0/8",
                        "latencies": "here:one.example=40 here:two.example=4"}}

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

    def test_statistics_are_those_of_the_hub_that_is_asked(self):
        def of(hub):
            got = self.good(self.op.get("/statistics/devices", Host=hub))
            rows = self.good(self.op.post("/devices/query", {
                "query": "SELECT COUNT() AS n FROM devices WHERE status = 'enabled'"}, Host=hub))
            self.assertEqual(rows, [{"n": got["enabledDeviceCount"]}])
            return got["totalDeviceCount"], got["disabledDeviceCount"]
        before = of(HUBS[0])
        self.assertEqual(of(OUT), (0, 0))
        for name, status in (("st-1", "enabled"), ("st-2", "disabled"), ("st-3", "enabled")):
            self.good(self.op.put("/devices/" + name, {"deviceId": name, "status": status},
                                  Host=OUT))
        self.assertEqual(of(OUT), (3, 1))
        got = self.good(self.op.get("/devices/st-1", Host=OUT))
        key = harness.base64.b64decode(got["authentication"]["symmetricKey"]["primaryKey"])
        self.at(OUT, "st-1", key).ping()
        got = self.good(self.op.get("/statistics/service", Host=OUT))
        self.assertEqual(got, {"connectedDeviceCount": 1})
        for name in ("st-1", "st-2", "st-3"):
            self.op.delete("/devices/" + name, If_Match="*", Host=OUT)
        self.assertEqual((of(OUT), of(HUBS[0])), ((0, 0), before))

    def test_a_list_is_whole_though_another_hub_has_many_more(self):
        """A turn looks at a thousand rows, of any hub."""
        def bulk(mode, first):
            rows = [{"id": "many-%04d" % i, "importMode": mode} for i in range(first, first + 100)]
            self.good(self.op.post("/devices", rows, Host=OUT))
        ends = {"a-first", "zz-last"}
        for name in ends:
            self.good(self.op.put("/devices/" + name, {"deviceId": name}, Host=HUBS[1]))
        for first in range(0, 1100, 100):
            bulk("create", first)
        self.assertLessEqual(ends, self.ids(HUBS[1]))
        self.assertEqual(len(self.ids(OUT)), 1000, "as many as a list has")
        got = self.good(self.op.get("/devices?top=2", Host=OUT))
        self.assertEqual([r["deviceId"] for r in got], ["many-0000", "many-0001"])
        for first in range(0, 1100, 100):
            bulk("delete", first)
        self.assertEqual(self.ids(OUT), set())

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
            self.at("four.example", "by-alias", key)

    def test_subsets_and_static(self):
        for hub in HUBS:
            name = "fix-" + hub[:3]
            key = self.sas_group("g-" + name, iotHubs=[hub], allocationPolicy="static")
            for i in range(4):
                device = "%s-%d" % (name, i)
                self.assertEqual(self.register(device, key)["assignedHub"], hub)

        bad = self.op.put("/enrollmentGroups/g-two", {
            "enrollmentGroupId": "g-two", "iotHubs": list(HUBS), "allocationPolicy": "static",
            "attestation": {"type": "symmetricKey"}})
        self.assertEqual(bad.status, 400, bad)

    def test_geo_latency_and_weights_come_from_the_configuration(self):
        key = self.sas_group("g-geo", allocationPolicy="geolatency")
        self.assertEqual(self.good(self.op.get("/enrollmentGroups/g-geo"))["allocationPolicy"],
                         "geoLatency")
        for i in range(6):
            self.assertEqual(self.register("geo-%d" % i, key)["assignedHub"], HUBS[1])


class Policies(HubCase):
    """Registering again after the enrollment changed (device.md 2.4)."""

    def again(self, device, policy, first=HUBS[0], then=HUBS[1]):
        """Assigned to one hub, then registered under another static one: the state."""
        key = self.sas_group("g-" + device, iotHubs=[first], allocationPolicy="static",
                             initialTwin={"tags": {"from": "group"}, "properties": {}})
        self.assertEqual(self.register(device, key)["assignedHub"], first)
        self.good(self.op.call("PATCH", "/twins/" + device, {"tags": {"mine": 1}}, Host=first))
        self.sas_group("g-" + device, key, iotHubs=[then], allocationPolicy="static",
                       initialTwin={"tags": {"from": "group"}, "properties": {}},
                       reprovisionPolicy=policy)
        live = self.at(first, device, derive(key, device))
        return key, live, self.register(device, key)

    def tags(self, device, hub):
        return self.good(self.op.get("/twins/" + device, Host=hub))["tags"]

    def test_migrate(self):
        key, live, state = self.again("pol-m", {"updateHubAssignment": True,
                                                "migrateDeviceData": True})
        self.assertEqual((state["assignedHub"], state["substatus"]),
                         (HUBS[1], "deviceDataMigrated"))
        self.assertTrue(live.closes(20), "its session on the old hub ends")
        self.assertEqual(self.tags("pol-m", HUBS[1]), {"from": "group", "mine": 1})
        self.assertEqual(self.op.get("/devices/pol-m", Host=HUBS[0]).status, 404)
        self.at(HUBS[1], "pol-m", derive(key, "pol-m")).ping()
        self.sas_group("g-pol-m", key, iotHubs=[HUBS[0]], allocationPolicy="static")
        self.assertEqual(self.register("pol-m", key)["substatus"],
                         "reprovisionedToInitialAssignment")

    def test_reset(self):
        _, live, state = self.again("pol-r", {"updateHubAssignment": True,
                                              "migrateDeviceData": False})
        self.assertEqual((state["assignedHub"], state["substatus"]), (HUBS[1], "deviceDataReset"))
        self.assertTrue(live.closes(20))
        self.assertEqual(self.tags("pol-r", HUBS[1]), {"from": "group"})

    def test_reset_tells_a_connected_device_what_is_wanted_of_it(self):
        def twin(desired):
            return {"tags": {}, "properties": {"desired": desired}}

        policy = {"updateHubAssignment": True, "migrateDeviceData": False}
        group = {"iotHubs": [HUBS[0]], "allocationPolicy": "static", "reprovisionPolicy": policy}
        key = self.sas_group("g-told", initialTwin=twin({"a": 1, "b": 2}), **group)
        self.register("told-1", key)
        live = self.at(HUBS[0], "told-1", derive(key, "told-1"))
        live.subscribe("$iothub/twin/PATCH/properties/desired/#")
        self.sas_group("g-told", key, initialTwin=twin({"a": 3}), **group)
        self.assertEqual(self.register("told-1", key)["substatus"], "deviceDataReset")
        topic, patch = live.message()
        want = self.good(self.op.get("/twins/told-1", Host=HUBS[0]))["properties"]["desired"]
        self.assertEqual(topic, "$iothub/twin/PATCH/properties/desired/?$version=%d"
                         % want["$version"])
        self.assertEqual(json.loads(patch), {"a": 3, "b": None, "$version": want["$version"]})

    def test_never(self):
        _, live, state = self.again("pol-n", {"updateHubAssignment": False,
                                              "migrateDeviceData": False})
        self.assertEqual((state["assignedHub"], state["substatus"]),
                         (HUBS[0], "initialAssignment"))
        live.ping()
        self.assertEqual(self.tags("pol-n", HUBS[0]), {"from": "group", "mine": 1})

    def test_old_clients_stay_where_the_enrollment_says_nothing(self):
        key = self.sas_group("g-old", iotHubs=[HUBS[0]], allocationPolicy="static")
        self.register("old-1", key)
        self.sas_group("g-old", key, iotHubs=[HUBS[1]], allocationPolicy="static")
        self.assertEqual(self.register("old-1", key, version="2017-11-15")["assignedHub"], HUBS[0])
        self.assertEqual(self.register("old-1", key)["assignedHub"], HUBS[1])

    def test_no_hub_left_is_a_failed_registration(self):
        key = self.sas_group("g-none", iotHubs=["three.example"], allocationPolicy="static")
        state = self.register("none-1", key)
        self.assertEqual((state["status"], state["errorCode"]), ("failed", 400208))
        self.assertTrue(state["errorMessage"])
        self.assertNotIn("assignedHub", state)
        shown = self.good(self.op.get("/registrations/none-1"))
        self.assertEqual(shown["status"], "failed")


class Hook(http.server.BaseHTTPRequestHandler):
    """A webhook that answers as the test says: server.plan(question) gives status, body."""

    protocol_version = "HTTP/1.1"

    def do_POST(self):
        question = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.asked.append(question)
        status, body = self.server.plan(question)
        raw = body if isinstance(body, bytes) else json.dumps(body).encode()
        with contextlib.suppress(OSError):
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(raw)))
            self.end_headers()
            self.wfile.write(raw)

    def log_message(self, *ignored):
        pass


class HookServer(http.server.ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 256


def webhook(case, folder, plain=False):
    """A running webhook; (server, URL, file of its CA)."""
    server = HookServer(("127.0.0.1", 0), Hook)
    server.asked, server.plan = [], lambda question: (500, b"")
    cert, key = os.path.join(folder, "hook.pem"), os.path.join(folder, "hook.key")
    if not plain:
        pki.openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
                    "-nodes", "-keyout", key, "-out", cert, "-days", "2", "-subj", "/CN=hook",
                    "-addext", "subjectAltName=IP:127.0.0.1")
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(cert, key)
        server.socket = context.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    case.addClassCleanup(server.server_close)
    case.addClassCleanup(server.shutdown)
    url = "http%s://127.0.0.1:%d/allocate?code=x" % ("" if plain else "s", server.server_port)
    return server, url, cert


class HookCase(HubCase):
    """Custom allocation: a webhook chooses (device.md 2.6)."""

    TIMEOUT = "2s"

    @classmethod
    def setUpClass(cls):
        folder = tempfile.mkdtemp(prefix="muster-test-")
        cls.addClassCleanup(shutil.rmtree, folder, True)
        os.chmod(folder, 0o755)
        cls.hook, cls.url, cert = webhook(cls, folder)
        cls.plain, cls.plain_url, _ = webhook(cls, folder, plain=True)
        cls.HOME_SET = {"hub": {**HubCase.HOME_SET["hub"]},
                        "dps": {"hubs_excluded": OUT, "webhook_ca": cert,
                                "webhook_timeout": cls.TIMEOUT}}
        super().setUpClass()

    def group(self, name, plan, url=None, **more):
        self.hook.plan = self.plain.plan = plan
        return self.sas_group(name, allocationPolicy="custom", customAllocationDefinition={
            "webhookUrl": url or self.url, "apiVersion": "2019-03-31"}, **more)

    def choose(self, hub, **more):
        return lambda question: (200, {"iotHubHostName": hub, **more})


class Custom(HookCase):
    def fails(self, device, key, *words):
        state = self.register(device, key)
        self.assertEqual((state["status"], state["errorCode"]), ("failed", 400207), state)
        self.assertTrue(state["errorMessage"])
        row = self.op.connections(deviceId=device, what="refused")[-1]
        for word in words:
            self.assertIn(word, row["reason"])

    def test_it_chooses_and_hears_and_says_what_it_likes(self):
        key = self.group("c-ok", self.choose(
            HUBS[1], payload={"note": "h\u00e9", "n": [1]},
            initialTwin={"tags": {"by": "hook"}, "properties": {"desired": {"a": 1}}}))
        client = self.dps("c-ok-1", derive(key, "c-ok-1"))
        first = mqtt.dps_register(client, json.dumps({"payload": {"line": 7}}).encode())
        self.assertEqual((first.status, first.json["status"]), (202, "assigning"))
        self.assertEqual(first.json["registrationState"],
                         {"registrationId": "c-ok-1", "status": "assigning"})
        client.close()  # the answer outlives the connection
        state = self.register("c-ok-1", key)
        self.assertEqual((state["status"], state["assignedHub"]), ("assigned", HUBS[1]))
        self.assertEqual(state["payload"], {"note": "h\u00e9", "n": [1]})
        self.assertEqual(self.good(self.op.get("/twins/c-ok-1", Host=HUBS[1]))["tags"],
                         {"by": "hook"})
        asked = [q for q in self.hook.asked
                 if q["deviceRuntimeContext"]["registrationId"] == "c-ok-1"][0]
        self.assertEqual(asked["linkedHubs"], list(HUBS))
        context = asked["deviceRuntimeContext"]
        self.assertEqual((context["payload"], context["symmetricKey"]), ({"line": 7}, {}))
        self.assertNotIn("currentIotHubHostName", context)
        group = asked["enrollmentGroup"]
        self.assertEqual((group["enrollmentGroupId"], group["allocationPolicy"]),
                         ("c-ok", "custom"))
        self.assertNotIn("primaryKey", json.dumps(group))
        self.at(HUBS[1], "c-ok-1", derive(key, "c-ok-1")).ping()

    def test_a_later_registration_says_where_the_device_is(self):
        key = self.group("c-re", self.choose(HUBS[0]))
        self.register("c-re-1", key)
        self.hook.plan = self.choose(HUBS[1])
        state = self.register("c-re-1", key)
        self.assertEqual((state["assignedHub"], state["substatus"]),
                         (HUBS[1], "deviceDataMigrated"))
        context = self.hook.asked[-1]["deviceRuntimeContext"]
        self.assertEqual((context["currentIotHubHostName"], context["currentDeviceId"]),
                         (HUBS[0], "c-re-1"))

    def test_what_it_may_not_answer(self):
        for name, plan, word in (
                ("other", self.choose("three.example"), "not offered"),
                ("500", lambda q: (500, b"{}"), "status 500"),
                ("302", lambda q: (302, b"{}"), "status 302"),
                ("huge", lambda q: (200, b"{" + b" " * 300000 + b"}"), "over"),
                ("broken", lambda q: (200, b"{nul"), "answer"),
                ("list", lambda q: (200, []), "no object"),
                ("empty", lambda q: (200, {}), "iotHubHostName"),
                ("number", lambda q: (200, {"iotHubHostName": 7}), "iotHubHostName"),
                ("payload", self.choose(HUBS[0], payload=[1]), "payload"),
                ("twin", self.choose(HUBS[0], initialTwin={"tags": {"$x": 1}}), "initialTwin"),
                ("cut", lambda q: (200, b""), "answer")):
            with self.subTest(name):
                key = self.group("c-" + name, plan)
                self.fails("c-%s-1" % name, key, "custom allocation failed", word)

    def test_a_subset_is_all_that_it_is_offered(self):
        key = self.group("c-sub", self.choose(HUBS[1]), iotHubs=[HUBS[0]])
        self.fails("c-sub-1", key, "not offered")
        self.assertEqual(self.hook.asked[-1]["linkedHubs"], [HUBS[0]])

    def test_a_slow_one_is_not_waited_for(self):
        def slow(question):
            time.sleep(6)
            return 200, {"iotHubHostName": HUBS[0]}
        key = self.group("c-slow", slow)
        self.fails("c-slow-1", key, "custom allocation failed")
        self.hook.plan = self.choose(HUBS[0])
        self.assertEqual(self.register("c-slow-1", key)["status"], "assigned")

    def test_registering_twice_asks_once(self):
        def slow(question):
            time.sleep(0.5)
            return 200, {"iotHubHostName": HUBS[0]}
        key = self.group("c-twice", slow)
        one, two = (self.dps("c-twice-1", derive(key, "c-twice-1")) for _ in range(2))
        first = mqtt.dps_register(one)
        second = mqtt.dps_register(two)
        self.assertEqual(first.json["operationId"], second.json["operationId"])
        self.register("c-twice-1", key)
        asked = [q for q in self.hook.asked
                 if q["deviceRuntimeContext"]["registrationId"] == "c-twice-1"]
        self.assertEqual(len(asked), 1)

    def test_plain_http_to_this_machine_alone(self):
        key = self.group("c-plain", self.choose(HUBS[1]), url=self.plain_url)
        self.assertEqual(self.register("c-plain-1", key)["assignedHub"], HUBS[1])
        for url in ("http://hook.example/", "ftp://127.0.0.1/", "http://127.0.0.1.example/",
                    "http://localhost@hook.example/", "https://", "hook"):
            got = self.op.put("/enrollmentGroups/c-bad", {
                "enrollmentGroupId": "c-bad", "allocationPolicy": "custom",
                "attestation": {"type": "symmetricKey"}, "customAllocationDefinition": {
                    "webhookUrl": url, "apiVersion": "2019-03-31"}})
            self.assertEqual(got.status, 400, url)

    def test_a_certificate_of_nobody_we_know(self):
        folder = self.folder()
        stranger, url, _ = webhook(type(self), folder)
        stranger.plan = self.choose(HUBS[0])
        key = self.group("c-tls", self.choose(HUBS[0]), url=url)
        self.fails("c-tls-1", key, "certificate")
        self.assertEqual(stranger.asked, [])

    def test_its_caller_may_end_and_comes_back(self):
        key = self.group("c-kill", self.choose(HUBS[0]))
        self.assertEqual(self.register("c-kill-1", key)["status"], "assigned")
        self.server.kill_role("hookd")
        self.assertEqual(self.eventually(
            lambda: self.register("c-kill-2", key)["status"] == "assigned"), True)


class Crowds(HookCase):
    """Webhooks that are slow while much goes on."""

    TIMEOUT = "30s"

    def whole(self, client, answer):
        """The registration's state, asked for until it is decided."""
        while answer.status != 200:
            time.sleep(0.1)
            answer = mqtt.dps_register(client) if answer.status == 429 else mqtt.dps_poll(
                client, answer.json["operationId"])
        return answer.json["registrationState"]

    def test_more_than_can_be_asked_at_once_come_again(self):
        """429, which every SDK waits and repeats after; failed would be for good."""
        gate = threading.Event()
        def slow(question):
            gate.wait(20)
            return 200, {"iotHubHostName": HUBS[0]}
        key = self.group("c-many", slow, url=self.plain_url)
        names = ["c-many-%d" % i for i in range(160)]
        clients = [self.dps(name, derive(key, name)) for name in names]
        for client in clients:
            client.write(mqtt.publish_packet(mqtt.REGISTER % "1", b"", 0))
        answers = [mqtt.Answer(*client.message()) for client in clients]
        self.assertEqual({a.status for a in answers}, {202, 429})
        for answer in answers:
            self.assertIn("retry-after", answer.pairs)
        gate.set()
        for client, answer in zip(clients, answers):
            self.assertEqual(self.whole(client, answer)["status"], "assigned")

    def test_an_answer_for_a_core_that_ended_reaches_no_other_device(self):
        """The next core counts its questions from one again."""
        gates = {"c-late": threading.Event(), "c-new": threading.Event()}
        def slow(question):
            name = question["deviceRuntimeContext"]["registrationId"].rsplit("-", 1)[0]
            gates[name].wait(20)
            return 200, {"iotHubHostName": HUBS[1 if name == "c-late" else 0]}
        key = self.group("c-old", slow)
        for name in gates:
            self.server.kill_role("core")
            under_way = [self.eventually(lambda i=i: self.begun("%s-%d" % (name, i), key))
                         for i in range(12)]
            self.eventually(lambda: self.asked_about(name) == 12, what="the webhook asked")
        gates["c-late"].set()
        time.sleep(1)  # for what must not come
        gates["c-new"].set()
        for client, answer in under_way:
            self.assertEqual(self.whole(client, answer).get("assignedHub"), HUBS[0])

    def asked_about(self, name):
        ids = [q["deviceRuntimeContext"]["registrationId"] for q in self.hook.asked]
        return sum(i.startswith(name) for i in ids)

    def begun(self, name, key):
        """A connection, and its answer; an error while the core is not back."""
        client = self.dps(name, derive(key, name))
        answer = mqtt.dps_register(client)
        self.assertEqual(answer.status, 202)
        return client, answer


class Throttles(harness.ServerCase):
    """The azure profile's numbers (service.md 6.3), made small."""

    HOME_SET = {"dps": {"polls_per_10s": "2", "operations_per_min": "40"}}

    def test_polls_of_one_device(self):
        key = self.sas_group("g-t")
        client = self.dps("t-1", derive(key, "t-1"))
        operation = mqtt.dps_register(client).json["operationId"]
        self.assertEqual([mqtt.dps_poll(client, operation).status for _ in range(2)], [200, 200])
        got = mqtt.dps_poll(client, operation)
        self.assertEqual((got.status, got.json["errorCode"]), (429, 429001))
        self.assertIn("retry-after", got.pairs)
        other = self.dps("t-2", derive(key, "t-2"))
        operation = mqtt.dps_register(other).json["operationId"]
        self.assertEqual(mqtt.dps_poll(other, operation).status, 200, "others are not held up")

    def test_requests_to_the_api(self):
        got = [self.op.get("/enrollmentGroups/none").status for _ in range(60)]
        self.assertEqual(set(got), {404, 429})
        self.good(self.op.get("/devices?top=1"))


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
