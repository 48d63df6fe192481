"""kill -9 of each process while devices send, register and are given certificates.

The audit (reliability.md, section 5): every client notes what it was told was done; after
the kills all of it is there, once, and nothing that was refused or unanswered is half there.
"""
import base64
import json
import os
import signal
import sys
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "flow"))
# pylint: disable=wrong-import-position
import harness
import mqtt
import pki
from harness import derive, token

EVENTS = "devices/%s/messages/events/"


class Load:
    """Threads that use the server until told to stop, each with its notes."""

    def __init__(self, case):
        self.case, self.server = case, case.server
        self.stopping = threading.Event()
        self.acked, self.registered, self.issued, self.wrong = {}, set(), set(), []
        self.threads = []

    def start(self, what, *args):
        self.threads.append(threading.Thread(target=self._run, args=(what, *args), daemon=True))
        self.threads[-1].start()

    def _run(self, what, *args):
        while not self.stopping.is_set():
            try:
                what(*args)
            except (mqtt.Closed, OSError, AssertionError, harness.http.client.HTTPException):
                time.sleep(0.05)  # unknown: it may or may not have been done
            except mqtt.Refused as e:
                if e.code != 3:  # 5 would park every SDK for ever (device.md 3.2)
                    self.wrong.append("CONNACK %d during a restart" % e.code)
                time.sleep(0.05)

    def stop(self):
        self.stopping.set()
        for thread in self.threads:
            thread.join(30)
            self.case.assertFalse(thread.is_alive(), "a client hangs")

    def send(self, device, key):
        notes = self.acked.setdefault(device, [])
        with self.server.mqtt() as client:
            client.connect(device, mqtt.hub_user(device),
                           token("127.0.0.1/devices/" + device, key))
            while not self.stopping.is_set():
                number = "%s-%d-%s" % (device, len(notes), os.urandom(4).hex())
                client.publish(EVENTS % device, json.dumps({"n": number}))
                notes.append(number)

    def register(self, group):
        name = "reg-" + os.urandom(6).hex()
        with self.server.mqtt() as client:
            client.connect(name, mqtt.dps_user(harness.SCOPE, name),
                           token(harness.SCOPE + "/registrations/" + name, derive(group, name)))
            client.subscribe("$dps/registrations/res/#")
            got = mqtt.dps_register(client)
        if got.status == 200 and got.json["status"] == "assigned":
            self.registered.add(name)
        elif got.status < 429:
            self.wrong.append("registration: %d %s" % (got.status, got.json))

    def enroll(self, device, body):
        got = self.server.operator().post("/.well-known/est/simpleenroll", body)
        if got.status == 200:
            pem = pki.openssl("pkcs7", "-inform", "DER", "-print_certs",
                              stdin=base64.b64decode(got.body))
            self.issued.add(pki.sha256(pki.openssl("x509", "-outform", "DER", stdin=pem)))
        elif got.status < 500:
            self.wrong.append("enrolment: %r" % got)


class Kill(harness.ServerCase):
    def audit(self, load):
        self.assertEqual(load.wrong, [])
        for device, notes in load.acked.items():
            rows = self.op.events(deviceId=device)
            there = [r["body"]["n"] for r in rows]
            self.assertEqual([n for n in notes if n not in set(there)], [],
                             "acknowledged and lost")
            for number in notes:
                self.assertEqual(there.count(number), 1, "stored twice: " + number)
            known = [n for n in there if n in set(notes)]
            self.assertEqual(known, notes, "out of order")
        for name in load.registered:
            self.assertEqual(self.op.get("/registrations/" + name).json["status"], "assigned")
            self.assertEqual(self.op.get("/devices/" + name).status, 200)
        with open(os.path.join(self.server.home, "ca/journal.log"), encoding="ascii") as f:
            journal = [line.split(" ") for line in f]
        written = {r[10] for r in journal}
        self.assertEqual(load.issued - written, set(), "issued and not in the journal")
        serials = [r[5] for r in journal]
        self.assertEqual(len(serials), len(set(serials)))
        harness.Case.works(self, harness.run(
            "ca", "verify-journal", os.path.join(self.server.home, "ca/journal.log"),
            "--home", self.server.home))

    def test_audit_over_kills_of_every_role(self):
        load, group = Load(self), self.sas_group()
        for i in range(4):
            load.start(load.send, "load-%d" % i, self.sas_device("load-%d" % i))
        load.start(load.register, group)
        key = pki.make_key(self.path("csr.key"))
        self.sas_device("est")
        csr = base64.b64encode(pki.openssl("req", "-new", "-key", key, "-subj", "/CN=est",
                                           "-outform", "DER"))
        load.start(load.enroll, "est", csr)
        self.addCleanup(load.stopping.set)
        for role in ("core", "edge", "signer", "core", "edge"):
            before = sum(map(len, load.acked.values()))
            self.eventually(lambda b=before: sum(map(len, load.acked.values())) > b + 20, 30,
                            "telemetry before the kill of " + role)
            self.server.kill_role(role)
        before = {d: len(n) for d, n in load.acked.items()}
        self.eventually(lambda: all(len(n) > before[d] + 3 for d, n in load.acked.items()), 30,
                        "every device is back")
        done = len(load.registered), len(load.issued)
        self.eventually(lambda: (len(load.registered), len(load.issued)) > done and
                        len(load.issued) > done[1], 30, "registrations and certificates go on")
        load.stop()
        self.audit(load)
        self.assertFalse(self.server.faults(), self.server.faults())

    def test_one_edge_takes_only_its_own_connections_along(self):
        if len(self.server.pids("edge")) < 2:
            self.skipTest("this machine has one CPU, so the server has one edge")
        left = [self.hub("half-%d" % i, self.sas_device("half-%d" % i)) for i in range(24)]
        for victim in list(self.server.pids("edge").values()):
            os.kill(victim, signal.SIGKILL)
            left = [c for c in left if not c.closes(0.1)]
            for client in left:
                client.ping()
        self.assertEqual(left, [], "each connection was one of the two edges'")
        self.eventually(lambda: len(self.server.pids("edge")) == 2)

    def test_no_ghosts_after_a_core_died(self):
        key = self.sas_device("ghost")
        self.hub("ghost", key)
        self.server.kill_role("core")
        self.eventually(lambda: self.good(self.op.get("/devices/ghost"))["connectionState"] ==
                        "Disconnected")
        self.eventually(lambda: self.hub("ghost", key))
        self.eventually(lambda: self.good(self.op.get("/devices/ghost"))["connectionState"] ==
                        "Connected")

    def test_refusal_of_a_dead_core_is_3_and_503(self):
        """Never 5: that ends an SDK's reconnecting for ever."""
        key = self.sas_device("dead")
        pid = self.server.pids("core")[0]
        os.kill(pid, signal.SIGSTOP)
        try:
            with self.assertRaises((mqtt.Refused, harness.socket.timeout)) as got:
                with self.server.mqtt() as client:
                    client.sock.settimeout(3)
                    client.connect("dead", mqtt.hub_user("dead"),
                                   token("127.0.0.1/devices/dead", key))
            if isinstance(got.exception, mqtt.Refused):
                self.assertEqual(got.exception.code, 3)
        finally:
            os.kill(pid, signal.SIGCONT)
        self.eventually(lambda: self.hub("dead", key))

    def test_signer_alone_is_no_outage_for_devices(self):
        key = self.sas_device("nosig")
        client = self.hub("nosig", key)
        self.server.kill_role("signer")
        client.publish(EVENTS % "nosig", "1")
        self.hub("nosig", key).ping()


class KillMain(harness.Case):
    def setUp(self):
        self.home = harness.make_home(self.folder())
        self.server = harness.Server(self.home).start()
        self.addCleanup(self.server.kill)

    def test_children_end_with_main_and_the_home_starts_again(self):
        op = self.server.operator()
        self.assertEqual(op.put("/devices/m-1", {"deviceId": "m-1"}).status, 200)
        pids = list(self.server.pids().values())
        self.assertGreaterEqual(len(pids), 3)
        self.server.kill()
        self.eventually(lambda: not [p for p in pids if harness.is_alive(p)], 10, "children end")
        again = harness.Server(self.home).start()
        self.addCleanup(again.kill)
        self.assertEqual(again.operator().get("/devices/m-1").status, 200)
        self.assertEqual(again.stop(), 0)
        self.assertEqual(again.faults(), [])

    def test_stop_in_order_leaves_nothing_and_closes_in_order(self):
        op = self.server.operator()
        key = base64.b64decode(op.put("/devices/m-2", {"deviceId": "m-2"}).json[
            "authentication"]["symmetricKey"]["primaryKey"])
        client = self.server.mqtt()
        self.addCleanup(client.close)
        client.connect("m-2", mqtt.hub_user("m-2"), token("127.0.0.1/devices/m-2", key))
        pids = list(self.server.pids().values())
        start = time.monotonic()
        self.assertEqual(self.server.stop(), 0)
        self.assertLess(time.monotonic() - start, 8)
        self.assertTrue(client.closes(5))
        self.assertEqual([p for p in pids if harness.is_alive(p)], [])
        self.assertEqual(self.server.faults(), [])

    def test_interrupt_key_stops_it_too(self):
        os.killpg(self.server.process.pid, signal.SIGINT)  # as a terminal does: to all of them
        self.assertEqual(self.server.process.wait(20), 0)
        self.assertEqual(self.server.faults(), [])

    def test_a_role_that_keeps_dying_is_started_with_growing_pauses(self):
        for _ in range(4):
            self.server.kill_role("edge")
        ends = [line for line in self.server.log.splitlines() if "main.exit role=edge" in line]
        self.assertGreaterEqual(len(ends), 4)
        self.eventually(lambda: self.server.operator().get("/devices").status == 200)

    def test_jail_bites(self):
        """Each process says which of its rights are gone."""
        for role in ("core", "signer", "edge"):
            for pid in self.server.pids(role).values():
                with open("/proc/%d/status" % pid, encoding="ascii") as f:
                    status = dict(line.rstrip("\n").split(":\t", 1) for line in f if ":\t" in line)
                self.assertEqual(status["NoNewPrivs"], "1", role)
                self.assertEqual(status["Seccomp"], "2", role)
                self.assertEqual(int(status["CapEff"], 16), 0, role)

    def test_nobody_else_may_attach_to_a_role(self):
        if os.geteuid() == 0:
            self.skipTest("root may read every process")
        for pid in self.server.pids().values():
            with self.assertRaises(OSError), open("/proc/%d/mem" % pid, "rb") as f:
                f.read(1)


class Issuing(harness.Case):
    def test_kill_at_the_journals_system_calls(self):
        """Row 6: a signature that the journal does not know is never handed out."""
        harness.need_strace(self)
        folder = self.folder()
        home, out = harness.make_home(folder), os.path.join(folder, "out")
        devices = os.path.join(folder, "list")
        with open(devices, "w", encoding="ascii") as f:
            f.write("dev-1\n")
        journal = os.path.join(home, "ca/journal.log")
        for call in ("openat", "write", "fdatasync"):
            for number in (1, 2):
                harness.shutil.rmtree(out, True)
                harness.run(
                    "-f", "-qq", "-o", "/dev/null", "-e", "trace=" + call, "-P", journal, "-e",
                    "inject=%s:signal=KILL:when=%d" % (call, number), harness.MUSTER, "issue",
                    "--home", home, "--devices", devices, "--out", out, program="strace",
                    env=harness.TRACED)
                if os.path.exists(os.path.join(out, "dev-1-fullchain.pem")):
                    self.is_known(out, journal)
                self.works(harness.run("issue", "--home", home, "--devices", devices, "--out", out))
                self.works(harness.run("ca", "verify-journal", "--home", home))
                self.is_known(out, journal)

    def is_known(self, out, journal):
        sha = pki.sha256(pki.read_pem(os.path.join(out, "dev-1.pem"))[0])
        with open(journal, encoding="ascii") as f:
            self.assertIn(sha, f.read())


if __name__ == "__main__":
    harness.main()
