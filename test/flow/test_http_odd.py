"""HTTP as it should not come: what two readers could understand differently is refused, and what
stands behind it on the connection is never read. Raw TLS connections throughout.
"""
import http.client
import io
import os
import socket
import time

import harness
import mqtt
import ws

QUERY = b'{"query": "select * from devices"}'
# What a smuggler wants to be read as a request of its own.
TAIL = b"GET /muster/health?api-version=1 HTTP/1.1\r\nHost: h\r\n\r\n"
ROUTE = b"POST /devices/query?api-version=2021-04-12 HTTP/1.1\r\nHost: h\r\n"
JSON = b"Content-Type: application/json\r\n"


class Kept(io.BytesIO):
    """http.client closes what it reads from."""

    def close(self):
        pass


def chunk(data, size=None):
    return b"%s\r\n%s\r\n" % (size or b"%x" % len(data), data)


class Odd(harness.ServerCase):
    def dial(self, timeout=20):
        base = os.path.join(self.server.home, "operators", "admin")
        sock = ws.dial(self.server.https_port,
                       mqtt.tls(self.server.ca, base + ".pem", base + ".key"), timeout=timeout)
        self.addCleanup(sock.close)
        return sock

    def to_end(self, sock):
        """All that comes until the server ends the connection."""
        raw = b""
        try:
            while True:
                got = sock.recv(65536)
                if not got:
                    return raw
                raw += got
        except socket.timeout:
            raise AssertionError("the server keeps the connection: %r" % raw) from None
        except OSError:
            return raw

    def answers(self, raw):
        """The answers in what a server sent: (status, body)."""
        stream, found = Kept(raw), []
        while stream.tell() < len(raw):
            response = http.client.HTTPResponse(type("S", (), {"makefile": lambda *a: stream})())
            response.begin()
            found.append((response.status, response.read()))
        return found

    def ask(self, *pieces, pause=0):
        """One connection: these bytes, and "Connection: close" in the last request."""
        sock = self.dial()
        for piece in pieces:
            sock.sendall(piece)
            time.sleep(pause)
        return self.answers(self.to_end(sock))

    def once(self, raw, *statuses):
        """One answer, with one of these statuses (or none at all), and an end."""
        got = self.ask(raw + TAIL)
        self.assertLessEqual(len(got), 1, got)
        for status, _ in got:
            self.assertIn(status, statuses)

    # ---- what is odd and right -------------------------------------------------------

    def is_list(self, got, n=1):
        self.assertEqual([status for status, _ in got], [200] * n, got)
        for _, body in got:
            self.assertTrue(body.startswith(b"["), body)

    def test_chunked_bodies(self):
        head = ROUTE + JSON + b"Transfer-Encoding: chunked\r\nConnection: close\r\n\r\n"
        for body in (chunk(QUERY), b"".join(chunk(QUERY[i:i + 1]) for i in range(len(QUERY))),
                     chunk(QUERY[:5], b"005") + chunk(QUERY[5:])):
            self.is_list(self.ask(head + body + b"0\r\n\r\n"))
        self.is_list(self.ask(head + chunk(QUERY) + b"0\r\nX-Trailer: 1\r\n\r\n"))
        self.is_list(self.ask(*(bytes([b]) for b in head + chunk(QUERY) + b"0\r\n\r\n")))

    def test_chunks_then_another_request_on_the_same_connection(self):
        head = ROUTE + JSON + b"Transfer-Encoding: Chunked\r\n"
        body = b"\r\n" + chunk(QUERY) + b"0\r\n\r\n"
        self.is_list(self.ask(head + body, head + b"Connection: close\r\n" + body), 2)

    def test_expect_100_continue(self):
        sock = self.dial()
        sock.sendall(ROUTE + JSON + b"Expect: 100-continue\r\nConnection: close\r\n"
                     b"Content-Length: %d\r\n\r\n" % len(QUERY))
        status, _, rest = ws.read_head(sock)
        self.assertEqual((status, rest), (100, b""))
        sock.sendall(QUERY)
        self.is_list(self.answers(self.to_end(sock)))

    def test_expect_100_continue_with_chunks(self):
        sock = self.dial()
        sock.sendall(ROUTE + JSON + b"Expect: 100-Continue\r\nConnection: close\r\n"
                     b"Transfer-Encoding: chunked\r\n\r\n")
        self.assertEqual(ws.read_head(sock)[0], 100)
        sock.sendall(chunk(QUERY) + b"0\r\n\r\n")
        self.is_list(self.answers(self.to_end(sock)))

    def test_expect_that_need_not_be_waited_for(self):
        self.is_list([a for a in self.ask(
            ROUTE + JSON + b"Expect: 100-continue\r\nConnection: close\r\n"
            b"Content-Length: %d\r\n\r\n" % len(QUERY) + QUERY) if a[0] != 100])

    def test_a_body_that_is_too_large_is_not_asked_for(self):
        self.once(ROUTE + JSON + b"Expect: 100-continue\r\nContent-Length: 99999999\r\n\r\n", 413)
        self.once(ROUTE + JSON + b"Expect: a-miracle\r\nContent-Length: 5\r\n\r\n12345", 417)

    def test_pipelined_requests_are_answered_in_order(self):
        get = b"GET /devices/%s?api-version=1 HTTP/1.1\r\nHost: h\r\n"
        post = ROUTE + JSON + b"Content-Length: %d\r\n\r\n" % len(QUERY) + QUERY
        got = self.ask(get % b"nobody" + b"\r\n" + post +
                       ROUTE + JSON + b"Transfer-Encoding: chunked\r\n\r\n" +
                       chunk(QUERY) + b"0\r\n\r\n" + get % b"one" + b"Connection: close\r\n\r\n" +
                       TAIL)
        self.assertEqual([status for status, _ in got], [404, 200, 200, 404], got)

    def test_a_body_with_get_is_dropped(self):
        """Node's polls of the provisioning service (clients.md 1.21)."""
        get = b"GET /muster/health?api-version=1 HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n"
        got = self.ask(get + b"\r\n{}" + get + b"Connection: close\r\n\r\n{}")
        self.assertEqual([status for status, _ in got], [200, 200], got)

    def test_slow_bodies_and_heads(self):
        raw = (ROUTE + JSON + b"Connection: close\r\nContent-Length: %d\r\n\r\n" % len(QUERY) +
               QUERY)
        self.is_list(self.ask(*(raw[i:i + 20] for i in range(0, len(raw), 20)), pause=0.02))
        slow = [self.dial() for _ in range(60)]
        for sock in slow:
            sock.sendall(raw[:-1])
        self.assertEqual(self.op.get("/devices/nobody").status, 404)
        for sock in slow[:5]:
            sock.sendall(raw[-1:])
            self.is_list(self.answers(self.to_end(sock)))

    def test_line_ends_without_cr(self):
        """RFC 9112 2.2 lets them count as line ends; then they do so everywhere."""
        raw = (ROUTE + JSON + b"Connection: close\r\nContent-Length: %d\r\n\r\n" % len(QUERY) +
               QUERY).replace(b"\r\n", b"\n")
        self.is_list(self.ask(raw + TAIL))
        self.once(ROUTE + b"X: y\nTransfer-Encoding: chunked\nContent-Length: 5\r\n\r\n0\n\n", 400)

    def test_folded_lines_are_refused(self):
        """RFC 9112 5.2. No client that we know of sends one."""
        for fold in (b"Transfer-Encoding:\r\n chunked", b"Transfer-Encoding: chun\r\n ked",
                     b"X: y\r\n Transfer-Encoding: chunked\r\nContent-Length:\r\n 5",
                     b"Content-Length: 5\r\n 5", b" X: the first line", b"X: y\r\n\tz",
                     b"X: y\n z"):
            self.once(ROUTE.replace(b"Host: h\r\n", fold + b"\r\nHost: h\r\n") +
                      b"\r\n0\r\n\r\n", 400)
        get = b"GET /devices/nobody?api-version=1 HTTP/1.1\r\nHost: h\r\n"
        got = self.ask(get + b"\r\n" + get + b"X: folded,\r\n in the second\r\n\r\n" + TAIL)
        self.assertEqual([status for status, _ in got], [404, 400])

    # ---- what is refused -------------------------------------------------------------

    def test_where_a_body_ends_is_never_guessed(self):
        body = b"5\r\nhello\r\n0\r\n\r\n"
        for headers in (
                b"Content-Length: 5\r\nTransfer-Encoding: chunked",
                b"Transfer-Encoding: chunked\r\nContent-Length: 5",
                b"Content-Length: 0\r\nTransfer-Encoding: chunked",
                b"Content-Length: 5\r\nContent-Length: 6",
                b"Content-Length: 5\r\nContent-Length: 5",
                b"Content-Length: 5\r\ncontent-length: 0",
                b"Content-Length: 5, 5", b"Content-Length: +5", b"Content-Length: -5",
                b"Content-Length: 0x5", b"Content-Length: 5 5", b"Content-Length: five",
                b"Content-Length:", b"Content-Length: 99999999999999999999",
                b"Content-Length: 18446744073709551621",
                b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked",
                b"Transfer-Encoding: chunked\r\nTransfer-Encoding: identity",
                b"Transfer-Encoding: identity\r\nTransfer-Encoding: chunked",
                b"Transfer-Encoding: identity", b"Transfer-Encoding: gzip, chunked",
                b"Transfer-Encoding: chunked, identity", b"Transfer-Encoding: xchunked",
                b"Transfer-Encoding: chunked;q=1", b"Transfer-Encoding: \"chunked\"",
                b"Transfer-Encoding: \x0bchunked", b"Transfer-Encoding: chunked\x0b",
                b"Transfer-Encoding : chunked", b"Transfer-Encoding\t: chunked",
                b"Transfer-Encoding\x0b: chunked", b"Transfer Encoding: chunked",
                b"Content-Length : 5", b" Content-Length: 5", b": chunked",
                b"X: y\rTransfer-Encoding: chunked", b"X: a\0b", b"X: a\x7fb",
                b"Transfer-Encoding\0: chunked", b"no colon"):
            with self.subTest(headers):
                self.once(ROUTE + headers + b"\r\n\r\n" + body, 400, 413)

    def test_bodies_behind_methods_that_have_none(self):
        for length in (b"Content-Length: %d" % len(TAIL), b"Transfer-Encoding: chunked"):
            for method in (b"HEAD", b"TRACE", b"BREW"):
                self.once(method + b" /muster/health?api-version=1 HTTP/1.1\r\nHost: h\r\n" +
                          length + b"\r\n\r\n", 400, 501)

    def test_old_versions(self):
        self.once(ROUTE.replace(b"1.1", b"1.0") + b"Transfer-Encoding: chunked\r\n"
                  b"Connection: keep-alive\r\n\r\n" + chunk(QUERY) + b"0\r\n\r\n", 400)
        for version in (b"HTTP/2.0", b"HTTP/0.9", b"HTTP/1", b"http/1.1", b"HTTP/1.1x", b""):
            self.once(b"GET /muster/health " + version + b"\r\nHost: h\r\n\r\n", 400)
        got = self.ask(b"GET /muster/health?api-version=1 HTTP/1.0\r\n\r\n" + TAIL)
        self.assertEqual([status for status, _ in got], [200])

    def test_hosts(self):
        get = b"GET /muster/health?api-version=1 HTTP/1.1\r\n"
        self.once(get + b"\r\n", 400)
        self.once(get + b"Host: a\r\nHost: b\r\n\r\n", 400)
        self.once(get + b"Host: a\r\nhost: a\r\n\r\n", 400)

    def test_malformed_request_lines(self):
        for line in (b"", b"GET", b"GET /", b"GET  /devices HTTP/1.1", b"GET /a b HTTP/1.1",
                     b"GET http:// HTTP/1.1", b"GET * HTTP/1.1", b"GET /\xff HTTP/1.1",
                     b"GET /\0 HTTP/1.1", b"\x16\x03\x01\x02\x00", b"GET\t/\tHTTP/1.1"):
            with self.subTest(line):
                for status, _ in self.ask(line + b"\r\nHost: h\r\nConnection: close\r\n\r\n"):
                    self.assertIn(status, (400, 404, 501))

    def test_chunks_that_are_none(self):
        """However its size is read, nothing behind it becomes a request."""
        head = ROUTE + JSON + b"Transfer-Encoding: chunked\r\n\r\n"
        for bad in (b"xyz\r\n", b"-5\r\nhello\r\n", b"fffffffffffffffff\r\n", b"7fffffffffffffff\r\n",
                    b"5;ext=1\r\nhello\r\n0\r\n\r\n", b";\r\n", b"100000000\r\n", b"5\0\r\nhello\r\n"):
            with self.subTest(bad):
                self.once(head + bad, 400, 413)

    def test_oversized_heads(self):
        for raw in (b"GET /" + b"a" * 40000 + b" HTTP/1.1\r\nHost: h\r\n\r\n",
                    b"GET / HTTP/1.1\r\nHost: h\r\nX: " + b"a" * 40000 + b"\r\n\r\n",
                    b"GET / HTTP/1.1\r\nHost: h\r\n" + b"X: y\r\n" * 8000 + b"\r\n",
                    b"GET / HTTP/1.1\r\nHost: h\r\nX: a\r\n" + b" b\r\n" * 10000 + b"\r\n",
                    b"a" * 200000):
            self.once(raw, 400, 413, 431)
        fits = b"GET /muster/health?api-version=1 HTTP/1.1\r\nHost: h\r\nConnection: close\r\nX: "
        got = self.ask(fits + b"a" * 8000 + b"\r\n\r\n")
        self.assertEqual([status for status, _ in got], [200])

    def test_endless_trailers_and_sizes_are_not_gathered(self):
        """The server stops reading (or ends the connection) long before it has taken this much."""
        head = ROUTE + JSON + b"Transfer-Encoding: chunked\r\n\r\n"
        for start, more in ((head, b"0" * 65536), (head + b"0\r\n", b"X: y\r\n" * 10000)):
            sock = self.dial(timeout=2)
            with self.assertRaises(OSError):
                sock.sendall(start)
                for _ in range(64 * 16):
                    sock.sendall(more)
        self.assertEqual(self.op.get("/devices/nobody").status, 404)

    def test_large_bodies(self):
        self.once(ROUTE + JSON + b"Content-Length: 99999999\r\n\r\n", 413)
        head = ROUTE + JSON + b"Transfer-Encoding: chunked\r\n\r\n"
        self.once(head + b"ffffff\r\n", 413)
        self.once(head + chunk(b"x" * 60000) * 20 + b"0\r\n\r\n", 413)


if __name__ == "__main__":
    harness.main()
