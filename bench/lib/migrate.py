"""Devices migrated a minute in the lab, against the how-to's deploy loop over the same sshd."""
import contextlib
import csv
import os
import shutil
import subprocess
import time

from report import Row
from servers import Failed, stop, wait_for

FIGURE = "Migration"

# Step 4 of the how-to that muster replaces: three copies and a command a device, no check of
# anything. What it restarts is nothing here, which favours the loop.
LOOP = r'''
set -e
while IFS= read -r DEVICE_ID; do
  echo "Deploying to $DEVICE_ID..."
  scp $SSH "$CERT_DIR/$DEVICE_ID.pem" "$TO:$DEST/$DEVICE_ID.pem"
  scp $SSH "$CERT_DIR/$DEVICE_ID.key" "$TO:$DEST/$DEVICE_ID.key"
  scp $SSH "$CERT_DIR/application.py" "$TO:$DEST/application.py"
  ssh $SSH "$TO" "chmod 644 $DEST/$DEVICE_ID.pem && chmod 600 $DEST/$DEVICE_ID.key && \
    export DEVICE_ID=$DEVICE_ID && true" </dev/null
  echo "  Done."
done
'''


class Lab:
    """A lab of its own home, taken down at the end of the block."""

    def __init__(self, ctx, name, devices):
        self.ctx, self.home = ctx, os.path.join(ctx.disk, name)
        ctx.muster("init", "--home", self.home)
        try:
            ctx.muster("lab", "up", "--home", self.home, "--devices", str(devices))
        except Failed:
            self.down()
            raise
        self.devices = devices

    def down(self):
        self.ctx.muster("lab", "down", "--home", self.home)

    def migrate(self):
        """Devices a minute of the whole run: pilot, waves, gates and every device's proof."""
        self.ctx.muster("migrate", "plan", "--home", self.home)
        start = time.monotonic()
        self.ctx.muster("migrate", "run", "--home", self.home)
        return self.devices * 60 / (time.monotonic() - start)

    @contextlib.contextmanager
    def sshd(self):
        """The lab's sshd with a shell behind it; yields ssh's options and user@host."""
        port = self.ctx.free_port()
        lab = os.path.join(self.home, "lab")
        with open(os.path.join(lab, "inventory.csv"), encoding="ascii") as f:
            device = next(csv.DictReader(f))
        known = os.path.join(lab, "bench_known_hosts")
        with open(known, "w", encoding="ascii") as f:
            f.write("[127.0.0.1]:%d %s\n" % (port, device["host_key"]))
        p = subprocess.Popen(
            [shutil.which("sshd", path=os.environ.get("PATH", "") + ":/usr/sbin"), "-D",
             "-f", os.path.join(lab, "ssh/sshd_config"), "-o", "ListenAddress=127.0.0.1",
             "-o", "Port=%d" % port, "-o", "Subsystem=sftp internal-sftp",
             "-o", "HostKey=" + os.path.join(lab, "hostkeys", device["device_id"])])
        try:
            wait_for(lambda: self.ctx.port_open(port), "sshd")
            yield ("-F %s/ssh_config -o Port=%d -o UserKnownHostsFile=%s -o BatchMode=yes -q"
                   % (lab, port, known), device["user"] + "@127.0.0.1")
        finally:
            stop(p)

    def deploy(self, count):
        """Devices a minute of the loop."""
        ctx = self.ctx
        certs = os.path.join(ctx.memory, "deploy-" + os.path.basename(self.home))
        dest = os.path.join(ctx.disk, "deployed")
        os.makedirs(dest, exist_ok=True)
        ctx.muster("issue", "--home", ctx.new_home(), "--devices", ctx.device_list(count), "--out",
                   certs)
        with open(os.path.join(certs, "application.py"), "w", encoding="ascii") as f:
            f.write("# an application\n" * 600)
        ids = "".join("dev-%06d\n" % i for i in range(count))
        with self.sshd() as (options, to):
            env = dict(os.environ, SSH=options, TO=to, CERT_DIR=certs, DEST=dest)
            start = time.monotonic()
            subprocess.run(["bash", "-c", LOOP], input=ids, text=True, env=env, check=True,
                           stdout=subprocess.DEVNULL)
            return count * 60 / (time.monotonic() - start)


def compare(ctx, devices, rounds, sample):
    ours, loop = [], []
    for i in range(rounds):
        lab = Lab(ctx, "lab-%d-%d" % (devices, i), devices)
        try:
            loop.append(lab.deploy(sample))
            ours.append(lab.migrate())
        finally:
            lab.down()
    return Row(FIGURE, "{:,} devices, run from pilot to 100 %".format(devices), "devices/min", ours,
               loop, "deploy loop")


def run(ctx):
    if ctx.quick:
        return [compare(ctx, 10, 1, 3)]
    return [compare(ctx, 100, ctx.rounds, 20), compare(ctx, 1000, 1, 20)]
