"""The official Azure device SDK for Node, unmodified: direct methods and cloud-to-device messages."""
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

HOST = "127.8.83.21"


class Node(harness.ServerCase):
    HOST = HOST
    HOME_SET = {"server": {"mqtt_port": 8883, "bind": HOST, "name": HOST}, "hub": {"name": HOST}}

    def opened(self, device, **credential):
        if not credential:
            credential = {"sasKey": base64.b64encode(self.sas_device(device)).decode()}
        sdk = Sdk(self, ROOM, "commands.js")
        self.assertEqual(sdk.tell("open", host=HOST, id=device, **credential), {"ok": "open"})
        return sdk

    def call(self, device, method, payload=None):
        """Waits as long for the device to listen as for its answer."""
        return self.op.post("/twins/%s/methods" % device, {
            "methodName": method, "payload": payload, "connectTimeoutInSeconds": 10,
            "responseTimeoutInSeconds": 10})

    def send(self, device, body, **headers):
        self.good(self.op.post("/messages/devicebound", body,
                               iothub_to="/devices/%s/messages/devicebound" % device,
                               **{"iothub_" + k: v for k, v in headers.items()}), 204)

    def pending(self, device):
        return self.good(self.op.get("/devices/" + device))["cloudToDeviceMessageCount"]

    def methods(self, sdk, device):
        self.assertEqual(sdk.tell("method", name="echo", status=207), {"ok": "method"})
        for payload in ({"a": [1, "é"]}, "text", 5, None):
            self.assertEqual(self.good(self.call(device, "echo", payload)),
                             {"status": 207, "payload": payload})
            self.assertEqual(sdk.heard(), {"method": "echo", "payload": payload})

    def messages(self, sdk, device):
        self.send(device, b"first", messageid="m-1", correlationid="c/1", ack="full",
                  contenttype="application/json", app_alert="a b&c=d")
        self.assertEqual(sdk.tell("messages"), {"ok": "messages"})
        self.assertEqual(sdk.heard(), {
            "message": "first", "messageId": "m-1", "correlationId": "c/1",
            "contentType": "application/json",
            "to": "/devices/%s/messages/devicebound" % device,
            "properties": [["alert", "a b&c=d"], ["iothub-ack", "full"]]})
        self.assertEqual(sdk.tell("complete"), {"ok": "complete"})
        self.eventually(lambda: self.pending(device) == 0)
        got = self.op.get("/messages/servicebound/feedback")
        self.assertEqual([(r["originalMessageId"], r["statusCode"]) for r in self.good(got)],
                         [("m-1", "Success")])
        self.good(self.op.delete("/messages/servicebound/feedback/" +
                                 got.headers["ETag"].strip('"')), 204)

    def test_symmetric_key(self):
        sdk = self.opened("co-s")
        self.methods(sdk, "co-s")
        self.messages(sdk, "co-s")
        self.assertEqual(sdk.tell("close"), {"ok": "close"})
        self.send("co-s", b"later")
        self.assertEqual(self.pending("co-s"), 1)

    def test_x509(self):
        self.ca_device("co-x")
        cert, key = self.leaf("co-x")
        sdk = self.opened("co-x", cert=cert, key=key)
        self.messages(sdk, "co-x")
        self.methods(sdk, "co-x")

    def test_server_that_restarts_under_it(self):
        sdk = self.opened("co-r")
        self.methods(sdk, "co-r")
        self.messages(sdk, "co-r")
        self.assertEqual(self.server.stop(), 0)
        self.server.start()
        type(self).op = self.server.operator()
        self.send("co-r", b"back")
        self.assertEqual(sdk.heard()["message"], "back")
        got = self.op.post("/twins/co-r/methods", {
            "methodName": "echo", "payload": 1, "connectTimeoutInSeconds": 60})
        self.assertEqual(self.good(got), {"status": 207, "payload": 1})


if __name__ == "__main__":
    with socket.socket() as probe:
        harness.need(probe.connect_ex((HOST, 8883)), "%s:8883 is taken" % HOST)
    ROOM = npm.install(HERE, ("commands.js", "runner.js"), "the Azure SDKs")
    harness.main()
