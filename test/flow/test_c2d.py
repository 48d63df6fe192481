"""Cloud-to-device messages (device.md 3.10, service.md 2.2 and 2.8): the queue, its limits,
feedback, delivery over MQTT."""
import datetime
import os
import signal
import threading
import time
import urllib.parse

import harness
import mqtt

BOUND = "devices/%s/messages/devicebound/"
FEEDBACK = "/messages/servicebound/feedback"


def iso(seconds):
    """So many seconds from now, as clients write it."""
    at = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(seconds=seconds)
    return at.strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def bag(topic, device):
    """The properties behind a topic, in their order: [(raw key, decoded value)]."""
    prefix = BOUND % device
    assert topic.startswith(prefix), topic
    pairs = [p.split("=", 1) for p in topic[len(prefix):].split("&")]
    return [(k, urllib.parse.unquote(v)) for k, v in pairs]


class C2d(harness.ServerCase):
    def send(self, device, body, status=204, **headers):
        """headers: messageid="..", app_x="..": written iothub-messageid, iothub-app-x."""
        got = self.op.post("/messages/deviceBound", body,
                           iothub_to="/devices/%s/messages/devicebound" % urllib.parse.quote(
                               device, safe=""),
                           **{"iothub_" + k: v for k, v in headers.items()})
        self.assertEqual(got.status, status, got)
        return got

    def pending(self, device):
        return self.good(self.op.get("/devices/" + urllib.parse.quote(
            device, safe="")))["cloudToDeviceMessageCount"]

    def purge(self, device):
        return self.good(self.op.delete("/devices/%s/commands" % device))["totalMessagesPurged"]

    def drain_feedback(self):
        """All feedback there is, completed: [(message ID, status)]."""
        found = []
        while True:
            got = self.op.get(FEEDBACK)
            if got.status == 204:
                return found
            self.good(got)
            found += [(r["originalMessageId"], r["statusCode"]) for r in got.json]
            lock = got.headers["ETag"].strip('"')
            self.good(self.op.delete("%s/%s" % (FEEDBACK, lock)), 204)

    def feedback(self, message, status):
        """That this feedback comes."""
        seen = []

        def look():
            seen.extend(self.drain_feedback())
            return (message, status) in seen
        self.eventually(look, 20, "feedback %s of %s" % (status, message))

    def listen(self, device, key, qos=1, **more):
        client = self.hub(device, key=key, **more)
        self.assertEqual(client.subscribe(BOUND % device + "#", qos=qos), [qos])
        return client

    def quiet(self, client):
        """That nothing more comes: what a device sends is answered in order."""
        client.ping()
        self.assertEqual(client.inbox, [])


class Queue(C2d):
    HOME_SET = {"hub": {"feedback_lock": "1s"}}

    def test_message_waits_for_its_device(self):
        self.sas_device("q-1")
        self.assertEqual(self.pending("q-1"), 0)
        self.send("q-1", b"hello")
        self.send("q-1", b"again", messageid="m-2")
        self.assertEqual(self.pending("q-1"), 2)
        twin = self.good(self.op.get("/twins/q-1"))
        self.assertEqual(twin["cloudToDeviceMessageCount"], 2)
        self.assertEqual(self.purge("q-1"), 2)
        self.assertEqual(self.pending("q-1"), 0)
        got = self.good(self.op.delete("/devices/q-1/commands"))
        self.assertEqual(got, {"deviceId": "q-1", "moduleId": None, "totalMessagesPurged": 0})

    def test_path_may_name_the_device_too(self):
        self.sas_device("q-path")
        got = self.op.post("/devices/q-path/messages/deviceBound", b"x")
        self.assertEqual(got.status, 204, got)
        self.assertEqual(self.pending("q-path"), 1)

    def test_fifty_first_message_is_refused(self):
        self.sas_device("q-50")
        for i in range(50):
            self.send("q-50", b"%d" % i)
        got = self.send("q-50", b"51", 403)
        self.assertEqual(got.headers["iothub-errorcode"], "DeviceMaximumQueueDepthExceeded")
        self.assertEqual(self.pending("q-50"), 50)
        self.assertEqual(self.purge("q-50"), 50)
        self.send("q-50", b"51")

    def test_what_cannot_be_sent(self):
        self.sas_device("q-bad")
        got = self.send("nobody", b"x", 404)
        self.assertEqual(got.headers["iothub-errorcode"], "DeviceNotFound")
        self.send("q-bad/mod", b"x", 404)
        self.send("q-bad", b"x", 400, ack="maybe")
        self.send("q-bad", b"x", 400, expiry="tomorrow")
        self.send("q-bad", b"x", 400, messageid="m" * 129)
        self.send("q-bad", b"x" * (64 * 1024), 204)
        self.send("q-bad", b"x" * (64 * 1024 + 1), 413)
        self.send("q-bad", b"x" * (64 * 1024), 413, app_a="b")
        for to in (None, "", "/devices/q-bad", "/devices/q-bad/messages/events",
                   "/devices//messages/devicebound", "q-bad"):
            headers = {} if to is None else {"iothub_to": to}
            got = self.op.post("/messages/devicebound", b"x", **headers)
            self.assertEqual(got.status, 400, (to, got))
        self.assertEqual(self.purge("q-bad"), 1)
        self.assertEqual(self.op.delete("/devices/nobody/commands").status, 404)

    def test_deleted_device_leaves_nothing_to_the_next_of_its_name(self):
        self.sas_device("q-del")
        self.send("q-del", b"x", messageid="gone", ack="full")
        self.send("q-del", b"x", messageid="gone-2", ack="full", expiry=iso(-5))
        self.good(self.op.delete("/devices/q-del", If_Match="*"), 204)
        self.sas_device("q-del")
        self.assertEqual(self.pending("q-del"), 0)
        self.assertNotIn("gone", [m for m, _ in self.drain_feedback()])

    def test_purged_messages_are_told_of(self):
        self.sas_device("q-purge")
        for ack in ("none", "positive", "negative", "full"):
            self.send("q-purge", b"x", messageid="purge-" + ack, ack=ack)
        self.assertEqual(self.purge("q-purge"), 4)
        told = {m: s for m, s in self.drain_feedback() if m.startswith("purge-")}
        self.assertEqual(told, {"purge-negative": "Purged", "purge-full": "Purged"})

    def test_feedback_is_locked_completed_abandoned(self):
        self.drain_feedback()
        self.sas_device("q-fb")
        generation = self.good(self.op.get("/devices/q-fb"))["generationId"]
        self.send("q-fb", b"x", messageid="fb-1", ack="full")
        self.purge("q-fb")
        got = self.op.get(FEEDBACK)
        self.assertEqual(got.headers["Content-Type"],
                         "application/vnd.microsoft.iothub.feedback.json")
        row = self.good(got)[0]
        self.assertRegex(row.pop("enqueuedTimeUtc"), r"^20\d\d-\d\d-\d\dT[\d:.]+Z$")
        self.assertEqual(row, {
            "originalMessageId": "fb-1", "deviceId": "q-fb", "deviceGenerationId": generation,
            "statusCode": "Purged", "description": "Message purged"})
        lock = got.headers["ETag"]
        self.assertRegex(lock, r'^"[0-9a-f-]{36}"$')
        lock = lock.strip('"')
        self.good(self.op.get(FEEDBACK), 204)
        self.good(self.op.post("%s/%s/abandon" % (FEEDBACK, lock)), 204)
        again = self.op.post("%s/%s/abandon" % (FEEDBACK, lock))
        self.assertEqual((again.status, again.headers["iothub-errorcode"]),
                         (412, "DeviceMessageLockLost"))
        got = self.op.get(FEEDBACK)
        self.assertEqual(self.good(got)[0]["originalMessageId"], "fb-1")
        lock = got.headers["ETag"].strip('"')
        # a reader that says nothing: it comes again when the lock is over
        got = self.eventually(lambda: (g := self.op.get(FEEDBACK)).status == 200 and g)
        self.assertEqual(self.op.delete("%s/%s" % (FEEDBACK, lock)).status, 412)
        lock = got.headers["ETag"].strip('"')
        self.good(self.op.delete("%s/%s" % (FEEDBACK, lock)), 204)
        self.good(self.op.get(FEEDBACK), 204)
        self.assertEqual(self.op.delete("%s/%s" % (FEEDBACK, "x" * 300)).status, 412)

    def test_expired_messages_are_given_up(self):
        self.sas_device("q-ttl")
        self.send("q-ttl", b"x", messageid="ttl-1", ack="negative", expiry=iso(1))
        self.send("q-ttl", b"x", messageid="ttl-2", ack="positive", expiry=iso(1))
        self.send("q-ttl", b"x", messageid="ttl-3", ack="full")
        self.feedback("ttl-1", "Expired")
        self.assertEqual(self.pending("q-ttl"), 1)
        self.assertEqual(self.purge("q-ttl"), 1)
        self.assertNotIn("ttl-2", [m for m, _ in self.drain_feedback()])


if __name__ == "__main__":
    harness.main()
