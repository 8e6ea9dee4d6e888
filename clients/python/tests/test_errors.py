"""Whom an error reaches, and whom it does not."""

import asyncio
import sys
import traceback
import unittest
from typing import Any, List

from .support import WITH_AN_AGENT, ClientTest, respond_in_chunks, soon
from chatixia_client import ChatixiaError, Event, Message, RequestTimeout, StartFailed
from chatixia_client.flow import Flow
from chatixia_client.handlers import Handlers
from chatixia_client.recent_responses import LONGEST_FIELDS, REMEMBERED, RecentResponses
from chatixia_client.testing import StandInSidecar

STRANGE_SIDECAR = WITH_AN_AGENT + '''
for number, line in enumerate(agent.makefile()):
    if number > 0:
        tell("peer_list", {"peers": [["no id"]]})
        tell("peer_list", {"peers": 5})
    tell("peer_list", {"peers": [str(number)]})
'''


class Errors(ClientTest):
    async def test_an_error_of_on_chunk_ends_its_request_and_nothing_else(self) -> None:
        alice, bob = await self.pair()
        respond_in_chunks(bob)

        def fail(chunk: Message) -> None:
            raise ZeroDivisionError(chunk.payload)

        events = alice.events()
        plain = asyncio.ensure_future(alice.request("bob-sidecar", "agent_prompt"))
        with self.assertRaisesRegex(ZeroDivisionError, "one"):
            await soon(alice.request("bob-sidecar", "agent_prompt", on_chunk=fail))
        self.assertEqual((await soon(plain)).payload, "done")
        await soon(alice.deliver("bob-sidecar", "agent_status"))
        await soon(alice.list_peers())
        self.assertEqual((await soon(events.__anext__())).type, "peer_list")

    async def test_handlers_that_end_by_what_is_no_common_error_harm_nobody(self) -> None:
        alice, bob = self.new_sidecar("alice"), self.new_sidecar("bob")
        cancelled: "asyncio.Future[None]" = asyncio.get_running_loop().create_future()
        cancelled.cancel()
        alice.on_event("peer_list", lambda event: cancelled.result())

        @bob.on_request("ping")
        def answer(message: Message) -> None:
            cancelled.result()

        async with alice, bob:
            pid = alice.pid
            await soon(alice.list_peers())
            await soon(alice.wait_for_peer("bob-sidecar"))
            if sys.version_info >= (3, 11):
                response = await soon(alice.request("bob-sidecar", "ping"))
                self.assertIn("CancelledError", response.payload["error"])
            self.assertEqual(alice.pid, pid)

    async def test_a_line_that_cannot_be_dealt_with_is_logged_and_the_next_is_read(self) -> None:
        alice = await self.start("alice", binary=self.program(STRANGE_SIDECAR))
        with self.assertLogs("chatixia_client", "ERROR") as logged:
            self.assertEqual(await soon(alice.list_peers()), ["1"])
        self.assertEqual(len(logged.output), 2)
        self.assertIn("no id", logged.output[0])
        self.assertTrue(alice.connected)

    async def test_answers_that_make_no_sense_are_told_to_those_who_await_them(self) -> None:
        answers: List[Any] = [
            ("peer_list", {"peers": None}),
            ("peer_list", {"peers": [1]}),
            ("peer_list", {"peers": []}),
            ("stats", {"process": 1}),
        ]

        async def talk(stand_in: StandInSidecar) -> None:
            for kind, payload in answers:
                command = await stand_in.command()
                await stand_in.tell(kind, payload, id=True)
                await stand_in.tell(kind, payload, id=command["id"])
            await stand_in.command()

        stand_in = StandInSidecar(self.directory / "s", talk)
        stand_in.ready.update(max_line_bytes="many", max_message_bytes=[])
        await stand_in.start()
        self.addAsyncCleanup(stand_in.stop)
        alice = self.new_sidecar("alice", socket=stand_in.path, spawn=False)
        await soon(alice.start())
        with self.assertLogs("chatixia_client", "ERROR"):
            with self.assertRaisesRegex(ChatixiaError, "no list of names: None"):
                await soon(alice.list_peers())
            with self.assertRaisesRegex(ChatixiaError, r"no list of names: \[1\]"):
                await soon(alice.list_peers())
        with self.assertRaisesRegex(ChatixiaError, "answers with peer_list instead of stats"):
            await soon(alice.stats())
        self.assertEqual(await soon(alice.stats()), {"process": 1})

    async def test_what_cannot_be_sent_in_response_is_told_to_the_asker(self) -> None:
        alice, bob = await self.pair()
        results = {
            "a set": ({1, 2}, "not JSON serializable"),
            "no number": (float("nan"), "not JSON compliant"),
            "too long for a message": ("x" * 300_000, "message_too_large"),
            "too long for a line": ("x" * 3_000_000, "line_too_long"),
        }
        bob.on_request("task_request")(lambda message: results[message.payload][0])
        for name, (_, reason) in results.items():
            with self.subTest(name), self.assertLogs("chatixia_client", "ERROR"):
                response = await soon(alice.request("bob-sidecar", "task_request", name))
                self.assertEqual(response.payload["result"], "")
                self.assertIn(reason, response.payload["error"])

    async def test_a_response_that_is_too_large_for_the_asker_is_told_to_it(self) -> None:
        alice = await self.start("alice", environment={"MAX_MESSAGE_BYTES": "2048"})
        bob = await self.start("bob")
        await bob.wait_for_peer("alice-sidecar")
        bob.on_request("task_request")(lambda message: "x" * message.payload)
        response = await soon(alice.request("bob-sidecar", "task_request", 10_000))
        self.assertEqual(response.type, "task_response")
        self.assertRegex(response.payload["error"], "can't be sent: .*2048")
        response = await soon(alice.request("bob-sidecar", "task_request", 1_000))
        self.assertEqual(response.payload, "x" * 1_000)

    async def test_a_late_response_is_an_error_without_a_cause(self) -> None:
        alice, _ = await self.pair()
        with self.assertRaises(RequestTimeout) as late:
            await soon(alice.request("bob-sidecar", "ping", timeout=0.05))
        self.assertIsNone(late.exception.__cause__)

    async def test_without_a_timeout_the_response_is_awaited_as_long_as_it_takes(self) -> None:
        alice, bob = await self.pair()
        asking = asyncio.ensure_future(alice.request("bob-sidecar", "ping", timeout=None))
        await bob.respond(await soon(bob.messages().__anext__()))
        self.assertEqual((await soon(asking)).type, "pong")
        await soon(alice.connect("bob-sidecar", timeout=None))
        await soon(alice.wait_for_peer("bob-sidecar", timeout=None))
        with self.assertRaisesRegex(ValueError, "needs a timeout"):
            await soon(alice.request("x", "task_request", timeout=None, fallback="http://127.0.0.1"))

    async def test_nothing_is_left_of_a_request_that_could_not_be_made(self) -> None:
        alice, bob = await self.pair()
        bob.on_request("ping")(lambda message: "pong")
        for wrong in ({"timeout": "soon"}, {"payload": {1, 2}}):
            with self.assertRaises((TypeError, ValueError)):
                await soon(alice.request("bob-sidecar", "ping", request_id="r", **wrong))
        response = await soon(alice.request("bob-sidecar", "ping", request_id="r"))
        self.assertEqual(response.payload, "pong")

    async def test_a_request_that_waits_for_its_sidecar_is_late_all_the_same(self) -> None:
        alice, _ = await self.pair()
        alice._core._running()._up.clear()
        with self.assertRaises(RequestTimeout):
            await soon(alice.request("bob-sidecar", "ping", timeout=0.05))
        alice._core._running()._up.set()

    async def test_an_error_that_is_raised_again_does_not_grow(self) -> None:
        alice = await self.start("alice")
        reason = StartFailed("given up", 2)
        alice._core._running()._end = reason
        alice._core.on_end(reason)
        inbox, events = alice.messages(), alice.events()

        async def depths() -> List[int]:
            found = []
            for work in (alice.send("bob-sidecar", "ping"), inbox.__anext__(), events.__anext__()):
                with self.assertRaisesRegex(StartFailed, "given up") as caught:
                    await soon(work)
                self.assertEqual(caught.exception.exit_code, 2)
                found.append(len(traceback.extract_tb(caught.exception.__traceback__)))
            return found

        first = await depths()
        for _ in range(3):
            self.assertEqual(await depths(), first)


class Responses(unittest.TestCase):
    def test_so_many_are_remembered_and_none_that_is_too_long(self) -> None:
        responses = RecentResponses()
        for number in range(REMEMBERED + 1):
            responses.add(Message("bob", {"type": "ping", "request_id": str(number)}))
        responses.add(Message("bob", {"type": "ping", "request_id": "x" * LONGEST_FIELDS}))

        def refused(request_id: str, code: str = "message_too_large") -> bool:
            payload = {"code": code, "target_peer": "bob", "request_id": request_id}
            return responses.take_refused(payload) is not None

        self.assertFalse(refused("0"))
        self.assertFalse(refused("x" * LONGEST_FIELDS))
        self.assertFalse(refused("1", code="peer_stalled"))
        self.assertTrue(refused("1"))
        self.assertFalse(refused("1"))


class HandlersOfAnything(unittest.IsolatedAsyncioTestCase):
    async def test_an_item_whose_type_is_a_star_is_handled_once(self) -> None:
        async def respond(message: Message, payload: Any) -> None:
            pass

        handlers = Handlers(Flow(lambda: False, lambda pace: None, lambda undone: None), respond)
        seen: List[Any] = []
        handlers.on_event("*", seen.append)
        handlers.on_message("*", seen.append)
        event, message = Event("*", {}), Message("bob", {"type": "*"})
        handlers.handle_event(event)
        handlers.handle_message(message, 1)
        self.assertEqual(seen, [event, message])
