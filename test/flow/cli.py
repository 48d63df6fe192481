"""What the tests of the commands share: a server, and targets by which it is reached as itself and
as if it were Azure."""
import base64
import glob
import json
import os
import shutil
import sqlite3
import tempfile

import harness

ARM = "/subscriptions/s/resourceGroups/g/providers/Microsoft.Devices/"


def secret(path, text, mode=0o600):
    with open(path, "w", encoding="ascii", opener=lambda p, f: os.open(p, f, mode)) as f:
        f.write(text + "\n")
    os.chmod(path, mode)
    return path


def section(name, **keys):
    return "[%s]\n%s\n" % (name, "".join("%s = %s\n" % row for row in keys.items()))


WAYS = ([], ["--target", "here"], ["--target", "keys"])


class CliCase(harness.ServerCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.home = cls.server.home
        cls.usual()

    @classmethod
    def usual(cls):
        cls.targets(
            section("here", kind="muster", server="https://127.0.0.1:%d" % cls.server.https_port,
                    ca="ca/root.pem", cert="operators/admin.pem", key="operators/admin.key"),
            cls.string_section("keys"))

    @classmethod
    def targets(cls, *sections):
        with open(os.path.join(cls.home, "targets.conf"), "w", encoding="ascii") as f:
            f.write("\n".join(sections))

    @classmethod
    def string_section(cls, name, mode=0o600):
        """The home's server as Azure: by keys of its policies, which it keeps to itself."""
        with tempfile.TemporaryDirectory() as copy:  # the server has the file to itself
            for path in glob.glob(os.path.join(cls.home, "hub.db*")):
                shutil.copy(path, copy)
            db = sqlite3.connect(os.path.join(copy, "hub.db"))
            rows = db.execute("SELECT plane, name, primary_key FROM policy").fetchall()
            db.close()
        files = {}
        for plane, policy, key in rows:
            if policy not in ("iothubowner", "provisioningserviceowner"):
                continue
            files[plane + "_connection"] = os.path.basename(secret(
                os.path.join(cls.home, "%s-%s.conn" % (name, plane)),
                "HostName=127.0.0.1:%d;SharedAccessKeyName=%s;SharedAccessKey=%s" % (
                    cls.server.https_port, policy, base64.b64encode(key).decode()), mode))
        return section(name, kind="azure", sign_in="connection-string", ca="ca/root.pem", **files)

    def each_way(self):
        """As an operator, and as if the server were Azure."""
        yield from enumerate(WAYS)

    def muster(self, *args, stdin=None):
        return harness.run(*args, "--home", self.home, stdin=stdin)

    def json(self, *args, **more):
        """The one document that a command shows."""
        return json.loads(self.works(self.muster(*args, "-o", "json", **more)).stdout)

    def lines(self, *args):
        """A list's rows as JSON."""
        out = self.works(self.muster(*args, "-o", "json")).stdout
        return [json.loads(line) for line in out.splitlines()]

    def tsv(self, *args):
        out = self.works(self.muster(*args, "-o", "tsv")).stdout
        return [line.split("\t") for line in out.splitlines()]
