"""Which of several ways is taken, and that there is one where a machine is odd."""

import os
import platform
import sys
import time
import unittest

from lab import delay, names, routers, targets, without_netlink
from lab.encounter import Encounter, is_relayed
from lab.flow import Conversation
from lab.namespaces import Namespace, Switch
from lab.registry import Registry
from lab.relay import PLAIN_PORT
from lab.sidecar import Sidecar
from lab.waiting import until
from lab.world import world

SETTLED_SECONDS = 5
"""By then ICE has checked every pair."""

SLOW_SECONDS = 0.01
"""What a slow cable takes, one way."""

MOVED_SECONDS = 30
"""By then the faster of two paths is taken."""

STAYS_SECONDS = 10

SILENCE_SECONDS = 0.5
"""How long nothing may arrive while paths change."""


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


class RoundTrips(unittest.TestCase):
    def test_a_tunnel_that_is_faster_than_the_link_is_taken_in_the_end(self):
        """The link is preferred. A round trip takes 40 ms on it: two slow cables, there and back."""
        if not os.access(delay.DEVICE, os.R_OK | os.W_OK):
            self.skipTest(f"{delay.DEVICE} may not be used")
        site = world().builder.build("port restricted")
        hub = Switch("fast-hub", "hub")
        hosts = [delay.DistantMachine(f"slow{number}", SLOW_SECONDS, ["eth0"]) for number in (1, 2)]
        for number, host in enumerate(hosts):
            site.access.connect(host, "eth0")
            host.link("tailscale0", hub, f"vpn{number}", f"100.64.0.{number + 1}/24")
        with Encounter(*hosts, world().registry().settings()) as encounter:
            encounter.seconds_to_connect()
            connected = time.monotonic()
            with Conversation(encounter.one, encounter.other) as conversation:
                # Checks of the tunnel are answered first, so it may be used for a moment before the link is.
                while not (self.has_moved(encounter) and self.interfaces(encounter) == ["tailscale0", "tailscale0"]):
                    self.assertLess(time.monotonic(), connected + MOVED_SECONDS, self.interfaces(encounter))
                    time.sleep(0.1)
                moved = time.monotonic()
                time.sleep(STAYS_SECONDS)
                silence = conversation.longest_silence(connected)
                tally = conversation.settled()
            print(f"\n| moved after {moved - connected:.1f} s | longest silence {silence * 1000:.0f} ms | {tally} |")
            self.assertTrue(tally.is_clean(), tally)
            self.assertLess(silence, SILENCE_SECONDS * targets.SLACK)
            self.assertEqual(self.interfaces(encounter), ["tailscale0", "tailscale0"])
            for sidecar, peer in encounter.both_ways():
                self.assertEqual(sidecar.restarts_of(peer), 0)
                self.assertEqual(sidecar.heard_so_far("peer_disconnected"), [])

    def has_moved(self, encounter):
        """Whether the side that made the offer has decided."""
        return any("answers faster" in line for sidecar in (encounter.one, encounter.other) for line in sidecar.log_lines())

    def interfaces(self, encounter):
        """Those that both use."""
        found = [sidecar.statistics_of(peer) for sidecar, peer in encounter.both_ways()]
        return [statistics["path"]["local"]["interface"] for statistics in found]


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
