"""Debian's azure-cli, signed in to a server of the test's own as an operator. What az keeps it keeps
in the test's directory. Its HTTP libraries trust what REQUESTS_CA_BUNDLE names.
"""
import json
import os
import subprocess

import harness

# As little of its own doings as can be: every call costs it a second or two.
QUIET = {"AZURE_CORE_COLLECT_TELEMETRY": "no", "AZURE_CORE_SURVEY_MESSAGE": "no",
         "AZURE_CORE_NO_COLOR": "yes", "AZURE_LOGGING_ENABLE_LOG_FILE": "no",
         "AZURE_CORE_DISABLE_CONFIRM_PROMPT": "yes", "AZURE_EXTENSION_USE_DYNAMIC_INSTALL": "no"}


class AzCase(harness.ServerCase):
    """account: what az login said. MORE: further variables of az."""

    MORE = {}

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        base = "https://%s:%d" % (cls.HOST, cls.server.https_port)
        cls.env = {**os.environ, **QUIET, "REQUESTS_CA_BUNDLE": cls.server.ca, **cls.MORE,
                   "AZURE_CONFIG_DIR": os.path.join(cls.parent, "az")}
        made = cls.op.put("/muster/operators/az", {"role": "owner", "newSecret": True}).json
        cls.az("cloud", "register", "-n", "muster", "--endpoint-resource-manager", base,
               "--endpoint-active-directory", base + "/adfs",
               "--endpoint-active-directory-resource-id", base + "/",
               "--endpoint-active-directory-graph-resource-id", base + "/")
        cls.az("cloud", "set", "-n", "muster")
        cls.account, = json.loads(cls.az("login", "--service-principal", "-u", made["appId"], "-p",
                                         made["secret"], "--tenant", "adfs", "-o", "json"))

    @classmethod
    def az(cls, *args, status=0, cwd=None):
        """What a command prints; where it is to fail, what it says."""
        got = subprocess.run(["az", *args], env=cls.env, stdin=subprocess.DEVNULL, text=True,
                             stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=180,
                             check=False, cwd=cwd or cls.parent)
        assert got.returncode == status, "az %s: %d\n%s" % (
            " ".join(args[:5]), got.returncode, got.stderr[-3000:])
        return got.stdout.strip() if not status else got.stderr

    @classmethod
    def az_json(cls, *args):
        text = cls.az(*args, "-o", "json")
        return json.loads(text) if text else None
