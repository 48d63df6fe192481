"""The files of the tree, for the tools beside this one."""
import os
import subprocess


def files(root):
    """Paths from root of every file git keeps or would keep; without git, of all but builds."""
    git = ["git", "-C", root, "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    try:
        out = subprocess.run(git, check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL).stdout
        names = set(out.decode().split("\0")) - {""}
        return sorted(n for n in names if os.path.isfile(os.path.join(root, n)))
    except (OSError, subprocess.CalledProcessError):
        return sorted(walk(root))


def walk(root):
    for where, folders, names in os.walk(root):
        folders[:] = [f for f in folders if f not in (".git", "node_modules") and not f.startswith("build")]
        for name in names:
            yield os.path.relpath(os.path.join(where, name), root)
