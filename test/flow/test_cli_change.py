"""The commands that change what is there, against the home's server and as if it were Azure; and
against a stand-in for what only Azure does."""
import base64
import json
import os
import stat

import azure_fake
import cli
import harness
import pki


class Change(cli.CliCase):
    def each_way(self):
        """An operator, and a policy's key: targets are test_cli.py's."""
        yield from enumerate(([], ["--target", "keys"]))

    def ca(self, name):
        return pki.make_ca(os.path.join(self.folder(), name), name).cert

    def write(self, name, rows, mode=0o600):
        path = os.path.join(self.folder(), name)
        return cli.secret(path, "\n".join(json.dumps(row) for row in rows), mode)

    # ---- groups and enrollments ------------------------------------------------------------

    def test_a_group_is_changed_and_the_rest_of_it_stays(self):
        for n, way in self.each_way():
            name, second = "up-%d" % n, self.ca("second-%d" % n)
            was = self.json("group", "create", name, "--signing-ca", self.ca("first-%d" % n),
                            "--tags", '{"site":"x"}', "--hub", "127.0.0.1", *way)
            info = was["attestation"]["x509"]["signingCertificates"]["primary"]["info"]
            new = self.json("group", "update", name, "--second-ca", second, "--allocation",
                            "static", "--desired", '{"a":1}', *way)
            certs = new["attestation"]["x509"]["signingCertificates"]
            self.assertEqual(certs["primary"]["info"], info)
            self.assertEqual(certs["secondary"]["info"]["subjectName"], "CN=second-%d" % n)
            self.assertEqual((new["allocationPolicy"], new["iotHubs"]), ("static", ["127.0.0.1"]))
            self.assertEqual(new["initialTwin"]["tags"], {"site": "x"})
            self.assertEqual(new["initialTwin"]["properties"]["desired"], {"a": 1})
            self.ends(self.muster("group", "update", name, "--any-hub", "--etag", was["etag"],
                                  *way), 5, name, "changed meanwhile")
            last = self.json("group", "update", name, "--drop-second", "--any-hub", "--edge",
                             "yes", "--reprovision", "never", *way)
            self.assertFalse(last["attestation"]["x509"]["signingCertificates"].get("secondary"))
            self.assertFalse(last.get("iotHubs"))
            self.assertTrue(last["capabilities"]["iotEdge"])
            self.assertFalse(last["reprovisionPolicy"]["updateHubAssignment"])
            self.ends(self.muster("group", "update", name, "--drop-second", *way), 4,
                      "no second certificate")
            self.ends(self.muster("group", "update", name, *way), 2, "nothing to change")
        self.ends(self.muster("group", "update", "nobody", "--any-hub"), 4, "nobody")

    def group_key(self, name, *way):
        got = self.json("group", "show", name, "--keys", *way)
        return got["attestation"]["symmetricKey"]["primaryKey"]

    def test_a_groups_key_changes_only_where_that_is_asked_for(self):
        way = ["--target", "keys"]
        name = "gk-0"
        self.json("group", "create", name, "--symmetric", *way)
        first = self.group_key(name, *way)
        self.json("group", "update", name, "--tags", "{}", *way)
        kept = self.works(self.muster("group", "update", name, "--symmetric", *way))
        self.assertIn("--new-keys", kept.stderr)
        self.assertEqual(self.group_key(name, *way), first)
        self.json("group", "update", name, "--new-keys", *way)
        self.assertNotEqual(self.group_key(name, *way), first)
        self.json("group", "update", name, "--signing-ca", self.ca("to-ca-0"), *way)
        got = self.json("group", "show", name, *way)
        self.assertEqual(got["attestation"]["type"], "x509")

    def test_an_enrollment_is_changed(self):
        way = ["--target", "keys"]
        name = "en-0"
        first, second = self.leaf(name)[0], self.leaf(name)[0]
        was = self.json("enrollment", "create", name, "--device-cert", first, "--device-id",
                        name + "-dev", *way)
        info = was["attestation"]["x509"]["clientCertificates"]["primary"]["info"]
        new = self.json("enrollment", "update", name, "--second-cert", second, *way)
        certs = new["attestation"]["x509"]["clientCertificates"]
        self.assertEqual(certs["primary"]["info"], info)
        self.assertTrue(certs["secondary"]["info"]["sha256Thumbprint"])
        self.assertEqual(new["deviceId"], name + "-dev")

    # ---- identities ------------------------------------------------------------------------

    def device_key(self, name, *way):
        got = self.json("device", "show", name, "--keys", *way)
        return got["authentication"]["symmetricKey"]["primaryKey"]

    def test_a_device_on_sas_keeps_its_keys(self):
        way = ["--target", "keys"]
        name = "sas-0"
        self.json("device", "create", name, *way)
        first = self.device_key(name, *way)
        kept = self.works(self.muster("device", "update", name, "--auth", "sas", *way))
        self.assertIn("its keys stay; --new-keys", kept.stderr)
        self.assertEqual(self.device_key(name, *way), first)
        made = self.works(self.muster("device", "update", name, "--new-keys", *way))
        self.assertIn("new keys", made.stderr)
        second = self.device_key(name, *way)
        self.assertNotEqual(second, first)
        self.ends(self.muster("device", "update", name, "--auth", "ca", "--new-keys", *way),
                  2, "--new-keys")
        self.json("device", "update", name, "--auth", "ca", *way)
        back = self.works(self.muster("device", "update", name, "--auth", "sas", *way))
        self.assertIn("has new keys", back.stderr)

    def test_the_next_thumbprint_is_made_known_beforehand(self):
        way = ["--target", "keys"]
        name = "th-0"
        self.json("device", "create", name, "--auth", "selfSigned", "--thumbprint",
                  "ab" * 32, *way)
        new = self.json("device", "update", name, "--second-thumbprint", "cd" * 32, *way)
        self.assertEqual(new["authentication"]["x509Thumbprint"], {
            "primaryThumbprint": "ab" * 32, "secondaryThumbprint": "cd" * 32})

    def test_devices_go_out_and_come_in_again(self):
        for n, way in self.each_way():
            a, b, c = names = ["io%d-%s" % (n, x) for x in "abc"]
            self.json("device", "create", a, *way)
            self.json("device", "create", b, "--auth", "selfSigned", "--thumbprint", "ab" * 32,
                      "--disabled", "--reason", "spare", *way)
            self.json("device", "create", c, "--auth", "ca", "--edge", "yes", *way)
            self.works(self.muster("device", "twin", c, "--patch", json.dumps(
                {"tags": {"hall": 7}, "properties": {"desired": {"x": {"y": 1}}}}), *way))
            key, where = self.device_key(a, *way), "starts_with(deviceId, 'io%d-')" % n
            bare = self.works(self.muster("device", "export", "--where", where, *way)).stdout
            rows = [json.loads(line) for line in bare.splitlines()]
            self.assertEqual(sorted(row["id"] for row in rows), names)
            self.assertNotIn(key, bare)
            self.ends(self.muster("device", "export", "--keys", *way), 2, "--out")
            path = os.path.join(self.folder(), "all.ndjson")
            self.works(self.muster("device", "export", "--where", where, "--keys", "--out", path,
                                   *way))
            self.assertEqual(stat.S_IMODE(os.stat(path).st_mode), 0o600)
            self.ends(self.muster("device", "export", "--out", path, *way), 5, "there already")
            for name in names:
                self.works(self.muster("device", "delete", name, *way))
            self.assertEqual(self.json("device", "import", path, *way),
                             {"done": 3, "failed": 0, "lines": 3})
            self.assertEqual(self.device_key(a, *way), key)
            got = self.json("device", "show", b, *way)
            self.assertEqual((got["status"], got["statusReason"]), ("disabled", "spare"))
            self.assertEqual(got["authentication"]["x509Thumbprint"]["primaryThumbprint"],
                             "ab" * 32)
            twin = self.json("device", "twin", c, *way)
            self.assertEqual(twin["tags"], {"hall": 7})
            self.assertEqual(twin["properties"]["desired"]["x"], {"y": 1})
            self.assertTrue(self.json("device", "show", c, *way)["capabilities"]["iotEdge"])
            os.chmod(path, 0o644)
            self.ends(self.muster("device", "import", path, *way), 8, "chmod")

    def test_what_is_not_taken_holds_nothing_up_and_is_kept(self):
        rows = [{"id": "im-%03d" % n, "authentication": {"type": "certificateAuthority"}}
                for n in range(230)]
        self.json("device", "create", "im-007", "--auth", "ca")
        path = self.write("rows", rows)
        rejects = os.path.join(self.folder(), "rejects")
        got = self.ends(self.muster("device", "import", path, "--rejects", rejects), 5,
                        "1 of 230")
        self.assertIn("rows:8: device im-007: DeviceAlreadyExists", got.stderr)
        self.assertRegex(got.stdout, r"(?m)^Done +229$")
        with open(rejects, encoding="ascii") as f:
            self.assertEqual([json.loads(line)["id"] for line in f], ["im-007"])
        self.assertEqual(len(self.lines("device", "list", "--where",
                                        "starts_with(deviceId, 'im-')")), 230)
        self.assertEqual(self.json("device", "import", rejects, "--mode", "update")["done"], 1)
        gone = self.json("device", "import", path, "--mode", "delete", "--from", "201")
        self.assertEqual(gone, {"done": 30, "failed": 0, "lines": 230})

    def test_versions_of_an_export_are_compared(self):
        self.json("device", "create", "ver-1", "--auth", "ca")
        path = os.path.join(self.folder(), "one")
        self.works(self.muster("device", "export", "--where", "deviceId = 'ver-1'", "--out", path))
        mode = ["--mode", "updateIfMatchETag"]
        self.assertEqual(self.json("device", "import", path, *mode)["done"], 1)
        self.ends(self.muster("device", "import", path, *mode), 5, "1 of 1")

    def test_lines_that_are_wrong_say_where(self):
        good = {"id": "bad-1", "authentication": {"type": "sas"}}
        for row, status, word in (("{", 3, "rows:2"), ('{"a":1}', 3, "id"), ('"x"', 3, "id")):
            path = cli.secret(os.path.join(self.folder(), "rows"), json.dumps(good) + "\n" + row)
            self.ends(self.muster("device", "import", path, "--mode", "create"), status, word,
                      "rows:2")
            self.works(self.muster("device", "delete", "bad-1"))
        self.json("device", "create", "bad-1")
        key = self.device_key("bad-1")
        path = self.write("rows", [good])
        self.ends(self.muster("device", "import", path, "--mode", "update"), 3, "rows:1",
                  "new ones")
        self.assertEqual(self.device_key("bad-1"), key)
        self.works(self.muster("device", "import", path, "--mode", "update", "--new-keys"))
        self.assertNotEqual(self.device_key("bad-1"), key)
        path = self.write("long", [{**good, "id": "before-long"}, {"x": "y" * 1100000}])
        self.ends(self.muster("device", "import", path, "--mode", "create"), 3, "long:2: a line")
        self.works(self.muster("device", "show", "before-long"))
        self.ends(self.muster("device", "import", path, "--mode", "upsert"), 2, "upsert")
        self.ends(self.muster("device", "import", "/no/such"), 4, "/no/such")

    def test_an_import_from_a_pipe(self):
        line = json.dumps({"id": "pipe-1", "authentication": {
            "type": "sas", "symmetricKey": {"primaryKey": base64.b64encode(b"k" * 32).decode()}}})
        got = self.muster("device", "import", "-", stdin="\n" + line + "\n")
        self.assertIn("Done", self.works(got).stdout)

    # ---- resources -------------------------------------------------------------------------

    def test_the_switches_and_tags_of_a_hub(self):
        self.sas_device("switch-1")
        was = self.json("hub", "show")
        self.ends(self.muster("hub", "update", "--disable-device-sas", "yes"), 10, "on SAS",
                  "--force")
        self.assertFalse(self.json("hub", "show")["properties"]["disableDeviceSAS"])
        new = self.json("hub", "update", "--disable-device-sas", "yes", "--force", "--tag",
                        "site=ulm", "--tag", "a=b=c", "--target", "here")
        self.addCleanup(self.muster, "hub", "update", "--disable-device-sas", "no")
        self.assertTrue(new["properties"]["disableDeviceSAS"])
        self.assertFalse(new["properties"]["disableModuleSAS"])
        self.assertEqual(new["tags"], {"site": "ulm", "a": "b=c"})
        self.ends(self.muster("hub", "update", "--tag", "x=y", "--etag", was["etag"]), 5,
                  "changed meanwhile")
        back = self.json("hub", "update", "--disable-device-sas", "no", "--disable-module-sas",
                         "no", "--tag", "a=")
        self.assertFalse(back["properties"]["disableDeviceSAS"])
        self.assertEqual(back["tags"], {"site": "ulm"})
        self.assertRegex(self.works(self.muster("hub", "show")).stdout, r"(?m)^Tags +.*ulm")
        for args, word in (([], "nothing to change"), (["--tag", "x"], "NAME=VALUE"),
                           (["--disable-local-auth", "maybe"], "yes or no")):
            self.ends(self.muster("hub", "update", *args), 2, word)
        self.ends(self.muster("hub", "update", "--tag", "x=y", "--target", "keys"), 2,
                  "hub_resource")

    def test_tags_and_allocation_of_a_provisioning_service(self):
        self.assertEqual(self.json("dps", "update", "--tag", "site=ulm")["tags"], {"site": "ulm"})
        changed = self.json("dps", "update", "--allocation", "Static")
        self.assertEqual(changed["properties"]["allocationPolicy"], "Static")
        self.json("dps", "update", "--allocation", "Hashed")

    def test_policies(self):
        for command, owner in (("hub", "iothubowner"), ("dps", "provisioningserviceowner")):
            rows = {row["keyName"]: row for row in self.lines(command, "policies")}
            self.assertIsNone(rows[owner]["primaryKey"])
            keys = {row["keyName"]: row for row in self.lines(command, "policies", "--keys")}
            self.assertEqual(len(base64.b64decode(keys[owner]["primaryKey"])), 64)
            table = self.works(self.muster(command, "policies")).stdout
            self.assertRegex(table, r"^POLICY +RIGHTS\n")

    def test_a_certificate_of_the_service_is_proved(self):
        folder = self.folder()
        ca = pki.make_ca(folder, "proved CA")
        way = ["dps", "certificate"]
        made = self.json(*way, "add", "proved", ca.cert)
        self.assertFalse(made["properties"]["isVerified"])
        self.ends(self.muster(*way, "add", "proved", ca.cert), 5, "proved", "already")
        self.ends(self.muster(*way, "add", "key", ca.key), 3, "ca.key")
        asked = self.json(*way, "code", "proved")
        key, path = os.path.join(folder, "proof.key"), os.path.join(folder, "proof.pem")
        pki.make_key(key)
        pki.write_pem(path, "CERTIFICATE", ca.issue("another code", pki.spki(key)))
        self.ends(self.muster(*way, "verify", "proved", path), 3, "certificate proved")
        pki.write_pem(path, "CERTIFICATE", ca.issue(asked["properties"]["verificationCode"],
                                                    pki.spki(key)))
        self.ends(self.muster(*way, "verify", "proved", path, "--etag", made["etag"]), 5,
                  "changed meanwhile")
        self.assertTrue(self.json(*way, "verify", "proved", path)["properties"]["isVerified"])
        self.assertEqual(self.tsv(*way, "list")[0][:3], ["proved", "proved CA", "yes"])
        self.json("group", "create", "by-name", "--ca-name", "proved")
        self.ends(self.muster(*way, "delete", "proved"), 5, "proved")
        self.works(self.muster("group", "delete", "by-name"))
        self.works(self.muster(*way, "delete", "proved"))
        self.ends(self.muster(*way, "show", "proved"), 4, "proved")
        self.assertTrue(self.json(*way, "add", "said", ca.cert, "--verified")["properties"][
            "isVerified"])

    # ---- what only Azure does --------------------------------------------------------------

    def fake(self):
        """A stand-in for all of Azure, as the target "az"."""
        pair = azure_fake.certificate(self.folder())
        fake = azure_fake.Fake(self, pair)
        cli.secret(os.path.join(self.home, "az.secret"), "s")
        host = "127.0.0.1:%d" % fake.port
        self.targets(cli.section(
            "az", kind="azure", ca=pair[0], hub=host, dps=host, arm=fake.url, tenant="t",
            sign_in="service-principal", client_id="app", secret="az.secret", authority=fake.url,
            hub_resource=cli.ARM + "IotHubs/h", dps_resource=cli.ARM + "provisioningServices/d"))
        self.addCleanup(self.usual)
        fake.on("POST", "/t/oauth2/v2.0/token", {
            "token_type": "Bearer", "expires_in": 3599, "access_token": "x"})
        return fake

    def test_azure_makes_a_group_or_says_that_it_is_there(self):
        fake = self.fake()
        fake.on("POST", "/enrollmentGroups",
                {"isSuccessful": False, "errors": [{"enrollmentGroupId": "g", "errorCode": 409203,
                                                    "errorStatus": "Precondition failed."}]},
                {"isSuccessful": True, "errors": []})
        fake.on("GET", "/enrollmentGroups/g", {"enrollmentGroupId": "g", "etag": "e"})
        args = ["group", "create", "g", "--symmetric", "--target", "az"]
        self.ends(self.muster(*args), 5, "group g", "409203")
        self.json(*args)
        sent = fake.seen("POST", "/enrollmentGroups")[-1].json
        self.assertEqual(sent["mode"], "create")
        self.assertEqual(sent["enrollmentGroups"][0]["enrollmentGroupId"], "g")
        self.assertFalse(fake.seen("PUT", "/enrollmentGroups/g"))

    def test_azure_is_put_what_it_told_but_for_what_changes(self):
        fake = self.fake()
        info = {"subjectName": "CN=x", "sha256Thumbprint": "AB"}
        group = {"enrollmentGroupId": "g", "etag": "IjAx", "attestation": {
            "type": "x509", "x509": {"clientCertificates": None, "caReferences": None,
                                     "signingCertificates": {"primary": {
                                         "certificate": None, "info": info}, "secondary": None}}},
            "allocationPolicy": "hashed", "credentialPolicyName": "later"}
        fake.on("GET", "/enrollmentGroups/g", group)
        fake.on("PUT", "/enrollmentGroups/g", group)
        self.json("group", "update", "g", "--allocation", "static", "--target", "az")
        put, = fake.seen("PUT", "/enrollmentGroups/g")
        self.assertEqual(put.headers["if-match"], "IjAx")
        self.assertEqual(put.json, {**group, "allocationPolicy": "static"})

    def hub_of(self, state, etag, **properties):
        return {"id": cli.ARM + "IotHubs/h", "name": "h", "etag": etag, "location": "x",
                "properties": {"provisioningState": state, "hostName": "h", **properties}}

    def test_azure_takes_its_time_to_change_a_hub(self):
        fake, path = self.fake(), cli.ARM + "IotHubs/h"
        fake.on("GET", path, self.hub_of("Succeeded", "AAAA="),
                self.hub_of("Succeeded", "BBBB=", disableDeviceSAS=True))
        fake.on("PUT", path, (201, {}, self.hub_of("Accepted", "AAAB=")))
        fake.on("POST", "/devices/query", [{"n": 0}])
        got = self.json("hub", "update", "--disable-device-sas", "yes", "--target", "az")
        self.assertEqual(got["etag"], "BBBB=")
        put, = fake.seen("PUT", path)
        self.assertEqual(put.headers["if-match"], "AAAA=")
        self.assertEqual(put.json, self.hub_of("Succeeded", "AAAA=", disableDeviceSAS=True))
        asked, = fake.seen("POST", "/devices/query")
        self.assertIn("authenticationType = 'sas'", asked.json["query"])
        fake.on("PUT", path, (200, {}, self.hub_of("Failed", "AAAB=")))
        self.ends(self.muster("hub", "update", "--tag", "a=b", "--target", "az"), 1, "Failed")

    def test_azure_does_not_take_some_of_an_import(self):
        fake = self.fake()
        rows = [{"id": "d-%d" % n, "authentication": {"type": "sas"}} for n in range(150)]
        path = self.write("rows", rows)
        refused = {"isSuccessful": False, "errors": [{
            "deviceId": "d-3", "errorCode": "ThrottlingException", "errorStatus": "\u001b[2Jno"}]}
        fake.on("POST", "/devices", (400, {}, refused), {"isSuccessful": True, "errors": []})
        got = self.ends(self.muster("device", "import", path, "--target", "az"), 3, "1 of 150")
        self.assertIn("rows:4: device d-3: ThrottlingException: ?[2Jno", got.stderr)
        first, second = fake.seen("POST", "/devices")
        self.assertEqual((len(first.json), len(second.json)), (100, 50))
        self.assertEqual(first.json[0], {**rows[0], "importMode": "create"})
        fake.requests.clear()
        fake.on("POST", "/devices", {"isSuccessful": True, "errors": []}, (None, {}, None))
        self.ends(self.muster("device", "import", path, "--target", "az"), 7, "--from 101")
        self.assertEqual(len(fake.seen("POST", "/devices")), 2)
        fake.on("POST", "/devices", (400, {}, {"Message": "ErrorCode:ArgumentInvalid;no"}))
        self.ends(self.muster("device", "import", path, "--target", "az"), 3, "HTTP 400",
                  "--from 1 ")
        stranger = {"isSuccessful": False, "errors": [{"deviceId": "x", "errorCode": "E"}]}
        fake.on("POST", "/devices", (400, {}, stranger))
        self.ends(self.muster("device", "import", path, "--target", "az"), 3, "not sent")


if __name__ == "__main__":
    harness.main()
