"""What this client adds to a message's way, and how many messages it carries.

    SIDECAR_BINARY=... python3 benchmarks/message_way.py [--rounds N] [--messages N]

Way: in the sidecar's place a process echoes each message. The asker uses bare blocking sockets, asyncio
alone, and this client, in turn. The difference of the medians is what it costs to send one message and
receive one, which is one message's way.

Throughput: two agents with this client and a sidecar each, one way, counted from the first message that
arrives to the last.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, Dict, Iterator, List

SOURCE = Path(__file__).resolve().parent.parent / "src"
sys.path.insert(0, str(SOURCE))

from chatixia_client import Message, Sidecar, find_binary  # noqa: E402

PAYLOAD = "x" * 20
"""A whole message has about 150 bytes with it."""


class BareAgent:
    """What a socket costs without a client."""

    def __init__(self, path: str) -> None:
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.connect(path)
        self._lines = self._socket.makefile("rb", buffering=1 << 16)

    def events(self) -> Iterator[Dict[str, Any]]:
        for line in self._lines:
            yield json.loads(line)

    def messages(self) -> Iterator[Dict[str, Any]]:
        for event in self.events():
            if event["type"] == "message":
                yield event["payload"]

    def send(self, peer: str, message: Dict[str, Any]) -> None:
        command = {"type": "send", "payload": {"target_peer": peer, "message": message}}
        self._socket.sendall(json.dumps(command).encode() + b"\n")

    def close(self) -> None:
        self._lines.close()
        self._socket.close()


def echo(path: str) -> None:
    """Stands in for a sidecar whose peer answers at once."""
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(path)
    listener.listen()
    print("listening", flush=True)
    while True:
        agent, _ = listener.accept()
        with agent, agent.makefile("rb", buffering=1 << 16) as lines:
            for line in lines:
                command = json.loads(line)
                if command["type"] == "list_peers":
                    agent.sendall(b'{"type":"peer_list","id":0,"payload":{"peers":[]}}\n')
                else:
                    payload = {"from_peer": "bob-sidecar", "message": command["payload"]["message"]}
                    event = {"type": "message", "payload": payload}
                    agent.sendall(json.dumps(event).encode() + b"\n")


class Times:
    """Round trips: what each took, and what the asker's processor did for all."""

    def __init__(self) -> None:
        self._passed: List[float] = []
        self._processor = 0.0

    def add(self, passed: List[float], processor: float) -> None:
        self._passed += passed
        self._processor += processor

    @property
    def median(self) -> float:
        """In microseconds."""
        return statistics.median(self._passed) * 1e6

    @property
    def processor(self) -> float:
        """In microseconds for a round trip."""
        return self._processor / len(self._passed) * 1e6


def bare_round_trips(path: str, count: int, times: Times) -> None:
    agent = BareAgent(path)
    messages = agent.messages()
    passed, busy = [], time.process_time()
    for number in range(count):
        began = time.perf_counter()
        agent.send("bob-sidecar", {"type": "ping", "request_id": str(number), "payload": PAYLOAD})
        next(messages)
        passed.append(time.perf_counter() - began)
    times.add(passed, time.process_time() - busy)
    agent.close()


class Echoed(asyncio.Protocol):
    """What asyncio costs without a client."""

    def __init__(self) -> None:
        self.message: "asyncio.Future[Any]" = asyncio.get_running_loop().create_future()

    def data_received(self, data: bytes) -> None:
        for line in data.splitlines():
            self.message.set_result(json.loads(line))


async def asyncio_round_trips(path: str, count: int, times: Times) -> None:
    loop = asyncio.get_running_loop()
    transport, echoed = await loop.create_unix_connection(Echoed, path)
    passed, busy = [], time.process_time()
    for number in range(count):
        began = time.perf_counter()
        echoed.message = loop.create_future()
        message = {"type": "ping", "request_id": str(number), "payload": PAYLOAD}
        command = {"type": "send", "payload": {"target_peer": "bob-sidecar", "message": message}}
        transport.write(json.dumps(command).encode() + b"\n")
        await echoed.message
        passed.append(time.perf_counter() - began)
    times.add(passed, time.process_time() - busy)
    transport.close()


async def client_round_trips(path: str, count: int, times: Times) -> None:
    async with Sidecar(socket=path, spawn=False) as sidecar:
        messages = sidecar.messages()
        passed, busy = [], time.process_time()
        for number in range(count):
            began = time.perf_counter()
            await sidecar.send("bob-sidecar", "ping", PAYLOAD, request_id=str(number))
            await messages.__anext__()
            passed.append(time.perf_counter() - began)
        times.add(passed, time.process_time() - busy)


async def client_requests(path: str, count: int, times: Times) -> None:
    async with Sidecar(socket=path, spawn=False) as sidecar:
        passed, busy = [], time.process_time()
        for _ in range(count):
            began = time.perf_counter()
            await sidecar.request("bob-sidecar", "ping", PAYLOAD)
            passed.append(time.perf_counter() - began)
        times.add(passed, time.process_time() - busy)


async def receive(path: str, count: int) -> None:
    received, began = 0, 0.0
    done = asyncio.Event()

    def take(message: Message) -> None:
        nonlocal received, began
        received += 1
        if received == 1:
            began = time.perf_counter()
        elif received == count:
            done.set()

    sidecar = Sidecar(socket=path, spawn=False)
    sidecar.on_message("*", take)
    async with sidecar:
        print("ready", flush=True)
        await done.wait()
        print((count - 1) / (time.perf_counter() - began), flush=True)


async def send(path: str, count: int) -> None:
    async with Sidecar(socket=path, spawn=False) as sidecar:
        for _ in range(count - 1):
            await sidecar.send("bob-sidecar", "agent_status", PAYLOAD)
        await sidecar.deliver("bob-sidecar", "agent_status", PAYLOAD)


def helper(*arguments: str) -> "subprocess.Popen[str]":
    command = [sys.executable, __file__, *arguments]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def spawn_sidecar(name: str, path: str, registry: str) -> "subprocess.Popen[bytes]":
    environment = {
        **os.environ,
        "IPC_SOCKET": path,
        "API_KEY": f"{name}-sidecar",
        "SIGNALING_URL": f"ws://{registry}/ws",
        "TOKEN_URL": f"http://{registry}/api/token",
        "INTERFACES": "lo",
        "AGENT_LINGER": "inf",
        "RUST_LOG": "warn",
    }
    return subprocess.Popen([find_binary()], env=environment)


async def until_connected(path: str) -> None:
    while not os.path.exists(path):
        await asyncio.sleep(0.01)
    async with Sidecar(socket=path, spawn=False) as sidecar:
        await sidecar.wait_for_peer("bob-sidecar")


def measure_way(path: str, rounds: int) -> None:
    echoing = helper("--echo", path)
    assert echoing.stdout is not None
    echoing.stdout.readline()
    bare, plain, client, requests = Times(), Times(), Times(), Times()
    for _ in range(10):
        count = rounds // 10
        bare_round_trips(path, count, bare)
        asyncio.run(asyncio_round_trips(path, count, plain))
        asyncio.run(client_round_trips(path, count, client))
        asyncio.run(client_requests(path, count, requests))
    echoing.kill()
    echoing.wait()
    print("us (medians)                     round trip   added   processor   added")
    rows = [
        ("bare blocking sockets", bare),
        ("asyncio alone", plain),
        ("this client: send, messages", client),
        ("this client: request", requests),
    ]
    for name, times in rows:
        added = times.median - bare.median, times.processor - bare.processor
        print(
            f"{name:31} {times.median:10.0f} {added[0]:9.0f} {times.processor:9.0f} {added[1]:9.0f}"
        )


def measure_throughput(alice: str, bob: str, count: int) -> None:
    receiving = helper("--receive", bob, "--messages", str(count))
    assert receiving.stdout is not None
    receiving.stdout.readline()
    asyncio.run(send(alice, count))
    rate = float(receiving.stdout.readline())
    receiving.wait()
    print(f"one way, {count} messages     {rate:7.0f} /s")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--rounds", type=int, default=5000)
    parser.add_argument("--messages", type=int, default=200_000)
    parser.add_argument("--echo", metavar="SOCKET", help=argparse.SUPPRESS)
    parser.add_argument("--receive", metavar="SOCKET", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.echo:
        return echo(arguments.echo)
    if arguments.receive:
        return asyncio.run(receive(arguments.receive, arguments.messages))

    listen = ["--listen", "127.0.0.1", "--port", "0"]
    registry = subprocess.Popen(
        [find_binary(), "registry", "--open", *listen],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    assert registry.stdout is not None
    address = next(w for w in registry.stdout.readline().split() if w.startswith("127.0.0.1:"))
    with tempfile.TemporaryDirectory() as directory:
        alice, bob = (os.path.join(directory, name) for name in ("alice", "bob"))
        processes: List["subprocess.Popen[Any]"] = [
            spawn_sidecar("alice", alice, address),
            spawn_sidecar("bob", bob, address),
            registry,
        ]
        try:
            asyncio.run(until_connected(alice))
            measure_way(os.path.join(directory, "echo"), arguments.rounds)
            measure_throughput(alice, bob, arguments.messages)
        finally:
            for process in processes:
                process.terminate()
                process.wait()


if __name__ == "__main__":
    main()
