"""Attestation by TPM over HTTPS (device.md 1.13): a device whose keys stay in swtpm, through
tpm2-tools as the device SDKs use theirs."""
import base64
import time
import urllib.parse

import harness
import mqtt
import tpm

SCOPE = harness.SCOPE


def b64(data):
    return base64.b64encode(data).decode()


class Attestation(harness.ServerCase):
    def setUp(self):
        self.tpm = tpm.Tpm(self)

    def enroll(self, name, ek=None, srk=None, **more):
        keys = {"endorsementKey": b64(ek or self.tpm.ek)}
        if srk:
            keys["storageRootKey"] = b64(srk)
        return self.op.put("/enrollments/" + name, {
            "registrationId": name, "attestation": {"type": "tpm", "tpm": keys}, **more})

    def signed(self, resource, by=None, life=30, policy=None):
        """A token that the TPM signs with the key it was given last. iot-identity-service's
        live 30 s."""
        sr = urllib.parse.quote(resource, safe="")
        expiry = int(time.time()) + life
        mac = (by or self.tpm).sign(("%s\n%d" % (sr, expiry)).encode())
        text = "SharedAccessSignature sr=%s&sig=%s&se=%d" % (
            sr, urllib.parse.quote(b64(mac), safe=""), expiry)
        return text + ("&skn=" + policy if policy else "")

    def registration(self, name, by=None, **how):
        return self.signed("%s/registrations/%s" % (SCOPE, name), by, policy="registration", **how)

    def register(self, name, auth=None, ek=None, srk=None):
        body = {"registrationId": name, "tpm": {
            "endorsementKey": b64(ek or self.tpm.ek), "storageRootKey": b64(srk or self.tpm.srk)}}
        return self.server.anybody(auth).put(
            "/%s/registrations/%s/register" % (SCOPE, name), body)

    def challenged(self, name, **how):
        got = self.register(name, **how)
        self.assertEqual(got.status, 401, got)
        self.assertEqual(got.json["keyName"], "registration")
        self.assertTrue(got.json["message"])
        return base64.b64decode(got.json["authenticationKey"])

    def whole(self, name):
        """From nothing to the state of an assigned device, as an SDK does it."""
        self.tpm.activate(self.challenged(name))
        auth = self.registration(name)
        got = self.register(name, auth)
        self.assertEqual((got.status, got.json["status"]), (202, "assigning"), got)
        operation = got.json["operationId"]
        done = self.server.anybody(auth).get(
            "/%s/registrations/%s/operations/%s" % (SCOPE, name, operation))
        return self.good(done)["registrationState"]

    def test_whole_life(self):
        made = self.good(self.enroll("tpm-1", deviceId="Pump-1"))
        self.assertEqual(made["attestation"]["tpm"],
                         {"endorsementKey": b64(self.tpm.ek), "storageRootKey": None})
        state = self.whole("tpm-1")
        self.assertEqual((state["status"], state["deviceId"]), ("assigned", "Pump-1"))
        self.tpm.activate(base64.b64decode(state["tpm"]["authenticationKey"]))
        hub = self.signed("127.0.0.1/devices/Pump-1", life=600)
        self.hub("Pump-1", password=hub).ping()
        device = self.good(self.op.get("/devices/Pump-1"))
        self.assertEqual(device["authentication"]["type"], "sas")
        # the storage root key was learnt, the keys of the enrollment stay public
        kept = self.good(self.op.post("/enrollments/tpm-1/attestationmechanism"))
        self.assertEqual(kept["tpm"]["storageRootKey"], b64(self.tpm.srk))
        row = self.op.connections(deviceId="tpm-1", what="register")[-1]
        self.assertIn("individual enrollment", row["reason"])
        state = self.good(self.op.get("/registrations/tpm-1"))
        self.assertNotIn("tpm", state, "the key is the device's alone")
        # registering again gives another key, and the one before is over
        again = self.whole("tpm-1")
        self.tpm.activate(base64.b64decode(again["tpm"]["authenticationKey"]))
        self.hub("Pump-1", password=self.signed("127.0.0.1/devices/Pump-1")).ping()
        self.refused(lambda: self.hub("Pump-1", password=hub))

    def test_nonce_is_of_use_to_its_tpm_alone(self):
        other = tpm.Tpm(self)
        self.good(self.enroll("tpm-2"))
        self.good(self.enroll("tpm-3", other.ek))
        blob = self.challenged("tpm-2")
        with self.assertRaises(RuntimeError):
            other.activate(blob)
        other.activate(self.challenged("tpm-3", ek=other.ek, srk=other.srk))
        # a token by another device's nonce is challenged again, and proves nothing
        forged = self.signed("%s/registrations/tpm-2" % SCOPE, other, policy="registration")
        self.assertEqual(self.register("tpm-2", forged).status, 401)
        self.assertIn("authenticationKey", self.register("tpm-2", forged).json)
        self.assertEqual(self.op.get("/devices/tpm-2").status, 404)
        self.assertEqual(self.op.get("/registrations/tpm-2").status, 404)

    def test_what_is_refused(self):
        other = tpm.Tpm(self)
        self.good(self.enroll("tpm-4", srk=self.tpm.srk))
        for how in ({"ek": other.ek}, {"srk": other.srk}, {"ek": other.ek, "srk": other.srk}):
            got = self.register("tpm-4", **how)
            self.assertEqual((got.status, got.json.get("errorCode")), (401, 401002), how)
            self.assertNotIn("authenticationKey", got.json)
        self.reason("tpm-4", "enrolled TPM's", plane="dps")
        self.assertEqual(self.register("tpm-none").status, 401)
        self.assertNotIn("authenticationKey", self.register("tpm-none").json)
        self.good(self.op.put("/enrollments/tpm-keys", {"attestation": {"type": "symmetricKey"}}))
        self.assertNotIn("authenticationKey", self.register("tpm-keys").json)
        bare = self.server.anybody().put("/%s/registrations/tpm-4/register" % SCOPE, {})
        self.assertEqual((bare.status, bare.json["errorCode"]), (401, 401002))
        # expired, or for another device: challenged anew
        self.tpm.activate(self.challenged("tpm-4"))
        self.assertEqual(self.register("tpm-4", self.registration("tpm-4", life=-400)).status, 401)
        self.assertEqual(self.register("tpm-4", self.registration("tpm-x")).status, 401)
        self.assertEqual(self.register("tpm-4", self.registration("tpm-4")).status, 202)
        for body in ({"endorsementKey": "AAAA"}, {"endorsementKey": "!"}, {},
                     {"endorsementKey": b64(self.tpm.ek[:-1])},
                     {"endorsementKey": b64(self.tpm.ek), "storageRootKey": "AAAA"}):
            got = self.op.put("/enrollments/bad", {"attestation": {"type": "tpm", "tpm": body}})
            self.assertEqual(got.status, 400, body)
        got = self.op.put("/enrollmentGroups/bad", {"attestation": {
            "type": "tpm", "tpm": {"endorsementKey": b64(self.tpm.ek)}}})
        self.assertEqual(got.status, 400)

    def test_disabled(self):
        self.good(self.enroll("tpm-5", provisioningStatus="disabled"))
        self.tpm.activate(self.challenged("tpm-5"))
        auth = self.registration("tpm-5")
        got = self.register("tpm-5", auth)
        self.assertEqual(got.status, 202, got)
        done = self.server.anybody(auth).get("/%s/registrations/tpm-5/operations/%s" % (
            SCOPE, got.json["operationId"]))
        self.assertEqual(self.good(done)["status"], "disabled")
        self.assertEqual(self.op.get("/devices/tpm-5").status, 404)

    def test_group_keys_do_not_pass_it_by(self):
        self.good(self.enroll("tpm-6"))
        key = self.sas_group("beside")
        password = harness.token("%s/registrations/tpm-6" % SCOPE, harness.derive(key, "tpm-6"),
                                 policy="registration")
        got = mqtt.dps_register(self.dps("tpm-6", password=password))
        self.assertEqual((got.status, got.json["errorCode"]), (401, 401002))

    def test_nonces_outlive_a_restart(self):
        self.good(self.enroll("tpm-7"))
        self.tpm.activate(self.challenged("tpm-7"))
        self.server.kill_role("core")
        auth = self.registration("tpm-7")
        self.eventually(lambda: self.register("tpm-7", auth).status == 202, 30)


if __name__ == "__main__":
    harness.main()
