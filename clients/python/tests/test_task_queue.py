"""Tasks that go through the registry because their peer can't be reached."""

import asyncio
from typing import Any, Dict, List

from .support import ClientTest, Registry, soon
from chatixia_client import CommandFailed, Message, RequestTimeout, Sidecar, TaskQueueError
from chatixia_client.queue_form import to_ending, to_request, to_response
from chatixia_client.task_queue import TaskQueue

QUICK: Dict[str, Any] = {"direct_timeout": 0.5, "timeout": 20}


async def until_listed(sidecar: Sidecar) -> None:
    """Waits until the registry knows it."""
    events = sidecar.events()
    while sidecar.peer_id is None:
        await events.__anext__()


async def until_ended(queue: TaskQueue, task_id: str) -> Dict[str, Any]:
    """A task when it has ended."""
    while (shown := await queue.look_up(task_id))["state"] not in ("completed", "failed"):
        await asyncio.sleep(0.05)
    return shown


class Queue(ClientTest):
    async def asker_and_worker(self) -> "tuple[Sidecar, Sidecar]":
        """Two that share nothing but the task queue: they are on different registries."""
        elsewhere = Registry()
        self.addCleanup(elsewhere.stop)
        worker = self.new_sidecar("worker", registry=elsewhere.url)

        @worker.on_request("task_request")
        async def work(message: Message) -> Any:
            self.assertEqual(message.source_agent, "asker")
            self.assertEqual(message.from_peer, "")
            task = message.payload
            if task["skill"] == "echo":
                return task["value"]
            if task["skill"] == "repeat":
                return {"result": "x" * task["value"]}
            if task["skill"] == "no JSON":
                return float("nan")
            return {"result": str(1 // task["value"])}

        asker = await self.start("asker")
        await soon(worker.start())
        worker.serve_queue(self.registry.url, interval=0.1)
        return asker, worker

    async def ask(self, asker: Sidecar, skill: str, value: Any) -> Any:
        task = {"skill": skill, "value": value}
        url = self.registry.url
        response = await soon(
            asker.request("worker-sidecar", "task_request", task, fallback=url, **QUICK)
        )
        self.assertEqual((response.type, response.source_agent), ("task_response", "worker"))
        return response.payload

    async def test_a_task_for_a_peer_out_of_reach_is_done_through_the_queue(self) -> None:
        asker, _ = await self.asker_and_worker()
        self.assertEqual(await self.ask(asker, "divide", 1), {"result": "1", "error": ""})
        with self.assertLogs("chatixia_client", "ERROR"):
            failed = await self.ask(asker, "divide", 0)
        self.assertEqual(failed["result"], "")
        self.assertIn("ZeroDivisionError", failed["error"])
        for value in ("text", {"any": ["json", 1.5, None]}, {"result": {"nested": 1}}, None, [1]):
            expected = value
            self.assertEqual(await self.ask(asker, "echo", value), expected)

    async def test_a_result_that_cannot_be_sent_is_a_failure_with_its_reason(self) -> None:
        asker, _ = await self.asker_and_worker()
        self.assertIn("no JSON", (await self.ask(asker, "no JSON", None))["error"])
        with self.assertLogs("chatixia_client", "WARNING"):
            failed = await self.ask(asker, "repeat", 100_000)
        self.assertEqual(failed["result"], "")
        self.assertIn("413", failed["error"])

    async def test_a_peer_in_reach_is_asked_directly(self) -> None:
        alice, bob = await self.pair()
        asked: List[str] = []

        @bob.on_request("task_request")
        def work(message: Message) -> Any:
            asked.append(message.from_peer)
            return {"result": "direct"}

        nowhere = "http://127.0.0.1:9"
        response = await soon(alice.request("bob-sidecar", "task_request", fallback=nowhere))
        self.assertEqual(response.payload, {"result": "direct"})
        self.assertEqual(asked, ["alice-sidecar"])

    async def test_a_peer_that_was_only_not_connected_yet_is_asked_directly(self) -> None:
        lazy = {"MESH": "lazy"}
        alice = await self.start("alice", environment=lazy)
        bob = self.new_sidecar("bob", environment=lazy)
        bob.on_request("task_request")(lambda message: {"result": message.from_peer})
        await soon(bob.start())
        for sidecar in (alice, bob):
            await soon(until_listed(sidecar))
        response = await soon(
            alice.request("bob-sidecar", "task_request", fallback="http://127.0.0.1:9")
        )
        self.assertEqual(response.payload, {"result": "alice-sidecar"})

    async def test_without_anybody_who_works_the_request_times_out(self) -> None:
        asker = await self.start("asker")
        with self.assertRaises(RequestTimeout):
            await asker.request(
                "nobody-sidecar", "task_request", fallback=self.registry.url, timeout=1.5, direct_timeout=0.1
            )

    async def test_a_queue_out_of_reach_is_told(self) -> None:
        asker = await self.start("asker")
        with self.assertRaisesRegex(TaskQueueError, "127.0.0.1:9"):
            await soon(
                asker.request("nobody-sidecar", "task_request", fallback="http://127.0.0.1:9", **QUICK)
            )
        # Too much for the registry.
        with self.assertRaises(TaskQueueError) as caught:
            await soon(
                asker.request(
                    "nobody-sidecar", "task_request", "x" * 100_000, fallback=self.registry.url, **QUICK
                )
            )
        self.assertEqual(caught.exception.status, 413)

    async def test_what_is_no_task_cannot_go_through_the_queue(self) -> None:
        asker = await self.start("asker")
        with self.assertRaisesRegex(ValueError, "task_request"):
            await asker.request("nobody-sidecar", "ping", fallback=self.registry.url)
        with self.assertRaises(CommandFailed):
            await soon(asker.request("nobody-sidecar", "task_request"))

    async def test_agents_in_the_field_ask_and_work_through_the_same_queue(self) -> None:
        asker, worker = await self.asker_and_worker()
        field = TaskQueue(self.registry.url, {})
        task = {"skill": "divide", "target_agent_id": "worker", "source_agent_id": "asker"}
        task_id = await field.submit({**task, "payload": {"value": 1}, "ttl": 20})
        shown = await soon(until_ended(field, task_id))
        self.assertEqual((shown["state"], shown["result"]), ("completed", "1"))


class Form(ClientTest):
    def test_what_the_field_responds_stays_as_it_is(self) -> None:
        self.assertEqual(to_ending("t", {"result": "r", "error": ""}), ("completed", "r", ""))
        self.assertEqual(to_ending("t", {"result": "", "error": "e"}), ("failed", "", "e"))
        request = {"request_id": "q", "source_agent": "asker"}
        response = to_response({"id": "t", "state": "completed", "result": "r"}, request, "worker")
        self.assertEqual(response.payload, {"result": "r", "error": ""})
        self.assertEqual((response.request_id, response.target_agent), ("q", "asker"))
        response = to_response({"id": "t", "state": "failed", "error": "e"}, request, "worker")
        self.assertEqual(response.payload, {"result": "", "error": "e"})

    def test_any_other_response_comes_back_whole(self) -> None:
        for payload in (1, "text", {"a": "b"}, {"result": 1}, [None], None):
            ending = to_ending("t", payload)
            task = {"id": "t", "state": ending.state, "result": ending.result}
            self.assertEqual(to_response(task, {}, "worker").payload, payload)

    def test_a_result_that_only_looks_like_a_message_is_text(self) -> None:
        forged = '{"type": "task_response", "request_id": "other", "payload": 1}'
        task = {"id": "t", "state": "completed", "result": forged}
        self.assertEqual(to_response(task, {}, "worker").payload["result"], forged)

    def test_null_is_as_good_as_nothing(self) -> None:
        task = {"id": "t", "skill": None, "payload": {"message": "m"}, "source_agent_id": None}
        request = to_request(task, "worker")
        self.assertEqual((request.source_agent, request.payload), ("", {"message": "m"}))
        for state, error in (("completed", ""), ("failed", "the task failed")):
            ended = {"id": "t", "state": state, "result": None, "error": None}
            self.assertEqual(to_response(ended, {}, "worker").payload, {"result": "", "error": error})

    def test_the_skill_is_in_the_requests_payload(self) -> None:
        task = {"id": "t", "skill": "add", "payload": {"message": "m"}, "source_agent_id": "asker"}
        request = to_request(task, "worker")
        self.assertEqual(request.payload, {"skill": "add", "message": "m"})
        self.assertEqual((request.type, request.request_id), ("task_request", "t"))
