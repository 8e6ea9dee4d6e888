"""For agents in the field: the client that they were written for, with what is new behind it."""

from __future__ import annotations

import asyncio
import inspect
import logging
import uuid
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Callable, Dict, List, Optional, Set

from .errors import ChatixiaError, NotRunning
from .message import Event, Message
from .sidecar import Sidecar

log = logging.getLogger("chatixia_client")

DEFAULT_SOCKET = "/tmp/chatixia-sidecar.sock"

Handler = Callable[[Dict[str, Any]], Any]
"""Gets an event as the sidecar tells it: `{"type": ..., "payload": {...}}`. May be a coroutine function."""


@dataclass
class MeshMessage:
    """A mesh message (contract part 2, M)."""

    msg_type: str
    request_id: str = ""
    source_agent: str = ""
    target_agent: str = ""
    payload: Any = field(default_factory=dict)

    def to_dict(self) -> Dict[str, Any]:
        """As it is sent."""
        return {
            "type": self.msg_type,
            "request_id": self.request_id,
            "source_agent": self.source_agent,
            "target_agent": self.target_agent,
            "payload": self.payload,
        }

    @classmethod
    def from_dict(cls, fields: Dict[str, Any]) -> "MeshMessage":
        """From what has arrived."""
        return cls(
            fields.get("type", ""),
            fields.get("request_id", ""),
            fields.get("source_agent", ""),
            fields.get("target_agent", ""),
            fields.get("payload", {}),
        )


class MeshClient:
    """Spawns a sidecar, which is configured by the environment, and talks through it.

    Handlers are called one after the other, each when the one before has ended, and events are handled in
    the order in which they come. Only the response to a `request` does not wait for its turn, so a handler
    may make requests. While events wait, those who send are slowed down.
    """

    def __init__(
        self, socket_path: str = DEFAULT_SOCKET, sidecar_binary: Optional[str] = None
    ) -> None:
        self._socket_path = socket_path
        self._sidecar_binary = sidecar_binary
        self._handlers: Dict[str, List[Handler]] = {}
        self._sidecar: Optional[Sidecar] = None

    async def start(self, auto_spawn_sidecar: bool = True) -> None:
        """Begins the sidecar, or connects to one that is run by others."""
        if self._sidecar is not None:
            raise ChatixiaError("the client is started already")
        sidecar = Sidecar(
            socket=self._socket_path,
            binary=self._sidecar_binary,
            spawn=auto_spawn_sidecar,
            log_file=self.sidecar_log_path,
        )
        dispatcher = _Dispatcher(self._handlers)
        sidecar.on_message("*", dispatcher.on_message)
        sidecar.on_event("*", dispatcher.on_event)
        # Handlers may be called, and may send, before this returns.
        self._sidecar = sidecar
        try:
            await sidecar.start()
        except BaseException:
            self._forget(sidecar)
            raise

    async def stop(self) -> None:
        """Ends it. May be called again."""
        sidecar = self._sidecar
        if sidecar is not None:
            await sidecar.stop()
            self._forget(sidecar)

    def on(self, msg_type: str, handler: Handler) -> None:
        """Has events of a type handled, as in `message` or `peer_connected`; `*`: all."""
        self._handlers.setdefault(msg_type, []).append(handler)

    async def send(self, target_peer: str, message: MeshMessage) -> None:
        """Sends a message to one peer."""
        await self._running().send(target_peer, message.to_dict())

    async def broadcast(self, message: MeshMessage) -> None:
        """Sends a message to all connected peers."""
        await self._running().broadcast(message.to_dict())

    async def request(
        self, target_peer: str, message: MeshMessage, timeout: float = 30.0
    ) -> Dict[str, Any]:
        """Sends a message, gives it a `request_id` if it has none, and waits for the peer's response.

        Raises `asyncio.TimeoutError` after `timeout` seconds, and `RuntimeError` when the peer can't be
        reached.
        """
        message.request_id = message.request_id or uuid.uuid4().hex
        sidecar = self._running()
        response = await sidecar.request(target_peer, message.to_dict(), timeout=timeout)
        return response.raw

    async def list_peers(self) -> List[str]:
        """The peers that are connected."""
        return await self._running().list_peers()

    def is_peer_connected(self, peer_id: str) -> bool:
        return peer_id in self.peers

    @property
    def peers(self) -> Set[str]:
        """The peers that are connected now; a copy."""
        return set() if self._sidecar is None else set(self._sidecar.peers)

    @property
    def sidecar_log_path(self) -> str:
        """Where what the sidecar writes is appended: the socket's path with the suffix `.log`."""
        return str(Path(self._socket_path).with_suffix(".log"))

    @property
    def connected(self) -> bool:
        """Whether the sidecar is there."""
        return self._sidecar is not None and self._sidecar.connected

    def _forget(self, sidecar: Sidecar) -> None:
        # It may have been started anew meanwhile.
        if self._sidecar is sidecar:
            self._sidecar = None

    def _running(self) -> Sidecar:
        if self._sidecar is None:
            raise NotRunning("start the client first: `await client.start()`")
        return self._sidecar


class _Dispatcher:
    """Has events handled one after the other."""

    def __init__(self, handlers: Dict[str, List[Handler]]) -> None:
        self._handlers = handlers
        # Those who wait for it get it in the order in which they came.
        self._turn = asyncio.Lock()

    async def on_message(self, message: Message) -> None:
        payload = {"from_peer": message.from_peer, "message": message.raw}
        await self._handle({"type": "message", "payload": payload})

    async def on_event(self, event: Event) -> None:
        await self._handle({"type": event.type, "payload": event.payload})

    async def _handle(self, event: Dict[str, Any]) -> None:
        # What waits here counts as undone, so reading pauses for it.
        async with self._turn:
            kind = event["type"]
            for handler in self._handlers.get(kind, []) + self._handlers.get("*", []):
                try:
                    result = handler(event)
                    if inspect.isawaitable(result):
                        await result
                except Exception:
                    log.exception("the handler of %s has failed", kind)
