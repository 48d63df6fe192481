"""The three switches (service.md 7.5): what each refuses, at once and for good."""
import harness
import mqtt
from harness import derive, token

HUB = "/subscriptions/s/resourceGroups/g/providers/Microsoft.Devices/IotHubs/muster"


class Seal(harness.ServerCase):
    """One story, told in order: a fleet's SAS ends in stages."""

    def turn(self, **properties):
        return self.good(self.op.put(HUB, {"properties": properties}))["properties"]

    def tearDown(self):
        self.turn(disableDeviceSAS=False, disableLocalAuth=False, disableModuleSAS=False)

    def test_device_sas_off_closes_live_sessions_and_refuses_new_ones(self):
        group = self.sas_group()
        self.x509_group()
        keys = {name: derive(group, name) for name in ("s-1", "s-2")}
        live = []
        for name, key in keys.items():
            mqtt.dps_register(self.dps(name, key))
            live.append(self.hub(name, key))
        own = self.sas_device("s-own")
        live.append(self.hub("s-own", own))
        cert = self.leaf("x-1")
        mqtt.dps_register(self.dps("x-1", cert=cert))
        x509 = self.hub("x-1", cert=cert)
        got = self.turn(disableDeviceSAS=True)
        self.assertIs(got["disableDeviceSAS"], True)
        for client in live:
            self.assertTrue(client.closes(10), "a live SAS session must go")
        x509.ping()
        self.refused(lambda: self.hub("s-1", keys["s-1"]))
        self.reason("s-1", "switched off", plane="hub")
        self.refused(lambda: self.hub("s-own", own))
        self.hub("x-1", cert=cert).ping()

        def provision():
            try:
                answer = mqtt.dps_register(self.dps("s-new", derive(group, "s-new")))
            except mqtt.Refused as e:
                return e.code * 100
            return answer.status

        self.assertIn(provision(), (401, 500))
        self.reason("s-new", "switched off", plane="dps")
        self.assertEqual(self.op.get("/devices/s-new").status, 404)
        again = self.leaf("x-2")
        self.assertEqual(mqtt.dps_register(self.dps("x-2", cert=again)).json["status"], "assigned")
        self.turn(disableDeviceSAS=False)
        self.hub("s-1", keys["s-1"]).ping()

    def test_device_sas_off_leaves_policies_alone(self):
        keys = self.server.policy_keys()
        self.sas_device("p-1")
        password = token("127.0.0.1/devices/p-1", keys["device"], policy="device")
        live = self.hub("p-1", password=password)
        caller = self.server.anybody(token("127.0.0.1", keys["iothubowner"], policy="iothubowner"))
        self.turn(disableDeviceSAS=True)
        live.ping()
        self.hub("p-1", password=password).ping()
        self.good(caller.get("/devices"))

    def test_local_auth_off_stops_policies_and_leaves_devices(self):
        keys = self.server.policy_keys()
        key = self.sas_device("l-1")
        self.sas_device("l-2")
        password = token("127.0.0.1/devices/l-2", keys["device"], policy="device")
        device, policy = self.hub("l-1", key), self.hub("l-2", password=password)
        callers = [self.server.anybody(token("127.0.0.1", keys[name], policy=name))
                   for name in ("iothubowner", "service", "registryRead")]
        self.turn(disableLocalAuth=True)
        self.assertTrue(policy.closes(10), "a session of a policy must go")
        device.ping()
        self.refused(lambda: self.hub("l-2", password=password))
        self.reason("l-2", "disableLocalAuth")
        self.hub("l-1", key).ping()
        for caller, path in zip(callers, ("/devices", "/muster/events", "/devices")):
            self.assertEqual(caller.get(path).status, 401)
        self.good(self.op.get("/devices"))

    def test_switches_survive_a_restart_of_the_core(self):
        key = self.sas_device("r-1")
        self.turn(disableDeviceSAS=True)
        self.server.kill_role("core")
        self.eventually(lambda: self.good(self.op.get(HUB))["properties"]["disableDeviceSAS"])
        self.eventually(lambda: self.is_refused("r-1", key), what="SAS refused by the new core")

    def is_refused(self, device, key):
        try:
            self.hub(device, key)
        except mqtt.Refused as e:
            return e.code == 5
        raise AssertionError("the new core accepts SAS")

    def test_refusals_are_counted_by_the_log(self):
        """What the proof of a seal reads."""
        key = self.sas_device("c-1")
        self.turn(disableDeviceSAS=True)
        for _ in range(3):
            self.refused(lambda: self.hub("c-1", key))
        rows, end = self.op.rows("/muster/connections", deviceId="c-1", what="refused",
                                 authType="sas")
        self.assertEqual([r["code"] for r in rows], [5, 5, 5])
        self.assertGreater(end["completeSinceMs"], 0)
        self.assertEqual(self.op.connections(deviceId="c-1", what="connect", authType="sas"), [])


if __name__ == "__main__":
    harness.main()
