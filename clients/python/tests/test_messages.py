"""Messages between two agents, each with a real sidecar."""

import asyncio
from typing import List

from .support import ClientTest, soon, until_event
from chatixia_client import CommandFailed, Event, Message


class Messages(ClientTest):
    async def test_a_message_arrives_with_all_its_fields(self) -> None:
        alice, bob = await self.pair()
        inbox = bob.messages()
        await alice.send("bob-sidecar", "agent_status", {"load": 0.25, "näme": "grüße 🚀"})
        message = await soon(inbox.__anext__())
        self.assertEqual(message.from_peer, "alice-sidecar")
        self.assertEqual(message.type, "agent_status")
        self.assertEqual(message.payload, {"load": 0.25, "näme": "grüße 🚀"})
        self.assertEqual((message.source_agent, message.target_agent), ("alice", "bob"))

        whole = {"type": "own", "more": [1, 2], "request_id": "r"}
        await alice.send("bob-sidecar", whole)
        message = await soon(inbox.__anext__())
        self.assertEqual(message.raw["more"], [1, 2])

    async def test_half_a_character_is_passed_on_as_it_came(self) -> None:
        alice, bob = await self.pair()
        bob.on_request("task_request")(lambda message: message.payload)
        for payload in ("\ud83d", {"\udc00": ["x\ud800y", "\\ud83d"]}):
            response = await soon(alice.request("bob-sidecar", "task_request", payload))
            self.assertEqual((response.type, response.payload), ("task_response", payload))
            await alice.send("bob-sidecar", {"type": "x", "payload": payload})
            self.assertEqual((await soon(bob.messages().__anext__())).payload, payload)

    async def test_a_delivery_is_receipted_once_the_other_agent_has_it(self) -> None:
        alice, bob = await self.pair()
        receipt = await soon(alice.deliver("bob-sidecar", "ping"))
        self.assertEqual(receipt, ("bob-sidecar", "agent"))
        self.assertEqual((await soon(bob.messages().__anext__())).type, "ping")

    async def test_a_broadcast_reaches_everybody(self) -> None:
        alice, bob = await self.pair()
        carol = await self.start("carol")
        await alice.wait_for_peer("carol-sidecar")
        await alice.broadcast("agent_status", 1)
        receipt = await soon(alice.deliver_to_all("agent_status", 2))
        self.assertEqual(sorted(receipt.delivered), ["bob-sidecar", "carol-sidecar"])
        self.assertEqual(receipt.failed, {})
        for one in (bob, carol):
            inbox = one.messages()
            payloads = [(await soon(inbox.__anext__())).payload for _ in range(2)]
            self.assertEqual(payloads, [1, 2])

    async def test_messages_far_over_64_kib_pass(self) -> None:
        alice, bob = await self.pair(environment={"MAX_MESSAGE_BYTES": str(1 << 20)})
        text = "ü" * 400_000
        await alice.send("bob-sidecar", "agent_prompt", text)
        self.assertEqual((await soon(bob.messages().__anext__())).payload, text)

    async def test_many_messages_arrive_once_and_in_order(self) -> None:
        alice, bob = await self.pair()
        count = 5000

        async def send() -> None:
            for number in range(count):
                await alice.send("bob-sidecar", "agent_status", number)

        sending = asyncio.ensure_future(send())
        inbox = bob.messages()
        received = [(await soon(inbox.__anext__())).payload for _ in range(count)]
        await sending
        self.assertEqual(received, list(range(count)))

    async def test_an_agent_that_does_not_read_slows_the_sender_and_loses_nothing(self) -> None:
        alice, bob = await self.pair()
        count, text = 1200, "x" * 16_000
        sent = 0

        async def send() -> None:
            nonlocal sent
            for number in range(count):
                await alice.send("bob-sidecar", "agent_status", [number, text])
                sent += 1

        sending = asyncio.ensure_future(send())
        await until_event(alice.events(), "pressure", state="high")
        # Nothing moves any more, long before the end.
        before = -1
        while sent != before:
            before = sent
            await asyncio.sleep(0.5)
        self.assertFalse(sending.done())

        # Answers still come through.
        await soon(bob.list_peers())
        inbox = bob.messages()
        numbers = [(await soon(inbox.__anext__())).payload[0] for _ in range(count)]
        self.assertEqual(numbers, list(range(count)))
        await soon(sending)

    async def test_handlers_take_what_is_theirs(self) -> None:
        alice, bob = await self.pair()
        plain: List[Message] = []
        coroutine: "asyncio.Queue[Message]" = asyncio.Queue()
        bob.on_message("one", plain.append)
        bob.on_message("two", coroutine.put)

        def fail(message: Message) -> None:
            raise ZeroDivisionError("on purpose")

        with self.assertLogs("chatixia_client", "ERROR") as logged:
            bob.on_message("three", fail)
            for kind in ("one", "two", "three", "four"):
                await alice.send("bob-sidecar", kind)
            self.assertEqual((await soon(bob.messages().__anext__())).type, "four")
        self.assertEqual([message.type for message in plain], ["one"])
        self.assertEqual((await soon(coroutine.get())).type, "two")
        self.assertIn("on purpose", logged.output[0])

    async def test_what_cannot_be_sent_raises_or_is_told(self) -> None:
        alice, _ = await self.pair()
        with self.assertRaises(CommandFailed) as caught:
            await soon(alice.deliver("nobody-sidecar", "ping"))
        self.assertEqual(caught.exception.code, "unknown_peer")
        self.assertEqual(caught.exception.target_peer, "nobody-sidecar")

        events = alice.events()
        await alice.send("nobody-sidecar", "ping", request_id="r1")
        event = await until_event(events, "error")
        self.assertEqual(event.payload["code"], "unknown_peer")
        self.assertEqual(event.payload["request_id"], "r1")

        with self.assertRaises(CommandFailed) as caught:
            await soon(alice.deliver("bob-sidecar", "x", "x" * 300_000))
        self.assertEqual(caught.exception.code, "message_too_large")
        with self.assertRaises(CommandFailed) as caught:
            await soon(alice.send("bob-sidecar", "x", "x" * 3_000_000))
        self.assertEqual(caught.exception.code, "line_too_long")
        await soon(alice.deliver("bob-sidecar", "x"))


class Peers(ClientTest):
    async def test_peers_are_known_listed_and_counted(self) -> None:
        alice, bob = await self.pair()
        self.assertEqual(alice.peer_id, "alice-sidecar")
        self.assertEqual(alice.agent, "alice")
        self.assertEqual(alice.peers, {"bob-sidecar"})
        self.assertEqual(await soon(alice.list_peers()), ["bob-sidecar"])
        stats = await soon(alice.stats())
        self.assertEqual([peer["peer_id"] for peer in stats["peers"]], ["bob-sidecar"])
        self.assertIn("version", stats["process"])

    async def test_a_peer_that_leaves_is_told_to_iterators_and_handlers(self) -> None:
        alice, bob = await self.pair()
        seen: List[Event] = []
        alice.on_event("peer_disconnected", seen.append)
        events = alice.events()
        await bob.stop()
        event = await until_event(events, "peer_disconnected")
        self.assertEqual(event.payload["peer_id"], "bob-sidecar")
        self.assertEqual(seen, [event])
        self.assertEqual(alice.peers, set())

    async def test_connect_opens_a_connection_that_nobody_asked_for_yet(self) -> None:
        lazy = {"MESH": "lazy"}
        alice = await self.start("alice", environment=lazy)
        await self.start("bob", environment=lazy)
        events = alice.events()
        while alice.peer_id is None:
            await until_event(events, "registry")
        await soon(alice.connect("bob-sidecar"))
        self.assertIn("bob-sidecar", alice.peers)
        with self.assertRaises(CommandFailed):
            await soon(alice.connect("nobody-sidecar"))
