"""Certificates that no CA should make: built byte by byte, signed by the openssl command.

Dates, version, extensions, issuer and signing key are all the caller's, so a test can say
exactly what is wrong with a certificate. Only what the tests need of X.690 is here.
"""
import base64
import datetime
import os
import secrets
import subprocess

CN, O = "2.5.4.3", "2.5.4.10"
BASIC_CONSTRAINTS, KEY_USAGE, EXT_KEY_USAGE = "2.5.29.19", "2.5.29.15", "2.5.29.37"
SUBJECT_KEY_ID, AUTHORITY_KEY_ID = "2.5.29.14", "2.5.29.35"
CLIENT_AUTH, SERVER_AUTH = "1.3.6.1.5.5.7.3.2", "1.3.6.1.5.5.7.3.1"
DIGITAL_SIGNATURE, KEY_CERT_SIGN = 0x80, 0x04
DAY = datetime.timedelta(days=1)


def openssl(*args, stdin=None, check=True):
    """Runs the openssl command; returns what it printed."""
    r = subprocess.run(["openssl", *args], input=stdin, stdout=subprocess.PIPE,
                       stderr=subprocess.PIPE, check=False)
    if check and r.returncode != 0:
        raise AssertionError("openssl %s: %s" % (" ".join(args), r.stderr.decode()))
    return r.stdout


# ---- DER ---------------------------------------------------------------------------------

def tlv(tag, *parts):
    body = b"".join(parts)
    if len(body) < 128:
        return bytes([tag, len(body)]) + body
    size = len(body).to_bytes((len(body).bit_length() + 7) // 8, "big")
    return bytes([tag, 0x80 | len(size)]) + size + body


def sequence(*parts):
    return tlv(0x30, *parts)


def integer(n):
    return tlv(0x02, n.to_bytes(n.bit_length() // 8 + 1, "big"))


def oid(text):
    arcs = [int(a) for a in text.split(".")]
    body = bytes([arcs[0] * 40 + arcs[1]])
    for arc in arcs[2:]:
        part = [arc & 127]
        while arc := arc >> 7:
            part.insert(0, arc & 127 | 128)
        body += bytes(part)
    return tlv(0x06, body)


def elements(der):
    """The (tag, body, whole) of each element in a row."""
    out, at = [], 0
    while at < len(der):
        tag, size, head = der[at], der[at + 1], 2
        if size & 0x80:
            n = size & 0x7f
            size, head = int.from_bytes(der[at + 2:at + 2 + n], "big"), 2 + n
        out.append((tag, der[at + head:at + head + size], der[at:at + head + size]))
        at += head + size
    return out


def time(when):
    when = when.astimezone(datetime.timezone.utc)
    if when.year < 2050:
        return tlv(0x17, when.strftime("%y%m%d%H%M%SZ").encode())
    return tlv(0x18, when.strftime("%Y%m%d%H%M%SZ").encode())


def name(*attributes):
    """A name of one (oid, text) pair an RDN."""
    return sequence(*[tlv(0x31, sequence(oid(o), tlv(0x0c, v.encode())))
                      for o, v in attributes])


# ---- keys --------------------------------------------------------------------------------

def make_key(path, kind="p256"):
    how = {"p256": ("EC", "ec_paramgen_curve:P-256"), "rsa2048": ("RSA", "rsa_keygen_bits:2048"),
           "p384": ("EC", "ec_paramgen_curve:P-384"), "rsa1024": ("RSA", "rsa_keygen_bits:1024")}[kind]
    openssl("genpkey", "-algorithm", how[0], "-pkeyopt", how[1], "-out", path)
    os.chmod(path, 0o600)
    return path


def spki(key):
    return openssl("pkey", "-in", key, "-pubout", "-outform", "DER")


def stolen(cert_key, own_key, path):
    """A P-256 key file that says it is cert_key's and signs with own_key: what a thief has
    who copied a certificate and not its key."""
    ec = elements(elements(openssl("ec", "-in", own_key, "-outform", "DER"))[0][1])
    public = elements(elements(spki(cert_key))[0][1])[1][2]
    parts = [ec[0][2], ec[1][2], tlv(0xa0, oid("1.2.840.10045.3.1.7")), tlv(0xa1, public)]
    write_pem(path, "EC PRIVATE KEY", sequence(*parts))
    return path


# ---- certificates ------------------------------------------------------------------------

def write_pem(path, label, *ders):
    with open(path, "w", encoding="ascii") as f:
        for der in ders:
            text = base64.b64encode(der).decode()
            lines = [text[i:i + 64] for i in range(0, len(text), 64)]
            f.write("-----BEGIN %s-----\n%s\n-----END %s-----\n" % (label, "\n".join(lines), label))


def read_pem(path):
    """The DER of each certificate of a file."""
    ders, text = [], None
    with open(path, encoding="ascii") as f:
        for line in f:
            if line.startswith("-----BEGIN CERTIFICATE"):
                text = ""
            elif line.startswith("-----END CERTIFICATE"):
                ders.append(base64.b64decode(text))
                text = None
            elif text is not None:
                text += line
    return ders


def extension(number, body, critical=False):
    return sequence(oid(number), b"\x01\x01\xff" if critical else b"", tlv(0x04, body))


def key_id(public):
    """RFC 5280 4.2.1.2, method 1."""
    bits = elements(elements(public)[0][1])[1][1][1:]
    return openssl("dgst", "-sha1", "-binary", stdin=bits)


def subject_key_id(der):
    """What a certificate says of its own key, whatever method it was made by."""
    wanted = oid(SUBJECT_KEY_ID)
    at = der.index(wanted) + len(wanted)
    return elements(elements(der[at:at + 64])[0][1])[0][1]


def leaf_extensions(public, issuer_id, usage=DIGITAL_SIGNATURE, eku=CLIENT_AUTH, ca=False):
    """The extensions of muster's device profile, or nearly."""
    basic = sequence(b"\x01\x01\xff") if ca else sequence()
    rows = [extension(BASIC_CONSTRAINTS, basic, True),
            extension(KEY_USAGE, tlv(0x03, b"\x07" if usage & 1 else b"\x00", bytes([usage])), True)]
    if eku:
        rows.append(extension(EXT_KEY_USAGE, sequence(oid(eku))))
    rows.append(extension(SUBJECT_KEY_ID, tlv(0x04, key_id(public))))
    rows.append(extension(AUTHORITY_KEY_ID, sequence(tlv(0x80, issuer_id))))
    return rows


class Issuer:
    """A certificate and the key that signs for it."""

    def __init__(self, cert, key):
        self.cert, self.key, self.der = cert, key, read_pem(cert)[0]
        tbs = elements(elements(elements(self.der)[0][1])[0][1])
        self.name = tbs[5][2]
        self.key_id = subject_key_id(self.der)

    def issue(self, subject, public, *, v1=False, start=None, end=None, extensions=None,
              serial=None, issuer=None, forge=None):
        """The DER of a certificate. subject: a CN, or a whole name; issuer: another name
        than ours; forge: another key to sign with."""
        now = datetime.datetime.now(datetime.timezone.utc)
        subject = name((CN, subject)) if isinstance(subject, str) else subject
        if extensions is None:
            extensions = leaf_extensions(public, self.key_id)
        algorithm = sequence(oid("1.2.840.10045.4.3.2"))
        fields = [integer(serial or secrets.randbits(120) | 1 << 119), algorithm,
                  issuer or self.name,
                  sequence(time(start or now - DAY / 24), time(end or now + 90 * DAY)),
                  subject, public]
        if not v1:
            fields.insert(0, tlv(0xa0, integer(2)))
            fields.append(tlv(0xa3, sequence(*extensions)))
        tbs = sequence(*fields)
        signature = openssl("dgst", "-sha256", "-sign", forge or self.key, stdin=tbs)
        return sequence(tbs, algorithm, tlv(0x03, b"\x00" + signature))


def make_ca(folder, subject, issuer=None, days=1000):
    """A CA of its own (or below issuer) with a P-256 key, as files in folder."""
    key, cert = os.path.join(folder, "ca.key"), os.path.join(folder, "ca.pem")
    os.makedirs(folder, exist_ok=True)
    make_key(key)
    public = spki(key)
    rows = [extension(BASIC_CONSTRAINTS, sequence(b"\x01\x01\xff"), True),
            extension(KEY_USAGE, tlv(0x03, b"\x01", b"\x06"), True),
            extension(SUBJECT_KEY_ID, tlv(0x04, key_id(public)))]
    whole = name((CN, subject))
    if issuer is None:
        issuer = Issuer.__new__(Issuer)
        issuer.key, issuer.name, issuer.key_id = key, whole, key_id(public)
    else:  # RFC 5280 4.2.1.1: all but roots
        rows.append(extension(AUTHORITY_KEY_ID, sequence(tlv(0x80, issuer.key_id))))
    der = issuer.issue(whole, public, extensions=rows,
                       end=datetime.datetime.now(datetime.timezone.utc) + days * DAY)
    write_pem(cert, "CERTIFICATE", der)
    return Issuer(cert, key)


def sha256(der):
    return openssl("dgst", "-sha256", "-binary", stdin=der).hex()


def self_signed(folder, subject):
    """Key and certificate of a device that is known by its thumbprint alone."""
    os.makedirs(folder, exist_ok=True)
    key, cert = os.path.join(folder, "self.key"), os.path.join(folder, "self.pem")
    make_key(key)
    public = spki(key)
    me = Issuer.__new__(Issuer)
    me.key, me.name, me.key_id = key, name((CN, subject)), key_id(public)
    der = me.issue(subject, public)
    write_pem(cert, "CERTIFICATE", der)
    return cert, key, sha256(der)
