"""Peers from npm, installed by their lock file into the build directory, none of their scripts run."""
import contextlib
import fcntl
import hashlib
import json
import os
import shutil
import subprocess

import harness

INSTALL_S = 400


@contextlib.contextmanager
def alone(room):
    """One test at a time: several share a room, and run at once."""
    with open(os.path.join(room, "lock"), "wb") as f:
        fcntl.flock(f, fcntl.LOCK_EX)
        yield


def install(source, files, name, room=None):
    """The directory where a peer is, installing it where it is not; skipped without npm or registry.

    source: where package.json and package-lock.json are; files: others to lie beside them; room:
    another directory than the usual one.
    """
    room = room or os.environ.get("MUSTER_PEERS") or os.path.join(
        os.path.dirname(os.path.abspath(harness.MUSTER)), "peers")
    harness.need(shutil.which("node") and shutil.which("npm"), "there is no node or no npm")
    os.makedirs(room, exist_ok=True)
    with alone(room):
        _install(source, files, name, room)
    return room


def _install(source, files, name, room):
    digest = hashlib.sha256()
    for file in ("package.json", "package-lock.json", *files):
        shutil.copy(os.path.join(source, file), room)
        if file.endswith(".json"):
            with open(os.path.join(source, file), "rb") as f:
                digest.update(f.read())
    stamp = os.path.join(room, "installed")
    if os.path.exists(stamp):
        with open(stamp, encoding="ascii") as f:
            if f.read() == digest.hexdigest():
                return
    try:
        got = subprocess.run(["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund"], cwd=room,
                             stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                             stderr=subprocess.STDOUT, timeout=INSTALL_S, check=False)
        text, failed = got.stdout.decode(errors="replace"), got.returncode
    except subprocess.TimeoutExpired:
        text, failed = "no end within %d s" % INSTALL_S, True
    harness.need(not failed, "npm cannot install %s: %s" % (name, " ".join(text.split())[-300:]))
    with open(stamp, "w", encoding="ascii") as f:
        f.write(digest.hexdigest())


def node(case, room, script, text, trust=None):
    """What a script has to say of the text it is given: the JSON of its last line."""
    got = subprocess.run(
        ["node", script], cwd=room, input=text.encode(), stdout=subprocess.PIPE,
        stderr=subprocess.PIPE, timeout=120, check=False,
        env={**os.environ, "NODE_EXTRA_CA_CERTS": trust or case.server.ca, "NODE_NO_WARNINGS": "1"})
    case.assertEqual(got.returncode, 0, got.stderr.decode()[-3000:])
    return json.loads(got.stdout.splitlines()[-1])
