"""What the azure-iot extension of azure-cli sends for the guides' commands (rows 9 to 15 and 19 of
service.md 5.1) and the everyday ones, request by request as it was captured from release 0.23.1: how it
finds a service and its key, its tokens, its headers, its bodies. peer/test_az_extension.py runs the
extension itself, where there is one.
"""
import base64
import json
import os

import harness
import mqtt
from test_traps import sas

ARM = "/subscriptions/9d8294be-2fe8-84b9-a6b4-51f803a62329"
DPS = ARM + "/resourceGroups/RG/providers/Microsoft.Devices/provisioningServices/127-0-0-1"
HUBS = ARM + "/providers/Microsoft.Devices/IotHubs"
# What it must find in the rights of a policy, or it gives up.
NEEDED = {"hub": {"RegistryWrite", "ServiceConnect", "DeviceConnect"},
          "dps": {"ServiceConfig", "EnrollmentWrite"}}
HEADERS = {
    "Accept": "application/json", "Content-Type": "application/json; charset=utf-8",
    "accept-language": "en-US", "x-ms-client-request-id": "8f1fa2c8-e6a7-11f1-b328-02fc00000001",
    "User-Agent": "python/3.11.2 (Linux-6.1-x86_64-with-glibc2.36) msrest/0.6.21 msrest_azure/0.6.4 "
                  "iothubgatewayserviceapis/2021-04-12 Azure-SDK-For-Python "
                  "IoTPlatformCliExtension/0.23.1"}
TWIN = {"tags": {"authType": "x509", "enrollmentGroup": "csa-iot-fleet-x509"}}
REPROVISION = {"updateHubAssignment": True, "migrateDeviceData": True}


class Extension(harness.ServerCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        made = cls.op.put("/muster/operators/az", {"role": "owner", "newSecret": True}).json
        got = cls.server.anybody().call(
            "POST", "/adfs/oauth2/token", "client_id=%s&client_secret=%s&grant_type="
            "client_credentials&client_info=1&scope=https%%3A%%2F%%2F127.0.0.1%%2F%%2F.default" % (
                made["appId"], made["secret"])).json
        cls.arm = cls.server.anybody("Bearer " + got["access_token"])

    def policy(self, where, version, plane):
        rows = self.good(self.arm.post("%s/listkeys?%s" % (where, version)))["value"]
        return next(r for r in rows if NEEDED[plane] <= set(r["rights"].split(", ")))

    def caller(self, host, policy):
        token = sas(host, base64.b64decode(policy["primaryKey"]), ("sr", "sig", "se", "skn"),
                    policy["keyName"])
        return self.server.anybody(token)

    def ask(self, caller, method, path, body=None, version="2021-04-12", **more):
        """A request of its data plane: every one has all headers, and Content-Type without a body."""
        headers = {k.replace("-", "_"): v for k, v in HEADERS.items()}
        text = None if body is None else json.dumps(body)
        got = caller.call(method, "%s?api-version=%s" % (path, version), text,
                          **{**headers, **more})
        self.assertLess(got.status, 300, got)
        return got

    def hub_az(self, method, path, body=None, **more):
        version = "api-version=2022-04-30-preview"
        hub, = self.good(self.arm.get("%s?%s" % (HUBS, version)))["value"]
        self.assertTrue(hub["sku"]["tier"] and hub["location"], hub)
        where = "%s/resourceGroups/%s/providers/Microsoft.Devices/IotHubs/%s" % (
            ARM, hub["resourcegroup"], hub["name"])
        caller = self.caller(hub["properties"]["hostName"], self.policy(where, version, "hub"))
        return self.ask(caller, method, path, body, **more)

    def dps_az(self, method, path, body=None, **more):
        version = "api-version=2021-10-15"
        dps = self.good(self.arm.get("%s?%s" % (DPS, version)))
        self.assertTrue(dps["resourcegroup"])
        caller = self.caller(dps["properties"]["serviceOperationsHostName"],
                             self.policy(DPS, version, "dps"))
        return self.ask(caller, method, path, body, "2021-10-01", **more)

    # ---- the guides' ----

    def test_row_09_enrollment_group_create(self):
        with open(self.device_ca.cert, encoding="ascii") as f:
            pem = f.read().rstrip()
        body = {"enrollmentGroupId": "row9",
                "attestation": {"type": "x509", "x509": {"signingCertificates": {
                    "primary": {"certificate": pem}}}},
                "capabilities": {"iotEdge": False},
                "initialTwin": {"tags": {}, "properties": {"desired": TWIN}},
                "provisioningStatus": "enabled", "reprovisionPolicy": REPROVISION,
                "allocationPolicy": "hashed", "iotHubs": ["127.0.0.1"]}
        for _ in range(2):  # without If-Match: it overwrites
            got = self.dps_az("PUT", "/enrollmentGroups/row9", body).json
            self.assertEqual({k: got[k] for k in ("enrollmentGroupId", "provisioningStatus",
                                                  "reprovisionPolicy", "allocationPolicy",
                                                  "iotHubs", "capabilities")},
                             {k: body[k] for k in ("enrollmentGroupId", "provisioningStatus",
                                                   "reprovisionPolicy", "allocationPolicy",
                                                   "iotHubs", "capabilities")})
            self.assertEqual(got["initialTwin"]["properties"]["desired"]["tags"], TWIN["tags"])
        # row 10, and what "update" makes of the answer: read, sent back without the certificate
        read = self.dps_az("GET", "/enrollmentGroups/row9").json
        info = read["attestation"]["x509"]["signingCertificates"]["primary"]["info"]
        back = {**body, "attestation": {"type": "x509", "x509": {"signingCertificates": {
            "primary": {"info": info}}}}, "etag": read["etag"], "provisioningStatus": "disabled"}
        got = self.dps_az("PUT", "/enrollmentGroups/row9", back, If_Match="*").json
        self.assertEqual(got["provisioningStatus"], "disabled")
        kept = got["attestation"]["x509"]["signingCertificates"]["primary"]["info"]
        self.assertEqual(kept, info)
        # row 11
        self.assertEqual(self.dps_az("DELETE", "/enrollmentGroups/row9", If_Match="*").status, 204)

    def test_row_10_show_keys_and_list(self):
        self.dps_az("PUT", "/enrollmentGroups/row10", {
            "enrollmentGroupId": "row10", "attestation": {"type": "symmetricKey",
                                                          "symmetricKey": {}},
            "capabilities": {"iotEdge": False}, "reprovisionPolicy": REPROVISION,
            "initialTwin": {"tags": {}, "properties": {"desired": {}}}})
        self.assertEqual(self.dps_az("GET", "/enrollmentGroups/row10").json["attestation"]["type"],
                         "symmetricKey")
        got = self.dps_az("POST", "/enrollmentGroups/row10/attestationmechanism").json
        self.assertEqual(len(base64.b64decode(got["symmetricKey"]["primaryKey"])), 64)
        got = self.dps_az("POST", "/enrollmentGroups/query",
                          {"query": "{'additional_properties': {}, 'query': 'SELECT *'}"},
                          Cache_Control="no-cache, must-revalidate")
        self.assertIn("row10", [g["enrollmentGroupId"] for g in got.json])
        self.assertNotIn("x-ms-continuation", got.headers)

    def test_row_12_registration_list(self):
        group = self.sas_group("row12")
        mqtt.dps_register(self.dps("row12-d", harness.derive(group, "row12-d")))
        row, = self.dps_az("POST", "/registrations/row12/query").json
        self.assertEqual((row["deviceId"], row["status"]), ("row12-d", "assigned"))
        self.assertRegex(row["lastUpdatedDateTimeUtc"], r"^\d{4}-\d\d-\d\dT")
        got = self.dps_az("GET", "/registrations/row12-d").json
        self.assertEqual(got["assignedHub"], "127.0.0.1")
        self.assertEqual(self.dps_az("DELETE", "/registrations/row12-d", If_Match="*").status, 204)
        self.assertEqual(self.dps_az("POST", "/registrations/row12/query").json, [])

    def test_row_13_identity_list(self):
        self.sas_device("row13-s")
        self.ca_device("row13-x")
        got = self.hub_az("POST", "/devices/query", {"query": "select * from devices"},
                          x_ms_max_item_count="1000", Cache_Control="no-cache, must-revalidate")
        kinds = {d["deviceId"]: d["authenticationType"] for d in got.json}
        self.assertEqual((kinds["row13-s"], kinds["row13-x"]), ("sas", "certificateAuthority"))
        self.assertTrue(all("authentication" not in d for d in got.json))
        got = self.hub_az("POST", "/devices/query", {
            "query": "select * from devices where capabilities.iotEdge = true"},
            x_ms_max_item_count="1000", Cache_Control="no-cache, must-revalidate")
        self.assertEqual(got.json, [])

    def test_rows_14_and_15_identity_show_and_update(self):
        thumb = "AB" * 32
        made = self.hub_az("PUT", "/devices/row15", {
            "deviceId": "row15", "status": "enabled", "authentication": {
                "x509Thumbprint": {"primaryThumbprint": thumb}, "type": "selfSigned"},
            "capabilities": {"iotEdge": False}}).json
        read = self.hub_az("GET", "/devices/row15").json
        self.assertEqual(read, made)
        auth = {"x509Thumbprint": {
            "primaryThumbprint": read["authentication"]["x509Thumbprint"]["primaryThumbprint"]},
            "type": read["authentication"]["type"]}
        # it indexes into keys of every type (T14)
        self.assertIsNone(read["authentication"]["symmetricKey"]["primaryKey"])
        body = {"deviceId": "row15", "etag": "*", "status": "disabled", "authentication": auth,
                "capabilities": {"iotEdge": False}}
        got = self.hub_az("PUT", "/devices/row15", body, If_Match='"*"').json
        self.assertEqual((got["status"], got["authentication"], got["generationId"]),
                         ("disabled", read["authentication"], read["generationId"]))
        # --am x509_ca: what is absent is cleared
        body["authentication"] = {"type": "certificateAuthority"}
        got = self.hub_az("PUT", "/devices/row15", body, If_Match='"*"').json
        self.assertEqual(got["authentication"]["type"], "certificateAuthority")
        self.assertIsNone(got["authentication"]["x509Thumbprint"]["primaryThumbprint"])
        self.assertEqual(self.hub_az("DELETE", "/devices/row15", If_Match='"*"').status, 204)

    def test_row_19_generate_sas_token(self):
        version = "api-version=2022-04-30-preview"
        hub, = self.good(self.arm.get("%s?%s" % (HUBS, version)))["value"]
        where = "%s/resourceGroups/%s/providers/Microsoft.Devices/IotHubs/%s/IotHubKeys/" % (
            ARM, hub["resourcegroup"], hub["name"])
        one = self.good(self.arm.post("%siothubowner/listkeys?%s" % (where, version)))
        self.assertEqual(set(one), {"keyName", "primaryKey", "secondaryKey", "rights"})
        self.good(self.caller("127.0.0.1", one).get("/devices"))
        self.assertEqual(self.arm.post("%snone/listkeys?%s" % (where, version)).status, 404)

    # ---- the everyday ones ----

    def test_enrollments(self):
        body = {"registrationId": "e-1", "deviceId": "other", "optionalDeviceInformation": {},
                "attestation": {"type": "symmetricKey", "symmetricKey": {}},
                "capabilities": {"iotEdge": False}, "reprovisionPolicy": REPROVISION,
                "initialTwin": {"tags": {}, "properties": {"desired": {}}}}
        made = self.dps_az("PUT", "/enrollments/e-1", body).json
        keys = self.dps_az("POST", "/enrollments/e-1/attestationmechanism").json
        back = {**body, "attestation": keys, "etag": made["etag"], "iotHubs": made["iotHubs"],
                "provisioningStatus": "disabled", "allocationPolicy": made["allocationPolicy"]}
        self.dps_az("PUT", "/enrollments/e-1", back, If_Match="*")
        self.assertEqual(self.dps_az("POST", "/enrollments/e-1/attestationmechanism").json, keys)
        got = self.dps_az("POST", "/enrollments/query",
                          {"query": "{'additional_properties': {}, 'query': 'SELECT *'}"},
                          x_ms_max_item_count="10", Cache_Control="no-cache, must-revalidate").json
        self.assertEqual([(e["registrationId"], e["provisioningStatus"]) for e in got],
                         [("e-1", "disabled")])
        self.assertEqual(self.dps_az("DELETE", "/enrollments/e-1", If_Match="*").status, 204)

    def test_twins_modules_and_queues(self):
        self.sas_device("t-1")
        got = self.hub_az("PATCH", "/twins/t-1", {"tags": {"site": "Ulm"}}, If_Match='"*"').json
        self.assertEqual(got["tags"], {"site": "Ulm"})
        got = self.hub_az("PUT", "/twins/t-1", {"tags": {"a": 1}}, If_Match='"*"').json
        self.assertEqual(got["tags"], {"a": 1})
        self.hub_az("PUT", "/devices/t-1/modules/m", {
            "moduleId": "m", "deviceId": "t-1",
            "authentication": {"symmetricKey": {}, "type": "sas"}})
        self.assertEqual([m["moduleId"] for m in self.hub_az("GET", "/devices/t-1/modules").json],
                         ["m"])
        self.assertEqual(self.hub_az("DELETE", "/devices/t-1/modules/m", If_Match='"*"').status, 204)
        got = self.hub_az("DELETE", "/devices/t-1/commands").json
        self.assertEqual(got["totalMessagesPurged"], 0)

    def test_renewing_keys_by_swapping_them(self):
        self.sas_device("k-1")
        read = self.hub_az("GET", "/devices/k-1").json
        keys = read["authentication"]["symmetricKey"]
        swapped = {"primaryKey": keys["secondaryKey"], "secondaryKey": keys["primaryKey"]}
        got = self.hub_az("PUT", "/devices/k-1", {
            "deviceId": "k-1", "etag": "*", "status": "enabled", "capabilities": {"iotEdge": False},
            "authentication": {"symmetricKey": swapped, "type": "sas"}}, If_Match='"*"').json
        self.assertEqual(got["authentication"]["symmetricKey"], swapped)

    def test_a_key_that_is_no_policys_any_more(self):
        """What the extension says then is the body's message."""
        caller = self.caller("127.0.0.1", {
            "keyName": "iothubowner", "primaryKey": base64.b64encode(os.urandom(32)).decode()})
        for path, word in (("/devices/x", "Message"), ("/enrollments/x", "message")):
            got = caller.get(path)
            self.assertEqual(got.status, 401)
            self.assertTrue(got.json[word])


if __name__ == "__main__":
    harness.main()
