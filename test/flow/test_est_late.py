"""Certificates that have ended (field/peers.md C18, U32): what they are still good for. Lives of a
minute, the shortest there are, so the tests of this file wait for one."""
import json
import time

import est
import harness

NAME = "/O=muster/CN="


class Late(est.Case):
    HOME_SET = {"pki": {"leaf_life": "60s"}, "est": {"quarantine_life": "60s", "expired": "allowed"}}

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        case = cls("enrolled")
        cls.one, cls.two = case.enrolled("late-1"), case.enrolled("late-2")
        time.sleep(62)

    def renew(self, device, cert, key, new=None):
        path, _ = self.csr(NAME + device, key=new or key, known=False)
        return self.enroll(path, "--cert", cert, "--key", key, verb="simplereenroll")

    def test_an_expired_certificate(self):
        cert, key = self.one
        self.refused(lambda: self.hub("late-1", cert=(cert, key)))
        status, _, body = self.renew("late-1", cert, key)
        self.assertEqual(status, 403)
        self.assertIn(b"muster est allow", body)
        self.reason("late-1", "may not be renewed", plane="est")
        # the time and the order to renew, also without the permission
        got = self.server.anybody(cert=cert, key=key).post("/muster/checkin", {"clockMs": 1})
        self.assertEqual((got.status, got.json["reason"]), (200, "expired"))
        self.works(self.muster("allow", "late-1", "--for", "1h"))
        other = est.pki.make_key(self.path("other.key"))
        status, _, body = self.renew("late-1", cert, key, new=other)
        self.assertEqual(status, 403, "another key")
        status, _, body = self.renew("late-1", cert, key)
        self.assertEqual(status, 200, body)
        new = self.keep(body)
        self.hub("late-1", cert=(new, key))
        listed = json.loads(self.works(self.muster("allow", "-o", "json")).stdout)
        self.assertEqual(listed["deviceId"], "late-1")
        self.assertGreater(listed["quarantinedMs"], 0)
        self.logged("late-1", "enroll", "in quarantine")
        # it has used the new one
        status, _, body = self.renew("late-1", cert, key)
        self.assertEqual(status, 403)
        self.assertIn(b"newer", body)
        self.works(self.muster("release", "late-1"))
        listed = json.loads(self.works(self.muster("allow", "-o", "json")).stdout)
        self.assertEqual(listed["quarantinedMs"], 0)
        self.works(self.muster("allow", "late-1", "--take-back"))
        self.assertEqual(self.works(self.muster("allow", "-o", "json")).stdout, "")

    def test_an_expired_certificate_that_was_revoked(self):
        cert, key = self.two
        self.works(self.muster("allow", "late-2"))
        self.good(self.op.post("/muster/revoke", {
            "deviceId": "late-2", "onlyCertificate": True, "reason": "keyCompromise"}))
        status, _, body = self.renew("late-2", cert, key)
        self.assertEqual(status, 403)
        self.assertIn(b"revoked", body)
        got = self.server.anybody(cert=cert, key=key).post("/muster/checkin", {})
        self.assertEqual(got.status, 401)
        self.works(self.muster("allow", "late-2", "--take-back"))

    def test_allow_for_nobody(self):
        self.ends(self.muster("allow", "late-3"), 4, "late-3")
        self.ends(self.muster("release", "late-3"), 4, "late-3")
        self.ends(self.muster("allow", "late-1", "--for", "ever"), 3, "--for")


if __name__ == "__main__":
    harness.main()
