"""A private world for one run: nothing in it is seen outside, and nothing of it stays.

The run happens below `unshare`, in namespaces of its own for mounts, processes and networks. So
several runs never meet, names need not be unique, and when the run ends, even by SIGKILL, the kernel
takes down every process, interface and file of it.
"""

import os
import shutil
import subprocess
import sys

INSIDE = "NET_TESTS_ARE_ISOLATED"
"""Set in the environment of the run itself."""

STATE = "/run/net-tests"
"""Sockets, logs, certificates: on a file system that only this run sees."""

PROGRAMS = {
    "ip": "iproute2",
    "nft": "nftables",
    "conntrack": "conntrack",
    "turnserver": "coturn",
    "openssl": "openssl",
    "unshare": "util-linux",
}
"""Programs that must be there, and the Debian packages that hold them."""

UNSHARE = ["unshare", "--mount", "--net", "--pid", "--fork", "--kill-child", "--mount-proc"]


def enter():
    """Makes this the isolated process; ends the program with a word where that cannot be."""
    if INSIDE in os.environ:
        furnish()
        return
    missing = sorted(package for program, package in PROGRAMS.items() if not which(program))
    if missing:
        skip(f"not installed: {' '.join(missing)}")
    unshare = list(UNSHARE)
    if os.geteuid() != 0:
        unshare += ["--user", "--map-root-user"]
    tried = subprocess.run(unshare + ["true"], capture_output=True, text=True)
    if tried.returncode != 0:
        skip(f"network namespaces are not allowed here ({tried.stderr.strip()})")
    os.environ[INSIDE] = "yes"
    sys.stdout.flush()
    os.execvp(unshare[0], unshare + [sys.executable] + sys.argv)


def which(program):
    """Where a program is; the ones for administrators are not always in a user's path."""
    return shutil.which(program, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin")


def skip(reason):
    print(f"SKIPPED: {reason}")
    sys.exit(1 if os.environ.get("REQUIRE_TOOLS") else 0)


def furnish():
    """File systems of our own where the tools keep state, and our own names for hosts."""
    os.environ["PATH"] += ":/usr/sbin:/sbin"
    run("mount", "-t", "tmpfs", "tmpfs", "/run")
    os.makedirs("/run/netns")
    os.makedirs(STATE)


def replace(path, text):
    """Shows other content at a path, in this run only."""
    ours = os.path.join(STATE, os.path.basename(path))
    with open(ours, "w", encoding="ascii") as file:
        file.write(text)
    run("mount", "--bind", ours, path)


def run(*command, text=None):
    """Runs a program to its end and returns what it printed."""
    done = subprocess.run(command, input=text, capture_output=True, text=True)
    if done.returncode != 0:
        raise RuntimeError(f"{' '.join(command)} failed: {done.stderr or done.stdout}")
    return done.stdout
