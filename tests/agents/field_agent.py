"""Two agents as they are written in the field, and what they do with each other.

Standard library only. They know the contract's parts 1 to 4 and nothing of ours: event types that
they have not heard of are passed over, requests and responses are matched by `request_id` here, and
lines are read with asyncio's default limit.

The environment names the binary (SIDECAR_BINARY) and the registry; the first argument is a
directory for the sockets. Each step that went well is a line on standard output.
"""

import asyncio
import json
import os
import signal
import sys
import uuid

SOCKET_POLLS = 50
SOCKET_POLL_SECONDS = 0.1
STOP_SECONDS = 5
STEP_SECONDS = 20


class Agent:
    """An agent and the sidecar that it has spawned."""

    def __init__(self, name, directory):
        self.name = name
        self.peer_id = f"{name}-sidecar"
        self.socket = os.path.join(directory, f"{name}.sock")
        self.peers = set()
        self.handlers = {}
        self.pending = {}
        self.received = asyncio.Queue()
        self.listed = asyncio.Queue()
        self.changed = asyncio.Event()

    async def start(self):
        environment = dict(os.environ, IPC_SOCKET=self.socket, API_KEY=self.peer_id)
        self.process = await asyncio.create_subprocess_exec(
            os.environ["SIDECAR_BINARY"],
            env=environment,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.PIPE,
        )
        for _ in range(SOCKET_POLLS):
            if os.path.exists(self.socket):
                break
            if self.process.returncode is not None:
                stderr = (await self.process.stderr.read()).decode()
                raise RuntimeError(f"sidecar exited with {self.process.returncode}: {stderr}")
            await asyncio.sleep(SOCKET_POLL_SECONDS)
        self.reader, self.writer = await asyncio.open_unix_connection(self.socket)
        self.reading = asyncio.create_task(self.read())

    async def read(self):
        while line := await self.reader.readline():
            event = json.loads(line)
            payload = event.get("payload") or {}
            if event["type"] == "message":
                await self.handle(payload["from_peer"], payload["message"])
            elif event["type"] == "peer_connected":
                self.peers.add(payload["peer_id"])
                self.changed.set()
            elif event["type"] == "peer_disconnected":
                self.peers.remove(payload["peer_id"])
                self.changed.set()
            elif event["type"] == "peer_list":
                await self.listed.put(payload["peers"])

    async def handle(self, from_peer, message):
        waiting = self.pending.pop(message["request_id"], None)
        if waiting is not None:
            waiting.set_result(message)
        elif message["type"] in self.handlers:
            answer = self.handlers[message["type"]](message)
            await self.send(from_peer, answer)
        else:
            await self.received.put((from_peer, message))

    async def command(self, kind, payload):
        self.writer.write(json.dumps({"type": kind, "payload": payload}).encode() + b"\n")
        await self.writer.drain()

    def message(self, kind, payload, request_id="", target=""):
        return {
            "type": kind,
            "request_id": request_id,
            "source_agent": self.name,
            "target_agent": target,
            "payload": payload,
        }

    async def send(self, peer, message):
        await self.command("send", {"target_peer": peer, "message": message})

    async def broadcast(self, message):
        await self.command("broadcast", {"message": message})

    async def request(self, peer, kind, payload):
        request_id = str(uuid.uuid4())
        waiting = asyncio.get_running_loop().create_future()
        self.pending[request_id] = waiting
        await self.send(peer, self.message(kind, payload, request_id, peer))
        return await asyncio.wait_for(waiting, STEP_SECONDS)

    async def list_peers(self):
        await self.command("list_peers", {})
        return await asyncio.wait_for(self.listed.get(), STEP_SECONDS)

    async def until_peers_are(self, expected):
        while self.peers != expected:
            self.changed.clear()
            await asyncio.wait_for(self.changed.wait(), STEP_SECONDS)

    async def next_message(self):
        return await asyncio.wait_for(self.received.get(), STEP_SECONDS)

    async def stop(self):
        self.process.send_signal(signal.SIGTERM)
        code = await asyncio.wait_for(self.process.wait(), STOP_SECONDS)
        await self.reading
        self.writer.close()
        return code


def expect(step, found, expected):
    if found != expected:
        raise AssertionError(f"{step}: {found!r} in place of {expected!r}")
    print(f"ok: {step}", flush=True)


async def play(directory):
    alice, bob = Agent("alice", directory), Agent("bob", directory)
    await asyncio.gather(alice.start(), bob.start())
    await asyncio.gather(
        alice.until_peers_are({"bob-sidecar"}), bob.until_peers_are({"alice-sidecar"})
    )
    expect("list", await alice.list_peers(), ["bob-sidecar"])

    status = alice.message("agent_status", {"load": 0.25, "näme": "grüße 🚀"})
    await alice.send("bob-sidecar", status)
    expect("send", await bob.next_message(), ("alice-sidecar", status))
    await alice.broadcast(status)
    expect("broadcast", await bob.next_message(), ("alice-sidecar", status))
    await alice.send("bob-sidecar", {"type": "ping"})
    _, short = await bob.next_message()
    filled_in = {"request_id": "", "source_agent": "", "target_agent": "", "payload": None}
    expect("defaults", short, {"type": "ping", **filled_in})

    def add(task):
        return bob.message(
            "task_response", sum(task["payload"]), task["request_id"], task["source_agent"]
        )

    bob.handlers["task_request"] = add
    requests = [alice.request("bob-sidecar", "task_request", [n, 1]) for n in range(100)]
    responses = await asyncio.gather(*requests)
    sums = [response["payload"] for response in responses]
    expect("100 requests at once", sums, list(range(1, 101)))
    # A line of nearly as much as the reader takes.
    large = alice.message("agent_prompt", "x" * 60_000)
    await alice.send("bob-sidecar", large)
    expect("60 KB", await bob.next_message(), ("alice-sidecar", large))

    expect("stop", await bob.stop(), 0)
    expect("socket removed", os.path.exists(bob.socket), False)
    await alice.until_peers_are(set())
    expect("list after stop", await alice.list_peers(), [])
    expect("stop of the other", await alice.stop(), 0)


asyncio.run(asyncio.wait_for(play(sys.argv[1]), 60))
