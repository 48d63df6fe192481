"""OCSP over HTTP: answers signed ahead by GET, signed live by POST, against the HTTP library with
one answer for everything and against openssl ocsp."""
import contextlib
import os
import signal
import sqlite3
import subprocess
import urllib.request

from report import Row
from servers import Failed, Muster, wait_for

FIGURE = "OCSP over HTTP"
CONNECTIONS = 32
CERTIFICATES = 1000


def certificates(muster):
    """Serial numbers and subjects of what the device CA issued, from a stopped server's database."""
    with contextlib.closing(sqlite3.connect(muster.path("hub.db"))) as db:
        return db.execute("SELECT serial, subject FROM cert WHERE profile = 'device'").fetchall()


class Questions:
    """What is asked: certificates of the device CA. Whose answer has not been signed ahead when it
    is asked for first, its answer is kept: so each has been asked for once before any figure."""

    def __init__(self, ctx, muster):
        self.ctx, self.ca = ctx, muster.path("ca/device-ca.pem")
        self.serials = muster.path("serials")
        muster.stop()
        self.certs = certificates(muster)
        muster.start()
        if len(self.certs) != CERTIFICATES:
            raise Failed("%d certificates are known to the hub" % len(self.certs))
        with open(self.serials, "w", encoding="ascii") as f:
            f.writelines(serial + "\n" for serial, _ in self.certs)
        wait_for(lambda: self.all_known(muster.ports["http"]), "answer about each certificate")

    def all_known(self, port):
        try:
            self.ask("get", port, "/ocsp", CERTIFICATES, "keep")
        except Failed:  # the CAs are not known yet: tryLater
            return False
        return True

    def ask(self, kind, port, path, count, keep, nonces=True):
        """Answers a second."""
        got = self.ctx.json_of("bench/bench-ocsp-http", kind, str(port), path, self.ca,
                               self.serials, str(count), str(CONNECTIONS), keep)
        if kind == "post" and nonces and got["echoed"] != count:
            raise Failed("%d of %d nonces were echoed" % (got["echoed"], count))
        return count / got["seconds"]


class Static:
    """The limit: one real answer for everything (load/static.c)."""

    def __init__(self, ctx, muster):
        path = muster.path("answer.der")
        request = muster.path("request.der")
        ctx.run("openssl", "ocsp", "-issuer", muster.path("ca/device-ca.pem"), "-cert",
                ctx.certs + "/dev-000000.pem", "-no_nonce", "-reqout", request)
        with open(request, "rb") as f:
            ask = urllib.request.Request("http://127.0.0.1:%d/ocsp" % muster.ports["http"], f.read(),
                                         {"Content-Type": "application/ocsp-request"})
        with urllib.request.urlopen(ask, timeout=10) as answer, open(path, "wb") as out:
            out.write(answer.read())
        self.process = subprocess.Popen(
            [ctx.program("bench/bench-static"), path, "application/ocsp-response"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.port = int(self.process.stdout.readline())

    def stop(self):
        self.process.stdin.close()
        self.process.wait(20)


class OpensslOcsp:
    """openssl ocsp with a process a CPU, a delegate of P-256 and the same certificates."""

    def __init__(self, ctx, muster, certs):
        self.port = ctx.free_port()
        index, pem = muster.path("index.txt"), muster.path("responder.pem")
        with open(index, "w", encoding="ascii") as f:
            for serial, subject in certs:
                f.write("V\t491231235959Z\t\t%s\tunknown\t/CN=%s\n" % (serial.upper(), subject))
        ca, key = muster.path("ca/device-ca.pem"), muster.path("ca/device-ca.key")
        ctx.run("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
                "ec_paramgen_curve:P-256", "-nodes", "-days", "1", "-subj", "/CN=responder",
                "-addext", "basicConstraints=critical,CA:FALSE",
                "-addext", "extendedKeyUsage=OCSPSigning", "-addext", "noCheck=ignored",
                "-CA", ca, "-CAkey", key, "-keyout", pem + ".key", "-out", pem)
        self.process = subprocess.Popen(
            ["openssl", "ocsp", "-index", index, "-port", str(self.port), "-rsigner", pem, "-rkey",
             pem + ".key", "-CA", ca, "-ndays", "1", "-multi", str(os.cpu_count() or 1)],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        wait_for(lambda: ctx.port_open(self.port), "openssl ocsp")

    def stop(self):
        """It makes a group of its processes, the first of which sleeps through SIGTERM."""
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait(20)


def take(ctx, muster):
    # with nonces no more than the core has signed in a burst (60,000 a minute)
    n, slow_n = (1000, 200) if ctx.quick else (10000, 4000)
    q = Questions(ctx, muster)
    static, openssl = Static(ctx, muster), OpensslOcsp(ctx, muster, q.certs)
    out = {(kind, side): [] for kind in ("get", "post")
           for side in ("ours", "static", "one", "openssl")}
    try:
        for _ in range(ctx.rounds):
            for kind in ("get", "post"):
                out[kind, "static"].append(q.ask(kind, static.port, "/ocsp", n, "keep", False))
                out[kind, "ours"].append(q.ask(kind, muster.ports["http"], "/ocsp", n, "keep"))
                out[kind, "openssl"].append(q.ask(kind, openssl.port, "", slow_n, "close"))
                out[kind, "one"].append(
                    q.ask(kind, muster.ports["http"], "/ocsp", slow_n, "close"))
    finally:
        openssl.stop()
        static.stop()
    return out


def run(ctx):
    muster = Muster(ctx, "ocsp-http").start()
    try:
        ctx.issue_devices(muster, CERTIFICATES)
        out = take(ctx, muster)
    finally:
        muster.stop()
    rows = []
    for kind, what in (("get", "GET, signed ahead"), ("post", "POST with a nonce, signed live")):
        rows += [
            Row(FIGURE, what, "a second", out[kind, "ours"], out[kind, "static"],
                "evhttp, one answer for all"),
            Row(FIGURE, what + ", a connection each", "a second", out[kind, "one"],
                out[kind, "openssl"], "openssl ocsp")]
    return rows
