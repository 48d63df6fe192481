"""The official Azure service SDK for Node, unmodified: jobs and configurations over HTTPS.

It knows port 443 alone, so the server has a loopback address of its own for it. Without npm, a
registry or that port the file is skipped.
"""
import base64
import os
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(HERE, "..", "flow")]
# pylint: disable=wrong-import-position
import harness
import npm

HOST = "127.8.83.45"
FILES = ("jobs.js", "configurations.js")


class Node(harness.ServerCase):
    HOST = HOST
    HOME_SET = {"server": {"https_port": 443, "bind": HOST, "name": HOST}, "hub": {"name": HOST}}

    def sdk(self, script, policy):
        key = base64.b64encode(self.server.policy_keys()[policy]).decode()
        text = "HostName=%s;SharedAccessKeyName=%s;SharedAccessKey=%s" % (HOST, policy, key)
        return npm.node(self, ROOM, script, text)

    def test_jobs(self):
        self.assertEqual(self.sdk("jobs.js", "iothubowner"), {
            "made": ["twins", "scheduleUpdateTwin", "tags.site = 'Ulm'", 300],
            "twins": ["completed", {"deviceCount": 2, "failedCount": 0, "succeededCount": 2,
                                    "runningCount": 0, "pendingCount": 0}],
            "twin": [{"site": "Ulm", "done": True}, 5],
            "again": "DeviceAlreadyExistsError",
            "wrong": "ArgumentError",
            "methods": ["completed", "reboot", 1],
            "waiting": [["later"]],
            "cancelled": "cancelled",
            "pages": [2, 1],
            "none": "Error",
        })

    def test_configurations(self):
        self.assertEqual(self.sdk("configurations.js", "iothubowner"), {
            "made": ["water", "1.0", 5, {"app": "x"}],
            "desired": {"temperature": 38},
            "again": "DeviceAlreadyExistsError",
            "changed": [{"app": "y"}, True],
            "late": "InvalidEtagError",
            "forced": "water",
            "read": ["tags.site = 'Bonn'", {"all": self.devices()},
                     {"targetedCount": 1, "appliedCount": 1}],
            "listed": ["water"],
            "once": True,
            "gone": "Error",
        })

    def devices(self):
        return self.good(self.op.get("/statistics/devices"))["totalDeviceCount"]


if __name__ == "__main__":
    harness.need_ports(HOST, 443)
    ROOM = npm.install(HERE, FILES, "the Azure SDKs")
    harness.main()
