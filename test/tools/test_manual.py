#!/usr/bin/env python3
"""The manual pages and the completion agree with the programs as built, and tools/check-manual
finds it where they do not. MUSTER and MUSTER_AGENT name the programs."""
import glob
import importlib.machinery
import importlib.util
import os
import re
import shutil
import subprocess
import sys
import tempfile
import unittest

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
TOOL = os.path.join(ROOT, "tools/check-manual")
MUSTER, AGENT = os.environ["MUSTER"], os.environ["MUSTER_AGENT"]
LOADER = importlib.machinery.SourceFileLoader("check_manual", TOOL)
CHECK = importlib.util.module_from_spec(importlib.util.spec_from_loader("check_manual", LOADER))
LOADER.exec_module(CHECK)  # in this process, so that each --help is asked for once
PARTS = ("docs/man", "src/tbl/err.def", "src/tbl/agent_config.def")


class Manual(unittest.TestCase):
    def setUp(self):
        self.tree = tempfile.mkdtemp(prefix="manual-")
        self.addCleanup(shutil.rmtree, self.tree)
        for part in PARTS:
            where = os.path.join(self.tree, part)
            os.makedirs(os.path.dirname(where), exist_ok=True)
            (shutil.copytree if os.path.isdir(os.path.join(ROOT, part)) else shutil.copy)(
                os.path.join(ROOT, part), where)

    def change(self, path, old, new):
        full = os.path.join(self.tree, path)
        with open(full, encoding="utf-8") as f:
            text = f.read()
        self.assertIn(old, text)
        with open(full, "w", encoding="utf-8") as f:
            f.write(text.replace(old, new, 1))

    def says(self, want, fix=False):
        self.assertEqual(CHECK.check(self.tree, MUSTER, AGENT, fix), want.splitlines())

    def test_the_pages_agree_with_the_programs(self):
        self.says("")

    def test_the_tool_fails_where_they_do_not(self):
        self.change("docs/man/muster.1", ".TP\n.B 11\n", ".PP\n")
        run = subprocess.run([sys.executable, TOOL, "--root", self.tree, MUSTER, AGENT], text=True,
                             stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        self.assertEqual((run.stdout, run.returncode), ("docs/man/muster.1: no word of status 11\n", 1))

    def test_an_option_without_a_word(self):
        self.change("docs/man/muster-migrate.1", '.TP\n.BI \\-\\-seed " N"\n', "")
        self.says("docs/man/muster-migrate.1: no word of option --seed N\n")

    def test_an_option_that_is_gone(self):
        self.change("docs/man/muster-issue.1", ".SH OPTIONS\n", ".SH OPTIONS\n.TP\n.B \\-\\-force\nNo.\n")
        self.says("docs/man/muster-issue.1: option --force, which is not there\n")

    def test_a_value_of_another_name(self):
        self.change("docs/man/muster-issue.1", '.BI \\-\\-out " DIR"', '.BI \\-\\-out " PATH"')
        self.says("docs/man/muster-issue.1: no word of option --out DIR\n"
                  "docs/man/muster-issue.1: option --out PATH, which is not there\n")

    def test_a_verb_without_a_word(self):
        self.change("docs/man/muster-lab.1", ".TP\n.B mend\n", ".PP\n")
        self.says("docs/man/muster-lab.1: no word of verb mend\n")

    def test_a_verb_under_a_heading_that_says_which(self):
        self.change("docs/man/muster-ca.1", '.TP\n.BI drill " NAME"\n', ".PP\n")
        self.says("docs/man/muster-ca.1: no word of verb drill\n")

    def test_a_page_of_a_verb(self):
        self.change("docs/man/muster-ca-rollover.1", '.TP\n.BI \\-\\-spread " TIME"\n', ".PP\n")
        self.change("docs/man/muster-ca-ceremony.1", '.TP\n.BI sign " REQUEST"\n', ".PP\n")
        self.says("docs/man/muster-ca-ceremony.1: no word of verb sign\n"
                  "docs/man/muster-ca-rollover.1: no word of option --spread TIME\n")

    def test_a_command_that_is_gone(self):
        self.change("docs/man/muster.1", ".SH COMMANDS\n", ".SH COMMANDS\n.TP\n.B renew\nNo.\n")
        self.says("docs/man/muster.1: command renew, which is not there\n")

    def test_keys_of_the_configuration_are_the_program_s_and_can_be_written_anew(self):
        self.change("docs/man/muster.conf.5", "default 8883", "default 1883")
        self.says("docs/man/muster.conf.5: not the keys of muster config --man; "
                  "tools/check-manual --fix writes them\n")
        self.says("", fix=True)
        self.says("")

    def test_a_key_of_the_agent_without_a_word(self):
        self.change("docs/man/muster-agent.1", ".B hub.sas_life", ".B hub.sas_time")
        self.says("docs/man/muster-agent.1: no word of key hub.sas_life\n"
                  "docs/man/muster-agent.1: key hub.sas_time, which is not there\n")

    @unittest.skipUnless(shutil.which("groff"), "groff is not installed")
    def test_roff_is_content_with_every_page(self):
        for page in glob.glob(os.path.join(ROOT, "docs/man/*.[0-9]")):
            run = subprocess.run(["groff", "-man", "-Tutf8", "-ww", "-z", page], text=True,
                                 stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
            self.assertEqual((run.stdout, run.returncode), ("", 0))

    def test_every_page_is_installed(self):
        with open(os.path.join(ROOT, "docs/man/meson.build"), encoding="utf-8") as f:
            named = re.findall(r"'([a-z.-]+\.[0-9])'", f.read())
        there = [os.path.basename(p) for p in glob.glob(os.path.join(ROOT, "docs/man/*.[0-9]"))]
        self.assertEqual(sorted(named), sorted(there))


class Completion(unittest.TestCase):
    def completes(self, words, *want):
        """The last of the words is the one under the cursor."""
        script = ('source "$1"; shift; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); '
                  '_muster "$1" "${!#}"; printf "%s\\n" "${COMPREPLY[@]}"')
        run = subprocess.run(["bash", "-c", script, "bash", os.path.join(ROOT, "dist/completion/muster.bash"),
                              *words], check=True, text=True, stdout=subprocess.PIPE)
        self.assertEqual(run.stdout.split(), list(want))

    def test_commands(self):
        self.completes([MUSTER, "i"], "init", "issue")
        self.completes([AGENT, "s"], "status", "session")

    def test_verbs(self):
        self.completes([MUSTER, "migrate", "r"], "run", "resume", "rollback")
        self.completes([MUSTER, "ca", "v"], "verify", "verify-journal")

    def test_verbs_of_a_verb(self):
        self.completes([MUSTER, "ca", "rollover", "s"], "start", "status", "stop")
        self.completes([MUSTER, "ca", "ceremony", "c"], "crl", "cross", "check")
        self.completes([MUSTER, "ca", "show", "r"])
        self.completes([MUSTER, "ca", "rollover", "start", "s"])

    def test_options_of_a_command(self):
        self.completes([MUSTER, "issue", "--o"], "--out")

    def test_options_of_a_verb(self):
        self.completes([MUSTER, "migrate", "seal", "--k"], "--key", "--keep-module-sas", "--keep-hub-policies")
        self.completes([MUSTER, "migrate", "plan", "--keep"])

    def test_file_names_are_left_to_bash(self):
        self.completes([MUSTER, "issue", "--devices", ""])


if __name__ == "__main__":
    unittest.main()
