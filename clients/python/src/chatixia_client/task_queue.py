"""A registry's task queue over HTTP (contract part 3)."""

from __future__ import annotations

from typing import Any, Dict, List, Mapping, Optional, Sequence
from urllib.parse import quote

from .errors import TaskQueueError
from .queue_http import REASON_BYTES, Server

HUB = "/api/hub"


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
        task_id = answer.get("task_id")
        if not isinstance(task_id, str) or not task_id:
            raise TaskQueueError(f"{self._server.url}{HUB}/tasks gave no task_id: {str(answer)[:200]}")
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
        if "error" in answer and "state" not in answer:
            # So do registries in the field refuse.
            text = f"{method} {self._server.url}{HUB}{path}: {answer['error']}"
            raise TaskQueueError(text[:REASON_BYTES], 200)
        return answer


def may_pass(error: TaskQueueError) -> bool:
    """Whether the same may go well when it is tried again."""
    return error.status is None or error.status in (408, 429) or error.status >= 500
