"""The client that agents in the field were written for."""

import asyncio
import os
from typing import Any, Dict, List
from unittest import mock

from .support import SETTINGS, ClientTest, soon
from chatixia_client import MeshClient, MeshMessage


class FieldAgents(ClientTest):
    async def client(self, name: str) -> MeshClient:
        client = MeshClient(socket_path=str(self.directory / f"{name}.sock"))
        self.addAsyncCleanup(client.stop)
        settings = {
            **SETTINGS,
            "API_KEY": f"{name}-sidecar",
            "SIGNALING_URL": self.registry.url.replace("http", "ws") + "/ws",
            "TOKEN_URL": self.registry.url + "/api/token",
        }
        with mock.patch.dict(os.environ, settings):
            await soon(client.start())
        return client

    async def test_they_find_each_other_and_work_together(self) -> None:
        alice = await self.client("alice")
        connected: "asyncio.Queue[Dict[str, Any]]" = asyncio.Queue()
        alice.on("peer_connected", connected.put_nowait)
        bob = await self.client("bob")
        self.assertTrue(alice.connected)
        event = await soon(connected.get())
        self.assertEqual(event["type"], "peer_connected")
        self.assertEqual(event["payload"]["peer_id"], "bob-sidecar")
        self.assertTrue(alice.is_peer_connected("bob-sidecar"))
        self.assertEqual(alice.peers, {"bob-sidecar"})
        self.assertEqual(await soon(alice.list_peers()), ["bob-sidecar"])

        received: "asyncio.Queue[Dict[str, Any]]" = asyncio.Queue()
        everything: List[Dict[str, Any]] = []

        async def on_message(data: Dict[str, Any]) -> None:
            payload = data["payload"]
            message = MeshMessage.from_dict(payload["message"])
            if message.msg_type == "task_request":
                response = MeshMessage(
                    "task_response", message.request_id, "bob", message.source_agent, {"result": "done"}
                )
                await bob.send(payload["from_peer"], response)
            else:
                await received.put(data)

        bob.on("message", on_message)
        bob.on("*", everything.append)
        await alice.send("bob-sidecar", MeshMessage("agent_prompt", payload={"message": "hello"}))
        data = await soon(received.get())
        self.assertEqual(data["payload"]["from_peer"], "alice-sidecar")
        self.assertEqual(data["payload"]["message"]["payload"], {"message": "hello"})
        await alice.broadcast(MeshMessage("agent_status", source_agent="alice"))
        self.assertEqual((await soon(received.get()))["payload"]["message"]["source_agent"], "alice")
        # Beside them perhaps that alice is connected, which may come before or after this handler.
        self.assertIn("message", {data["type"] for data in everything})

        message = MeshMessage("task_request", source_agent="alice", payload={"skill": "x"})
        response = await soon(alice.request("bob-sidecar", message, timeout=10.0))
        self.assertEqual(response["payload"], {"result": "done"})
        self.assertEqual(response["request_id"], message.request_id)
        with self.assertRaises(asyncio.TimeoutError):
            await alice.request("bob-sidecar", MeshMessage("ping"), timeout=0.1)

        await soon(bob.stop())
        self.assertFalse(bob.connected)
        self.assertEqual(bob.peers, set())
        with self.assertRaises(RuntimeError):
            await bob.list_peers()

    async def test_messages_that_nobody_handles_do_not_pile_up(self) -> None:
        alice, bob = await self.client("alice"), await self.client("bob")
        while not alice.is_peer_connected("bob-sidecar"):
            await alice.list_peers()
        for _ in range(300):
            await soon(alice.send("bob-sidecar", MeshMessage("agent_prompt", payload="x" * 20_000)))
        self.assertEqual(await soon(bob.list_peers()), ["alice-sidecar"])
