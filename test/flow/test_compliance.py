"""Compliance: devices by thumbprint, what a policy refuses and where, the report and its command."""
import base64
import json
import os

import harness
import issued
import mqtt
import pki
from pki import openssl


def identity(primary, secondary=None):
    thumbs = {"primaryThumbprint": primary}
    if secondary:
        thumbs["secondaryThumbprint"] = secondary
    return {"authentication": {"type": "selfSigned", "x509Thumbprint": thumbs}}


class Thumbprints(harness.ServerCase):
    """The seed's development type works, and is listed, while no policy is enforced."""

    def put(self, device, *thumbs):
        self.good(self.op.put("/devices/" + device, {"deviceId": device, **identity(*thumbs)},
                              If_Match="*"))

    def self_signed(self, name):
        cert, key, thumb = pki.self_signed(self.path(name), "any")
        return (cert, key), thumb

    def test_renewed_by_its_other_thumbprint_and_never_cut_off(self):
        old, old_thumb = self.self_signed("one")
        new, new_thumb = self.self_signed("two")
        self.good(self.op.put("/devices/s-1", {"deviceId": "s-1", **identity(old_thumb)}))
        live = self.hub("s-1", cert=old)
        self.refused(lambda: self.hub("s-1", cert=new))
        self.put("s-1", old_thumb, new_thumb)
        live.ping()
        moved = self.hub("s-1", cert=new)
        self.put("s-1", new_thumb)
        moved.ping()
        self.refused(lambda: self.hub("s-1", cert=old))
        moved.ping()

    def test_a_thumbprint_taken_away_ends_the_session(self):
        old, old_thumb = self.self_signed("three")
        _, new_thumb = self.self_signed("four")
        self.good(self.op.put("/devices/s-2", {"deviceId": "s-2", **identity(old_thumb)}))
        live = self.hub("s-2", cert=old)
        self.put("s-2", new_thumb)
        self.assertTrue(live.closes(10))

    def test_each_is_listed(self):
        cert, thumb = self.self_signed("five")
        self.good(self.op.put("/devices/s-3", {"deviceId": "s-3", **identity(thumb)}))
        self.hub("s-3", cert=cert).disconnect()
        for policy in ("fedramp-high", "il5"):
            rows, end = self.op.rows("/muster/compliance", policy=policy)
            mine = [r for r in rows if r["name"] == "s-3" and r["row"] == "self-signed"]
            self.assertEqual(len(mine), 1, rows)
            self.assertEqual(mine[0]["control"], "NIST SP 800-53 SC-17")
            self.assertEqual(mine[0]["subject"], "certificate")
            self.assertIn(thumb, mine[0]["text"])
            self.assertEqual(end["next"], "")

    def test_refused_once_a_policy_is_enforced(self):
        home = harness.make_home(self.parent, "strict-" + self.id().rsplit(".", 2)[1])
        harness.set_config(home, **self.HOME_SET)
        server = harness.Server(home).start()
        self.addCleanup(server.kill)
        files, thumb = self.self_signed("six")
        got = server.operator().put("/devices/s-4", {"deviceId": "s-4", **identity(thumb)})
        self.assertEqual(got.status, 200, got)

        def connect():
            client = server.mqtt(*files)
            self.addCleanup(client.close)
            client.connect("s-4", mqtt.hub_user("s-4"))
            client.ping()
        connect()
        self.assertEqual(server.stop(), 0)
        harness.set_config(home, pki={"compliance": "fedramp-high"})
        server.start()
        self.refused(connect)
        rows = self.eventually(lambda: server.operator().connections(
            deviceId="s-4", what="refused"))
        self.assertIn("fedramp-high, row self-signed (NIST SP 800-53 SC-17)", rows[-1]["reason"])
        self.assertEqual(server.stop(), 0)
        self.assertEqual(server.faults(), [])


class ThumbprintsAzure(Thumbprints):
    """The same under the profile that does as Azure does."""

    HOME_SET = {"server": {"profile": "azure"}}

    def test_what_azures_dps_writes_is_a_cas_certificate(self):
        self.x509_group()
        cert = self.leaf("s-9")
        with self.dps("s-9", cert=cert) as client:
            operation = mqtt.dps_register(client).json["operationId"]
            self.eventually(
                lambda: mqtt.dps_poll(client, operation).json.get("status") == "assigned", 30)
        self.hub("s-9", cert=cert).disconnect()
        device = self.good(self.op.get("/devices/s-9"))
        self.assertEqual(device["authentication"]["type"], "selfSigned")
        rows, _ = self.op.rows("/muster/compliance", policy="fedramp-high")
        mine = {r["row"] for r in rows if r["name"] == "s-9"}
        self.assertEqual(mine, {"leaf-revocation"}, rows)


class Report(harness.ServerCase):
    """GET /muster/compliance and muster compliance."""

    def command(self, *args):
        return harness.run("compliance", "--home", self.server.home, *args)

    def test_pages_hold_what_one_answer_holds(self):
        for i in range(7):
            self.sas_device("p-%d" % i)
        whole, end = self.op.rows("/muster/compliance", policy="il5")
        self.assertEqual((end["next"], end["devices"]), ("", 7))
        self.assertEqual([r["name"] for r in whole if r["row"] == "sas-identity"],
                         ["p-%d" % i for i in range(7)])
        self.assertEqual({r["row"] for r in whole if r["subject"] == "hub"},
                         {"device-sas", "local-auth", "expired-renewal"})
        self.assertIn(("device-ca", "ca-custody"), {(r["name"], r["row"]) for r in whole})
        parts, after, pages = [], "", 0
        while True:
            rows, end = self.op.rows("/muster/compliance", policy="il5", limit=3, after=after)
            parts, after, pages = parts + rows, end["next"], pages + 1
            if not after:
                break
        self.assertEqual((parts, pages), (whole, 3))

    def test_what_cannot_be_asked(self):
        for query in ("", "?policy=", "?policy=none", "?policy=pci", "?policy=il5&limit=0",
                      "?policy=il5&limit=257", "?policy=" + "x" * 33):
            with self.subTest(query):
                self.assertEqual(self.op.get("/muster/compliance" + query).status, 400)
        self.assertEqual(self.op.post("/muster/compliance").status, 405)

    def test_who_may_not_ask(self):
        cert = self.leaf("p-x")
        for who in (self.server.anybody(), self.server.anybody(None, *cert)):
            self.assertIn(who.get("/muster/compliance?policy=il5").status, (401, 403))

    def test_the_command_tells_people_and_programs(self):
        self.sas_device("p-cmd")
        got = self.command("--policy", "fedramp-high")
        self.assertEqual(got.returncode, 10, got.stderr)
        lines = got.stdout.splitlines()
        self.assertEqual(lines[0].split(), ["NAME", "ROW", "CONTROL", "TEXT"])
        self.assertRegex(got.stdout, r"(?m)^p-cmd +sas-identity +NIST SP 800-53 IA-5\(2\) +its")
        self.assertRegex(got.stdout, r"(?m)^\(hub\) +device-sas +NIST SP 800-53 IA-3\(1\) ")
        self.assertRegex(lines[-1], r"^\d+ findings; \d+ devices looked at$")
        got = self.command("--policy", "fedramp-high", "-o", "json")
        self.assertEqual(got.returncode, 10, got.stderr)
        told = json.loads(got.stdout)
        self.assertEqual(told["count"], len(told["findings"]))
        self.assertIn("p-cmd", [f["name"] for f in told["findings"]])

    def test_the_command_says_what_is_wrong(self):
        self.ends(self.command(), 3, "pki.compliance is none")
        self.ends(self.command("--policy", "pci"), 3, "fedramp-high or il5")
        self.ends(harness.run("compliance", "--rows", "-o", "xml"), 2, "markdown")
        self.ends(harness.run("compliance", "--rows", "--policy", "pci"), 3, "fedramp-high or il5")

    def test_rows_need_no_server(self):
        nowhere = {"HOME": self.path("nobody"), "MUSTER_HOME": self.path("nowhere")}
        got = self.works(harness.run("compliance", "--rows", "-o", "json", env=nowhere))
        rows = {r["row"]: r for r in map(json.loads, got.stdout.splitlines())}
        self.assertEqual(rows["leaf-key"]["il5"], "P-384, RSA-3072")
        self.assertEqual(rows["self-signed"]["control"], "NIST SP 800-53 SC-17")
        high = self.works(harness.run("compliance", "--rows", "--policy", "fedramp-high"))
        self.assertIn("leaf-key", high.stdout)
        self.assertNotIn("key-custody", high.stdout)
        il5 = self.works(harness.run("compliance", "--rows", "--policy", "il5"))
        self.assertIn("key-custody", il5.stdout)


class FedrampHigh(issued.IssuedCase):
    """The policy enforced: what the server issues passes, what others issue must."""

    HOME_SET = {"pki": {"compliance": "fedramp-high", "public_url": "http://pki.example"}}

    def test_what_the_server_issues_connects(self):
        cert = self.enrolled("f-1")
        self.hub("f-1", cert=cert).ping()
        rows, _ = self.op.rows("/muster/compliance")
        self.assertEqual([r for r in rows if r["name"] == "f-1"], [])

    def test_what_nobody_can_revoke_is_refused(self):
        self.ca_device("f-2")
        self.refused(lambda: self.hub("f-2", cert=self.leaf("f-2")))
        self.reason("f-2", "row leaf-revocation (NIST SP 800-53 IA-5(2))", plane="hub")

    def test_a_life_too_long_is_refused(self):
        self.ca_device("f-3")
        now = pki.datetime.datetime.now(pki.datetime.timezone.utc)
        self.refused(lambda: self.hub("f-3", cert=self.leaf("f-3", end=now + 400 * pki.DAY)))
        self.reason("f-3", "row leaf-life (NIST SP 800-53 SC-12): it lives 400 days", plane="hub")


class Il5(harness.Case):
    """P-384 down from the root; hardware where devices tell how they hold their keys."""

    def setUp(self):
        parent = self.folder()
        home = harness.make_home(parent, "home", "--set", "pki.key=p384", "--set",
                                 "pki.compliance=il5", "--set",
                                 "pki.public_url=http://pki.example")
        self.server = harness.Server(home).start()
        self.addCleanup(self.server.kill)
        self.op, self.parent = self.server.operator(), parent

    def enroll(self, who, device, kind="p384", where="simpleenroll"):
        base = os.path.join(self.parent, device + "-" + os.urandom(4).hex())
        key = pki.make_key(base + ".key", kind)
        csr = openssl("req", "-new", "-key", key, "-subj", "/O=muster/CN=" + device, "-outform",
                      "DER")
        got = who.post("/.well-known/est/" + where, base64.b64encode(csr),
                       Content_Type="application/pkcs10")
        if got.status != 200:
            return got, None
        pem = openssl("pkcs7", "-inform", "DER", "-print_certs", stdin=base64.b64decode(got.body))
        with open(os.path.join(self.server.home, "ca/device-ca.pem"), "rb") as ca, \
                open(base + ".pem", "wb") as out:
            out.write(pem + ca.read())
        return got, (base + ".pem", key)

    def days(self, files):
        text = openssl("x509", "-in", files[0], "-noout", "-startdate", "-enddate").decode()
        begin, end = [pki.datetime.datetime.strptime(line.split("=")[1], "%b %d %H:%M:%S %Y %Z")
                      for line in text.splitlines()]
        return (end - begin).days

    def check_in(self, files, custody):
        return self.server.anybody(None, *files).post("/muster/checkin", {"custody": custody})

    def connect(self, device, files):
        client = self.server.mqtt(*files)
        self.addCleanup(client.close)
        client.connect(device, mqtt.hub_user(device))
        return client

    def token(self, device):
        got = self.op.put("/muster/tokens/" + device, {"create": True})
        self.assertEqual(got.status, 200, got)
        pair = "%s:%s" % (device, got.json["secret"])
        return self.server.anybody("Basic " + base64.b64encode(pair.encode()).decode())

    def test_a_device_with_a_tpm_from_its_first_certificate_on(self):
        _, first = self.enroll(self.token("h-1"), "h-1")
        self.assertLessEqual(self.days(first), 1, "until it has told, it is on probation")
        self.connect("h-1", first).ping()
        me = self.server.anybody(None, *first)
        early, _ = self.enroll(me, "h-1", where="simplereenroll")
        self.assertEqual(early.status, 403)
        self.assertIn("check in", early.text)
        self.assertEqual(self.check_in(first, "tpm2").status, 200)
        _, second = self.enroll(me, "h-1", where="simplereenroll")
        self.assertEqual(self.days(second), 90)
        self.connect("h-1", second).ping()
        self.assertEqual(self.check_in(second, "tpm2").status, 200)
        rows, _ = self.op.rows("/muster/compliance")
        self.assertEqual([r for r in rows if r["name"] == "h-1"], [])

    def test_a_device_with_its_key_in_a_file(self):
        _, first = self.enroll(self.token("h-2"), "h-2")
        self.connect("h-2", first).ping()
        self.assertEqual(self.check_in(first, "file").status, 403)
        with self.assertRaises(mqtt.Refused):
            self.connect("h-2", first)
        got, _ = self.enroll(self.server.anybody(None, *first), "h-2", where="simplereenroll")
        self.assertEqual(got.status, 403)
        self.assertIn("SC-28(3)", got.text)
        rows, _ = self.op.rows("/muster/compliance")
        self.assertEqual([r["row"] for r in rows if r["name"] == "h-2"], ["key-custody"])

    def test_a_key_too_small_gets_no_certificate(self):
        for kind in ("p256", "rsa2048"):
            got, _ = self.enroll(self.token("h-" + kind), "h-" + kind, kind)
            self.assertEqual(got.status, 403)
            self.assertIn("row leaf-key (NIST SP 800-53 SC-13)", got.text)


if __name__ == "__main__":
    harness.main()
