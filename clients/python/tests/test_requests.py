"""Requests and their responses."""

import asyncio
from typing import Any, List

from .support import ClientTest, respond_in_chunks, soon
from chatixia_client import CommandFailed, Message, RequestTimeout


class Requests(ClientTest):
    async def test_each_of_many_requests_gets_its_own_response(self) -> None:
        alice, bob = await self.pair()

        @bob.on_request("task_request")
        async def add(message: Message) -> Any:
            # The later come back first.
            await asyncio.sleep(0.1 / (1 + message.payload[0]))
            return sum(message.payload)

        requests = [
            alice.request("bob-sidecar", "task_request", [n, 1], timeout=20) for n in range(300)
        ]
        responses = await soon(asyncio.gather(*requests))
        self.assertEqual([response.payload for response in responses], list(range(1, 301)))
        self.assertEqual({response.type for response in responses}, {"task_response"})
        self.assertEqual(responses[0].source_agent, "bob")

    async def test_a_request_taken_from_the_inbox_is_responded_to(self) -> None:
        alice, bob = await self.pair()
        asking = asyncio.ensure_future(alice.request("bob-sidecar", "ping"))
        await bob.respond(await soon(bob.messages().__anext__()))
        self.assertEqual((await soon(asking)).type, "pong")

    async def test_a_handler_that_fails_responds_with_its_error(self) -> None:
        alice, bob = await self.pair()

        @bob.on_request("task_request")
        def fail(message: Message) -> Any:
            return 1 // message.payload

        with self.assertLogs("chatixia_client", "ERROR"):
            response = await soon(alice.request("bob-sidecar", "task_request", 0))
        self.assertEqual(response.payload["result"], "")
        self.assertIn("ZeroDivisionError", response.payload["error"])

    async def test_chunks_come_before_the_response(self) -> None:
        alice, bob = await self.pair()
        respond_in_chunks(bob)
        chunks: List[Any] = []
        response = await soon(
            alice.request(
                "bob-sidecar", "agent_prompt", on_chunk=lambda chunk: chunks.append(chunk.payload)
            )
        )
        self.assertEqual((chunks, response.payload), (["one", "two"], "done"))

    async def test_only_the_peer_that_was_asked_can_respond(self) -> None:
        alice, bob = await self.pair()
        carol = await self.start("carol")
        await carol.wait_for_peer("alice-sidecar")
        asking = asyncio.ensure_future(alice.request("bob-sidecar", "ping", request_id="r1"))
        asked = await soon(bob.messages().__anext__())
        await carol.deliver("alice-sidecar", "pong", "forged", request_id="r1")
        self.assertEqual((await soon(alice.messages().__anext__())).payload, "forged")
        await bob.respond(asked, "true")
        self.assertEqual((await soon(asking)).payload, "true")

    async def test_no_response_in_time_and_no_such_peer_are_told_apart(self) -> None:
        alice, bob = await self.pair()
        with self.assertRaises(RequestTimeout) as late:
            await alice.request("bob-sidecar", "ping", timeout=0.2)
        self.assertIsInstance(late.exception, asyncio.TimeoutError)
        self.assertIn("bob-sidecar", str(late.exception))
        with self.assertRaises(CommandFailed) as unknown:
            await soon(alice.request("nobody-sidecar", "ping"))
        self.assertEqual(unknown.exception.code, "unknown_peer")
        # A response that comes too late is a message like others.
        await bob.respond(await soon(bob.messages().__anext__()), "late")
        self.assertEqual((await soon(alice.messages().__anext__())).payload, "late")
