"""muster migrate against a target: a campaign against Azure (a stand-in with Azure's shapes, tokens,
throttles and ETags in front of a server of the azure profile), and one against a muster by name."""
import base64
import os

import azure_fake
import harness
import lab

RESOURCE = "/subscriptions/s/resourceGroups/g/providers/Microsoft.Devices/"
OTHER = "ab" * 32


def secret(path, text):
    with open(os.open(path, os.O_WRONLY | os.O_CREAT, 0o600), "w", encoding="ascii") as f:
        f.write(text)


class Fleet(lab.Lab):
    """Devices of one server, migrated from the home of another, whose CA signs."""

    def __init__(self, case, devices, **config):
        super().__init__(case, devices, **config)
        # with an option of its own, or it would be a copy with the same CA
        self.signer = harness.Server(harness.make_home(
            case.folder(), "signer", "--set", "server.profile=native")).start()
        case.addCleanup(self.end_signer)

    def end_signer(self):
        self.case.assertEqual((self.signer.stop(), self.signer.faults()), (0, []))

    def migrate(self, *args, timeout=180):
        return harness.run("migrate", *args, "--home", self.signer.home, "--campaign",
                           os.path.join(self.home, "campaign"), timeout=timeout)

    def plan(self, *args):
        return self.migrate("plan", "--inventory", os.path.join(self.home, "lab/inventory.csv"),
                            "--ssh-config", os.path.join(self.home, "lab/ssh_config"), *args)


class Azure(harness.Case):
    """One campaign from plan to seal."""

    def test_story(self):
        self.fleet = Fleet(self, 4, server={"profile": "azure"})
        pair = azure_fake.certificate(self.fleet.home)
        self.cloud = azure_fake.Cloud(self, self.fleet.server, pair)
        self.write_targets(pair)
        self.wrong_secret()
        self.plan()
        self.run_with_throttles_and_a_conflict()
        self.rollback_beside_a_change()
        self.verify()
        self.seal()
        self.assertEqual(self.cloud.foreign, [], "Azure has none of that")

    def write_targets(self, pair):
        home = self.fleet.signer.home
        with open(os.path.join(home, "azure-ca.pem"), "w", encoding="ascii") as f:
            for path in (pair[0], self.fleet.server.ca):
                with open(path, encoding="ascii") as one:
                    f.write(one.read())
        secret(os.path.join(home, "prod.secret"), self.cloud.SECRET)
        secret(os.path.join(home, "bad.secret"), "not it")
        host = "127.0.0.1:%d" % self.cloud.port
        common = {"kind": "azure", "sign_in": "service-principal", "tenant": self.cloud.TENANT,
                  "client_id": self.cloud.APP, "authority": self.cloud.url, "arm": self.cloud.url,
                  "ca": "azure-ca.pem", "hub": host, "dps": host,
                  "hub_resource": RESOURCE + "IotHubs/muster",
                  "dps_resource": RESOURCE + "provisioningServices/muster"}
        sections = {"prod": {**common, "secret": "prod.secret"},
                    "bad": {**common, "secret": "bad.secret"},
                    "big": {**common, "secret": "prod.secret", "tier": "S3", "units": "2"},
                    "half": {**common, "secret": "prod.secret", "dps": None},
                    "keys": {"kind": "azure", "sign_in": "connection-string",
                             "ca": "azure-ca.pem", "hub_connection": "hub.conn",
                             "dps_connection": "hub.conn"}}
        key = base64.b64encode(self.fleet.server.policy_keys()["iothubowner"]).decode()
        secret(os.path.join(home, "hub.conn"), "HostName=%s;SharedAccessKeyName=iothubowner;"
               "SharedAccessKey=%s" % (host, key))
        with open(os.path.join(home, "targets.conf"), "w", encoding="ascii") as f:
            for name, keys in sections.items():
                f.write("[%s]\n" % name)
                f.writelines("%s = %s\n" % pair for pair in keys.items() if pair[1])

    def wrong_secret(self):
        self.ends(self.fleet.plan("--target", "bad"), 6, "AADSTS7000215")
        self.ends(self.fleet.plan("--target", "nosuch"), 2, "nosuch", "prod")
        self.ends(self.fleet.plan("--target", "half"), 2, "set dps")
        self.ends(self.fleet.plan("--target", "prod", "--operator", "admin"), 2, "muster")

    def plan(self):
        got = self.works(self.fleet.plan("--target", "keys", "--waves", "1,100%"))
        self.assertIn("throttles: S1, 1 unit (assumed, the smallest", got.stdout)
        self.assertIn("predicted: 20 s, by the devices' own time (50 at once)", got.stdout)
        self.assertNotIn(("GET", "subscriptions"), self.cloud.paths(), "it takes no keys")
        got = self.works(self.fleet.plan("--target", "big", "--waves", "1,100%", "--in-order"))
        self.assertIn("throttles: S3, 2 units (targets.conf): identity registry 10000", got.stdout)
        got = self.works(self.fleet.plan("--target", "prod", "--waves", "100%", "--in-order"))
        self.assertIn("throttles: S3, 1 unit (the hub's SKU): identity registry 5000,", got.stdout)
        self.assertIn("predicted: ", got.stdout)
        self.assertIn("target: prod (https://127.0.0.1:%d)" % self.cloud.port, got.stdout)
        self.assertIn("predicted: ", self.fleet.good("status").stdout)
        shown = self.fleet.status()
        self.assertEqual((shown["target"], shown["tier"], shown["units"]), ("prod", "S3", 1))
        self.assertGreater(shown["predictedMilliseconds"], 0)
        self.assertEqual({m for m, _ in self.cloud.paths()} - {"GET", "POST"}, set(), "looks only")
        self.ends(self.fleet.migrate("run", "--target", "big"), 2, "prod")

    def identity(self, name):
        return self.fleet.op.get("/devices/" + name).json

    def somebody_elses(self, name):
        """A change behind the campaign's back: another certificate."""
        now = self.identity(name)
        now["authentication"] = {"type": "selfSigned", "x509Thumbprint": {
            "primaryThumbprint": OTHER, "secondaryThumbprint": OTHER}}
        assert self.fleet.op.put("/devices/" + name, now, If_Match="*").status == 200

    def run_with_throttles_and_a_conflict(self):
        old = self.identity("dev-0003")
        self.cloud.throttle.update({("GET", "devices"): 1, ("GET", "twins"): 1,
                                    ("PATCH", "twins"): 1, ("PUT", "enrollmentGroups"): 1})
        self.cloud.races[("GET", "/twins/dev-0003")] = lambda: self.somebody_elses("dev-0003")
        self.cloud.races[("GET", "/twins/dev-0002")] = self.cloud.withdraw_tokens
        got = self.fleet.good("run")
        self.assertIn("the target throttled us 1 time: identity registry", got.stderr)
        self.assertFalse(any(self.cloud.throttle.values()), "all throttles were met")
        self.assertFalse(self.cloud.races)
        rows = self.fleet.rows()
        self.assertEqual([rows[n]["state"] for n in self.fleet.names],
                         ["resumed", "resumed", "failed", "resumed"], rows["dev-0003"]["reason"])
        for name in ("dev-0001", "dev-0002", "dev-0004"):
            self.on_its_leaf(name)
        one = rows["dev-0003"]
        self.assertEqual((one["step"], one["error"]), ("confirm", "CONFLICT"))
        self.assertIn(OTHER, one["reason"])
        self.assertIn("somebody else changed it", one["reason"])
        self.assertIn("left as it is", one["reason"])
        self.assertEqual(self.identity("dev-0003")["authentication"]["x509Thumbprint"],
                         {"primaryThumbprint": OTHER, "secondaryThumbprint": OTHER})
        self.assertEqual(self.fleet.signer.operator().get("/devices/dev-0001").json[
            "authentication"]["type"], "certificateAuthority", "it may renew there")
        # who did that puts it right, and the next run goes on
        self.assertEqual(self.fleet.op.put("/devices/dev-0003", old, If_Match="*").status, 200)

    def on_its_leaf(self, name):
        """What Azure's DPS makes of it: the leaf's thumbprint, twice."""
        row = self.fleet.rows()[name]
        self.assertEqual(row["state"], "resumed", row["reason"])
        got = self.identity(name)["authentication"]
        self.assertEqual(got["type"], "selfSigned")
        self.assertEqual({t.lower() for t in got["x509Thumbprint"].values()}, {row["thumb"]})
        self.assertEqual(self.fleet.active(name)[0], "x509")
        tags = self.fleet.op.get("/twins/" + name).json["tags"]
        self.assertEqual((tags["authType"], tags["migrationWave"]), ("x509", str(row["wave"])))

    def watch(self):
        """Somebody writes a note on the identity while it is put back."""
        now = self.identity("dev-0004")
        now["statusReason"] = "watched"
        assert self.fleet.op.put("/devices/dev-0004", now, If_Match="*").status == 200

    def rollback_beside_a_change(self):
        self.cloud.races[("PUT", "/devices/dev-0004")] = self.watch
        self.fleet.good("rollback", "--device", "dev-0004")
        self.assertFalse(self.cloud.races)
        puts = self.cloud.seen("PUT", "/devices/dev-0004")
        self.assertEqual(len(puts), 2, "the first was 412")
        for put in puts:
            self.assertRegex(put.headers["if-match"], '^"[^*]+"$')
        got = self.identity("dev-0004")
        self.assertEqual((got["authentication"]["type"], got["statusReason"]), ("sas", "watched"))
        self.assertEqual(self.fleet.active("dev-0004"), ["sas"])
        self.assertEqual(self.fleet.rows()["dev-0004"]["state"], "rolled-back")
        self.fleet.good("run", "--rolled-back")
        self.on_its_leaf("dev-0003")
        self.on_its_leaf("dev-0004")
        self.assertEqual(self.fleet.summary["countsByAuthType"], {
            "before": {"sas": 4}, "after": {"selfSigned": 4}})
        # a device that somebody gave another certificate is not taken back
        self.somebody_elses("dev-0002")
        got = self.fleet.migrate("rollback", "--device", "dev-0002")
        self.ends(got, 5, "dev-0002", OTHER, "left as it is")
        now = self.identity("dev-0002")
        now["authentication"]["x509Thumbprint"] = {
            k: self.fleet.rows()["dev-0002"]["thumb"]
            for k in ("primaryThumbprint", "secondaryThumbprint")}
        self.assertEqual(self.fleet.op.put("/devices/dev-0002", now, If_Match="*").status, 200)

    def verify(self):
        got = self.fleet.migrate("verify")
        self.ends(got, 10)
        self.assertIn("no connection log", got.stdout)
        self.assertIn("not known", got.stdout)
        promotion = ("verify", "--sas-window", "promotion")
        self.assertIn("verify: clean", self.fleet.good(*promotion).stdout)
        self.assertIn(self.fleet.op.put("/devices/dev-0001/modules/m", {}).status, (200, 201))
        got = self.fleet.migrate(*promotion)
        self.ends(got, 10)
        self.assertIn("NOT CLEAN modules of theirs take SAS: 1 (dev-0001)", got.stdout)
        self.cloud.hides = True
        self.ends(self.fleet.migrate(*promotion), 10, "modules of theirs take SAS")
        self.cloud.hides = False
        self.fleet.good(*promotion, "--keep-module-sas")
        self.assertEqual(self.fleet.op.delete("/devices/dev-0001/modules/m", If_Match="*").status,
                         204)

    def switches(self):
        got = self.fleet.op.get(RESOURCE + "IotHubs/muster").json["properties"]
        return [got[k] for k in ("disableDeviceSAS", "disableModuleSAS", "disableLocalAuth")]

    def seal(self):
        how = ("seal", "--sas-window", "promotion", "--mqtt",
               "127.0.0.1:%d" % self.fleet.server.mqtt_port)
        self.ends(self.fleet.migrate(*how), 5, "linked to the hub by a policy's key", "--cut-dps")
        self.assertEqual(self.switches(), [False] * 3, "nothing was begun")
        self.cloud.links[0] = {"name": "127.0.0.1", "authenticationType": "SystemAssigned"}
        got = self.fleet.good(*how)
        self.assertIn("CONNACK 5", got.stdout)
        self.assertIn("HTTP 401", got.stdout)
        self.assertEqual(self.switches(), [True] * 3)
        puts = self.cloud.seen("PUT", RESOURCE + "IotHubs/muster")
        self.assertEqual(len(puts), 3)
        for put in puts:
            self.assertTrue(put.headers["if-match"])
            self.assertNotIn("authorizationPolicies", put.json["properties"])
        self.ends(self.fleet.migrate("rollback", "--device", "dev-0001"), 5, "the seal has begun")


class Muster(harness.Case):
    """A muster by its name in targets.conf: the same campaign as the home's own."""

    def test_by_name(self):
        fleet = lab.Lab(self, 1)
        with open(os.path.join(fleet.home, "targets.conf"), "w", encoding="ascii") as f:
            f.write("[plant]\nkind = muster\nserver = https://127.0.0.1:%d\nca = ca/root.pem\n"
                    "cert = operators/admin.pem\nkey = operators/admin.key\n"
                    % fleet.server.https_port)
        got = fleet.good("plan", "--target", "plant", "--waves", "100%")
        self.assertIn("target: plant", got.stdout)
        self.assertNotIn("throttles", got.stdout)
        self.assertEqual(fleet.status()["limit"], "devices at once")
        fleet.good("run")
        self.assertEqual({r["state"] for r in fleet.rows().values()}, {"resumed"})
        self.assertEqual(fleet.op.get("/devices/dev-0001").json["authentication"]["type"],
                         "certificateAuthority")
        fleet.good("verify", "--sas-window", "promotion", "--target", "plant")
        seal = ("seal", "--sas-window", "promotion", "--mqtt",
                "127.0.0.1:%d" % fleet.server.mqtt_port)
        self.assertNotIn("no policy reads identities", fleet.good(*seal).stdout)
        self.assertIn("no policy reads identities", fleet.good(*seal).stdout)
        path = os.path.join(fleet.home, "targets.conf")
        with open(path, encoding="ascii") as f:
            text = f.read()
        with open(path, "w", encoding="ascii") as f:
            f.write(text.replace("127.0.0.1", "localhost"))
        self.ends(fleet.migrate("verify"), 5, "plant", "localhost")


if __name__ == "__main__":
    harness.main()
