"""A WebSocket client that can also misbehave: frames as bytes; and MQTT over it."""
import base64
import hashlib
import os
import socket
import struct

import mqtt

PATH = "/$iothub/websocket"
CONTINUE, TEXT, BINARY, CLOSE, PING, PONG = 0, 1, 2, 8, 9, 10
FIN = 0x80


def accept_of(key):
    guid = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
    return base64.b64encode(hashlib.sha1(key.encode() + guid).digest()).decode()


def frame(opcode, payload=b"", fin=True, rsv=0, mask=True, size=None):
    """One frame. size: what its header says instead of the truth."""
    n = len(payload) if size is None else size
    raw = bytes([(FIN if fin else 0) | rsv << 4 | opcode])
    flag = 0x80 if mask else 0
    if n < 126:
        raw += bytes([flag | n])
    elif n < 65536:
        raw += bytes([flag | 126]) + struct.pack(">H", n)
    else:
        raw += bytes([flag | 127]) + struct.pack(">Q", n)
    if not mask:
        return raw + payload
    key = os.urandom(4)
    return raw + key + bytes(b ^ key[i % 4] for i, b in enumerate(payload))


def dial(port, context, host="127.0.0.1", timeout=20):
    """A TLS connection to the HTTPS port."""
    raw = socket.create_connection((host, port), timeout)
    raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    try:
        return context.wrap_socket(raw, server_hostname=host)
    except BaseException:
        raw.close()
        raise


def read_head(sock):
    """Status and headers (lower-case names) of an answer, and what came behind them."""
    raw = b""
    while b"\r\n\r\n" not in raw:
        got = sock.recv(4096)
        if not got:
            raise mqtt.Closed("end within the head of an answer: %r" % raw)
        raw += got
    head, rest = raw.split(b"\r\n\r\n", 1)
    lines = head.decode().split("\r\n")
    headers = dict(line.lower().split(": ", 1)[:1] + line.split(": ", 1)[1:] for line in lines[1:])
    return int(lines[0].split(" ")[1]), headers, rest


def request(key=None, path=PATH, host="127.0.0.1", method="GET", body="", drop=(), **more):
    """An upgrade request; a header of None, and those in drop, are left out."""
    headers = {"Host": host, "Upgrade": "websocket", "Connection": "Upgrade",
               "Sec-WebSocket-Version": "13", "Sec-WebSocket-Protocol": "mqtt",
               "Sec-WebSocket-Key": key or base64.b64encode(os.urandom(16)).decode()}
    headers.update({name.replace("_", "-"): value for name, value in more.items()})
    lines = ["%s: %s" % (n, v) for n, v in headers.items() if v is not None and n not in drop]
    return ("%s %s HTTP/1.1\r\n%s\r\n\r\n%s" % (method, path, "\r\n".join(lines), body)).encode()


class Socket:
    """An open WebSocket that looks like a socket: each sendall is one binary frame."""

    def __init__(self, sock, **more):
        self.sock = sock
        key = base64.b64encode(os.urandom(16)).decode()
        sock.sendall(request(key, **more))
        self.status, self.headers, self.wire = read_head(sock)
        assert self.status == 101, "%d %r" % (self.status, self.wire)
        assert self.headers["sec-websocket-accept"] == accept_of(key)
        self.pongs, self.closed = [], None

    def raw(self, data):
        self.sock.sendall(data)

    def sendall(self, data):
        self.raw(frame(BINARY, data))

    def _take(self, n):
        while len(self.wire) < n:
            got = self.sock.recv(65536)
            if not got:
                raise mqtt.Closed("end of stream")
            self.wire += got
        head, self.wire = self.wire[:n], self.wire[n:]
        return head

    def read_frame(self):
        """Opcode and payload of the next frame, which must be whole and unmasked."""
        first, size = self._take(2)
        assert first & FIN and not first & 0x70, "fragment or reserved bits from the server"
        assert size < 128, "masked frame from the server"
        if size == 126:
            size = struct.unpack(">H", self._take(2))[0]
        elif size == 127:
            size = struct.unpack(">Q", self._take(8))[0]
        return first & 15, self._take(size)

    def recv(self, ignored=0):
        """Payload of the next data frame; b"" after the server's Close."""
        while True:
            opcode, payload = self.read_frame()
            if opcode == BINARY and payload:
                return payload
            if opcode == PONG:
                self.pongs.append(payload)
            elif opcode == CLOSE:
                self.closed = struct.unpack(">H", payload)[0] if payload else 0
                return b""

    def settimeout(self, seconds):
        self.sock.settimeout(seconds)

    def close(self):
        self.sock.close()


class Client(mqtt.Client):
    """MQTT over WebSocket: all that mqtt.Client can do."""

    def __init__(self, port, context, host="127.0.0.1", timeout=20, **more):
        # pylint: disable=super-init-not-called
        tls = dial(port, context, host, timeout)
        try:
            self.sock = Socket(tls, host="%s:%d" % (host, port), **more)
        except BaseException:
            tls.close()
            raise
        self.pending, self.number, self.inbox = b"", 0, []
