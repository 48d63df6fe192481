"""Renewal against faults: answers that are lost, a process that is killed anywhere. Whatever
happens, the device has a pair that works, and the next run ends what was begun."""
import os
import random
import signal
import socket
import subprocess
import sys
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "flow"))

import device  # noqa: E402
import harness  # noqa: E402
import pki  # noqa: E402


class Cutter:
    """A TCP relay that ends a connection after so many bytes of the server's."""

    def __init__(self, case, port):
        self.port, self.limit = port, None
        self.door = socket.create_server(("127.0.0.1", 0))
        case.addCleanup(self.door.close)
        self.at = self.door.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            try:
                peer, _ = self.door.accept()
            except OSError:
                return
            server = socket.create_connection(("127.0.0.1", self.port))
            left = [self.limit]
            for a, b, count in ((peer, server, None), (server, peer, left)):
                threading.Thread(target=self._pump, args=(a, b, count), daemon=True).start()

    @staticmethod
    def _pump(a, b, left):
        try:
            while data := a.recv(65536):
                if left and left[0] is not None:
                    data = data[:left[0]]
                    left[0] -= len(data)
                b.sendall(data)
                if left and left[0] == 0:
                    break
        except OSError:
            pass
        for s in (a, b):
            try:
                s.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass


class Faults(harness.ServerCase):
    HOME_SET = {"pki": {"backdate": "0s"}}

    def setUp(self):
        super().setUp()
        self.x509_group()

    def pair_works(self, dev):
        """Key and certificate of what `active` names belong together."""
        folder = dev.file("cred", dev.active.split()[1])
        public = pki.openssl("x509", "-in", os.path.join(folder, "cert.pem"), "-noout", "-pubkey")
        own = pki.openssl("pkey", "-in", os.path.join(folder, "key.pem"), "-pubout")
        self.assertEqual(public, own)

    def test_an_answer_that_is_lost_costs_no_device_and_no_second_key(self):
        dev = device.Device(self, "lossy").enrol()
        cutter = Cutter(self, self.server.https_port)
        dev.set("est", "port", cutter.at)
        lost = 0
        # the handshake is some 2 KB; answers follow, the certificate's among them
        for limit in range(1200, 7200, 300):
            cutter.limit = limit
            got = dev.agent("renew", "--now")
            self.assertIn(got.returncode, (0, 1, 7), got.stderr)
            self.assertNotRegex(got.stderr, harness.BUG)
            self.pair_works(dev)
            lost += got.returncode != 0
        self.assertGreater(lost, 5)
        cutter.limit = None
        self.works(dev.agent("renew", "--now"))
        self.pair_works(dev)
        dev.start().connected(dev.active.split()[1])
        # a certificate asked for twice is for one key: no more keys than generations
        self.assertLessEqual(len(dev.generations()), 4)

    def test_killed_at_any_moment_the_next_run_ends_it(self):
        dev = device.Device(self, "killed").enrol().start()
        dev.connected()
        draw = random.Random(7)
        whole = time.monotonic()
        self.works(dev.agent("renew", "--now"))
        whole = time.monotonic() - whole
        killed = 0
        for _ in range(12):
            run = subprocess.Popen([device.AGENT, "renew", "--dir", dev.dir, "--now"],
                                   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            time.sleep(draw.uniform(0, whole))
            run.send_signal(signal.SIGKILL)
            killed += run.wait() == -signal.SIGKILL
            self.pair_works(dev)
        self.assertGreater(killed, 3)
        self.works(dev.agent("renew", "--now"))
        self.pair_works(dev)
        dev.connected(dev.active.split()[1], 40)
        self.assertNotRegex(dev.log, harness.BUG)

    def test_a_full_disk_keeps_the_old_certificate(self):
        dev = device.Device(self, "full").enrol()
        got = subprocess.run(["sh", "-c", "trap '' XFSZ; ulimit -f 0; exec \"$@\"", "sh",
                              device.AGENT, "renew", "--dir", dev.dir, "--now"],
                             stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                             check=False)
        self.assertEqual(got.returncode, 8, got.stderr)
        self.assertEqual(dev.active, "x509 0001")
        self.pair_works(dev)
        self.works(dev.agent("renew", "--now"))
        self.assertEqual(dev.active, "x509 0002")


if __name__ == "__main__":
    harness.main()
