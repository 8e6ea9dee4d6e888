"""What the tests share: a registry of their own, sidecars on it, and programs in a sidecar's place."""

from __future__ import annotations

import asyncio
import os
import shutil
import stat
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path
from typing import Any, AsyncIterator, Awaitable, Callable, Dict, Optional, TypeVar

SOURCE = Path(__file__).resolve().parent.parent / "src"
sys.path.insert(0, str(SOURCE))

from chatixia_client import Event, Message, Sidecar, find_binary  # noqa: E402

PATIENCE = 30.0
"""Longer than anything here takes, so that a test that waits in vain fails."""

SETTINGS = {"INTERFACES": "lo", "RUST_LOG": "debug"}

WITH_AN_AGENT = '''
import json, os, socket
listener = socket.socket(socket.AF_UNIX)
listener.bind(os.environ["IPC_SOCKET"])
listener.listen()
agent, _ = listener.accept()

def tell(kind, payload):
    agent.sendall(json.dumps({"type": kind, "payload": payload}).encode() + b"\\n")
'''
"""The beginning of a program in a sidecar's place: it has its `agent`, and may `tell` it events."""

Result = TypeVar("Result")


async def soon(work: Awaitable[Result]) -> Result:
    """Awaits what does not take long."""
    return await asyncio.wait_for(work, PATIENCE)


async def until(condition: Callable[[], bool]) -> None:
    """Waits for what nobody tells."""

    async def poll() -> None:
        while not condition():
            await asyncio.sleep(0.01)

    await soon(poll())


async def until_event(events: AsyncIterator[Event], kind: str, **payload: Any) -> Event:
    """The next event of a type, with these values in its payload."""

    async def find() -> Event:
        async for event in events:
            if event.type == kind and payload.items() <= event.payload.items():
                return event
        raise AssertionError(f"no {kind} before the end")

    return await soon(find())


class Registry:
    """A development registry on a port of its own, which lets everybody in."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [find_binary(), "registry", "--open", "--listen", "127.0.0.1", "--port", "0"],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        assert self._process.stdout is not None
        # It prints its address once it listens.
        words = self._process.stdout.readline().split()
        address = next((word for word in words if word.startswith("127.0.0.1:")), None)
        if address is None:
            raise AssertionError(f"the registry did not start: {words}")
        self.url = f"http://{address}"

    def stop(self) -> None:
        self._process.terminate()
        self._process.wait(PATIENCE)
        if self._process.stdout is not None:
            self._process.stdout.close()


class RegistryTest(unittest.TestCase):
    """A test with a directory of its own, and a registry that its class shares."""

    registry: Registry

    @classmethod
    def setUpClass(cls) -> None:
        cls.registry = Registry()
        cls.addClassCleanup(cls.registry.stop)

    def setUp(self) -> None:
        self.directory = Path(tempfile.mkdtemp(prefix="chatixia-test-"))
        self.addCleanup(shutil.rmtree, self.directory, ignore_errors=True)


class ClientTest(RegistryTest, unittest.IsolatedAsyncioTestCase):
    """The same for clients, which are asynchronous."""

    def new_sidecar(
        self, name: str, environment: Optional[Dict[str, str]] = None, **settings: Any
    ) -> Sidecar:
        """One that is called `name`-sidecar, and stopped with the test. Not started yet."""
        settings.setdefault("registry", self.registry.url)
        sidecar = Sidecar(
            api_key=f"{name}-sidecar", environment={**SETTINGS, **(environment or {})}, **settings
        )
        self.addAsyncCleanup(sidecar.stop)
        return sidecar

    async def start(self, name: str, **settings: Any) -> Sidecar:
        return await soon(self.new_sidecar(name, **settings).start())

    async def pair(self, **settings: Any) -> "tuple[Sidecar, Sidecar]":
        """Alice and Bob, connected."""
        alice, bob = await asyncio.gather(
            self.start("alice", **settings), self.start("bob", **settings)
        )
        await asyncio.gather(alice.wait_for_peer("bob-sidecar"), bob.wait_for_peer("alice-sidecar"))
        return alice, bob

    def program(self, text: str, name: str = "stand-in") -> Path:
        """A Python program that can be spawned in a sidecar's place."""
        path = self.directory / name
        path.write_text(f"#!{sys.executable}\n{text}")
        path.chmod(path.stat().st_mode | stat.S_IXUSR)
        return path


def respond_in_chunks(sidecar: Sidecar) -> None:
    """Whoever sends an `agent_prompt` gets the chunks "one" and "two", and then "done"."""

    @sidecar.on_request("agent_prompt")
    async def stream(message: Message) -> Any:
        for word in ("one", "two"):
            chunk = {"type": "agent_stream_chunk", "payload": word}
            await sidecar.send(message.from_peer, {**chunk, "request_id": message.request_id})
        return "done"


def is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def is_running(pid: int) -> bool:
    """Whether it is alive, and not merely not reaped by whoever has to do that."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return is_alive(pid)
    return text.rpartition(")")[2].split()[0] != "Z"
