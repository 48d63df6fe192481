"""Signatures a second with keys in a token and a TPM, against the same driven directly."""
import os
import shutil
import socket
import subprocess
import tempfile
import time

from report import Row
from servers import Failed

FIGURE = "Keys in tokens and TPMs"
MODULE = "/usr/lib/softhsm/libsofthsm2.so"
PATH = os.environ.get("PATH", "") + ":/usr/sbin:/sbin"
HANDLE = "0x81010001"
PIN = "1234"


def tool(name):
    found = shutil.which(name, path=PATH)
    if not found:
        raise Failed("%s is needed: tools/bootstrap test" % name)
    return found


def rate(ctx, *argv):
    got = ctx.json_of("bench/bench-token", *argv)
    return got["count"] / got["seconds"]


def make_token(ctx):
    """A SoftHSM2 token with a key; its URI and where its PIN is."""
    folder = tempfile.mkdtemp(prefix="softhsm-", dir=ctx.memory)
    os.mkdir(folder + "/tokens")
    with open(folder + "/conf", "w", encoding="ascii") as f:
        f.write("directories.tokendir = %s/tokens\nlog.level = ERROR\n" % folder)
    os.environ["SOFTHSM2_CONF"] = folder + "/conf"
    with open(folder + "/pin", "w", encoding="ascii",
              opener=lambda p, f: os.open(p, f, 0o600)) as f:
        f.write(PIN + "\n")
    ctx.run(tool("softhsm2-util"), "--init-token", "--free", "--label", "bench", "--pin", PIN,
            "--so-pin", PIN)
    uri = "pkcs11:token=bench;object=key?module-path=%s&pin-source=file:%s/pin" % (MODULE, folder)
    ctx.muster("key", "generate", uri)
    return uri, folder + "/pin"


class Tpm:
    """swtpm with a key, as long as the block."""

    def __init__(self, ctx):
        self.state = tempfile.mkdtemp(prefix="swtpm-", dir=ctx.memory)
        self.port = ctx.free_port()
        while ctx.port_open(self.port + 1):
            self.port = ctx.free_port()
        self.tcti = "swtpm:host=127.0.0.1,port=%d" % self.port
        self.uri = "tpm2:handle=%s?tcti=%s" % (HANDLE, self.tcti)

    def __enter__(self):
        at = "type=tcp,bindaddr=127.0.0.1,port=%d"
        self.process = subprocess.Popen(
            [tool("swtpm"), "socket", "--tpm2", "--tpmstate", "dir=" + self.state, "--server",
             at % self.port, "--ctrl", at % (self.port + 1), "--flags",
             "not-need-init,startup-clear"], stdout=subprocess.DEVNULL)
        for _ in range(500):
            with socket.socket() as s:
                if s.connect_ex(("127.0.0.1", self.port)) == 0:
                    return self
            time.sleep(0.02)
        raise Failed("swtpm does not listen")

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()


def run(ctx):
    many, few = (500, 100) if ctx.quick else (30000, 4000)
    cpus = str(os.cpu_count() or 1)
    uri, pin = make_token(ctx)
    one, all_cpus, tpm = ([], []), ([], []), ([], [])
    direct = ("pkcs11", MODULE, "bench", pin, "key", str(many))
    with Tpm(ctx) as t:
        ctx.muster("key", "generate", t.uri)
        for _ in range(ctx.rounds):
            for threads, out in (("1", one), (cpus, all_cpus)):
                out[0].append(rate(ctx, "muster", uri, str(many), threads))
                out[1].append(rate(ctx, *direct, threads))
            tpm[0].append(rate(ctx, "muster", t.uri, str(few), "1"))
            tpm[1].append(rate(ctx, "tpm2", t.tcti, HANDLE, str(few)))
    return [
        Row(FIGURE, "SoftHSM2, P-256, one thread", "signatures/s", *one, "Cryptoki, one session",
            (">=", 0.9)),
        Row(FIGURE, "SoftHSM2, P-256, a thread a CPU", "signatures/s", *all_cpus,
            "Cryptoki, a session a thread", (">=", 0.9)),
        Row(FIGURE, "swtpm, P-256, one thread", "signatures/s", *tpm, "ESYS, one connection",
            (">=", 0.9))]
