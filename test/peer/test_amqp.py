"""Official clients over AMQP, unmodified: the service SDK and the Event Hubs SDK for Node, and
Debian's uamqp making the calls that az's IoT extension makes (iot device c2d-message send, iot hub
monitor-feedback, iot hub monitor-events)."""
import base64
import json
import os
import socket
import subprocess
import sys
import time
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(HERE, "..", "flow")]
# pylint: disable=wrong-import-position
import harness
import mqtt
import npm

HOST = "127.8.71.5"
PYTHON = "/usr/bin/python3"
CLIENT_S = 120


class Peer(harness.ServerCase):
    HOST = HOST
    HOME_SET = {"server": {"amqp_port": 5671, "https_port": 443, "bind": HOST, "name": HOST},
                "hub": {"name": HOST}}

    def hub(self):
        return self.good(self.op.get("/subscriptions/s/resourceGroups/g/providers/"
                                     "Microsoft.Devices/IotHubs/muster"))["properties"]

    def client(self, program, cwd, **task):
        """Every line that a client wrote, by what it is about."""
        events = self.hub()["eventHubEndpoints"]["events"]
        self.assertEqual(events["endpoint"], "sb://%s/" % HOST)
        keys = self.server.policy_keys()
        task = {"host": HOST, "ca": self.server.ca, "policy": "iothubowner", "path": events["path"],
                "partition": events["partitionIds"][0], **task}
        task.setdefault("key", base64.b64encode(keys[task["policy"]]).decode())
        got = subprocess.run(program, cwd=cwd, input=json.dumps(task), text=True,
                             stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=CLIENT_S,
                             check=False, env={**os.environ, "NODE_NO_WARNINGS": "1",
                                               "NODE_EXTRA_CA_CERTS": self.server.ca})
        self.assertEqual(got.returncode, 0, got.stderr)
        return [json.loads(line) for line in got.stdout.splitlines()], got.stderr[-2000:]

    def works(self, program, cwd, **task):
        lines, errors = self.client(program, cwd, **task)
        self.assertEqual(lines[-1:], [{"end": True}], "%s\n%s" % (lines, errors))
        return lines[:-1]

    def telemetry(self, device, key):
        with self.server.mqtt() as link:
            link.connect(device, mqtt.hub_user(device, HOST),
                         harness.token("%s/devices/%s" % (HOST, device), key))
            link.publish("devices/%s/messages/events/%%24.mid=e-1&%%24.ct=application%%2Fjson"
                         "&%%24.ce=utf-8&alert=a%%20b" % device, b'{"t":20}')
            link.disconnect()

    def pending(self, device):
        return self.good(self.op.get("/devices/" + device))["cloudToDeviceMessageCount"]

    def purge_and_hear(self, device, program, cwd, **task):
        self.good(self.op.delete("/devices/%s/commands" % device))
        rows = [r for line in self.works(program, cwd, do="feedback", **task)
                for r in line["feedback"]]
        self.assertIn((task["id"], device, "Purged"),
                      [(r["originalMessageId"], r["deviceId"], r["statusCode"]) for r in rows])


class Node(Peer):
    PROGRAM = ["node", "amqp.js"]

    @classmethod
    def setUpClass(cls):
        try:
            cls.room = npm.install(HERE, ("amqp.js",), "the Azure SDKs")
        except SystemExit:
            raise unittest.SkipTest("the Azure SDKs cannot be had") from None
        version = subprocess.run(["node", "--version"], stdout=subprocess.PIPE, text=True,
                                 check=True).stdout
        if int(version[1:].split(".")[0]) < 20:
            raise unittest.SkipTest("the SDKs want Node 20: " + version)
        super().setUpClass()

    def messages(self, device, **more):
        self.sas_device(device)
        lines = self.works(self.PROGRAM, self.room, do="c2d", device=device, id=device + "-1",
                           body='{"a":1}', **more)
        self.assertEqual(lines, [{"sent": device + "-1"}])
        self.assertEqual(self.pending(device), 1)
        self.purge_and_hear(device, self.PROGRAM, self.room, id=device + "-1", **more)

    def test_messages(self):
        self.messages("n-tls")

    def test_messages_over_websocket(self):
        self.messages("n-ws", ws=True)

    def test_errors_have_their_classes(self):
        lines, _ = self.client(self.PROGRAM, self.room, do="c2d", device="n-none", id="x", body="")
        self.assertEqual(lines[-1]["failed"], "DeviceNotFoundError")
        lines, _ = self.client(self.PROGRAM, self.room, do="c2d", device="n-none", id="x", body="",
                               policy="registryRead")
        self.assertEqual(lines[-1]["failed"], "UnauthorizedError")

    def test_events(self):
        self.telemetry("n-ev", self.sas_device("n-ev"))
        name, last, *events = self.works(self.PROGRAM, self.room, do="events", count=1)
        self.assertEqual(name, {"name": self.hub()["eventHubEndpoints"]["events"]["path"],
                                "partitions": ["0"]})
        self.assertFalse(last["empty"])
        self.assertEqual((events[0]["body"], events[0]["properties"], events[0]["id"]),
                         ({"t": 20}, {"alert": "a b"}, "e-1"))
        self.assertIn("iothub-connection-device-id", events[0]["system"])


class Uamqp(Peer):
    PROGRAM = [PYTHON, os.path.join(HERE, "uamqp_peer.py")]

    @classmethod
    def setUpClass(cls):
        if not os.path.exists(PYTHON) or subprocess.run(
                [PYTHON, "-c", "import uamqp"], stderr=subprocess.DEVNULL, check=False).returncode:
            raise unittest.SkipTest("there is no python3-uamqp")
        super().setUpClass()

    def test_messages(self):
        self.sas_device("u-c2d")
        task = {"do": "c2d", "device": "u-c2d", "id": "u-1", "body": '{"a":1}'}
        self.assertEqual(self.works(self.PROGRAM, HERE, **task), [{"states": ["SendComplete"]}])
        self.assertEqual(self.pending("u-c2d"), 1)
        lines, _ = self.client(self.PROGRAM, HERE, **{**task, "device": "u-none"})
        self.assertEqual(lines[0], {"states": ["SendFailed"]})
        lines, _ = self.client(self.PROGRAM, HERE, **task, key=base64.b64encode(b"x" * 32).decode())
        self.assertIn("failed", lines[-1])
        self.purge_and_hear("u-c2d", self.PROGRAM, HERE, id="u-1")

    def test_monitor_events(self):
        since = int(time.time() * 1000) - 1
        self.telemetry("u-ev", self.sas_device("u-ev"))
        opened, *events = self.works(self.PROGRAM, HERE, do="monitor", since=since, timeout=3)
        self.assertEqual(opened, {"open": True})
        mine, = [e for e in events
                 if e["annotations"]["iothub-connection-device-id"] == "u-ev"]
        self.assertEqual((mine["event"], mine["content_type"], mine["application"]),
                         ('{"t":20}', "application/json", {"alert": "a b"}))
        self.assertEqual(json.loads(mine["annotations"]["iothub-connection-auth-method"])["type"],
                         "sas")
        opened, *events = self.works(self.PROGRAM, HERE, do="monitor", timeout=1,
                                     since=int(time.time() * 1000) + 60000)
        self.assertEqual(events, [])


del Peer
if __name__ == "__main__":
    for port in (443, 5671, 8883):
        with socket.socket() as probe:
            harness.need(probe.connect_ex((HOST, port)), "%s:%d is taken" % (HOST, port))
    harness.main()
