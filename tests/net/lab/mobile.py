"""A host whose network is disturbed: cut off, moved, renumbered."""

import itertools
import time

SECOND_METRIC = 600


class Mobile:
    """A host and its interface at a site, and another site of the same kind to which it can move. Each
    disturbance returns the moment from which the network is good again."""

    def __init__(self, builder, kind):
        self.builder = builder
        self.site, self.elsewhere = builder.build(kind), builder.build(kind)
        self.host = self.site.host
        self.interfaces = (f"eth{number}" for number in itertools.count(1))
        self.interface = "eth0"
        self.second = None

    def remove(self):
        """Takes away all that was built for it."""
        for site in (self.site, self.elsewhere):
            site.remove()
        if self.second:
            self.second.remove()

    @property
    def cable(self):
        return self.host.cables[self.interface]

    def is_cut_off(self, seconds):
        """Nothing passes for a while, which the host can't see."""
        self.cable.block()
        time.sleep(seconds)
        self.cable.open()
        return time.monotonic()

    def is_unplugged(self, seconds):
        """The host has no carrier for a while."""
        self.cable.unplug()
        time.sleep(seconds)
        self.cable.plug()
        return time.monotonic()

    def roams(self):
        """The interface goes away, and another one comes up at the other site."""
        self.leaves()
        return self.arrives()

    def gets_a_second_network(self, nat):
        """A second interface, at a router of its own, by which the default route goes when it has lost the first."""
        self.second = self.builder.second_network(nat)
        self.second.connect(self.host, "lte0", SECOND_METRIC)

    def is_led_astray(self):
        """The first network leads nowhere, and the default route moves to the second."""
        self.cable.block()
        self.host.ip("route", "delete", "default", "dev", self.interface)
        return time.monotonic()

    def is_led_back(self):
        """Ends `is_led_astray`."""
        self.cable.open()
        self.host.ip("route", "add", "default", "via", str(self.site.access.inside.ip), "dev", self.interface)

    def leaves(self):
        self.host.ip("link", "delete", self.interface)

    def arrives(self):
        """Comes up at the other site."""
        self.site, self.elsewhere = self.elsewhere, self.site
        self.interface = next(self.interfaces)
        address = self.site.access.connect(self.host, self.interface)
        if not self.site.routers:
            self.site.public_address = address
        return time.monotonic()

    def is_renumbered(self):
        """The public address, which is the router's if there is one, is replaced, and nobody remembers
        bindings of the old one."""
        if self.site.routers:
            self.site.public_address = self.builder.internet.renumber(self.site.router, "wan")
            for router in self.site.routers:
                router.forget()
        else:
            self.site.public_address = self.builder.internet.renumber(self.host, self.interface)
        return time.monotonic()

    def is_forgotten(self):
        """All routers on the way forget to whom the host has sent datagrams."""
        for router in self.site.routers:
            router.forget_datagrams()
