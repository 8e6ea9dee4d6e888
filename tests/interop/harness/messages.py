"""Mesh messages, as JSON text."""

import json


def numbered(number):
    """One of a row."""
    return text({"type": "agent_stream_chunk", "request_id": str(number), "payload": {"n": number}})


def of_bytes(size):
    """A message whose text has exactly so many bytes."""
    empty = text({"type": "task_response", "request_id": "large", "payload": ""})
    return empty[:-2] + "x" * (size - len(empty)) + '"}'


def text(fields):
    """A message with the fields that agents rely on, and these."""
    message = {"type": "", "request_id": "", "source_agent": "a", "target_agent": "b", **fields}
    # The payload last, so that it can be made longer at its end.
    message["payload"] = message.pop("payload", None)
    return json.dumps(message, ensure_ascii=False, separators=(",", ":"))


# Everything that a program which rebuilds messages might change.
DELICATE = (
    '{"type":"of_another_time","request_id":"r-1","source_agent":"","target_agent":"",'
    '"payload":{"z":1,"a":[123456789012345678901234567890,-0.0,1e400,0.1000],"":null},'
    '"unknown":{"deep":[[],{}]},"text":"\\u0000 \\ud83d\\ude00 😀 ß \\/ \\" \u2028"}'
)

EMPTY = ""

# What a peer may send and what is no message of the mesh.
HARMLESS = [EMPTY, "no JSON", "[]", '{"payload":1}', '{"type":1}', '"text"', "\x00"]
