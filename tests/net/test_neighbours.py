"""Sidecars that need no help to find each other."""

import unittest

from lab import registry, routers, targets
from lab.encounter import Encounter
from lab.world import world


class Neighbours(unittest.TestCase):
    def test_two_public_hosts_connect_by_their_own_addresses(self):
        self.connect(world().site("public", 0).host, world().site("public", 1).host)

    def test_two_hosts_of_one_lan_connect_inside(self):
        site = world().builder.home("lan", None, routers.PORT_RESTRICTED, hosts=2)
        self.connect(*site.hosts)

    def test_two_sidecars_of_one_host_connect(self):
        host = world().site("port restricted", 0).host
        self.connect(host, host)

    def test_two_hosts_between_which_only_ipv6_passes_connect_by_it(self):
        hosts = [world().builder.public().host for _ in range(2)]
        for number, host in enumerate(hosts):
            host.give_ipv6("eth0", f"2001:db8::{number + 1}/64")
            host.nft("table ip old { chain input { type filter hook input priority filter; meta l4proto udp drop; }; }")
        self.connect(*hosts)

    def connect(self, one, other):
        times = []
        for _ in range(targets.RUNS):
            with Encounter(one, other, world().registry().settings()) as encounter:
                times.append(encounter.seconds_to_connect())
                encounter.exchange()
                self.assertEqual(encounter.ends(), [("host", "host")] * 2)
        targets.check(times, targets.HOST)


class Strangers(unittest.TestCase):
    def test_without_settings_nothing_is_sent_but_to_the_registry_and_the_peer(self):
        """No server is asked for anything, not even for a name: `/etc/hosts` has the registry's."""
        sites = [world().site("public", index) for index in (0, 1)]
        sites[0].host.nft(f"""
            table ip strangers {{
                counter everyone {{}}
                counter strangers {{}}
                chain output {{
                    type filter hook output priority filter;
                    oifname "lo" accept
                    counter name everyone
                    ip daddr != {{ {registry.ADDRESS}, {sites[1].public_address} }} counter name strangers
                }}
            }}
        """)
        settings = world().registry().settings()
        with Encounter(sites[0].host, sites[1].host, settings) as encounter:
            encounter.seconds_to_connect()
            encounter.exchange()
        counted = sites[0].host.counters("strangers")
        self.assertGreater(counted["everyone"], 0)
        self.assertEqual(counted["strangers"], 0)


if __name__ == "__main__":
    unittest.main()
