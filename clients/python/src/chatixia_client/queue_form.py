"""The same request and response as messages and as a task of the queue.

A task's result is text, since that is all that registries in the field take. A response as agents in the
field give it, `{"result": text, "error": text}`, becomes the task's result or error. Any other response
becomes a result that is the whole message as JSON, which the asker knows by the task's id in it.
"""

from __future__ import annotations

import json
import math
from typing import Any, Dict, NamedTuple

from .message import Message

REQUEST, RESPONSE = "task_request", "task_response"


class Ending(NamedTuple):
    """What a task is ended with."""

    state: str
    result: str
    error: str


def to_task(message: Dict[str, Any], target_agent: str, ttl: float) -> Dict[str, Any]:
    """The task that asks what a request asks."""
    payload = message.get("payload")
    skill = payload.get("skill", "") if isinstance(payload, dict) else ""
    return {
        "skill": skill if isinstance(skill, str) else "",
        "target_agent_id": target_agent,
        "source_agent_id": message.get("source_agent", ""),
        "payload": payload,
        # Whole seconds, as registries in the field take them, and over only after the asker has left.
        "ttl": math.ceil(ttl) + 1,
    }


def to_request(task: Dict[str, Any], agent: str) -> Message:
    """The request that a task is. Its payload names the skill, as it does between peers."""
    payload = task.get("payload")
    if task.get("skill") and isinstance(payload, dict):
        payload = {"skill": task["skill"], **payload}
    raw = {
        "type": REQUEST,
        "request_id": task.get("id", ""),
        "source_agent": task.get("source_agent_id") or "",
        "target_agent": agent,
        "payload": payload,
    }
    return Message("", raw)


def to_ending(task_id: str, payload: Any) -> Ending:
    """What a response's payload ends its task with. One that is no JSON fails it."""
    if isinstance(payload, dict) and set(payload) <= {"result", "error"}:
        result, error = payload.get("result", ""), payload.get("error", "")
        if isinstance(result, str) and isinstance(error, str):
            return Ending("failed" if error else "completed", result, error)
    whole = {"type": RESPONSE, "request_id": task_id, "payload": payload}
    try:
        return Ending("completed", json.dumps(whole, allow_nan=False), "")
    except (TypeError, ValueError, RecursionError) as error:
        return Ending("failed", "", f"the result is no JSON: {error}")


def to_response(task: Dict[str, Any], request: Dict[str, Any], target_agent: str) -> Message:
    """The response that an ended task is."""
    result, error = task.get("result"), task.get("error")
    failed = task.get("state") == "failed"
    payload = {
        "result": "" if result is None else result,
        "error": (error or "the task failed") if failed else "",
    }
    if isinstance(result, str) and not failed:
        whole = _json_object(result)
        if whole.get("type") == RESPONSE and whole.get("request_id") == task.get("id"):
            payload = whole.get("payload", payload)
    raw = {
        "type": RESPONSE,
        "request_id": request.get("request_id", ""),
        "source_agent": target_agent,
        "target_agent": request.get("source_agent", ""),
        "payload": payload,
    }
    return Message("", raw)


def _json_object(text: str) -> Dict[str, Any]:
    if not text.startswith("{"):
        return {}
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}
