#!/usr/bin/env python3
"""An agent that works for others: answers each task with its text in capitals.

    IPC_SOCKET=/tmp/bob.sock examples/python/worker.py

Needs a sidecar on IPC_SOCKET, which is waited for.
"""

import asyncio
import json
import os
import sys

SOCKET = os.environ.get("IPC_SOCKET", "/tmp/chatixia-sidecar.sock")

# asyncio refuses lines over 64 KiB unless told otherwise; `ready` says how long they can be.
LONGEST_LINE = 2 * 1024 * 1024


async def connect():
    """The sidecar may be just starting, as in a container beside this one."""
    while True:
        try:
            return await asyncio.open_unix_connection(SOCKET, limit=LONGEST_LINE)
        except (FileNotFoundError, ConnectionRefusedError):
            await asyncio.sleep(0.1)


def work(task):
    """Anything may be in another agent's message."""
    text = task.get("text") if isinstance(task, dict) else None
    return {"text": str(text or "").upper()}


async def main():
    reader, writer = await connect()
    async for line in reader:
        event = json.loads(line)
        if event["type"] != "message":
            continue
        asker, message = event["payload"]["from_peer"], event["payload"]["message"]
        if message["type"] != "task_request":
            continue
        answer = {
            "type": "task_response",
            # By this the asker tells answers apart.
            "request_id": message["request_id"],
            "payload": work(message["payload"]),
        }
        command = {"type": "send", "payload": {"target_peer": asker, "message": answer}}
        writer.write(json.dumps(command).encode() + b"\n")
        # When the asker is slow, its sidecar slows ours, and ours slows us, here.
        await writer.drain()
    sys.exit("The sidecar has ended.")


asyncio.run(main())
