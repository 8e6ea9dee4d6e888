#!/usr/bin/env python3
"""An agent that asks another: prints what the agent of PEER makes of TEXT.

    IPC_SOCKET=/tmp/alice.sock examples/python/asker.py PEER TEXT

Needs a sidecar on IPC_SOCKET, which is waited for.
"""

import json
import os
import socket
import sys
import time
import uuid

SOCKET = os.environ.get("IPC_SOCKET", "/tmp/chatixia-sidecar.sock")


def main(peer, text):
    connection = socket.socket(socket.AF_UNIX)
    # The sidecar may be just starting, as in a container beside this one.
    while connection.connect_ex(SOCKET) != 0:
        time.sleep(0.1)
    lines = connection.makefile("rw", encoding="utf-8", newline="\n")

    request_id = str(uuid.uuid4())
    message = {"type": "task_request", "request_id": request_id, "payload": {"text": text}}
    # With an id the sidecar answers the command itself, too: `ok`, or `error` and why.
    command = {"type": "send", "id": 1, "payload": {"target_peer": peer, "message": message}}

    print(f"waiting for {peer}", file=sys.stderr)
    asked = False
    for line in lines:
        event = json.loads(line)
        kind, payload = event["type"], event.get("payload", {})
        if kind == "peer_connected" and payload["peer_id"] == peer and not asked:
            print(json.dumps(command), file=lines, flush=True)
            asked = True
        elif kind == "error" and event.get("id") == 1:
            sys.exit(f"{payload['code']}: {payload['message']}")
        elif kind == "message" and payload["message"]["request_id"] == request_id:
            print(payload["message"]["payload"]["text"])
            return
    sys.exit("The sidecar has ended.")


if len(sys.argv) != 3:
    sys.exit("usage: asker.py PEER TEXT")
main(*sys.argv[1:])
