"""A lab for tests of the migration: a fleet of simulated SAS devices behind real sshds."""
import contextlib
import json
import os
import shutil
import sqlite3

import harness
from harness import run

os.environ["PATH"] += ":/usr/sbin:/sbin"  # sshd


def is_alive(pid):
    try:
        with open("/proc/%d/stat" % pid, encoding="ascii") as f:
            return f.read().rsplit(")", 1)[1].split()[0] not in "ZX"
    except FileNotFoundError:
        return False


def parents():
    """Every process with its parent."""
    found = {}
    for name in filter(str.isdigit, os.listdir("/proc")):
        with contextlib.suppress(OSError):
            with open("/proc/%s/stat" % name, encoding="ascii", errors="replace") as f:
                found[int(name)] = int(f.read().rsplit(")", 1)[1].split()[1])
    return found


class Lab:
    """A home with a running lab, until the test ends."""

    def __init__(self, case, devices, *options, **config):
        self.case = case
        self.home = harness.make_home(case.folder())
        harness.set_config(self.home, **config)
        case.addCleanup(self.clean_up)
        case.works(run("lab", "up", "--home", self.home, "--devices", str(devices), "--telemetry",
                       "500ms", *options, timeout=180))
        self.names = sorted(os.listdir(os.path.join(self.home, "lab", "devices")))
        case.assertEqual(len(self.names), devices)
        server = harness.Server(self.home)
        with open(os.path.join(self.home, "run", "ports"), encoding="ascii") as f:
            ports = dict(line.strip().split("=") for line in f)
        server.mqtt_port, server.https_port = int(ports["mqtt"]), int(ports["https"])
        server.log_path = os.path.join(self.home, "lab", "serve.log")
        self.server, self.op = server, server.operator()

    def clean_up(self):
        faults = self.server.faults() if hasattr(self, "server") else []
        run("lab", "down", "--home", self.home, timeout=60)
        with open(os.path.join(self.home, "lab", "lab.log"), encoding="utf-8",
                  errors="replace") as f:
            faults += [line for line in f if harness.BUG.search(line)]
        self.case.assertEqual(faults, [])

    def migrate(self, *args, timeout=180):
        return run("migrate", *args, "--home", self.home, timeout=timeout)

    def good(self, *args):
        return self.case.works(self.migrate(*args))

    def status(self):
        return json.loads(self.good("status", "-o", "json").stdout)

    def fleet(self):
        """What the lab says: counts."""
        got = self.case.works(run("lab", "status", "--home", self.home, "-o", "json"))
        return json.loads(got.stdout)

    @property
    def summary(self):
        with open(os.path.join(self.home, "campaign", "summary.json"), encoding="ascii") as f:
            return json.load(f)

    def rows(self):
        """The campaign's devices by name, read beside whoever writes."""
        path = "file:%s?mode=ro" % os.path.join(self.home, "campaign", "campaign.db")
        db = sqlite3.connect(path, uri=True, timeout=10)
        try:
            db.row_factory = sqlite3.Row
            return {r["id"]: dict(r) for r in db.execute("SELECT * FROM device")}
        finally:
            db.close()

    def pids(self):
        """Every process of the lab."""
        found = set()
        for name in ("serve.pid", "lab.pid"):
            with open(os.path.join(self.home, "lab", name), encoding="ascii") as f:
                found.add(int(f.read()))
        tree = parents()
        while more := {p for p, parent in tree.items() if parent in found} - found:
            found |= more
        return found

    def active(self, device):
        """What a device's credential switch points at."""
        path = os.path.join(self.home, "lab", "devices", device, "active")
        with open(path, encoding="ascii") as f:
            return f.read().split()

    def issued(self, device):
        """Certificates the journal has for a device."""
        with open(os.path.join(self.home, "ca", "journal.log"), encoding="ascii") as f:
            return [line for line in f if line.split(" ")[6] == device
                    and line.split(" ")[3] == "device"]

    def campaign_again(self):
        """Forgets the campaign, for another one."""
        shutil.rmtree(os.path.join(self.home, "campaign"))
