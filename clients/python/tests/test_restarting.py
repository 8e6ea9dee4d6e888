"""What becomes of an agent whose sidecar crashes."""

import asyncio
import os
import signal
from typing import Any, List
from unittest import mock

from .support import ClientTest, is_alive, soon, until_event
from chatixia_client import (
    ChatixiaError,
    Message,
    NotRunning,
    Sidecar,
    SidecarLost,
    StartFailed,
    find_binary,
)
from chatixia_client.core import Core
from chatixia_client.link import Link
from chatixia_client.testing import StandInSidecar


def crash(sidecar: Sidecar) -> None:
    assert sidecar.pid is not None
    os.kill(sidecar.pid, signal.SIGKILL)


class Restarting(ClientTest):
    async def test_a_crashed_sidecar_comes_back_with_handlers_iterators_and_peers(self) -> None:
        alice, bob = await self.pair()

        @bob.on_request("ping")
        def answer(message: Message) -> Any:
            return "still there"

        inbox, events = bob.messages(), bob.events()
        before = bob.pid
        crash(bob)
        lost = await until_event(events, "sidecar", state="lost")
        self.assertIn("SIGKILL", lost.payload["reason"])
        await until_event(events, "peer_disconnected", peer_id="alice-sidecar")
        await until_event(events, "sidecar", state="restored")
        self.assertNotEqual(bob.pid, before)
        await bob.wait_for_peer("alice-sidecar")

        response = await soon(alice.request("bob-sidecar", "ping"))
        self.assertEqual(response.payload, "still there")
        await alice.send("bob-sidecar", "agent_status")
        self.assertEqual((await soon(inbox.__anext__())).type, "agent_status")

    async def test_what_is_awaited_fails_and_what_is_sent_meanwhile_waits(self) -> None:
        alice, bob = await self.pair()
        asking = asyncio.ensure_future(alice.request("bob-sidecar", "ping"))
        await soon(bob.messages().__anext__())
        crash(alice)
        with self.assertRaisesRegex(SidecarLost, "SIGKILL"):
            await soon(asking)
        self.assertFalse(alice.connected)
        await soon(alice.deliver("bob-sidecar", "agent_status", "after"))
        self.assertEqual((await soon(bob.messages().__anext__())).payload, "after")

    async def test_a_sidecar_that_crashes_again_and_again_is_begun_ever_more_slowly(self) -> None:
        alice = await self.start("alice")
        events = alice.events()
        pauses: List[float] = []

        def no_pause(least: float, most: float) -> float:
            self.assertEqual(least, most / 2)
            pauses.append(most)
            return 0

        with mock.patch("chatixia_client.link.random.uniform", no_pause):
            for _ in range(4):
                crash(alice)
                await until_event(events, "sidecar", state="restored")
        self.assertEqual(pauses, [0.1, 0.2, 0.4, 0.8])

    async def test_a_sidecar_that_is_ended_by_a_signal_without_a_name_comes_back_as_well(self) -> None:
        alice = await self.start("alice")
        events = alice.events()
        assert alice.pid is not None
        os.kill(alice.pid, 40)
        lost = await until_event(events, "sidecar", state="lost")
        self.assertIn("signal 40", lost.payload["reason"])
        await until_event(events, "sidecar", state="restored")

    async def test_a_client_that_is_broken_says_so_and_leaves_no_sidecar(self) -> None:
        alice = await self.start("alice")
        events, pid = alice.events(), alice.pid
        assert pid is not None
        with mock.patch.object(Link, "_take_leave", side_effect=ZeroDivisionError("odd")):
            with self.assertLogs("chatixia_client", "ERROR"):
                crash(alice)
                event = await until_event(events, "sidecar", state="given_up")
        self.assertIn("odd", event.payload["reason"])
        with self.assertRaisesRegex(ChatixiaError, "odd"):
            await soon(alice.send("bob-sidecar", "ping"))
        self.assertFalse(is_alive(pid))

    async def test_a_sidecar_that_is_lost_just_as_it_is_stopped_holds_up_nothing(self) -> None:
        async def talk(stand_in: StandInSidecar) -> None:
            await stand_in.command()

        stand_in = StandInSidecar(self.directory / "s", talk)
        await stand_in.start()
        self.addAsyncCleanup(stand_in.stop)
        alice = self.new_sidecar("alice", socket=stand_in.path, spawn=False)
        await soon(alice.start())
        link = alice._core._running()
        link.give_up(NotRunning("the client was stopped"))
        link._lost.set()
        # So its keeper wakes up before it is cancelled. It must not take it for lost again and again.
        with mock.patch.object(Core, "on_down", side_effect=AssertionError) as on_down:
            await asyncio.sleep(0)
            await soon(alice.stop())
        on_down.assert_not_called()

    async def test_a_sidecar_that_cannot_come_back_is_given_up(self) -> None:
        mark = self.directory / "started"
        text = (
            f"import os, sys, pathlib\nmark = pathlib.Path({str(mark)!r})\n"
            "if mark.exists():\n    print('bad', file=sys.stderr)\n    sys.exit(2)\n"
            f"mark.touch()\nos.execv({find_binary()!r}, ['chatixia-sidecar'])\n"
        )
        alice = await self.start("alice", binary=self.program(text))
        events = alice.events()
        waiting = asyncio.ensure_future(alice.messages().__anext__())
        crash(alice)
        event = await until_event(events, "sidecar", state="given_up")
        self.assertIn("bad", event.payload["reason"])
        with self.assertRaises(StartFailed) as caught:
            await soon(alice.send("bob-sidecar", "ping"))
        self.assertEqual(caught.exception.exit_code, 2)
        with self.assertRaises(StartFailed):
            await soon(waiting)
