"""The official Azure device SDK for Node, unmodified, on its twin: GET, reports, desired changes.

It subscribes to its twin once and never again (device.md section 7, row 2), which is why the
server is stopped and started under it here.
"""
import base64
import os
import socket
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(HERE, "..", "flow")]
# pylint: disable=wrong-import-position
import harness
import npm
from sdk import Sdk

HOST = "127.8.83.11"


class Node(harness.ServerCase):
    HOST = HOST
    HOME_SET = {"server": {"mqtt_port": 8883, "bind": HOST, "name": HOST}, "hub": {"name": HOST}}

    def patch(self, device, desired):
        return self.good(self.op.call("PATCH", "/twins/" + device, {
            "properties": {"desired": desired}}))["properties"]["desired"]["$version"]

    def reported(self, device):
        got = self.good(self.op.get("/twins/" + device))["properties"]["reported"]
        return {k: v for k, v in got.items() if not k.startswith("$")}

    def opened(self, device, **credential):
        sdk = Sdk(self, ROOM, "twin.js")
        self.assertEqual(sdk.tell("open", host=HOST, id=device, **credential), {"ok": "open"})
        return sdk

    def whole_life(self, device, **credential):
        self.patch(device, {"interval": 5})
        sdk = self.opened(device, **credential)
        self.assertEqual(sdk.tell("twin"), {
            "ok": "twin", "desired": {"interval": 5, "$version": 2}, "reported": {"$version": 1}})
        for patch in ({"a": {"b": 1, "c": [1, 2]}, "d": "é"}, {"a": {"b": None}}):
            self.assertEqual(sdk.tell("report", patch=patch), {"ok": "report"})
        self.assertEqual(self.reported(device), {"a": {"c": [1, 2]}, "d": "é"})
        self.assertEqual(sdk.tell("listen"), {"ok": "listen"})
        # Node emits what is there to a new listener
        self.assertEqual(sdk.heard()["desired"]["interval"], 5)
        # answered behind the SUBSCRIBE that the listener made
        self.assertEqual(sdk.tell("report", patch={"e": 1}), {"ok": "report"})
        return sdk

    def changes(self, sdk, device):
        version = self.patch(device, {"interval": None, "n": {"m": 1}})
        self.assertEqual(sdk.heard()["desired"], {"interval": None, "n": {"m": 1}, "$version": version})

    def test_symmetric_key(self):
        key = base64.b64encode(self.sas_device("tw-s")).decode()
        sdk = self.whole_life("tw-s", sasKey=key)
        self.changes(sdk, "tw-s")
        self.assertEqual(sdk.tell("close"), {"ok": "close"})

    def test_x509(self):
        self.ca_device("tw-x")
        cert, key = self.leaf("tw-x")
        sdk = self.whole_life("tw-x", cert=cert, key=key)
        self.changes(sdk, "tw-x")

    def test_refused_report_is_an_error_with_its_words(self):
        """Row 16: Node sees an error only in the body."""
        key = base64.b64encode(self.sas_device("tw-e")).decode()
        sdk = self.opened("tw-e", sasKey=key)
        self.assertEqual(sdk.tell("twin")["ok"], "twin")
        got = sdk.tell("report", patch={"a.b": 1})
        self.assertEqual(got.get("failed"), "report", got)
        self.assertIn("invalid", got["text"])
        self.assertEqual(sdk.tell("report", patch={"ab": 1}), {"ok": "report"})
        self.assertEqual(self.reported("tw-e"), {"ab": 1})

    def test_server_that_restarts_keeps_the_subscriptions(self):
        key = base64.b64encode(self.sas_device("tw-r")).decode()
        sdk = self.whole_life("tw-r", sasKey=key)
        self.assertEqual(self.server.stop(), 0)
        self.server.start()
        type(self).op = self.server.operator()
        self.eventually(lambda: self.good(
            self.op.get("/twins/tw-r"))["connectionState"] == "Connected", 60, "reconnect")
        self.changes(sdk, "tw-r")
        self.assertEqual(sdk.tell("report", patch={"back": 1}), {"ok": "report"})


if __name__ == "__main__":
    with socket.socket() as probe:
        harness.need(probe.connect_ex((HOST, 8883)), "%s:8883 is taken" % HOST)
    ROOM = npm.install(HERE, ("twin.js", "runner.js"), "the Azure SDKs")
    harness.main()
