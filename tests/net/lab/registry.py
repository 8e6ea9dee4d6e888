"""The registry, on a machine of its own."""

import os
import urllib.request

from . import binary, names
from .isolation import STATE

PORT = 80
ADDRESS = names.ADDRESSES[names.REGISTRY]


class Registry:
    """Our development registry: every key is let in and is the peer's name."""

    def __init__(self, internet):
        self.machine = internet.server("registry", ADDRESS)
        with open(os.path.join(STATE, "registry.log"), "wb") as log:
            self.process = self.machine.spawn(
                [binary.PATH, "registry", "--open", "--listen", ADDRESS, "--port", str(PORT)],
                stdout=-1,
                stderr=log,
            )
        # It prints its address once it listens.
        if not self.process.stdout.readline():
            raise RuntimeError("the registry ended at its start")

    def settings(self):
        """What a sidecar needs to know to come here."""
        return {
            "SIGNALING_URL": f"ws://{names.REGISTRY}:{PORT}/ws",
            "TOKEN_URL": f"http://{names.REGISTRY}:{PORT}/api/token",
        }

    def health_seen_by(self, host):
        """What the registry says of itself to a host."""
        with host.entered():
            with urllib.request.urlopen(f"http://{names.REGISTRY}:{PORT}/health", timeout=5) as answer:
                return answer.read().decode()
