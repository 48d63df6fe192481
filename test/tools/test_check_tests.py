#!/usr/bin/env python3
"""tools/check-tests finds a test that nobody runs."""
import os
import shutil
import subprocess
import sys
import tempfile
import unittest

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
TOOL = os.path.join(ROOT, "tools/check-tests")


class CheckTests(unittest.TestCase):
    def setUp(self):
        self.tree = tempfile.mkdtemp(prefix="tests-")
        self.addCleanup(shutil.rmtree, self.tree)
        self.plant("test/meson.build", "subdir('flow')\n")
        self.plant("test/flow/meson.build", "foreach name : [\n    'a',\n]\n")
        self.plant("test/fuzz/meson.build", "executable('x', files('fuzz_b.c'))\n")
        for path in ("test/flow/test_a.py", "test/fuzz/fuzz_b.c", "test/flow/harness.py"):
            self.plant(path, "")

    def plant(self, path, text):
        full = os.path.join(self.tree, path)
        os.makedirs(os.path.dirname(full), exist_ok=True)
        with open(full, "w", encoding="ascii") as f:
            f.write(text)

    def run_tool(self):
        run = subprocess.run([sys.executable, TOOL, "--root", self.tree], text=True, check=False,
                             stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        return run.returncode, run.stdout

    def test_listed_ones_pass(self):
        self.assertEqual(self.run_tool(), (0, ""))

    def test_one_that_fell_out(self):
        self.plant("test/flow/test_c.py", "")
        self.plant("test/fuzz/fuzz_d.c", "")
        status, out = self.run_tool()
        self.assertEqual(status, 1)
        self.assertEqual([line.split(":")[0] for line in out.splitlines()],
                         ["test/flow/test_c.py", "test/fuzz/fuzz_d.c"])


if __name__ == "__main__":
    unittest.main()
