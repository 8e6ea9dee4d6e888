"""The way to the sidecar: spawned, connected, and begun anew when it is lost."""

from __future__ import annotations

import asyncio
import copy
import logging
import random
import socket
from typing import Any, Dict, Optional, Protocol

from .cancelling import settle, within
from .errors import ChatixiaError, CommandFailed, NotRunning, StartFailed
from .lines import LineConnection, Pace, decode, encode
from .process import SidecarProcess, is_exiting
from .settings import Settings
from .socket_place import SocketPlace

log = logging.getLogger("chatixia_client")

CONNECT_POLL_SECONDS = 0.02

FIRST_PAUSE_SECONDS = 0.1
LONGEST_PAUSE_SECONDS = 5.0
"""Before a lost sidecar is begun anew: doubled each time, with jitter, as long as it does not stay up."""

STAYED_UP_SECONDS = 10.0

FINAL_EXIT_CODES = frozenset({2, 3, 4})
"""Wrong settings, a refused key, a socket that can't be had: the same again would end the same way."""

GREETING = encode({"type": "list_peers", "id": 0})
"""Sidecars of any age answer it, so its answer shows that they are ready; ours say `ready` before."""


class Listener(Protocol):
    """Who is told what comes."""

    def on_event(self, event: Dict[str, Any], size: int) -> None:
        """A line that is a JSON object; `size` in bytes."""

    def on_up(self, ready: Optional[Dict[str, Any]]) -> None:
        """The sidecar is connected. `ready` is None if it is an older one, which does not say it."""

    def on_down(self, reason: str) -> None:
        """It is lost, and will be begun anew."""

    def on_end(self, reason: Optional[ChatixiaError]) -> None:
        """It will not be begun again: it was stopped (None), or given up."""


class Link:
    """One agent's way to its sidecar."""

    def __init__(self, settings: Settings, listener: Listener) -> None:
        self._settings = settings
        self._listener = listener
        self._place = SocketPlace(settings.socket) if settings.transport == "socket" else None
        self._stdio: Optional[socket.socket] = None
        self._process: Optional[SidecarProcess] = None
        self._connection: Optional[LineConnection] = None
        self._beginning: Optional["asyncio.Task[None]"] = None
        self._keeper: Optional["asyncio.Task[None]"] = None
        self._lost = asyncio.Event()
        self._up = asyncio.Event()
        self._end: Optional[ChatixiaError] = None
        self._ready: Optional[Dict[str, Any]] = None
        self._greeted: "asyncio.Future[None]" = asyncio.get_running_loop().create_future()

    @property
    def pid(self) -> Optional[int]:
        return None if self._process is None else self._process.pid

    @property
    def is_up(self) -> bool:
        return self._up.is_set() and self._end is None

    def raise_if_over(self) -> None:
        """Raises what has ended it for good."""
        if self._end is not None:
            # A new one: raised again and again, the same would grow by a traceback each time.
            raise copy.copy(self._end)

    async def open(self) -> None:
        """Begins it. Raises `BinaryNotFound`, `StartFailed`, `CommandFailed` (`busy`), or `NotRunning` if it
        is closed meanwhile."""
        loop = asyncio.get_running_loop()
        # A task of its own, which `close` can end.
        beginning = self._beginning = loop.create_task(self._begin())
        try:
            await settle(beginning)
            self.raise_if_over()
            beginning.result()
        except BaseException:
            # It may have begun in the very turn in which this was cancelled.
            try:
                await self._clear_away()
            finally:
                self._leave_place()
            raise
        self._keeper = loop.create_task(self._keep())

    def give_up(self, reason: ChatixiaError) -> None:
        """From now on nothing is taken, neither from the agent nor from the sidecar."""
        self._end = reason
        self._up.set()

    async def close(self) -> None:
        """Ends it for good: what was written leaves first, then the sidecar is told to end.

        Even if it is cancelled, no sidecar is left. May be called again.
        """
        self.give_up(NotRunning("the client was stopped"))
        try:
            for task in (self._beginning, self._keeper):
                if task is not None:
                    task.cancel()
                    await asyncio.wait({task})
        finally:
            try:
                await self._clear_away()
            finally:
                self._leave_place()
                self._listener.on_end(None)

    async def write(self, line: bytes) -> None:
        """Hands a line to the sidecar; waits while it takes none, or is being begun anew."""
        while not self._up.is_set():
            await self._up.wait()
        self.raise_if_over()
        connection = self._current_connection()
        connection.write(line)
        await connection.drain()

    def try_write(self, line: bytes) -> bool:
        """Hands a line to the sidecar if it takes one now. Whether it did."""
        connection = self._connection
        if not self.is_up or connection is None or not connection.is_writable:
            return False
        connection.write(line)
        return True

    def set_pace(self, pace: Pace) -> None:
        """How fast to read what comes."""
        if self._connection is not None:
            self._connection.set_pace(pace)

    async def _begin(self) -> None:
        """One attempt; leaves nothing behind if it fails."""
        try:
            if self._place is None:
                self._spawn_on_stdio()
                await self._connect_in_time()
            elif self._settings.spawn:
                async with self._place.claim(self._settings.start_timeout):
                    self._spawn(self._place)
                    await self._connect_in_time()
            else:
                await self._connect_in_time()
        except asyncio.TimeoutError:
            text = (
                f"no sidecar answers {self._where} within {self._settings.start_timeout:g} s"
            )
            if self._process is not None:
                text += f": {self._process.last_words()}"
            await self._clear_away()
            raise StartFailed(text) from None
        except OSError as error:
            await self._clear_away()
            raise StartFailed(f"no sidecar can be had {self._where}: {error}") from error
        except BaseException:
            await self._clear_away()
            raise
        if self._connection is None:
            await self._clear_away()
            raise StartFailed(f"the sidecar {self._where} closed the connection")
        self._up.set()
        self._listener.on_up(self._ready)

    @property
    def _where(self) -> str:
        """Where the sidecar is, for errors."""
        return "on its standard input and output" if self._place is None else f"at {self._place.path}"

    def _leave_place(self) -> None:
        if self._place is not None:
            self._place.remove()

    def _spawn(self, place: SocketPlace) -> None:
        binary = self._settings.find_binary()
        place.prepare()
        environment = self._settings.sidecar_environment(place.path)
        self._process = SidecarProcess(binary, environment, self._settings.log_file)

    def _spawn_on_stdio(self) -> None:
        binary = self._settings.find_binary()
        environment = self._settings.sidecar_environment(None)
        # Both ways over one socket, which asyncio reads and writes better than pipes.
        ours, its = socket.socketpair()
        self._stdio = ours
        with its:
            self._process = SidecarProcess(binary, environment, self._settings.log_file, its)

    async def _connect_in_time(self) -> None:
        await within(self._settings.start_timeout, self._connect())

    async def _connect(self) -> None:
        loop = asyncio.get_running_loop()
        self._lost.clear()
        self._ready = None
        self._greeted = loop.create_future()
        if self._place is None:
            await self._connect_stdio()
        else:
            await self._connect_socket(self._place)
        self._current_connection().write(GREETING)
        try:
            await self._greeted
        except ConnectionError:
            if self._process is not None:
                await self._process.exited.wait()
                raise await self._ended_at_start(self._process) from None
            raise StartFailed(f"the sidecar {self._where} closed the connection") from None

    async def _connect_stdio(self) -> None:
        assert self._stdio is not None
        self._connection = LineConnection(self._on_line, self._on_lost)
        loop = asyncio.get_running_loop()
        await loop.create_unix_connection(self._current_connection, sock=self._stdio)
        # It is the connection's now.
        self._stdio = None

    async def _connect_socket(self, place: SocketPlace) -> None:
        """Waits for the socket, and connects."""
        loop = asyncio.get_running_loop()
        while True:
            self.raise_if_over()
            if self._process is not None and self._process.exit_code is not None:
                raise await self._ended_at_start(self._process)
            if not self._settings.spawn or place.has_new_socket():
                self._connection = LineConnection(self._on_line, self._on_lost)
                try:
                    await loop.create_unix_connection(self._current_connection, place.path)
                    return
                except (FileNotFoundError, ConnectionRefusedError):
                    pass
            await asyncio.sleep(CONNECT_POLL_SECONDS)

    def _current_connection(self) -> LineConnection:
        assert self._connection is not None
        return self._connection

    async def _ended_at_start(self, process: SidecarProcess) -> StartFailed:
        await process.exited.wait()
        return StartFailed(f"the sidecar did not start: {process.last_words()}", process.exit_code)

    async def _clear_away(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()
        stdio, self._stdio = self._stdio, None
        if stdio is not None:
            stdio.close()
        if self._process is not None:
            try:
                await self._process.stop()
            finally:
                self._process = None

    async def _keep(self) -> None:
        try:
            await self._begin_anew_when_lost()
        except asyncio.CancelledError:
            if self._end is None and self._process is not None:
                # The event loop ends, and nobody has stopped the client.
                self._process.terminate()
            raise
        except Exception as error:
            # Nobody awaits this task, so nobody would learn of it.
            log.exception("the sidecar is given up, since the client is broken")
            failure = ChatixiaError(f"the client is broken: {error!r}")
            self.give_up(failure)
            await self._clear_away()
            self._listener.on_end(failure)

    async def _begin_anew_when_lost(self) -> None:
        loop = asyncio.get_running_loop()
        pause = FIRST_PAUSE_SECONDS
        while True:
            began = loop.time()
            await self._lost.wait()
            if self._end is not None or is_exiting():
                return
            reason = await self._take_leave()
            log.warning("the sidecar is lost: %s", reason)
            self._listener.on_down(reason)
            if loop.time() - began >= STAYED_UP_SECONDS:
                pause = FIRST_PAUSE_SECONDS
            while not self._up.is_set():
                await asyncio.sleep(random.uniform(pause / 2, pause))
                pause = min(2 * pause, LONGEST_PAUSE_SECONDS)
                try:
                    await self._begin()
                except ChatixiaError as error:
                    if isinstance(error, StartFailed) and error.exit_code in FINAL_EXIT_CODES:
                        self.give_up(error)
                        self._listener.on_end(error)
                        return
                    log.warning("the sidecar can't be begun anew: %s", error)
            if self.is_up:
                log.warning("the sidecar is back")

    async def _take_leave(self) -> str:
        """What became of a sidecar whose connection has ended; ends its process if it has not."""
        process = self._process
        if process is None:
            return "its connection was closed"
        await self._clear_away()
        return process.last_words()

    def _on_line(self, line: bytes) -> None:
        if self._end is not None:
            return
        try:
            event = decode(line)
        except (ValueError, RecursionError) as error:
            log.warning("a line of the sidecar can't be read: %s: %r", error, line[:100])
            return
        if not isinstance(event, dict):
            log.warning("a line of the sidecar is no JSON object: %r", line[:100])
            return
        try:
            if not self._greeted.done():
                self._greet(event)
            self._listener.on_event(event, len(line))
        except (Exception, asyncio.CancelledError):
            # The connection outlives it.
            log.exception("a line of the sidecar can't be dealt with: %r", line[:100])

    def _greet(self, event: Dict[str, Any]) -> None:
        kind, payload = event.get("type"), event.get("payload")
        if kind == "ready" and isinstance(payload, dict):
            self._ready = payload
        elif kind == "peer_list":
            # What it lists is taken in before anybody goes on.
            asyncio.get_running_loop().call_soon(self._mark_greeted)
        elif kind == "error" and isinstance(payload, dict) and payload.get("code") == "busy":
            self._fail_greeting(CommandFailed(payload))

    def _mark_greeted(self) -> None:
        if not self._greeted.done():
            self._greeted.set_result(None)

    def _on_lost(self, connection: LineConnection) -> None:
        if connection is not self._connection:
            return  # We have closed it ourselves.
        self._connection = None
        self._lost.set()
        if self._end is None:
            self._up.clear()
        if not self._greeted.done():
            self._fail_greeting(ConnectionError("closed"))

    def _fail_greeting(self, failure: Exception) -> None:
        self._greeted.set_exception(failure)
        # If nobody waits for it any more, that is nothing to be warned of.
        self._greeted.exception()
