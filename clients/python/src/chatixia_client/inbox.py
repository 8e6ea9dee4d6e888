"""What waits to be iterated over."""

from __future__ import annotations

import asyncio
import copy
import logging
from collections import deque
from typing import AsyncIterator, Awaitable, Deque, Optional, Tuple, TypeVar, Generic

from .flow import Flow
from .message import Event, Message

log = logging.getLogger("chatixia_client")

WAITING_EVENTS = 1000
"""Events that wait for one iterator; beyond it the oldest are dropped, with a warning."""

Item = TypeVar("Item")


class _Waiting(Generic[Item]):
    """A queue whose end can be told, after what is in it."""

    def __init__(self) -> None:
        self._items: Deque[Item] = deque()
        self._waiters: Deque["asyncio.Future[None]"] = deque()
        self._is_over = False
        self._failure: Optional[Exception] = None

    def put(self, item: Item) -> None:
        self._items.append(item)
        self._wake()

    def end(self, failure: Optional[Exception]) -> None:
        """Nothing more comes: iteration ends, or fails."""
        self._is_over, self._failure = True, failure
        for _ in range(len(self._waiters)):
            self._wake()

    async def get(self, timeout: Optional[float] = None) -> Item:
        """The next one. Raises `StopAsyncIteration` after the last, and `asyncio.TimeoutError` if none comes
        within `timeout` seconds."""
        if not self._items:
            await self._until_there(timeout)
        return self._items.popleft()

    async def _until_there(self, timeout: Optional[float]) -> None:
        loop = asyncio.get_running_loop()
        deadline = None if timeout is None else loop.time() + timeout
        while not self._items:
            if self._failure is not None:
                # A new one: raised again and again, the same would grow by a traceback each time.
                raise copy.copy(self._failure)
            if self._is_over:
                raise StopAsyncIteration
            if deadline is not None and loop.time() >= deadline:
                raise asyncio.TimeoutError
            await self._until_woken(deadline)

    async def _until_woken(self, deadline: Optional[float]) -> None:
        """Or until `deadline`, a time of the event loop."""
        loop = asyncio.get_running_loop()
        waiter: "asyncio.Future[None]" = loop.create_future()
        # Not `wait_for`: up to Python 3.11 it forgets a cancellation that comes together with an item.
        timer = None if deadline is None else loop.call_at(deadline, _wake_up, waiter)
        self._waiters.append(waiter)
        try:
            await waiter
        except asyncio.CancelledError:
            if self._items:
                # Another has to take what we were woken for.
                self._wake()
            raise
        finally:
            if timer is not None:
                timer.cancel()
            if waiter in self._waiters:
                self._waiters.remove(waiter)

    def _wake(self) -> None:
        while self._waiters:
            waiter = self._waiters.popleft()
            if not waiter.done():
                waiter.set_result(None)
                return


def _wake_up(waiter: "asyncio.Future[None]") -> None:
    if not waiter.done():
        waiter.set_result(None)


class Inbox(AsyncIterator[Message]):
    """Messages that no handler took. Several may iterate; each message goes to one of them."""

    def __init__(self, flow: Flow) -> None:
        self._flow = flow
        self._waiting: _Waiting[Tuple[Message, int]] = _Waiting()

    def put(self, message: Message, size: int) -> None:
        self._flow.add(size)
        self._waiting.put((message, size))

    def end(self, failure: Optional[Exception]) -> None:
        self._waiting.end(failure)

    def __aiter__(self) -> "Inbox":
        return self

    def __anext__(self) -> Awaitable[Message]:
        return self.get()

    async def get(self, timeout: Optional[float] = None) -> Message:
        """The next one. Raises as `_Waiting.get` does."""
        message, size = await self._waiting.get(timeout)
        self._flow.remove(size)
        return message


class EventStream(AsyncIterator[Event]):
    """The events from its beginning on."""

    def __init__(self) -> None:
        self._waiting: _Waiting[Event] = _Waiting()
        self.dropped = 0
        """How many have been dropped because they were not taken in time."""

    def put(self, event: Event) -> None:
        self._waiting.put(event)
        if len(self._waiting._items) > WAITING_EVENTS:
            self._waiting._items.popleft()
            self.dropped += 1
            if self.dropped == 1:
                log.warning("events are not taken in time: the oldest of %d are dropped", WAITING_EVENTS)

    def end(self, failure: Optional[Exception]) -> None:
        self._waiting.end(failure)

    def __aiter__(self) -> "EventStream":
        return self

    async def __anext__(self) -> Event:
        return await self._waiting.get()
