"""GET /metrics: what Prometheus reads, and that every family tells the truth."""
import os
import re

import harness
import mqtt

SAMPLE = re.compile(r'^(muster_\w+)(?:\{(.*)\})? (-?\d+(?:\.\d{3})?)$')
LABEL = re.compile(r'(\w+)="((?:[^"\\]|\\.)*)"')


def parse(text):
    """{(name, frozenset of labels): value}; a line that is none of the format fails."""
    got = {}
    for line in text.splitlines():
        if line.startswith("# "):
            continue
        found = SAMPLE.match(line)
        assert found, line
        key = (found.group(1), frozenset(LABEL.findall(found.group(2) or "")))
        assert key not in got, line
        got[key] = float(found.group(3))
    return got


class Metrics(harness.ServerCase):
    def text(self):
        answer = self.op.get("/metrics")
        self.assertEqual((answer.status, answer.headers["content-type"]),
                         (200, "text/plain; version=0.0.4; charset=utf-8"))
        return answer.text

    def scrape(self):
        return parse(self.text())

    def value(self, name, **labels):
        return self.scrape().get(("muster_" + name, frozenset(labels.items())))

    def test_every_row_of_the_table_is_told_once_with_its_kind(self):
        path = os.path.join(os.path.dirname(__file__), "../../src/tbl/metric.def")
        with open(path, encoding="utf-8") as f:
            rows = re.findall(r"^METRIC\(\w+, (\w+), (\w+),", f.read(), re.M)
        text = self.text()
        told = re.findall(r"^# TYPE muster_(\w+) (\w+)$", text, re.M)
        self.assertEqual(told, [(name, kind.lower()) for name, kind in rows])
        self.assertEqual(len(re.findall(r"^# HELP ", text, re.M)), len(rows))

    def test_devices_connections_and_telemetry_are_counted(self):
        key = self.sas_device("m-1")
        before = self.scrape()

        def grown(name, **labels):
            at = ("muster_" + name, frozenset(labels.items()))
            return self.scrape()[at] - before.get(at, 0)
        with self.hub("m-1", key) as client:
            client.publish("devices/m-1/messages/events/", b"four", qos=1)
            self.assertEqual(grown("connection_log_total", plane="hub", what="connect",
                                   auth="sas"), 1)
            self.assertEqual(self.value("sessions", auth="sas", scope="device"), 1)
            self.assertEqual(self.value("devices_connected"), 1)
            self.assertEqual(grown("telemetry_messages_total", auth="sas"), 1)
            self.assertEqual(grown("telemetry_bytes_total", auth="sas"), 4)
        self.eventually(lambda: self.value("sessions", auth="sas", scope="device") == 0)
        self.assertGreaterEqual(self.value("devices", auth="sas"), 1)
        self.assertEqual(self.value("sessions", auth="x509", scope="device"), 0)
        self.assertGreater(grown("core_requests_total", message="hub_event"), 0)

    def test_refusals_tell_their_reason_and_no_device(self):
        self.sas_device("m-2")
        self.assertEqual(self.value("refusals_total", plane="hub", reason="sas_disabled"), 0)
        before = self.value("refusals_total", plane="hub", reason="sas_signature") or 0
        self.refused(lambda: self.hub("m-2", b"wrong key of thirty-two bytes..."))
        self.assertEqual(self.value("refusals_total", plane="hub", reason="sas_signature"),
                         before + 1)
        self.assertNotIn("m-2", self.text())

    def test_a_device_certificate_is_counted_by_its_end(self):
        self.x509_group()
        cert = self.leaf("m-3")
        with self.dps("m-3", cert=cert) as client:
            self.assertEqual(mqtt.dps_register(client).status, 200)
        with self.hub("m-3", cert=cert):
            self.eventually(lambda: self.value("device_certificates_ending",
                                               within="90d") == 1)
        self.assertEqual(self.value("device_certificates_ending", within="0h"), 0)
        self.assertEqual(self.value("renewals_behind"), 0)
        self.good(self.op.delete("/devices/m-3"), 204)
        self.eventually(lambda: self.value("device_certificates_ending", within="90d") == 0)

    def test_health_items_have_a_state_and_an_end(self):
        got = self.scrape()
        self.assertEqual(got[("muster_health", frozenset({("item", "signer")}))], 0)
        ends = {dict(labels)["item"]: value for (name, labels), value in got.items()
                if name == "muster_health_end_timestamp_seconds"}
        self.assertTrue(any(item.startswith("crl ") for item in ends), ends)
        start = got[("muster_start_time_seconds", frozenset())]
        self.assertTrue(all(value > start for value in ends.values()), ends)

    def test_turns_are_a_histogram(self):
        got = {dict(labels).get("le"): value for (name, labels), value in self.scrape().items()
               if name == "muster_core_turn_seconds_bucket"}
        self.assertEqual(len(got), 12)
        self.assertEqual(sorted(got.values()), list(got.values()))
        self.assertEqual(got["+Inf"], self.scrape()[("muster_core_turn_seconds_count",
                                                     frozenset())] - 1)


if __name__ == "__main__":
    harness.main()
