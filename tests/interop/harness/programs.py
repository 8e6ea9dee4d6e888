"""The programs of a test: the registry, our sidecar with its agent, and a peer of another make."""

import itertools
import json
import os
import signal
import socket
import subprocess
import time

from .events import Events, Failure

STARTED_WITHIN = 30


def binary():
    """Our own program."""
    return os.environ["SIDECAR_BINARY"]


class Program:
    """A process in a group of its own, whose complaints go to a file."""

    def __init__(self, command, log, environment=(), **pipes):
        with open(log, "ab") as errors:
            self.process = subprocess.Popen(
                command,
                env={**os.environ, **dict(environment)},
                stderr=errors,
                start_new_session=True,
                **pipes,
            )
        self.groups = [self.process.pid]

    def kill(self):
        """As `kill -9`: nothing of it has the time for a goodbye."""
        for group in reversed(self.groups):
            try:
                os.killpg(group, signal.SIGKILL)
            except ProcessLookupError:
                pass
        self.process.wait()


class Registry(Program):
    """Introduces the two to each other."""

    def __init__(self, directory):
        super().__init__(
            [binary(), "registry", "--open", "--port", "0", "--until-eof"],
            directory / "registry.log",
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        greeting = self.process.stdout.readline().decode()
        self.address = greeting.removeprefix("listening on ").strip()


class Sidecar(Program):
    """Our sidecar, and the agent at its socket."""

    def __init__(self, name, registry, directory):
        self.ids = itertools.count(1)
        path = directory / "agent.sock"
        environment = {
            "API_KEY": name,
            "SIGNALING_URL": f"ws://{registry.address}/ws",
            "TOKEN_URL": f"http://{registry.address}/api/token",
            "IPC_SOCKET": str(path),
            "AGENT_LINGER": "0",
            "RUST_LOG": os.environ.get("RUST_LOG", "debug"),
        }
        super().__init__([binary()], directory / "sidecar.log", environment)
        self.socket = self._connect(path)
        self.events = Events(
            f"agent of {name}", self.socket.makefile("rb"), directory / "agent.events"
        )

        self.events.wait("connection to the registry", is_registered)

    def _connect(self, path):
        deadline = time.monotonic() + STARTED_WITHIN
        while not path.exists():
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise Failure("the sidecar has no socket")
            time.sleep(0.01)
        connection = socket.socket(socket.AF_UNIX)
        connection.connect(str(path))
        return connection

    def list_peers(self):
        """The peers that are connected, as it says."""
        command = next(self.ids)
        self._write(f'{{"type":"list_peers","id":{command}}}')
        return self.answer(command)[1]["peers"]

    def send(self, peer, message):
        """Sends a message, which is JSON text and goes as it is. Gives the id of the command."""
        command = next(self.ids)
        payload = f'{{"target_peer":{json.dumps(peer)},"message":{message}}}'
        self._write(f'{{"type":"send","id":{command},"payload":{payload}}}')
        return command

    def _write(self, line):
        self.socket.sendall(line.encode() + b"\n")

    def wait(self, what, kind, within=10, after=-1, count=1, **payload):
        return self.events.wait(what, says(kind, **payload), within, after, count)

    def answer(self, command, within=10):
        """The answer to a command: its type and payload."""
        found = self.events.wait(
            f"answer to command {command}", lambda event: event.get("id") == command, within
        )
        return found.body["type"], found.body["payload"]

    def leave(self):
        """Asks it to end, as an agent does."""
        self.process.send_signal(signal.SIGTERM)


def is_registered(event):
    """Matches what says that the registry knows the sidecar: the greeting, or news after it."""
    known = {"ready": "registry", "registry": "state"}
    return event["type"] in known and event["payload"][known[event["type"]]] == "connected"


def says(kind, **payload):
    """Matches an event for the agent by its type and by parts of its payload."""

    def matches(event):
        return event["type"] == kind and all(
            event["payload"].get(key) == value for key, value in payload.items()
        )

    return matches


class Peer(Program):
    """A sidecar of another make: one of the programs in the folders of the stacks."""

    def __init__(self, name, stack, registry, directory):
        self.name = name
        super().__init__(
            [*stack.program, name, registry.address, *stack.arguments],
            directory / f"{name}.log",
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        self.events = Events(name, self.process.stdout, directory / f"{name}.events")
        registered = self.wait("registration", "registered", within=STARTED_WITHIN)
        self.groups += registered.body["groups"]

    def command(self, do, **details):
        line = json.dumps({"do": do, **details}, ensure_ascii=False).encode()
        self.process.stdin.write(line + b"\n")
        self.process.stdin.flush()

    def send(self, text, binary=False):
        self.command("send", text=text, binary=binary)

    def wait(self, what, event, within=10, after=-1, count=1, **details):
        def matches(said):
            if said["event"] == "failed":
                raise Failure(f"{self.name} failed: {said['reason']}")
            return said["event"] == event and all(
                said.get(key) == value for key, value in details.items()
            )

        return self.events.wait(what, matches, within, after, count)
