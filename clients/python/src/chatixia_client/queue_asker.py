"""Asking through the registry's task queue when the peer can't be reached."""

from __future__ import annotations

import asyncio
import logging
import math
from typing import Any, Dict

from .errors import TaskQueueError
from .message import Message
from .queue_form import REQUEST, to_response, to_task
from .task_queue import TaskQueue, may_pass

log = logging.getLogger("chatixia_client")

FIRST_POLL_SECONDS = 0.2
LONGEST_POLL_SECONDS = 3.0
"""Between two looks at the task: each time longer, up to what agents in the field do."""


class Asker:
    """One request, as a task."""

    def __init__(
        self, queue: TaskQueue, target_agent: str, message: Dict[str, Any], timeout: float
    ) -> None:
        """Raises `ValueError` for a message that can't be a task. `timeout`: until nobody waits any more, in
        seconds."""
        if message.get("type") != REQUEST:
            text = f"only a {REQUEST} can go through the task queue, and this is a {message.get('type')}"
            raise ValueError(text)
        if not math.isfinite(timeout):
            raise ValueError("a request with a fallback needs a timeout: a task expires in the queue")
        self._queue = queue
        self._target_agent = target_agent
        self._message = message
        self._deadline = asyncio.get_running_loop().time() + timeout

    async def ask(self) -> Message:
        """Has the task done, and gives the response. The caller's timeout ends it.

        Raises `TaskQueueError` when the task can't be put in, or is gone. When the queue is only out of
        reach meanwhile, that is logged.
        """
        left = self._deadline - asyncio.get_running_loop().time()
        task_id = await self._queue.submit(to_task(self._message, self._target_agent, left))
        pause, was_reached = FIRST_POLL_SECONDS, True
        while True:
            await asyncio.sleep(pause)
            pause = min(1.5 * pause, LONGEST_POLL_SECONDS)
            try:
                task = await self._queue.look_up(task_id)
                was_reached = True
            except TaskQueueError as error:
                if not may_pass(error):
                    raise
                # Once for each time that it is out of reach.
                log.log(logging.WARNING if was_reached else logging.DEBUG, "no news of a task: %s", error)
                was_reached = False
                continue
            if task.get("state") in ("completed", "failed"):
                return to_response({**task, "id": task_id}, self._message, self._target_agent)
