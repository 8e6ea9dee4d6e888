"""What tests of healing have in common: two sidecars that talk while something happens."""

import math
import statistics
import sys
import time
import unittest
from dataclasses import dataclass, field

from . import targets
from .behaviour import can_be_direct
from .encounter import CONNECT_SECONDS, Encounter, is_relayed
from .flow import RATE, Conversation, Tally
from .mobile import Mobile
from .sidecar import Sidecar
from .world import world

PAIRS = [
    ("public", "public"),
    ("port restricted", "port restricted"),
    ("symmetric", "full cone"),
    ("carrier", "port restricted"),
    ("symmetric", "symmetric"),
    ("udp blocked", "port restricted"),
]
"""Direct ones, then one that a relay carries by UDP, and one that it carries by TCP."""

DIRECT_PAIRS = PAIRS[:4]

BEFORE_SECONDS = 2
"""How long messages flow before something happens."""

AFTER_SECONDS = 3
"""How long they must flow afterwards without another gap."""

PATIENCE_SECONDS = 55
"""After this long without a message a connection is not healed."""


@dataclass
class Measured:
    """What was found in several runs: the gaps in seconds, infinite where messages never flowed again, what became of
    the messages, and how often an agent was told `peer_disconnected` and a connection was replaced."""

    gaps: list = field(default_factory=list)
    tally: Tally = field(default_factory=Tally)
    disconnects: int = 0
    restarts: int = 0

    HEADER = [
        "| | | | Gap, median | Gap, worst | Sent | Lost | Doubled | Out of order | Errors | Disconnects | Restarts |",
        "|---|---|---|---|---|---|---|---|---|---|---|---|",
    ]

    def __add__(self, other):
        return Measured(
            self.gaps + other.gaps,
            self.tally + other.tally,
            self.disconnects + other.disconnects,
            self.restarts + other.restarts,
        )

    def row(self, *heads):
        """In Markdown."""
        median, worst = targets.seconds(statistics.median(self.gaps)), targets.seconds(max(self.gaps))
        return f"| {' | '.join(heads)} | {median} | {worst} | {self.tally} | {self.disconnects} | {self.restarts} |"


def mobiles(case, *kinds):
    """Hosts at new sites of these kinds, which are there for a test and taken away after it."""
    places = [Mobile(world().builder, kind) for kind in kinds]
    for place in places:
        case.addCleanup(place.remove)
    return places


def new_registry(case):
    """A registry for a test."""
    registry = world().new_registry()
    case.addCleanup(registry.remove)
    return registry


class HealingCase(unittest.TestCase):
    """Prints a table of what its tests have measured."""

    rows = {}

    @classmethod
    def setUpClass(cls):
        cls.rows = {}

    @classmethod
    def tearDownClass(cls):
        if cls.rows:
            print("\n" + "\n".join(Measured.HEADER + [cls.rows[key] for key in sorted(cls.rows)]), flush=True)

    def heal(self, what, pair, disturb, target, **options):
        """Disturbs hosts of these kinds of sites."""
        return self.heal_places(what, pair, mobiles(self, *pair), disturb, target, **options)

    def heal_places(
        self, what, pair, places, disturb, target,
        restore=None, registry_away=False, third=False, rate=RATE, **settings,
    ):
        """Disturbs two that talk, each host in turn, and checks how long it takes until they talk on, and that each
        message arrives. `disturb` is given the place to be disturbed and the other; it returns the moment from which
        messages should flow. `restore` makes the next run possible. `third`: another sidecar is connected to both."""
        registry = new_registry(self)
        thirds_host = mobiles(self, "public")[0].host if third else None
        measured = Measured()
        for run in range(targets.HEAL_RUNS):
            order = 1 if run % 2 == 0 else -1
            with Meeting(places, registry, thirds_host, **settings) as meeting:
                if registry_away:
                    registry.kill()
                measured += meeting.measure(lambda: disturb(*places[::order]), rate)
            if registry_away:
                registry.start()
            if restore:
                restore(*places[::order])
            # Pairs in their order, and what is none of them.
            place = PAIRS.index(pair) if pair in PAIRS else len(PAIRS)
            self.rows[what, place, pair] = measured.row(what, *pair)
        target.check(measured.gaps)
        self.assertTrue(measured.tally.is_clean(), measured.row(what, *pair))
        return measured


class Meeting(Encounter):
    """Two sidecars at two places that have found their path. `third`: a host with another, to which both
    are connected. It comes last, since it passes on signals only between those whom the registry has listed to it,
    and that lists whoever comes after it only when it is asked again."""

    def __init__(self, places, registry, third=None, patience=CONNECT_SECONDS, **settings):
        settings = world().settings(**registry.settings(), **settings)
        super().__init__(*(place.host for place in places), settings)
        self.direct = can_be_direct(*(place.site.behaviour for place in places))
        self.patience = patience
        self.settings = settings
        self.thirds_host = third
        self.third = None

    def __enter__(self):
        try:
            self.seconds_to_connect(self.patience)
            if self.thirds_host:
                self.third = Sidecar(self.thirds_host, "carol", self.settings)
                for sidecar in (self.one, self.other):
                    self.third.until_peer("peer_connected", sidecar, CONNECT_SECONDS)
                    sidecar.until_peer("peer_connected", self.third, CONNECT_SECONDS)
            ends = self.ends_when(lambda ends: is_relayed(ends) != self.direct)
            if is_relayed(ends) == self.direct:
                raise AssertionError(f"the path is {ends}")
        except AssertionError as failure:
            self.__exit__(type(failure))
            raise
        return self

    def __exit__(self, failure, *rest):
        if self.third:
            self.third.kill()
            if failure:
                print(f"\n{self.third.account()}", file=sys.stderr)
        super().__exit__(failure, *rest)

    def measure(self, disturb, rate=RATE):
        """Lets the two talk while something happens."""
        measured = Measured()
        with Conversation(self.one, self.other, rate) as conversation:
            time.sleep(BEFORE_SECONDS)
            good_from = disturb()
            healed = conversation.until_it_flows(good_from, PATIENCE_SECONDS)
            time.sleep(AFTER_SECONDS)
            measured.gaps.append(conversation.longest_silence(good_from) if healed else math.inf)
            measured.tally = conversation.settled()
        for sidecar, peer in self.both_ways():
            told = (payload["peer_id"] for payload in sidecar.heard_so_far("peer_disconnected"))
            measured.disconnects += sum(name == peer.peer_id for name in told)
            measured.restarts += sidecar.restarts_of(peer)
        return measured
