#!/usr/bin/env python3
"""tools/check-docs finds a dead link, and an error table the exit status page does not agree with."""
import os
import shutil
import subprocess
import sys
import tempfile
import unittest

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
TOOL = os.path.join(ROOT, "tools/check-docs")
TABLE = '/* ERR(name, ...) */\nERR(OK, 200, 0, 0, "ok")\nERR(PARSE, 400, 3, 3, "malformed input")\n'
PAGE = "| status | meaning | codes |\n|---|---|---|\n| 0 | done | `OK` |\n| 3 | bad input | `PARSE` |\n"


class CheckDocs(unittest.TestCase):
    def setUp(self):
        self.tree = tempfile.mkdtemp(prefix="docs-")
        self.addCleanup(shutil.rmtree, self.tree)
        self.plant("src/tbl/err.def", TABLE)
        self.plant("docs/exit-status.md", PAGE)

    def plant(self, path, text):
        full = os.path.join(self.tree, path)
        os.makedirs(os.path.dirname(full), exist_ok=True)
        with open(full, "w") as f:
            f.write(text)

    def says(self, want):
        run = subprocess.run([sys.executable, TOOL, "--root", self.tree], text=True,
                             stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        self.assertEqual((run.returncode, run.stdout), (1 if want else 0, want))

    def test_agreement_is_silent(self):
        self.says("")

    def test_a_code_the_page_does_not_name(self):
        self.plant("src/tbl/err.def", TABLE + 'ERR(BUSY, 429, 3, 7, "throttled")\n')
        self.says("docs/exit-status.md:1: no word of BUSY (exit status 7 in src/tbl/err.def)\n")

    def test_a_code_under_another_status(self):
        self.plant("docs/exit-status.md", PAGE.replace("| 3 |", "| 4 |"))
        self.says("docs/exit-status.md:4: PARSE has exit status 3 in src/tbl/err.def\n")

    def test_a_code_the_table_does_not_have(self):
        self.plant("docs/exit-status.md", PAGE.replace("`PARSE`", "`PARSE` `GONE`"))
        self.says("docs/exit-status.md:4: GONE has exit status none in src/tbl/err.def\n")

    def test_a_link_that_leads_nowhere(self):
        self.plant("README.md", "[ok](docs/exit-status.md#x) [web](https://example.com/) [no](docs/none.md)\n")
        self.says("README.md:1: link to docs/none.md, which is not there\n")


if __name__ == "__main__":
    unittest.main()
