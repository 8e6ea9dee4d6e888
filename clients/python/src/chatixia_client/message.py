"""What goes between agents, and what the sidecar tells."""

from __future__ import annotations

from typing import Any, Dict, Mapping, NamedTuple, Union

Kind = Union[str, Mapping[str, Any]]
"""The type of a message, or a whole one (contract part 2, M), which is sent as it is."""

_RESPONSES = {
    "ping": "pong",
    "task_request": "task_response",
    "skill_query": "skill_response",
    "agent_prompt": "agent_response",
}

CHUNKS = frozenset({"task_stream_chunk", "agent_stream_chunk"})
"""Types that come before the response to a request, and bear its `request_id`."""


def response_type(request_type: str) -> str:
    """The type that answers a request."""
    return _RESPONSES.get(request_type, f"{request_type}_response")


class Message:
    """A mesh message that has arrived."""

    __slots__ = ("from_peer", "raw")

    def __init__(self, from_peer: str, raw: Dict[str, Any]) -> None:
        self.from_peer = from_peer
        """The peer that has sent it; empty if it came through the registry's task queue."""
        self.raw = raw
        """All its fields, as they came."""

    @property
    def type(self) -> str:
        return str(self.raw.get("type", ""))

    @property
    def request_id(self) -> str:
        return str(self.raw.get("request_id", ""))

    @property
    def source_agent(self) -> str:
        """Whom it says it is from; only `from_peer` is vouched for."""
        return str(self.raw.get("source_agent", ""))

    @property
    def target_agent(self) -> str:
        return str(self.raw.get("target_agent", ""))

    @property
    def payload(self) -> Any:
        return self.raw.get("payload")

    def __repr__(self) -> str:
        return f"Message(from_peer={self.from_peer!r}, raw={self.raw!r})"


class Event(NamedTuple):
    """An event of the sidecar other than a message (contract parts 2 and 5).

    One is the client's own: `sidecar`, with the payload `{"state": "lost" | "restored" | "given_up",
    "reason"}`.
    """

    type: str
    payload: Dict[str, Any]


class Receipt(NamedTuple):
    """A message has arrived."""

    target_peer: str
    level: str
    """`agent`: the other agent's socket has taken it. `transport`: the peer is of another make, and its
    transport has acknowledged all of it."""


class BroadcastReceipt(NamedTuple):
    """Every peer that was connected is settled."""

    delivered: "list[str]"
    failed: Dict[str, str]
    """The error code for each peer that has not got it."""


def agent_of(peer: str) -> str:
    """The agent of a peer: by convention the peer of agent `x` is `x-sidecar`."""
    suffix = "-sidecar"
    return peer[: -len(suffix)] if peer.endswith(suffix) else peer
