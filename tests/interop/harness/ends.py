"""The two ends of a measurement: a sidecar with its agent, or a peer program of a stack."""

import socket
import subprocess
import threading
import time

from .events import Failure
from .programs import STARTED_WITHIN, Peer, Program

# How long many messages may take.
PATIENCE = 120

# The message after the last one, which the receiver sends back. Peer programs know its beginning.
END = '{"payload":null,"request_id":"","source_agent":"","target_agent":"","type":"end"}'


class SidecarEnd(Program):
    """A sidecar of ours or of another make, and its agent."""

    def __init__(self, name, binary, registry, directory):
        self.name = name
        path = directory / f"{name}.sock"
        environment = {
            "API_KEY": name,
            "SIGNALING_URL": f"ws://{registry.address}/ws",
            "TOKEN_URL": f"http://{registry.address}/api/token",
            "IPC_SOCKET": str(path),
            "RUST_LOG": "warn",
        }
        log = directory / f"{name}.log"
        super().__init__([binary], log, environment, stdout=subprocess.DEVNULL)
        self.socket = self._connect(path)
        self.lines = self.socket.makefile("rb", 1 << 20)

    def _connect(self, path):
        connection = socket.socket(socket.AF_UNIX)
        connection.settimeout(PATIENCE)
        deadline = time.monotonic() + STARTED_WITHIN
        while True:
            try:
                connection.connect(str(path))
                return connection
            except OSError as error:
                if self.process.poll() is not None or time.monotonic() > deadline:
                    raise Failure(f"{self.name} has no socket: {error}") from error
                time.sleep(0.01)

    def await_peer(self):
        """Waits until the other end is connected."""
        self._next("peer_connected")

    def become_receiver(self, sender):
        """Takes messages until the end, and sends it back."""

        def take():
            while not self._next_is_end():
                pass
            self.socket.sendall(command(sender.name, END))

        threading.Thread(target=take, daemon=True).start()

    def send_many(self, receiver, text, count):
        """Sends a message many times, and waits until the end has come back."""
        line = command(receiver.name, text)
        for _ in range(count):
            self.socket.sendall(line)
        self.socket.sendall(command(receiver.name, END))
        while not self._next_is_end():
            pass

    def _next_is_end(self):
        line = self._next("message")
        return len(line) < 1024 and b'"type":"end"' in line

    def _next(self, kind):
        """The next event of a type."""
        try:
            for line in self.lines:
                if line.startswith(b'{"type":"error"'):
                    raise Failure(f"{self.name}: {line.decode()}")
                if line.startswith(b'{"type":"%b"' % kind.encode()):
                    return line
        except OSError as error:
            raise Failure(f"{self.name}: no {kind}: {error}") from error
        raise Failure(f"{self.name} has ended")


class PeerEnd(Peer):
    """A peer program of a stack."""

    def await_peer(self):
        self.wait("open channel", "open", within=STARTED_WITHIN)

    def become_receiver(self, _sender):
        self._treat("drop")

    def send_many(self, _receiver, text, count):
        self._treat("report")
        before = self.events.now()
        self.command("flood", text=text, count=count, end=END)
        self.wait("end that was sent back", "message", PATIENCE, before)

    def _treat(self, how):
        before = self.events.now()
        self.command("treat", **{"as": how})
        self.wait("other treatment", "treating", after=before)


def command(target, text):
    """The line with which an agent sends a message."""
    return f'{{"type":"send","payload":{{"target_peer":"{target}","message":{text}}}}}\n'.encode()
