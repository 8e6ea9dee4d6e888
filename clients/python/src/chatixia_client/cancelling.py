"""Ending tasks that may not want to end."""

from __future__ import annotations

import asyncio
import logging
from typing import Any, Iterable

log = logging.getLogger("chatixia_client")

CANCEL_SECONDS = 2.0
"""What goes on for so long after it was cancelled is left to itself."""


async def cancel(tasks: "Iterable[asyncio.Task[Any]]") -> None:
    """Cancels tasks, the caller excepted, and waits for their end, up to `CANCEL_SECONDS`."""
    others = set(tasks) - {asyncio.current_task()}
    for task in others:
        task.cancel()
    if others:
        _, left = await asyncio.wait(others, timeout=CANCEL_SECONDS)
        for task in left:
            log.warning("the %s goes on although it was cancelled, and is left to itself", task.get_name())
