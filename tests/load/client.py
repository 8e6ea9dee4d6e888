"""A registry as a process, and clients of it: HTTP and WebSocket on asyncio's streams, standard library only."""

import asyncio
import base64
import contextlib
import json
import os
import pathlib
import signal
import struct
import subprocess
import tempfile
import time

BINARY = os.path.abspath(os.environ["SIDECAR_BINARY"])
# Longer than anything takes here.
PATIENCE = 60
TEXT, CLOSE, PING, PONG = 1, 8, 9, 10


class Registry:
    """`chatixia-sidecar registry` on a port of this machine, with a directory of its own."""

    def __init__(self, *arguments):
        self.directory = tempfile.TemporaryDirectory(prefix="registry-load-")
        self.arguments = arguments
        self.log = open(pathlib.Path(self.directory.name) / "log", "w+", encoding="utf-8")
        self.port = 0
        self.start()

    def start(self):
        """Starts it, on the port that it had before."""
        command = [BINARY, "registry", "--port", str(self.port), *self.arguments]
        environment = {"REGISTRY_DATA": f"{self.directory.name}/data"}
        self.process = subprocess.Popen(
            command, env=environment, stdout=subprocess.PIPE, stderr=self.log, text=True
        )
        line = self.process.stdout.readline()
        if not line:
            raise RuntimeError(f"the registry does not start: {self.logged()}")
        self.port = int(line.rsplit(":", 1)[1])

    def stop(self, how=signal.SIGTERM):
        self.process.send_signal(how)
        code = self.process.wait(PATIENCE)
        self.process.stdout.close()
        return code

    def end(self):
        """Ends it for good; returns its exit code and its log."""
        code, log = self.stop(), self.logged()
        self.log.close()
        self.directory.cleanup()
        return code, log

    def logged(self):
        return pathlib.Path(self.log.name).read_text(encoding="utf-8")

    def memory(self):
        """Its resident memory in bytes."""
        status = pathlib.Path(f"/proc/{self.process.pid}/status").read_text(encoding="ascii")
        line = next(line for line in status.splitlines() if line.startswith("VmRSS:"))
        return int(line.split()[1]) * 1024

    def processor_seconds(self):
        """The processor time that it has taken."""
        stat = pathlib.Path(f"/proc/{self.process.pid}/stat").read_text(encoding="ascii")
        user, system = stat.rsplit(")", 1)[1].split()[11:13]
        return (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")

    def open_files(self):
        return len(os.listdir(f"/proc/{self.process.pid}/fd"))


async def connect(registry, tls=None):
    name = "localhost" if tls else None
    opened = asyncio.open_connection("127.0.0.1", registry.port, ssl=tls, server_hostname=name)
    return await asyncio.wait_for(opened, PATIENCE)


async def ask(registry, method, path, key="", body=None, tls=None):
    """Status and content of the answer to a request."""
    reader, writer = await connect(registry, tls)
    content = b"" if body is None else json.dumps(body).encode()
    head = f"{method} {path} HTTP/1.1\r\nhost: x\r\nx-api-key: {key}\r\ncontent-length: {len(content)}\r\n\r\n"
    writer.write(head.encode() + content)
    answer = await asyncio.wait_for(reader.read(), PATIENCE)
    await closed(writer)
    head, _, content = answer.partition(b"\r\n\r\n")
    return int(head.split()[1]), json.loads(content)


async def closed(writer):
    writer.close()
    with contextlib.suppress(OSError):
        await writer.wait_closed()


class Peer:
    """A peer's WebSocket."""

    @classmethod
    async def open(cls, registry, name, tls=None):
        status, content = await ask(registry, "POST", "/api/token", key=name, tls=tls)
        if status != 200:
            raise RuntimeError(f"no token for {name}: {status} {content}")
        peer = cls()
        peer.name = name
        peer.reader, peer.writer = await connect(registry, tls)
        key = base64.b64encode(os.urandom(16)).decode()
        peer.writer.write(
            f"GET /ws?token={content['token']} HTTP/1.1\r\nhost: x\r\nupgrade: websocket\r\nconnection: upgrade\r\n"
            f"sec-websocket-version: 13\r\nsec-websocket-key: {key}\r\n\r\n".encode()
        )
        head = await asyncio.wait_for(peer.reader.readuntil(b"\r\n\r\n"), PATIENCE)
        if not head.startswith(b"HTTP/1.1 101 "):
            raise RuntimeError(f"no WebSocket for {name}: {head}")
        return peer

    def send(self, kind, target=None, payload=None):
        frame = {"type": kind, "peer_id": self.name, "target_id": target, "payload": payload}
        self.write(TEXT, json.dumps(frame).encode())

    def write(self, opcode, content):
        """A frame, masked with zeros: the bytes are the content's."""
        length = len(content)
        if length < 126:
            head = struct.pack("!BB", 0x80 | opcode, 0x80 | length)
        elif length < 1 << 16:
            head = struct.pack("!BBH", 0x80 | opcode, 0x80 | 126, length)
        else:
            head = struct.pack("!BBQ", 0x80 | opcode, 0x80 | 127, length)
        self.writer.write(head + bytes(4) + content)

    async def receive(self):
        """The next text frame; None at the end. Pings are answered."""
        while True:
            try:
                first, second = await self.reader.readexactly(2)
                length = second & 127
                if length > 125:
                    size = 2 if length == 126 else 8
                    length = int.from_bytes(await self.reader.readexactly(size), "big")
                content = await self.reader.readexactly(length)
            except (asyncio.IncompleteReadError, OSError):
                return None
            opcode = first & 15
            if opcode == PING:
                self.write(PONG, content)
            elif opcode == CLOSE:
                return None
            elif opcode == TEXT:
                return json.loads(content)

    async def register(self):
        """Registers; returns the names in the answer. Frames that come before it are dropped."""
        self.send("register")
        while True:
            frame = await asyncio.wait_for(self.receive(), PATIENCE)
            if frame is None:
                raise ConnectionError("closed")
            if frame["type"] == "peer_list":
                return frame["payload"]["peers"]

    async def close(self):
        await closed(self.writer)


class Watch:
    """Seconds since it was made."""

    def __init__(self):
        self.began = time.monotonic()

    def seconds(self):
        return time.monotonic() - self.began
