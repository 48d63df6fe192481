"""The inventory: what was issued, in which state it is, how its device holds the key."""
import json

import harness
import issued


class Certificates(issued.IssuedCase):
    def listed(self, **query):
        return {(row["subject"], row["thumbprint"]): row
                for row in self.op.rows("/muster/certificates", **query)[0]}

    def test_states_and_use(self):
        first, second = self.enrolled("c-1"), None
        self.hub("c-1", cert=first).disconnect()
        old = ("c-1", self.thumbprint(first[0]))
        row = self.listed(deviceId="c-1")[old]
        self.assertEqual((row["state"], row["profile"], row["issuer"], row["custody"]),
                         ("valid", "device", "device-ca", ""))
        self.assertGreater(row["seenMs"], row["issuedMs"])
        report = {"custody": "tpm2", "generation": "0001", "anchors": [],
                  "clockMs": row["seenMs"]}
        self.good(self.server.anybody(None, *first).post("/muster/checkin", report))
        self.assertEqual(self.listed(deviceId="c-1")[old]["custody"], "tpm2")
        second = self.enrolled("c-1", identity=False)
        self.hub("c-1", cert=second).disconnect()
        new = ("c-1", self.thumbprint(second[0]))
        rows = self.listed(deviceId="c-1")
        self.assertEqual((rows[old]["state"], rows[old]["seenMs"]), ("superseded", 0))
        self.assertEqual(rows[new]["state"], "valid")
        self.revoke("c-1", reason="keyCompromise")
        self.assertEqual({row["reason"] for row in self.listed(
            deviceId="c-1", state="revoked").values()}, {"keyCompromise"})
        self.assertEqual(self.listed(deviceId="c-1", state="valid"), {})

    def test_pages_and_filters(self):
        for i in range(5):
            self.enrolled("p-%d" % i)
        seen, after = [], "0"
        while after:
            lines = self.op.get("/muster/certificates?issuer=device-ca&limit=2&after=" + after)
            *rows, end = [json.loads(line) for line in self.good_text(lines).splitlines()]
            self.assertLessEqual(len(rows), 2)
            seen += [row["subject"] for row in rows]
            after = end["next"]
        self.assertEqual(len(seen), len(set(seen)))
        self.assertLessEqual({"p-%d" % i for i in range(5)}, set(seen))
        soon = self.listed(expiresBeforeMs=1)
        self.assertEqual(soon, {})
        self.assertEqual(self.op.get("/muster/certificates?state=lost").status, 400)
        self.assertEqual(self.op.get("/muster/certificates?issuer=nobody").status, 404)

    def good_text(self, answer):
        self.assertEqual(answer.status, 200, answer)
        return answer.text

    def test_the_command(self):
        self.enrolled("m-1")
        run = self.works(harness.run("certificates", "m-1", "--home", self.server.home))
        head, row = run.stdout.splitlines()
        self.assertIn("CUSTODY", head)
        self.assertEqual(row.split()[:4], ["m-1", "device", "valid", "device-ca"])
        run = self.works(harness.run("certificates", "--home", self.server.home, "-o", "json",
                                     "--expires-within", "400d", "--state", "valid"))
        self.assertIn("m-1", {json.loads(line)["subject"] for line in run.stdout.splitlines()})
        self.ends(harness.run("certificates", "--home", self.server.home, "--state", "lost"), 3,
                  "valid, superseded, expired or revoked")


if __name__ == "__main__":
    harness.main()
