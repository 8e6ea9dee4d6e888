"""A sidecar on standard input and output, in place of a socket."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from unittest import mock

from .support import SOURCE, ClientTest, is_running, soon, until, until_event
from chatixia_client import BlockingSidecar, Message, Sidecar, StartFailed

AGENT_THAT_IS_KILLED = """
import asyncio
from chatixia_client import Sidecar

async def main():
    async with Sidecar(transport="stdio") as sidecar:
        print(sidecar.pid, flush=True)
        await sidecar.serve()

asyncio.run(main())
"""


class Stdio(ClientTest):
    async def test_agents_talk_and_nobody_has_a_socket(self) -> None:
        with mock.patch.dict(os.environ, IPC_SOCKET=str(self.directory / "another's")):
            alice, bob = await self.pair(transport="stdio")

        @bob.on_request("task_request")
        def work(message: Message) -> object:
            return message.payload * 2

        response = await soon(alice.request("bob-sidecar", "task_request", "x" * 100_000))
        self.assertEqual(response.payload, "x" * 200_000)
        for sidecar in (alice, bob):
            with open(f"/proc/{sidecar.pid}/cmdline", "rb") as file:
                self.assertIn(b"--stdio", file.read().split(b"\0"))
        self.assertEqual(os.listdir(self.directory), [])

    async def test_one_that_crashes_is_begun_anew(self) -> None:
        sidecar = await self.start("alice", transport="stdio")
        events = sidecar.events()
        assert sidecar.pid is not None
        os.kill(sidecar.pid, signal.SIGKILL)
        await until_event(events, "sidecar", state="restored")
        self.assertEqual(await soon(sidecar.list_peers()), [])

    async def test_one_that_does_not_start_says_why(self) -> None:
        sidecar = self.new_sidecar("alice", {"MAX_PEERS": "none"}, transport="stdio")
        with self.assertRaisesRegex(StartFailed, "MAX_PEERS") as caught:
            await soon(sidecar.start())
        self.assertEqual(caught.exception.exit_code, 2)
        silent = self.new_sidecar(
            "alice",
            transport="stdio",
            start_timeout=0.3,
            binary=self.program("import time\ntime.sleep(60)"),
        )
        with self.assertRaisesRegex(StartFailed, "no sidecar answers on its standard input and output"):
            await soon(silent.start())

    async def test_it_does_not_outlive_an_agent_that_is_killed(self) -> None:
        environment = {
            **os.environ,
            "PYTHONPATH": str(SOURCE),
            "API_KEY": "carol-sidecar",
            "REGISTRY_URL": self.registry.url,
            "INTERFACES": "lo",
        }
        agent = subprocess.Popen(
            [sys.executable, "-c", AGENT_THAT_IS_KILLED], env=environment, stdout=subprocess.PIPE
        )
        assert agent.stdout is not None
        with agent.stdout:
            pid = int(await soon(asyncio.to_thread(agent.stdout.readline)))
        agent.kill()
        agent.wait()
        await until(lambda: not is_running(pid))

    def test_programs_without_asyncio_can_have_it(self) -> None:
        with BlockingSidecar(
            registry=self.registry.url,
            api_key="dave-sidecar",
            environment={"INTERFACES": "lo"},
            transport="stdio",
        ) as sidecar:
            self.assertEqual(sidecar.list_peers(), [])

    def test_what_has_no_meaning_is_refused(self) -> None:
        with self.assertRaisesRegex(ValueError, "IPC_SOCKET"):
            Sidecar(transport="stdio", socket="/tmp/s")
        with self.assertRaisesRegex(ValueError, "spawned"):
            Sidecar(transport="stdio", spawn=False)
        with self.assertRaisesRegex(ValueError, "'pigeon'"):
            Sidecar(transport="pigeon")  # type: ignore[arg-type]
