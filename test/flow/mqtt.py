"""An MQTT 3.1.1 client that can also misbehave: blocking, one connection, packets as bytes."""
import contextlib
import json
import socket
import ssl
import struct
import uuid

CONNECT, CONNACK, PUBLISH, PUBACK, SUBSCRIBE, SUBACK = 1, 2, 3, 4, 8, 9
UNSUBSCRIBE, UNSUBACK, PINGREQ, PINGRESP, DISCONNECT = 10, 11, 12, 13, 14


class Closed(Exception):
    """The other side ended the connection."""


class Refused(Exception):
    """CONNACK with a code that is not 0."""

    def __init__(self, code):
        super().__init__("CONNACK %d" % code)
        self.code = code


def text(s):
    raw = s.encode() if isinstance(s, str) else s
    return struct.pack(">H", len(raw)) + raw


def packet(first, body):
    size, rest = b"", len(body)
    while True:
        rest, digit = rest >> 7, rest & 127
        size += bytes([digit | (128 if rest else 0)])
        if not rest:
            return bytes([first]) + size + body


def connect_packet(client_id, user=None, password=None, keepalive=60, clean=True, will=None,
                   level=4, protocol="MQTT"):
    flags = (2 if clean else 0) | (128 if user is not None else 0)
    flags |= 64 if password is not None else 0
    body = text(client_id)
    if will:
        flags |= 4 | will.get("qos", 0) << 3
        body += text(will["topic"]) + text(will["payload"])
    body += text(user) if user is not None else b""
    body += text(password) if password is not None else b""
    return packet(0x10, text(protocol) + bytes([level, flags]) +
                  struct.pack(">H", keepalive) + body)


def publish_packet(topic, payload, qos=0, number=1, retain=False, dup=False):
    first = 0x30 | qos << 1 | (1 if retain else 0) | (8 if dup else 0)
    raw = payload.encode() if isinstance(payload, str) else payload
    return packet(first, text(topic) + (struct.pack(">H", number) if qos else b"") + raw)


def tls(ca, cert=None, key=None, least=None, most=None):
    context = ssl.create_default_context(cafile=ca)
    if cert:
        context.load_cert_chain(cert, key)
    if least:
        context.minimum_version = least
    if most:
        context.maximum_version = most
    return context


class Client:
    """One TLS connection. Reads and writes whole packets; a test may write raw bytes."""

    def __init__(self, port, context, host="127.0.0.1", timeout=20, source=None,
                 session=None):
        raw = socket.create_connection((host, port), timeout, source and (source, 0))
        raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            self.sock = context.wrap_socket(raw, server_hostname=host, session=session)
        except BaseException:
            raw.close()
            raise
        self.pending, self.number, self.inbox = b"", 0, []

    def __enter__(self):
        return self

    def __exit__(self, *ignored):
        self.close()

    def close(self):
        with contextlib.suppress(OSError):
            self.sock.close()

    def write(self, raw):
        try:
            self.sock.sendall(raw)
        except (OSError, ssl.SSLError) as e:
            raise Closed(str(e)) from e

    def _more(self):
        try:
            got = self.sock.recv(65536)
        except socket.timeout:
            raise
        except (OSError, ssl.SSLError) as e:
            raise Closed(str(e)) from e
        if not got:
            raise Closed("end of stream")
        self.pending += got

    def read(self, timeout=None):
        """The next packet: (first byte, body)."""
        if timeout is not None:
            self.sock.settimeout(timeout)
        while True:
            done = self._whole()
            if done:
                return done
            self._more()

    def _whole(self):
        size, shift = 0, 0
        for at in range(1, min(5, len(self.pending))):
            size |= (self.pending[at] & 127) << shift
            shift += 7
            if self.pending[at] & 128:
                continue
            end = at + 1 + size
            if len(self.pending) < end:
                return None
            first, body = self.pending[0], self.pending[at + 1:end]
            self.pending = self.pending[end:]
            return first, body
        return None

    def expect(self, kind, timeout=None):
        """The body of the next packet of a kind; PUBLISHes that come before are kept."""
        while True:
            first, body = self.read(timeout)
            if first >> 4 == kind:
                return body
            if first >> 4 != PUBLISH:
                raise AssertionError("expected packet %d, got %d" % (kind, first >> 4))
            self.inbox.append(parse_publish(first, body))

    # ---- what devices do -------------------------------------------------------------

    def connect(self, client_id, user, password=None, **more):
        self.write(connect_packet(client_id, user, password, **more))
        flags, code = self.expect(CONNACK)
        if code:
            raise Refused(code)
        return flags

    def subscribe(self, *filters, qos=1):
        self.number += 1
        body = struct.pack(">H", self.number)
        self.write(packet(0x82, body + b"".join(text(f) + bytes([qos]) for f in filters)))
        answer = self.expect(SUBACK)
        assert answer[:2] == body, "SUBACK for another packet"
        return list(answer[2:])

    def unsubscribe(self, topic):
        self.number += 1
        body = struct.pack(">H", self.number)
        self.write(packet(0xa2, body + text(topic)))
        assert self.expect(UNSUBACK) == body

    def publish(self, topic, payload, qos=1, **more):
        """Returns when it is acknowledged, for QoS 1."""
        self.number = self.number % 65535 + 1
        self.write(publish_packet(topic, payload, qos, self.number, **more))
        if qos:
            got = struct.unpack(">H", self.expect(PUBACK))[0]
            assert got == self.number, "PUBACK %d for %d" % (got, self.number)

    def message(self, timeout=20):
        """The next PUBLISH from the server: topic, payload."""
        if self.inbox:
            return self.inbox.pop(0)
        return parse_publish(*self.read(timeout))

    def ping(self):
        self.write(packet(0xc0, b""))
        assert self.expect(PINGRESP) == b""

    def disconnect(self):
        with contextlib.suppress(Closed):
            self.write(packet(0xe0, b""))
        self.close()

    def closes(self, timeout):
        """True where the server ends the connection within so many seconds."""
        self.sock.settimeout(timeout)
        try:
            while True:
                self.read()
        except socket.timeout:
            return False
        except Closed:
            return True


def parse_publish(first, body):
    assert first >> 4 == PUBLISH, "expected PUBLISH, got packet %d" % (first >> 4)
    assert first & 0x0f in (0, 2, 10), "flags %x corrupt umqtt (device.md 7, row 8)" % first
    size = struct.unpack(">H", body[:2])[0]
    rest = body[2 + size:]
    return body[2:2 + size].decode(), rest[2:] if first & 6 else rest


# ---- the provisioning service --------------------------------------------------------------

REGISTER = "$dps/registrations/PUT/iotdps-register/?$rid=%s"
POLL = "$dps/registrations/GET/iotdps-get-operationstatus/?$rid=%s&operationId=%s"


def dps_user(scope, registration, version="2019-03-31"):
    return "%s/registrations/%s/api-version=%s&ClientVersion=test%%2F1" % (
        scope, registration, version)


def hub_user(device, host="127.0.0.1"):
    return "%s/%s/?api-version=2021-04-12&DeviceClientType=test%%2F1" % (host, device)


class Answer:
    """A DPS answer: status and pairs of its topic, JSON of its body."""

    def __init__(self, topic, body):
        head, tail = topic.split("/?", 1)
        self.topic, self.status = topic, int(head.rsplit("/", 1)[1])
        assert head == "$dps/registrations/res/%d" % self.status, topic
        self.pairs = dict(p.split("=", 1) for p in tail.split("&"))
        assert tail.startswith("$rid="), topic
        self.json = json.loads(body.decode("ascii"))


def dps_ask(client, topic, rid, body=b"{}"):
    client.publish(topic, body)
    answer = Answer(*client.message())
    assert answer.pairs["$rid"] == rid
    return answer


def dps_register(client, body=b"", rid=None):
    """Asks to be registered, on a connection that has subscribed."""
    rid = rid or str(uuid.uuid4())
    return dps_ask(client, REGISTER % rid, rid, body)


def dps_poll(client, operation, rid=None):
    rid = rid or str(uuid.uuid4())
    return dps_ask(client, POLL % (rid, operation), rid, b" ")
