"""The official Azure service SDK for Node, unmodified: its registry client over HTTPS.

It knows port 443 alone, so the server has a loopback address of its own for it. Without npm, a
registry or that port the file is skipped.
"""
import base64
import json
import os
import socket
import subprocess
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
        got = subprocess.run(
            ["node", "registry.js"], cwd=ROOM, input=text.encode(), stdout=subprocess.PIPE,
            stderr=subprocess.PIPE, timeout=120, check=False,
            env={**os.environ, "NODE_EXTRA_CA_CERTS": self.server.ca, "NODE_NO_WARNINGS": "1"})
        self.assertEqual(got.returncode, 0, got.stderr.decode()[-3000:])
        self.assertEqual(json.loads(got.stdout), {
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
    with socket.socket() as probe:
        try:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((HOST, 443))
        except OSError as e:
            harness.need(False, "%s:443: %s" % (HOST, e))
    ROOM = npm.install(HERE, ("registry.js",), "the Azure SDKs")
    harness.main()
