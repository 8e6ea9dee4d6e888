"""An agent as the field's runner runs it (contract part 3), step by step, on our `MeshClient`.

    field_runner.py REGISTRY NAME SOCKET [DELEGATE_TO]

Its skill `shout` gives a message back in capitals. With DELEGATE_TO it delegates to that agent over P2P and
over the task queue, prints the results, and ends; without, it works until SIGTERM.
"""

import asyncio
import json
import os
import signal
import socket
import sys
import urllib.request
from typing import Any, Dict, Optional

from chatixia_client import MeshClient, MeshMessage

HEARTBEAT_SECONDS = float(os.environ.get("HEARTBEAT_SECONDS", "15"))
POLL_SECONDS = float(os.environ.get("POLL_SECONDS", "3"))


def ask(method: str, url: str, body: Optional[Dict[str, Any]] = None, api_key: str = "") -> Any:
    """One HTTP exchange. The runner shows its key, its skills do not."""
    headers = {"Content-Type": "application/json"}
    if api_key:
        headers["x-api-key"] = api_key
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data=data, headers=headers, method=method)
    with urllib.request.urlopen(request, timeout=10) as response:
        return json.loads(response.read())


def do_skill(skill: str, payload: Dict[str, Any]) -> str:
    if skill != "shout":
        raise ValueError(f"unknown skill: {skill}")
    return str(payload.get("message", "")).upper()


async def delegate(client: MeshClient, registry: str, name: str, message: str, target: str) -> str:
    """To whom has the skill, over P2P."""
    listed = await asyncio.to_thread(ask, "GET", f"{registry}/api/registry/agents")
    if target not in [agent["agent_id"] for agent in listed]:
        raise AssertionError(f"{target} is not listed: {listed}")
    route = await asyncio.to_thread(ask, "GET", f"{registry}/api/registry/route?skill=shout")
    peer = f"{route['agent_id']}-sidecar"
    if not (client.connected and client.is_peer_connected(peer)):
        raise AssertionError(f"{peer} is not connected; these are: {client.peers}")
    request = MeshMessage(
        msg_type="task_request",
        source_agent=name,
        target_agent=target,
        payload={"message": message, "skill": "shout"},
    )
    response = await client.request(peer, request, timeout=30.0)
    payload = response["payload"]
    return str(payload.get("result") or payload.get("error"))


async def delegate_over_queue(registry: str, name: str, message: str, target: str) -> str:
    task = {
        "skill": "shout",
        "target_agent_id": target,
        "source_agent_id": name,
        "payload": {"message": message},
        "ttl": 300,
    }
    given = await asyncio.to_thread(ask, "POST", f"{registry}/api/hub/tasks", task)
    while True:
        await asyncio.sleep(POLL_SECONDS)
        url = f"{registry}/api/hub/tasks/{given['task_id']}"
        state = await asyncio.to_thread(ask, "GET", url)
        if state["state"] in ("completed", "failed"):
            return str(state["result"] or state["error"])


async def run(registry: str, name: str, socket_path: str, target: Optional[str]) -> None:
    api_key = os.environ.get("API_KEY", "ak_dev_001")
    os.environ.setdefault("REGISTRY_URL", registry)
    scheme = "wss" if registry.startswith("https") else "ws"
    host = registry.replace("https://", "").replace("http://", "")
    os.environ.setdefault("SIGNALING_URL", f"{scheme}://{host}/ws")
    os.environ.setdefault("TOKEN_URL", f"{registry}/api/token")
    os.environ.setdefault("API_KEY", api_key)
    capabilities = {"skills": ["shout"] if target is None else [], "mcp_servers": [], "goals_count": 0}
    registration = {
        "agent_id": name,
        "hostname": socket.gethostname(),
        "sidecar_peer_id": f"{name}-sidecar",
        "capabilities": {**capabilities, "mode": "interactive"},
    }
    ask("POST", f"{registry}/api/registry/agents", registration, api_key)
    print(f"Registered as {name}", flush=True)

    client = MeshClient(socket_path=socket_path, sidecar_binary="chatixia-sidecar")
    await client.start()

    async def on_message(data: Dict[str, Any]) -> None:
        payload = data.get("payload", {})
        message = payload.get("message", {})
        if message.get("type") != "task_request":
            return
        task = message.get("payload", {})
        try:
            result, error = do_skill(task.get("skill", ""), task), ""
        except ValueError as refused:
            result, error = "", str(refused)
        response = MeshMessage(
            msg_type="task_response",
            request_id=message.get("request_id", ""),
            source_agent=name,
            target_agent=message.get("source_agent", "unknown"),
            payload={"result": result, "error": error},
        )
        await client.send(payload.get("from_peer", ""), response)

    connected = asyncio.Event()
    client.on("message", on_message)
    client.on("peer_connected", lambda data: connected.set())
    if client.peers:
        connected.set()
    print(f"  Sidecar log: {client.sidecar_log_path}", flush=True)

    async def beat() -> None:
        while True:
            beat = {"agent_id": name, "skill_names": capabilities["skills"]}
            answer = await asyncio.to_thread(
                ask, "POST", f"{registry}/api/hub/heartbeat", beat, api_key
            )
            for task in answer.get("pending_tasks", []):
                result = do_skill(task["skill"], task["payload"])
                ending = {"state": "completed", "result": result, "error": ""}
                await asyncio.to_thread(
                    ask, "POST", f"{registry}/api/hub/tasks/{task['id']}", ending, api_key
                )
            await asyncio.sleep(HEARTBEAT_SECONDS)

    ended = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, ended.set)
    beating = asyncio.ensure_future(beat())
    if target is None:
        await ended.wait()
    else:
        await connected.wait()
        print("over P2P:", await delegate(client, registry, name, "hello", target), flush=True)
        print("over the queue:", await delegate_over_queue(registry, name, "again", target), flush=True)
    beating.cancel()
    ask("DELETE", f"{registry}/api/registry/agents/{name}", api_key=api_key)
    print(f"Deregistered {name}", flush=True)
    await client.stop()


if __name__ == "__main__":
    registry_url, own_name, own_socket, *more = sys.argv[1:]
    asyncio.run(run(registry_url, own_name, own_socket, more[0] if more else None))
