"""Modules with the official Azure SDKs for Node, unmodified: the registry of the service SDK makes
them, ModuleClient connects as one. The service SDK knows port 443 alone, the device SDK 8883."""
import base64
import json
import os
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(HERE, "..", "flow")]
# pylint: disable=wrong-import-position
import harness
import npm

HOST = "127.8.83.7"


class Modules(harness.ServerCase):
    HOST = HOST
    HOME_SET = {"server": {"mqtt_port": 8883, "https_port": 443, "bind": HOST, "name": HOST},
                "hub": {"name": HOST}}

    def sdk(self, **task):
        result = npm.node(self, ROOM, "module.js", json.dumps(task))
        self.assertTrue(result["ok"], result)
        return result

    def registry(self, device, module, **more):
        key = base64.b64encode(self.server.policy_keys()["iothubowner"]).decode()
        return self.sdk(what="registry", device=device, module=module, connection=(
            "HostName=%s;SharedAccessKeyName=iothubowner;SharedAccessKey=%s" % (HOST, key)), **more)

    def test_registry(self):
        self.sas_device("n-1")
        got = self.registry("n-1", "m")
        self.assertEqual((got["made"]["deviceId"], got["made"]["moduleId"]), ("n-1", "m"))
        self.assertEqual(got["made"]["managedBy"], "me")
        self.assertEqual(got["again"], "DeviceAlreadyExistsError")  # all it makes of a 409
        self.assertEqual(got["got"], got["made"])
        self.assertEqual([m["moduleId"] for m in got["listed"]], ["m"])
        self.assertEqual(got["changed"]["managedBy"], "you")
        self.assertEqual(got["changed"]["authentication"], got["made"]["authentication"])
        self.assertEqual((got["twin"]["deviceId"], got["twin"]["moduleId"]), ("n-1", "m"))
        self.assertEqual((got["patched"]["tags"], got["patched"]["properties"]["desired"]["d"]),
                         ({"t": 1}, 2))
        self.assertIsNotNone(got["gone"])
        self.assertEqual(got["left"], [])

    def test_module_client(self):
        self.sas_device("n-2")
        made = self.registry("n-2", "m", keep=True)["changed"]
        key = made["authentication"]["symmetricKey"]["primaryKey"]
        got = self.sdk(what="client", connection=(
            "HostName=%s;DeviceId=n-2;ModuleId=m;SharedAccessKey=%s" % (HOST, key)))
        self.assertEqual(got["desired"]["d"], 2)
        twin = self.good(self.op.get("/twins/n-2/modules/m"))
        self.assertEqual(twin["properties"]["reported"]["is"], 1)
        rows = self.op.events(deviceId="n-2")
        self.assertEqual([(r["moduleId"], r["body"], r["authType"]) for r in rows],
                         [("m", {"n": 0}, "sas"), ("m", {"n": 1}, "sas")])
        self.assertEqual(rows[0]["properties"], {
            "system": {"content-type": "application/json", "content-encoding": "utf-8",
                       "iothub-outputname": "alarms"},
            "application": {"alert": "a b&c/d"}})
        connect = self.op.connections(deviceId="n-2", what="connect")[-1]
        self.assertEqual(connect["moduleId"], "m")
        self.assertIn("azure-iot-device", connect["agent"])


if __name__ == "__main__":
    harness.need_ports(HOST, 443, 8883)
    ROOM = npm.install(HERE, ("module.js",), "the Azure SDKs")
    harness.main()
