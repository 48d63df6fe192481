"""kill -9 of the signer in the middle of its batches: under enrolments, under a bulk issue, and in
a rollover. No serial number twice, no certificate outside the journal, none in a device's hand
that the hub does not know."""
import base64
import contextlib
import os
import signal
import sqlite3
import subprocess
import sys
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "flow"))
# pylint: disable=wrong-import-position
import harness
import pki


class Audit:
    """Journal, database and answers of a home held against each other."""

    def __init__(self, case, home):
        with open(os.path.join(home, "ca/journal.log"), encoding="ascii") as f:
            rows = [line.split(" ") for line in f]
        self.journal = [(r[4], r[5]) for r in rows]
        written = {r[10] for r in rows}
        case.assertEqual(len(self.journal), len(set(self.journal)), "a serial number twice")
        case.assertEqual(len(rows), len(written), "a certificate twice")
        with contextlib.closing(sqlite3.connect(os.path.join(home, "hub.db"))) as db:
            stored = {r[0] for r in db.execute("SELECT sha256 FROM cert")}
        case.assertEqual(stored - written, set(), "the hub knows what the journal does not")
        self.case, self.stored, self.written = case, stored, written
        case.works(harness.run("ca", "verify-journal", "--home", home))

    def holds(self, answered):
        self.case.assertEqual(answered - self.written, set(), "handed out, not in the journal")
        self.case.assertEqual(answered - self.stored, set(), "handed out, unknown to the hub")


class Enrolling(harness.ServerCase):
    def audit(self, done):
        """The core has the database for itself, so the server is stopped for it."""
        self.assertEqual(self.server.stop(), 0)
        Audit(self, self.server.home).holds(done)
        type(self).op = self.server.start().operator()

    def enroll_until(self, stop, device, csr, done, wrong):
        while not stop.is_set():
            try:
                got = self.server.operator().post("/.well-known/est/simpleenroll", csr)
            except (OSError, harness.http.client.HTTPException):
                continue
            if got.status == 200:
                pem = pki.openssl("pkcs7", "-inform", "DER", "-print_certs",
                                  stdin=base64.b64decode(got.body))
                done.add(pki.sha256(pki.openssl("x509", "-outform", "DER", stdin=pem)))
            elif got.status < 500:
                wrong.append("%s: %r" % (device, got))

    def test_enrolments_while_the_signer_dies_again_and_again(self):
        stop, done, wrong, threads = threading.Event(), set(), [], []
        self.addCleanup(stop.set)
        for i in range(6):
            device = "kill-%d" % i
            self.ca_device(device)
            key = pki.make_key(self.path(device + ".key"))
            csr = base64.b64encode(pki.openssl("req", "-new", "-key", key, "-subj",
                                               "/CN=" + device, "-outform", "DER"))
            threads.append(threading.Thread(
                target=self.enroll_until, args=(stop, device, csr, done, wrong), daemon=True))
            threads[-1].start()
        for _ in range(6):
            before = len(done)
            self.eventually(lambda b=before: len(done) > b + 10, 30, "certificates go on")
            self.server.kill_role("signer")
        before = len(done)
        self.eventually(lambda: len(done) > before, 30, "certificates after the last kill")
        stop.set()
        for thread in threads:
            thread.join(30)
            self.assertFalse(thread.is_alive(), "a client hangs")
        self.assertEqual(wrong, [])
        self.audit(done)

    def test_a_signer_that_dies_while_it_is_told_to_load_anew(self):
        home = self.server.home
        self.works(harness.run("ca", "add", "device-2", "--purpose", "device", "--home", home))
        self.works(harness.run("ca", "reload", "--home", home))
        for pid in self.server.pids("signer").values():
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass  # it has ended as it was told
        def named():
            rows, _ = self.op.rows("/muster/issuers")
            return "device-2" in {r["name"] for r in rows}
        self.eventually(named, 30, "the new CA is named")
        self.audit(set())


class Bulk(harness.Case):
    def signer_of(self, process):
        """The child that is the signer, once it works."""
        path = "/proc/%d/task/%d/children" % (process.pid, process.pid)
        with open(path, encoding="ascii") as f:
            for child in f.read().split():
                with open("/proc/%s/cmdline" % child, encoding="ascii") as c:
                    if "signer" in c.read():
                        return int(child)
        return None

    def journal_lines(self, home):
        with open(os.path.join(home, "ca/journal.log"), "rb") as f:
            return f.read().count(b"\n")

    def test_a_bulk_issue_whose_signer_is_killed_is_made_whole_by_the_next(self):
        folder = self.folder()
        home, out = harness.make_home(folder), os.path.join(folder, "out")
        devices = os.path.join(folder, "list")
        count = 3000
        with open(devices, "w", encoding="ascii") as f:
            f.writelines("bulk-%d\n" % i for i in range(count))
        args = [harness.MUSTER, "issue", "--home", home, "--devices", devices, "--out", out]
        killed = 0
        for share in (1, 700, 1800):
            with subprocess.Popen(args, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                  stderr=subprocess.PIPE) as process:
                end = time.monotonic() + 60
                while (process.poll() is None and time.monotonic() < end and
                       self.journal_lines(home) < share + 1):
                    time.sleep(0.002)
                signer = process.poll() is None and self.signer_of(process)
                if signer:
                    os.kill(signer, signal.SIGKILL)
                    killed += 1
                text = process.communicate(timeout=60)[1]
            if signer:
                self.assertNotEqual(process.returncode, 0, text)
        self.assertGreaterEqual(killed, 1, "nothing was killed in time")
        got = harness.run(*args[1:], timeout=120)
        self.works(got)
        answered = {pki.sha256(pki.read_pem(os.path.join(out, "bulk-%d.pem" % i))[0])
                    for i in range(count)}
        self.assertEqual(len(answered), count)
        Audit(self, home).holds(answered)


if __name__ == "__main__":
    harness.main()
