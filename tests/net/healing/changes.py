"""Networks that change: interfaces and addresses come and go, routes move, routers forget."""

import time
import unittest

from lab import binary, routers, targets
from lab.healing import PAIRS, HealingCase, mobiles
from lab.pairs import add_tests
from lab.registry import PORT as REGISTRY_PORT

HOMES = ("port restricted", "port restricted")

WITHOUT_NETWORK_SECONDS = 20

FORGOTTEN = 4
FORGOTTEN_EVERY_SECONDS = 15

CONTAINERS = 20
CONTAINERS_LAST_SECONDS = 3

CHURN_BYTES = 4000
"""What a sidecar and a registry may have to say to each other meanwhile: less than a candidate for each container."""


@unittest.skipUnless(binary.knows("TURN_URL"), "this sidecar does not use STUN and TURN")
class Changes(HealingCase):
    """Changes on one of two hosts that talk."""

    def test_all_networks_are_lost_for_a_while_and_another_one_comes(self):
        lost = without_network(WITHOUT_NETWORK_SECONDS)
        self.heal(f"no network for {WITHOUT_NETWORK_SECONDS} s", HOMES, lost, targets.AFTER_MOVE)

    def test_ipv6_that_comes_and_goes_beside_ipv4_disturbs_nobody(self):
        def disturb(place, other):
            other.host.give_ipv6(other.interface, "2001:db8::2/64")
            started = time.monotonic()
            for _ in range(3):
                place.host.give_ipv6(place.interface, "2001:db8::1/64")
                time.sleep(2)
                place.host.take_ipv6(place.interface)
                time.sleep(2)
            other.host.take_ipv6(other.interface)
            return started

        found = self.heal("IPv6 comes and goes", ("public", "public"), disturb, targets.AFTER_MOVE)
        self.assertEqual(found.disconnects, 0)

    def test_a_connection_over_ipv6_goes_on_over_ipv4_when_that_is_all_there_is(self):
        places = mobiles(self, "public", "public")

        def give(place, *_):
            place.host.give_ipv6(place.interface, f"2001:db8::1:{places.index(place)}/64")

        def disturb(place, _):
            place.host.take_ipv6(place.interface)
            return time.monotonic()

        for place in places:
            give(place)
        self.heal_places("IPv6 goes", ("public", "public"), places, disturb, targets.AFTER_MOVE, give)

    def test_the_default_route_moves_while_the_old_interface_stays_up_but_leads_nowhere(self):
        places = mobiles(self, *HOMES)
        for place in places:
            place.gets_a_second_network(routers.PORT_RESTRICTED)

        def disturb(place, _):
            return place.is_led_astray()

        def restore(place, _):
            place.is_led_back()

        self.heal_places("default route moves", HOMES, places, disturb, targets.AFTER_MOVE, restore)

    def test_twenty_interfaces_that_appear_and_go_are_nobodys_business(self):
        def disturb(place, _):
            place.host.nft(f"""
                table ip churn {{
                    counter registry {{}}
                    chain output {{
                        type filter hook output priority filter;
                        tcp dport {REGISTRY_PORT} counter name registry
                    }}
                }}
            """)
            started = time.monotonic()
            for _ in range(2):
                for number in range(CONTAINERS):
                    place.host.ip("link", "add", f"veth{number}", "type", "veth", "peer", "name", f"inner{number}")
                    place.host.ip("address", "add", f"172.17.{number}.1/24", "dev", f"veth{number}")
                    for end in ("veth", "inner"):
                        place.host.ip("link", "set", f"{end}{number}", "up")
                time.sleep(CONTAINERS_LAST_SECONDS)
                for number in range(CONTAINERS):
                    place.host.ip("link", "delete", f"veth{number}")
            said.append(place.host.counters("churn")["registry"])
            place.host.nft("delete table ip churn")
            return started

        said = []
        what = f"{CONTAINERS} interfaces appear and go"
        found = self.heal(what, HOMES, disturb, targets.UNDISTURBED)
        print(f"\n{what}: {said} bytes to the registry, {found.restarts} restarts")
        self.assertEqual((found.disconnects, found.restarts), (0, 0))
        self.assertLess(max(said), CHURN_BYTES)


def without_network(seconds):
    def disturb(place, _):
        place.leaves()
        time.sleep(seconds)
        return place.arrives()

    return disturb


def forgetting(every):
    """Routers forget several times, once in so many seconds."""

    def disturb(place, _):
        started = time.monotonic()
        for _ in range(FORGOTTEN):
            time.sleep(every)
            place.is_forgotten()
        return started

    return disturb


def forgetting_target(pair):
    """A symmetric router that has forgotten gives the host another port, as if it were another router."""
    return targets.AFTER_NEW_ADDRESS if "symmetric" in pair else targets.UNDISTURBED


def forgetting_test(every):
    """Returns what makes the test of a pair whose routers forget once in so many seconds."""

    def test_of(pair):
        def test(case):
            what = f"routers forget every {every} s"
            found = case.heal(what, pair, forgetting(every), forgetting_target(pair), rate=10)
            case.assertEqual(found.disconnects, 0)

        return test

    return test_of


add_tests(Changes, "routers forget", PAIRS[1:5], forgetting_test(FORGOTTEN_EVERY_SECONDS))
