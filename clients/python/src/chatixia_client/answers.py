"""What is awaited from the sidecar and from peers."""

from __future__ import annotations

import asyncio
import copy
import itertools
from typing import Any, Callable, Dict, NamedTuple, Optional, Tuple

from .cancelling import as_failure, fail
from .errors import ChatixiaError, CommandFailed
from .message import CHUNKS, Message

Payload = Dict[str, Any]


class Command(NamedTuple):
    """A command whose answer is awaited."""

    answer_type: str
    future: "asyncio.Future[Any]"
    """Of the answer's payload; or, if `is_told_failure_only`, of something else, which depends on it."""
    is_told_failure_only: bool


class Request(NamedTuple):
    """A message whose response is awaited."""

    peer: str
    future: "asyncio.Future[Message]"
    on_chunk: Optional[Callable[[Message], None]]


class Answers:
    """Commands by their `id`, requests by their `request_id`."""

    def __init__(self) -> None:
        # 0 is the greeting's.
        self._ids = itertools.count(1)
        self._commands: Dict[int, Command] = {}
        self._requests: Dict[str, Request] = {}

    def __bool__(self) -> bool:
        """Whether anything is awaited."""
        return bool(self._commands or self._requests)

    def expect(self, answer_type: str) -> Tuple[int, "asyncio.Future[Payload]"]:
        """An `id` for a command, and its answer's payload; or `CommandFailed`, or `SidecarLost`."""
        command_id = next(self._ids)
        future: "asyncio.Future[Payload]" = asyncio.get_running_loop().create_future()
        self._commands[command_id] = Command(answer_type, future, False)
        return command_id, future

    def expect_for(self, future: "asyncio.Future[Any]") -> int:
        """An `id` for a command that `future` depends on: it fails if the command does."""
        command_id = next(self._ids)
        self._commands[command_id] = Command("ok", future, True)
        return command_id

    def expect_response(
        self, request_id: str, peer: str, on_chunk: Optional[Callable[[Message], None]]
    ) -> "asyncio.Future[Message]":
        """The response of `peer` to a request."""
        if request_id in self._requests:
            raise ValueError(f"a request with the id {request_id!r} is under way already")
        future: "asyncio.Future[Message]" = asyncio.get_running_loop().create_future()
        self._requests[request_id] = Request(peer, future, on_chunk)
        return future

    def forget(self, command_id: int) -> None:
        self._commands.pop(command_id, None)

    def forget_response(self, request_id: str) -> None:
        self._requests.pop(request_id, None)

    def take(self, kind: str, command_id: Any, payload: Payload) -> bool:
        """An event of a type that answers commands. Whether it was an answer."""
        if command_id is None:
            command_id = self._without_id(kind)
        command = self._pop(command_id)
        if command is None:
            # An answer that nobody awaits any more.
            return command_id is not None
        if kind == "error":
            fail(command.future, CommandFailed(payload))
        elif kind != command.answer_type:
            wrong = f"the sidecar answers with {kind} instead of {command.answer_type}"
            fail(command.future, ChatixiaError(wrong))
        elif not command.is_told_failure_only and not command.future.done():
            command.future.set_result(payload)
        return True

    def refuse(self, command_id: Any, reason: ChatixiaError) -> None:
        """An answer, if it is one, that can't be used."""
        command = self._pop(command_id)
        if command is not None:
            fail(command.future, reason)

    def _pop(self, command_id: Any) -> Optional[Command]:
        # No other type: `True` would be 1.
        return self._commands.pop(command_id, None) if type(command_id) is int else None

    def _without_id(self, kind: str) -> Optional[int]:
        """Older sidecars answer `list_peers` without an id, in order."""
        for command_id, command in self._commands.items():
            if kind == command.answer_type == "peer_list":
                return command_id
        return None

    def take_response(self, message: Message) -> bool:
        """A message that may respond to a request. Whether it did."""
        request = self._requests.get(message.request_id)
        if request is None or request.peer != message.from_peer:
            return False
        is_chunk = message.type in CHUNKS
        if is_chunk and request.on_chunk is None:
            return False
        if request.future.done():
            return True
        if not is_chunk:
            request.future.set_result(message)
        elif request.on_chunk is not None:
            try:
                request.on_chunk(message)
            except (Exception, asyncio.CancelledError) as error:
                # It is the asker's own, and goes to nobody else.
                fail(request.future, as_failure(error))
        return True

    def fail_all(self, reason: ChatixiaError) -> None:
        """Nothing of it will come any more."""
        for command in self._commands.values():
            fail(command.future, copy.copy(reason))
        for request in self._requests.values():
            fail(request.future, copy.copy(reason))
        self._commands.clear()
        self._requests.clear()
