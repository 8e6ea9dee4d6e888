"""What can go wrong, in words for the person who reads it.

All derive from `RuntimeError`, which agents in the field catch.
"""

from __future__ import annotations

import asyncio
from typing import Any, Mapping, Optional


class ChatixiaError(RuntimeError):
    """Any error of this package."""


class BinaryNotFound(ChatixiaError):
    """There is no sidecar program to spawn; the text says what to install."""


class StartFailed(ChatixiaError):
    """The sidecar did not come up. The text ends with what it has logged."""

    def __init__(self, text: str, exit_code: Optional[int] = None) -> None:
        super().__init__(text)
        self.exit_code = exit_code
        """Its exit code (contract part 5), or None if it did not end."""


class NotRunning(ChatixiaError):
    """The client has not been started, has been stopped, or has given its sidecar up."""


class SidecarLost(ChatixiaError):
    """The sidecar ended while an answer was awaited: whether the message has arrived is not known."""


class Overloaded(ChatixiaError):
    """More messages are not done with than are kept, so an answer behind them can't be read: whether what
    was sent has arrived is not known."""


class Unsupported(ChatixiaError):
    """The sidecar is an older one, which does not answer this command."""


class CommandFailed(ChatixiaError):
    """The sidecar could not do what it was told (an `error` event)."""

    def __init__(self, payload: Mapping[str, Any]) -> None:
        self.code = str(payload.get("code", ""))
        """One of the contract's error codes, such as `unknown_peer`."""
        self.target_peer: Optional[str] = payload.get("target_peer")
        self.request_id: Optional[str] = payload.get("request_id")
        self.limit: Optional[int] = payload.get("limit")
        """In bytes, where a limit was exceeded."""
        super().__init__(f"{self.code}: {payload.get('message', '')}")


class RequestTimeout(ChatixiaError, asyncio.TimeoutError):
    """The response did not come in time."""


class TaskQueueError(ChatixiaError):
    """The registry's task queue could not be asked, or refused."""

    def __init__(self, text: str, status: Optional[int] = None) -> None:
        super().__init__(text)
        self.status = status
        """The HTTP status, or None if there was no answer."""
