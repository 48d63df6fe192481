"""muster migrate over a lab: plan, run, one device that fails, verify, seal, rollback, pause."""
import csv
import os
import shutil

import harness
import lab


class WholeJob(harness.Case):
    def test_twelve_devices_one_with_a_full_disk(self):
        fleet = lab.Lab(self, 12, "--fault", "dev-0003=disk-full")
        self.assertEqual(fleet.fleet()["sas"], 12)
        fleet.good("plan", "--waves", "2,50%,100%", "--in-order")
        self.assertEqual({r["state"] for r in fleet.rows().values()}, {"planned"})

        got = fleet.good("run")
        self.assertIn("dev-0003", got.stdout)
        self.assertIn("fix: free space", got.stdout)
        self.assertTrue(got.stdout.strip().splitlines()[-1].endswith("campaign/summary.json"))
        self.no_progress_bars(got)
        one = fleet.summary
        self.assertEqual((one["devices"], one["migrated"], one["failedCount"]), (12, 11, 1))
        self.assertEqual(one["countsByAuthType"], {
            "before": {"sas": 12}, "after": {"certificateAuthority": 11, "sas": 1}})
        self.assertEqual([(f["deviceId"], f["code"]) for f in one["failed"]],
                         [("dev-0003", "FULL")])
        self.assertEqual([w["devices"] for w in one["waves"]], [2, 4, 6])
        self.assertTrue(all(w["gatePassed"] for w in one["waves"]))
        self.proofs(fleet, [n for n in fleet.names if n != "dev-0003"])
        self.still_works_on_sas(fleet, "dev-0003")

        self.ends(fleet.migrate("seal", "--sas-window", "promotion"), 10)
        refused = fleet.migrate("seal", "--sas-window", "promotion")
        self.assertIn("dev-0003", refused.stderr)
        self.assertIs(self.switches(fleet)["disableDeviceSAS"], False)
        self.assertEqual(fleet.migrate("verify", "--sas-window", "promotion").returncode, 10)

        self.works(harness.run("lab", "mend", "--home", fleet.home, "--device", "dev-0003"))
        before = fleet.rows()
        fleet.good("run")
        after = fleet.rows()
        for name in fleet.names:
            if name != "dev-0003":
                self.assertEqual(after[name]["promoted_ms"], before[name]["promoted_ms"])
                self.assertEqual(len(fleet.issued(name)), 1, "nobody else was touched")
        self.assertEqual(fleet.summary["migrated"], 12)
        self.proofs(fleet, ["dev-0003"])

        late = fleet.migrate("verify")  # the log cannot know about 24 hours: fails closed
        self.ends(late, 10)
        self.assertIn("cannot know", late.stdout)
        fleet.good("verify", "--sas-window", "promotion")
        sealed = fleet.good("seal", "--sas-window", "promotion")
        self.assertIn("CONNACK 5", sealed.stdout)
        self.assertIn("HTTP 401", sealed.stdout)
        two = fleet.summary
        proofs = {(p["stage"], p["code"], p["after"]) for p in two["refusedSasAttempts"]}
        self.assertIn(("device", "CONNACK", 5), proofs)
        self.assertIn(("hub", "HTTP", 401), proofs)
        self.assertTrue(two["verify"]["clean"])
        got = self.switches(fleet)
        self.assertEqual([got[k] for k in ("disableDeviceSAS", "disableModuleSAS",
                                           "disableLocalAuth")], [True] * 3)
        self.sas_is_refused(fleet)
        self.eventually(lambda: fleet.fleet()["connected"] == 12, 20, "all devices go on")
        self.telemetry_goes_on(fleet)

        pids = fleet.pids()
        self.assertGreater(len(pids), 4)
        self.works(harness.run("lab", "down", "--home", fleet.home, timeout=60))
        self.eventually(lambda: not [p for p in pids if lab.is_alive(p)], 10, "lab down leaves none")

    def no_progress_bars(self, got):
        for text in (got.stdout, got.stderr):
            self.assertNotIn("\r", text)
            self.assertNotIn("\x1b", text)

    def switches(self, fleet):
        got = fleet.op.get(
            "/subscriptions/s/resourceGroups/g/providers/Microsoft.Devices/IotHubs/muster")
        self.assertEqual(got.status, 200, got)
        return got.json["properties"]

    def proofs(self, fleet, names):
        """The hub's own records: each device connected and was heard by X.509, after its switch."""
        rows = fleet.rows()
        for name in names:
            thumb = rows[name]["thumb"].lower()
            self.assertEqual(len(thumb), 64)
            self.assertEqual(fleet.active(name)[0], "x509")
            since = rows[name]["promoted_ms"]
            self.eventually(lambda n=name, t=thumb, s=since: fleet.op.events(
                deviceId=n, thumbprint=t, sinceMs=s), 20, "telemetry of %s after its switch" % name)
            events = fleet.op.events(deviceId=name, thumbprint=thumb)
            proof = [e for e in events if "musterProof" in e["properties"].get("application", {})]
            self.assertTrue(proof, "no proof message of " + name)
            device = fleet.op.get("/devices/" + name).json
            self.assertEqual(device["authentication"]["type"], "certificateAuthority")
            key = os.path.join(fleet.home, "lab/devices", name, "cred", fleet.active(name)[1],
                               "key.pem")
            self.assertEqual(os.stat(key).st_mode & 0o777, 0o600)

    def still_works_on_sas(self, fleet, name):
        self.assertEqual(fleet.active(name), ["sas"])
        last = fleet.op.rows("/muster/events", deviceId=name)[1]["next"]
        rows = self.eventually(lambda: fleet.op.events(deviceId=name, afterSeq=last), 20)
        self.assertEqual({r["authType"] for r in rows}, {"sas"})

    def sas_is_refused(self, fleet):
        key = harness.base64.b64encode(os.urandom(32)).decode()
        got = fleet.op.put("/devices/late", {"deviceId": "late", "authentication": {
            "type": "sas", "symmetricKey": {"primaryKey": key, "secondaryKey": key}}})
        self.assertEqual(got.status, 200, got)
        with fleet.server.mqtt() as client, self.assertRaises(harness.mqtt.Refused) as refused:
            client.connect("late", harness.mqtt.hub_user("late"), harness.token(
                "127.0.0.1/devices/late", harness.base64.b64decode(key)))
        self.assertEqual(refused.exception.code, 5)
        self.assertEqual(fleet.op.delete("/devices/late", If_Match="*").status, 204)

    def telemetry_goes_on(self, fleet):
        last = fleet.op.rows("/muster/events")[1]["next"]

        def heard():
            rows = fleet.op.events(afterSeq=last)
            return {r["deviceId"] for r in rows} == set(fleet.names) and rows

        rows = self.eventually(heard, 30, "telemetry of every device after the seal")
        self.assertEqual({r["authType"] for r in rows}, {"x509"})
        self.assertTrue(all("certDaysRemaining" in str(r["body"]) for r in rows))


class Campaign(harness.Case):
    """What may go wrong with a campaign, on one small lab."""

    def test_story(self):
        fleet = lab.Lab(self, 6)
        self.bad_input(fleet)
        self.wrong_host_key(fleet)
        self.pause_between_waves(fleet)
        self.rollback_of_a_device_and_a_wave(fleet)
        self.module_that_stays_on_sas(fleet)
        self.device_that_the_hub_does_not_know(fleet)

    def inventory(self, fleet, change, name="other.csv"):
        """A copy of the lab's inventory with its rows changed."""
        with open(os.path.join(fleet.home, "lab/inventory.csv"), encoding="ascii", newline="") as f:
            rows = list(csv.reader(f))
        path = os.path.join(fleet.home, name)
        with open(path, "w", encoding="utf-8", newline="") as f:
            csv.writer(f).writerows(change(rows))
        return path

    def bad_input(self, fleet):
        self.ends(fleet.migrate("run"), 4)  # no campaign yet
        self.ends(fleet.migrate("nosuch"), 2)
        self.ends(fleet.migrate("plan", "--inventory", "/nonexistent"), 4, "/nonexistent")
        for name, change, words in (
                ("duplicate", lambda r: [*r, r[1]], ("dev-0001", "8")),
                ("bad ID", lambda r: [*r, ["a b", *r[1][1:]]], ("a b", "8")),
                ("hostile address", lambda r: [r[0], [r[1][0], "-oProxyCommand=id", *r[1][2:]]],
                 ("2",)),
                ("hostile user", lambda r: [r[0], [*r[1][:2], "-x;id", *r[1][3:]]], ("2",)),
                ("bad key", lambda r: [r[0], [*r[1][:3], "ssh-ed25519 !!!"]], ("2",)),
                ("no column", lambda r: [["id", "host"], ["a", "b"]], ())):
            with self.subTest(name):
                got = fleet.migrate("plan", "--inventory", self.inventory(fleet, change))
                self.assertEqual(got.returncode, 3, got.stderr)
                for word in words:
                    self.assertIn(word, got.stderr)
                self.assertFalse(os.path.exists(os.path.join(fleet.home, "campaign/campaign.db")))
        for waves in ("0", "x", "50%,10%", "101%"):
            self.assertIn(fleet.migrate("plan", "--waves", waves).returncode, (2, 3), waves)

    def wrong_host_key(self, fleet):
        """Host keys are pinned: a device behind another key is not talked to."""
        path = self.inventory(fleet, lambda r: [
            r[0], [*r[1][:3], r[2][3]], *r[2:]])
        fleet.good("plan", "--inventory", path, "--in-order", "--waves", "1,100%", "--ssh-config",
                   os.path.join(fleet.home, "lab/ssh_config"))
        fleet.migrate("run")
        row = fleet.rows()["dev-0001"]
        self.assertEqual(row["state"], "failed", row)
        self.assertIn("key", row["reason"].lower())
        self.assertEqual(fleet.active("dev-0001"), ["sas"])
        self.assertEqual(fleet.issued("dev-0001"), [])
        self.works(fleet.migrate("rollback", "--wave", "2"))
        fleet.campaign_again()
        self.eventually(lambda: fleet.fleet()["sas"] == 6, 20)

    def pause_between_waves(self, fleet):
        fleet.good("plan", "--waves", "1,3,100%", "--in-order")
        got = fleet.migrate("run", "--pause")
        self.assertIn(got.returncode, (0, 11), got.stderr)
        states = [r["state"] for r in fleet.rows().values()]
        self.assertEqual(sorted(states), ["planned"] * 5 + ["resumed"])
        self.works(fleet.migrate("pause"))
        held = fleet.migrate("run")
        self.assertEqual(sum(r["state"] == "resumed" for r in fleet.rows().values()), 1, held.stdout)
        fleet.good("resume")
        self.assertEqual({r["state"] for r in fleet.rows().values()}, {"resumed"})
        again = fleet.migrate("plan")
        self.assertEqual(again.returncode, 5, "a campaign is not overwritten")

    def rollback_of_a_device_and_a_wave(self, fleet):
        fleet.good("rollback", "--device", "dev-0002")
        self.is_back_on_sas(fleet, ["dev-0002"])
        fleet.good("rollback", "--wave", "3")
        back = [n for n, r in fleet.rows().items() if r["wave"] == 3]
        self.assertEqual(len(back), 3)
        self.is_back_on_sas(fleet, back)
        self.assertEqual(fleet.migrate("rollback", "--device", "nosuch").returncode, 4)
        fleet.good("run")
        self.assertEqual(fleet.active("dev-0002"), ["sas"], "run leaves the rolled back alone")
        self.assertEqual(fleet.migrate("seal", "--sas-window", "promotion").returncode, 10)
        fleet.good("run", "--rolled-back")
        self.assertEqual({r["state"] for r in fleet.rows().values()}, {"resumed"})

    def is_back_on_sas(self, fleet, names):
        """Identity, configuration and SAS connection, as they were."""
        for name in names:
            self.assertEqual(fleet.rows()[name]["state"], "rolled-back")
            self.assertEqual(fleet.active(name), ["sas"])
            self.assertEqual(fleet.op.get("/devices/" + name).json["authentication"]["type"], "sas")
            self.eventually(lambda n=name: fleet.op.connections(
                deviceId=n, what="connect")[-1]["authType"] == "sas", 20, name + " on SAS")

    def module_that_stays_on_sas(self, fleet):
        """It is neither a fallback of its device nor a proof of it; the seal waits for it."""
        verify = ("verify", "--sas-window", "promotion")
        self.assertNotIn("modules", fleet.good(*verify).stdout)
        made = fleet.op.put("/devices/dev-0001/modules/m", {}).json
        key = harness.base64.b64decode(made["authentication"]["symmetricKey"]["primaryKey"])
        with fleet.server.mqtt() as client:
            client.connect("dev-0001/m", harness.mqtt.hub_user("dev-0001/m"), harness.token(
                "127.0.0.1/devices/dev-0001/modules/m", key))
        got = fleet.migrate(*verify)
        self.ends(got, 10)
        self.assertIn("NOT CLEAN modules of theirs connected with SAS: 1 (dev-0001)", got.stdout)
        self.assertEqual(fleet.migrate("seal", "--sas-window", "promotion").returncode, 10)
        got = fleet.good(*verify, "--keep-module-sas")
        self.assertIn("note modules of theirs connected with SAS: 1 (dev-0001)", got.stdout)

    def device_that_the_hub_does_not_know(self, fleet):
        self.assertEqual(fleet.op.delete("/devices/dev-0006", If_Match="*").status, 204)
        got = fleet.migrate("verify", "--sas-window", "promotion")
        self.ends(got, 10)
        self.assertIn("dev-0006", got.stdout)
        shutil.rmtree(os.path.join(fleet.home, "campaign"))


class LabItself(harness.Case):
    def test_up_twice_down_twice_and_a_killed_server(self):
        fleet = lab.Lab(self, 3)
        self.ends(harness.run("lab", "up", "--home", fleet.home, "--devices", "3"), 5)
        self.assertEqual(fleet.fleet()["connected"], 3)
        pids = fleet.pids()
        with open(os.path.join(fleet.home, "lab/serve.pid"), encoding="ascii") as f:
            os.kill(int(f.read()), 9)
        self.works(harness.run("lab", "down", "--home", fleet.home, timeout=60))
        self.eventually(lambda: not [p for p in pids if lab.is_alive(p)], 10, "nothing is left")
        self.works(harness.run("lab", "down", "--home", fleet.home, timeout=60))
        self.works(harness.run("lab", "up", "--home", fleet.home, "--devices", "3", timeout=120))
        self.assertEqual(fleet.fleet()["connected"], 3)

    def test_down_leaves_nothing_of_an_ordinary_user(self):
        """Who is not root sees less of a jailed process, and must find it all the same."""
        folder = self.folder()
        who = []
        if os.geteuid() == 0:
            who = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]
            os.chown(folder, 65534, 65534)
            if harness.run(*who[1:], harness.MUSTER, "version", program=who[0]).returncode:
                self.skipTest("an ordinary user may not run what was built here")
        home = os.path.join(folder, "home")

        def muster(*args):
            words = [*who, harness.MUSTER, *args, "--home", home]
            return harness.run(*words[1:], program=words[0], timeout=120)

        self.works(muster("init", "--set", "server.mqtt_port=0", "--set", "server.https_port=0"))
        self.addCleanup(muster, "lab", "down")
        self.works(muster("lab", "up", "--devices", "2"))
        self.assertEqual(muster("lab", "up", "--devices", "2").returncode, 5)
        with open(os.path.join(home, "lab/serve.pid"), encoding="ascii") as f:
            server = int(f.read())
        self.works(muster("lab", "down"))
        self.assertFalse(lab.is_alive(server), "the server is still there")

    def test_bad_input(self):
        home = harness.make_home(self.folder())
        for args, status in ((("lab",), 0), (("lab", "nosuch"), 2), (("lab", "up", "--devices", "0"), 3),
                             (("lab", "up", "--devices", "x"), 3),
                             (("lab", "up", "--fault", "dev-9999=disk-full"), None),
                             (("lab", "up", "--fault", "dev-0001=nosuch"), None)):
            got = harness.run(*args, env={"MUSTER_HOME": home}, timeout=60)
            if status is not None:
                self.assertIn(got.returncode, (status, 2) if status else (0, 2), args)
            else:
                self.assertNotIn(got.returncode, (0, 1), got.stderr)
        self.works(harness.run("lab", "down", "--home", home))
        self.assertEqual(harness.run("lab", "up", "--home", "/nonexistent").returncode, 4)


if __name__ == "__main__":
    harness.main()
