"""Operators: roles, secrets, signing in as a service principal, and what a token is good for."""
import base64
import json
import time
import urllib.parse

import harness

ARM_HUB = "/subscriptions/s/resourceGroups/g/providers/Microsoft.Devices/IotHubs/muster"
ARM, HUB, DPS = ("https://127.0.0.1/", "https://iothubs.azure.net",
                 "https://azure-devices-provisioning.net")


class Operators(harness.ServerCase):
    def add(self, name, role="none", **more):
        return self.good(self.op.put("/muster/operators/" + name, {
            "role": role, "create": True, "newSecret": True, **more}))

    def sign_in(self, who, audience=ARM, secret=None, **more):
        form = {"client_id": who["appId"], "client_secret": secret or who["secret"],
                "grant_type": "client_credentials", "client_info": "1",
                "scope": audience + "/.default", **more}
        return self.server.anybody().call("POST", "/adfs/oauth2/token",
                                          urllib.parse.urlencode(form))

    def bearer(self, who, resource=ARM):
        return self.server.anybody("Bearer " + self.good(self.sign_in(who, resource))[
            "access_token"])

    def test_discovery_names_us_as_the_caller_does(self):
        for path in ("/adfs/.well-known/openid-configuration",
                     "/adfs/adfs/.well-known/openid-configuration"):
            got = self.good(self.server.anybody().get(path))
            base = "https://127.0.0.1:%d/adfs" % self.server.https_port
            self.assertEqual(got["issuer"], base)
            self.assertEqual(got["token_endpoint"], base + "/oauth2/token")
            self.assertIn("authorization_endpoint", got)
            forged = self.good(self.server.anybody().get(path, Host="evil.example:1"))
            self.assertNotIn("evil", forged["issuer"])

    def test_owner_signs_in_for_each_audience(self):
        who = self.add("boss", "owner")
        got = self.sign_in(who)
        self.assertEqual(got.headers["Cache-Control"], "no-store")
        self.assertEqual(got.json["token_type"], "Bearer")
        self.assertEqual(got.json["expires_in"], 3600)
        self.assertIn("event=core.signin application=" + who["appId"], self.server.log)
        self.assertNotIn(got.json["access_token"], self.server.log)
        self.good(self.bearer(who, ARM).get(ARM_HUB))
        self.good(self.bearer(who, "https://management.azure.com").get(ARM_HUB))
        self.good(self.bearer(who, HUB).get("/devices"))
        self.good(self.bearer(who, DPS).post("/enrollmentGroups/query", {"query": "*"}))

    def test_a_token_is_good_for_its_audience_alone(self):
        who = self.add("narrow", "owner")
        calls = {ARM: lambda c: c.get(ARM_HUB), HUB: lambda c: c.get("/devices"),
                 DPS: lambda c: c.post("/enrollmentGroups/query", {"query": "*"})}
        for resource in calls:
            caller = self.bearer(who, resource)
            for audience, call in calls.items():
                self.assertEqual(call(caller).status, 200 if audience == resource else 401)

    def test_what_signing_in_takes(self):
        who = self.add("form", "reader")
        for status, more in ((401, {"client_secret": "x" * 43}), (401, {"client_id": "nobody"}),
                             (400, {"grant_type": "password"}), (400, {"client_id": ""}),
                             (400, {"scope": "https://elsewhere.example/.default"}),
                             (400, {"scope": ""}), (400, {"client_secret": ""})):
            got = self.sign_in(who, **more)
            self.assertEqual(got.status, status, more)
            self.assertIn("error", got.json)
            self.assertNotIn(who["secret"], got.text)
        self.good(self.sign_in(who, **{"scope": "", "resource": HUB}))
        pair = base64.b64encode(("%s:%s" % (who["appId"], who["secret"])).encode()).decode()
        self.good(self.server.anybody("Basic " + pair).call(
            "POST", "/adfs/oauth2/token",
            "grant_type=client_credentials&scope=https%3A%2F%2Fiothubs.azure.net%2F.default"))
        rows = self.op.connections(what="refused", plane="service")
        self.assertTrue(any("sign-in refused" in r["reason"] for r in rows))

    def test_secrets_are_shown_once_and_stored_nowhere(self):
        who = self.add("quiet", "reader")
        self.assertRegex(who["secret"], r"^[A-Za-z0-9_-]{43}$")
        self.assertNotIn("secret", self.good(self.op.get("/muster/operators/quiet")))
        self.assertNotIn(who["secret"], self.op.get("/muster/operators").text)
        self.assertNotIn(who["secret"], self.server.log)
        again = self.op.put("/muster/operators/quiet", {"create": True})
        self.assertEqual(again.status, 409)

    def test_roles(self):
        device = self.sas_device("role-dev")
        reader = self.bearer(self.add("r1", "reader"), HUB)
        identity = self.good(reader.get("/devices/role-dev"))
        self.assertIsNone(identity["authentication"]["symmetricKey"]["primaryKey"])
        self.good(reader.get("/twins/role-dev"))
        self.assertEqual(reader.put("/devices/x", {}).status, 403)
        self.assertEqual(reader.call("PATCH", "/twins/role-dev", {"tags": {}}).status, 403)
        self.assertEqual(reader.delete("/devices/role-dev", If_Match="*").status, 403)
        registry = self.bearer(self.add("r2", "registry"), HUB)
        identity = self.good(registry.get("/devices/role-dev"))
        self.assertEqual(base64.b64decode(
            identity["authentication"]["symmetricKey"]["primaryKey"]), device)
        self.good(registry.call("PATCH", "/twins/role-dev", {"tags": {"a": 1}}))
        none = self.bearer(self.add("r3", "none"), HUB)
        self.assertEqual(none.get("/devices").status, 403)

    def test_readers_and_registry_do_not_manage(self):
        for name, role in (("m1", "reader"), ("m2", "registry")):
            caller = self.bearer(self.add(name, role), ARM)
            self.good(caller.get(ARM_HUB))
            self.assertEqual(caller.get("/muster/operators").status, 200)
            self.assertEqual(caller.post(ARM_HUB + "/listkeys").status, 403)
            self.assertEqual(caller.put(ARM_HUB, {"properties": {}}).status, 403)
            got = caller.put("/muster/operators/" + name, {"role": "owner"})
            self.assertEqual(got.status, 403)
            self.assertEqual(caller.delete("/muster/operators/admin").status, 403)

    def test_changes_of_an_operator_reach_tokens_at_once(self):
        who = self.add("moving", "owner")
        caller = self.bearer(who, HUB)
        self.good(caller.get("/devices"))
        self.good(self.op.put("/muster/operators/moving", {"role": "none"}))
        self.assertEqual(caller.get("/devices").status, 403)
        self.good(self.op.put("/muster/operators/moving", {"role": "reader"}))
        self.good(caller.get("/devices"))
        fresh = self.good(self.op.put("/muster/operators/moving", {"newSecret": True}))
        self.assertEqual(caller.get("/devices").status, 401)
        self.assertEqual(self.sign_in(who).status, 401)
        who["secret"] = fresh["secret"]
        caller = self.bearer(who, HUB)
        self.good(caller.get("/devices"))
        self.assertEqual(self.op.delete("/muster/operators/moving").status, 204)
        self.assertEqual(caller.get("/devices").status, 401)
        self.assertEqual(self.sign_in(who).status, 401)

    def test_a_secret_ends(self):
        who = self.add("short", "reader", secretLifeMs=60000)
        self.assertLessEqual(who["secretEndsMs"], time.time() * 1000 + 61000)
        self.good(self.sign_in(who))

    def test_forged_tokens(self):
        who = self.add("forged", "reader")
        text = self.good(self.sign_in(who, HUB))["access_token"]
        header, payload, sig = text.split(".")
        claims = json.loads(base64.urlsafe_b64decode(payload + "=="))
        self.assertEqual((claims["sub"], claims["aud"]), (who["appId"], HUB))
        boss = self.good(self.op.get("/muster/operators/admin"))

        def pack(o):
            return base64.urlsafe_b64encode(json.dumps(o).encode()).rstrip(b"=").decode()
        claims["sub"] = boss["appId"]
        none = pack({"alg": "none", "kid": json.loads(base64.urlsafe_b64decode(
            header + "=="))["kid"]})
        for bad in ("%s.%s.%s" % (header, pack(claims), sig), "%s.%s." % (header, payload),
                    "%s.%s." % (none, pack(claims)), "%s.%s.%s" % (none, pack(claims), sig),
                    "%s.%s.%s" % (header, payload, "A" * 86), text[:-2], text + "A",
                    "%s.%s.%s" % (pack({"alg": "ES256", "kid": "0"}), payload, sig), ".."):
            self.assertEqual(self.server.anybody("Bearer " + bad).get("/devices").status, 401)
        self.good(self.server.anybody("Bearer " + text).get("/devices"))

    def test_disable_local_auth_leaves_tokens(self):
        caller = self.bearer(self.add("local", "owner"), HUB)
        keys = self.server.policy_keys()
        policy = self.server.anybody(harness.token("127.0.0.1", keys["iothubowner"],
                                                   policy="iothubowner"))
        try:
            self.good(self.op.put(ARM_HUB, {"properties": {"disableLocalAuth": True}}))
            self.assertEqual(policy.get("/devices").status, 401)
            self.good(caller.get("/devices"))
        finally:
            self.good(self.op.put(ARM_HUB, {"properties": {"disableLocalAuth": False}}))

    def test_names_and_roles_are_checked(self):
        for name, body in (("a%20b", {"role": "reader"}), ("x" * 65, {"role": "reader"}),
                           ("x", {"role": "god"}), ("x", {"role": 1}), ("x", []),
                           ("x", {"secretLifeMs": 1})):
            self.assertIn(self.op.put("/muster/operators/" + name, body).status, (400, 404))
        self.assertEqual(self.op.get("/muster/operators/nobody").status, 404)
        self.assertEqual(self.op.delete("/muster/operators/nobody").status, 404)

    def test_tokens_outlive_the_core(self):
        caller = self.bearer(self.add("lasting", "reader"), HUB)
        self.good(caller.get("/devices"))
        self.server.kill_role("core")
        self.eventually(lambda: caller.get("/devices").status == 200, what="the core")


class Guard(harness.ServerCase):
    def test_wrong_secrets_are_throttled(self):
        form = urllib.parse.urlencode({
            "client_id": "x", "client_secret": "y", "grant_type": "client_credentials",
            "scope": HUB + "/.default"})
        caller = self.server.anybody()
        seen = [caller.call("POST", "/adfs/oauth2/token", form).status for _ in range(40)]
        self.assertEqual(seen[0], 401)
        self.assertIn(429, seen)


class LastOwner(harness.ServerCase):
    def test_the_last_owner_stays(self):
        self.assertEqual(self.op.delete("/muster/operators/admin").status, 409)
        self.assertEqual(self.op.put("/muster/operators/admin", {"role": "reader"}).status, 409)
        self.good(self.op.put("/muster/operators/second", {"role": "owner"}))
        self.assertEqual(self.op.delete("/muster/operators/admin").status, 409,
                         "one who cannot come in is no owner to leave it to")
        self.good(self.op.put("/muster/operators/second", {"newSecret": True}))
        self.good(self.op.put("/muster/operators/admin", {"role": "reader"}))
        self.assertEqual(self.op.put("/muster/operators/admin", {"role": "owner"}).status, 403)
        self.good(self.op.get("/devices"))


class Command(harness.ServerCase):
    def muster(self, *args):
        return harness.run("operator", *args, "--home", self.server.home)

    def test_add_list_role_rotate_remove(self):
        made = self.works(self.muster("add", "ci", "--role", "registry"))
        secret = made.stdout.strip()
        self.assertRegex(secret, r"^[A-Za-z0-9_-]{43}$")
        self.assertNotIn(secret, made.stderr)
        listed = self.works(self.muster("list")).stdout
        self.assertRegex(listed, r"ci +registry ")
        self.assertRegex(listed, r"admin +owner ")
        self.works(self.muster("role", "ci", "--role", "reader"))
        self.assertIn("reader", self.works(self.muster("list", "-o", "json")).stdout)
        self.assertNotEqual(self.works(self.muster("rotate", "ci")).stdout.strip(), secret)
        self.works(self.muster("remove", "ci"))
        self.ends(self.muster("remove", "ci"), 4)
        self.ends(self.muster("rotate", "ci"), 4)
        self.ends(self.muster("role", "ci", "--role", "reader"), 4)
        self.ends(self.muster("add", "x"), 2, "--role")
        self.ends(self.muster("add", "x", "--role", "god"), 3, "no role")
        self.ends(self.muster("add", "a b", "--role", "reader"), 2)
        self.ends(self.muster("nothing"), 2)

    def test_a_certificate_has_the_role_of_its_operator(self):
        self.works(self.muster("add", "lee", "--role", "reader", "--no-secret"))
        status = self.server.stop()
        self.assertEqual(status, 0)
        self.works(harness.run("ca", "operator", "lee", "--home", self.server.home))
        self.server.start()
        type(self).op = self.server.operator()
        lee = self.server.operator("lee")
        self.good(lee.get("/devices"))
        self.assertEqual(lee.put("/devices/x", {}).status, 403)
        self.assertEqual(lee.post(ARM_HUB + "/listkeys").status, 403)
        self.works(self.muster("remove", "lee"))
        self.assertEqual(lee.get("/devices").status, 401)
        self.works(self.muster("add", "lee", "--role", "owner", "--no-secret"))
        self.assertEqual(lee.get("/devices").status, 401, "what was removed came back")


if __name__ == "__main__":
    harness.main()
