"""The client without asyncio."""

import asyncio
import os
import signal
import sys
import threading
import time
import unittest
from typing import Any, List
from unittest import mock

from .support import PATIENCE, SETTINGS, Registry, is_alive
from chatixia_client import (
    BlockingSidecar,
    ChatixiaError,
    CommandFailed,
    Message,
    NotRunning,
    RequestTimeout,
)
from chatixia_client.process import SidecarProcess
from chatixia_client.threads import DaemonThreads


class Blocking(unittest.TestCase):
    def setUp(self) -> None:
        self.registry = Registry()
        self.addCleanup(self.registry.stop)

    def start(self, name: str) -> BlockingSidecar:
        sidecar = BlockingSidecar(
            registry=self.registry.url, api_key=f"{name}-sidecar", environment=SETTINGS
        )
        self.addCleanup(sidecar.stop)
        return sidecar.start()

    def test_two_agents_talk(self) -> None:
        alice, bob = self.start("alice"), self.start("bob")
        alice.wait_for_peer("bob-sidecar")
        bob.wait_for_peer("alice-sidecar")
        threads: List[str] = []

        def work(message: Message) -> Any:
            threads.append(threading.current_thread().name)
            # A handler may use the client too.
            return {"result": bob.list_peers()}

        bob.on_request("task_request", work)
        response = alice.request("bob-sidecar", "task_request")
        self.assertEqual(response.payload, {"result": ["alice-sidecar"]})
        self.assertNotEqual(threads, [threading.main_thread().name])

        alice.send("bob-sidecar", "agent_status", 1)
        self.assertEqual(alice.deliver("bob-sidecar", "agent_status", 2).level, "agent")
        alice.broadcast("agent_status", 3)
        received = [bob.receive(PATIENCE) for _ in range(3)]
        self.assertEqual([message and message.payload for message in received], [1, 2, 3])
        self.assertIsNone(bob.receive(0.05))
        self.assertEqual(alice.stats()["peers"][0]["peer_id"], "bob-sidecar")

        with self.assertRaises(CommandFailed):
            alice.connect("nobody-sidecar")
        with self.assertRaises(RequestTimeout):
            alice.request("bob-sidecar", "ping", timeout=0.1)

    def test_stop_ends_those_who_wait_and_the_process(self) -> None:
        alice = self.start("alice")
        pid = alice._sidecar.pid
        assert pid is not None
        collected: List[Message] = []
        waiting = threading.Thread(target=lambda: collected.extend(alice.messages()))
        waiting.start()
        alice.stop()
        waiting.join(PATIENCE)
        self.assertFalse(waiting.is_alive())
        self.assertFalse(is_alive(pid))
        with self.assertRaises(NotRunning):
            alice.send("bob-sidecar", "ping")

    def test_of_two_that_stop_it_at_once_both_have_it_stopped(self) -> None:
        for _ in range(3):
            alice = self.start("alice")
            pid = alice._sidecar.pid
            assert pid is not None
            outcomes: List[Any] = []

            def stop() -> None:
                try:
                    alice.stop()
                    outcomes.append(is_alive(pid))
                except BaseException as error:
                    outcomes.append(error)

            threads = [threading.Thread(target=stop) for _ in range(2)]
            with mock.patch.object(SidecarProcess, "kill", lambda process: outcomes.append("killed")):
                for thread in threads:
                    thread.start()
                for thread in threads:
                    thread.join(PATIENCE)
            self.assertEqual(outcomes, [False, False])

    def test_a_forked_child_leaves_its_parents_client_alone(self) -> None:
        alice = self.start("alice")
        child = os.fork()
        if child == 0:
            # Whatever happens, no test runs on in here.
            try:
                alice.stop()
                with self.assertRaisesRegex(NotRunning, "forked"):
                    alice.list_peers()
                os._exit(0)
            finally:
                os._exit(1)
        deadline = time.monotonic() + PATIENCE
        ended = (0, 0)
        while ended[0] == 0 and time.monotonic() < deadline:
            ended = os.waitpid(child, os.WNOHANG)
            time.sleep(0.01)
        if ended[0] == 0:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
        self.assertEqual(ended, (child, 0))
        self.assertEqual(alice.list_peers(), [])

    def test_messages_end_when_the_stop_comes_between_two(self) -> None:
        alice, bob = self.start("alice"), self.start("bob")
        alice.wait_for_peer("bob-sidecar")
        alice.send("bob-sidecar", "agent_status")
        received = []
        for message in bob.messages():
            received.append(message.type)
            bob.stop()
        self.assertEqual(received, ["agent_status"])
        self.assertIsNone(bob.receive())

    def test_a_stop_before_the_start_takes_nothing_away(self) -> None:
        bob = BlockingSidecar(
            registry=self.registry.url, api_key="bob-sidecar", environment=SETTINGS
        )
        self.addCleanup(bob.stop)
        bob.stop()
        bob.on_request("ping", lambda message: "pong")
        bob.start()
        alice = self.start("alice")
        alice.wait_for_peer("bob-sidecar")
        self.assertEqual(alice.request("bob-sidecar", "ping").payload, "pong")

    def test_it_is_started_once_and_with_takes_it_as_it_is(self) -> None:
        alice = self.start("alice")
        pid = alice._sidecar.pid
        assert pid is not None
        with self.assertRaisesRegex(ChatixiaError, "started once"):
            alice.start()
        with alice as same:
            self.assertIs(same, alice)
            self.assertEqual(alice.list_peers(), [])
        self.assertFalse(is_alive(pid))
        with self.assertRaisesRegex(ChatixiaError, "started once"):
            alice.start()
        with self.assertRaisesRegex(NotRunning, "start the client first"):
            next(BlockingSidecar().messages())

    def test_many_threads_share_one(self) -> None:
        alice, bob = self.start("alice"), self.start("bob")
        bob.on_request("task_request", lambda message: message.payload)
        alice.wait_for_peer("bob-sidecar")
        results: List[Any] = []

        def ask(number: int) -> None:
            results.append(alice.request("bob-sidecar", "task_request", number).payload)

        threads = [threading.Thread(target=ask, args=(number,)) for number in range(20)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(PATIENCE)
        self.assertEqual(sorted(results), list(range(20)))


class Threads(unittest.TestCase):
    def test_so_many_work_at_once_and_the_rest_waits(self) -> None:
        threads = DaemonThreads(3, "test")
        self.addCleanup(threads.end)
        together = threading.Barrier(3)
        meetings = [threads.submit(lambda _: together.wait(PATIENCE), None) for _ in range(6)]
        self.assertEqual(sorted(meeting.result(PATIENCE) for meeting in meetings), [0, 0, 1, 1, 2, 2])

    def test_one_that_fails_tells_and_the_thread_works_on(self) -> None:
        threads = DaemonThreads(1, "test")
        self.addCleanup(threads.end)
        failed, done = threads.submit(lambda n: 1 // n, 0), threads.submit(lambda n: 1 // n, 1)
        with self.assertRaises(ZeroDivisionError):
            failed.result(PATIENCE)
        with self.assertRaisesRegex(RuntimeError, r"SystemExit\(3\)"):
            threads.submit(sys.exit, 3).result(PATIENCE)
        self.assertEqual(threads.submit(str, 4).result(PATIENCE), "4")
        self.assertEqual(done.result(PATIENCE), 1)

    def test_what_no_future_takes_is_told_as_another_failure(self) -> None:
        threads = DaemonThreads(1, "test")
        for error in (StopIteration(1), SystemExit(1), asyncio.CancelledError()):

            def fail(_: None) -> None:
                raise error

            with self.assertRaisesRegex(RuntimeError, type(error).__name__):
                threads.submit(fail, None).result(PATIENCE)
        threads.end()

    def test_after_the_end_threads_are_gone_and_nothing_is_done(self) -> None:
        threads = DaemonThreads(1, "test-end")
        names = threads.submit(lambda _: threading.current_thread(), None)
        thread = names.result(PATIENCE)
        threads.end()
        thread.join(PATIENCE)
        self.assertFalse(thread.is_alive())
        self.assertTrue(threads.submit(print, "never").cancelled())
