"""What the agent wants done when something comes."""

from __future__ import annotations

import asyncio
import inspect
import logging
from typing import Any, Awaitable, Callable, Coroutine, Dict, List, Optional, Set, Union

from .cancelling import cancel, is_being_cancelled
from .errors import CommandFailed
from .flow import Flow
from .message import Event, Message
from .recent_responses import RecentResponses

log = logging.getLogger("chatixia_client")

MessageHandler = Callable[[Message], Union[None, Awaitable[None]]]
EventHandler = Callable[[Event], Union[None, Awaitable[None]]]
RequestHandler = Callable[[Message], Any]
"""Gives the response's payload, or an awaitable of it."""

Respond = Callable[[Message, Any], Awaitable[None]]

ANY = "*"

NAME_LENGTH = 64
"""So much of a type is in the name of its handler's task; peers choose their messages' types."""

_UNSENDABLE = (CommandFailed, TypeError, ValueError, RecursionError)
"""What a payload that is no JSON, or that is too long, is refused with."""


class Handlers:
    """Handlers by type. One that fails is logged, and harms nothing else.

    Plain functions are called as soon as something comes. Coroutines are begun in the order in which
    things come, and run side by side.
    """

    def __init__(self, flow: Flow, respond: Respond) -> None:
        self._flow = flow
        self._respond = respond
        self._of_messages: Dict[str, List[MessageHandler]] = {}
        self._of_events: Dict[str, List[EventHandler]] = {}
        self._of_requests: Dict[str, RequestHandler] = {}
        self._running: Set["asyncio.Task[Any]"] = set()
        self._responses = RecentResponses()

    def on_message(self, kind: str, handler: MessageHandler) -> None:
        self._of_messages.setdefault(kind, []).append(handler)

    def on_event(self, kind: str, handler: EventHandler) -> None:
        self._of_events.setdefault(kind, []).append(handler)

    def on_request(self, kind: str, handler: RequestHandler) -> None:
        if kind in self._of_requests:
            raise ValueError(f"there is a handler of {kind!r} requests already")
        self._of_requests[kind] = handler

    def request_handler(self, kind: str) -> Optional[RequestHandler]:
        """The one who responds to messages of a type."""
        return self._of_requests.get(kind)

    def handle_event(self, event: Event) -> None:
        refused = self._responses.take_refused(event.payload) if event.type == "error" else None
        if refused is not None:
            reason = event.payload.get("message", "it is too large")
            self._start(self._tell_unsent(refused, reason), event.type, 0)
        for kind in _kinds(event.type):
            for handler in self._of_events.get(kind, ()):
                self._call(handler, event, 0)

    def handle_message(self, message: Message, size: int) -> bool:
        """Whether any handler takes it. `size`: of its line, in bytes."""
        kind = message.type
        responder = self._of_requests.get(kind)
        if responder is not None:
            self._start(self.respond(responder, message), kind, size)
        handlers = [handler for some in _kinds(kind) for handler in self._of_messages.get(some, ())]
        for handler in handlers:
            self._call(handler, message, size)
        return responder is not None or bool(handlers)

    async def respond(self, handler: RequestHandler, message: Message) -> None:
        """Has a request done, and responds if it bears an id to respond to. Instead of a response that
        can't be sent, the asker gets the reason."""
        payload = await run_request(handler, message)
        if not message.request_id:
            return
        self._responses.add(message)
        try:
            await self._respond(message, payload)
        except _UNSENDABLE as error:
            _log_unsent(message)
            await self._tell_unsent(message, error)
        except Exception:
            _log_unsent(message)

    async def _tell_unsent(self, message: Message, reason: object) -> None:
        try:
            await self._respond(message, failure(f"the response can't be sent: {reason}"))
        except Exception:
            _log_unsent(message)

    async def stop(self) -> None:
        """Cancels what is running, the caller excepted."""
        await cancel(self._running)

    def _call(self, handler: Callable[[Any], Any], item: Any, size: int) -> None:
        try:
            result = handler(item)
        except (Exception, asyncio.CancelledError):
            log.exception("the handler of %s has failed", item.type)
            return
        if inspect.isawaitable(result):
            self._start(_logged(result, item.type), item.type, size)

    def _start(self, work: Coroutine[Any, Any, None], kind: str, size: int) -> None:
        self._flow.add(size)
        task = asyncio.get_running_loop().create_task(work, name=f"handler of {kind[:NAME_LENGTH]!r}")
        self._running.add(task)
        task.add_done_callback(lambda done: self._done(done, size))

    def _done(self, task: "asyncio.Task[Any]", size: int) -> None:
        self._running.discard(task)
        self._flow.remove(size)


async def run_request(handler: RequestHandler, message: Message) -> Any:
    """The payload that responds to a request. A handler that fails responds with an error, as agents in
    the field do: `{"result": "", "error": text}`."""
    try:
        payload = handler(message)
        return await payload if inspect.isawaitable(payload) else payload
    except (Exception, asyncio.CancelledError) as error:
        # It may be the cancellation of something that the handler awaited.
        if isinstance(error, asyncio.CancelledError) and is_being_cancelled():
            raise
        log.exception("the handler of a %s has failed", message.type)
        return failure(f"{type(error).__name__}: {error}")


def failure(text: str) -> Dict[str, str]:
    """The payload that says why a request was not done."""
    return {"result": "", "error": text}


async def _logged(work: Awaitable[Any], kind: str) -> None:
    try:
        await work
    except Exception:
        log.exception("the handler of %s has failed", kind)


def _kinds(kind: str) -> "tuple[str, ...]":
    """Under which types the handlers of an item are, each once."""
    return (ANY,) if kind == ANY else (kind, ANY)


def _log_unsent(message: Message) -> None:
    log.exception("the response to a %s of %s can't be sent", message.type, message.from_peer)
