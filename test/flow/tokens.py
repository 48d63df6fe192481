"""Things that hold keys, each test's own: a SoftHSM2 token store, a software TPM. Both say
"skipped" through the test where the program is not there."""
import os
import shutil
import socket
import subprocess
import time

SOFTHSM = "/usr/lib/softhsm/libsofthsm2.so"
PIN, SO_PIN = "1234", "567890"
PATH = os.environ.get("PATH", "") + ":/usr/sbin:/sbin"


def secret(path, text, mode=0o600):
    with open(path, "w", encoding="ascii", opener=lambda p, f: os.open(p, f, mode)) as f:
        f.write(text + "\n")
    os.chmod(path, mode)
    return path


class SoftHsm:
    """Tokens in a directory. env is for the programs that use them."""

    def __init__(self, case):
        self.tool = shutil.which("softhsm2-util", path=PATH)
        if not self.tool or not os.path.exists(SOFTHSM):
            case.skipTest("no SoftHSM2 here")
        self.folder = case.folder()
        self.tokens = os.path.join(self.folder, "tokens")
        os.mkdir(self.tokens, 0o700)
        conf = os.path.join(self.folder, "softhsm2.conf")
        with open(conf, "w", encoding="ascii") as f:
            f.write("directories.tokendir = %s\nlog.level = ERROR\n" % self.tokens)
        self.env = {"SOFTHSM2_CONF": conf, "MUSTER_PKCS11_MODULE": SOFTHSM}
        self.pin = secret(os.path.join(self.folder, "pin"), PIN)

    def token(self, label):
        subprocess.run([self.tool, "--init-token", "--free", "--label", label, "--pin", PIN,
                        "--so-pin", SO_PIN], check=True, env={**os.environ, **self.env},
                       stdout=subprocess.DEVNULL)
        return label

    def uri(self, label, rest=""):
        return "pkcs11:token=%s%s?module-path=%s&pin-source=file:%s" % (
            label, rest, SOFTHSM, self.pin)

    def away(self):
        os.rename(self.tokens, self.tokens + ".away")
        os.mkdir(self.tokens, 0o700)

    def back(self):
        os.rmdir(self.tokens)
        os.rename(self.tokens + ".away", self.tokens)


class Swtpm:
    """A software TPM on two ports in a row. It may be killed and started again: its state
    stays."""

    def __init__(self, case):
        self.program = shutil.which("swtpm", path=PATH)
        if not self.program:
            case.skipTest("no swtpm here")
        self.state = case.folder()
        self.port = self._ports()
        self.tcti = "swtpm:host=127.0.0.1,port=%d" % self.port
        self.env = {"MUSTER_TCTI": self.tcti, "TPM2TOOLS_TCTI": self.tcti}
        self.process = None
        case.addCleanup(self.kill)
        self.start()

    @staticmethod
    def _ports():
        while True:
            with socket.socket() as a, socket.socket() as b:
                a.bind(("127.0.0.1", 0))
                try:
                    b.bind(("127.0.0.1", a.getsockname()[1] + 1))
                    return a.getsockname()[1]
                except (OSError, OverflowError):
                    pass

    def start(self):
        at = "type=tcp,bindaddr=127.0.0.1,port=%d"
        self.process = subprocess.Popen(
            [self.program, "socket", "--tpm2", "--tpmstate", "dir=" + self.state, "--server",
             at % self.port, "--ctrl", at % (self.port + 1), "--flags",
             "not-need-init,startup-clear"], stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        end = time.monotonic() + 20
        while time.monotonic() < end:
            with socket.socket() as s:
                if s.connect_ex(("127.0.0.1", self.port)) == 0:
                    return
            time.sleep(0.02)
        raise AssertionError("swtpm does not listen")

    def kill(self):
        if self.process:
            self.process.kill()
            self.process.wait()
        self.process = None

    @staticmethod
    def uri(handle, rest=""):
        return "tpm2:handle=0x%08x%s" % (handle, rest)
