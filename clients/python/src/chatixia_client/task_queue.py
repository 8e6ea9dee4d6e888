"""A registry's task queue over HTTP (contract part 3)."""

from __future__ import annotations

import asyncio
import json
import urllib.error
import urllib.request
from typing import Any, Dict, List, Mapping, Optional, Sequence
from urllib.parse import quote

from .errors import TaskQueueError

HTTP_TIMEOUT_SECONDS = 10.0

ANSWER_BYTES = 16 * 1024 * 1024
"""A longer answer of the registry is refused."""


class TaskQueue:
    """The queue of one registry. Every method raises `TaskQueueError`."""

    def __init__(self, registry: str, headers: Mapping[str, str]) -> None:
        """`registry`: `http://HOST` or `https://HOST`. `headers`: what shows it who we are."""
        self._url = registry.rstrip("/") + "/api/hub"
        self._headers = {"Content-Type": "application/json", **headers}

    async def submit(self, task: Mapping[str, Any]) -> str:
        """Puts a task in, and gives its id."""
        answer = await self._ask("POST", "/tasks", task)
        task_id = answer.get("task_id")
        if not isinstance(task_id, str) or not task_id:
            raise TaskQueueError(f"{self._url}/tasks gave no task_id: {str(answer)[:200]}")
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
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(
            self._url + path, data=data, headers=self._headers, method=method
        )
        answer = await asyncio.to_thread(_exchange, request)
        if "error" in answer and "state" not in answer:
            raise TaskQueueError(f"{method} {self._url}{path}: {answer['error']}")
        return answer


def _exchange(request: urllib.request.Request) -> Dict[str, Any]:
    what = f"{request.get_method()} {request.full_url}"
    try:
        with urllib.request.urlopen(request, timeout=HTTP_TIMEOUT_SECONDS) as response:
            text = response.read(ANSWER_BYTES + 1)
    except urllib.error.HTTPError as error:
        reason = error.read(1000).decode(errors="replace")
        raise TaskQueueError(f"{what}: {error.code} {reason}", error.code) from None
    except (OSError, ValueError) as error:
        raise TaskQueueError(f"{what}: {error}") from error
    if len(text) > ANSWER_BYTES:
        raise TaskQueueError(f"{what}: the answer is over {ANSWER_BYTES} bytes")
    try:
        answer = json.loads(text)
    except ValueError as error:
        raise TaskQueueError(f"{what}: the answer is no JSON: {error}") from error
    if not isinstance(answer, dict):
        raise TaskQueueError(f"{what}: the answer is no JSON object")
    return answer
