"""What the tests of one run share. Everything is built when it is first asked for."""

import functools
import itertools

from . import names, registry
from .namespaces import Namespace
from .probe import EchoServers
from .registry import Registry
from .relay import PLAIN_PORT, SECRET, Authority, Relay
from .sites import Builder, Internet
from .stun import StunServer


class World:
    """One internet with its servers, and sites on it."""

    def __init__(self):
        self.internet = Internet()
        self.builder = Builder(self.internet)
        self.registries = itertools.count(1)
        names.publish(self.internet)

    @functools.cache
    def site(self, kind, index):
        """One of several sites of a kind."""
        return self.builder.build(kind)

    @functools.cache
    def echo_servers(self):
        return EchoServers(self.internet)

    @functools.cache
    def stun_server(self):
        """The one that tells how a router filters."""
        return StunServer(self.internet)

    @functools.cache
    def registry(self):
        """The registry of all tests that leave it alone."""
        machine = self.internet.server("registry", registry.ADDRESS)
        return Registry(machine, registry.ADDRESS, names.REGISTRY)

    def new_registry(self):
        """Another one, for those who don't want to meet all others, or want to kill it."""
        machine = Namespace(f"registry{next(self.registries)}")
        return Registry(machine, self.internet.connect(machine, "eth0"))

    @functools.cache
    def relaying_registry(self):
        """Another one, which is also the STUN and TURN server."""
        machine = Namespace("relaying-registry")
        address = self.internet.connect(machine, "eth0")
        return Registry(machine, address, arguments=("--relay", "--relay-listen", "0.0.0.0:3478"))

    @functools.cache
    def authority(self):
        return Authority()

    @functools.cache
    def relay(self):
        """The relay that gives access by a shared secret."""
        return Relay(self.internet, names.TURN, self.authority())

    @functools.cache
    def second_relay(self):
        """Another one that knows the same secret."""
        return Relay(self.internet, names.SECOND_TURN, self.authority())

    @functools.cache
    def static_relay(self):
        """The relay that knows one user and his password."""
        return Relay(self.internet, names.STATIC_TURN, self.authority(), access="static")

    def settings(self, **more):
        """What a sidecar is given that has every help there is; `more` wins."""
        return {
            **self.registry().settings(),
            "STUN_URL": f"stun:{self.relay().name}:{PLAIN_PORT}",
            "TURN_URL": f"turn:{self.relay().name}:{PLAIN_PORT},{self.relay().url('tls443')}",
            "TURN_SECRET": SECRET,
            "CA_FILE": self.authority().file,
            **more,
        }


@functools.cache
def world():
    """The world of this run."""
    return World()
