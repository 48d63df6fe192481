"""The interoperability traps of the service API's reference (service.md 0.3), one a test: what
clients really send, and what they cannot do without in an answer. test_tNN is row TNN.
"""
import base64
import itertools
import json
import os
import re
import threading
import urllib.parse

import harness
import pki

GROUP = "/subscriptions/S/resourceGroups/RG"
HUB = GROUP + "/providers/Microsoft.Devices/IotHubs/127-0-0-1"
DPS = GROUP + "/providers/Microsoft.Devices/provisioningServices/127-0-0-1"
ROWS = range(1, 19)
AMQP = (10, 11, 12)  # in test_amqp.py
HERE = os.path.dirname(os.path.abspath(__file__))


def numbers():
    """The hub's name of each six-digit number, by number (tbl/wire_error.def)."""
    with open(os.path.join(HERE, "../../src/tbl/wire_error.def"), encoding="utf-8") as f:
        return {int(n): name for n, name in re.findall(r'^WIRE\((\d+), "(\w+)"', f.read(), re.M)}


def sas(resource, key, order, policy="iothubowner"):
    """A token whose resource is signed as it is written, its parts in an order."""
    text = harness.token(resource, key, policy=policy)
    parts = dict(p.split("=", 1) for p in text.split(" ", 1)[1].split("&"))
    parts["sr"] = resource
    signed = base64.b64encode(harness.hmac.new(
        key, (resource + "\n" + parts["se"]).encode(), harness.hashlib.sha256).digest()).decode()
    parts["sig"] = urllib.parse.quote(signed, safe="")
    return "SharedAccessSignature " + "&".join("%s=%s" % (k, parts[k]) for k in order)


class Traps(harness.ServerCase):
    def device(self, name, **more):
        return self.good(self.op.put("/devices/" + name, {"deviceId": name, **more}))

    def group(self, name):
        return {"enrollmentGroupId": name, "attestation": {"type": "symmetricKey"}}

    def test_every_row_has_its_test(self):
        own = [int(n[6:8]) for n in dir(type(self)) if re.match(r"test_t\d\d", n)]
        self.assertEqual(own, [row for row in ROWS if row not in AMQP])

    def test_rows_of_amqp_have_theirs(self):
        with open(os.path.join(HERE, "test_amqp.py"), encoding="utf-8") as f:
            text = f.read()
        for row in AMQP:
            self.assertIn("def test_t%d_" % row, text)

    # ---- the resource manager ----

    def test_t01_the_text_of_a_dictionary_as_if_match(self):
        """az iot hub: every write of the core command."""
        for path in (HUB, DPS):
            read = self.good(self.op.get(path))
            for text in ("{'IF-MATCH': '%s'}" % read["etag"], "{'IF-MATCH': 'AAAAAAAAAAA='}",
                         "{'IF-MATCH': None}"):
                read = self.good(self.op.put(path, read, If_Match=text))
            old, _ = read["etag"], self.good(self.op.put(path, read))
            self.assertEqual(self.op.put(path, read, If_Match='"%s"' % old).status, 412)

    def test_t02_double_slash_and_lower_case(self):
        """az resource update."""
        path = ("/subscriptions/S/resourcegroups/RG/providers/Microsoft.Devices//IotHubs/127-0-0-1"
                "?api-version=2023-06-30")
        read = self.good(self.op.get(path))
        for is_set in (True, False):
            read["properties"]["disableModuleSAS"] = is_set
            read = self.good(self.op.put(path, read))
            self.assertIs(self.good(self.op.get(HUB))["properties"]["disableModuleSAS"], is_set)
        self.assertEqual(self.op.get(path.replace("127-0-0-1", "north")).status, 404)

    def test_t03_group_and_subscription_in_lower_case(self):
        kinds = ("/providers/Microsoft.Devices/IotHubs",
                 "/providers/Microsoft.Devices/provisioningServices")
        for kind, one in zip(kinds, (HUB, DPS)):
            found = [self.good(self.op.get(one))]
            for where in (GROUP, "/subscriptions/S"):
                found += self.good(self.op.get(where + kind))["value"]
            self.assertEqual(len(found), 3)
            for row in found:
                self.assertTrue(row["resourcegroup"], row)
                self.assertEqual(row["subscriptionid"], "S")

    def test_t04_whether_a_hub_is_there(self):
        """az iot hub show -g."""
        self.assertEqual(self.op.call("HEAD", "/subscriptions/S/resourcegroups/RG").status, 204)
        path = "/subscriptions/S/providers/Microsoft.Devices/checkNameAvailability"
        taken = self.good(self.op.post(path, {"name": "127-0-0-1"}))
        self.assertEqual((taken["nameAvailable"], taken["reason"]), (False, "AlreadyExists"))
        self.assertTrue(taken["message"])
        self.assertIs(self.good(self.op.post(path, {"name": "north"}))["nameAvailable"], True)

    # ---- DPS and hub ----

    def test_t05_any_text_is_select_all(self):
        self.good(self.op.put("/enrollmentGroups/t05", self.group("t05")))
        self.good(self.op.put("/enrollments/t05", {"registrationId": "t05",
                                                   "attestation": {"type": "symmetricKey"}}))
        for text in ("{'additional_properties': {}, 'query': 'SELECT *'}", "*", "SELECT *",
                     "SELECT * FROM enrollments WHERE x = 'y'", ""):
            for kind, key in (("enrollmentGroups", "enrollmentGroupId"),
                              ("enrollments", "registrationId")):
                rows = self.good(self.op.post("/%s/query" % kind, {"query": text}))
                self.assertEqual([r[key] for r in rows if r[key] == "t05"], ["t05"], text)

    def test_t06_case_and_a_slash_at_the_end(self):
        """Node."""
        self.device("t06")
        self.good(self.op.put("/enrollmentGroups/t06", self.group("t06")))
        keys = self.good(self.op.post("/enrollmentgroups/t06/attestationmechanism"))
        self.assertTrue(keys["symmetricKey"]["primaryKey"])
        version = "?api-version=2021-10-01"
        made = self.good(self.op.post("/enrollments/" + version, {"mode": "create", "enrollments": [
            {"registrationId": "t06", "attestation": {"type": "symmetricKey"}}]}))
        self.assertTrue(made["isSuccessful"])
        self.good(self.op.post("/devices/" + version, [{"id": "t06-b", "importMode": "create"}]))
        self.good(self.op.get("/Devices/t06-b/"))
        self.assertEqual(self.op.get("/devices/T06").status, 404, "a device's ID has its case")
        self.assertIn(self.op.get("/devices/t06//").status, (400, 404), "one slash")

    def test_t07_timeouts_as_text(self):
        """az iot hub invoke-device-method."""
        client = self.hub("t07", key=self.sas_device("t07"))
        client.subscribe("$iothub/methods/POST/#", qos=0)

        def answer():
            for _ in range(2):
                topic, _ = client.message()
                client.publish("$iothub/methods/res/200/?$rid=" + topic.rpartition("=")[2], "{}",
                               qos=0)
        player = threading.Thread(target=answer, daemon=True)
        player.start()
        for second in ("30", 30):
            got = self.good(self.op.post("/twins/t07/methods", {
                "methodName": "reboot", "payload": {}, "responseTimeoutInSeconds": second,
                "connectTimeoutInSeconds": second}))
            self.assertEqual(got, {"status": 200, "payload": {}})
        player.join(20)
        for bad in ("", "x", "30s", "1e1", " 30", "-1", [30]):
            got = self.op.post("/twins/t07/methods", {"methodName": "reboot",
                                                      "responseTimeoutInSeconds": bad})
            self.assertEqual(got.status, 400, bad)

    # ---- tokens ----

    def test_t08_the_key_is_what_its_base64_says(self):
        """Event Hubs alone signs with the text of the key itself."""
        for plane, policy, path in ((HUB, "iothubowner", "/devices"),
                                    (DPS, "provisioningserviceowner", "/enrollments/t08")):
            rows = self.good(self.op.post(plane + "/listkeys"))["value"]
            text, = [r["primaryKey"] for r in rows if r["keyName"] == policy]
            for key, is_in in ((base64.b64decode(text), True), (text.encode(), False)):
                caller = self.server.anybody(harness.token("127.0.0.1", key, policy=policy))
                self.assertEqual(caller.get(path).status != 401, is_in, policy)

    def test_t09_order_and_spelling_of_a_token(self):
        key = self.server.policy_keys()["iothubowner"]
        own = self.sas_device("t09")
        for order in itertools.permutations(("sr", "sig", "se", "skn")):
            self.good(self.server.anybody(sas("127.0.0.1", key, order)).get("/devices"))
        usual = ("sr", "sig", "skn", "se")
        for resource in ("127.0.0.1%2Fdevices%2Ft09", "127.0.0.1%2fdevices%2ft09",
                         "127.0.0.1/devices/t09"):
            caller = self.server.anybody(sas(resource, own, ("sr", "sig", "se")))
            got = caller.call("POST", "/devices/t09/messages/events", b"x")
            self.assertEqual(got.status, 204, resource)
        # the MAC is over what was sent, not over what it means
        other = sas("127.0.0.1%2Fdevices%2Ft09", own, ("sr", "sig", "se"))
        caller = self.server.anybody(other.replace("%2Fdevices%2Ft09", "/devices/t09"))
        self.assertEqual(caller.call("POST", "/devices/t09/messages/events", b"x").status, 401)
        caller = self.server.anybody(sas("127.0.0.1", key, usual).replace("se=", "se=9"))
        self.assertEqual(caller.get("/devices").status, 401)

    # ---- bodies and headers ----

    def test_t13_what_a_client_left_out_stays(self):
        """An SDK's round trip drops what it takes for read-only."""
        read = self.good(self.op.get(HUB))
        kept = {k: v for k, v in read["properties"].items()
                if k not in ("hostName", "locations", "state", "provisioningState")}
        if "eventHubEndpoints" in kept:
            kept["eventHubEndpoints"] = {"events": {
                k: v for k, v in kept["eventHubEndpoints"]["events"].items()
                if k in ("retentionTimeInDays", "partitionCount")}}
        body = {"location": read["location"], "tags": read["tags"], "etag": read["etag"],
                "sku": {"name": read["sku"]["name"], "capacity": read["sku"]["capacity"]},
                "properties": {**kept, "disableModuleSAS": True}}
        written = self.good(self.op.put(HUB, body))
        self.assertIs(written["properties"].pop("disableModuleSAS"), True)
        written["etag"] = read["etag"]
        read["properties"].pop("disableModuleSAS")
        self.assertEqual(written, read)
        self.assertTrue(self.server.policy_keys())
        self.good(self.op.put(HUB, {"properties": {"disableModuleSAS": False}}))

    def test_t14_both_objects_of_an_identity(self):
        thumb = {"x509Thumbprint": {"primaryThumbprint": "AB" * 32}}
        for kind, more in (("sas", {}), ("certificateAuthority", {}), ("selfSigned", thumb)):
            name = "t14-" + kind
            made = self.device(name, authentication={"type": kind, **more})
            module = self.good(self.op.put("/devices/%s/modules/m" % name, {
                "authentication": {"type": kind, **more}}))
            listed = [d for d in self.good(self.op.get("/devices")) if d["deviceId"] == name]
            listed += self.good(self.op.get("/devices/%s/modules" % name))
            for one in (made, module, *listed, self.good(self.op.get("/devices/" + name))):
                auth = one["authentication"]
                self.assertEqual(auth["type"], kind)
                self.assertEqual(set(auth["symmetricKey"]), {"primaryKey", "secondaryKey"})
                self.assertEqual(set(auth["x509Thumbprint"]),
                                 {"primaryThumbprint", "secondaryThumbprint"})
                self.assertEqual(auth["symmetricKey"]["primaryKey"] is None, kind != "sas")
            # what a list shows can be sent back: Node's registry.list and updateDevices
            self.assertEqual([one["authentication"] for one in listed],
                             [made["authentication"], module["authentication"]])
        reader = self.signed_in("reader", "https://iothubs.azure.net")
        for path in ("/devices", "/devices/t14-sas/modules"):
            for one in self.good(reader.get(path)):
                self.assertIsNone(one["authentication"]["symmetricKey"]["primaryKey"])

    def test_t15_no_continuation_behind_the_last_page(self):
        for i in range(3):
            self.device("t15-%d" % i)
            self.good(self.op.put("/enrollmentGroups/t15-%d" % i, self.group("t15-%d" % i)))
            self.good(self.op.put("/enrollments/t15-%d" % i, {
                "registrationId": "t15-%d" % i, "attestation": {"type": "symmetricKey"}}))
        for path, query in (("/devices/query", "SELECT * FROM devices"),
                            ("/devices/query", "SELECT deviceId FROM devices"),
                            ("/enrollmentGroups/query", "*"), ("/enrollments/query", "*")):
            more, pages, size = {}, 0, 2
            while True:
                got = self.op.post(path, {"query": query}, x_ms_max_item_count=str(size), **more)
                rows, token = self.good(got), got.headers.get("x-ms-continuation")
                pages += 1
                if token is None:
                    break
                self.assertTrue(token, "absent, not empty")
                self.assertEqual(len(rows), size)
                more = {"x_ms_continuation": token}
            self.assertGreater(pages, 1, path)
            self.assertNotIn("x-ms-continuation", self.op.post(path, {"query": query}).headers)

    def test_t16_a_put_that_creates_is_200(self):
        for path, body in (("/devices/t16", {"deviceId": "t16"}),
                           ("/enrollmentGroups/t16", self.group("t16")),
                           ("/enrollments/t16", {"registrationId": "t16",
                                                 "attestation": {"type": "symmetricKey"}})):
            self.assertEqual(self.op.get(path).status, 404)
            self.assertEqual(self.op.put(path, body).status, 200, path)
            self.assertEqual(self.op.put(path, body, If_Match="*").status, 200, path)

    def test_t17_every_form_of_if_match(self):
        certificate = DPS + "/certificates/t17"
        ca = pki.make_ca(self.path("t17"), "T17 CA")
        docs = {"/devices/t17": {"deviceId": "t17"}, "/enrollmentGroups/t17": self.group("t17"),
                "/enrollments/t17": {"registrationId": "t17",
                                     "attestation": {"type": "symmetricKey"}},
                certificate: {"certificate": base64.b64encode(ca.der).decode()}}
        for path, body in docs.items():
            one = self.good(self.op.put(path, body))
            for form in ("*", '"*"', '"%s"', "%s"):
                text = form % one["etag"] if "%s" in form else form
                one = self.good(self.op.put(path, body, If_Match=text))
            for text in ('"bm9wZQ=="', "bm9wZQ==", '"'):
                self.assertEqual(self.op.put(path, body, If_Match=text).status, 412, (path, text))
            if path != "/devices/t17":  # where an empty one asks for a new device
                self.good(self.op.put(path, body, If_Match=""))
        code = certificate + "/generateVerificationCode"
        self.good(self.op.post(code, None, If_Match=""), 200)
        self.assertEqual(self.op.delete(certificate, If_Match="*").status, 204)

    def test_t18_error_text_and_header_agree(self):
        self.device("t18")
        self.good(self.op.put("/devices/t18/modules/m", {}))
        nobody, reader = self.server.anybody(), self.signed_in("reader", "https://iothubs.azure.net")
        many = [{"id": "t18-%d" % i, "importMode": "create"} for i in range(101)]
        call = {"methodName": "m"}
        for caller, method, path, body, more, number in (
                (self.op, "GET", "/devices/t18-x", None, {}, 404001),
                (self.op, "GET", "/devices/t18/modules/x", None, {}, 404010),
                (self.op, "PUT", "/devices/t18", {"deviceId": "t18"}, {}, 409001),
                (self.op, "PUT", "/devices/t18/modules/m", {}, {}, 409301),
                (self.op, "PUT", "/devices/t18", {"deviceId": "t18"}, {"If_Match": '"eA=="'},
                 412001),
                (self.op, "PUT", "/devices/t18", {"deviceId": "x"}, {}, 400004),
                (self.op, "POST", "/devices/query", "x" * 70000, {}, 413001),
                (self.op, "PATCH", "/devices/t18", {}, {}, 405000),
                (self.op, "GET", "/nosuch", None, {}, 404000),
                (self.op, "POST", "/devices", many, {}, 413002),
                (nobody, "GET", "/devices/t18", None, {}, 401002),
                (reader, "DELETE", "/devices/t18", None, {"If_Match": "*"}, 403000),
                (self.op, "POST", "/twins/t18/methods", call, {}, 404103),
                (self.op, "POST", "/twins/t18/modules/m/methods", call, {}, 404103),
                (self.op, "POST", "/twins/t18-x/methods", call, {}, 404001),
                (self.op, "POST", "/twins/t18/modules/x/methods", call, {}, 404010),
                (self.op, "POST", "/twins/t18/methods", {}, {}, 400004),
                (self.op, "POST", "/twins/t18/methods", {**call, "payload": "x" * 140000}, {},
                 413001),
                (nobody, "POST", "/twins/t18/methods", call, {}, 401002),
                (reader, "POST", "/twins/t18/methods", call, {}, 403000)):
            with self.subTest(method=method, path=path, number=number):
                got = caller.call(method, path, body, **more)
                self.assertEqual(got.status, number // 1000, got)
                self.assertEqual(got.headers["iothub-errorcode"], numbers()[number])
                is_b = path.endswith("/methods") and number != 404001
                (self.is_shape_b if is_b else self.is_shape_a)(got, number)
        gone = self.op.delete("/enrollmentGroups/t18")
        self.assertEqual((gone.status, gone.json["errorCode"]), (404, 404201))
        self.assertGreaterEqual(set(gone.json), {"errorCode", "trackingId", "message",
                                                 "timestampUtc"})

    def is_shape_a(self, got, number):
        self.assertEqual(set(got.json), {"Message", "ExceptionMessage"})
        self.assertRegex(got.json["Message"], "^ErrorCode:%s;." % numbers()[number])
        self.assertRegex(got.json["ExceptionMessage"],
                         r"^Tracking ID:[0-9a-f]{32}-G:0-TimeStamp:\d\d/\d\d/\d{4} \d\d:\d\d:\d\d$")

    def is_shape_b(self, got, number):
        self.assertEqual(got.json["ExceptionMessage"], "")
        inner = json.loads(got.json["Message"])
        self.assertEqual(inner["errorCode"], number)
        self.assertTrue(inner["message"])
        self.assertRegex(inner["trackingId"], "^[0-9a-f-]{36}$")
        self.assertRegex(inner["timestampUtc"], r"^\d{4}-\d\d-\d\dT.*Z$")


if __name__ == "__main__":
    harness.main()
