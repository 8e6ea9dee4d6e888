"""What tests of healing have in common: two sidecars that talk while something happens to the network."""

import math
import statistics
import time
import unittest
from dataclasses import dataclass, field

from . import targets
from .behaviour import can_be_direct
from .encounter import Encounter, is_relayed
from .flow import Conversation, Tally
from .mobile import Mobile
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
    """What was found in several runs: the gaps in seconds, infinite where messages never flowed again, and what
    became of the messages."""

    gaps: list = field(default_factory=list)
    tally: Tally = field(default_factory=Tally)

    def row(self, *heads):
        """In Markdown."""
        median, worst = targets.seconds(statistics.median(self.gaps)), targets.seconds(max(self.gaps))
        return f"| {' | '.join(heads)} | {median} | {worst} | {self.tally} |"


HEADER = [
    "| What happens | | | Gap, median | Gap, worst | Sent | Lost | Doubled | Out of order | Errors |",
    "|---|---|---|---|---|---|---|---|---|---|",
]


class HealingCase(unittest.TestCase):
    """Prints a table of what its tests have measured."""

    rows = {}

    @classmethod
    def setUpClass(cls):
        # The tests run beside each other, and what they share is to be built once.
        world().relay()
        cls.rows = {}

    @classmethod
    def tearDownClass(cls):
        if cls.rows:
            print("\n" + "\n".join(HEADER + [cls.rows[key] for key in sorted(cls.rows)]), flush=True)

    def heal(self, what, pair, disturb, target, registry_away=False, third=False):
        """Disturbs two that talk, each host in turn, and checks how long it takes until they talk on and that no message
        is lost. `disturb` is given the `Mobile` to be disturbed and the other. `third`: another sidecar is connected to
        both."""
        registry = world().new_registry()
        places = [Mobile(world().builder, kind) for kind in pair]
        measured = Measured()
        for run in range(targets.HEAL_RUNS):
            order = 1 if run % 2 == 0 else -1
            with Meeting(places, registry, third) as meeting:
                if registry_away:
                    registry.kill()
                meeting.disturb(lambda: disturb(*places[::order]), measured)
            if registry_away:
                registry.start()
            self.rows[what, PAIRS.index(pair)] = measured.row(what, *pair)
        target.check(measured.gaps)
        self.assertTrue(measured.tally.is_clean(), measured.row(what, *pair))


class Meeting(Encounter):
    """Two sidecars at two places that have found their path."""

    def __init__(self, places, registry, third=False, **settings):
        settings = world().settings(**registry.settings(), **settings)
        super().__init__(*(place.host for place in places), settings)
        self.direct = can_be_direct(*(place.site.behaviour for place in places))
        self.third = third and Sidecar(world().builder.public().host, "carol", settings)

    def __enter__(self):
        try:
            self.seconds_to_connect()
            ends = self.ends_when(lambda ends: is_relayed(ends) != self.direct)
            if is_relayed(ends) == self.direct:
                raise AssertionError(f"the path is {ends}")
        except AssertionError as failure:
            self.__exit__(type(failure))
            raise
        return self

    def disturb(self, disturb, measured):
        """Lets the two talk while something happens, and adds what is found to `measured`."""
        with Conversation(self.one, self.other) as conversation:
            time.sleep(BEFORE_SECONDS)
            good_again = disturb()
            healed = conversation.until_it_flows(good_again, PATIENCE_SECONDS)
            time.sleep(AFTER_SECONDS)
            measured.gaps.append(conversation.longest_silence(good_again) if healed else math.inf)
            measured.tally += conversation.settled()
