"""What happens to networks, machines and the registry, and how soon messages flow again.

These tests mostly wait, so they run beside each other.
"""

from healing import changes, disturbances, idleness, interruptions, slow_paths
from lab.at_once import AtOnce
from lab.world import world

MODULES = (idleness, slow_paths, changes, interruptions, disturbances)
"""Those first whose tests take long, so that none is left at the end."""


def load_tests(loader, _tests, _pattern):
    """The protocol of `unittest`: what this module has in place of its tests."""
    tests = [loader.loadTestsFromModule(module) for module in MODULES]
    return AtOnce(tests, lambda: world().settings())
