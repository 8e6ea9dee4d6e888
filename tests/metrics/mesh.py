"""A registry and sidecars on the loopback interface, each with its numbers on a Unix socket, for scripts."""

import contextlib
import http.client
import json
import os
import pathlib
import socket
import subprocess
import tempfile
import time

PATIENCE = 30


def until(condition, what):
    """Waits until a condition holds, and returns what it gave."""
    deadline = time.monotonic() + PATIENCE
    while not (found := condition()):
        if time.monotonic() > deadline:
            raise SystemExit(f"{what}: not within {PATIENCE} s")
        time.sleep(0.05)
    return found


class UnixConnection(http.client.HTTPConnection):
    """A connection to a server on a Unix socket."""

    def __init__(self, path):
        super().__init__("localhost", timeout=PATIENCE)
        self.path = str(path)

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(PATIENCE)
        self.sock.connect(self.path)


class Sidecar:
    """A sidecar with an agent that takes everything."""

    def __init__(self, mesh, name, settings):
        self.name, self.metrics = name, mesh.place / f"{name}.metrics"
        path = mesh.place / name
        environment = {
            "IPC_SOCKET": str(path),
            "API_KEY": name,
            "REGISTRY_URL": f"http://{mesh.address}",
            "INTERFACES": "lo",
            "METRICS": str(self.metrics),
            "RUST_LOG": "warn",
            **settings,
        }
        self.process = subprocess.Popen([mesh.binary], env=environment, stdin=subprocess.DEVNULL)
        until(lambda: path.exists() and self.metrics.exists(), f"the sockets of {name}")
        self.agent = socket.socket(socket.AF_UNIX)
        self.agent.connect(str(path))

    def send(self, to, payload):
        """Sends a message to another one."""
        message = {"type": "agent_status", "payload": payload}
        command = {"type": "send", "payload": {"target_peer": to.name, "message": message}}
        self.agent.sendall(json.dumps(command).encode() + b"\n")
        self.take_events()

    def take_events(self):
        """Reads what has come, so that the sidecar's queue of events stays short."""
        with contextlib.suppress(BlockingIOError):
            while self.agent.recv(1 << 16, socket.MSG_DONTWAIT):
                pass

    def get(self, path, accept="*/*"):
        """The type and the text of an answer."""
        connection = UnixConnection(self.metrics)
        connection.request("GET", path, headers={"Accept": accept})
        answer = connection.getresponse()
        text = answer.read().decode()
        if answer.status != 200:
            raise SystemExit(f"{path}: {answer.status} {text}")
        return answer.getheader("Content-Type"), text

    def stats(self):
        """The numbers as JSON."""
        return json.loads(self.get("/stats")[1])


class Mesh:
    """A registry, and the sidecars that know it."""

    def __init__(self, registry_settings=()):
        self.binary = os.path.abspath(os.environ["SIDECAR_BINARY"])
        self.stack = contextlib.ExitStack()
        self.place = pathlib.Path(self.stack.enter_context(tempfile.TemporaryDirectory(prefix="mesh")))
        command = [self.binary, "registry", "--open", "--port", "0", "--until-eof", *registry_settings]
        self.registry = subprocess.Popen(
            command, env={"RUST_LOG": "warn"}, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self.address = self.registry.stdout.readline().split()[-1]
        self.sidecars = []

    def __enter__(self):
        return self

    def start(self, name, **settings):
        """Starts a sidecar."""
        self.sidecars.append(Sidecar(self, name, settings))
        return self.sidecars[-1]

    def await_all(self):
        """Waits until each is connected with each, on a path whose round-trip time is known."""
        others = len(self.sidecars) - 1

        def is_whole(sidecar):
            peers = sidecar.stats()["peers"]
            known = [peer for peer in peers if peer["state"] == "connected" and peer["round_trip_ms"] is not None]
            return len(known) == others

        until(lambda: all(map(is_whole, self.sidecars)), "the mesh")

    def __exit__(self, *_):
        for sidecar in self.sidecars:
            sidecar.process.terminate()
        for sidecar in self.sidecars:
            sidecar.process.wait(10)
        self.registry.stdin.close()
        self.registry.wait(10)
        self.stack.close()
