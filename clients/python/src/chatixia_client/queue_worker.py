"""Doing tasks that come through the registry's task queue."""

from __future__ import annotations

import asyncio
import logging
import math
import time
from collections import OrderedDict
from functools import partial
from typing import Any, Callable, Dict, List, Optional, Sequence

from .cancelling import cancel
from .errors import TaskQueueError
from .handlers import RequestHandler, run_request
from .queue_form import REQUEST, Ending, to_ending, to_request
from .task_queue import TaskQueue, id_of, may_pass

log = logging.getLogger("chatixia_client")

TASKS_AT_ONCE = 64
"""With so many under way no more are taken."""

PAUSE_SECONDS = 0.1
"""From one answer to the next question at least, whatever the answer is."""

DONE_KEPT = 1024
"""Tasks that are remembered as done: one that the registry hands out again is not done again."""

DONE_KEPT_SECONDS = 600.0
"""How long they are. Not for ever, since a registry that numbers its tasks may begin anew."""

REPORT_PAUSES = (0.0, 1.0, 2.0)
"""Seconds before each time that the end of a task is reported, until that is given up."""

OVER = frozenset({200, 404, 409})
"""What registries say of a task that has ended or is forgotten; those in the field an error with 200."""


class Worker:
    """Asks one queue for tasks, again and again, and has them done side by side."""

    def __init__(
        self,
        queue: TaskQueue,
        handler: Callable[[str], Optional[RequestHandler]],
        agent: Callable[[], str],
        skills: Sequence[str],
        interval: float,
    ) -> None:
        self._queue = queue
        self._handler = handler
        self._agent = agent
        self._skills = list(skills)
        self._interval = max(interval, PAUSE_SECONDS)
        self._heart: Optional["asyncio.Task[None]"] = None
        self._tasks: Dict[str, "asyncio.Task[None]"] = {}
        self._done = _Done()

    def start(self) -> None:
        self._heart = asyncio.get_running_loop().create_task(self._beat())

    async def stop(self) -> None:
        """Leaves off; tasks under way are cancelled, and expire."""
        await cancel({*self._tasks.values(), *([self._heart] if self._heart else [])})

    async def _beat(self) -> None:
        was_well = True
        while True:
            try:
                await self._take()
                was_well = True
            except Exception as error:
                # Whatever it was: without this loop the agent would do no task any more. Told once for
                # each time that the queue is out of reach.
                level = logging.WARNING if was_well else logging.DEBUG
                is_odd = not isinstance(error, TaskQueueError)
                log.log(level, "no tasks: %s", error, exc_info=is_odd)
                was_well = False
            await asyncio.sleep(self._interval)

    async def _take(self) -> None:
        """Takes all that waits, as far as there is somebody to do it."""
        agent = self._agent()
        while agent and self._handler(REQUEST) is not None and len(self._tasks) < TASKS_AT_ONCE:
            tasks = await self._queue.take(agent, self._skills)
            if not await self._begin(tasks, agent):
                return
            await asyncio.sleep(PAUSE_SECONDS)

    async def _begin(self, tasks: List[Dict[str, Any]], agent: str) -> int:
        """Begins those of the tasks that are new, each when there is room for it, and gives their number."""
        begun = 0
        for task in tasks:
            task_id = id_of(task.get("id"))
            if task_id is None or task_id in self._tasks or task_id in self._done:
                continue
            while len(self._tasks) >= TASKS_AT_ONCE:
                await asyncio.wait(self._tasks.values(), return_when=asyncio.FIRST_COMPLETED)
            work = asyncio.get_running_loop().create_task(self._do(task_id, task, agent))
            self._tasks[task_id] = work
            work.add_done_callback(partial(self._note_done, task_id))
            begun += 1
        if begun < len(tasks):
            log.debug("%d tasks are none, or were handed over before", len(tasks) - begun)
        return begun

    def _note_done(self, task_id: str, _: "asyncio.Task[None]") -> None:
        del self._tasks[task_id]
        self._done.add(task_id)

    async def _do(self, task_id: str, task: Dict[str, Any], agent: str) -> None:
        handler = self._handler(REQUEST)
        if handler is None:
            return
        payload = await run_request(handler, to_request(task, agent))
        await self._report(task_id, to_ending(task_id, payload))

    async def _report(self, task_id: str, ending: Ending) -> None:
        error = await self._end(task_id, ending)
        if error is not None:
            # As it is the registry does not take it, but whoever asked need not wait in vain.
            await self._end(task_id, Ending("failed", "", f"the result can't be sent: {error}"))

    async def _end(self, task_id: str, ending: Ending) -> Optional[TaskQueueError]:
        """Reports the end of a task, and gives why that was not taken."""
        failure = None
        for pause in REPORT_PAUSES:
            await asyncio.sleep(pause)
            try:
                await self._queue.end(task_id, *ending)
                return None
            except TaskQueueError as error:
                log.warning("the end of task %s can't be reported: %s", task_id, error)
                if error.status in OVER:
                    return None
                failure = error
                if not may_pass(error):
                    break
        return failure


class _Done:
    """The ids of the tasks that were done lately."""

    def __init__(self) -> None:
        self._ends: "OrderedDict[object, float]" = OrderedDict()

    def add(self, task_id: str) -> None:
        self._ends[task_id] = time.monotonic()
        if len(self._ends) > DONE_KEPT:
            self._ends.popitem(last=False)

    def __contains__(self, task_id: object) -> bool:
        return time.monotonic() - self._ends.get(task_id, -math.inf) < DONE_KEPT_SECONDS
