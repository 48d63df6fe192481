"""The servers under test: muster serve, mosquitto, the bare handshake."""
import contextlib
import http.client
import json
import os
import signal
import ssl
import subprocess
import time

from machine import edges_for, is_alive, tree


class Failed(Exception):
    """Something that a figure needs did not work; the text says what."""


def wait_for(condition, what, seconds=20, pause=0.05):
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            raise Failed("no %s after %d s" % (what, seconds))
        time.sleep(pause)


def stop(process):
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


class Muster:
    """A home of its own and the server on it, on ports the system chose (mqtt_port: on
    this one, again and again). edges: as many, 0 is one a CPU."""

    hub = "127.0.0.1"

    def __init__(self, ctx, name, mqtt_port=0, edges=0):
        self.ctx = ctx
        self.home = os.path.join(ctx.disk, name)
        ctx.muster("init", "--home", self.home, "--set", "server.mqtt_port=%d" % mqtt_port,
                   "--set", "server.https_port=0", "--set", "server.http_port=0",
                   "--set", "server.edges=%d" % edges)
        self.process = None
        self.ports = {}

    def launch(self, pause=0.05):
        """Starts it; it listens, and may not answer yet."""
        ports = os.path.join(self.home, "run/ports")
        if os.path.exists(ports):
            os.remove(ports)
        with open(os.path.join(self.ctx.disk, "serve.log"), "ab") as log:
            self.process = subprocess.Popen(
                [self.ctx.program("muster"), "serve", "--home", self.home],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        wait_for(lambda: os.path.exists(ports) and os.path.getsize(ports), "server", pause=pause)
        with open(ports, encoding="ascii") as f:
            self.ports = {k: int(v) for k, v in (line.split("=") for line in f)}

    def start(self):
        self.launch()
        wait_for(self.answers, "answer from the server")
        return self

    def stop(self):
        stop(self.process)

    def kill(self):
        """As a power cut does: all of its processes at once."""
        pids = tree(self.process.pid)
        for pid in pids:
            os.kill(pid, signal.SIGKILL)
        self.process.wait()
        wait_for(lambda: not any(map(is_alive, pids)), "end of the server's processes")

    @property
    def port(self):
        return self.ports["mqtt"]

    def path(self, name):
        return os.path.join(self.home, name)

    def connection(self):
        """An operator's, that stays open from one request to the next."""
        tls = ssl.create_default_context(cafile=self.path("ca/root.pem"))
        tls.load_cert_chain(self.path("operators/admin.pem"), self.path("operators/admin.key"))
        return http.client.HTTPSConnection("127.0.0.1", self.ports["https"], context=tls, timeout=30)

    def call(self, method, path, body=None):
        c = self.connection()
        c.request(method, path + "?api-version=2021-04-12", json.dumps(body) if body else None,
                  {"Content-Type": "application/json"})
        answer = c.getresponse()
        text = answer.read()
        c.close()
        if answer.status >= 300:
            raise Failed("%s %s: %d %s" % (method, path, answer.status, text[:200]))
        return text

    def answers(self):
        try:
            self.call("GET", "/enrollmentGroups/none")
        except Failed:
            return True
        except OSError:
            return False
        return True

    def trust_own_devices(self):
        """An X.509 enrollment group on this home's device CA."""
        with open(self.path("ca/device-ca.pem"), encoding="ascii") as f:
            pem = f.read()
        self.call("PUT", "/enrollmentGroups/bench", {
            "enrollmentGroupId": "bench", "provisioningStatus": "enabled",
            "attestation": {"type": "x509", "x509": {
                "signingCertificates": {"primary": {"certificate": pem}}}}})


@contextlib.contextmanager
def fleet(ctx, name, count, mqtt_port=0):
    """A server on which dev-000000 to count - 1 are registered, and which holds them all."""
    muster = Muster(ctx, name, mqtt_port, edges_for(count)).start()
    try:
        muster.trust_own_devices()
        ctx.issue_devices(muster, count)
        ctx.load("register", muster.port, 0, count, 64, name=ctx.scope)
        yield muster
    finally:
        muster.stop()


class Mosquitto:
    """mosquitto with mutual TLS under the same CA, and what else the lines say."""

    hub = "hub"

    def __init__(self, ctx, muster, name, lines):
        self.dir = os.path.join(ctx.disk, name)
        os.mkdir(self.dir)
        self.port = ctx.free_port()
        pem, key = server_pair(muster)
        conf = os.path.join(self.dir, "mosquitto.conf")
        with open(conf, "w", encoding="ascii") as f:
            f.write("\n".join([
                "user root" if os.geteuid() == 0 else "",
                "listener %d 127.0.0.1" % self.port, "allow_anonymous true",
                "cafile " + muster.path("ca/root.pem"),
                "certfile " + pem, "keyfile " + key,
                "require_certificate true", "log_type error", "set_tcp_nodelay true",
                "persistence_location %s/" % self.dir] + lines) + "\n")
        with open(os.path.join(self.dir, "log"), "ab") as log:
            self.process = subprocess.Popen([ctx.mosquitto, "-c", conf], stdin=subprocess.DEVNULL,
                                            stdout=log, stderr=log)
        wait_for(lambda: ctx.port_open(self.port), "mosquitto")

    def stop(self):
        stop(self.process)


class Accept:
    """The limit: full handshakes and nothing else, or a signature after each
    (load/accept.c)."""

    hub = ""  # it does not look

    def __init__(self, ctx, muster, *more):
        pem, key = server_pair(muster)
        self.process = subprocess.Popen(
            [ctx.program("bench/bench-accept"), pem, key, muster.path("ca/root.pem"), *more],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.port = int(self.process.stdout.readline())

    def stop(self):
        self.process.stdin.close()
        self.process.wait(20)


def server_pair(muster):
    """Files of a P-256 server certificate with the issuer behind it, as an edge presents one."""
    pem, key = muster.path("bench-server.pem"), muster.path("bench-server.key")
    if os.path.exists(pem):
        return pem, key
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
         "-days", "1", "-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1",
         "-addext", "basicConstraints=critical,CA:FALSE",
         "-CA", muster.path("ca/service-ca.pem"), "-CAkey", muster.path("ca/service-ca.key"),
         "-keyout", key, "-out", pem], check=True, capture_output=True)
    with open(muster.path("ca/service-ca.pem"), encoding="ascii") as f:
        issuer = f.read()
    with open(pem, "a", encoding="ascii") as f:
        f.write(issuer)
    return pem, key
