#!/usr/bin/env python3
"""tools/count-tests counts cases, and never lets a failure disappear among them."""
import json
import os
import subprocess
import sys
import tempfile
import unittest

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
TOOL = os.path.join(ROOT, "tools/count-tests")
CMOCKA = """[==========] Running 4 test(s).
[ RUN      ] one
[       OK ] one
[==========] 4 test(s) run.
[  PASSED  ] 2 test(s).
[  SKIPPED ] 1 test(s), listed below:
[  SKIPPED ] three
"""


def counted(*tests):
    with tempfile.NamedTemporaryFile("w", suffix=".json") as f:
        for result, stdout in tests:
            f.write(json.dumps({"name": "t", "result": result, "stdout": stdout}) + "\n")
        f.flush()
        return subprocess.run([sys.executable, TOOL, f.name], text=True, check=True,
                              stdout=subprocess.PIPE).stdout.strip()


class CountTests(unittest.TestCase):
    def test_a_silent_test_is_one(self):
        self.assertEqual(counted(("OK", ""), ("FAIL", ""), ("SKIP", ""), ("TIMEOUT", "")), "1 2 1")

    def test_cases_of_cmocka_are_counted(self):
        failed = "[  FAILED  ] 1 test(s), listed below:\n[  FAILED  ] four\n"
        self.assertEqual(counted(("FAIL", CMOCKA + failed)), "2 1 1")

    def test_a_crash_after_passed_cases_is_a_failure(self):
        self.assertEqual(counted(("FAIL", CMOCKA)), "2 1 1")

    def test_cases_of_unittest_are_counted(self):
        text = "Ran 5 tests in 0.1s\n\nFAILED (failures=1, errors=1, skipped=1)\n"
        self.assertEqual(counted(("FAIL", text)), "2 2 1")

    def test_the_plain_line_is_believed_last(self):
        self.assertEqual(counted(("OK", "1 passed, 0 failed\n7 passed, 0 failed, 2 skipped\n")), "7 0 2")

    def test_nothing_run_is_nothing_passed(self):
        self.assertEqual(counted(), "0 0 0")


if __name__ == "__main__":
    unittest.main()
