"""Batch issuance: muster issue against the tutorial's shell loop and against bare libcrypto."""
import os
import subprocess
import time

from report import Row

FIGURE = "Batch issuance"

# Step 3 of the how-to that muster replaces, its loop unchanged but for the kind of key (KEYGEN)
# and for the issuing key, which has no passphrase here: the loop would ask for it each time.
LOOP = r'''
while IFS= read -r DEVICE_ID; do
  [ -z "$DEVICE_ID" ] && continue
  echo "Generating certificate for: $DEVICE_ID"
  KEYGEN 2>/dev/null
  openssl req -new \
    -key "$CERT_DIR/$DEVICE_ID.key" \
    -out "$CERT_DIR/$DEVICE_ID.csr" \
    -subj "/CN=$DEVICE_ID/O=Example/OU=IoT Devices/C=US" 2>/dev/null
  openssl x509 -req -days 90 \
    -in "$CERT_DIR/$DEVICE_ID.csr" \
    -CA "$INTERMEDIATE_CA" \
    -CAkey "$INTERMEDIATE_KEY" \
    -CAcreateserial \
    -out "$CERT_DIR/$DEVICE_ID.pem" \
    -extensions v3_device \
    -extfile <(cat <<EOF
[v3_device]
basicConstraints = critical, CA:FALSE
keyUsage = critical, digitalSignature, keyEncipherment
extendedKeyUsage = clientAuth
subjectKeyIdentifier = hash
authorityKeyIdentifier = keyid:always, issuer:always
EOF
) 2>/dev/null
  cat "$CERT_DIR/$DEVICE_ID.pem" "$INTERMEDIATE_CA" > "$CERT_DIR/$DEVICE_ID-fullchain.pem"
  openssl verify -CAfile "$INTERMEDIATE_CA" "$CERT_DIR/$DEVICE_ID.pem" 2>/dev/null
  rm -f "$CERT_DIR/$DEVICE_ID.csr"
done
'''
KEYGENS = {"rsa2048": 'openssl genrsa -out "$CERT_DIR/$DEVICE_ID.key" 2048',
           "p256": 'openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 '
                   '-out "$CERT_DIR/$DEVICE_ID.key"'}


class Issue:
    def __init__(self, ctx):
        self.ctx = ctx
        self.home = os.path.join(ctx.memory, "issuer")
        self.runs = 0
        ctx.muster("init", "--home", self.home)

    def directory(self, where):
        """A new one each time and none removed before the end: a file system that has just
        freed many inodes (ext4) takes ten times as long to make new ones."""
        self.runs += 1
        path = os.path.join(where, "issue-%d" % self.runs)
        os.mkdir(path)
        return path

    def ours(self, key, count, where):
        devices = self.ctx.device_list(count)
        out = self.directory(where)
        start = time.monotonic()
        self.ctx.muster("issue", "--home", self.home, "--devices", devices, "--out", out,
                        "--key", key)
        return count / (time.monotonic() - start)

    def limit(self, alg, count, where=None):
        more = [self.directory(where)] if where else []
        got = self.ctx.json_of("bench/bench-limit", alg, str(count), *more)
        return got["count"] / got["seconds"]

    def loop(self, key, count):
        ca = self.loop_ca(key)
        env = dict(os.environ, CERT_DIR=self.directory(self.ctx.memory),
                   INTERMEDIATE_CA=ca + ".pem", INTERMEDIATE_KEY=ca + ".key")
        ids = "".join("loop-%03d\n" % i for i in range(count))
        start = time.monotonic()
        subprocess.run(["bash", "-c", LOOP.replace("KEYGEN", KEYGENS[key])], input=ids, text=True,
                       env=env, check=True, stdout=subprocess.DEVNULL)
        return count / (time.monotonic() - start)

    def loop_ca(self, key):
        """An intermediate as the how-to makes it: RSA-4096 (P-256 for the P-256 loop)."""
        ca = os.path.join(self.ctx.memory, "loop-ca-" + key)
        kind = ["rsa:4096"] if key == "rsa2048" else ["ec", "-pkeyopt", "ec_paramgen_curve:P-256"]
        if not os.path.exists(ca + ".pem"):
            subprocess.run(["openssl", "req", "-x509", "-nodes", "-days", "30", "-subj",
                            "/CN=Loop CA", "-keyout", ca + ".key", "-out", ca + ".pem",
                            "-newkey"] + kind, check=True, capture_output=True)
        return ca


def p256(ctx, it):
    n, disk_n = (2000, 500) if ctx.quick else (20000, 5000)
    ours, bare, files, loop, disk, disk_files = [], [], [], [], [], []
    for _ in range(ctx.rounds):
        bare.append(it.limit("p256", n))
        ours.append(it.ours("p256", n, ctx.memory))
        files.append(it.limit("p256", n, ctx.memory))
        loop.append(it.loop("p256", 5 if ctx.quick else 20))
        disk.append(it.ours("p256", disk_n, ctx.disk))
        disk_files.append(it.limit("p256", disk_n, ctx.disk))
    unit = "devices/s"
    return [
        Row(FIGURE, "P-256, files in memory", unit, ours, bare, "bare keygen + sign", (">=", 0.85)),
        Row(FIGURE, "P-256, files in memory", unit, ours, files,
            "bare keygen + sign + the same files"),
        Row(FIGURE, "P-256, files on disk, synced", unit, disk, disk_files,
            "bare keygen + sign + the same files"),
        Row(FIGURE, "P-256, files in memory", unit, ours, loop, "shell loop with P-256 keys")]


def rsa(ctx, it):
    n = 8 if ctx.quick else 100
    ours, bare, bn, loop = [], [], [], []
    for _ in range(ctx.rounds):
        bare.append(it.limit("rsa2048", n))
        ours.append(it.ours("rsa2048", n, ctx.memory))
        bn.append(it.limit("rsa2048-bn", n))
        loop.append(it.loop("rsa2048", 3 if ctx.quick else 10))
    unit = "devices/s"
    return [
        Row(FIGURE, "RSA-2048", unit, ours, bare, "bare EVP keygen + sign", (">=", 0.95)),
        Row(FIGURE, "RSA-2048", unit, ours, bn, "bare primes (BN) + sign"),
        Row(FIGURE, "RSA-2048", unit, ours, loop, "shell loop as published")]


def run(ctx):
    it = Issue(ctx)
    return p256(ctx, it) + rsa(ctx, it)
