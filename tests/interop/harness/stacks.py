"""The WebRTC stacks that there are programs for."""

import os
import pathlib
import shutil
from dataclasses import dataclass, field

from . import messages

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
    # What it can send that is no mesh message.
    harmless: list = field(default_factory=lambda: messages.HARMLESS)
    # Whether it now and then does not notice that the other side has closed.
    misses_goodbyes: bool = False

    def missing(self):
        """What is not installed of all that it needs."""
        return [str(need) for need in self.needs if not (shutil.which(need) or os.path.exists(need))]


def node(name, package, needs=(), **details):
    """A stack whose program runs in Node."""
    folder = name.split("-")[0]
    modules = [HERE / "node_modules" / needed for needed in ("ws", package)]
    return Stack(name, ["node", HERE / folder / "peer.mjs"], ["node", *modules, *needs], **details)


# An empty message takes a number in werift's row but is never sent, so that the peer waits for it for
# ever: https://github.com/shinyoshiaki/werift-webrtc, `send` in packages/sctp/src/sctp.ts.
WERIFT_SENDS = [text for text in messages.HARMLESS if text != messages.EMPTY]


def aiortc(name, version="new", **details):
    """A stack whose program runs in Python, with the packages of a virtual environment."""
    python = TOOLS / f"aiortc-{version}/bin/python"
    return Stack(name, [python, HERE / "aiortc/peer.py"], [python], **details)


PION = TOOLS / "pion-peer"
WEBRTC_RS = TOOLS / "webrtc-rs/target/debug/webrtc-rs-peer"

STACKS = [
    node("chromium", "playwright-core", ["chromium"]),
    node("chromium-plain", "playwright-core", ["chromium"], arguments=["plain"]),
    aiortc("aiortc"),
    aiortc("aiortc-slow", arguments=["slow"]),
    aiortc("aiortc-old", version="old"),
    node("werift", "werift", harmless=WERIFT_SENDS, misses_goodbyes=True),
    node("libdatachannel", "node-datachannel"),
    Stack("pion", [PION], [PION]),
    Stack("webrtc-rs", [WEBRTC_RS], [WEBRTC_RS]),
]
