"""docs/compliance.md against the program: its table is the program's own."""
import os
import re
import subprocess
import unittest

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


def told():
    return subprocess.run([os.environ["MUSTER"], "compliance", "--rows", "-o", "markdown"],
                          check=True, stdout=subprocess.PIPE, text=True).stdout.splitlines()


def written():
    with open(os.path.join(ROOT, "docs", "compliance.md"), encoding="utf-8") as f:
        lines = f.read().splitlines()
    at = lines.index(told()[0])
    end = next(i for i in range(at, len(lines)) if not lines[i].startswith("|"))
    return lines, lines[at:end]


class Compliance(unittest.TestCase):
    maxDiff = None

    def test_the_table_is_the_programs(self):
        self.assertEqual(written()[1], told())

    def test_every_row_is_explained_and_has_a_way_out(self):
        lines, table = written()
        whys = " ".join(re.findall(r"^- \*\*([^*]+)\*\*", "\n".join(lines), re.M))
        ways = " ".join(re.findall(r"^\| (`[^|]+) \| [^|]+ \|$", "\n".join(lines), re.M))
        for row in table[2:]:
            name = row.split("`")[1]
            self.assertRegex(whys, r"(?<![\w-])%s(?![\w-])" % name)
            self.assertIn("`%s`" % name, ways)


if __name__ == "__main__":
    unittest.main()
