"""The official Azure device SDKs for Node, unmodified: they provision, connect and send.

They are installed from npm into the build directory, by the lock file, without running any of
their scripts. Without npm or a registry the file is skipped. The SDKs know the ports 8883 and 443
alone, so the server has a loopback address of its own for them.
"""
import base64
import json
import os
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(HERE, "..", "flow")]
# pylint: disable=wrong-import-position
import harness
import npm
import test_allocation
from harness import derive

HOSTS = ("127.8.83.1", "127.8.83.2")


class Device:
    """What the tests of both profiles share."""

    def sdk(self, **task):
        return npm.node(self, ROOM, "azure.js", json.dumps({"host": self.HOST, **task}))

    def sent(self, device, auth):
        rows = self.op.events(deviceId=device)
        self.assertEqual([r["body"] for r in rows], [{"n": 0}, {"n": 1}])
        self.assertEqual({r["authType"] for r in rows}, {auth})
        self.assertEqual(rows[0]["properties"], {
            "system": {"content-type": "application/json", "content-encoding": "utf-8",
                       "message-id": "m-0"},
            "application": {"alert": "a b&c/d"}})
        return rows

    def whole_life(self, device, auth, transport="mqtt", **credential):
        got = self.sdk(id=device, scope=harness.SCOPE, messages=[{"n": 0}, {"n": 1}],
                       payload={"model": "x"}, transport=transport, **credential)
        self.assertEqual(got, {"ok": True, "hub": self.HOST, "deviceId": device,
                               "status": "assigned", "substatus": "initialAssignment"})
        rows = self.sent(device, auth)
        connect = self.op.connections(deviceId=device, what="connect")[-1]
        self.assertEqual((connect["authType"], connect["protocol"]), (auth, transport))
        self.assertIn("azure-iot-device", connect["agent"])
        return rows

    def test_x509(self):
        self.x509_group()
        cert, key = self.leaf("node-x")
        rows = self.whole_life("node-x", "x509", cert=cert, key=key)
        self.assertEqual(len(rows[0]["thumbprint"]), 64)

    def test_individual_by_its_self_signed_certificate(self):
        cert, key, thumb = harness.pki.self_signed(self.path("own"), "node-own")
        with open(cert, encoding="ascii") as f:
            pem = f.read()
        self.good(self.op.put("/enrollments/node-own", {
            "registrationId": "node-own", "attestation": {"type": "x509", "x509": {
                "clientCertificates": {"primary": {"certificate": pem}}}}}))
        rows = self.whole_life("node-own", "x509", cert=cert, key=key)
        self.assertEqual(rows[0]["thumbprint"], thumb)

    def test_individual_by_its_own_key(self):
        made = {"registrationId": "node-k1", "attestation": {"type": "symmetricKey"}}
        self.good(self.op.put("/enrollments/node-k1", made))
        keys = self.good(self.op.post("/enrollments/node-k1/attestationmechanism"))
        self.whole_life("node-k1", "sas", sasKey=keys["symmetricKey"]["secondaryKey"])

    def test_symmetric_key_group(self):
        group = self.sas_group()
        self.whole_life("node-s", "sas",
                        sasKey=base64.b64encode(derive(group, "node-s")).decode())

    def test_custom_allocation_with_payload(self):
        hook, url, _ = test_allocation.webhook(type(self), self.parent, plain=True)
        hook.plan = lambda question: (200, {
            "iotHubHostName": self.HOST,
            "payload": {"heard": question["deviceRuntimeContext"]["payload"]}})
        group = self.sas_group("g-custom", allocationPolicy="custom", customAllocationDefinition={
            "webhookUrl": url, "apiVersion": "2019-03-31"})
        got = self.sdk(id="node-c", scope=harness.SCOPE, payload={"model": "x"},
                       sasKey=base64.b64encode(derive(group, "node-c")).decode())
        self.assertEqual((got["status"], got["payload"]), ("assigned", {"heard": {"model": "x"}}))

    def test_x509_over_websocket(self):
        self.x509_group()
        cert, key = self.leaf("node-wx")
        self.whole_life("node-wx", "x509", "mqtt-ws", cert=cert, key=key)

    def test_symmetric_key_group_over_websocket(self):
        group = self.sas_group()
        self.whole_life("node-ws", "sas", "mqtt-ws",
                        sasKey=base64.b64encode(derive(group, "node-ws")).decode())


class Native(harness.ServerCase, Device):
    HOST = HOSTS[0]
    HOME_SET = {"server": {"mqtt_port": 8883, "https_port": 443, "bind": HOSTS[0], "name": HOSTS[0]},
                "hub": {"name": HOSTS[0]}}

    def test_leaf_without_its_chain(self):
        self.x509_group()
        cert, key = self.leaf("node-leaf", [])
        self.whole_life("node-leaf", "x509", cert=cert, key=key)

    def test_wrong_key_is_an_error_that_the_sdk_knows(self):
        self.sas_group()
        got = self.sdk(id="node-w", scope=harness.SCOPE,
                       sasKey=base64.b64encode(os.urandom(32)).decode())
        self.assertEqual((got["ok"], got["error"]), (False, "UnauthorizedError"), got)

    def test_foreign_certificate_is_an_error_that_the_sdk_knows(self):
        foreign = harness.pki.make_ca(self.path("foreign"), "Foreign CA")
        cert, key = self.leaf("node-f", issuer=foreign)
        got = self.sdk(id="node-f", scope=harness.SCOPE, cert=cert, key=key)
        self.assertEqual((got["ok"], got["error"]), (False, "UnauthorizedError"), got)

    def test_hub_refuses_a_wrong_key(self):
        for device, transport in (("node-h", "mqtt"), ("node-wh", "mqtt-ws")):
            self.sas_device(device)
            got = self.sdk(id=device, messages=[{"n": 0}], transport=transport,
                           sasKey=base64.b64encode(os.urandom(32)).decode())
            self.assertFalse(got["ok"], got)
            self.reason(device, "signature")

    def test_key_made_by_the_service_api(self):
        key = self.sas_device("node-k")
        got = self.sdk(id="node-k", messages=[{"n": 0}, {"n": 1}],
                       sasKey=base64.b64encode(key).decode())
        self.assertTrue(got["ok"], got)
        self.sent("node-k", "sas")


class Azure(harness.ServerCase, Device):
    HOST = HOSTS[1]
    HOME_SET = {"server": {"mqtt_port": 8883, "https_port": 443, "bind": HOSTS[1], "name": HOSTS[1],
                           "profile": "azure"}, "hub": {"name": HOSTS[1]}}


if __name__ == "__main__":
    for host in HOSTS:
        harness.need_ports(host, 8883, 443)
    ROOM = npm.install(HERE, ("azure.js",), "the Azure SDKs")
    harness.main()
