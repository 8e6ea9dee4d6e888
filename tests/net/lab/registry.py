"""The registry, on a machine of its own."""

import os
import urllib.request

from . import binary, names
from .isolation import STATE

PORT = 80
ADDRESS = names.ADDRESSES[names.REGISTRY]


class Registry:
    """Our development registry: every key is let in and is the peer's name."""

    def __init__(self, machine, address, name=None, arguments=()):
        """`name`: by which the sidecars are to find it, in place of its address. `arguments`: more of them."""
        self.machine = machine
        self.address = address
        self.name = name or address
        self.arguments = arguments
        self.start()

    def start(self):
        """Starts it and waits until it listens."""
        with open(os.path.join(STATE, f"{self.machine.name}.log"), "ab") as log:
            self.process = self.machine.spawn(
                [binary.PATH, "registry", "--open", "--listen", self.address, "--port", str(PORT), *self.arguments],
                stdout=-1,
                stderr=log,
            )
        # It prints its address once it listens.
        if not self.process.stdout.readline():
            raise RuntimeError("the registry ended at its start")

    def kill(self):
        """Ends it as a crash does."""
        self.process.kill()
        self.process.wait()
        self.process.stdout.close()

    def remove(self):
        """Takes it away with its machine."""
        self.kill()
        self.machine.remove()

    def settings(self):
        """What a sidecar needs to know to come here."""
        return {
            "SIGNALING_URL": f"ws://{self.name}:{PORT}/ws",
            "TOKEN_URL": f"http://{self.name}:{PORT}/api/token",
        }

    def health_seen_by(self, host):
        """What the registry says of itself to a host."""
        with host.entered():
            with urllib.request.urlopen(f"http://{self.name}:{PORT}/health", timeout=5) as answer:
                return answer.read().decode()
