"""What a sidecar's lines mean for those who wait, handle and iterate."""

from __future__ import annotations

import asyncio
import copy
import os
import weakref
from typing import Any, Callable, Dict, List, Optional, Set, TypeVar

from .answers import Answers
from .cancelling import fail
from .errors import (
    ChatixiaError,
    CommandFailed,
    NotRunning,
    Overloaded,
    RequestTimeout,
    SidecarLost,
    Unsupported,
)
from .flow import Flow
from .handlers import Handlers, Respond
from .inbox import EventStream, Inbox
from .lines import Pace, encode
from .link import Link
from .message import Event, Message
from .settings import Settings

_ANSWERS = frozenset({"ok", "error", "peer_list", "stats"})

_Result = TypeVar("_Result")


class Core:
    """The state of a client. Its link tells it what comes."""

    def __init__(self, settings: Settings, respond: Respond) -> None:
        self._settings = settings
        self._link: Optional[Link] = None
        self._owner = os.getpid()
        self._ready: Optional[Dict[str, Any]] = None
        self._was_started = False
        self._was_up = False
        self._is_over = False
        self._failure: Optional[ChatixiaError] = None
        self._answers = Answers()
        self._flow = Flow(self._is_awaiting, self._set_pace, self._give_up_awaiting)
        self._streams: "weakref.WeakSet[EventStream]" = weakref.WeakSet()
        self._awaiting_peers: Set["asyncio.Future[None]"] = set()
        self.handlers = Handlers(self._flow, respond)
        self.inbox = Inbox(self._flow)
        self.peers: Set[str] = set()
        self.peer_id: Optional[str] = None

    async def start(self) -> None:
        if self._was_started:
            raise ChatixiaError("a client is started once; make a new one")
        self._was_started = True
        self._owner = os.getpid()
        self._link = Link(self._settings, self)
        try:
            await self._link.open()
        except BaseException:
            self._link = None
            raise

    async def stop(self) -> None:
        """Ends handlers and sidecar. May be called again, which finishes what a cancelled one has left."""
        link = self._link
        if link is None:
            return
        link.give_up(NotRunning("the client was stopped"))
        try:
            await self.handlers.stop()
        finally:
            await link.close()

    @property
    def is_ours(self) -> bool:
        """Whether this process has started it, and not the one that has forked this one."""
        return self._owner == os.getpid()

    @property
    def is_running(self) -> bool:
        """Whether it was started, and not stopped since."""
        return self._link is not None and not self._is_over

    @property
    def is_up(self) -> bool:
        return self._link is not None and self._link.is_up

    @property
    def is_older(self) -> bool:
        """Whether the sidecar answers no commands but `list_peers`."""
        return self._was_up and self._ready is None

    @property
    def pid(self) -> Optional[int]:
        return None if self._link is None else self._link.pid

    def new_stream(self) -> EventStream:
        stream = EventStream()
        self._streams.add(stream)
        if self._is_over:
            stream.end(self._failure)
        return stream

    # To the sidecar.

    async def write(self, command: Dict[str, Any]) -> None:
        """Hands over a command, and waits while the sidecar takes no more."""
        line = self._line(command)
        await self._running().write(line)

    def _running(self) -> Link:
        if self._link is None:
            raise NotRunning("start the client first: `async with Sidecar() as sidecar`")
        self._link.raise_if_over()
        return self._link

    def _line(self, command: Dict[str, Any]) -> bytes:
        line = encode(command)
        limit = self._limit("max_line_bytes")
        if limit is not None and len(line) > limit:
            text = f"the {command['type']} is a line of {len(line)} bytes, and {limit} are taken"
            raise CommandFailed({"code": "line_too_long", "message": text, "limit": limit})
        limit = self._limit("max_message_bytes")
        if limit is not None and len(line) > limit:
            _refuse_message_above(limit, command["payload"])
        return line

    def _limit(self, name: str) -> Optional[int]:
        """What the sidecar has said that it takes, if it has."""
        limit = (self._ready or {}).get(name)
        return limit if isinstance(limit, int) else None

    async def command(self, kind: str, answer_type: str, payload: Dict[str, Any]) -> Dict[str, Any]:
        """Has a command done, and gives the payload of its answer."""
        if self.is_older and kind != "list_peers":
            raise Unsupported(f"the sidecar is an older one, which does not answer to {kind}")
        link = self._running()
        command_id, answer = self._answers.expect(answer_type)
        try:
            line = self._line({"type": kind, "id": command_id, "payload": payload})
            return await self._write_and_await(link, line, answer)
        finally:
            self._answers.forget(command_id)

    async def ask(
        self,
        peer: str,
        message: Dict[str, Any],
        on_chunk: Optional[Callable[[Message], None]],
        timeout: Optional[float],
    ) -> Message:
        """Sends a request, and gives its response. Raises `RequestTimeout` after so many seconds, if any."""
        link = self._running()
        request_id = message["request_id"]
        response = self._answers.expect_response(request_id, peer, on_chunk)
        command_id = self._answers.expect_for(response)
        timer: Optional[asyncio.TimerHandle] = None
        try:
            if timeout is not None:
                text = f"{peer} has not responded to a {message['type']} within {timeout:g} s"
                late = RequestTimeout(text)
                timer = asyncio.get_running_loop().call_later(timeout, fail, response, late)
            payload = {"target_peer": peer, "message": message}
            line = self._line({"type": "send", "id": command_id, "payload": payload})
            return await self._write_and_await(link, line, response)
        finally:
            if timer is not None:
                timer.cancel()
            self._answers.forget(command_id)
            self._answers.forget_response(request_id)

    async def _write_and_await(self, link: Link, line: bytes, answer: "asyncio.Future[_Result]") -> _Result:
        """Hands over a line, unless what it asks for has failed already, and gives what comes of it."""
        self._flow.adjust()
        if not answer.done() and not link.try_write(line):
            await _write_unless_done(link, line, answer)
        return await answer

    async def until_connected(self, peer: str) -> None:
        """Waits until a peer is connected."""
        self._running()
        while peer not in self.peers:
            change: "asyncio.Future[None]" = asyncio.get_running_loop().create_future()
            self._awaiting_peers.add(change)
            try:
                self._flow.adjust()
                await change
            finally:
                self._awaiting_peers.discard(change)

    def _is_awaiting(self) -> bool:
        """Whether anybody waits for what comes from the sidecar."""
        return bool(self._answers or self._awaiting_peers)

    def _give_up_awaiting(self, undone_bytes: int) -> None:
        text = f"{undone_bytes} bytes of messages are not done with, and the answer lies behind more of them"
        self._fail_awaited(Overloaded(text))

    def _fail_awaited(self, reason: ChatixiaError) -> None:
        """Nothing of what is awaited will come any more."""
        self._answers.fail_all(reason)
        for change in self._awaiting_peers:
            fail(change, copy.copy(reason))
        self._awaiting_peers.clear()

    # From the sidecar: see `link.Listener`.

    def on_event(self, event: Dict[str, Any], size: int) -> None:
        kind = event.get("type")
        payload = event.get("payload")
        if not isinstance(payload, dict):
            payload = {}
        if kind == "message":
            raw = payload.get("message")
            if isinstance(raw, dict):
                self._take(Message(str(payload.get("from_peer", "")), raw), size)
        elif isinstance(kind, str):
            try:
                self._note(kind, payload)
            except ValueError as error:
                self._answers.refuse(event.get("id"), ChatixiaError(str(error)))
                raise
            is_answer = kind in _ANSWERS and self._answers.take(kind, event.get("id"), payload)
            if not is_answer or kind == "peer_list":
                self._tell(Event(kind, payload))

    def on_up(self, ready: Optional[Dict[str, Any]]) -> None:
        self._ready = ready
        self._flow.reconnected()
        if self._was_up:
            self._tell(Event("sidecar", {"state": "restored", "reason": ""}))
        self._was_up = True

    def on_down(self, reason: str) -> None:
        lost = SidecarLost(f"the sidecar is lost, and what was under way may have arrived: {reason}")
        self._answers.fail_all(lost)
        self._tell(Event("sidecar", {"state": "lost", "reason": reason}))
        for peer in sorted(self.peers):
            self.peers.discard(peer)
            self._tell(Event("peer_disconnected", {"peer_id": peer}))

    def on_end(self, reason: Optional[ChatixiaError]) -> None:
        if reason is not None:
            self._tell(Event("sidecar", {"state": "given_up", "reason": str(reason)}))
        self._is_over, self._failure = True, reason
        self.peers.clear()
        self._fail_awaited(reason or NotRunning("the client was stopped"))
        self.inbox.end(reason)
        for stream in list(self._streams):
            stream.end(reason)

    def _take(self, message: Message, size: int) -> None:
        if self._answers.take_response(message):
            return
        if not self.handlers.handle_message(message, size):
            self.inbox.put(message, size)

    def _note(self, kind: str, payload: Dict[str, Any]) -> None:
        """Keeps up with who is connected, and who we are. Raises `ValueError` for what makes no sense."""
        if kind == "peer_connected":
            self.peers.add(str(payload.get("peer_id")))
            self._peers_changed()
        elif kind == "peer_disconnected":
            self.peers.discard(str(payload.get("peer_id")))
        elif kind == "peer_list":
            self.peers = set(_listed(payload))
            self._peers_changed()
        elif kind in ("ready", "registry") and payload.get("peer_id"):
            self.peer_id = str(payload["peer_id"])

    def _peers_changed(self) -> None:
        for change in self._awaiting_peers:
            if not change.done():
                change.set_result(None)

    def _tell(self, event: Event) -> None:
        self.handlers.handle_event(event)
        for stream in list(self._streams):
            stream.put(event)

    def _set_pace(self, pace: Pace) -> None:
        if self._link is not None:
            self._link.set_pace(pace)


def _listed(payload: Dict[str, Any]) -> List[str]:
    """The peers of a `peer_list`."""
    peers = payload.get("peers")
    if not isinstance(peers, list) or not all(isinstance(peer, str) for peer in peers):
        raise ValueError(f"a peer_list whose peers are no list of names: {str(peers)[:100]}")
    return peers


def _refuse_message_above(limit: int, payload: Dict[str, Any]) -> None:
    message = payload.get("message")
    if message is None:
        return
    # As the sidecar measures it: its text, without the line around it.
    size = len(encode(message)) - 1
    if size > limit:
        raise CommandFailed(
            {
                "code": "message_too_large",
                "message": f"the message has {size} bytes, and {limit} are taken",
                "limit": limit,
                "target_peer": payload.get("target_peer"),
                "request_id": message.get("request_id"),
            }
        )


async def _write_unless_done(link: Link, line: bytes, answer: "asyncio.Future[Any]") -> None:
    """Hands a line to the sidecar when it takes one again, unless nobody waits for the answer by then."""
    writing = asyncio.ensure_future(link.write(line))
    either: "Set[asyncio.Future[Any]]" = {writing, answer}
    try:
        await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
        failure = writing.exception() if writing.done() else None
        if failure is not None and not answer.done():
            raise failure
    finally:
        writing.cancel()
