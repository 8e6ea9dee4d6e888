"""The internet, and the places from which a sidecar reaches it."""

import itertools
from dataclasses import dataclass, field
from typing import Optional

from . import routers
from .behaviour import BLOCKED, Behaviour, Filtering, Mapping
from .namespaces import Namespace, Switch
from .routers import Router

INDEPENDENT = Mapping.ENDPOINT_INDEPENDENT
DEPENDENT = Mapping.ADDRESS_AND_PORT_DEPENDENT


GATEWAY = "198.51.100.1"
PREFIX = 22


class Internet(Switch):
    """One large Ethernet, 198.51.100.0/22, with a gateway behind which there is nothing: what is sent to
    private addresses vanishes without a word, as on the real one."""

    def __init__(self):
        super().__init__("internet", "bridge", f"{GATEWAY}/{PREFIX}")
        self.ports = itertools.count(1)
        self.free = (f"198.51.{high}.{low}" for high in range(100, 104) for low in range(100, 255))

    def connect(self, machine, interface, address=None):
        """Gives a machine an address; without one the next that is free."""
        address = address or next(self.free)
        machine.link(interface, self, f"port{next(self.ports)}", f"{address}/{PREFIX}", GATEWAY)
        return address

    def renumber(self, machine, interface):
        """Takes a machine's address away and gives it the next that is free."""
        address = next(self.free)
        machine.ip("address", "flush", "dev", interface)
        machine.ip("address", "add", f"{address}/{PREFIX}", "dev", interface)
        machine.ip("route", "add", "default", "via", GATEWAY)
        return address

    def server(self, name, *addresses):
        """A machine that is reached at these addresses."""
        machine = Namespace(name)
        self.connect(machine, "eth0", addresses[0])
        for address in addresses[1:]:
            machine.ip("address", "add", f"{address}/{PREFIX}", "dev", "eth0")
        return machine


@dataclass
class Site:
    """A place with hosts in it. `access` is what its hosts are connected to; `routers` lead from there to the
    internet, the outermost, which has the public address, comes last; `behaviour` is None where no test asks for it."""

    kind: str
    hosts: list
    public_address: str
    behaviour: Optional[Behaviour]
    access: Switch
    routers: list = field(default_factory=list)

    @property
    def host(self):
        """The only host, or the first."""
        return self.hosts[0]

    @property
    def router(self):
        """The outermost router."""
        return self.routers[-1]

    def remove(self):
        """Takes away its machines."""
        for machine in [*self.hosts, *self.routers]:
            machine.remove()


class Builder:
    """Builds sites on an internet, each with names and addresses of its own outside.

    Inside, every home has the same network and the same addresses, as in the world.
    """

    def __init__(self, internet):
        self.internet = internet
        self.numbers = itertools.count(1)

    def build(self, kind):
        """A new site of a kind in `KINDS`."""
        return getattr(self, kind.replace(" ", "_"))()

    def public(self):
        """A host with an address of its own."""
        host = Namespace(f"public{next(self.numbers)}")
        address = self.internet.connect(host, "eth0")
        behaviour = Behaviour(INDEPENDENT, Filtering.ENDPOINT_INDEPENDENT)
        return Site("public", [host], address, behaviour, self.internet)

    def full_cone(self):
        """Whoever knows a port outside reaches the host behind it."""
        behaviour = Behaviour(INDEPENDENT, Filtering.ENDPOINT_INDEPENDENT)
        return self.home("full cone", behaviour, routers.FULL_CONE)

    def address_restricted(self):
        """Whoever has been spoken to from a port reaches it, from any port of his own."""
        behaviour = Behaviour(INDEPENDENT, Filtering.ADDRESS_DEPENDENT)
        return self.home("address restricted", behaviour, routers.ADDRESS_RESTRICTED)

    def port_restricted(self):
        """Only the address and port that have been spoken to can answer."""
        behaviour = Behaviour(INDEPENDENT, Filtering.ADDRESS_AND_PORT_DEPENDENT)
        return self.home("port restricted", behaviour, routers.PORT_RESTRICTED)

    def symmetric(self):
        """Each destination sees another port."""
        behaviour = Behaviour(DEPENDENT, Filtering.ADDRESS_AND_PORT_DEPENDENT)
        return self.home("symmetric", behaviour, routers.SYMMETRIC)

    def udp_blocked(self):
        """Only TCP goes out."""
        return self.home("udp blocked", BLOCKED, routers.UDP_BLOCKED)

    def carrier(self):
        """A home router behind its carrier's, which maps as RFC 6888 wants it."""
        behaviour = Behaviour(INDEPENDENT, Filtering.ADDRESS_AND_PORT_DEPENDENT)
        return self.behind_a_carrier("carrier", behaviour, routers.PORT_RESTRICTED)

    def symmetric_carrier(self):
        """A home router behind its carrier's, which gives each destination another port."""
        behaviour = Behaviour(DEPENDENT, Filtering.ADDRESS_AND_PORT_DEPENDENT)
        return self.behind_a_carrier("symmetric carrier", behaviour, routers.SYMMETRIC)

    def home(self, kind, behaviour, nat, hosts=1):
        """Hosts behind one router."""
        router, hosts = self.household(nat, hosts)
        address = self.internet.connect(router, "wan")
        return Site(kind, hosts, address, behaviour, router, [router])

    def behind_a_carrier(self, kind, behaviour, nat, homes=1):
        """A host in each of several homes, whose routers have addresses of the carrier's (RFC 6598)."""
        carrier = Router(f"carrier{next(self.numbers)}", "100.64.0.1/10", **nat)
        address = self.internet.connect(carrier, "wan")
        hosts = []
        for _ in range(homes):
            router, inside = self.household(routers.PORT_RESTRICTED, 1)
            carrier.connect(router, "wan")
            hosts += inside
        return Site(kind, hosts, address, behaviour, router, [router, carrier])

    def second_network(self, nat):
        """A router for hosts that are at home at another: its addresses inside are not those of a home."""
        router = Router(f"second{next(self.numbers)}", "100.64.0.1/10", **nat)
        self.internet.connect(router, "wan")
        return router

    def household(self, nat, count):
        number = next(self.numbers)
        router = Router(f"router{number}", "192.168.1.1/24", **nat)
        hosts = []
        for index in range(count):
            host = Namespace(f"home{number}-{index}")
            router.connect(host, "eth0")
            hosts.append(host)
        return router, hosts


KINDS = [
    "public",
    "full cone",
    "address restricted",
    "port restricted",
    "symmetric",
    "udp blocked",
    "carrier",
    "symmetric carrier",
]

PAIRS = [(one, other) for number, one in enumerate(KINDS) for other in KINDS[number:]]
"""Each kind with each, itself included."""
