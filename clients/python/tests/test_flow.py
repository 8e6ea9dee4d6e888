"""When reading pauses, and what waits meanwhile."""

import asyncio
import unittest
from typing import List

from .support import soon
from chatixia_client import Event, Message
from chatixia_client.flow import GIVE_UP_BYTES, PAUSE_BYTES, SLOW_BYTES, Flow
from chatixia_client.inbox import WAITING_EVENTS, EventStream, Inbox
from chatixia_client.lines import Pace


class Pausing(unittest.TestCase):
    def setUp(self) -> None:
        self.is_awaiting = False
        self.paces: List[Pace] = []
        self.flow = Flow(lambda: self.is_awaiting, self.paces.append, self.give_up)

    def give_up(self, undone_bytes: int) -> None:
        self.assertGreaterEqual(undone_bytes, GIVE_UP_BYTES)
        self.is_awaiting = False

    def test_reading_pauses_above_the_mark_and_goes_on_below_its_half(self) -> None:
        self.flow.add(PAUSE_BYTES)
        self.flow.add(10)
        self.assertEqual(self.paces, [Pace.PAUSED])
        self.flow.remove(10)
        self.assertEqual(self.paces, [Pace.PAUSED])
        self.flow.remove(PAUSE_BYTES)
        self.assertEqual(self.paces, [Pace.PAUSED, Pace.FULL])

    def test_reading_goes_on_while_an_answer_is_awaited_then_slowly_and_at_last_nobody_waits(self) -> None:
        self.flow.add(PAUSE_BYTES)
        self.is_awaiting = True
        self.flow.adjust()
        self.assertEqual(self.paces, [Pace.PAUSED, Pace.FULL])
        self.flow.add(SLOW_BYTES)
        self.assertEqual(self.paces.pop(), Pace.SLOW)
        self.flow.add(GIVE_UP_BYTES)
        self.assertEqual(self.paces.pop(), Pace.PAUSED)
        self.assertFalse(self.is_awaiting)

    def test_what_is_awaited_is_read_for_whatever_has_paused_it_before(self) -> None:
        self.flow.add(SLOW_BYTES - PAUSE_BYTES)
        self.assertEqual(self.paces, [Pace.PAUSED])
        self.is_awaiting = True
        self.flow.adjust()
        self.assertEqual(self.paces, [Pace.PAUSED, Pace.FULL])

    def test_a_new_connection_is_paused_too(self) -> None:
        self.flow.add(PAUSE_BYTES)
        self.flow.reconnected()
        self.assertEqual(self.paces, [Pace.PAUSED, Pace.PAUSED])


class Waiting(unittest.IsolatedAsyncioTestCase):
    def inbox(self) -> Inbox:
        return Inbox(Flow(lambda: False, lambda pace: None, lambda undone: None))

    async def test_each_message_goes_to_one_of_those_who_wait(self) -> None:
        inbox = self.inbox()
        waiting = [asyncio.ensure_future(inbox.__anext__()) for _ in range(3)]
        await asyncio.sleep(0)
        waiting[0].cancel()
        for number in range(2):
            inbox.put(Message(str(number), {}), 1)
        messages = await soon(asyncio.gather(*waiting[1:]))
        self.assertEqual({message.from_peer for message in messages}, {"0", "1"})

    async def test_a_message_is_not_lost_with_one_who_is_cancelled_as_it_comes(self) -> None:
        inbox = self.inbox()
        first, second = (asyncio.ensure_future(inbox.__anext__()) for _ in range(2))
        await asyncio.sleep(0)
        inbox.put(Message("a", {}), 1)
        first.cancel()
        self.assertEqual((await soon(second)).from_peer, "a")

    async def test_one_who_waits_no_longer_is_forgotten(self) -> None:
        inbox = self.inbox()
        for _ in range(3):
            with self.assertRaises(asyncio.TimeoutError):
                await inbox.get(0)
            with self.assertRaises(asyncio.TimeoutError):
                await inbox.get(0.001)
        self.assertEqual(len(inbox._waiting._waiters), 0)
        inbox.put(Message("a", {}), 1)
        self.assertEqual((await inbox.get(0)).from_peer, "a")

    async def test_the_end_comes_after_what_waits(self) -> None:
        inbox = self.inbox()
        inbox.put(Message("a", {}), 1)
        inbox.end(None)
        self.assertEqual([message.from_peer async for message in inbox], ["a"])

    async def test_of_too_many_events_the_oldest_are_dropped_with_a_warning(self) -> None:
        stream = EventStream()
        with self.assertLogs("chatixia_client", "WARNING") as logged:
            for number in range(WAITING_EVENTS + 5):
                stream.put(Event("pressure", {"number": number}))
        self.assertEqual(len(logged.output), 1)
        self.assertEqual(stream.dropped, 5)
        self.assertEqual((await stream.__anext__()).payload["number"], 5)
