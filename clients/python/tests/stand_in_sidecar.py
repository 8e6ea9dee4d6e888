"""A server in the place of a sidecar, which says what no sidecar would, or when it would not."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any, Awaitable, Callable, Dict, Optional, Set

Talk = Callable[["StandInSidecar"], Awaitable[None]]


class StandInSidecar:
    """Greets each agent, and then does with it what `talk` does."""

    def __init__(self, path: Path, talk: Talk) -> None:
        self.path = path
        self.ready: Dict[str, Any] = {"protocol": 1, "peer_id": "stand-in"}
        self._talk = talk
        self._server: Optional[asyncio.AbstractServer] = None
        self._talking: "Set[asyncio.Task[Any]]" = set()
        self._reader: asyncio.StreamReader
        self._writer: asyncio.StreamWriter

    async def start(self) -> None:
        self._server = await asyncio.start_unix_server(self._serve, str(self.path))

    async def stop(self) -> None:
        """To be called when the agent has gone."""
        assert self._server is not None
        self._server.close()
        await asyncio.wait_for(asyncio.gather(*self._talking), 30)

    async def tell(self, kind: str, payload: Any, **fields: Any) -> None:
        """Waits while the agent does not read."""
        self._writer.write(json.dumps({"type": kind, "payload": payload, **fields}).encode() + b"\n")
        await self._writer.drain()

    async def message(self, kind: str, payload: Any) -> None:
        await self.tell("message", {"from_peer": "bob", "message": {"type": kind, "payload": payload}})

    async def command(self) -> Dict[str, Any]:
        """The next one of the agent. Raises `ConnectionError` after the last."""
        line = await self._reader.readline()
        if not line:
            raise ConnectionError
        command: Dict[str, Any] = json.loads(line)
        return command

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer
        task = asyncio.current_task()
        assert task is not None
        self._talking.add(task)
        try:
            await self.command()
            await self.tell("ready", self.ready)
            await self.tell("peer_list", {"peers": []}, id=0)
            await self._talk(self)
        except ConnectionError:
            pass
        finally:
            writer.close()
