"""A device for tests: a directory of muster-agent, and the agent that runs in it."""
import json
import os
import subprocess

import harness
from harness import AGENT, run


class Device:
    """Made without a credential; enrol() gives it one. env: for all its programs."""

    def __init__(self, case, name, *settings, env=None):
        self.case, self.name, self.env = case, name, env or {}
        self.server = case.server
        self.dir = os.path.join(case.folder(), name)
        self.log_path = self.dir + ".log"
        self.process = None
        server = self.server
        values = ["dps.port=%d" % server.mqtt_port, "hub.port=%d" % server.mqtt_port,
                  "est.host=127.0.0.1", "est.port=%d" % server.https_port,
                  "telemetry.interval=500ms", "agent.backoff_min=100ms", "agent.backoff_max=1s",
                  "agent.refused_min=200ms", "agent.refused_max=1s", "renew.retry_min=1s",
                  "renew.retry_max=3s", *settings]
        case.works(self.agent("init", "--id", name, "--no-sas", "--dps-host", "127.0.0.1",
                              "--id-scope", harness.SCOPE, "--ca-file", server.ca,
                              *[w for v in values for w in ("--set", v)]))
        case.addCleanup(self.end)

    def agent(self, *args, **more):
        return run(*args, "--dir", self.dir, program=AGENT, env=self.env, **more)

    def set(self, section, key, value):
        """Changes a line of agent.conf."""
        path = os.path.join(self.dir, "agent.conf")
        out, now = [], ""
        with open(path, encoding="utf-8") as f:
            for line in f:
                now = line.strip("[]\n ") if line.startswith("[") else now
                if now == section and line.split("=")[0].strip() == key:
                    line = "%s = %s\n" % (key, value)
                out.append(line)
        with open(path, "w", encoding="utf-8") as f:
            f.writelines(out)

    def token(self):
        """A file with a fresh one-time token for it."""
        got = self.case.good(self.case.op.put("/muster/tokens/" + self.name, {"create": True}))
        path = os.path.join(self.dir, "token")
        with open(path, "w", encoding="ascii",
                  opener=lambda p, f: os.open(p, f, 0o600)) as f:
            f.write(got["secret"] + "\n")
        return path

    def enrol(self):
        self.case.works(self.agent("enrol", "--token-file", self.token()))
        return self

    # ---- the daemon ----

    def start(self):
        with open(self.log_path, "ab") as log:
            self.process = subprocess.Popen(
                [AGENT, "run", "--dir", self.dir], stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL, stderr=log,
                env={**os.environ, **self.env})
        return self

    def end(self, kill=False):
        if not self.process:
            return
        (self.process.kill if kill else self.process.terminate)()
        self.process.wait(20)
        self.process = None

    @property
    def log(self):
        with open(self.log_path, encoding="utf-8", errors="replace") as f:
            return f.read()

    def status(self):
        got = self.agent("status", "--json")
        return json.loads(got.stdout) if got.returncode == 0 else {}

    def connected(self, generation=None, timeout=20):
        """Waits until it is connected (with a generation); its status."""
        def look():
            st = self.status()
            return st.get("connected") and st["generation"] == (generation or st["generation"]) \
                and st
        return self.case.eventually(look, timeout, "%s is connected%s" % (
            self.name, generation and " with " + generation or ""))

    # ---- what it has ----

    def file(self, *names):
        return os.path.join(self.dir, *names)

    @property
    def active(self):
        with open(self.file("active"), encoding="ascii") as f:
            return f.read().strip()

    @property
    def journal(self):
        with open(self.file("journal.log"), encoding="ascii") as f:
            return f.read()

    def generations(self):
        return sorted(n for n in os.listdir(self.file("cred")) if n.isdigit())
