"""What the figures are taken on and by: processor time and memory of processes."""
import glob
import math
import os
import platform
import re
import resource
import subprocess


def describe():
    """The machine in general words: nothing that names it."""
    model = "unknown processor"
    with open("/proc/cpuinfo", encoding="ascii", errors="replace") as f:
        found = re.search(r"^model name\s*:\s*(.*)$", f.read(), re.M)
    if found:
        model = found.group(1)
    gib = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    openssl = subprocess.run(["openssl", "version"], capture_output=True, text=True, check=True)
    return "%d CPUs (%s), %.0f GiB, Linux %s, %s" % (
        os.cpu_count(), model, gib, platform.release().split("-")[0],
        " ".join(openssl.stdout.split()[:2]))


def raise_fd_limit():
    """As many descriptors as allowed; returns the number."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return hard


def edges_for(connections):
    """How many edges hold them: each keeps five descriptors for every connection it may have
    (role/edge.c), and gets its share of the connections by chance."""
    each = (raise_fd_limit() - 500) / 5
    return max(os.cpu_count() or 1, math.ceil(connections * 1.25 / each))


def is_alive(pid):
    """Whether a process runs that may be nobody's child any more."""
    try:
        with open("/proc/%d/stat" % pid, encoding="utf-8", errors="replace") as f:
            return f.read().rsplit(")", 1)[1].split()[0] not in "ZX"
    except FileNotFoundError:
        return False


def tree(pid):
    """pid and all its descendants."""
    pids = [pid]
    for path in glob.glob("/proc/%d/task/*/children" % pid):
        try:
            with open(path, encoding="ascii") as f:
                for child in f.read().split():
                    pids += tree(int(child))
        except OSError:
            pass
    return pids


def cpu_seconds(pid):
    """User and system time of a process and its descendants, the ended threads included."""
    ticks = 0
    for p in tree(pid):
        with open("/proc/%d/stat" % p, encoding="utf-8", errors="replace") as f:
            fields = f.read().rsplit(")", 1)[1].split()
        ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")


def role_cpu_seconds(pid, role):
    """Of those of a server's processes that have this role."""
    total = 0
    for p in tree(pid):
        with open("/proc/%d/cmdline" % p, "rb") as f:
            if f.read().replace(b"\0", b" ").startswith(b"muster role " + role.encode()):
                total += cpu_seconds(p)
    return total


def memory_bytes(pid):
    """Proportional set size of a process and its descendants."""
    total = 0
    for p in tree(pid):
        with open("/proc/%d/smaps_rollup" % p, encoding="ascii") as f:
            total += int(re.search(r"^Pss:\s+(\d+) kB", f.read(), re.M).group(1)) * 1024
    return total
