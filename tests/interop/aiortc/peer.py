"""A sidecar of another make, on aiortc (contract parts 3 and 4).

    python peer.py NAME REGISTRY [slow]      (REGISTRY: host:port)

`slow` gives it a STUN server that does not answer, which it asks for 5 s before each description.

Commands on standard input, events on standard output: see the README. It ends with its input.
"""

import asyncio
import json
import re
import sys
import urllib.request

import websockets
from aiortc import RTCConfiguration, RTCIceServer, RTCPeerConnection, RTCSessionDescription
from aiortc.sdp import candidate_from_sdp

SIDECAR_TAKES_BYTES = 262144

# What may wait in the channel when many messages are sent; it is filled up again from half of it.
WAITING_BYTES = 1024 * 1024

# How the message begins that is sent back where others are dropped.
END = '{"payload":null,'

# The discard port.
NOBODY = "stun:127.0.0.1:9"


def report(event, **details):
    print(json.dumps({"event": event, **details}), flush=True)


class FieldPeer:
    """The one connection of this peer; a newer one takes its place."""

    def __init__(self, signal, ice_servers):
        self.signal = signal
        self.ice_servers = ice_servers
        self.sidecar = None
        self.connection = None
        self.mesh = None
        self.drops = False

    async def frame(self, frame):
        kind, sender, payload = frame["type"], frame["peer_id"], frame["payload"]
        if kind == "peer_list":
            for peer in payload["peers"]:
                await self.offer(peer)
        elif kind == "offer":
            await self.answer(sender, payload["sdp"])
        elif kind == "answer" and self.connection.signalingState == "have-local-offer":
            await self.describe("answer", payload["sdp"])
        elif kind == "ice_candidate" and sender == self.sidecar:
            await self.candidate(payload)

    async def offer(self, peer):
        await self.connect(peer)
        self.take(self.connection.createDataChannel("mesh"))
        report("offering")
        await self.connection.setLocalDescription(await self.connection.createOffer())
        await self.announce("offer")

    async def answer(self, peer, sdp):
        report("offered")
        await self.connect(peer)
        self.connection.on("datachannel", self.offered)
        await self.describe("offer", sdp)
        await self.connection.setLocalDescription(await self.connection.createAnswer())
        await self.announce("answer")

    async def connect(self, peer):
        if self.connection is not None:
            self.mesh = None
            await self.connection.close()
        connection = RTCPeerConnection(RTCConfiguration(self.ice_servers))
        connection.on(
            "connectionstatechange",
            lambda: report("connection", state=connection.connectionState),
        )
        self.sidecar, self.connection = peer, connection

    async def describe(self, kind, sdp):
        await self.connection.setRemoteDescription(RTCSessionDescription(sdp, kind))

    async def announce(self, kind):
        sdp = self.connection.localDescription.sdp
        announced = re.search(r"^a=max-message-size:(\d+)", sdp, re.MULTILINE)
        report("described", announces=announced and int(announced[1]))
        await self.signal(kind, self.sidecar, {"sdp": sdp})

    async def candidate(self, payload):
        line = payload["candidate"]
        if not line:
            return
        candidate = candidate_from_sdp(line.removeprefix("candidate:"))
        candidate.sdpMid = payload["sdpMid"]
        candidate.sdpMLineIndex = payload["sdpMLineIndex"]
        await self.connection.addIceCandidate(candidate)

    def offered(self, channel):
        if channel.label == "mesh":
            self.take(channel)
        else:
            report("other", label=channel.label, state="offered")

    def take(self, mesh):
        self.mesh = mesh

        def opened():
            report("open", max_send=SIDECAR_TAKES_BYTES)

        @mesh.on("message")
        def received(data):
            binary = isinstance(data, bytes)
            text = data.decode() if binary else data
            if not self.drops:
                report("message", text=text, binary=binary)
            elif text.startswith(END):
                mesh.send(data)

        mesh.on("close", lambda: mesh is self.mesh and report("closed"))
        if mesh.readyState == "open":
            opened()
        else:
            mesh.on("open", opened)

    async def command(self, command):
        if command["do"] == "send":
            text = command["text"]
            self.mesh.send(text.encode() if command["binary"] else text)
        elif command["do"] == "open":
            self.open_other(command["label"], command["text"])
        elif command["do"] == "treat":
            self.drops = command["as"] == "drop"
            report("treating")
        elif command["do"] == "flood":
            await self.flood(command["text"], command["count"], command["end"])
        elif command["do"] == "leave":
            await self.connection.close()

    async def flood(self, text, count, end):
        """Sends a message many times, as fast as the channel takes it, and another one at the end."""
        mesh, low = self.mesh, asyncio.Event()
        mesh.bufferedAmountLowThreshold = WAITING_BYTES // 2
        mesh.on("bufferedamountlow", low.set)
        for _ in range(count):
            low.clear()
            if mesh.bufferedAmount > WAITING_BYTES:
                await low.wait()
            mesh.send(text)
        mesh.send(end)
        mesh.remove_listener("bufferedamountlow", low.set)

    def open_other(self, label, text):
        """Another channel, which is no business of the sidecar's, and a message on it."""
        other = self.connection.createDataChannel(label)

        @other.on("open")
        def opened():
            other.send(text)
            report("other", label=label, state="open")

        other.on("message", lambda _: report("other", label=label, state="message"))
        other.on("close", lambda: report("other", label=label, state="closed"))


def token(registry, name):
    request = urllib.request.Request(
        f"http://{registry}/api/token", method="POST", headers={"x-api-key": name}
    )
    with urllib.request.urlopen(request) as answer:
        return json.load(answer)


async def standard_input():
    reader = asyncio.StreamReader(limit=1 << 21)
    protocol = asyncio.StreamReaderProtocol(reader)
    await asyncio.get_running_loop().connect_read_pipe(lambda: protocol, sys.stdin)
    return reader


async def main(name, registry, gathering="quick"):
    ice_servers = [RTCIceServer(NOBODY)] if gathering == "slow" else []
    identity = token(registry, name)
    url = f"ws://{registry}/ws?token={identity['token']}"
    async with websockets.connect(url) as socket:

        async def signal(kind, target, payload):
            frame = {"type": kind, "peer_id": identity["peer_id"], "payload": payload}
            await socket.send(json.dumps({**frame, "target_id": target}))

        peer = FieldPeer(signal, ice_servers)
        # One frame or command at a time: each step of WebRTC takes a while.
        turn = asyncio.Lock()

        async def frames():
            registered = False
            await signal("register", None, {})
            async for text in socket:
                frame = json.loads(text)
                if frame["type"] == "peer_list" and not registered:
                    registered = True
                    report("registered", groups=[])
                async with turn:
                    await peer.frame(frame)

        async def commands():
            lines = await standard_input()
            while line := await lines.readline():
                async with turn:
                    await peer.command(json.loads(line))

        running = [asyncio.create_task(frames()), asyncio.create_task(commands())]
        done, _ = await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()


asyncio.run(main(*sys.argv[1:]))
