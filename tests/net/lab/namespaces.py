"""Network namespaces: hosts and routers."""

import contextlib
import ctypes
import json
import os
import subprocess
import time

from .isolation import run

CLONE_NEWNET = 0x40000000

libc = ctypes.CDLL(None, use_errno=True)


class Namespace:
    """A machine on the network. It has no interfaces but loopback until it is linked to others."""

    def __init__(self, name):
        self.name = name
        self.cables = {}
        run("ip", "netns", "add", name)
        # Every interface has the one address that it is given, so that each path has one name.
        self.sysctl("ipv6/conf/all/disable_ipv6", "1")
        self.sysctl("ipv6/conf/default/disable_ipv6", "1")
        self.ip("link", "set", "lo", "up")

    def remove(self):
        """Takes the machine away with its cables, when no process runs on it any more."""
        run("ip", "netns", "delete", self.name)

    def ip(self, *arguments):
        """The command `ip`, in this namespace."""
        return run("ip", "-n", self.name, *arguments)

    def sysctl(self, key, value):
        """Sets a kernel parameter of this namespace."""
        with self.entered(), open(f"/proc/sys/net/{key}", "w", encoding="ascii") as file:
            file.write(value)

    def give_ipv6(self, interface, address):
        """Gives an interface an IPv6 address, and its link-local one, at once: nobody else is asked whether
        he has it."""
        self.sysctl(f"ipv6/conf/{interface}/accept_dad", "0")
        self.sysctl(f"ipv6/conf/{interface}/disable_ipv6", "0")
        self.ip("-6", "address", "add", address, "dev", interface, "nodad")

    def take_ipv6(self, interface):
        """Takes away an interface's IPv6 addresses."""
        self.sysctl(f"ipv6/conf/{interface}/disable_ipv6", "1")

    def nft(self, rules):
        """Loads netfilter rules."""
        with self.entered():
            run("nft", "-f", "-", text=rules)

    def counters(self, table, unit="bytes", family="ip"):
        """The bytes or `packets` counted by each named counter of a netfilter table."""
        with self.entered():
            listed = json.loads(run("nft", "-j", "list", "counters", "table", family, table))
        counters = (item["counter"] for item in listed["nftables"] if "counter" in item)
        return {counter["name"]: counter[unit] for counter in counters}

    def is_up(self, interface):
        """Whether an interface carries frames."""
        return json.loads(self.ip("-json", "link", "show", interface))[0]["operstate"] == "UP"

    @contextlib.contextmanager
    def entered(self):
        """Sockets opened and processes started by this thread are in the namespace meanwhile."""
        with open("/proc/thread-self/ns/net", "rb") as outside:
            with open(f"/run/netns/{self.name}", "rb") as inside:
                set_namespace(inside)
            try:
                yield
            finally:
                set_namespace(outside)

    def spawn(self, command, **options):
        """Starts a process in this namespace."""
        with self.entered():
            return subprocess.Popen(command, stdin=subprocess.DEVNULL, **options)

    def run(self, *command):
        """Runs a program in this namespace to its end and returns what it printed."""
        with self.entered():
            return run(*command)

    def link(self, interface, other, port, address=None, gateway=None, metric=0):
        """Connects a new interface here to a new port of a switch. Of two gateways that of the smaller metric is used."""
        self.lay(interface, other, port)
        other.ip("link", "set", port, "master", other.bridge, "up")
        self.cables[interface] = Cable(self, interface, other, port)
        self.ip("link", "set", interface, "up")
        if address:
            self.ip("address", "add", address, "dev", interface)
        if gateway:
            self.ip("route", "add", "default", "via", gateway, "dev", interface, "metric", str(metric))

    def lay(self, interface, other, port):
        """Lays a cable from a new interface here to a new one in another namespace."""
        run(
            "ip", "link", "add", interface, "netns", self.name,
            "type", "veth", "peer", "name", port, "netns", other.name,
        )


class Cable:
    """What leads from an interface to a port of a switch."""

    def __init__(self, machine, interface, switch, port):
        self.machine = machine
        self.interface = interface
        self.switch = switch
        self.port = port

    def block(self):
        """Nothing passes from now on, which the machine can't see: its interface stays up."""
        self.set_state("disabled")

    def open(self):
        """Ends `block`."""
        self.set_state("forwarding")

    def set_state(self, state):
        self.switch.run("bridge", "link", "set", "dev", self.port, "state", state)

    def unplug(self):
        """Nothing passes from now on, and the machine sees that its interface has no carrier."""
        self.switch.ip("link", "set", self.port, "down")

    def plug(self):
        """Ends `unplug`, and waits until the kernel has noticed on both sides: it takes up to a second."""
        self.switch.ip("link", "set", self.port, "up")
        while not (self.machine.is_up(self.interface) and self.switch.is_up(self.port)):
            time.sleep(0.005)


class Switch(Namespace):
    """A namespace with a bridge, to which others are linked."""

    def __init__(self, name, bridge, address=None):
        super().__init__(name)
        self.bridge = bridge
        with contextlib.suppress(FileNotFoundError):
            # What stays on the bridge is no business of the router's rules.
            self.sysctl("bridge/bridge-nf-call-iptables", "0")
        self.ip("link", "add", bridge, "type", "bridge")
        if address:
            self.ip("address", "add", address, "dev", bridge)
        self.ip("link", "set", bridge, "up")


def set_namespace(file):
    if libc.setns(file.fileno(), CLONE_NEWNET) != 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()), file.name)
