"""Devices that speak HTTPS: registration, telemetry, uploads, and what is remembered of them."""
import base64
import json
import os

import harness
import pki

TYPE = "application/vnd.microsoft.iothub.json"


class Web(harness.ServerCase):
    def setUp(self):
        self.name = "w-" + os.urandom(4).hex()

    def by_key(self, device, key=None, host="127.0.0.1", **more):
        key = key if key is not None else self.sas_device(device)
        return self.server.anybody(harness.token("%s/devices/%s" % (host, device), key, **more))

    def by_cert(self, device):
        self.ca_device(device)
        cert, key = self.leaf(device)
        return self.server.anybody(cert=cert, key=key)

    def send(self, api, device, body=b"x", **headers):
        return api.call("POST", "/devices/%s/messages/events" % device, body, **headers)

    def lines(self, device, what="connect"):
        return self.op.connections(deviceId=device, what=what)


class Provisioning(Web):
    def register(self, api, registration, body=None, scope=harness.SCOPE):
        return api.call("PUT", "/%s/registrations/%s/register" % (scope, registration), body)

    def poll(self, api, registration, operation):
        return api.call("GET", "/%s/registrations/%s/operations/%s" % (
            harness.SCOPE, registration, operation), {})

    def whole(self, api, attestation):
        first = self.register(api, self.name, {"registrationId": self.name, "payload": {"m": 1}})
        said = self.good(first, 202)
        self.assertEqual(said["status"], "assigning")
        self.assertEqual(said["registrationState"]["registrationId"], self.name)
        self.assertIn("application/json", first.headers["Content-Type"])
        self.assertTrue(first.headers["x-ms-request-id"])
        self.assertEqual(first.headers["Location"], "/%s/registrations/%s/operations/%s" % (
            harness.SCOPE, self.name, said["operationId"]))
        def ended():
            answer = self.poll(api, self.name, said["operationId"])
            return answer.status == 200 and answer
        end = self.eventually(ended, 20, "registration").json
        state = end["registrationState"]
        self.assertEqual((end["status"], state["status"], state["assignedHub"], state["deviceId"]),
                         ("assigned", "assigned", "127.0.0.1", self.name))
        self.assertEqual("x509" in state, attestation == "x509")
        bare = self.good(api.post("/%s/registrations/%s" % (harness.SCOPE, self.name),
                                  {"registrationId": self.name}))
        self.assertEqual(bare, state)
        row = self.op.connections(deviceId=self.name, what="register")[-1]
        self.assertEqual(row["authType"], "sas" if attestation == "symmetricKey" else "x509")

    def test_by_certificate(self):
        self.x509_group()
        cert, key = self.leaf(self.name)
        self.whole(self.server.anybody(cert=cert, key=key), "x509")

    def test_by_a_groups_key(self):
        key = harness.derive(self.sas_group(), self.name)
        self.whole(self.server.anybody(harness.token(
            "%s/registrations/%s" % (harness.SCOPE, self.name), key, policy="registration")),
            "symmetricKey")

    def test_disabled_group_says_so_in_the_poll(self):
        key = harness.derive(self.sas_group("g-off", provisioningStatus="disabled"), self.name)
        api = self.server.anybody(harness.token(
            "%s/registrations/%s" % (harness.SCOPE, self.name), key, policy="registration"))
        operation = self.good(self.register(api, self.name), 202)["operationId"]
        end = self.good(self.poll(api, self.name, operation))
        self.assertEqual(end["status"], "disabled")
        self.assertEqual(end["registrationState"]["errorCode"], 403003)
        self.reason(self.name, "disabled")

    def test_refusals_are_json_with_a_number(self):
        self.x509_group()
        cert, key = self.leaf("another")
        for api in (self.server.anybody(), self.server.anybody(cert=cert, key=key),
                    self.server.anybody("SharedAccessSignature sr=x")):
            got = self.register(api, self.name)
            self.assertEqual(got.status, 401, got)
            self.assertEqual(got.json["errorCode"], 401002)
            self.assertTrue(got.json["message"])
        self.assertEqual(len(self.op.connections(deviceId=self.name, what="refused", plane="dps")),
                         3)
        cert, key = self.leaf(self.name)
        good = self.server.anybody(cert=cert, key=key)
        self.assertEqual(self.register(good, self.name, scope="0ne0000000f").status, 401)
        self.assertEqual(self.register(good, self.name, {"registrationId": "x"}).status, 400)
        self.assertEqual(self.poll(good, self.name, "4.0.0").status, 404)
        self.assertEqual(good.post("/%s/registrations/%s" % (harness.SCOPE, self.name)).status, 404)


class Telemetry(Web):
    def test_one_message_is_the_same_event_as_over_mqtt(self):
        api = self.by_key(self.name)
        self.assertEqual(self.send(
            api, self.name, b'{"n": 1}', IoTHub_MessageId="m-1", iothub_contenttype="application/json",
            iothub_contentencoding="utf-8", iothub_app_alert="a b",
            iothub_to="/devices/%s/messages/events" % self.name).status, 204)
        row = self.op.events(deviceId=self.name)[-1]
        self.assertEqual(row["body"], {"n": 1})
        self.assertEqual(row["properties"], {
            "system": {"content-type": "application/json", "content-encoding": "utf-8",
                       "message-id": "m-1"}, "application": {"alert": "a b"}})
        self.assertEqual(row["authType"], "sas")

    def test_chunked_as_node_sends_it(self):
        api = self.by_cert(self.name)
        self.assertEqual(self.send(api, self.name, iter([b"one ", b"two"])).status, 204)
        row = self.op.events(deviceId=self.name)[-1]
        self.assertEqual((row["authType"], len(row["thumbprint"])), ("x509", 64))

    def test_blank_authorization_is_none(self):
        api = self.by_cert(self.name)
        self.assertEqual(self.send(api, self.name, Authorization=" ").status, 204)

    def test_batch_is_stored_whole_or_not_at_all(self):
        api = self.by_key(self.name)
        batch = [{"body": base64.b64encode(b"%d" % n).decode(),
                  "properties": {"iothub-app-n": str(n)}} for n in range(100)]
        self.assertEqual(self.send(api, self.name, json.dumps(batch), Content_Type=TYPE).status, 204)
        rows = self.op.events(deviceId=self.name)
        self.assertEqual([r["properties"]["application"]["n"] for r in rows],
                         [str(n) for n in range(100)])
        batch[99]["body"] = "!"
        got = self.send(api, self.name, json.dumps(batch), Content_Type=TYPE)
        self.assertEqual(got.status, 400)
        self.assertIn("message 99", got.json["Message"])
        self.assertEqual(len(self.op.events(deviceId=self.name)), 100)

    def test_too_large_is_413_with_its_name(self):
        api = self.by_key(self.name)
        got = self.send(api, self.name, b"x" * (256 * 1024))
        self.assertEqual(got.status, 413, got)

    def test_refusals_tell_a_stranger_nothing_and_the_operator_all(self):
        self.by_cert(self.name)
        self.sas_device("key-" + self.name)
        bodies = set()
        for device in (self.name, "nobody-" + self.name, "key-" + self.name):
            api = self.by_key(device, os.urandom(32))
            got = self.send(api, device)
            self.assertEqual((got.status, got.headers["iothub-errorcode"]),
                             (401, "IotHubUnauthorizedAccess"), got)
            bodies.add(got.json["Message"])
        self.assertEqual(len(bodies), 1)
        self.reason(self.name, "other kind")
        self.reason("nobody-" + self.name, "not found")
        self.reason("key-" + self.name, "signature")
        self.assertEqual(self.send(self.server.anybody(), self.name).status, 401)
        self.reason(self.name, "neither")

    def test_token_for_another_device_or_hub_or_past_its_end(self):
        key = self.sas_device(self.name)
        for api in (self.by_key(self.name, key, host="elsewhere.test"),
                    self.by_key(self.name + "x", key), self.by_key(self.name, key, life=-4000)):
            self.assertEqual(self.send(api, self.name).status, 401)
        self.assertEqual(self.send(self.by_key(self.name, key), self.name).status, 204)

    def test_disabled_device_is_refused_from_the_next_request(self):
        api = self.by_cert(self.name)
        self.assertEqual(self.send(api, self.name).status, 204)
        identity = self.op.get("/devices/" + self.name).json
        self.good(self.op.put("/devices/" + self.name, {**identity, "status": "disabled"},
                              If_Match="*"))
        self.assertEqual(self.send(api, self.name).status, 401)
        self.reason(self.name, "disabled")

    def test_revoked_certificate_is_refused_on_the_same_connection(self):
        api = self.by_cert(self.name)
        self.assertEqual(self.send(api, self.name).status, 204)
        self.good(self.op.post("/muster/revoke", {"deviceId": self.name}))
        got = self.send(api, self.name)
        self.assertIn(got.status, (401, 403), got)

    def test_unknown_module_is_refused(self):
        api = self.by_key(self.name)
        got = api.call("POST", "/devices/%s/modules/m/messages/events" % self.name, b"x")
        self.assertEqual(got.status, 401, got)


class Messages(Web):
    def post(self, text, **headers):
        got = self.op.post("/messages/devicebound", text.encode(), iothub_to=
                           "/devices/%s/messages/devicebound" % self.name, **headers)
        self.assertLess(got.status, 300, got)

    def receive(self, api):
        return api.get("/devices/%s/messages/devicebound" % self.name)

    def settle(self, api, method, lock, tail=""):
        return api.call(method, "/devices/%s/messages/devicebound/%s%s" % (self.name, lock, tail))

    def test_received_abandoned_completed(self):
        api = self.by_key(self.name)
        self.assertEqual(self.receive(api).status, 204)
        self.post("hello", iothub_messageid="m-1", iothub_app_Alert="a b",
                  iothub_contenttype="text/plain")
        first = self.receive(api)
        self.assertEqual((first.status, first.body), (200, b"hello"))
        # as the C SDK compares them, with their case
        names = dict(first.headers.items())
        lock = names["ETag"].strip('"')
        self.assertEqual(names["ETag"], '"%s"' % lock)
        self.assertEqual((names["iothub-messageid"], names["iothub-app-Alert"],
                          names["ContentType"], names["iothub-deliverycount"]),
                         ("m-1", "a b", "text/plain", "0"))
        self.assertEqual(self.receive(api).status, 204)
        self.assertEqual(self.settle(api, "POST", lock, "/abandon").status, 204)
        again = self.receive(api)
        self.assertEqual((again.body, again.headers["iothub-deliverycount"]), (b"hello", "1"))
        stale = self.settle(api, "DELETE", lock)
        self.assertEqual((stale.status, stale.headers["iothub-errorcode"]),
                         (412, "DeviceMessageLockLost"))
        self.assertEqual(self.settle(api, "DELETE", again.headers["ETag"].strip('"')).status, 204)
        self.assertEqual(self.receive(api).status, 204)

    def test_nobody_receives_anothers(self):
        api = self.by_key(self.name)
        self.post("secret")
        other = self.by_key(self.name + "-o")
        self.assertEqual(self.receive(other).status, 401)
        lock = self.receive(api).headers["ETag"].strip('"')
        self.assertEqual(self.settle(other, "DELETE", lock).status, 401)
        self.assertEqual(other.call("DELETE", "/devices/%s-o/messages/devicebound/%s" % (
            self.name, lock)).status, 412)
        self.assertEqual(self.settle(api, "DELETE", lock, "?reject").status, 204)


class Evidence(Web):
    """What a seal and verify look for must be in the connection log, without a line a request."""

    def test_a_line_for_many_requests(self):
        for api, auth in ((self.by_key(self.name), "sas"), (self.by_cert(self.name + "x"), "x509")):
            device = self.name + ("x" if auth == "x509" else "")
            for _ in range(5):
                self.assertEqual(self.send(api, device).status, 204)
            rows = self.lines(device)
            self.assertEqual([(r["authType"], r["plane"]) for r in rows], [(auth, "hub")])
            self.assertEqual(rows[0]["protocol"], "https")
            self.assertTrue(self.op.get("/devices/" + device).json["lastActivityTime"] > "2000")

    def test_sas_after_a_switch_is_seen_at_once(self):
        key = self.sas_device(self.name)
        by_key = self.by_key(self.name, key)
        self.assertEqual(self.send(by_key, self.name).status, 204)
        # the migration window: X.509 by registration, the keys still good
        self.x509_group()
        cert, pem = self.leaf(self.name)
        by_cert = self.server.anybody(cert=cert, key=pem)
        path = "/%s/registrations/%s/" % (harness.SCOPE, self.name)
        operation = self.good(by_cert.put(path + "register", {}), 202)["operationId"]
        self.assertEqual(self.good(by_cert.get(path + "operations/" + operation))["status"],
                         "assigned")
        self.assertEqual(self.send(by_cert, self.name).status, 204)
        self.assertEqual(self.send(by_key, self.name).status, 204)
        self.assertEqual([r["authType"] for r in self.lines(self.name)], ["sas", "x509", "sas"])

    def test_sas_after_a_session_is_seen_at_once(self):
        key = self.sas_device(self.name)
        api = self.by_key(self.name, key)
        self.assertEqual(self.send(api, self.name).status, 204)
        self.hub(self.name, key=key).close()
        self.assertEqual(self.send(api, self.name).status, 204)
        self.assertEqual(len(self.lines(self.name)), 3)


class Uploads(Web):
    ACCOUNT_KEY = os.urandom(64)

    @classmethod
    def setUpClass(cls):
        cls.HOME_SET = {"hub": {
            "upload_container": "https://acct.blob.core.windows.net/up",
            "upload_key_file": "upload.key", "upload_notices": "true"}}
        make_home = harness.make_home
        def with_key(parent, *more):
            path = make_home(parent, *more)
            with open(os.open(os.path.join(path, "upload.key"), os.O_WRONLY | os.O_CREAT, 0o600),
                      "wb") as f:
                f.write(base64.b64encode(cls.ACCOUNT_KEY) + b"\n")
            return path
        harness.make_home = with_key
        try:
            super().setUpClass()
        finally:
            harness.make_home = make_home

    def start(self, api, blob="dir/a b.txt", device=None):
        return api.call("POST", "/devices/%s/files" % (device or self.name), {"blobName": blob})

    def end(self, api, correlation, **more):
        return api.call("POST", "/devices/%s/files/notifications" % self.name, {
            "correlationId": correlation, "isSuccess": True, "statusCode": 201,
            "statusDescription": "Created", **more})

    def test_place_and_signature(self):
        api = self.by_key(self.name)
        got = self.good(self.start(api))
        self.assertEqual((got["hostName"], got["containerName"], got["blobName"]),
                         ("acct.blob.core.windows.net", "up", self.name + "/dir/a b.txt"))
        self.assertTrue(got["sasToken"].startswith("?"))
        query = dict(harness.urllib.parse.parse_qsl(got["sasToken"][1:]))
        self.assertEqual({k: query[k] for k in ("sr", "sp", "spr")},
                         {"sr": "b", "sp": "rw", "spr": "https"})
        text = "\n".join(["rw", "", query["se"], "/blob/acct/up/" + got["blobName"], "", "",
                          "https", query["sv"], "b", "", "", "", "", "", "", ""])
        self.assertEqual(query["sig"], base64.b64encode(harness.hmac.new(
            self.ACCOUNT_KEY, text.encode(), harness.hashlib.sha256).digest()).decode())
        for place in (self.server.log, self.op.connections(deviceId=self.name)):
            self.assertNotIn(query["sig"], str(place))
        self.assertNotIn(base64.b64encode(self.ACCOUNT_KEY).decode(), self.server.log)

    def test_ends_once(self):
        api = self.by_cert(self.name)
        got = self.good(self.start(api))
        self.assertEqual(self.end(api, got["correlationId"]).status, 204)
        again = self.end(api, got["correlationId"])
        self.assertEqual((again.status, again.headers["iothub-errorcode"]),
                         (400, "InvalidFileUploadCorrelationId"))

    def test_nobody_ends_anothers(self):
        got = self.good(self.start(self.by_key(self.name)))
        first, self.name = self.name, self.name + "o"
        self.assertEqual(self.end(self.by_key(self.name), got["correlationId"]).status, 400)
        self.name = first

    def test_ten_are_open_at_most(self):
        api = self.by_key(self.name)
        first = [self.good(self.start(api, "f%d" % n))["correlationId"] for n in range(10)][0]
        got = self.start(api, "f10")
        self.assertEqual((got.status, got.headers["iothub-errorcode"]),
                         (403, "DeviceMaximumActiveFileUploadLimitExceeded"))
        self.assertEqual(self.end(api, first).status, 204)
        self.assertEqual(self.start(api, "f10").status, 200)

    def test_names_that_lead_elsewhere(self):
        api = self.by_key(self.name)
        for blob in ("../other/x", "a/../../x", ".", "/x", "", "a\\b", "x" * 1025, "a\nb"):
            self.assertEqual(self.start(api, blob).status, 400, blob)

    def test_services_take_notices_one_after_the_other(self):
        path = "/messages/serviceBound/filenotifications"
        while self.op.get(path).status == 200:
            pass  # other tests' are locked now
        api = self.by_key(self.name)
        for blob in ("one", "two"):
            self.end(api, self.good(self.start(api, blob))["correlationId"])
        self.end(api, self.good(self.start(api, "failed"))["correlationId"], isSuccess=False)
        first, second = self.op.get(path), self.op.get(path)
        self.assertEqual([self.good(x)["blobName"] for x in (first, second)],
                         [self.name + "/one", self.name + "/two"])
        self.assertEqual(first.json["blobUri"], "https://acct.blob.core.windows.net/up/%s/one" %
                         self.name)
        self.assertEqual(self.op.get(path).status, 204)
        lock = [x.headers["ETag"].strip('"') for x in (first, second)]
        self.assertEqual(self.op.delete("%s/%s" % (path, lock[0])).status, 204)
        self.assertEqual(self.op.delete("%s/%s" % (path, lock[0])).status, 412)
        self.assertEqual(self.op.post("%s/%s/abandon" % (path, lock[1])).status, 204)
        self.assertEqual(self.good(self.op.get(path))["blobName"], self.name + "/two")


class NoUploads(Web):
    def test_without_an_account_it_is_said(self):
        got = self.by_key(self.name).call("POST", "/devices/%s/files" % self.name,
                                          {"blobName": "x"})
        self.assertEqual((got.status, got.headers["iothub-errorcode"]),
                         (400, "DefaultStorageEndpointNotConfigured"))


class KeyFile(harness.Case):
    def test_key_that_others_may_read_is_refused(self):
        home = harness.make_home(self.folder())
        harness.set_config(home, hub={"upload_container": "https://a.test/up",
                                      "upload_key_file": "upload.key"})
        path = os.path.join(home, "upload.key")
        with open(path, "wb") as f:
            f.write(base64.b64encode(b"k" * 64))
        os.chmod(path, 0o644)
        got = harness.run("serve", "--home", home, timeout=60)
        self.assertNotEqual(got.returncode, 0)
        self.assertIn("upload.key", got.stderr)


if __name__ == "__main__":
    harness.main()
