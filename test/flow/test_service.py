"""The service API as Azure's clients use it (service.md, and its traps)."""
import base64
import json
import os

import harness

HUB = "/subscriptions/S/resourceGroups/RG/providers/Microsoft.Devices/IotHubs/127-0-0-1"


class Devices(harness.ServerCase):
    def test_create_read_update_delete(self):
        made = self.op.put("/devices/d-1", {"deviceId": "d-1"})
        one = self.good(made)
        self.assertEqual((one["deviceId"], one["status"], one["connectionState"]),
                         ("d-1", "enabled", "Disconnected"))
        self.assertEqual(one["lastActivityTime"], "0001-01-01T00:00:00Z")
        self.assertEqual(len(base64.b64decode(
            one["authentication"]["symmetricKey"]["primaryKey"])) in (32, 64), True)
        self.assertEqual(one["authentication"]["type"], "sas")
        self.assertEqual(self.good(self.op.get("/devices/d-1")), one)
        again = self.op.put("/devices/d-1", {"deviceId": "d-1"})
        self.assertEqual(again.status, 409)
        self.assertEqual(again.headers["iothub-errorcode"], "DeviceAlreadyExists")
        one["status"], one["statusReason"] = "disabled", "lost"
        two = self.good(self.op.put("/devices/d-1", one, If_Match='"%s"' % one["etag"]))
        self.assertEqual((two["status"], two["statusReason"]), ("disabled", "lost"))
        self.assertEqual(two["generationId"], one["generationId"])
        self.assertNotEqual(two["etag"], one["etag"])
        self.assertEqual(two["authentication"], one["authentication"])
        late = self.op.put("/devices/d-1", one, If_Match='"%s"' % one["etag"])
        self.assertEqual(late.status, 412)
        self.assertEqual(self.op.delete("/devices/d-1", If_Match="*").status, 204)
        gone = self.op.get("/devices/d-1")
        self.assertEqual(gone.status, 404)
        self.assertEqual(gone.headers["iothub-errorcode"], "DeviceNotFound")
        self.assertTrue(gone.json["Message"].startswith("ErrorCode:DeviceNotFound;"))
        anew = self.good(self.op.put("/devices/d-1", {"deviceId": "d-1"}))
        self.assertNotEqual(anew["generationId"], one["generationId"])

    def test_t14_both_objects_whatever_the_type(self):
        for kind, more in (("sas", {}), ("certificateAuthority", {}),
                           ("selfSigned", {"x509Thumbprint": {"primaryThumbprint": "AB" * 32}})):
            name = "t14-" + kind
            self.good(self.op.put("/devices/" + name, {
                "deviceId": name, "authentication": {"type": kind, **more}}))
            got = self.good(self.op.get("/devices/" + name))["authentication"]
            self.assertEqual(set(got["symmetricKey"]), {"primaryKey", "secondaryKey"})
            self.assertEqual(set(got["x509Thumbprint"]),
                             {"primaryThumbprint", "secondaryThumbprint"})
            self.assertEqual(got["type"], kind)
            self.assertEqual(got["symmetricKey"]["primaryKey"] is None, kind != "sas")

    def test_t17_every_form_of_if_match(self):
        one = self.good(self.op.put("/devices/t17", {"deviceId": "t17"}))
        for form in ("*", '"*"', '"%s"', "%s"):
            text = form % one["etag"] if "%s" in form else form
            one = self.good(self.op.put("/devices/t17", one, If_Match=text))
        for text in ('"bm9wZQ=="', "nonsense", '"'):
            self.assertEqual(self.op.put("/devices/t17", one, If_Match=text).status, 412, text)
        empty = self.op.put("/enrollmentGroups/t17", self.group("t17"), If_Match="")
        self.assertEqual(empty.status, 200, "the CLI with an unset variable")

    def group(self, name, **more):
        return {"enrollmentGroupId": name, "attestation": {"type": "symmetricKey"}, **more}

    def test_t6_case_of_fixed_segments_and_one_trailing_slash(self):
        self.good(self.op.put("/DEVICES/t6", {"deviceId": "t6"}))
        self.good(self.op.get("/Devices/t6"))
        self.good(self.op.get("/devices/?" + harness.API))
        self.good(self.op.put("/enrollmentGroups/T6", self.group("T6")))
        self.good(self.op.post("/enrollmentgroups/T6/attestationmechanism"))
        self.good(self.op.post("/enrollmentGroups/query/", {"query": "*"}))
        self.assertEqual(self.op.get("/devices/T6").status, 404, "device IDs have case")
        self.good(self.op.get("/enrollmentGroups/t6"))

    def test_t16_put_that_creates_is_200(self):
        self.assertEqual(self.op.put("/devices/t16", {"deviceId": "t16"}).status, 200)
        self.assertEqual(self.op.put("/enrollmentGroups/t16", self.group("t16")).status, 200)

    def test_any_api_version(self):
        for version in ("2018-06-30", "2020-09-30", "2024-03-31", "x", ""):
            self.good(self.op.get("/devices?api-version=" + version))
        self.good(self.op.call("GET", "/devices?x=api-version"))

    def test_ids_with_every_allowed_character(self):
        name = "A-z:0.9%_*?!(),=@;$'"
        path = "/devices/" + harness.urllib.parse.quote(name, safe="")
        self.good(self.op.put(path, {"deviceId": name}))
        self.assertEqual(self.good(self.op.get(path))["deviceId"], name)
        for bad in ("a#b", "a+b", "a b", "ä", "a/b", "a\0b", "x" * 129):
            path = "/devices/" + harness.urllib.parse.quote(bad, safe="")
            self.assertIn(self.op.put(path, {"deviceId": bad}).status, (400, 404), bad)
        self.assertEqual(self.op.put("/devices/a", {"deviceId": "b"}).status, 400)

    def test_bad_bodies(self):
        for body in ("", "{", "[]", "null", '"x"', "[" * 3000, '{"deviceId":1}',
                     '{"deviceId":"bb","status":"maybe"}',
                     '{"deviceId":"bb","authentication":{"type":"magic"}}',
                     '{"deviceId":"bb","authentication":{"type":"selfSigned"}}',
                     '{"deviceId":"bb","authentication":{"symmetricKey":{"primaryKey":"AAAA"}}}',
                     '{"deviceId":"bb","authentication":{"symmetricKey":{"primaryKey":"?"}}}',
                     '{"deviceId":"bb","authentication":{"x509Thumbprint":'
                     '{"primaryThumbprint":"xyz"}}}', "\xff\xfe"):
            got = self.op.put("/devices/bb", body.encode("latin-1"))
            self.assertIn(got.status, (400, 413), body[:60])
            self.assertTrue(got.json["Message"])
        self.assertEqual(self.op.get("/devices/bb").status, 404)
        self.assertEqual(self.op.put("/devices/bb", "x" * 300000).status, 413)

    def test_list_and_query_with_pages(self):
        for i in range(7):
            self.good(self.op.put("/devices/q-%d" % i, {"deviceId": "q-%d" % i}))
        self.assertEqual(len(self.good(self.op.get("/devices?top=3"))), 3)
        everything, token, pages = [], None, 0
        while True:
            more = {"x_ms_continuation": token} if token else {}
            got = self.op.post("/devices/query", {"query": "select * from devices"},
                               x_ms_max_item_count="3", **more)
            rows = self.good(got)
            self.assertEqual(got.headers["x-ms-item-type"].lower(), "twin")
            everything += [r["deviceId"] for r in rows]
            pages += 1
            token = got.headers.get("x-ms-continuation")
            if token is None:
                break
            self.assertTrue(token, "T15: absent, not empty")
            self.assertEqual(len(rows), 3)
        self.assertEqual(len(everything), len(set(everything)))
        self.assertEqual(len(everything), len(self.good(self.op.get("/devices"))))
        self.assertGreaterEqual(pages, 3)
        row = self.good(self.op.post("/devices/query", {"query": " SELECT  *  FROM devices "}))[0]
        self.assertIn("authenticationType", row)
        self.assertNotIn("authentication", row)
        self.assertNotIn("primaryKey", json.dumps(row))
        for query in ("select * from devices where colour='x'", "drop table devices", "", 7):
            got = self.op.post("/devices/query", {"query": query})
            self.assertEqual(got.status, 400, query)
        bad = self.op.post("/devices/query", {"query": "select * from devices"},
                           x_ms_continuation="!!")
        self.assertEqual(bad.status, 400)

    def test_twins(self):
        self.good(self.op.put("/devices/tw", {"deviceId": "tw"}))
        one = self.good(self.op.get("/twins/tw"))
        self.assertEqual((one["tags"], one["authenticationType"]), ({}, "sas"))
        two = self.good(self.op.call("PATCH", "/twins/tw", {
            "tags": {"a": 1, "b": {"c": "x"}}, "properties": {"desired": {"p": [1, 2]}}}))
        self.assertEqual(two["tags"], {"a": 1, "b": {"c": "x"}})
        self.assertEqual(two["properties"]["desired"]["p"], [1, 2])
        self.assertGreater(two["properties"]["desired"]["$version"],
                           one["properties"]["desired"]["$version"])
        three = self.good(self.op.call("PATCH", "/twins/tw", {"tags": {"a": None}},
                                       If_Match='"%s"' % two["etag"]))
        self.assertEqual(three["tags"], {"b": {"c": "x"}})
        late = self.op.call("PATCH", "/twins/tw", {"tags": {}}, If_Match='"%s"' % two["etag"])
        self.assertEqual(late.status, 412)
        four = self.good(self.op.put("/twins/tw", {"tags": {"z": 1}}, If_Match="*"))
        self.assertEqual(four["tags"], {"z": 1})
        for bad in ({"tags": "x"}, {"tags": {"a.b": 1}}, {"tags": {"$x": 1}},
                    {"tags": {"x": "y" * 9000}}):
            self.assertIn(self.op.call("PATCH", "/twins/tw", bad).status, (400, 413), bad)
        self.assertEqual(self.op.get("/twins/nosuch").status, 404)

    def test_methods_and_paths_there_are_not(self):
        self.assertEqual(self.op.get("/nosuch").status, 404)
        self.assertEqual(self.op.post("/devices/x").status, 405)
        got = self.op.call("PATCH", "/devices/x", {})
        self.assertEqual(got.status, 405)
        self.assertIn("GET", got.headers["Allow"])
        for path in ("/devices/%zz", "/devices/../../etc/passwd", "//devices", "/devices/a/b/c",
                     "/devices/%00"):
            self.assertIn(self.op.get(path).status, (400, 404), path)
        self.assertEqual(self.op.call("HEAD", "/devices").status, 200)


class Groups(harness.ServerCase):
    def test_symmetric_group_and_its_keys(self):
        one = self.good(self.op.put("/enrollmentGroups/g-1", {
            "enrollmentGroupId": "g-1", "attestation": {"type": "symmetricKey"},
            "initialTwin": {"tags": {"a": 1}, "properties": {"desired": {"b": 2}}}}))
        self.assertEqual(one["provisioningStatus"], "enabled")
        self.assertEqual(one["reprovisionPolicy"],
                         {"updateHubAssignment": True, "migrateDeviceData": True})
        keys = self.good(self.op.post("/enrollmentGroups/g-1/attestationmechanism"))
        primary = keys["symmetricKey"]["primaryKey"]
        self.assertGreaterEqual(len(base64.b64decode(primary)), 32)
        for answer in (self.op.get("/enrollmentGroups/g-1"),
                       self.op.post("/enrollmentGroups/query", {"query": "*"})):
            self.assertNotIn(primary, answer.text)
        back = self.good(self.op.get("/enrollmentGroups/g-1"))
        self.good(self.op.put("/enrollmentGroups/g-1", back))
        kept = self.good(self.op.post("/enrollmentGroups/g-1/attestationmechanism"))
        self.assertEqual(kept["symmetricKey"]["primaryKey"], primary,
                         "a read object sent back keeps the keys that reading never shows")

    def test_x509_group_sent_back_keeps_its_certificate(self):
        one = self.x509_group("g-x")
        info = one["attestation"]["x509"]["signingCertificates"]["primary"]["info"]
        self.assertEqual(info["version"], 3)
        self.assertEqual(len(info["sha256Thumbprint"]), 64)
        self.assertIn("Device Issuing CA", info["subjectName"])
        primary = one["attestation"]["x509"]["signingCertificates"]["primary"]
        primary.pop("certificate", None)
        again = self.good(self.op.put("/enrollmentGroups/g-x", one))
        self.assertEqual(again["attestation"]["x509"]["signingCertificates"]["primary"]["info"],
                         info)

    def test_certificate_as_base64_of_der(self):
        self.op.delete("/enrollmentGroups/g-x")
        der = base64.b64encode(self.device_ca.der).decode()
        self.good(self.op.put("/enrollmentGroups/g-der", {
            "enrollmentGroupId": "g-der", "attestation": {"type": "x509", "x509": {
                "signingCertificates": {"primary": {"certificate": der}}}}}))
        self.assertEqual(self.op.delete("/enrollmentGroups/g-der").status, 204)

    def test_what_is_no_group(self):
        leaf, _ = self.leaf("leaf")
        with open(leaf, encoding="ascii") as f:
            leaf = f.read().split("-----END CERTIFICATE-----")[0] + "-----END CERTIFICATE-----"

        def x509(text):
            return {"type": "x509", "x509": {"signingCertificates": {
                "primary": {"certificate": text}}}}

        for attestation in (None, {}, {"type": "tpm"}, {"type": "x509"}, x509(""), x509("AAAA"),
                            x509(leaf), x509("-----BEGIN CERTIFICATE-----\nAAAA\n"),
                            {"type": "symmetricKey", "symmetricKey": {"primaryKey": "AAAA"}},
                            {"type": "symmetricKey", "symmetricKey": 1}):
            with self.subTest(str(attestation)[:60]):
                body = {"enrollmentGroupId": "g-bad", "attestation": attestation}
                got = self.op.put("/enrollmentGroups/g-bad", body)
                self.assertEqual(got.status, 400, got)
                self.assertEqual(got.json["errorCode"] // 1000, 400)
        self.assertEqual(self.op.get("/enrollmentGroups/g-bad").status, 404)

    def test_t5_any_query_text(self):
        for body in ({"query": "{'additional_properties': {}, 'query': 'SELECT *'}"},
                     {"query": "*"}, None, {"query": "SELECT * FROM enrollments"}):
            self.good(self.op.post("/enrollmentGroups/query", body))

    def test_pages(self):
        for i in range(5):
            self.sas_group("p-%d" % i)
        got = self.op.post("/enrollmentGroups/query", {"query": "*"}, x_ms_max_item_count="4")
        self.assertEqual(len(self.good(got)), 4)
        self.assertTrue(got.headers["x-ms-continuation"])

    def test_etags_and_delete(self):
        self.sas_group("g-e")
        one = self.good(self.op.get("/enrollmentGroups/g-e"))
        stale = self.op.delete("/enrollmentGroups/g-e", If_Match='"AAAA"')
        self.assertEqual(stale.status, 412)
        self.assertEqual(self.op.delete("/enrollmentGroups/g-e", If_Match=one["etag"]).status, 204)
        gone = self.op.delete("/enrollmentGroups/g-e")
        self.assertEqual((gone.status, gone.json["errorCode"]), (404, 404201))
        self.assertEqual(set(gone.json) >= {"errorCode", "trackingId", "message", "timestampUtc"},
                         True)


class Arm(harness.ServerCase):
    def test_hub_resource(self):
        got = self.good(self.op.get(HUB))
        self.assertEqual((got["name"], got["type"]), ("127-0-0-1", "Microsoft.Devices/IotHubs"))
        self.assertEqual((got["resourcegroup"], got["subscriptionid"]), ("RG", "S"))
        for name in ("disableLocalAuth", "disableDeviceSAS", "disableModuleSAS"):
            self.assertIs(got["properties"][name], False)
        self.assertEqual(got["properties"]["hostName"], "127.0.0.1")
        self.assertNotIn("authorizationPolicies", got["properties"])

    def test_t1_broken_if_match(self):
        etag = self.good(self.op.get(HUB))["etag"]
        for text in ("{'IF-MATCH': '%s'}" % etag, "{'IF-MATCH': 'x'", "{}", "nonsense"):
            got = self.op.put(HUB, {"properties": {"disableModuleSAS": True}}, If_Match=text)
            self.assertEqual(got.status, 200, text)
            etag = got.json["etag"]
        stale = self.op.put(HUB, {"properties": {}}, If_Match="AAAAAAAAAAE=")
        self.assertIn(stale.status, (200, 412))

    def test_t2_double_slash_and_case(self):
        path = "/subscriptions/S/resourcegroups/RG/providers/Microsoft.Devices//IotHubs/127-0-0-1"
        self.good(self.op.get(path))
        self.good(self.op.get(HUB.upper()))
        self.good(self.op.get(HUB.lower()))

    def test_put_merges(self):
        self.good(self.op.put(HUB, {"properties": {"disableModuleSAS": True}}))
        got = self.good(self.op.put(HUB, {"tags": {}, "properties": {}}))
        self.assertIs(got["properties"]["disableModuleSAS"], True)
        self.assertIs(got["properties"]["disableDeviceSAS"], False)
        for body in ({"properties": {"disableDeviceSAS": "yes"}}, {"properties": 1}, [],
                     {"properties": {"authorizationPolicies": [{"keyName": "x"}]}},
                     {"properties": {"authorizationPolicies": {}}}):
            self.assertEqual(self.op.put(HUB, body).status, 400, body)
        self.assertIs(self.good(self.op.get(HUB))["properties"]["disableDeviceSAS"], False)

    def test_a_refused_put_changes_nothing(self):
        before = self.good(self.op.get(HUB))
        got = self.op.put(HUB, {"tags": {"half": "done"}, "properties": {
            "disableDeviceSAS": True,
            "authorizationPolicies": [{"keyName": "x", "rights": "Manage"}]}})
        self.assertEqual(got.status, 400)
        self.assertEqual(self.good(self.op.get(HUB)), before)

    def test_keys(self):
        rows = self.good(self.op.post(HUB + "/listkeys"))["value"]
        names = {r["keyName"]: r["rights"] for r in rows}
        self.assertIn("RegistryWrite", names["iothubowner"])
        self.assertIn("ServiceConnect", names["iothubowner"])
        one = self.good(self.op.post(HUB + "/IotHubKeys/iothubowner/listkeys"))
        self.assertIn(one, rows)
        self.assertEqual(self.op.post(HUB + "/IotHubKeys/nosuch/listkeys").status, 404)

    def test_z_policies_cleared(self):
        """Last, by its name: it cannot be taken back."""
        keys = self.server.policy_keys()
        auth = harness.token("127.0.0.1", keys["iothubowner"], policy="iothubowner")
        caller = self.server.anybody(auth)
        self.good(caller.get("/devices"))
        device = "z-pol"
        self.sas_device(device)
        client = self.hub(device, password=harness.token(
            "127.0.0.1/devices/" + device, keys["device"], policy="device"))
        self.good(self.op.put(HUB, {"properties": {"authorizationPolicies": []}}))
        self.assertEqual(self.good(self.op.post(HUB + "/listkeys"))["value"], [])
        self.assertEqual(self.op.post(HUB + "/IotHubKeys/iothubowner/listkeys").status, 404)
        self.assertEqual(caller.get("/devices").status, 401)
        self.assertTrue(client.closes(10), "a session of a policy that is gone must go too")


class Errors(harness.ServerCase):
    def exchange(self, raw, timeout=5):
        """What the server says to these bytes, until it closes or has no more to say."""
        got = b""
        with self.raw() as s:
            s.settimeout(timeout)
            try:
                s.sendall(raw)
                while chunk := s.recv(65536):
                    got += chunk
                    if b"\r\n\r\n" in got:
                        s.settimeout(0.5)
            except OSError:
                pass
        return got

    def test_http_that_is_none(self):
        for raw in (b"\x16\x03\x01\r\n\r\n", b"GET /devices\r\n\r\n",
                    b"GET / HTTP/9.9\r\nHost: x\r\n\r\n", b"BREW / HTTP/1.1\r\nHost: x\r\n\r\n",
                    b"GET /devices HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
                    b"GET /devices HTTP/1.1\r\nHost: x\r\nX: " + b"y" * 70000 + b"\r\n\r\n",
                    b"GET /" + b"a" * 70000 + b" HTTP/1.1\r\nHost: x\r\n\r\n"):
            with self.subTest(raw[:40]):
                self.assertRegex(self.exchange(raw), rb"^(HTTP/1\.[01] (4|5)\d\d |$)")
        self.good(self.op.get("/devices"))

    def raw(self):
        s = harness.socket.create_connection(("127.0.0.1", self.server.https_port), 10)
        return harness.mqtt.tls(self.server.ca).wrap_socket(s, server_hostname="127.0.0.1")

    def test_two_requests_in_one_write(self):
        with self.raw() as s:
            one = b"GET /.well-known/est/cacerts HTTP/1.1\r\nHost: x\r\n\r\n"
            s.sendall(one + one)
            s.settimeout(10)
            got = b""
            while got.count(b"HTTP/1.1 200") < 2:
                chunk = s.recv(65536)
                if not chunk:
                    break
                got += chunk
        self.assertEqual(got.count(b"HTTP/1.1 200"), 2)

    def test_requests_whose_end_is_ambiguous_are_refused(self):
        """RFC 9112 6.1, 6.3: what one reader takes for a body is a request for another."""
        behind = b"abcdGET /.well-known/est/cacerts HTTP/1.1\r\nHost: x\r\n\r\n"
        for headers in (b"Content-Length: 4\r\nContent-Length: 50",
                        b"Content-Length: 4\r\nTransfer-Encoding: chunked",
                        b"Transfer-Encoding: gzip, chunked", b"Transfer-Encoding: x",
                        b"Content-Length : 4", b"Content-Length: 4, 4"):
            with self.subTest(headers):
                got = self.exchange(b"POST /devices/query HTTP/1.1\r\nHost: x\r\n" + headers +
                                    b"\r\n\r\n" + behind)
                self.assertRegex(got, rb"^(HTTP/1.1 4|$)")
                self.assertNotIn(b"pkcs7", got)

    def test_log_has_no_key_nor_token(self):
        key = base64.b64encode(os.urandom(32)).decode()
        self.good(self.op.put("/devices/log-1", {"deviceId": "log-1", "authentication": {
            "type": "sas", "symmetricKey": {"primaryKey": key, "secondaryKey": key}}}))
        self.refused(lambda: self.hub("log-1", password=harness.token(
            "127.0.0.1/devices/log-2", base64.b64decode(key))))
        self.assertNotIn(key, self.server.log)
        self.assertNotIn(key, json.dumps(self.op.connections()))


if __name__ == "__main__":
    harness.main()
