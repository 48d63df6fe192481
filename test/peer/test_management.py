"""The official management SDKs for Node and the provisioning service's, unmodified.

They know port 443 alone, so the server has a loopback address of its own for it. Without npm, a
registry or that port the file is skipped.
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
import pki

HOST = "127.8.83.41"


class Management(harness.ServerCase):
    HOST = HOST
    HOME_SET = {"server": {"https_port": 443, "bind": HOST, "name": HOST}, "hub": {"name": HOST}}

    def test_whole_life(self):
        ca = pki.make_ca(self.path("sdk"), "SDK CA")
        with open(ca.cert, "rb") as f:
            text = base64.b64encode(f.read()).decode()
        token = self.signed_in("owner", "https://management.azure.com").auth.split()[1]
        got = npm.node(self, ROOM, "management.js", json.dumps({
            "host": HOST, "endpoint": "https://" + HOST, "token": token, "ca": text}))
        name = HOST.replace(".", "-")
        self.assertEqual(got, {
            "ok": True, "hubs": [name], "hostName": HOST, "disableModuleSAS": True,
            "tags": {"a": "b"}, "available": False, "refused": 400, "missing": 404,
            "policies": ["device", "iothubowner", "registryRead", "registryReadWrite", "service"],
            "rights": "RegistryRead, RegistryWrite, ServiceConnect, DeviceConnect",
            "hubCode": 48, "hubCertificates": ["hub-ca"], "consumers": ["$Default", "sdk"],
            "stats": 0, "skus": ["S1"], "routes": ["all"], "test": "true", "weight": 9,
            "dps": name, "idScope": harness.SCOPE, "state": "Succeeded", "code": 48,
            "certificates": ["sdk"], "group": "sdk-group", "etag": True, "keys": True,
            "listed": ["sdk-group"], "gone": 404})


if __name__ == "__main__":
    harness.need_ports(HOST, 443)
    ROOM = npm.install(os.path.join(HERE, "management"), ("management.js",), "the Azure SDKs",
                       os.environ.get("MUSTER_MANAGEMENT"))
    harness.main()
