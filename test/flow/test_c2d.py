"""Cloud-to-device messages (device.md 3.10, service.md 2.2 and 2.8): the queue, its limits,
feedback, delivery over MQTT."""
import datetime
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


class Delivery(C2d):
    """Over MQTT, as a client that can also misbehave."""

    def deliver(self, client, timeout=20):
        """The next PUBLISH: its first byte, topic, packet ID (0 at QoS 0), body."""
        first, body = client.read(timeout)
        topic, rest = mqtt.parse_publish(first, body)
        size = len(topic.encode()) + 2
        number = int.from_bytes(body[size:size + 2], "big") if first & 6 else 0
        return first, topic, number, rest

    def ack(self, client, number):
        client.write(mqtt.packet(0x40, number.to_bytes(2, "big")))

    def take(self, client, want):
        """Takes one message and acknowledges it."""
        first, topic, number, body = self.deliver(client)
        self.assertEqual(body, want)
        self.ack(client, number)
        return first, topic

    def gone(self, device):
        self.eventually(lambda: self.pending(device) == 0, what="empty queue of " + device)

    def test_message_comes_with_its_properties_exactly(self):
        client = self.listen("d-1", self.sas_device("d-1"))
        self.send("d-1", b"hello", messageid="m/1", correlationid="c 1", userid="u",
                  ack="full", contenttype="application/json", contentencoding="utf-8",
                  expiry="2096-01-02T03:04:05Z", app_alert="a&b=c", app_empty="", app_CaSe="x")
        first, topic, number, body = self.deliver(client)
        self.assertEqual((first, body), (0x32, b"hello"))
        self.assertEqual(bag(topic, "d-1"), [
            ("%24.mid", "m/1"), ("%24.to", "/devices/d-1/messages/devicebound"),
            ("%24.cid", "c 1"), ("%24.uid", "u"), ("iothub-ack", "full"),
            ("%24.exp", "2096-01-02T03:04:05Z"), ("%24.ce", "utf-8"),
            ("%24.ct", "application/json"), ("CaSe", "x"), ("alert", "a&b=c")])
        self.assertIn("%24.to=%2Fdevices%2Fd-1%2Fmessages%2Fdevicebound", topic)
        self.assertIn("%24.cid=c%201", topic)
        self.assertEqual(self.pending("d-1"), 1)
        self.ack(client, number)
        self.gone("d-1")
        self.feedback("m/1", "Success")

    def test_without_anything_it_has_its_to_alone(self):
        client = self.listen("d-bare", self.sas_device("d-bare"))
        self.send("d-bare", b"")
        topic, body = client.message()
        self.assertEqual(bag(topic, "d-bare"), [
            ("%24.to", "/devices/d-bare/messages/devicebound")])
        self.assertEqual(body, b"")

    def test_plus_filter_of_embedded_c(self):
        client = self.hub("d-plus", key=self.sas_device("d-plus"))
        self.assertEqual(client.subscribe("devices/+/messages/devicebound/#"), [1])
        self.send("d-plus", b"x")
        self.assertTrue(client.message()[0].startswith(BOUND % "d-plus"))

    def test_qos_0_is_done_when_it_was_sent(self):
        client = self.listen("d-q0", self.sas_device("d-q0"), qos=0)
        self.send("d-q0", b"x", messageid="q0", ack="positive")
        first, _, number, body = self.deliver(client)
        self.assertEqual((first, number, body), (0x30, 0, b"x"))
        self.gone("d-q0")
        self.feedback("q0", "Success")
        for i in range(40):
            self.send("d-q0", b"%d" % i)
        self.assertEqual([client.message()[1] for _ in range(40)],
                         [b"%d" % i for i in range(40)])
        self.gone("d-q0")

    def test_not_acknowledged_it_comes_again_on_the_next_connection_only(self):
        key = self.sas_device("d-again")
        client = self.listen("d-again", key, clean=False)
        self.send("d-again", b"a")
        self.send("d-again", b"b")
        firsts = [self.deliver(client) for _ in range(2)]
        self.assertEqual([(f, b) for f, _, _, b in firsts], [(0x32, b"a"), (0x32, b"b")])
        self.ack(client, firsts[1][2])
        self.eventually(lambda: self.pending("d-again") == 1)
        # the same filter once more: nothing comes twice on one connection
        client.subscribe(BOUND % "d-again" + "#")
        self.quiet(client)
        client.close()
        # the stored subscription serves it right after CONNACK
        client = self.hub("d-again", key=key, clean=False)
        first, _, number, body = self.deliver(client)
        self.assertEqual((first, body), (0x3a, b"a"))
        self.ack(client, number)
        self.gone("d-again")
        self.quiet(client)

    def test_new_connection_takes_over_what_the_old_one_left(self):
        key = self.sas_device("d-over")
        old = self.listen("d-over", key, clean=False)
        self.send("d-over", b"a")
        self.deliver(old)
        new = self.hub("d-over", key=key, clean=False)
        first, _, number, body = self.deliver(new)
        self.assertEqual((first, body), (0x3a, b"a"))
        self.ack(new, number)
        self.gone("d-over")
        self.assertTrue(old.closes(10))

    def test_messages_sent_while_away_come_in_order(self):
        key = self.sas_device("d-order")
        for i in range(50):
            self.send("d-order", b"%d" % i)
        client = self.listen("d-order", key)
        for i in range(50):
            self.take(client, b"%d" % i)
        self.gone("d-order")

    def test_window_without_acknowledgements(self):
        client = self.listen("d-win", self.sas_device("d-win"))
        for i in range(30):
            self.send("d-win", b"%d" % i)
        got = [self.deliver(client) for _ in range(16)]
        self.quiet(client)
        self.assertEqual(len({number for _, _, number, _ in got}), 16)
        for _, _, number, _ in reversed(got):  # in any order
            self.ack(client, number)
        for i in range(16, 30):
            self.take(client, b"%d" % i)
        self.gone("d-win")
        self.ack(client, 9)  # what is not under way is no matter
        self.quiet(client)

    def test_poison_message_is_given_up(self):
        key = self.sas_device("d-poison")
        self.send("d-poison", b"x", messageid="poison", ack="negative")
        for i in range(10):
            with self.hub("d-poison", key=key, clean=False) as client:
                if i == 0:
                    client.subscribe(BOUND % "d-poison" + "#")
                self.assertEqual(self.deliver(client)[0], 0x3a if i else 0x32)
        self.feedback("poison", "DeliveryCountExceeded")
        self.assertEqual(self.pending("d-poison"), 0)

    def test_unsubscribed_device_gets_nothing(self):
        key = self.sas_device("d-unsub")
        client = self.listen("d-unsub", key)
        client.unsubscribe(BOUND % "d-unsub" + "#")
        self.send("d-unsub", b"x")
        self.quiet(client)
        self.assertEqual(self.pending("d-unsub"), 1)
        client.subscribe(BOUND % "d-unsub" + "#")
        self.take(client, b"x")

    def test_deleted_and_disabled(self):
        key = self.sas_device("d-dis")
        client = self.listen("d-dis", key)
        device = self.good(self.op.get("/devices/d-dis"))
        self.good(self.op.put("/devices/d-dis", {**device, "status": "disabled"}, If_Match="*"))
        self.assertTrue(client.closes(10))
        self.send("d-dis", b"x")
        self.good(self.op.put("/devices/d-dis", {**device, "status": "enabled"}, If_Match="*"))
        self.take(self.listen("d-dis", key), b"x")

    def test_device_that_never_reads_harms_nobody(self):
        for qos in (0, 1):
            name = "d-deaf-%d" % qos
            deaf = self.listen(name, self.sas_device(name), qos=qos)
            # the kernel holds some MB for it; what has not left the hub is not done
            for sent in range(1000):
                got = self.op.post("/devices/%s/messages/devicebound" % name, b"x" * 60000)
                if got.status != 204:
                    break
            self.assertEqual(got.status, 403, "at QoS %d, after %d messages" % (qos, sent))
            neighbour = self.listen("d-by-%d" % qos, self.sas_device("d-by-%d" % qos))
            self.send("d-by-%d" % qos, b"x")
            self.take(neighbour, b"x")
            deaf.ping()
            deaf.close()

    def test_many_senders_lose_nothing(self):
        client = self.listen("d-many", self.sas_device("d-many"))

        def send(part):
            api = self.server.operator()
            for i in range(20):
                while api.post("/devices/d-many/messages/devicebound",
                               b"%d-%d" % (part, i)).status == 403:
                    time.sleep(0.05)
            api.close()
        senders = [threading.Thread(target=send, args=(n,)) for n in range(4)]
        for sender in senders:
            sender.start()
        got = []
        for _ in range(80):
            _, _, number, body = self.deliver(client)
            got.append(body)
            self.ack(client, number)
        for sender in senders:
            sender.join()
        self.assertEqual(len(set(got)), 80)
        for part in range(4):  # each sender's in its order
            self.assertEqual([b for b in got if b.startswith(b"%d-" % part)],
                             [b"%d-%d" % (part, i) for i in range(20)])
        self.gone("d-many")
        self.quiet(client)


class Restarts(C2d):
    """What a server knows after it was stopped, and after its core was killed."""

    def test_kill_of_the_core_loses_and_repeats_nothing_else(self):
        key = self.sas_device("r-kill")
        client = self.listen("r-kill", key, clean=False)
        self.send("r-kill", b"a", messageid="r-a", ack="full")
        self.assertEqual(client.message()[1], b"a")
        self.send("r-kill", b"b")
        self.assertEqual(client.message()[1], b"b")
        client.write(mqtt.packet(0x40, b"\0\2"))
        self.eventually(lambda: self.pending("r-kill") == 1)
        self.server.kill_role("core")
        self.assertTrue(client.closes(20))
        client = self.eventually(lambda: self.hub("r-kill", key=key, clean=False))
        first, body = client.read(20)
        self.assertEqual((first, body[-1:]), (0x3a, b"a"))
        client.write(mqtt.packet(0x40, b"\0\1"))
        self.feedback("r-a", "Success")
        self.quiet(client)

    def test_kill_of_an_edge(self):
        key = self.sas_device("r-edge")
        client = self.listen("r-edge", key, clean=False)
        self.send("r-edge", b"a")
        client.message()
        self.server.kill_role("edge")
        client = self.eventually(lambda: self.hub("r-edge", key=key, clean=False))
        self.assertEqual(client.read(20)[0], 0x3a)

    def test_stop_and_start(self):
        key = self.sas_device("r-stop")
        self.listen("r-stop", key, clean=False).disconnect()
        for i in range(3):
            self.send("r-stop", b"%d" % i, messageid="r-%d" % i, ack="negative")
        self.assertEqual(self.server.stop(), 0)
        self.server.start()
        type(self).op = self.server.operator()
        self.assertEqual(self.pending("r-stop"), 3)
        client = self.hub("r-stop", key=key, clean=False)
        self.assertEqual([client.message()[1] for _ in range(3)], [b"0", b"1", b"2"])
        self.assertEqual(self.purge("r-stop"), 3)
        self.feedback("r-2", "Purged")
        self.assertIsNone(self.server.process.poll())


if __name__ == "__main__":
    harness.main()
