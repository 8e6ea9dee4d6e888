"""What a network does with UDP, found out by experiment as RFC 5780 describes it."""

import contextlib
import socket

from .behaviour import BLOCKED, Behaviour, Filtering, Mapping
from .crossroads import Crossroads

ADDRESSES = ("198.51.100.5", "198.51.100.6")
PORTS = (7001, 7002)

ANSWER_SECONDS = 1.0
"""After this long without any answer UDP does not pass."""

STRAGGLER_SECONDS = 0.05
"""How much later than one sent after it a datagram may arrive and still be waited for."""


class EchoServers(Crossroads):
    """A request names the place from which it wants to be answered; the answer says where the request
    came from."""

    def __init__(self, internet):
        super().__init__(internet, "echo", ADDRESSES, PORTS)

    def answer(self, place, request, source):
        wanted = request.decode()
        address, port = wanted.split(":")
        return (address, int(port)), f"{wanted} {source[0]} {source[1]}".encode()


class Probe:
    """One UDP port of a host."""

    def __init__(self, host):
        with host.entered():
            self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind(("0.0.0.0", 0))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def seen_by(self, server):
        """The address and port from which a server sees this one; None if there is no answer."""
        self.ask(server, server)
        return self.answer_from(server, ANSWER_SECONDS)

    def hears(self, server, spoken_to):
        """Whether what one server sends arrives, after another has been spoken to."""
        self.ask(spoken_to, server)
        # The same server answers for itself afterwards: when that is there, the other was too, or won't be.
        self.ask(spoken_to, spoken_to)
        heard = self.answer_from(server, ANSWER_SECONDS, unless=spoken_to)
        return heard is not None or self.answer_from(server, STRAGGLER_SECONDS) is not None

    def ask(self, server, wanted):
        self.socket.sendto(name(wanted).encode(), server)

    def answer_from(self, server, seconds, unless=None):
        self.socket.settimeout(seconds)
        with contextlib.suppress(socket.timeout):
            while True:
                answer, source = self.socket.recvfrom(100)
                if source == server:
                    _, address, port = answer.decode().split()
                    return address, int(port)
                if source == unless:
                    return None
        return None

    def sources_of_all(self, seconds):
        """Where everything came from that arrives until so long nothing does."""
        self.socket.settimeout(seconds)
        sources = set()
        with contextlib.suppress(socket.timeout):
            while True:
                sources.add(self.socket.recvfrom(100)[1])
        return sources


def name(server):
    address, port = server
    return f"{address}:{port}"


def examine(host):
    """The behaviour of the network between a host and the internet, and the host's address outside."""
    with Probe(host) as probe:
        return behaviour_seen_by(probe)


def behaviour_seen_by(probe):
    first, other = ADDRESSES
    port, other_port = PORTS
    seen = probe.seen_by((first, port))
    if seen is None:
        return BLOCKED, None
    # Filtering first: it is about servers that have not been spoken to.
    if probe.hears((other, other_port), spoken_to=(first, port)):
        filtering = Filtering.ENDPOINT_INDEPENDENT
    elif probe.hears((first, other_port), spoken_to=(first, port)):
        filtering = Filtering.ADDRESS_DEPENDENT
    else:
        filtering = Filtering.ADDRESS_AND_PORT_DEPENDENT
    if probe.seen_by((other, port)) == seen == probe.seen_by((other, other_port)):
        mapping = Mapping.ENDPOINT_INDEPENDENT
    elif probe.seen_by((first, other_port)) == seen:
        mapping = Mapping.ADDRESS_DEPENDENT
    else:
        mapping = Mapping.ADDRESS_AND_PORT_DEPENDENT
    return Behaviour(mapping, filtering), seen[0]


PUNCHES = 3
"""Rounds of checks: the first opens the routers, the second comes in, the third answers."""


def punch(one, other):
    """Whether two hosts come together as ICE does it: each sends to the other's address outside, and
    to wherever something came from."""
    server = (ADDRESSES[0], PORTS[0])
    with Probe(one) as first, Probe(other) as second:
        known = {probe: probe.seen_by(server) for probe in (first, second)}
        if None in known.values():
            return False
        targets = {first: {known[second]}, second: {known[first]}}
        heard = set()
        for _ in range(PUNCHES):
            for probe, addresses in targets.items():
                for address in addresses:
                    probe.socket.sendto(b"check", address)
            for probe, addresses in targets.items():
                sources = probe.sources_of_all(STRAGGLER_SECONDS)
                addresses |= sources
                heard |= {probe} if sources else set()
        return len(heard) == 2
