"""The stand-in for a sidecar, with which others test their agents."""

from __future__ import annotations

import asyncio
import os
import unittest
from typing import Any

from .support import SOURCE, soon, until
from chatixia_client import BlockingSidecar, CommandFailed, Event, MeshClient, MeshMessage, Message, Sidecar
from chatixia_client.testing import StandInSidecar


class StandIn(unittest.IsolatedAsyncioTestCase):
    async def client(self, mesh: StandInSidecar) -> Sidecar:
        self.addAsyncCleanup(mesh.stop)
        await mesh.start()
        sidecar = Sidecar(socket=mesh.path, spawn=False)
        self.addAsyncCleanup(sidecar.stop)
        return await soon(sidecar.start())

    async def test_it_answers_every_command_as_a_sidecar_does(self) -> None:
        mesh = StandInSidecar(peer_id="me-sidecar", peers=["carol", "bob"])
        agent = await self.client(mesh)
        self.assertEqual((agent.peer_id, agent.agent), ("me-sidecar", "me"))
        self.assertEqual(await soon(agent.list_peers()), ["bob", "carol"])
        self.assertEqual(await soon(agent.deliver("bob", "note", 1)), ("bob", "agent"))
        peer, message = await mesh.sent()
        self.assertEqual((peer, message.type, message.payload), ("bob", "note", 1))
        await soon(agent.connect("bob"))
        self.assertEqual((await soon(agent.stats()))["process"]["peer_id"], "me-sidecar")
        mesh.refuse("carol", "peer_stalled")
        receipt = await soon(agent.deliver_to_all("news"))
        self.assertEqual(receipt, (["bob"], {"carol": "peer_stalled"}))
        self.assertEqual((await mesh.sent()).message.type, "news")
        for peer, code in (("carol", "peer_stalled"), ("dave", "unknown_peer")):
            with self.assertRaises(CommandFailed) as caught:
                await soon(agent.deliver(peer, "note"))
            self.assertEqual((caught.exception.code, caught.exception.target_peer), (code, peer))
        mesh.refuse("carol", None)
        await soon(agent.deliver("carol", "note"))

    async def test_a_test_plays_the_peers(self) -> None:
        mesh = StandInSidecar(peers=["bob"])
        agent = await self.client(mesh)
        events = agent.events()

        @agent.on_request("task_request")
        async def work(message: Message) -> Any:
            await agent.send(message.from_peer, {"type": "task_stream_chunk", "request_id": message.request_id})
            return message.payload + 1

        response = await mesh.ask("bob", "task_request", 1)
        self.assertEqual((response.type, response.payload), ("task_response", 2))
        self.assertEqual((await mesh.sent()).message.type, "task_stream_chunk")
        await mesh.message("agent_status", "idle", peer="carol")
        message = await soon(agent.messages().__anext__())
        self.assertEqual((message.from_peer, message.payload), ("carol", "idle"))
        await mesh.disconnect_peer("bob")
        await mesh.connect_peer("carol")
        told = [await soon(events.__anext__()) for _ in range(2)]
        self.assertEqual(
            told,
            [
                Event("peer_disconnected", {"peer_id": "bob"}),
                Event("peer_connected", {"peer_id": "carol"}),
            ],
        )
        self.assertEqual(agent.peers, {"carol"})

    async def test_what_does_not_happen_is_told(self) -> None:
        mesh = StandInSidecar(peers=["bob"])
        await self.client(mesh)
        with self.assertRaisesRegex(AssertionError, "sent nothing within 0.01 s"):
            await mesh.sent(timeout=0.01)
        with self.assertRaisesRegex(AssertionError, "not responded to the task_request of bob"):
            await mesh.ask("bob", "task_request", timeout=0.01)

    async def test_an_agent_may_come_back_and_a_second_one_is_refused(self) -> None:
        mesh = StandInSidecar(peers=["bob"])
        agent = await self.client(mesh)
        with self.assertRaisesRegex(CommandFailed, "busy"):
            await soon(Sidecar(socket=mesh.path, spawn=False).start())
        await soon(agent.stop())
        await until(lambda: mesh._writer is None)
        async with Sidecar(socket=mesh.path, spawn=False) as again:
            self.assertEqual(again.peers, {"bob"})

    async def test_every_client_takes_it(self) -> None:
        async with StandInSidecar(peers=["bob"]) as mesh:

            def blocking() -> Any:
                with BlockingSidecar(socket=mesh.path, spawn=False) as sidecar:
                    return sidecar.deliver("bob", "note")

            self.assertEqual(await soon(asyncio.to_thread(blocking)), ("bob", "agent"))
            await until(lambda: mesh._writer is None)
            client = MeshClient(mesh.path)
            await soon(client.start(auto_spawn_sidecar=False))
            await soon(client.send("bob", MeshMessage("ping")))
            kinds = [(await mesh.sent()).message.type for _ in range(2)]
            self.assertEqual(kinds, ["note", "ping"])
            await soon(client.stop())
            directory = os.path.dirname(mesh.path)
        self.assertFalse(os.path.exists(directory))

    async def test_what_a_talk_raises_reaches_the_test(self) -> None:
        async def talk(stand_in: StandInSidecar) -> None:
            command = await stand_in.command()
            assert command["type"] == "broadcast", "not as the test wants it"

        mesh = StandInSidecar(talk=talk)
        await mesh.start()
        sidecar = Sidecar(socket=mesh.path, spawn=False)
        await soon(sidecar.start())
        await soon(sidecar.send("bob", "note"))
        await until(lambda: mesh._writer is None)
        await soon(sidecar.stop())
        with self.assertRaisesRegex(AssertionError, "not as the test"):
            await mesh.stop()

    def test_the_example_of_the_readme_is_the_one_that_runs(self) -> None:
        example = (SOURCE.parent / "examples" / "test_capitals.py").read_text()
        self.assertIn(f"```python\n{example}```", (SOURCE.parent / "README.md").read_text())
