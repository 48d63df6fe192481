"""A client of AMQP 1.0 for tests: frames as bytes, no more of the protocol than the tests speak."""
import socket
import struct

OPEN, BEGIN, ATTACH, FLOW, TRANSFER, DISPOSITION, DETACH, END, CLOSE = range(0x10, 0x19)
ACCEPTED, REJECTED, RELEASED = 0x24, 0x25, 0x26


class Symbol(str):
    pass


class Uint(int):
    pass


class Ulong(int):
    pass


class Described(tuple):
    """(descriptor, value)"""


class Closed(Exception):
    pass


# ---- values --------------------------------------------------------------------------------

def put(v):
    """The bytes of a value."""
    if v is None:
        return b"\x40"
    if isinstance(v, bool):
        return b"\x41" if v else b"\x42"
    if isinstance(v, Uint):
        return b"\x70" + struct.pack(">I", v)
    if isinstance(v, Ulong):
        return b"\x80" + struct.pack(">Q", v)
    if isinstance(v, int):
        return b"\x81" + struct.pack(">q", v)
    if isinstance(v, Described):
        return b"\x00" + (put(v[0]) if isinstance(v[0], Symbol) else
                          b"\x80" + struct.pack(">Q", v[0])) + put(v[1])
    if isinstance(v, (list, dict)):
        items = [x for pair in v.items() for x in pair] if isinstance(v, dict) else v
        body = b"".join(map(put, items))
        code = b"\xd1" if isinstance(v, dict) else b"\xd0"
        return code + struct.pack(">II", len(body) + 4, len(items)) + body
    code = b"\xb3" if isinstance(v, Symbol) else b"\xb0" if isinstance(v, bytes) else b"\xb1"
    raw = v if isinstance(v, bytes) else v.encode()
    return code + struct.pack(">I", len(raw)) + raw


FIXED = {5: 1, 6: 2, 7: 4, 8: 8, 9: 16}


def get(b, at=0):
    """The value at a place, and the place behind it."""
    code, at = b[at], at + 1
    if code == 0:
        name, at = get(b, at)
        value, at = get(b, at)
        return Described((name, value)), at
    half = code >> 4
    if half == 4:
        return {0x41: True, 0x42: False, 0x43: 0, 0x44: 0, 0x45: []}.get(code), at
    if half in FIXED:
        raw, at = b[at:at + FIXED[half]], at + FIXED[half]
        signed = code in (0x51, 0x54, 0x55, 0x61, 0x71, 0x81, 0x83)
        number = int.from_bytes(raw, "big", signed=signed)
        return raw if half == 9 else Ulong(number) if code == 0x80 else number, at
    width = 4 if half & 1 else 1
    size = int.from_bytes(b[at:at + width], "big")
    body, at = b[at + width:at + width + size], at + width + size
    if half in (0xa, 0xb):
        return (body if code & 15 == 0 else
                Symbol(body.decode()) if code & 15 == 3 else body.decode()), at
    if half in (0xe, 0xf):
        return body, at
    items, place = [], width
    while place < len(body):
        item, place = get(body, place)
        items.append(item)
    return (dict(zip(items[::2], items[1::2])) if code & 15 == 1 else items), at


def sections(b):
    """A message as a dictionary by the number of the section."""
    found, at = {}, 0
    while at < len(b):
        (name, value), at = get(b, at)
        found[name] = value
    return found


# ---- a connection --------------------------------------------------------------------------

class Client:
    """One connection with one session. Frames are read as they are waited for."""

    def __init__(self, port, context, host="127.0.0.1", timeout=20, sasl=None):
        self.sock = context.wrap_socket(socket.create_connection((host, port), timeout),
                                        server_hostname=host)
        self.buffer, self.handles, self.delivery, self.transfers = b"", 0, 0, []
        if sasl is not None:
            self._sasl(*sasl)
        self.sock.sendall(b"AMQP\x00\x01\x00\x00")
        self.exactly(b"AMQP\x00\x01\x00\x00")
        self.say(OPEN, "test", host)
        self.hear(OPEN)
        self.say(BEGIN, None, Uint(0), Uint(1000), Uint(1000))
        self.hear(BEGIN)

    def __enter__(self):
        return self

    def __exit__(self, *ignored):
        self.sock.close()

    def _sasl(self, mechanism, response):
        self.sock.sendall(b"AMQP\x03\x01\x00\x00")
        self.exactly(b"AMQP\x03\x01\x00\x00")
        self.hear(0x40)
        self.say(0x41, Symbol(mechanism), response, kind=1)
        code = self.hear(0x44)[0]
        if code:
            raise Closed("SASL says %d" % code)

    def exactly(self, raw):
        got = self._take(len(raw))
        assert got == raw, got

    def _take(self, n):
        while len(self.buffer) < n:
            more = self.sock.recv(65536)
            if not more:
                raise Closed("the server closed")
            self.buffer += more
        raw, self.buffer = self.buffer[:n], self.buffer[n:]
        return raw

    def say(self, code, *fields, payload=b"", kind=0):
        body = put(Described((code, list(fields)))) + payload
        self.sock.sendall(struct.pack(">IBBH", len(body) + 8, 2, kind, 0) + body)

    def frame(self):
        size, doff, _, _ = struct.unpack(">IBBH", self._take(8))
        body = self._take(size - 8)[doff * 4 - 8:]
        if not body:
            return self.frame()
        (code, fields), at = get(body)
        return code, fields, body[at:]

    def hear(self, *wanted):
        """The fields of the next frame of that kind; transfers on the way are kept."""
        while True:
            code, fields, payload = self.frame()
            if code in wanted:
                return fields if code != TRANSFER else (fields, payload)
            if code == TRANSFER:
                self.transfers.append((fields, payload))
            elif code in (DETACH, CLOSE):
                raise Closed(condition(fields[-1] if fields else None))

    def attach(self, address, receive=False, filters=None, mine="here"):
        """A link's handle; Closed, with the condition, where it is refused."""
        handle, self.handles = self.handles, self.handles + 1
        there = [address] + ([None] * 6 + [filters] if filters else [])
        ends = (there, [mine]) if receive else ([mine], there)
        self.say(ATTACH, "link-%d" % handle, Uint(handle), receive, None, None,
                 Described((0x28, ends[0])), Described((0x29, ends[1])), None, None,
                 None if receive else Uint(0))
        got = self.hear(ATTACH)
        if got[5] is None and got[6] is None:
            raise Closed(condition(self.hear(DETACH)[-1]))
        return handle

    def credit(self, handle, n, count=0):
        self.say(FLOW, Uint(len(self.transfers)), Uint(1000), Uint(0), Uint(1000), Uint(handle),
                 Uint(count), Uint(n))

    def send(self, handle, message):
        """What became of a message: (outcome, condition)."""
        n, self.delivery = self.delivery, self.delivery + 1
        self.say(TRANSFER, Uint(handle), Uint(n), b"%d" % n, Uint(0), False, False,
                 payload=message)
        outcome, state = self.hear(DISPOSITION)[4]
        return outcome, condition(state[0]) if state else None

    def receive(self):
        """The next whole message, by sections, and its delivery's number."""
        whole, more, number = b"", True, None
        while more:
            fields, part = self.transfers.pop(0) if self.transfers else self.hear(TRANSFER)
            number = fields[1] if number is None else number
            whole, more = whole + part, len(fields) > 5 and fields[5]
        return sections(whole), number

    def put_token(self, token, name="x", number=7, reply_to="cbs"):
        """The status of a put-token."""
        if not hasattr(self, "cbs"):
            self.cbs = self.attach("$cbs")
            self.answers = self.attach("$cbs", receive=True)
            self.credit(self.answers, 100)
        self.send(self.cbs, message(token, [number, None, "$cbs", None, reply_to], {
            "operation": "put-token", "type": "servicebus.windows.net:sastoken", "name": name}))
        got, _ = self.receive()
        assert got[0x73][5] == number and type(got[0x73][5]) is type(number), got
        return got[0x74]["status-code"]


def condition(error):
    return str(error[1][0]) if error else None


def message(body, properties=(), application=None):
    parts = put(Described((0x73, list(properties)))) + put(Described((0x74, application or {})))
    return parts + put(Described((0x75, body) if isinstance(body, bytes) else (0x77, body)))
