"""More messages than can be done with: memory is bounded, and nobody waits for ever."""

import asyncio
from typing import List
from unittest import mock

from .support import ClientTest, soon, until
from chatixia_client import ChatixiaError, Message, Overloaded, Sidecar, flow, lines
from chatixia_client.testing import StandInSidecar, Talk

MESSAGES = 400
TEXT = "x" * 4096


class Overload(ClientTest):
    def setUp(self) -> None:
        super().setUp()
        # Bounds that are reached soon.
        for module, name, value in (
            (flow, "PAUSE_BYTES", 64 * 1024),
            (flow, "SLOW_BYTES", 256 * 1024),
            (lines, "SLOW_READ_SECONDS", 0.001),
        ):
            patch = mock.patch.object(module, name, value)
            patch.start()
            self.addCleanup(patch.stop)

    async def client(self, talk: Talk) -> Sidecar:
        stand_in = StandInSidecar(self.directory / "s", talk)
        await stand_in.start()
        self.addAsyncCleanup(stand_in.stop)
        return self.new_sidecar("alice", socket=stand_in.path, spawn=False)

    async def test_answers_behind_messages_whose_handlers_await_them_are_read(self) -> None:
        async def talk(stand_in: StandInSidecar) -> None:
            for number in range(MESSAGES):
                await stand_in.message("job", TEXT)
            while True:
                command = await stand_in.command()
                await stand_in.tell("ok", {"target_peer": "bob", "receipt": "agent"}, id=command["id"])

        alice, done = await self.client(talk), 0

        async def work(message: Message) -> None:
            nonlocal done
            await alice.deliver("bob", "ack")
            done += 1

        alice.on_message("job", work)
        await soon(alice.start())
        await until(lambda: done == MESSAGES)

    async def test_a_peer_that_is_told_behind_messages_whose_handlers_wait_for_it_is_noticed(self) -> None:
        async def talk(stand_in: StandInSidecar) -> None:
            for number in range(MESSAGES):
                await stand_in.message("job", TEXT)
            await stand_in.tell("peer_connected", {"peer_id": "carol"})
            await stand_in.command()

        alice, done = await self.client(talk), 0

        async def work(message: Message) -> None:
            nonlocal done
            await alice.wait_for_peer("carol", timeout=None)
            done += 1

        alice.on_message("job", work)
        await soon(alice.start())
        await until(lambda: done == MESSAGES)

    async def test_at_the_bound_what_is_awaited_fails_and_things_go_on(self) -> None:
        bound = 1024 * 1024
        most, all_told = 0, asyncio.Event()

        async def talk(stand_in: StandInSidecar) -> None:
            nonlocal most
            for number in range(2 * MESSAGES):
                await stand_in.message("job", TEXT)
                most = max(most, alice._core._flow._undone_bytes)
            all_told.set()
            while True:
                command = await stand_in.command()
                if command["type"] == "stats":
                    await stand_in.tell("stats", {"process": 1}, id=command["id"])

        alice = await self.client(talk)
        errors: List[ChatixiaError] = []

        async def work(message: Message) -> None:
            try:
                await alice.deliver("bob", "ack")
            except Overloaded as error:
                errors.append(error)

        alice.on_message("job", work)
        with mock.patch.object(flow, "GIVE_UP_BYTES", bound):
            await soon(alice.start())
            await soon(all_told.wait())
            await until(lambda: len(errors) >= MESSAGES)
            self.assertRegex(str(errors[0]), "bytes of messages are not done with")
            self.assertEqual(await soon(alice.stats()), {"process": 1})
        self.assertGreater(most, bound / 2)
        self.assertLess(most, bound + lines.READ_BUFFER_BYTES + 20 * flow.ITEM_COST_BYTES)
