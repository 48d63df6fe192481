"""Prometheus' own tool judges what /metrics answers, the alert rules and their tests."""
import json
import os
import re
import shutil
import subprocess
import sys
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "../flow"))
import harness  # noqa: E402

MONITORING = os.path.join(HERE, "../../monitoring")


def promtool(*args, text=None):
    return subprocess.run(["promtool", *args], input=text, text=True, capture_output=True,
                          timeout=120, cwd=MONITORING)


@unittest.skipUnless(shutil.which("promtool"), "no promtool (Debian: prometheus)")
class Prometheus(harness.ServerCase):
    def metrics(self):
        return self.op.get("/metrics").text

    def test_the_scrape_is_what_promtool_takes(self):
        got = promtool("check", "metrics", text=self.metrics())
        self.assertEqual((got.returncode, got.stdout + got.stderr), (0, ""))

    def test_the_rules_are_sound_and_fire_when_they_should(self):
        for args in (("check", "rules", "muster.rules.yml"), ("test", "rules", "muster.test.yml")):
            got = promtool(*args)
            self.assertEqual(got.returncode, 0, got.stdout + got.stderr)

    def test_every_rule_fires_in_some_test(self):
        with open(os.path.join(MONITORING, "muster.rules.yml"), encoding="utf-8") as f:
            alerts = re.findall(r"- alert: (\w+)", f.read())
        with open(os.path.join(MONITORING, "muster.test.yml"), encoding="utf-8") as f:
            tests = f.read()
        self.assertGreater(len(alerts), 10)
        self.assertEqual([a for a in alerts if 'alertname="%s"' % a not in tests and
                          "alertname: %s\n" % a not in tests], [])

    def test_rules_and_board_ask_for_what_there_is(self):
        there = set(re.findall(r"^# TYPE (\w+) ", self.metrics(), re.M))
        with open(os.path.join(MONITORING, "grafana.json"), encoding="utf-8") as f:
            board = json.load(f)
        asked = {m for p in board["panels"] for t in p["targets"]
                 for m in re.findall(r"muster_\w+", t["expr"])}
        with open(os.path.join(MONITORING, "muster.rules.yml"), encoding="utf-8") as f:
            asked |= set(re.findall(r"(muster_\w+)[{\[ )]", "\n".join(
                line for line in f if "expr:" in line)))
        self.assertEqual({re.sub("_bucket$", "", m) for m in asked} - there, set())


if __name__ == "__main__":
    harness.main()
