"""A server that stops: what was asked is answered, what is idle ends, nothing new begins."""
import json
import signal
import socket

import harness
import mqtt
import ws


class Drain(harness.Case):
    def setUp(self):
        home = harness.make_home(self.folder())
        harness.set_config(home, server={"edges": 1})
        self.server = harness.Server(home).start()
        self.addCleanup(self.server.kill)
        base = home + "/operators/admin"
        self.context = mqtt.tls(self.server.ca, base + ".pem", base + ".key")

    def dial(self):
        sock = ws.dial(self.server.https_port, self.context)
        self.addCleanup(sock.close)
        return sock

    def half(self, raw):
        """A connection that has sent half a request, and the other half."""
        sock = self.dial()
        sock.sendall(raw[:len(raw) // 2])
        return sock, raw[len(raw) // 2:]

    def stops(self):
        """It has been told to stop, and takes no connections any more."""
        self.server.process.send_signal(signal.SIGTERM)
        self.eventually(lambda: "event=main.stopping" in self.server.log, 10, "it stops")

    def ends(self, sock):
        sock.settimeout(10)
        try:
            while sock.recv(4096):
                pass
        except socket.timeout:
            self.fail("the connection stays")
        except OSError:
            pass

    def test_stop(self):
        idle, kept = self.dial(), self.dial()
        kept.sendall(b"GET /devices/x?api-version=2021-04-12 HTTP/1.1\r\nHost: h\r\n\r\n")
        self.assertEqual(ws.read_head(kept)[0], 404)
        session = ws.Client(self.server.https_port, mqtt.tls(self.server.ca))
        self.addCleanup(session.close)
        body = json.dumps({"deviceId": "late"}).encode()
        put, rest = self.half(b"PUT /devices/late?api-version=2021-04-12 HTTP/1.1\r\nHost: h\r\n"
                              b"Content-Type: application/json\r\nContent-Length: %d\r\n\r\n%s" % (
                                  len(body), body))
        upgrade, rest_of_upgrade = self.half(ws.request())
        # what they have sent has arrived: the server has answered what came behind it
        self.assertEqual(self.server.operator().get("/devices/x").status, 404)
        self.stops()
        self.ends(idle)
        self.ends(kept)
        put.sendall(rest)
        status, headers, _ = ws.read_head(put)
        self.assertEqual((status, headers["connection"]), (200, "close"))
        self.ends(put)
        upgrade.sendall(rest_of_upgrade)
        status, headers, _ = ws.read_head(upgrade)
        self.assertEqual((status, headers["connection"]), (503, "close"))
        self.assertTrue(session.closes(10))
        session.close()
        self.assertEqual(self.server.process.wait(20), 0)
        self.assertEqual(self.server.faults(), [])


if __name__ == "__main__":
    harness.main()
