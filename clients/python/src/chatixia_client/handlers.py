"""What the agent wants done when something comes."""

from __future__ import annotations

import asyncio
import inspect
import logging
from typing import Any, Awaitable, Callable, Dict, List, Optional, Set, Union

from .flow import Flow
from .message import Event, Message

log = logging.getLogger("chatixia_client")

MessageHandler = Callable[[Message], Union[None, Awaitable[None]]]
EventHandler = Callable[[Event], Union[None, Awaitable[None]]]
RequestHandler = Callable[[Message], Any]
"""Gives the response's payload, or an awaitable of it."""

Respond = Callable[[Message, Any], Awaitable[None]]

ANY = "*"


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
        for kind in (event.type, ANY):
            for handler in self._of_events.get(kind, ()):
                self._call(handler, event, 0)

    def handle_message(self, message: Message, size: int) -> bool:
        """Whether any handler takes it. `size`: of its line, in bytes."""
        kind = message.type
        responder = self._of_requests.get(kind)
        if responder is not None:
            self._start(self.respond(responder, message), size)
        handlers = self._of_messages.get(kind, ()), self._of_messages.get(ANY, ())
        for some in handlers:
            for handler in some:
                self._call(handler, message, size)
        return responder is not None or any(handlers)

    async def respond(self, handler: RequestHandler, message: Message) -> None:
        """Has a request done, and responds if it bears an id to respond to."""
        payload = await run_request(handler, message)
        if message.request_id:
            try:
                await self._respond(message, payload)
            except Exception:
                log.exception("the response to a %s of %s can't be sent", message.type, message.from_peer)

    async def stop(self) -> None:
        """Cancels what is running, the caller excepted."""
        running = self._running - {asyncio.current_task()}
        for task in running:
            task.cancel()
        if running:
            await asyncio.wait(running)

    def _call(self, handler: Callable[[Any], Any], item: Any, size: int) -> None:
        try:
            result = handler(item)
        except Exception:
            log.exception("the handler of %s has failed", item.type)
            return
        if inspect.isawaitable(result):
            self._start(_logged(result, item.type), size)

    def _start(self, work: "Any", size: int) -> None:
        self._flow.add(size)
        task = asyncio.get_running_loop().create_task(work)
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
    except Exception as error:
        log.exception("the handler of a %s has failed", message.type)
        return {"result": "", "error": f"{type(error).__name__}: {error}"}


async def _logged(work: Awaitable[Any], kind: str) -> None:
    try:
        await work
    except Exception:
        log.exception("the handler of %s has failed", kind)
