"""Which responses were sent of late, for the case that the sidecar can't pass one on."""

from __future__ import annotations

from collections import OrderedDict
from typing import Any, Mapping, Optional, Tuple

from .message import Message

REMEMBERED = 1024

LONGEST_FIELDS = 1024
"""Characters of what a request's response has to repeat; a request of an honest asker has less."""


class RecentResponses:
    """What our own sidecar takes may be more than the asker's takes. That is told by an `error` event, and
    only to us, when the response is on its way already."""

    def __init__(self) -> None:
        self._requests: "OrderedDict[Tuple[str, str], Message]" = OrderedDict()

    def add(self, request: Message) -> None:
        """A request that is about to be responded to."""
        fields = {
            "type": request.type,
            "request_id": request.request_id,
            "source_agent": request.source_agent,
        }
        if sum(map(len, fields.values())) > LONGEST_FIELDS:
            return
        self._requests[request.from_peer, request.request_id] = Message(request.from_peer, fields)
        if len(self._requests) > REMEMBERED:
            self._requests.popitem(last=False)

    def take_refused(self, error: Mapping[str, Any]) -> Optional[Message]:
        """The request, if the payload of an `error` event says that its response is too large."""
        if error.get("code") != "message_too_large":
            return None
        return self._requests.pop((str(error.get("target_peer")), str(error.get("request_id"))), None)
