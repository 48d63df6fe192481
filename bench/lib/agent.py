"""Memory of one device's agent, connected and idle, against mosquitto_sub's."""
import json
import os
import subprocess
import tempfile
import time

from report import Row
from servers import Failed, Mosquitto, Muster, stop, wait_for

FIGURE = "The agent"
SETTLED_S = 5


def status_bytes(pid, name):
    """Of /proc/PID/status: VmRSS, VmHWM."""
    with open("/proc/%d/status" % pid, encoding="ascii", errors="replace") as f:
        for line in f:
            if line.startswith(name + ":"):
                return int(line.split()[1]) * 1024
    raise Failed("process %d has no %s" % (pid, name))


def secret(path, text):
    with open(path, "w", encoding="ascii", opener=lambda p, f: os.open(p, f, 0o600)) as f:
        f.write(text)
    return path


def make_device(ctx, muster, name):
    """A device that authenticates by X.509 and renews from the server; its directory."""
    folder = os.path.join(tempfile.mkdtemp(prefix="agent-", dir=ctx.memory), name)
    ports = muster.ports
    values = ["dps.port=%d" % ports["mqtt"], "hub.port=%d" % ports["mqtt"],
              "est.host=127.0.0.1", "est.port=%d" % ports["https"], "renew.check=1h"]
    ctx.run(ctx.program("muster-agent"), "init", "--dir", folder, "--id", name, "--no-sas",
            "--dps-host", "127.0.0.1", "--id-scope", ctx.scope, "--ca-file",
            muster.path("ca/root.pem"), *[w for v in values for w in ("--set", v)])
    got = json.loads(muster.call("PUT", "/muster/tokens/" + name, {"create": True}))
    ctx.run(ctx.program("muster-agent"), "enrol", "--dir", folder, "--token-file",
            secret(folder + "/token", got["secret"] + "\n"))
    return folder


def is_connected(ctx, folder):
    done = subprocess.run([ctx.program("muster-agent"), "status", "--dir", folder, "--json"],
                          capture_output=True, text=True)
    return done.returncode == 0 and json.loads(done.stdout)["connected"]


def agent_bytes(ctx, folder):
    p = subprocess.Popen([ctx.program("muster-agent"), "run", "--dir", folder],
                         stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        wait_for(lambda: is_connected(ctx, folder), "connected agent")
        time.sleep(SETTLED_S)
        return status_bytes(p.pid, "VmRSS")
    finally:
        stop(p)


def subscriber_bytes(ctx, muster, broker, folder):
    cred = os.path.join(folder, "cred", "0001")
    p = subprocess.Popen(
        [ctx.mosquitto_sub, "-h", "127.0.0.1", "-p", str(broker.port), "-t", "devices/#", "-q", "1",
         "-i", "bench-sub", "-c", "--cafile", muster.path("ca/root.pem"), "--cert",
         cred + "/cert.pem", "--key", cred + "/key.pem"], stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL)
    try:
        time.sleep(SETTLED_S)
        if p.poll() is not None:
            raise Failed("mosquitto_sub ended with %d" % p.returncode)
        return status_bytes(p.pid, "VmRSS")
    finally:
        stop(p)


def run(ctx):
    muster = Muster(ctx, "agent").start()
    ours, theirs = [], []
    try:
        muster.trust_own_devices()
        folder = make_device(ctx, muster, "bench-agent")
        broker = Mosquitto(ctx, muster, "agent-broker", ["persistence false"])
        try:
            for _ in range(ctx.rounds):
                ours.append(agent_bytes(ctx, folder) / 2**20)
                theirs.append(subscriber_bytes(ctx, muster, broker, folder) / 2**20)
        finally:
            broker.stop()
    finally:
        muster.stop()
    return [Row(FIGURE, "muster-agent, connected and idle", "MiB (RSS)", ours, theirs,
                "mosquitto_sub")]
