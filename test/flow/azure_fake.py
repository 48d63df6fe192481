"""A small stand-in for Azure, for what muster's own server is not: who gives tokens (Entra ID, the
machine's identity endpoint), and planes that throttle or refuse. It keeps what it was sent.

Fake answers by rules; Cloud is a whole Azure in front of a muster server of the azure profile."""
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
        status, headers, body = fake.serve(request)
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

    def serve(self, request):
        with self.lock:
            rows = self.rules.get((request.method, request.path), [(404, {}, {})])
            return rows.pop(0) if len(rows) > 1 else rows[0]

    def on(self, method, path, *answers):
        """An answer is a body, or (status, headers, body); status None: the connection ends
        without one."""
        self.rules[(method, path)] = [a if isinstance(a, tuple) else (200, {}, a) for a in answers]

    def seen(self, method, path):
        return [r for r in self.requests if (r.method, r.path) == (method, path)]


AUDIENCES = {"hub": "https://iothubs.azure.net", "dps": "https://azure-devices-provisioning.net"}


class Cloud(Fake):
    """An Azure in front of a muster server of the azure profile: it signs callers in by tokens of
    its own, a plane each, has none of muster's own API, throttles and takes its time. A device's
    side (DPS and hub over MQTT) is the server's."""

    TENANT, APP, SECRET = "tenant-1", "app-1", "s3cr3t&+="

    def __init__(self, case, server, cert):
        super().__init__(case, cert)
        self.server, self.local = server, threading.local()
        self.tokens = {}      # text: audience
        self.throttle = {}    # (method, first part of the path): how many are refused yet
        self.races = {}       # (method, path): done once, before such a request is served
        self.sku = {"name": "S3", "tier": "Standard", "capacity": 1}
        self.links = [{"name": "127.0.0.1", "location": "westeurope",
                       "connectionString": "HostName=127.0.0.1;SharedAccessKey=****"}]
        self.in_transition = 0  # answers of the resource manager that say so yet
        self.foreign = []     # requests for what Azure does not have
        self.hides = False    # the credential's type of modules

    # ---- who asks --------------------------------------------------------------------

    def give_token(self, request):
        form = request.form
        if (form.get("client_id"), form.get("client_secret")) != (self.APP, self.SECRET):
            return 401, {}, {"error": "invalid_client", "error_description": "AADSTS7000215: no"}
        with self.lock:
            text = "token-%d" % len(self.tokens)
            self.tokens[text] = form["scope"].removesuffix("/.default")
        return 200, {}, {"token_type": "Bearer", "expires_in": 3599, "access_token": text}

    def withdraw_tokens(self):
        with self.lock:
            self.tokens = {text: None for text in self.tokens}

    def signed_in(self, request, plane):
        way, _, text = request.headers.get("authorization", "").partition(" ")
        wanted = AUDIENCES.get(plane, self.url)
        return way == "Bearer" and self.tokens.get(text) == wanted

    # ---- what is asked ---------------------------------------------------------------

    def plane(self, path):
        first = path.lower().split("/")[1]
        if first == "subscriptions":
            return "arm"
        if first in ("enrollmentgroups", "enrollments", "registrations"):
            return "dps"
        return "hub" if first in ("devices", "twins", "statistics") else None

    def is_throttled(self, request):
        key = (request.method, request.path.split("/")[1])
        with self.lock:
            left = self.throttle.get(key, 0)
            if left:
                self.throttle[key] = left - 1
            return left > 0

    def serve(self, request):
        if request.path == "/%s/oauth2/v2.0/token" % self.TENANT:
            return self.give_token(request)
        plane = self.plane(request.path)
        if plane is None:
            self.foreign.append(request)
            return 404, {}, {"Message": "ErrorCode:NotFound;no such route"}
        sas = request.headers.get("authorization", "").startswith("SharedAccessSignature ")
        if not (sas and plane == "hub") and not self.signed_in(request, plane):
            return 401, {}, {"Message": "ErrorCode:IotHubUnauthorizedAccess;Unauthorized"}
        if self.is_throttled(request):
            return 429, {"Retry-After": "1"}, {"Message": "ErrorCode:ThrottlingException;slow"}
        race = self.races.pop((request.method, request.path), None)
        if race:
            race()
        return self.pass_on(request, plane, sas)

    def pass_on(self, request, plane, sas):
        if sas:
            api = self.server.anybody(request.headers["authorization"])
        elif not hasattr(self.local, "api"):
            api = self.local.api = self.server.operator()
        else:
            api = self.local.api
        kept = ("if-match", "content-type", "x-ms-continuation", "x-ms-max-item-count")
        headers = {k: v for k, v in request.headers.items() if k in kept}
        body = request.body or None
        if plane == "arm" and request.method == "PUT":
            body = {k: v for k, v in request.json.items() if k != "sku"}
        got = api.call(request.method, request.path + "?" + urllib.parse.urlencode(request.query),
                       body, **headers)
        body = got.json if got.body else None
        for row in body if self.hides and isinstance(body, list) else ():
            if row.get("moduleId"):
                del row["authenticationType"]
        told = {k: v for k, v in got.headers.items()
                if k.lower() in ("x-ms-continuation", "etag", "iothub-errorcode")}
        if plane == "arm" and got.status == 200 and request.path.count("/") == 8:
            return self.resource(request, body)
        return got.status, told, body

    def resource(self, request, body):
        """A hub or provisioning service of the resource manager."""
        if "provisioningservices" in request.path.lower():
            body["properties"]["iotHubs"] = self.links
            return 200, {}, body
        body["sku"] = self.sku
        body["properties"].pop("authorizationPolicies", None)
        if request.method == "PUT":  # 3.4: accepted, and not done yet
            self.in_transition = 1
            body["properties"]["provisioningState"] = "Accepted"
            return 201, {"Azure-AsyncOperation": self.url + "/operations/1"}, body
        busy, self.in_transition = self.in_transition, 0
        body["properties"]["provisioningState"] = "Transitioning" if busy else "Succeeded"
        return 200, {}, body

    def paths(self):
        """Everything that was asked, as sets of (method, first part)."""
        return {(r.method, r.path.split("/")[1]) for r in self.requests}
