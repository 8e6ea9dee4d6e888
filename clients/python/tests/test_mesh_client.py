"""The client that agents in the field were written for."""

import asyncio
import os
import subprocess
from typing import Any, Dict, List
from unittest import mock

from .support import SETTINGS, ClientTest, soon, until
from chatixia_client import MeshClient, MeshMessage, find_binary


class FieldAgents(ClientTest):
    async def client(self, name: str) -> MeshClient:
        client = MeshClient(socket_path=str(self.directory / f"{name}.sock"))
        self.addAsyncCleanup(client.stop)
        with mock.patch.dict(os.environ, self.environment(name)):
            await soon(client.start())
        return client

    def environment(self, name: str) -> Dict[str, str]:
        return {
            **SETTINGS,
            "API_KEY": f"{name}-sidecar",
            "SIGNALING_URL": self.registry.url.replace("http", "ws") + "/ws",
            "TOKEN_URL": self.registry.url + "/api/token",
        }

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

    async def clients(self) -> "tuple[MeshClient, MeshClient]":
        """Alice and Bob, connected."""
        alice = await self.client("alice")
        connected: "asyncio.Queue[Dict[str, Any]]" = asyncio.Queue()
        alice.on("peer_connected", connected.put_nowait)
        bob = await self.client("bob")
        await soon(connected.get())
        return alice, bob

    async def test_events_are_handled_one_after_the_other_while_responses_are_not_held_up(self) -> None:
        alice, bob = await self.clients()
        steps: List[str] = []
        done = asyncio.Event()

        async def on_message(data: Dict[str, Any]) -> None:
            word = data["payload"]["message"]["payload"]
            steps.append(f"{word} begins")
            if word == "one":
                # The response comes after the two messages that Alice has sent next.
                await bob.request("alice-sidecar", MeshMessage("ping"), timeout=10.0)
            if word == "two":
                raise ValueError("two fails, and harms nothing else")
            steps.append(f"{word} ends")

        async def respond(data: Dict[str, Any]) -> None:
            message = data["payload"]["message"]
            await alice.send("bob-sidecar", MeshMessage("agent_prompt", payload="two"))
            await alice.send("bob-sidecar", MeshMessage("agent_prompt", payload="three"))
            await alice.send("bob-sidecar", MeshMessage("pong", message["request_id"]))

        def on_anything(data: Dict[str, Any]) -> None:
            if data["type"] == "message":
                steps.append("*")
                if len(steps) == 8:
                    done.set()

        alice.on("message", respond)
        bob.on("*", on_anything)
        bob.on("message", on_message)
        with self.assertLogs("chatixia_client", "ERROR") as logged:
            await alice.send("bob-sidecar", MeshMessage("agent_prompt", payload="one"))
            await soon(done.wait())
        self.assertEqual(len(logged.records), 1)
        expected = "one begins,one ends,*,two begins,*,three begins,three ends,*"
        self.assertEqual(",".join(steps), expected)

    async def test_what_waits_for_its_turn_slows_down_those_who_send(self) -> None:
        alice, bob = await self.clients()
        may_go_on, all_came = asyncio.Event(), asyncio.Event()
        numbers: List[int] = []

        async def on_message(data: Dict[str, Any]) -> None:
            await may_go_on.wait()
            numbers.append(data["payload"]["message"]["payload"][0])
            if len(numbers) == 300:
                all_came.set()

        async def send_all() -> None:
            for number in range(300):
                message = MeshMessage("agent_prompt", payload=[number, "x" * 20_000])
                await alice.send("bob-sidecar", message)

        bob.on("message", on_message)
        sending = asyncio.ensure_future(send_all())
        assert bob._sidecar is not None
        flow = bob._sidecar._core._flow
        await until(lambda: flow.is_paused)
        may_go_on.set()
        await soon(asyncio.gather(sending, all_came.wait()))
        self.assertEqual(numbers, list(range(300)))

    async def test_what_waits_for_an_agent_is_answered_before_its_start_has_returned(self) -> None:
        socket_path = self.directory / "bob.sock"
        environment = {**os.environ, **self.environment("bob"), "IPC_SOCKET": str(socket_path)}
        sidecar = subprocess.Popen([find_binary()], env=environment, stderr=subprocess.DEVNULL)
        self.addCleanup(sidecar.wait)
        self.addCleanup(sidecar.terminate)
        alice = await self.start("alice")
        await soon(alice.wait_for_peer("bob-sidecar"))
        for number in range(3):
            await alice.send("bob-sidecar", "task_request", request_id=str(number))

        bob = MeshClient(str(socket_path))
        self.addAsyncCleanup(bob.stop)

        async def greet(data: Dict[str, Any]) -> None:
            await bob.send(data["payload"]["peer_id"], MeshMessage("hello"))

        async def respond(data: Dict[str, Any]) -> None:
            payload = data["payload"]
            response = MeshMessage("task_response", payload["message"]["request_id"])
            await bob.send(payload["from_peer"], response)

        bob.on("peer_connected", greet)
        bob.on("message", respond)
        await soon(bob.start(auto_spawn_sidecar=False))
        messages = alice.messages()
        came = [await soon(messages.__anext__()) for _ in range(4)]
        expected = [("hello", ""), *(("task_response", str(number)) for number in range(3))]
        self.assertEqual([(message.type, message.request_id) for message in came], expected)

    async def test_a_client_is_started_once_until_it_is_stopped(self) -> None:
        client = await self.client("alice")
        with self.assertRaisesRegex(RuntimeError, "started already"):
            await client.start()
        await soon(client.stop())
        with mock.patch.dict(os.environ, self.environment("alice")):
            await soon(client.start())
        self.assertTrue(client.connected)

    async def test_a_client_that_was_started_anew_is_not_forgotten_by_an_earlier_stop(self) -> None:
        client = await self.client("alice")
        first = client._sidecar
        assert first is not None
        may_go_on = asyncio.Event()
        stop = first.stop

        async def stop_slowly() -> None:
            await stop()
            await may_go_on.wait()

        with mock.patch.object(first, "stop", stop_slowly):
            slow = asyncio.ensure_future(client.stop())
            await until(lambda: not client.connected)
            await asyncio.sleep(0)
        with mock.patch.dict(os.environ, self.environment("alice")):
            await soon(client.stop())
            await soon(client.start())
        may_go_on.set()
        await soon(slow)
        self.assertTrue(client.connected)

    async def test_messages_that_nobody_handles_do_not_pile_up(self) -> None:
        alice, bob = await self.clients()
        for _ in range(300):
            await soon(alice.send("bob-sidecar", MeshMessage("agent_prompt", payload="x" * 20_000)))
        self.assertEqual(await soon(bob.list_peers()), ["alice-sidecar"])

    async def test_what_the_sidecar_writes_is_appended_to_a_file_beside_the_socket(self) -> None:
        path = self.directory / "alice.log"
        path.write_text("from an earlier run\n")
        client = await self.client("alice")
        self.assertEqual(client.sidecar_log_path, str(path))
        await until(lambda: "registry" in path.read_text())
        await soon(client.stop())
        lines = path.read_text().splitlines()
        self.assertEqual(lines[0], "from an earlier run")
        self.assertGreater(len(lines), 3)

    async def test_a_log_file_that_cannot_be_had_keeps_nobody_from_starting(self) -> None:
        target = self.directory / "precious"
        (self.directory / "alice.log").symlink_to(target)
        with self.assertLogs("chatixia_client", "WARNING") as logged:
            client = await self.client("alice")
        self.assertIn("the sidecar's log is not kept", logged.output[0])
        self.assertTrue(client.connected)
        self.assertFalse(target.exists())

    async def test_a_sidecar_that_does_not_start_is_told_with_its_log_which_the_file_has_too(self) -> None:
        program = self.program('import sys; print("so", flush=True); sys.exit("no luck")')
        client = MeshClient(str(self.directory / "s.sock"), str(program))
        with self.assertRaisesRegex(RuntimeError, "exit code 1; its log:\nno luck"):
            await soon(client.start())
        self.assertEqual((self.directory / "s.log").read_text(), "so\nno luck\n")
