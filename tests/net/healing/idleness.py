"""The cost of a connection that nobody uses."""

import time
import unittest

from lab import binary
from lab.healing import Meeting, mobiles, new_registry
from lab.registry import PORT
from lab.relay import PLAIN_PORT

IDLE_SECONDS = 60
SETTLE_SECONDS = 5

SETTLED_SECONDS = 12
"""By then only the pair of addresses in use is checked."""

DAY_SECONDS = 86400
MOST_MEGABYTES = {"off": 15, "on": 3}
"""A day and peer, by `METERED`, in and out together, with all headers: what the documents promise."""

ETHERNET_BYTES = 14

PEER_COUNTER = f"""
    table inet idle {{
        counter peer {{}}
        chain count {{
            udp sport {PLAIN_PORT} return
            udp dport {PLAIN_PORT} return
            meta l4proto udp counter name peer
        }}
        chain input {{ type filter hook input priority filter; jump count; }}
        chain output {{ type filter hook output priority filter; jump count; }}
    }}
"""

COUNTERS = f"""
    table ip idle {{
        counter registry {{}}
        counter servers {{}}
        counter peer {{}}
        chain count {{
            tcp sport {PORT} counter name registry return
            tcp dport {PORT} counter name registry return
            meta l4proto tcp counter name servers return
            udp sport {PLAIN_PORT} counter name servers return
            udp dport {PLAIN_PORT} counter name servers return
            meta l4proto udp counter name peer
        }}
        chain input {{ type filter hook input priority filter; jump count; }}
        chain output {{ type filter hook output priority filter; jump count; }}
    }}
"""
"""What a relay carries is counted among the servers'."""


@unittest.skipUnless(binary.knows("TURN_URL"), "this sidecar does not use STUN and TURN")
class Idleness(unittest.TestCase):
    def test_an_idle_connection_of_public_hosts_is_counted(self):
        self.count("public", "public")

    def test_an_idle_connection_behind_port_restricted_routers_is_counted(self):
        self.count("port restricted", "port restricted")

    def test_an_idle_connection_through_a_relay_is_counted(self):
        self.count("symmetric", "symmetric")

    def count(self, *pair):
        """Prints what passes one host's interface, both ways, for an hour, with the headers of IP."""
        places = mobiles(self, *pair)
        with Meeting(places, new_registry(self)) as meeting:
            time.sleep(SETTLE_SECONDS)
            host = places[0].host
            host.nft(COUNTERS)
            time.sleep(IDLE_SECONDS)
            counted = [host.counters("idle", unit) for unit in ("bytes", "packets")]
            lost = [sidecar.heard_so_far("peer_disconnected") for sidecar, _ in meeting.both_ways()]
        hourly = [
            f"{name} {octets[name] * 3600 // IDLE_SECONDS} bytes in {packets[name] * 3600 // IDLE_SECONDS} packets"
            for octets, packets in [counted]
            for name in sorted(octets)
        ]
        print(f"\n| idle for an hour | {' | '.join(pair)} | {' | '.join(hourly)} |")
        self.assertEqual(lost, [[], []])


@unittest.skipUnless(binary.knows("METERED"), "this sidecar does not know metered lines")
class Cost(unittest.TestCase):
    def test_the_cost_of_an_idle_connection_with_one_address(self):
        self.check_cost(ipv6=0)

    def test_the_cost_of_an_idle_connection_with_two_addresses(self):
        self.check_cost(ipv6=1)

    def test_the_cost_of_an_idle_connection_with_four_addresses(self):
        self.check_cost(ipv6=3)

    def check_cost(self, ipv6):
        """Counts with one IPv4 address and so many of IPv6, in networks of this test alone."""
        for metered, most in MOST_MEGABYTES.items():
            places = mobiles(self, "public", "public")
            for number, place in enumerate(places):
                for network in range(ipv6):
                    place.host.give_ipv6(place.interface, f"2001:db8:{ipv6}{network}::{number + 1}/64")
            with Meeting(places, new_registry(self), METERED=metered) as meeting:
                time.sleep(SETTLED_SECONDS)
                host = places[0].host
                host.nft(PEER_COUNTER)
                time.sleep(IDLE_SECONDS)
                octets, packets = (host.counters("idle", unit, "inet")["peer"] for unit in ("bytes", "packets"))
                lost = [sidecar.heard_so_far("peer_disconnected") for sidecar, _ in meeting.both_ways()]
            a_day = (octets + ETHERNET_BYTES * packets) * DAY_SECONDS / IDLE_SECONDS / 1e6
            print(f"\n| idle for a day | {1 + ipv6} addresses | METERED={metered} | {a_day:.1f} MB |")
            self.assertLess(a_day, most)
            self.assertEqual(lost, [[], []])
