"""Twins and subscriptions over MQTT (device.md 3.5, 3.7, 3.12), by the rows of its section 7."""
import json
import re
import time

import harness
import mqtt

RES, WANT = "$iothub/twin/res/#", "$iothub/twin/PATCH/properties/desired/#"
GET, REPORT = "$iothub/twin/GET/?$rid=%s", "$iothub/twin/PATCH/properties/reported/?$rid=%s"
ISO = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{7}Z")


class Twin(harness.ServerCase):
    def answer(self, client, rid):
        """The answer to that request: status, pairs behind the rid, JSON or None."""
        topic, body = client.message()
        got = re.fullmatch(r"\$iothub/twin/res/(\d+)/\?\$rid=([^&]*)(?:&(.*))?", topic)
        self.assertTrue(got, topic)
        self.assertEqual(got.group(2), rid)
        return int(got.group(1)), got.group(3), json.loads(body) if body else None

    def get(self, client, rid="1", qos=0, body=b" "):
        client.publish(GET % rid, body, qos=qos)
        status, more, twin = self.answer(client, rid)
        self.assertEqual((status, more), (200, None))
        return twin

    def report(self, client, patch, rid="2", qos=0):
        text = patch if isinstance(patch, (str, bytes)) else json.dumps(patch)
        client.publish(REPORT % rid, text, qos=qos)
        return self.answer(client, rid.split("&")[0])

    def desired(self, client):
        """The next change of desired properties: version, patch."""
        topic, body = client.message()
        got = re.fullmatch(r"\$iothub/twin/PATCH/properties/desired/\?\$version=(\d+)", topic)
        self.assertTrue(got, topic)
        patch = json.loads(body)
        self.assertEqual(patch.pop("$version"), int(got.group(1)))
        return int(got.group(1)), patch

    def patch(self, device, desired=None, how="PATCH", status=200, **more):
        body = {"properties": {"desired": desired}} if desired is not None else {}
        return self.good(self.op.call(how, "/twins/" + device, body, **more), status)

    def quiet(self, client):
        """Nothing is on its way: a PINGRESP comes first."""
        client.ping()
        self.assertEqual(client.inbox, [])

    # ---- GET and reports ---------------------------------------------------------------

    def test_get_has_both_trees_with_their_versions_and_no_metadata(self):
        client = self.hub("w-get", self.sas_device("w-get"))
        self.assertEqual(client.subscribe(RES, qos=0), [0])
        empty = {"desired": {"$version": 1}, "reported": {"$version": 1}}
        self.assertEqual(self.get(client, "f81d4fae-7dec-11d0-a765-00a0c91e6bf6"), empty)  # Node
        self.assertEqual(self.get(client, "3", body=b""), empty)  # C, row 12
        self.assertEqual(self.get(client, "3", qos=1), empty)  # Python; a rid may come again
        self.patch("w-get", {"a": {"b": [1, "é"]}})
        self.assertEqual(self.get(client), {"desired": {"a": {"b": [1, "é"]}, "$version": 2},
                                            "reported": {"$version": 1}})

    def test_report_is_204_without_a_body_and_read_back(self):
        """Row 15."""
        client = self.hub("w-rep", self.sas_device("w-rep"))
        client.subscribe(RES)
        self.assertEqual(self.report(client, {"a": {"b": 1, "c": 2}, "d": [1]}),
                         (204, "$version=2", None))
        self.assertEqual(self.report(client, {"a": {"b": None}, "d": [2, 3]}, qos=1),
                         (204, "$version=3", None))
        want = {"a": {"c": 2}, "d": [2, 3], "$version": 3}
        self.assertEqual(self.get(client)["reported"], want)
        twin = self.good(self.op.get("/twins/w-rep"))["properties"]["reported"]
        del twin["$metadata"]
        self.assertEqual(twin, want)

    def test_condition_on_the_version(self):
        client = self.hub("w-cond", self.sas_device("w-cond"))
        client.subscribe(RES)
        self.assertEqual(self.report(client, {"a": 1}, "5&$version=1"), (204, "$version=2", None))
        status, more, error = self.report(client, {"a": 2}, "6&$version=1")
        self.assertEqual((status, more, error["errorCode"]), (412, None, 412001))
        self.assertEqual(self.get(client)["reported"], {"a": 1, "$version": 2})

    def test_errors_have_the_body_that_node_needs(self):
        """Row 16; 3.12: limits."""
        client = self.hub("w-err", self.sas_device("w-err"))
        client.subscribe(RES)
        deep = {"x": 1}
        for _ in range(11):
            deep = {"n": deep}
        for patch, want in (
                ("", 400), ("{", 400), ("[]", 400), ('"x"', 400), ({"a.b": 1}, 400),
                ({"a b": 1}, 400), ({"$a": 1}, 400), ({"a": {"b\u0001": 1}}, 400),
                ({"n": 2 ** 52 + 1}, 400), ({"s": "x" * 4097}, 413), (deep, 413),
                ({"k%d" % i: "x" * 4000 for i in range(9)}, 413), ({"k" * 1025: 1}, 413)):
            with self.subTest(str(patch)[:40]):
                status, _, error = self.report(client, patch)
                self.assertEqual(status, want, error)
                self.assertEqual(error["errorCode"] // 1000, want)
                self.assertTrue(error["message"])
                self.assertRegex(error["trackingId"], r"^[0-9a-f-]{36}$")
                self.assertRegex(error["timestampUtc"], ISO)
        self.assertEqual(self.get(client)["reported"], {"$version": 1})
        self.assertEqual(self.report(client, {"n": -2 ** 52, "s": "x" * 4096})[0], 204)

    def test_what_fits_by_itself_may_not_fit_in_all(self):
        client = self.hub("w-full", self.sas_device("w-full"))
        client.subscribe(RES)
        for i in range(8):
            self.assertEqual(self.report(client, {"k%d" % i: "x" * 4000})[0], 204)
        self.assertEqual(self.report(client, {"k9": "x" * 4000})[0], 413)
        self.assertEqual(self.report(client, {"k0": None, "k9": "x" * 4000})[0], 204)

    def test_text_of_any_script_fits_by_its_own_bytes(self):
        client = self.hub("w-utf", self.sas_device("w-utf"))
        client.subscribe(RES)
        full = {"k%d" % i: "é" * 2040 for i in range(8)}
        self.assertEqual(self.report(client, json.dumps(full, ensure_ascii=False).encode())[0], 204)
        self.patch("w-utf", full)
        twin = self.get(client)
        self.assertEqual(twin["reported"], {**full, "$version": 2})
        self.assertEqual(twin["desired"], {**full, "$version": 2})

    # ---- desired properties ------------------------------------------------------------

    def test_service_changes_reach_the_device(self):
        for qos in (0, 1):
            device = "w-des%d" % qos
            client = self.hub(device, self.sas_device(device))
            self.assertEqual(client.subscribe(RES, WANT, qos=qos), [qos] * 2)
            self.patch(device, {"a": 1, "b": {"c": 2, "d": 3}})
            self.assertEqual(self.desired(client), (2, {"a": 1, "b": {"c": 2, "d": 3}}))
            self.patch(device, {"b": {"c": None}})
            self.assertEqual(self.desired(client), (3, {"b": {"c": None}}))
            # a replacement names what it takes away
            self.patch(device, {"b": {"e": 5}}, "PUT")
            self.assertEqual(self.desired(client), (4, {"b": {"e": 5, "d": None}, "a": None}))
            self.assertEqual(self.get(client)["desired"], {"b": {"e": 5}, "$version": 4})
            # tags are none of the device's business
            self.good(self.op.call("PATCH", "/twins/" + device, {"tags": {"t": 1}}))
            self.quiet(client)

    def test_no_notice_without_a_subscription_or_after_it(self):
        client = self.hub("w-none", self.sas_device("w-none"))
        self.patch("w-none", {"a": 1})
        self.quiet(client)
        client.subscribe(WANT)
        self.patch("w-none", {"a": 2})
        self.assertEqual(self.desired(client), (3, {"a": 2}))
        client.unsubscribe(WANT)
        self.patch("w-none", {"a": 3})
        self.quiet(client)

    def test_patch_that_is_refused_tells_nobody(self):
        client = self.hub("w-no", self.sas_device("w-no"))
        client.subscribe(WANT)
        self.patch("w-no", {"a$": 1}, status=400)
        self.patch("w-no", {"a": 1}, status=412, If_Match='"AAAA"')
        self.quiet(client)

    def test_only_the_newest_connection_is_told(self):
        key = self.sas_device("w-take")
        old = self.hub("w-take", key, clean=False)
        old.subscribe(WANT)
        new = self.hub("w-take", key, clean=False)
        self.assertTrue(old.closes(10))
        self.patch("w-take", {"a": 1})
        self.assertEqual(self.desired(new), (2, {"a": 1}))

    # ---- sessions ----------------------------------------------------------------------

    def again(self, device, key, clean=False):
        """A connection and its SessionPresent."""
        client = self.server.mqtt()
        self.addCleanup(client.close)
        flags = client.connect(device, mqtt.hub_user(device),
                               harness.token("127.0.0.1/devices/" + device, key), clean=clean)
        return client, flags[0] if isinstance(flags, bytes) else flags

    def test_subscriptions_outlive_connections_and_servers(self):
        """Rows 1 and 2: Python subscribes once and never again, Node never again to its twin."""
        keys = {}
        for device, qos in (("w-py", 1), ("w-node", 0)):
            keys[device] = self.sas_device(device)
            client, present = self.again(device, keys[device])
            self.assertEqual(present, 0)
            self.assertEqual(client.subscribe(RES, WANT, qos=qos), [qos] * 2)
            client.disconnect()
        for restart in (False, True):
            if restart:
                self.assertEqual(self.server.stop(), 0)
                self.server.start()
                type(self).op = self.server.operator()
            for device, key in keys.items():
                client, present = self.again(device, key)
                self.assertEqual(present, 1)
                self.get(client)
                version = self.patch(device, {"n": restart})["properties"]["desired"]["$version"]
                self.assertEqual(self.desired(client), (version, {"n": restart}))
                client.close()  # without DISCONNECT

    def test_a_killed_core_keeps_them_as_well(self):
        key = self.sas_device("w-kill")
        client, _ = self.again("w-kill", key)
        client.subscribe(WANT)
        self.server.kill_role("core")
        self.assertTrue(client.closes(20))
        client, present = self.eventually(lambda: self.again("w-kill", key))
        self.assertEqual(present, 1)
        self.eventually(lambda: self.op.call(
            "PATCH", "/twins/w-kill", {"properties": {"desired": {"a": 1}}}).status == 200)
        self.assertEqual(self.desired(client), (2, {"a": 1}))

    def test_clean_session_forgets(self):
        key = self.sas_device("w-clean")
        client, present = self.again("w-clean", key)
        self.assertEqual(present, 0)
        client.subscribe(WANT)
        client.disconnect()
        client, present = self.again("w-clean", key, clean=True)
        self.assertEqual(present, 0)
        self.patch("w-clean", {"a": 1})
        self.quiet(client)
        client.subscribe(WANT)  # its own, for as long as it lasts
        self.patch("w-clean", {"a": 2})
        self.assertEqual(self.desired(client), (3, {"a": 2}))
        client.disconnect()
        client, present = self.again("w-clean", key)
        self.assertEqual(present, 0)
        self.patch("w-clean", {"a": 3})
        self.quiet(client)
        client.disconnect()
        self.assertEqual(self.again("w-clean", key)[1], 1, "a session without subscriptions is one")

    def test_who_has_the_id_next_inherits_no_session(self):
        client, _ = self.again("w-next", self.sas_device("w-next"))
        client.subscribe(WANT)
        self.good(self.op.delete("/devices/w-next", If_Match="*"), 204)
        self.assertEqual(self.again("w-next", self.sas_device("w-next"))[1], 0)

    def test_codes_in_order_and_exactly_as_asked(self):
        """Rows 10 and 13; 3.7."""
        client = self.hub("w-codes", self.sas_device("w-codes"))
        body = b"\x00\x07" + b"".join(mqtt.text(f) + bytes([q]) for f, q in (
            (RES, 0), ("#", 1), (WANT, 2), ("$iothub/#", 0)))
        client.write(mqtt.packet(0x82, body))
        self.assertEqual(client.expect(mqtt.SUBACK), b"\x00\x07\x00\x80\x01\x80")
        self.reason("w-codes", "subscribe to #")

    # ---- the service's view ------------------------------------------------------------

    def test_metadata(self):
        client = self.hub("w-meta", self.sas_device("w-meta"))
        client.subscribe(RES)
        self.patch("w-meta", {"a": 1, "b": {"c": 1}})
        first = self.good(self.op.get("/twins/w-meta"))["properties"]["desired"]["$metadata"]
        self.assertRegex(first["$lastUpdated"], ISO)
        self.assertEqual(first["$lastUpdatedVersion"], 2)
        self.assertEqual(first["b"]["c"], {"$lastUpdated": first["$lastUpdated"],
                                           "$lastUpdatedVersion": 2})
        time.sleep(0.01)
        self.patch("w-meta", {"b": {"c": 2}})
        self.report(client, {"r": {"s": 1}})
        twin = self.good(self.op.get("/twins/w-meta"))
        now = twin["properties"]["desired"]["$metadata"]
        self.assertEqual(now["a"], first["a"])
        self.assertEqual(now["b"]["c"]["$lastUpdatedVersion"], 3)
        self.assertGreater(now["b"]["c"]["$lastUpdated"], first["$lastUpdated"])
        told = twin["properties"]["reported"]["$metadata"]
        self.assertEqual(set(told), {"$lastUpdated", "r"})
        self.assertEqual(set(told["r"]), {"$lastUpdated", "s"})
        rows = self.good(self.op.post("/devices/query", {"query": "select * from devices"}))
        self.assertEqual([t for t in rows if t["deviceId"] == "w-meta"][0]["properties"],
                         twin["properties"])

    def test_etag_is_the_services_and_version_is_of_all(self):
        client = self.hub("w-etag", self.sas_device("w-etag"))
        client.subscribe(RES)
        one = self.good(self.op.get("/twins/w-etag"))
        self.report(client, {"a": 1})
        two = self.good(self.op.get("/twins/w-etag"))
        self.assertEqual(two["etag"], one["etag"])
        self.assertEqual(two["version"], one["version"] + 1)
        three = self.patch("w-etag", {"a": 1}, If_Match='"%s"' % two["etag"])
        self.assertNotEqual(three["etag"], two["etag"])
        self.assertEqual(three["version"], two["version"] + 1)
        self.assertEqual(three["connectionState"], "Connected")


if __name__ == "__main__":
    harness.main()
