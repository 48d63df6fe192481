"""What the tests of whole programs share: a home in a temporary directory, a running server,
its service API, devices. Every test has a home and ports of its own.

MUSTER and MUSTER_AGENT name the programs under test (test/flow/meson.build sets them).
"""
import base64
import contextlib
import hashlib
import hmac
import http.client
import json
import os
import re
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import tempfile
import time
import unittest
import urllib.parse

import mqtt
import pki

MUSTER = os.environ.get("MUSTER", "muster")
AGENT = os.environ.get("MUSTER_AGENT", "muster-agent")
API = "api-version=2021-04-12"
SCOPE = "0ne00000001"
START_S = 40
# What a sanitizer or our own checks write when something is wrong inside.
BUG = re.compile(r"AddressSanitizer|LeakSanitizer|UndefinedBehavior|runtime error:"
                 r"|Assertion .* failed|event=bug\.|stack smashing")


def run(*args, stdin=None, timeout=60, env=None, program=None, cwd=None):
    """Runs muster (or another program) to its end. Has returncode, stdout, stderr as text."""
    return subprocess.run([program or MUSTER, *args], input=stdin, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, timeout=timeout, text=True, check=False,
                          errors="backslashreplace", cwd=cwd, env={**os.environ, **(env or {})})


def is_alive(pid):
    """Whether a process runs that may be nobody's child any more."""
    try:
        with open("/proc/%d/stat" % pid, encoding="ascii") as f:
            return f.read().rsplit(")", 1)[1].split()[0] not in "ZX"
    except FileNotFoundError:
        return False


class Case(unittest.TestCase):
    """A test with a temporary directory, gone afterwards."""

    longMessage = True

    def folder(self):
        path = tempfile.mkdtemp(prefix="muster-test-")
        self.addCleanup(shutil.rmtree, path, True)
        return path

    def ends(self, result, status, *words):
        """It ended with a status and one clear line that has the words."""
        self.assertEqual(result.returncode, status, result.stderr or result.stdout)
        self.assertNotRegex(result.stderr, BUG)
        last = result.stderr.strip().splitlines()[-1] if result.stderr.strip() else ""
        for word in words:
            self.assertIn(word, last)
        return result

    def works(self, result):
        self.assertEqual(result.returncode, 0, result.stderr)
        self.assertNotRegex(result.stderr, BUG)
        return result

    def eventually(self, check, timeout=20, what="condition"):
        """Waits until check() is true (an exception counts as not yet); returns what it gave."""
        end, why = time.monotonic() + timeout, None
        while time.monotonic() < end:
            try:
                got = check()
                if got:
                    return got
            except (AssertionError, OSError, mqtt.Closed, mqtt.Refused,
                    http.client.HTTPException) as e:
                why = e
            time.sleep(0.05)
        raise AssertionError("%s: not within %d s%s" % (what, timeout, ": %r" % why if why else ""))


# ---- tokens --------------------------------------------------------------------------------

def token(resource, key, life=3600, policy=None, expiry=None):
    """A SAS token as the SDKs make it. key: bytes."""
    sr = urllib.parse.quote(resource, safe="")
    se = str(int(time.time()) + life if expiry is None else expiry)
    sig = base64.b64encode(hmac.new(key, (sr + "\n" + se).encode(), hashlib.sha256).digest())
    text = "SharedAccessSignature sr=%s&sig=%s&se=%s" % (
        sr, urllib.parse.quote(sig.decode(), safe=""), se)
    return text + ("&skn=" + policy if policy else "")


def derive(group_key, registration):
    """The key of a device of a symmetric-key group (device.md 1.9)."""
    return hmac.new(group_key, registration.encode(), hashlib.sha256).digest()


# ---- the service API -----------------------------------------------------------------------

class Answer:
    def __init__(self, response):
        self.status, self.headers, self.body = response.status, response.headers, response.read()

    @property
    def text(self):
        return self.body.decode()

    @property
    def json(self):
        return json.loads(self.body)

    def __repr__(self):
        return "%d %s" % (self.status, self.body[:400])


class Api:
    """One caller of the service API: by certificate, by token, or by nothing at all."""

    def __init__(self, port, ca, cert=None, key=None, auth=None, host="127.0.0.1"):
        self.port, self.auth, self.host = port, auth, host
        self.context = mqtt.tls(ca, cert, key)
        self.link = None

    def close(self):
        if self.link:
            self.link.close()
        self.link = None

    def _send(self, method, path, body, headers):
        if not self.link:
            self.link = http.client.HTTPSConnection(self.host, self.port, timeout=30,
                                                    context=self.context)
        self.link.request(method, path, body, headers)
        return Answer(self.link.getresponse())

    def call(self, method, path, body=None, **headers):
        headers = {k.replace("_", "-"): v for k, v in headers.items()}
        if self.auth:
            headers.setdefault("Authorization", self.auth)
        if isinstance(body, (dict, list)):
            body = json.dumps(body)
            headers.setdefault("Content-Type", "application/json")
        if "api-version" not in path and "/.well-known" not in path:
            path += ("&" if "?" in path else "?") + API
        fresh = self.link is None
        try:
            return self._send(method, path, body, headers)
        except (http.client.HTTPException, OSError):
            self.close()  # a kept connection may have ended meanwhile
            if fresh:
                raise
            return self._send(method, path, body, headers)

    def get(self, path, **headers):
        return self.call("GET", path, None, **headers)

    def put(self, path, body, **headers):
        return self.call("PUT", path, body, **headers)

    def post(self, path, body=None, **headers):
        return self.call("POST", path, body, **headers)

    def delete(self, path, **headers):
        return self.call("DELETE", path, None, **headers)

    def rows(self, path, **query):
        """A stream of muster's own API: its rows and its last line."""
        got = self.get("%s?%s" % (path, urllib.parse.urlencode(query)))
        assert got.status == 200, got
        lines = [json.loads(line) for line in got.text.splitlines()]
        assert lines and lines[-1].get("end") is True, "the stream was cut: %r" % got
        return lines[:-1], lines[-1]

    def events(self, **query):
        return self.rows("/muster/events", **query)[0]

    def connections(self, **query):
        return self.rows("/muster/connections", **query)[0]


# ---- a home and its server -----------------------------------------------------------------

_template = {}


def make_home(parent, name="home", *options):
    """A fresh home. The default one is made once a process and copied."""
    path = os.path.join(parent, name)
    if options:
        init_home(path, *options)
        return path
    if "path" not in _template:
        _template["dir"] = tempfile.TemporaryDirectory(prefix="muster-test-")
        _template["path"] = os.path.join(_template["dir"].name, "home")
        init_home(_template["path"])
    shutil.copytree(_template["path"], path, symlinks=True)
    return path


def init_home(path, *options):
    got = run("init", "--home", path, "--set", "server.mqtt_port=0", "--set",
              "server.https_port=0", "--set", "server.http_port=0", *options)
    assert got.returncode == 0, got.stderr


def set_config(home, **sections):
    """Writes keys of muster.conf: set_config(home, hub={"sas_grace_s": 0})."""
    path = os.path.join(home, "muster.conf")
    with open(path, encoding="utf-8") as f:
        lines = f.read().splitlines()
    section, out = "", []
    for line in lines:
        if line.startswith("["):
            section = line.strip("[]")
        key = line.split("=", 1)[0].strip()
        wanted = sections.get(section, {})
        out.append("%s = %s" % (key, wanted[key]) if "=" in line and key in wanted else line)
    with open(path, "w", encoding="utf-8") as f:
        f.write("\n".join(out) + "\n")


class Server:
    """A running muster serve."""

    def __init__(self, home, *options, host="127.0.0.1", env=None):
        self.home, self.options, self.host, self.env = home, options, host, env
        self.log_path = os.path.join(os.path.dirname(home), os.path.basename(home) + ".log")
        self.out_path = self.log_path + ".out"
        self.process, self.mqtt_port, self.https_port, self.http_port = None, 0, 0, 0

    @property
    def log(self):
        with open(self.log_path, encoding="utf-8", errors="replace") as f:
            return f.read()

    def start(self):
        with open(self.log_path, "ab") as log, open(self.out_path, "wb") as out:
            self.process = subprocess.Popen(
                [MUSTER, "serve", "--home", self.home, *self.options],
                stdin=subprocess.DEVNULL, stdout=out, stderr=log,
                env={**os.environ, **(self.env or {})}, start_new_session=True)
        try:
            self._await_serving()
        except BaseException:
            self.kill()
            raise
        return self

    def _await_serving(self):
        end = time.monotonic() + START_S
        while time.monotonic() < end:
            if self.process.poll() is not None:
                raise AssertionError("muster serve ended with %d:\n%s" % (
                    self.process.returncode, self.log[-4000:]))
            with open(self.out_path, encoding="utf-8") as f:
                if "muster: serving" in f.read() and self._answers():
                    return
            time.sleep(0.03)
        raise AssertionError("muster serve does not answer:\n" + self.log[-4000:])

    def _answers(self):
        with open(os.path.join(self.home, "run", "ports"), encoding="ascii") as f:
            ports = dict(line.strip().split("=") for line in f)
        self.mqtt_port, self.https_port = int(ports["mqtt"]), int(ports["https"])
        self.http_port = int(ports.get("http", 0))
        with contextlib.suppress(OSError):
            for port in (self.mqtt_port, self.https_port):
                with socket.create_connection((self.host, port), 5) as raw:
                    raw.settimeout(5)
                    mqtt.tls(self.ca).wrap_socket(raw, server_hostname=self.host).close()
            return True
        return False

    def pids(self, role=None):
        """The processes of a role that run now, by index; role None: of all of them."""
        found = {}
        for line in self.log.splitlines():
            got = re.search(r"event=main\.(ready|exit) role=(\w+) index=(\d+)(?: pid=(\d+))?", line)
            if not got:
                continue
            key = (got.group(2), int(got.group(3)))
            found.pop(key, None)
            if got.group(1) == "ready":
                found[key] = int(got.group(4))
        return {i: pid for (r, i), pid in found.items() if role in (None, r)} if role else found

    def kill_role(self, role):
        """kill -9 of every process of a role; returns when they have been started anew."""
        old = set(self.pids(role).values())
        assert old, "no %s runs" % role
        for pid in old:
            os.kill(pid, signal.SIGKILL)
        end = time.monotonic() + 20
        while time.monotonic() < end:
            now = set(self.pids(role).values())
            if len(now) == len(old) and not now & old:
                return
            time.sleep(0.02)
        raise AssertionError("%s was not started again:\n%s" % (role, self.log[-2000:]))

    def stop(self, timeout=20):
        """Ends it in order; its exit status."""
        self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(timeout)
        except subprocess.TimeoutExpired:
            self.kill()
            raise AssertionError("muster serve does not stop:\n" + self.log[-3000:]) from None

    def kill(self):
        """kill -9 of main alone. Its children are to end by themselves."""
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()

    @property
    def running(self):
        return self.process is not None and self.process.poll() is None

    def faults(self):
        """What its log says of our own mistakes."""
        return [line for line in self.log.splitlines() if BUG.search(line)]

    # ---- whom one can be -------------------------------------------------------------

    @property
    def ca(self):
        return os.path.join(self.home, "ca", "root.pem")

    def operator(self, name="admin"):
        base = os.path.join(self.home, "operators", name)
        return Api(self.https_port, self.ca, base + ".pem", base + ".key", host=self.host)

    def anybody(self, auth=None, cert=None, key=None):
        return Api(self.https_port, self.ca, cert, key, auth, self.host)

    def policy_keys(self, plane="hub"):
        """Keys of the default policies, as bytes by name. Those of DPS are in no answer."""
        base = "/subscriptions/s/resourceGroups/g/providers/Microsoft.Devices/IotHubs/muster"
        assert plane == "hub"
        got = self.operator().post(base + "/listkeys")
        assert got.status == 200, got
        return {p["keyName"]: base64.b64decode(p["primaryKey"]) for p in got.json["value"]}

    def mqtt(self, cert=None, key=None, **more):
        context = mqtt.tls(self.ca, cert, key, **more)
        return mqtt.Client(self.mqtt_port, context, self.host)


class ServerCase(Case):
    """Tests that share one server. HOME_SET: configuration of its home; HOST: where it is."""

    HOME_SET = {}
    HOST = "127.0.0.1"

    @classmethod
    def setUpClass(cls):
        cls.parent = tempfile.mkdtemp(prefix="muster-test-")
        cls.addClassCleanup(shutil.rmtree, cls.parent, True)
        home = make_home(cls.parent)
        set_config(home, **cls.HOME_SET)
        cls.server = Server(home, host=cls.HOST).start()
        cls.addClassCleanup(cls._end)
        cls.op = cls.server.operator()
        cls.device_ca = pki.Issuer(os.path.join(home, "ca", "device-ca.pem"),
                                   os.path.join(home, "ca", "device-ca.key"))

    @classmethod
    def _end(cls):
        if not cls.server.running:
            raise AssertionError("the server ended by itself:\n" + cls.server.log[-4000:])
        status = cls.server.stop()
        faults = cls.server.faults()
        if status or faults:
            raise AssertionError("the server ended with %d; in its log: %s\n%s" % (
                status, faults, cls.server.log[-3000:]))

    # ---- what most tests begin with --------------------------------------------------

    def path(self, name):
        return os.path.join(self.parent, name)

    def good(self, answer, status=200):
        self.assertEqual(answer.status, status, answer)
        return answer.json if answer.body else None

    def signed_in(self, role, audience="https://127.0.0.1/"):
        """A new operator of that role, by a token for that audience."""
        made = self.good(self.op.put("/muster/operators/" + os.urandom(6).hex(),
                                     {"role": role, "newSecret": True}))
        got = self.good(self.server.anybody().call(
            "POST", "/adfs/oauth2/token", urllib.parse.urlencode({
                "client_id": made["appId"], "client_secret": made["secret"],
                "grant_type": "client_credentials", "scope": audience + "/.default"})))
        return self.server.anybody("Bearer " + got["access_token"])

    def sas_group(self, name="g-sas", key=None, **more):
        """A symmetric-key group; returns its primary key."""
        key = key or os.urandom(32)
        text = base64.b64encode(key).decode()
        self.good(self.op.put("/enrollmentGroups/" + name, {
            "enrollmentGroupId": name, "attestation": {
                "type": "symmetricKey", "symmetricKey": {"primaryKey": text, "secondaryKey": text}},
            **more}))
        return key

    def x509_group(self, name="g-x509", cert=None, **more):
        with open(cert or self.device_ca.cert, encoding="ascii") as f:
            pem = f.read()
        return self.good(self.op.put("/enrollmentGroups/" + name, {
            "enrollmentGroupId": name, "attestation": {"type": "x509", "x509": {
                "signingCertificates": {"primary": {"certificate": pem}}}}, **more}))

    def sas_device(self, device):
        """An identity made by the service API; its key."""
        got = self.good(self.op.put("/devices/" + device, {"deviceId": device}))
        return base64.b64decode(got["authentication"]["symmetricKey"]["primaryKey"])

    def ca_device(self, device):
        self.good(self.op.put("/devices/" + device, {
            "deviceId": device, "authentication": {"type": "certificateAuthority"}}))

    def leaf(self, subject, chain=None, issuer=None, key=None, label=None, **how):
        """Files of a leaf and its chain: (certificates, key). chain: DERs behind the leaf."""
        issuer = issuer or self.device_ca
        base = self.path((label or "leaf") + "-" + os.urandom(4).hex())
        key = key or pki.make_key(base + ".key")
        der = issuer.issue(subject, pki.spki(key), **how)
        pki.write_pem(base + ".pem", "CERTIFICATE", der,
                      *([issuer.der] if chain is None else chain))
        return base + ".pem", key

    def hub(self, device, key=None, cert=None, password=None, user=None, client_id=None, **more):
        """A device's connection to the hub: by key (a fresh token), certificate or password."""
        if key is not None:
            password = token("127.0.0.1/devices/" + device, key)
        client = self.server.mqtt(*(cert or ()))
        try:
            client.connect(client_id or device,
                           mqtt.hub_user(device) if user is None else user, password, **more)
        except BaseException:
            client.close()
            raise
        self.addCleanup(client.close)
        return client

    def dps(self, registration, key=None, cert=None, password=None, scope=SCOPE, user=None,
            **more):
        """A connection to DPS that has subscribed."""
        if key is not None:
            password = token("%s/registrations/%s" % (scope, registration), key,
                             policy="registration")
        client = self.server.mqtt(*(cert or ()))
        try:
            client.connect(registration, user or mqtt.dps_user(scope, registration), password,
                           **more)
            self.assertEqual(client.subscribe("$dps/registrations/res/#"), [1])
        except BaseException:
            client.close()
            raise
        self.addCleanup(client.close)
        return client

    def refused(self, connect, code=5):
        """That a connect is refused with a code, and then closed."""
        with self.assertRaises(mqtt.Refused) as got:
            connect()
        self.assertEqual(got.exception.code, code)

    def reason(self, device, *words, timeout=10, **query):
        """That the connection log has a refusal of a device with the words; the row."""
        def look():
            rows = self.op.connections(deviceId=device, what="refused", **query)
            return [r for r in rows if all(w in r["reason"] for w in words)]
        return self.eventually(look, timeout, "refusal of %s with %s" % (device, words))[-1]


# LeakSanitizer cannot work in a process that is traced.
TRACED = {"ASAN_OPTIONS": "detect_leaks=0"}


def need_strace(case, attach=False):
    """strace, and for a running role root: nobody else may trace one."""
    if attach and os.geteuid() != 0:
        case.skipTest("only root may trace a running role")
    if shutil.which("strace") is None:
        case.skipTest("there is no strace")
    if run("-f", "-qq", "-o", "/dev/null", "true", program="strace").returncode:
        case.skipTest("this machine does not let us trace")


class Injection:
    """Makes a system call of a running process fail, until it is ended."""

    def __init__(self, pid, call, error):
        self.tracer = subprocess.Popen(
            ["strace", "-f", "-qq", "-o", "/dev/null", "-p", str(pid), "-e", "trace=" + call, "-e",
             "inject=%s:error=%s" % (call, error)], stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL)
        end = time.monotonic() + 10
        while time.monotonic() < end and self.tracer.poll() is None:
            with open("/proc/%d/status" % pid, encoding="ascii") as f:
                if "TracerPid:\t0\n" not in f.read():
                    return
            time.sleep(0.02)
        raise AssertionError("strace does not attach to process %d" % pid)

    def end(self):
        self.tracer.terminate()
        self.tracer.wait(10)


def need_root(case):
    if os.geteuid() != 0:
        case.skipTest("needs root to mount a small file system")


def mount_tmpfs(case, path, size):
    """A file system of that size at path until the test ends."""
    if shutil.which("mount") is None:
        case.skipTest("there is no mount command")
    got = run("-t", "tmpfs", "-o", "mode=0700,size=" + size, "tmpfs", path, program="mount")
    if got.returncode:
        case.skipTest("this machine does not let us mount: " + got.stderr.strip())
    case.addCleanup(run, "-l", path, program="umount")


def main():
    """What each test file ends with."""
    unittest.main(warnings="ignore")


def need(condition, what):
    """Ends a whole test file as skipped, for a need that this machine does not meet."""
    if not condition:
        print(what)
        sys.exit(77)


def need_ports(host, *ports):
    """The same where this host's ports are taken, or not ours to bind."""
    for port in ports:
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((host, port))
            except OSError as e:
                need(False, "%s:%d: %s" % (host, port, e))
