"""Waiting for tasks, and ending those that may not want to end."""

from __future__ import annotations

import asyncio
import logging
from typing import Any, Awaitable, Iterable, Optional, TypeVar

log = logging.getLogger("chatixia_client")

CANCEL_SECONDS = 2.0
"""What goes on for so long after it was cancelled is left to itself."""

_Result = TypeVar("_Result")


async def cancel(tasks: "Iterable[asyncio.Task[Any]]") -> None:
    """Cancels tasks, the caller excepted, and waits for their end, up to `CANCEL_SECONDS`."""
    others = set(tasks) - {asyncio.current_task()}
    for task in others:
        task.cancel()
    if others:
        _, left = await asyncio.wait(others, timeout=CANCEL_SECONDS)
        for task in left:
            log.warning("the %s goes on although it was cancelled, and is left to itself", task.get_name())


def is_being_cancelled() -> bool:
    """Whether the current task is to end. Up to Python 3.10 nobody can tell; then it counts as such."""
    task = asyncio.current_task()
    return task is None or not hasattr(task, "cancelling") or task.cancelling() > 0


def as_failure(error: BaseException) -> Exception:
    """What a future may fail with: no `StopIteration`, which it refuses, and nothing that would cancel or end
    whoever awaits it, such as `sys.exit`."""
    if isinstance(error, Exception) and not isinstance(error, StopIteration):
        return error
    return RuntimeError(f"it has ended by {error!r}")


def fail(future: "asyncio.Future[Any]", error: BaseException) -> None:
    """Lets a future fail, unless it is done already."""
    if not future.done():
        future.set_exception(error)


async def settle(work: "asyncio.Future[Any]", timeout: Optional[float] = None) -> None:
    """Waits for its end, whatever that is. It is cancelled, and its end waited for, after `timeout` seconds
    if any, and if this is cancelled."""
    try:
        await asyncio.wait({work}, timeout=timeout)
    finally:
        if not work.done():
            work.cancel()
            await asyncio.wait({work})
        if not work.cancelled():
            # If it has failed and nobody asks any more, that is nothing to be warned of.
            work.exception()


async def within(timeout: Optional[float], work: Awaitable[_Result]) -> _Result:
    """Its result. Cancels it after `timeout` seconds, if any, and raises `asyncio.TimeoutError`.

    As `asyncio.wait_for`, which up to Python 3.11 forgets a cancellation that comes together with the
    result.
    """
    future = asyncio.ensure_future(work)
    await settle(future, timeout)
    if future.cancelled():
        raise asyncio.TimeoutError
    return future.result()
