"""Other people's clients: mosquitto's with the documented user name, paho, openssl, curl."""
import json
import os
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "flow"))
# pylint: disable=wrong-import-position
import harness
import mqtt
from harness import token


class Clients(harness.ServerCase):
    def run_peer(self, *args, stdin=None):
        return subprocess.run(args, input=stdin, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                              timeout=30, check=False)

    def mosquitto(self, device, *more, body='{"n":1}', topic=None):
        """As Microsoft documents it: api-version in the user name, MQTT 3.1.1, QoS 1."""
        return self.run_peer(
            "mosquitto_pub", "-h", "127.0.0.1", "-p", str(self.server.mqtt_port), "--cafile",
            self.server.ca, "-i", device, "-u", "127.0.0.1/%s/?api-version=2018-06-30" % device,
            "-t", topic or "devices/%s/messages/events/" % device, "-m", body, "-q", "1",
            "-V", "mqttv311", *more)

    def test_mosquitto_with_a_token(self):
        key = self.sas_device("mos-1")
        got = self.mosquitto("mos-1", "-P", token("127.0.0.1/devices/mos-1", key))
        self.assertEqual(got.returncode, 0, got.stderr)
        rows = self.op.events(deviceId="mos-1")
        self.assertEqual([(r["body"], r["authType"]) for r in rows], [({"n": 1}, "sas")])

    def test_mosquitto_with_a_certificate(self):
        self.ca_device("mos-2")
        cert, key = self.leaf("mos-2")
        got = self.mosquitto("mos-2", "--cert", cert, "--key", key,
                             topic="devices/mos-2/messages/events/alert=true&%24.ct=text%2Fplain")
        self.assertEqual(got.returncode, 0, got.stderr)
        row = self.op.events(deviceId="mos-2")[0]
        self.assertEqual(row["authType"], "x509")
        self.assertEqual(row["properties"]["application"], {"alert": "true"})

    def test_mosquitto_hears_that_it_is_not_authorised(self):
        self.sas_device("mos-3")
        got = self.mosquitto("mos-3", "-P", token("127.0.0.1/devices/mos-3", os.urandom(32)))
        self.assertEqual(got.returncode, 5, got)
        self.assertIn(b"not authorised", got.stderr.lower())

    def paho(self, device, **task):
        """paho with whichever Python has it."""
        here = os.path.dirname(os.path.abspath(__file__))
        for python in (sys.executable, "/usr/bin/python3"):
            if subprocess.run([python, "-c", "import paho.mqtt.client"], check=False,
                              stderr=subprocess.DEVNULL).returncode == 0:
                break
        else:
            self.skipTest("there is no paho")
        task.update(id=device, user=mqtt.hub_user(device), port=self.server.https_port,
                    ca=self.server.ca, topic="devices/%s/messages/events/" % device,
                    body='{"x": "%s"}' % ("y" * 70000))
        got = self.run_peer(python, os.path.join(here, "paho_ws.py"),
                            stdin=json.dumps(task).encode())
        self.assertEqual(got.returncode, 0, got.stderr)
        return json.loads(got.stdout)

    def test_paho_over_websocket(self):
        self.ca_device("paho-x")
        cert, key = self.leaf("paho-x")
        keys = self.sas_device("paho-s")
        self.assertEqual(self.paho("paho-x", cert=cert, key=key),
                         {"connack": 0, "acknowledged": True})
        self.assertEqual(self.paho("paho-s", password=token("127.0.0.1/devices/paho-s", keys)),
                         {"connack": 0, "acknowledged": True})
        self.assertEqual(self.paho("paho-s", password=token("127.0.0.1/devices/paho-s", b"k" * 32)),
                         {"connack": 5})
        for device, auth in (("paho-x", "x509"), ("paho-s", "sas")):
            self.assertEqual([r["body"] for r in self.op.events(deviceId=device)],
                             [{"x": "y" * 70000}])
            row = self.op.connections(deviceId=device, what="connect")[-1]
            self.assertEqual((row["authType"], row["protocol"]), (auth, "mqtt-ws"))

    def test_curl_asks_for_a_websocket(self):
        got = self.run_peer(
            "curl", "-s", "-i", "-N", "--http1.1", "--max-time", "2", "--cacert", self.server.ca,
            "-H", "Connection: Upgrade", "-H", "Upgrade: websocket", "-H",
            "Sec-WebSocket-Version: 13", "-H", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==", "-H",
            "Sec-WebSocket-Protocol: MQTT", "https://127.0.0.1:%d/$iothub/websocket?x=y"
            % self.server.https_port)
        self.assertEqual(got.stdout.decode().split("\r\n")[:5], [
            "HTTP/1.1 101 Switching Protocols", "Upgrade: websocket", "Connection: Upgrade",
            "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=", "Sec-WebSocket-Protocol: MQTT"])

    def test_openssl_speaks_mqtt_over_both_tls_versions(self):
        self.ca_device("ossl")
        cert, key = self.leaf("ossl")
        packet = mqtt.connect_packet("ossl", mqtt.hub_user("ossl"))
        for version in ("-tls1_2", "-tls1_3"):
            process = subprocess.Popen(
                ["openssl", "s_client", "-connect", "127.0.0.1:%d" % self.server.mqtt_port,
                 "-CAfile", self.server.ca, "-cert", cert, "-cert_chain", cert, "-key", key, "-quiet",
                 "-verify_return_error", version], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL)
            try:
                process.stdin.write(packet)
                process.stdin.flush()
                self.assertEqual(process.stdout.read(4), b"\x20\x02\x00\x00", version)
            finally:
                process.kill()
                process.communicate()

    def curl(self, path, *more):
        got = self.run_peer("curl", "-sS", "--max-time", "20", "--cacert", self.server.ca, "-w",
                            "\n%{http_code}", *more, "https://127.0.0.1:%d%s" % (
                                self.server.https_port, path))
        self.assertEqual(got.returncode, 0, got.stderr)
        body, status = got.stdout.rsplit(b"\n", 1)
        return int(status), body

    def test_curl_reads_the_service_api(self):
        base = os.path.join(self.server.home, "operators", "admin")
        status, body = self.curl("/devices?api-version=2021-04-12", "--cert", base + ".pem",
                                 "--key", base + ".key")
        self.assertEqual(status, 200)
        self.assertIsInstance(json.loads(body), list)
        key = self.server.policy_keys()["iothubowner"]
        for version in ("--http1.0", "--http1.1", "--http2"):
            status, _ = self.curl("/devices?api-version=2021-04-12", version, "-H",
                                  "Authorization: " + token("127.0.0.1", key,
                                                            policy="iothubowner"))
            self.assertEqual(status, 200, version)
        self.assertEqual(self.curl("/devices?api-version=2021-04-12")[0], 401)

    def test_curl_uploads_with_expect_and_chunks(self):
        base = os.path.join(self.server.home, "operators", "admin")
        who = ["--cert", base + ".pem", "--key", base + ".key", "-X", "PUT", "-H",
               "Content-Type: application/json"]
        for name, header in (("curl-1", "Expect: 100-continue"),
                             ("curl-2", "Transfer-Encoding: chunked")):
            status, body = self.curl("/devices/%s?api-version=1" % name, *who, "-H", header,
                                     "-d", json.dumps({"deviceId": name}))
            self.assertEqual(status, 200, body)


if __name__ == "__main__":
    harness.main()
