"""kill -9 of the orchestrator in every state of a device, then run: none twice, none lost."""
import os
import subprocess
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "flow"))
# pylint: disable=wrong-import-position
import harness
import lab

STATES = ("preflight", "keyed", "signed", "installed", "proved", "confirmed", "promoted", "resumed")
DEVICES = 24


class Kill(harness.Case):
    def start(self, fleet, *options):
        return subprocess.Popen(
            [harness.MUSTER, "migrate", "run", "--home", fleet.home, *options],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def kill_when(self, fleet, state, fresh):
        """Kills a run as soon as a device that was in no such state before is; True if so."""
        process = self.start(fleet, "--parallel", "2")
        end = time.monotonic() + 30
        try:
            while process.poll() is None and time.monotonic() < end:
                now = {n for n, r in fleet.rows().items() if r["state"] == state}
                if now - fresh:
                    return True
            return False
        finally:
            process.kill()
            process.wait()

    def check(self, fleet, done):
        """What was done before stays as it was."""
        rows = fleet.rows()
        for name, row in done.items():
            self.assertEqual(rows[name]["state"], "resumed", name)
            self.assertEqual(rows[name]["thumb"], row["thumb"], name + " was migrated twice")
        return {n: r for n, r in rows.items() if r["state"] == "resumed"}

    def ends_whole(self, fleet, kills):
        """One more run, undisturbed, and the fleet is as if nothing had happened."""
        self.works(fleet.migrate("run"))
        rows = fleet.rows()
        self.assertEqual({r["state"] for r in rows.values()}, {"resumed"}, rows)
        self.assertEqual(set(rows), set(fleet.names))
        extra = 0
        for name, row in rows.items():
            self.assertEqual(fleet.active(name)[0], "x509")
            self.assertEqual(fleet.op.get("/devices/" + name).json["authentication"]["type"],
                             "certificateAuthority")
            issued = fleet.issued(name)
            self.assertTrue(any(row["thumb"].lower() in line for line in issued), name)
            extra += len(issued) - 1
        # between the signer's answer and the campaign's record one certificate a device under
        # way can be lost by each kill; the next run asks anew
        self.assertLessEqual(extra, 2 * kills)
        self.eventually(lambda: fleet.fleet()["connected"] == len(fleet.names), 20)
        last = fleet.op.rows("/muster/events")[1]["next"]
        self.eventually(lambda: {e["deviceId"] for e in fleet.op.events(afterSeq=last)} ==
                        set(fleet.names), 30, "every device is heard")
        self.assertEqual({e["authType"] for e in fleet.op.events(afterSeq=last)}, {"x509"})
        self.works(fleet.migrate("verify", "--sas-window", "promotion"))
        self.works(harness.run("ca", "verify-journal", os.path.join(
            fleet.home, "ca/journal.log"), "--home", fleet.home))

    def test_kill_in_every_state(self):
        fleet = lab.Lab(self, DEVICES)
        self.works(fleet.migrate("plan", "--waves", "4,100%", "--in-order"))
        done, seen = {}, []
        for state in STATES:
            fresh = {n for n, r in fleet.rows().items() if r["state"] == state}
            if self.kill_when(fleet, state, fresh):
                seen.append(state)
            done = self.check(fleet, done)
        self.assertGreaterEqual(len(seen), 6, "too few states were caught: %s" % seen)
        self.ends_whole(fleet, len(STATES))

    def test_kill_at_random_moments_with_all_at_once(self):
        fleet = lab.Lab(self, 16)
        self.works(fleet.migrate("plan", "--waves", "100%"))
        done = {}
        for number in range(8):
            process = self.start(fleet)
            time.sleep(0.08 + 0.09 * number)
            process.kill()
            process.wait()
            done = self.check(fleet, done)
        self.ends_whole(fleet, 8 * 8)

    def test_killed_run_leaves_no_ssh_behind_and_no_lock(self):
        fleet = lab.Lab(self, 8)
        self.works(fleet.migrate("plan", "--waves", "100%"))
        process = self.start(fleet)
        self.eventually(lambda: any(r["state"] not in ("planned", "resumed")
                                    for r in fleet.rows().values()), 20)
        second = fleet.migrate("run")
        if process.poll() is None:
            self.ends(second, 5, "campaign")
        children = {p for p, parent in lab.parents().items() if parent == process.pid}
        process.kill()
        process.wait()
        self.eventually(lambda: not [p for p in children if lab.is_alive(p)], 20,
                        "ssh ends with the orchestrator")
        self.ends_whole(fleet, 8)

    def test_server_killed_during_a_run(self):
        """The hub comes back: devices that failed meanwhile are migrated by the next run."""
        fleet = lab.Lab(self, 8)
        self.works(fleet.migrate("plan", "--waves", "100%"))
        process = self.start(fleet, "--max-failures", "100")
        self.eventually(lambda: any(r["state"] not in ("planned", "resumed")
                                    for r in fleet.rows().values()), 20)
        fleet.server.kill_role("core")
        process.wait(120)
        self.eventually(lambda: fleet.migrate("run").returncode == 0 and
                        {r["state"] for r in fleet.rows().values()} == {"resumed"}, 60)
        self.ends_whole(fleet, 8)


if __name__ == "__main__":
    harness.main()
