"""A small stand-in for Azure, for what muster's own server is not: who gives tokens (Entra ID, the
machine's identity endpoint), and planes that throttle or refuse. It keeps what it was sent."""
import http.server
import json
import os
import ssl
import subprocess
import threading
import urllib.parse


def certificate(folder):
    """Files of a self-signed certificate of 127.0.0.1: (certificate, key)."""
    cert, key = os.path.join(folder, "fake.pem"), os.path.join(folder, "fake.key")
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
                    "ec_paramgen_curve:P-256", "-nodes", "-subj", "/CN=fake", "-days", "2",
                    "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", key, "-out", cert],
                   check=True, stderr=subprocess.DEVNULL)
    return cert, key


class Request:
    def __init__(self, handler):
        self.method = handler.command
        self.path, _, self.query = handler.path.partition("?")
        self.query = dict(urllib.parse.parse_qsl(self.query))
        self.headers = {k.lower(): v for k, v in handler.headers.items()}
        self.body = handler.rfile.read(int(self.headers.get("content-length") or 0))

    @property
    def form(self):
        return dict(urllib.parse.parse_qsl(self.body.decode(), strict_parsing=True))

    @property
    def json(self):
        return json.loads(self.body)

    def __repr__(self):
        return "%s %s" % (self.method, self.path)


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def answer(self):
        request = Request(self)
        fake = self.server.fake
        with fake.lock:
            fake.requests.append(request)
            rows = fake.rules.get((request.method, request.path), [(404, {}, {})])
            status, headers, body = rows.pop(0) if len(rows) > 1 else rows[0]
        if status is None:
            self.close_connection = True
            return
        text = json.dumps(body).encode() if body is not None else b""
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = answer


class Fake:
    """rules: {(method, path): [(status, headers, body), ...]}, one after the other, the last
    one for ever."""

    def __init__(self, case, cert=None):
        self.rules, self.requests, self.lock = {}, [], threading.Lock()
        self.http = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.http.daemon_threads = True
        self.http.fake = self
        if cert:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(*cert)
            self.http.socket = context.wrap_socket(self.http.socket, server_side=True)
        self.port = self.http.server_address[1]
        self.url = "%s://127.0.0.1:%d" % ("https" if cert else "http", self.port)
        thread = threading.Thread(target=self.http.serve_forever, daemon=True)
        thread.start()
        case.addCleanup(self.http.server_close)
        case.addCleanup(self.http.shutdown)

    def on(self, method, path, *answers):
        """An answer is a body, or (status, headers, body); status None: the connection ends
        without one."""
        self.rules[(method, path)] = [a if isinstance(a, tuple) else (200, {}, a) for a in answers]

    def seen(self, method, path):
        return [r for r in self.requests if (r.method, r.path) == (method, path)]
