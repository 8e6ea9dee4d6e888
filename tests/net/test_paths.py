"""Which of several ways is taken, and that there is one where a machine is odd."""

import os
import platform
import sys
import time
import unittest

from lab import names, routers, targets, without_netlink
from lab.encounter import Encounter, is_relayed
from lab.namespaces import Namespace, Switch
from lab.registry import Registry
from lab.relay import PLAIN_PORT
from lab.sidecar import Sidecar
from lab.waiting import until
from lab.world import world

SETTLED_SECONDS = 5
"""By then ICE has checked every pair."""


class Ranking(unittest.TestCase):
    def test_of_a_lan_and_a_vpn_the_lan_is_taken(self):
        """The VPN's addresses are smaller numbers, and IPv6 in one of the two."""
        site = world().builder.home("lan", None, routers.PORT_RESTRICTED, hosts=2)
        hub = Switch("hub", "hub")
        for number, host in enumerate(site.hosts):
            host.link("tailscale0", hub, f"vpn{number}", f"100.64.0.{number + 1}/24")
            host.give_ipv6("tailscale0", f"fd7a:115c:a1e0::{number + 1}/64")
        with Encounter(*site.hosts, world().registry().settings()) as encounter:
            encounter.seconds_to_connect()
            time.sleep(SETTLED_SECONDS)
            encounter.exchange()
            for sidecar, peer in encounter.both_ways():
                local = sidecar.statistics_of(peer)["path"]["local"]
                self.assertTrue(local["address"].startswith("192.168.1."), local)
                self.assertEqual((local["interface"], local["interface_kind"]), ("eth0", "physical"))


class Oddities(unittest.TestCase):
    def test_a_machine_with_seventy_addresses_is_reached_at_its_outer_one(self):
        sites = [world().builder.home("many", None, routers.ADDRESS_RESTRICTED) for _ in range(2)]
        for site in sites:
            for number in range(72):
                site.host.ip("address", "add", f"10.9.{number}.1/24", "dev", "eth0")
        world().relay()
        settings = {**world().registry().settings(), "STUN_URL": f"stun:{names.TURN}:{PLAIN_PORT}"}
        with Encounter(sites[0].host, sites[1].host, settings) as encounter:
            self.assertLess(encounter.seconds_to_connect(), 2 * targets.SLACK)
            encounter.exchange()
            told = [line for line in encounter.one.log_lines() if "addresses more than are used" in line]
            self.assertEqual(len(told), 1)

    def test_published_ports_need_no_server(self):
        """Behind one router ports are forwarded, the other gives each destination another port."""
        site = world().builder.home("published", None, routers.PORT_RESTRICTED)
        other = world().site("symmetric", 0)
        site.router.nft(f"""
            table ip published {{
                chain prerouting {{
                    type nat hook prerouting priority dstnat - 1;
                    iifname "wan" udp dport 61000-61002 dnat to 192.168.1.2 : udp dport map {{
                        61000 : 50000, 61001 : 50001, 61002 : 50002
                    }}
                }}
            }}
        """)
        ours = {"UDP_PORT": "50000-50002", "EXTERNAL_ADDRESS": f"{site.public_address}:61000-61002"}
        common = world().registry().settings()
        with Encounter(site.host, other.host, {**common, **ours}, common) as encounter:
            encounter.seconds_to_connect()
            encounter.exchange()
            self.assertFalse(is_relayed(encounter.ends()))

    @unittest.skipUnless(platform.machine() in without_netlink.SOCKET, "the call's number is not known")
    def test_where_netlink_is_denied_it_is_said_once(self):
        hosts = [world().site("public", index).host for index in (0, 1)]
        launcher = [sys.executable, os.path.abspath(without_netlink.__file__)]
        settings = world().registry().settings()
        with Encounter(*hosts, settings, launcher=launcher) as encounter:
            encounter.seconds_to_connect()
            encounter.exchange()
            warnings = [line for line in encounter.one.log_lines() if " WARN " in line]
            self.assertEqual(len(warnings), 1, warnings)
            self.assertIn("cannot be listed", warnings[0])

    def test_a_path_that_swallows_full_packets_is_used_with_smaller_ones(self):
        hosts = [world().builder.public().host for _ in range(2)]
        for host in hosts:
            host.nft("""
                table ip narrow {
                    chain input { type filter hook input priority filter; meta l4proto udp meta length > 1100 drop; }
                }
            """)
        with Encounter(*hosts, world().registry().settings()) as encounter:
            encounter.seconds_to_connect()
            encounter.exchange()
            restarts = [encounter.one.restarts_of(encounter.other), encounter.other.restarts_of(encounter.one)]
            self.assertGreater(max(restarts), 0)

    def test_an_address_that_comes_and_goes_is_one_line(self):
        """Whether another machine has a new IPv6 address is found out first: until then it cannot be used."""
        site = world().builder.public()
        site.host.sysctl("ipv6/conf/eth0/disable_ipv6", "0")
        site.host.sysctl("ipv6/conf/eth0/dad_transmits", "3")
        sidecar = Sidecar(site.host, "alice", {**world().registry().settings(), "RUST_LOG": "debug"})
        self.addCleanup(sidecar.kill)

        def until_log(text):
            self.assertTrue(until(lambda: any(text in line for line in sidecar.log_lines()), 20), f"no {text!r}")

        until_log("UDP socket on 198.51.")
        site.host.ip("-6", "address", "add", "2001:db8::77/64", "dev", "eth0")
        until_log("UDP socket on [2001:db8::77]")
        site.host.ip("-6", "address", "del", "2001:db8::77/64", "dev", "eth0")
        until_log("2001:db8::77 is gone")
        lines = [line for line in sidecar.log_lines() if " DEBUG " not in line and "2001:db8::77" in line]
        self.assertEqual(len(lines), 1, lines)


class LinkLocal(unittest.TestCase):
    def test_two_machines_on_a_cable_without_anything_else(self):
        cable = Switch("cable", "cable")
        machines = [Namespace(f"cabled{number}") for number in range(3)]
        for number, machine in enumerate(machines):
            machine.link("usb0", cable, f"end{number}", f"169.254.7.{number + 1}/16")
        near = Registry(machines[2], "169.254.7.3")
        self.addCleanup(near.kill)
        self.connect(machines[:2], near.settings(), "169.254.7.")

    def test_ipv6_addresses_of_a_link_when_it_is_named(self):
        hosts = [world().builder.public().host for _ in range(2)]
        for host in hosts:
            host.sysctl("ipv6/conf/eth0/accept_dad", "0")
            host.sysctl("ipv6/conf/eth0/disable_ipv6", "0")
            host.nft("table ip old { chain input { type filter hook input priority filter; meta l4proto udp drop; }; }")
        self.connect(hosts, {**world().registry().settings(), "INTERFACES": "eth0"}, "[fe80:")

    def connect(self, hosts, settings, beginning):
        with Encounter(*hosts, settings) as encounter:
            encounter.seconds_to_connect()
            encounter.exchange()
            path = encounter.one.statistics_of(encounter.other)["path"]
            self.assertTrue(path["local"]["address"].startswith(beginning), path)


if __name__ == "__main__":
    unittest.main()
