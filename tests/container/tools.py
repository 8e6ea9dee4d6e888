"""The programs of requirements.txt, beside the Python that runs the tests."""

import sys
from pathlib import Path


def tool(name):
    return Path(sys.prefix) / "bin" / name
