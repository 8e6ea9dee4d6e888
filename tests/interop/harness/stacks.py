"""The WebRTC stacks that there are programs for."""

import os
import pathlib
import shutil
from dataclasses import dataclass, field

HERE = pathlib.Path(__file__).resolve().parent.parent
TOOLS = pathlib.Path(os.environ.get("INTEROP_TOOLS", HERE / ".tools"))


@dataclass
class Stack:
    """How to start the peer program of a stack: `program NAME REGISTRY arguments`."""

    name: str
    program: list
    # What has to be there, by path or by name of a command.
    needs: list
    arguments: list = field(default_factory=list)

    def missing(self):
        """What is not installed of all that it needs."""
        return [str(need) for need in self.needs if shutil.which(need) is None and not os.path.exists(need)]


def node(name, *packages, arguments=()):
    """A stack whose program runs in Node."""
    folder = name.split("-")[0]
    modules = [HERE / "node_modules" / package for package in ("ws", *packages)]
    return Stack(name, ["node", HERE / folder / "peer.mjs"], ["node", *modules], list(arguments))


PYTHON = TOOLS / "python/bin/python"
PION = TOOLS / "pion-peer"

STACKS = [
    node("chromium", "playwright-core"),
    node("chromium-plain", "playwright-core", arguments=["plain"]),
    Stack("aiortc", [PYTHON, HERE / "aiortc/peer.py"], [PYTHON]),
    node("werift", "werift"),
    node("libdatachannel", "node-datachannel"),
    Stack("pion", [PION], [PION]),
]
STACKS[0].needs.append("chromium")
STACKS[1].needs.append("chromium")
