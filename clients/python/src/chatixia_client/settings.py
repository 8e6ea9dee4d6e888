"""What a client is told at its start, and the sidecar's environment made of it."""

from __future__ import annotations

import os
import shutil
import tempfile
import weakref
from dataclasses import dataclass, field
from typing import Dict, Mapping, Optional, Union
from urllib.parse import urlsplit, urlunsplit

from .binary import find_binary
from .errors import ChatixiaError

Path = Union[str, "os.PathLike[str]"]

DEFAULT_API_KEY = "ak_dev_001"
"""The contract's."""

SOCKET_PATH_BYTES = 100
"""Longest path of a Unix socket that all systems take."""


@dataclass(frozen=True)
class Settings:
    """See `Sidecar` for their meaning."""

    registry: Optional[str] = None
    api_key: Optional[str] = None
    device_token: Optional[str] = None
    socket: Optional[Path] = None
    binary: Optional[Path] = None
    environment: Mapping[str, str] = field(default_factory=dict)
    spawn: bool = True
    start_timeout: float = 5.0

    def sidecar_environment(self, socket: str) -> Dict[str, str]:
        """The environment to spawn the sidecar in: ours, and what was set here over it."""
        environment = {**os.environ, **self.environment, "IPC_SOCKET": socket}
        if self.registry is not None:
            environment["SIGNALING_URL"] = signaling_url(self.registry)
            environment["TOKEN_URL"] = self.registry.rstrip("/") + "/api/token"
        if self.api_key is not None:
            environment["API_KEY"] = self.api_key
        if self.device_token is not None:
            environment["DEVICE_TOKEN"] = self.device_token
        return environment

    def registry_headers(self) -> Dict[str, str]:
        """How the agent shows the registry who it is: with the key that its sidecar has."""
        known = self.sidecar_environment("")
        device_token = known.get("DEVICE_TOKEN")
        if device_token:
            return {"x-device-token": device_token}
        return {"x-api-key": known.get("API_KEY") or DEFAULT_API_KEY}

    def ca_file(self) -> Optional[str]:
        """Certificates that the sidecar trusts beside the public ones."""
        return self.sidecar_environment("").get("CA_FILE") or None

    def find_binary(self) -> str:
        """The program to spawn; see `chatixia_client.find_binary`."""
        return find_binary(self.binary)


def signaling_url(registry: str) -> str:
    """The WebSocket URL of a registry: `http://host` is at `ws://host/ws`."""
    parts = urlsplit(registry)
    scheme = {"http": "ws", "https": "wss"}.get(parts.scheme)
    if scheme is None or not parts.netloc:
        raise ChatixiaError(f"the registry is {registry!r}, and not http://HOST or https://HOST")
    return urlunsplit((scheme, parts.netloc, parts.path.rstrip("/") + "/ws", "", ""))


class SocketPlace:
    """Where the socket is: at the path that was set, or in a private directory of our own."""

    def __init__(self, configured: Optional[Path]) -> None:
        self._remove: Optional["weakref.finalize[..., SocketPlace]"] = None
        if configured is None:
            directory = tempfile.mkdtemp(prefix="chatixia-")
            self.path = os.path.join(directory, "sidecar.sock")
            # At the interpreter's exit at the latest.
            self._remove = weakref.finalize(self, _remove, directory, os.getpid())
        else:
            self.path = os.fspath(configured)
        if len(os.fsencode(self.path)) > SOCKET_PATH_BYTES:
            self.remove()
            raise ChatixiaError(
                f"the socket's path is longer than {SOCKET_PATH_BYTES} bytes, more than systems take: "
                f"{self.path}; set `socket` to a shorter one"
            )

    def clear(self) -> None:
        """Removes what an earlier sidecar has left. One that lives there without an agent then ends."""
        try:
            os.unlink(self.path)
        except FileNotFoundError:
            pass

    def remove(self) -> None:
        """Removes the directory, if it is ours."""
        if self._remove is not None:
            self._remove()


def _remove(directory: str, owner: int) -> None:
    """Removes a directory, unless this is a forked child of its owner."""
    if os.getpid() == owner:
        shutil.rmtree(directory, ignore_errors=True)
