"""The client without asyncio."""

import threading
import unittest
from typing import Any, List

from .support import PATIENCE, SETTINGS, Registry, is_alive
from chatixia_client import BlockingSidecar, CommandFailed, Message, NotRunning, RequestTimeout


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


