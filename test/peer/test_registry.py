"""The official Azure service SDK for Node, unmodified: its registry client over HTTPS.

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

HOST = "127.8.83.41"


class Node(harness.ServerCase):
    HOST = HOST
    HOME_SET = {"server": {"https_port": 443, "bind": HOST, "name": HOST}, "hub": {"name": HOST}}

    def test_registry(self):
        key = base64.b64encode(self.server.policy_keys()["iothubowner"]).decode()
        text = "HostName=%s;SharedAccessKeyName=iothubowner;SharedAccessKey=%s" % (HOST, key)
        got = npm.node(self, ROOM, "registry.js", text)
        self.assertEqual(got, {
            "created": ["one", "enabled", "sas"],
            "again": "DeviceAlreadyExistsError",
            "updated": "disabled",
            "read": "disabled",
            "listed": ["one"],
            "gone": "DeviceNotFoundError",
            "added": {"isSuccessful": True, "errors": [], "warnings": []},
            "addedAgain": "ArgumentError",
            "changed": True,
            "changedLate": "ArgumentError",
            "forced": True,
            "keysKept": True,
            "statistics": {"totalDeviceCount": 100, "enabledDeviceCount": 97,
                           "disabledDeviceCount": 3},
            "tagged": [["b-001", "Ulm", 5], ["b-002", "Ulm", 0]],
            "pages": [40, 40, 20],
            "count": [{"status": "disabled", "n": 3}, {"status": "enabled", "n": 97}],
            "wrong": "ArgumentError",
            "modules": ["m"],
            "moduleTwins": [["b-001", "m"]],
            "removedLate": "ArgumentError",
            "removed": True,
            "left": 0,
        })


if __name__ == "__main__":
    harness.need_ports(HOST, 443)
    ROOM = npm.install(HERE, ("registry.js",), "the Azure SDKs")
    harness.main()
