"""A program in a registry's place, which answers as a test wants it to."""

from __future__ import annotations

import asyncio
import json
import ssl
from typing import Any, List, NamedTuple, Optional, Sequence

Answer = Any
"""Bytes that are sent back, `DRIPPING`, or what is sent back as the JSON of a good answer."""


class Request(NamedTuple):
    """What it was asked."""

    line: str
    head: str
    body: Any


class StandInRegistry:
    """Gives the answers that were prepared, one after the other, and the last of them again and again.

    To the end of a task it says yes beside them, unless `ends` has answers for that.
    """

    def __init__(self, *answers: Answer, ends: Sequence[Answer] = ()) -> None:
        self._answers = list(answers)
        self._ends = list(ends)
        self._server: Optional[asyncio.AbstractServer] = None
        self.requests: List[Request] = []
        self.url = ""
        self.has_answered = asyncio.Event()
        """All answers have been given at least once."""
        self.was_left = asyncio.Event()
        """A client has closed its connection while the answer was on its way."""

    async def start(self, tls: Optional[ssl.SSLContext] = None) -> "StandInRegistry":
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0, ssl=tls)
        port = self._server.sockets[0].getsockname()[1]
        self.url = f"{'https' if tls else 'http'}://127.0.0.1:{port}"
        return self

    def stop(self) -> None:
        if self._server is not None:
            self._server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode()
            lengths = [line for line in head.split("\r\n") if line.lower().startswith("content-length:")]
            body = await reader.readexactly(int(lengths[0].split(":")[1])) if lengths else b"null"
            self.requests.append(Request(head.split("\r\n")[0], head, json.loads(body)))
            answer = self._next_answer(head)
            if answer is DRIPPING:
                await self._drip(reader, writer)
            else:
                writer.write(answer if isinstance(answer, bytes) else http(200, json.dumps(answer)))
                await writer.drain()
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    def _next_answer(self, head: str) -> Answer:
        if head.startswith("POST /api/hub/tasks/"):
            return self._ends.pop(0) if self._ends else {"status": "ok"}
        if len(self._answers) > 1:
            return self._answers.pop(0)
        self.has_answered.set()
        return self._answers[0]

    async def _drip(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """A header that never ends, a byte at a time."""
        left = asyncio.ensure_future(reader.read())
        writer.write(b"HTTP/1.1 200 OK\r\nx: ")
        while not left.done():
            writer.write(b"x")
            await asyncio.wait({left}, timeout=0.02)
        self.was_left.set()


DRIPPING = object()
"""An answer that comes so slowly that it never ends."""


def http(status: int, body: str, header: str = "") -> bytes:
    """An answer in full."""
    length = len(body.encode())
    return f"HTTP/1.1 {status} Some Words\r\n{header}Content-Length: {length}\r\n\r\n{body}".encode()
