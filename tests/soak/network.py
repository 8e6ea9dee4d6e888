"""A network of the soak's own, whose address changes: a namespace with one interface. Only root can make it."""

import os
import shutil
import subprocess
import sys

MARK = "SOAK_NAMESPACE"
INTERFACE = "soak0"


def enter():
    """Starts this program again in a namespace, if that is possible; returns whether it is there."""
    if os.environ.get(MARK):
        for command in (
            "link set lo up",
            f"link add {INTERFACE} type veth peer name soak1",
            "link set soak1 up",
            f"link set {INTERFACE} up",
        ):
            subprocess.run(["ip", *command.split()], check=True)
        return True
    if os.geteuid() == 0 and shutil.which("unshare") and shutil.which("ip"):
        os.environ[MARK] = "1"
        os.execvp("unshare", ["unshare", "--net", sys.executable, "-B", *sys.argv])
    return False


class Address:
    """The address of all sidecars."""

    def __init__(self):
        self.number = 0
        self.change()

    def change(self):
        """Gives the interface another address, and takes the one before."""
        self.number += 1
        new, old = (f"10.99.{number}.1/24" for number in (self.number, self.number - 1))
        subprocess.run(["ip", "address", "add", new, "dev", INTERFACE], check=True)
        if self.number > 1:
            subprocess.run(["ip", "address", "delete", old, "dev", INTERFACE], check=True)
