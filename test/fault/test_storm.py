"""The power cut of a region: all devices come back at once, none is told to stay away, and
memory stays bounded.

MUSTER_STORM is the number of devices (1,000). MUSTER_LOAD names bench-load, which plays them:
it tries again as the SDKs do, and takes CONNACK 1, 2, 4 and 5 for an end, as they do.
"""
import contextlib
import json
import math
import os
import resource
import signal
import subprocess
import sys
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "flow"))
# pylint: disable=wrong-import-position
import harness

DEVICES = int(os.environ.get("MUSTER_STORM", "1000"))
LOAD = os.environ.get("MUSTER_LOAD", "")
SOURCES = 4  # a region is behind few addresses
# Of a device, all processes together, with what sanitizers take: four times what a device that
# is connected and quiet takes without them.
DEVICE_KIB = 100
WAIT_S = 120 + DEVICES / 20


def edges_for(devices):
    """How many edges hold them: each keeps five descriptors for every connection it may have
    (role/edge.c), and gets its share of the devices by chance."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    harness.need(most - 500 > devices, "only %d descriptors for %d devices" % (most, devices))
    return max(2, math.ceil(devices * 1.25 / ((most - 500) / 5)))


class Load:
    """A run of bench-load; its lines, as they come."""

    def __init__(self, folder, mode, port, at_once, **options):
        self.path = os.path.join(folder, mode + ".out")
        words = [LOAD, mode, "127.0.0.1", str(port), os.path.join(folder, "certs"), "0",
                 str(DEVICES), str(at_once), "sources=%d" % SOURCES]
        with open(self.path, "wb") as out:
            self.process = subprocess.Popen(
                words + ["%s=%s" % o for o in options.items()], stdin=subprocess.PIPE, stdout=out)

    def lines(self):
        with open(self.path, encoding="ascii") as f:
            return [json.loads(line) for line in f if line.endswith("\n")]

    def last(self, word):
        """The newest line with this word in it, or None."""
        return next((line for line in reversed(self.lines()) if word in line), None)

    def end(self):
        """Its exit status and its result."""
        self.process.stdin.close()
        status = self.process.wait(WAIT_S)
        return status, self.lines()[-1]

    def kill(self):
        self.process.stdin.close()
        self.process.kill()
        self.process.wait()


class Memory:
    """What a server's processes have, and the most they had since this was made."""

    def __init__(self, server):
        self.server, self.peak_kib = server, self.kib(server)
        self.ended = threading.Event()
        self.thread = threading.Thread(target=self._look, daemon=True)
        self.thread.start()

    @staticmethod
    def kib(server):
        total = 0
        for pid in server.pids().values():
            with open("/proc/%d/status" % pid, encoding="ascii") as f:
                total += next(int(line.split()[1]) for line in f if line.startswith("VmRSS:"))
        return total

    def _look(self):
        while not self.ended.wait(0.1):
            with contextlib.suppress(OSError, StopIteration):  # a process has ended
                self.peak_kib = max(self.peak_kib, self.kib(self.server))

    def end(self):
        self.ended.set()
        self.thread.join()
        return self.peak_kib


class Storm(harness.Case):
    def setUp(self):
        self.parent = self.folder()
        self.home = harness.make_home(self.parent)
        harness.set_config(self.home, server={"edges": edges_for(DEVICES)})
        self.issue()
        self.server = self.start()
        # the port that devices know
        harness.set_config(self.home, server={"mqtt_port": self.server.mqtt_port})
        self.register()

    def start(self):
        # what was freed shall not count for long
        server = harness.Server(self.home, env={"ASAN_OPTIONS": "quarantine_size_mb=1"}).start()
        self.addCleanup(server.kill)
        return server

    def issue(self):
        devices = os.path.join(self.parent, "devices")
        with open(devices, "w", encoding="ascii") as f:
            f.writelines("dev-%06d\n" % i for i in range(DEVICES))
        self.works(harness.run("issue", "--home", self.home, "--devices", devices, "--out",
                               os.path.join(self.parent, "certs"), timeout=WAIT_S))

    def register(self):
        with open(os.path.join(self.home, "ca/device-ca.pem"), encoding="ascii") as f:
            pem = f.read()
        got = self.server.operator().put("/enrollmentGroups/region", {
            "enrollmentGroupId": "region", "attestation": {"type": "x509", "x509": {
                "signingCertificates": {"primary": {"certificate": pem}}}}})
        self.assertEqual(got.status, 200, got)
        status, result = Load(self.parent, "register", self.server.mqtt_port, 64,
                              name=harness.SCOPE).end()
        self.assertEqual(status, 0, result)

    def cut(self):
        """kill -9 of all that the server is."""
        pids = [*self.server.pids().values(), self.server.process.pid]
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self.server.process.wait()
        self.eventually(lambda: not any(map(harness.is_alive, pids)), 20, "all ended")

    def test_a_region_comes_back_after_a_power_cut(self):
        load = Load(self.parent, "storm", self.server.mqtt_port, 64, name="127.0.0.1")
        self.addCleanup(load.kill)
        self.eventually(lambda: load.last("up"), WAIT_S, "all devices up")
        self.assertEqual(load.last("up")["up"], DEVICES)
        self.cut()
        time.sleep(1)  # so that they find nobody there for a while
        self.server = self.start()
        self.eventually(lambda: all(map(harness.is_alive, self.server.pids().values())), 30,
                        "every role started anew")
        empty = Memory.kib(self.server)
        memory = Memory(self.server)
        back = self.eventually(lambda: load.last("back"), WAIT_S, "all devices back")
        peak = memory.end()
        self.assertEqual((back["back"], back["barred"]), (DEVICES, 0))
        self.assertLess((peak - empty) / DEVICES, DEVICE_KIB, "KiB a device at the peak")
        status, result = load.end()
        self.assertEqual((status, result["failed"], result["barred"]), (0, 0, 0), result)
        self.assertEqual(sum(result["connack"][code] for code in "01245"), 0, result)
        print("%.1f s, %d KiB a device at the peak, %s" % (
            back["back_at"] - back["lost_at"], (peak - empty) / DEVICES, result), file=sys.stderr)
        self.assertEqual(self.server.stop(60), 0)
        self.assertEqual(self.server.faults(), [])


harness.need(LOAD, "MUSTER_LOAD names no bench-load")
if __name__ == "__main__":
    harness.main()
