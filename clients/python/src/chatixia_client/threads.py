"""Threads that nothing has to wait for."""

from __future__ import annotations

import threading
from concurrent.futures import Future
from queue import SimpleQueue
from typing import Any, Callable, Optional, Tuple, TypeVar

from .cancelling import as_failure

Result = TypeVar("Result")

_Work = Tuple["Future[Any]", Callable[[], Any]]


class DaemonThreads:
    """Up to `count` threads that do what is submitted, begun as they are needed.

    Python waits at its exit for the threads of `concurrent.futures`, before anybody can end what they wait
    for. It does not wait for these.
    """

    def __init__(self, count: int, name: str) -> None:
        self._count = count
        self._name = name
        self._lock = threading.Lock()
        self._work: "SimpleQueue[Optional[_Work]]" = SimpleQueue()
        self._undone = 0
        self._threads = 0
        self._is_over = False

    def submit(self, function: Callable[[Any], Result], item: Any) -> "Future[Result]":
        """Has it called with the item. What comes after `end` is cancelled."""
        future: "Future[Result]" = Future()
        with self._lock:
            if self._is_over:
                future.cancel()
                return future
            if self._threads < min(self._undone + 1, self._count):
                name = f"{self._name}-{self._threads + 1}"
                threading.Thread(target=self._run, name=name, daemon=True).start()
                self._threads += 1
            self._undone += 1
            self._work.put((future, lambda: function(item)))
        return future

    def end(self) -> None:
        """The threads end when they are done; nobody waits for that. May be called again."""
        with self._lock:
            self._is_over = True
            for _ in range(self._threads):
                self._work.put(None)

    def _run(self) -> None:
        while (work := self._work.get()) is not None:
            future, call = work
            if future.set_running_or_notify_cancel():
                try:
                    result = call()
                except BaseException as error:
                    future.set_exception(as_failure(error))
                else:
                    future.set_result(result)
            del future, call, work
            with self._lock:
                self._undone -= 1
