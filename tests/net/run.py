"""Runs the tests in network namespaces: `run.py [-v] [-k PATTERN] [MODULE ...]`, as unittest takes it.

Without modules it runs every `test_*.py` beside it. SIDECAR_BINARY names the program under test.
"""

import os
import sys
import unittest

from lab import binary, isolation

HERE = os.path.dirname(os.path.abspath(__file__))


def names_modules(arguments):
    """Whether one of them is neither a flag nor the pattern of `-k`."""
    before_each = ["", *arguments]
    pairs = zip(before_each, arguments)
    return any(not argument.startswith("-") and before != "-k" for before, argument in pairs)


def main():
    if not os.access(binary.PATH, os.X_OK):
        sys.exit(f"SIDECAR_BINARY must name the program under test, but is {binary.PATH!r}")
    isolation.enter()
    sys.path.insert(0, HERE)
    if names_modules(sys.argv[1:]):
        unittest.main(module=None)
    unittest.main(module=None, argv=[sys.argv[0], "discover", "-s", HERE, *sys.argv[1:]])


if __name__ == "__main__":
    main()
