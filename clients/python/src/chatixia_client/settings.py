"""What a client is told at its start, and the sidecar's environment made of it."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, field
from typing import Dict, Literal, Mapping, Optional, Union
from urllib.parse import urlsplit, urlunsplit

from .binary import find_binary
from .errors import ChatixiaError
from .settings_files import settings_below

Path = Union[str, "os.PathLike[str]"]

Transport = Literal["socket", "stdio"]
"""The way between agent and sidecar: a Unix socket, or the sidecar's standard input and output."""

DEFAULT_API_KEY = "ak_dev_001"
"""The contract's."""

_OF_THE_AGENT_ALONE = frozenset({"NOTIFY_SOCKET", "WATCHDOG_PID", "WATCHDOG_USEC"})
"""By these a service manager hears of the agent's state. A sidecar that had them would speak for it."""


@dataclass(frozen=True)
class Settings:
    """See `Sidecar` for their meaning."""

    registry: Optional[str] = field(default=None, repr=False)
    api_key: Optional[str] = field(default=None, repr=False)
    device_token: Optional[str] = field(default=None, repr=False)
    socket: Optional[Path] = None
    binary: Optional[Path] = None
    environment: Mapping[str, str] = field(default_factory=dict, repr=False)
    spawn: bool = True
    start_timeout: float = 5.0
    log_file: Optional[str] = None
    transport: Transport = "socket"

    def sidecar_environment(self, socket: Optional[str]) -> Dict[str, str]:
        """The environment to spawn the sidecar in: ours, and what was set here over it. `socket`: where it
        listens, if it does."""
        environment = {name: value for name, value in os.environ.items() if self._inherits(name)}
        environment.update(self.environment)
        if socket is not None:
            environment["IPC_SOCKET"] = socket
        if self.registry is not None:
            environment["SIGNALING_URL"] = signaling_url(self.registry)
            environment["TOKEN_URL"] = self.registry.rstrip("/") + "/api/token"
        if self.api_key is not None:
            environment["API_KEY"] = self.api_key
        if self.device_token is not None:
            environment["DEVICE_TOKEN"] = self.device_token
        return environment

    def _inherits(self, name: str) -> bool:
        # Sidecars prefer a device token to a key; one that merely lies about is not what was asked for.
        is_outdone = name == "DEVICE_TOKEN" and self.api_key is not None
        # With this a sidecar would listen although nobody has asked for that here.
        is_needless = name == "IPC_SOCKET" and self.transport == "stdio"
        return not is_outdone and not is_needless and name not in _OF_THE_AGENT_ALONE

    def registry_headers(self) -> Dict[str, str]:
        """How the agent shows the registry who it is: with the key that its sidecar has."""
        known = self._known()
        device_token = known.get("DEVICE_TOKEN")
        if device_token:
            return {"x-device-token": device_token}
        return {"x-api-key": known.get("API_KEY") or DEFAULT_API_KEY}

    def ca_file(self) -> Optional[str]:
        """Certificates that the sidecar trusts beside the public ones."""
        return self._known().get("CA_FILE") or None

    def registry_url(self) -> Optional[str]:
        """The registry, where it is told as a whole: here, or as `REGISTRY_URL`."""
        return self.registry or self._known().get("REGISTRY_URL") or None

    def _known(self) -> Dict[str, str]:
        """The sidecar's settings, those of the files that it reads included."""
        environment = self.sidecar_environment(None)
        return {**settings_below(environment), **environment}

    def find_binary(self) -> str:
        """The program to spawn; see `chatixia_client.find_binary`."""
        return find_binary(self.binary)


def signaling_url(registry: str) -> str:
    """The WebSocket URL of a registry: `http://host` is at `ws://host/ws`."""
    try:
        parts = urlsplit(registry)
    except ValueError:
        # Its text may quote the user and password.
        raise ChatixiaError(f"the registry {without_user(registry)!r} is no URL") from None
    scheme = {"http": "ws", "https": "wss"}.get(parts.scheme)
    if scheme is None or not parts.netloc:
        text = f"the registry is {without_user(registry)!r}, and not http://HOST or https://HOST"
        raise ChatixiaError(text)
    return urlunsplit((scheme, parts.netloc, parts.path.rstrip("/") + "/ws", "", ""))


def without_user(url: str) -> str:
    """A URL as it may be shown: without the user and password that it may hold, however malformed."""
    return re.sub(r"^(\w+://)?.*@", lambda found: found[1] or "", url, flags=re.DOTALL)
