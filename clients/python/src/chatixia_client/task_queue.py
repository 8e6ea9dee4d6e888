"""A registry's task queue over HTTP (contract part 3)."""

from __future__ import annotations

from typing import Any, Dict, List, Mapping, Optional, Sequence
from urllib.parse import quote

from .errors import TaskQueueError
from .queue_http import REASON_BYTES, Server

HUB = "/api/hub"

ID_LENGTH = 200
"""In characters. A longer id of a task is none: ids are remembered, and in every text about their task."""


class TaskQueue:
    """The queue of one registry. Every method raises `TaskQueueError`."""

    def __init__(
        self, registry: str, headers: Mapping[str, str], ca_file: Optional[str] = None
    ) -> None:
        """`registry`: `http://HOST` or `https://HOST`. `headers`: what shows it who we are.
        `ca_file`: certificates (PEM) trusted beside the system's."""
        self._server = Server(registry, headers, ca_file)

    async def submit(self, task: Mapping[str, Any]) -> str:
        """Puts a task in, and gives its id."""
        answer = await self._ask("POST", "/tasks", task)
        task_id = id_of(answer.get("task_id"))
        if task_id is None:
            raise TaskQueueError(f"{self._server.url}{HUB}/tasks gave no usable task_id")
        return task_id

    async def look_up(self, task_id: str) -> Dict[str, Any]:
        """A task as it stands."""
        return await self._ask("GET", f"/tasks/{quote(task_id, safe='')}", None)

    async def end(self, task_id: str, state: str, result: str, error: str) -> None:
        """Ends a task as `completed` or `failed`."""
        ending = {"state": state, "result": result, "error": error}
        await self._ask("POST", f"/tasks/{quote(task_id, safe='')}", ending)

    async def take(self, agent: str, skills: Sequence[str]) -> List[Dict[str, Any]]:
        """The tasks that wait for an agent; they are assigned to it from now on."""
        heartbeat = {"agent_id": agent, "skill_names": list(skills)}
        answer = await self._ask("POST", "/heartbeat", heartbeat)
        tasks = answer.get("pending_tasks")
        return [task for task in tasks if isinstance(task, dict)] if isinstance(tasks, list) else []

    async def _ask(
        self, method: str, path: str, body: Optional[Mapping[str, Any]]
    ) -> Dict[str, Any]:
        answer = await self._server.exchange(method, HUB + path, body)
        error = answer.get("error")
        if error and "state" not in answer:
            # So do registries in the field refuse.
            reason = error if isinstance(error, str) else "refused, and not said why"
            text = f"{method} {self._server.url}{HUB}{path}: {reason}"
            raise TaskQueueError(text[:REASON_BYTES], 200)
        return answer


def id_of(value: Any) -> Optional[str]:
    """The id of a task; None for what is none. Some registries number their tasks."""
    task_id = str(value) if isinstance(value, int) else value
    if not isinstance(task_id, str) or not 0 < len(task_id) <= ID_LENGTH or not task_id.isprintable():
        return None
    return task_id


def may_pass(error: TaskQueueError) -> bool:
    """Whether the same may go well when it is tried again."""
    return error.status is None or error.status in (408, 429) or error.status >= 500
