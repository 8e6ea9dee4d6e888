"""No sidecar outlives its agent."""

import asyncio
import os
import signal
import subprocess
import sys
from typing import Any, List
from unittest import mock

from .support import (
    PATIENCE,
    SETTINGS,
    SOURCE,
    ClientTest,
    is_alive,
    is_running,
    soon,
    until,
    until_event,
)
from .test_starting import OLDER_SIDECAR
from chatixia_client import Message, NotRunning, Sidecar, cancelling, find_binary, process
from chatixia_client.queue_worker import Worker
from chatixia_client.task_queue import TaskQueue

DEAF = "import signal, sys\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\n"

PROGRAM = '''
import asyncio, os, sys, threading
from chatixia_client import BlockingSidecar, Sidecar

async def main():
    sidecar = await Sidecar().start()
    print(sidecar.pid, flush=True)
    {then}

{run}
'''

BLOCKING_HANDLER = """
sidecar, waits = BlockingSidecar().start(), threading.Event()

def wait(event):
    waits.set()
    sidecar.receive()

sidecar.on_event("peer_list", wait)
sidecar.list_peers()
waits.wait()
print(sidecar._sidecar.pid, flush=True)
"""


class Stopping(ClientTest):
    async def test_stop_ends_the_process_and_leaves_nothing_behind(self) -> None:
        socket = self.directory / "s"
        alice = await self.start("alice", socket=socket)
        pid = alice.pid
        assert pid is not None
        await soon(alice.stop())
        self.assertFalse(is_alive(pid))
        self.assertFalse(socket.exists())
        self.assertFalse(alice.connected)
        self.assertEqual([message async for message in alice.messages()], [])
        await soon(alice.stop())

    async def test_a_sidecar_that_ignores_sigterm_is_killed(self) -> None:
        alice = await self.start("alice", binary=self.program(DEAF + OLDER_SIDECAR + "\nsignal.pause()"))
        pid = alice.pid
        assert pid is not None
        with mock.patch.object(process, "STOP_SECONDS", 0.2):
            with self.assertLogs("chatixia_client.sidecar", "WARNING"):
                await soon(alice.stop())
        self.assertFalse(is_alive(pid))

    async def test_a_script_that_runs_the_sidecar_as_its_child_ends_with_it(self) -> None:
        script = self.directory / "script"
        script.write_text(f"#!/bin/sh\n{find_binary()} &\necho $! > {self.directory / 'pid'}\nwait\n")
        script.chmod(0o755)
        alice = await self.start("alice", binary=script)
        child, pid = int(self.pid_text()), alice.pid
        assert pid is not None
        # Long before the child would miss its agent.
        with mock.patch.object(process, "STOP_SECONDS", PATIENCE):
            await asyncio.wait_for(alice.stop(), PATIENCE / 3)
        self.assertFalse(is_alive(pid))
        await until(lambda: not is_running(child))

    async def test_what_a_script_leaves_is_killed_if_it_does_not_end(self) -> None:
        script = self.directory / "script"
        deaf = "trap '' TERM; echo \\$\\$ > {0}; while :; do sleep 0.1; done".format(self.directory / "pid")
        script.write_text(f'#!/bin/sh\nexec 2>/dev/null\nsh -c "{deaf}" &\nexec {find_binary()}\n')
        script.chmod(0o755)
        alice = await self.start("alice", binary=script)
        await until(lambda: (self.directory / "pid").exists())
        child = int(self.pid_text())
        with mock.patch.object(process, "STOP_SECONDS", 0.5):
            await asyncio.wait_for(alice.stop(), PATIENCE / 3)
        await until(lambda: not is_running(child))

    async def test_a_start_that_is_cancelled_in_its_last_turn_leaves_no_sidecar(self) -> None:
        alice = self.new_sidecar("alice")
        starting = asyncio.ensure_future(alice.start())
        up = alice._core.on_up
        pids: List[int] = []

        def cancel(ready: Any) -> None:
            up(ready)
            assert alice.pid is not None
            pids.append(alice.pid)
            starting.cancel()

        with mock.patch.object(alice._core, "on_up", cancel):
            with self.assertRaises(asyncio.CancelledError):
                await soon(starting)
        self.assertEqual([is_alive(pid) for pid in pids], [False])

    async def test_a_script_that_is_killed_does_not_leave_its_sidecar(self) -> None:
        script = self.directory / "script"
        script.write_text(f"#!/bin/sh\n{find_binary()} &\necho $! > {self.directory / 'pid'}\nwait\n")
        script.chmod(0o755)
        alice = await self.start("alice", binary=script)
        child, events = int(self.pid_text()), alice.events()
        assert alice.pid is not None
        os.kill(alice.pid, signal.SIGKILL)
        await until(lambda: not is_running(child))
        await until_event(events, "sidecar", state="restored")

    async def test_a_stop_during_the_start_ends_it_at_once(self) -> None:
        mute = self.program("import signal, time\ntime.sleep(60)")
        alice = self.new_sidecar("alice", binary=mute, start_timeout=PATIENCE)
        starting = asyncio.ensure_future(alice.start())
        await until(lambda: alice.pid is not None)
        pid = alice.pid
        assert pid is not None
        await soon(alice.stop())
        with self.assertRaisesRegex(NotRunning, "was stopped"):
            await asyncio.wait_for(starting, 1)
        self.assertFalse(is_alive(pid))

    async def test_a_stop_while_the_sidecar_does_not_greet_ends_the_start(self) -> None:
        told = asyncio.Event()

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.readline()
            told.set()
            await reader.read()
            writer.close()

        path = self.directory / "s"
        server = await asyncio.start_unix_server(serve, str(path))
        self.addCleanup(server.close)
        alice = self.new_sidecar("alice", socket=path, spawn=False, start_timeout=PATIENCE)
        starting = asyncio.ensure_future(alice.start())
        await soon(told.wait())
        await soon(alice.stop())
        with self.assertRaisesRegex(NotRunning, "was stopped"):
            await asyncio.wait_for(starting, 1)

    async def test_what_is_asked_for_after_the_stop_is_refused_at_once(self) -> None:
        alice = await self.start("alice")
        waiting = asyncio.ensure_future(alice.wait_for_peer("bob-sidecar"))
        await asyncio.sleep(0)
        await soon(alice.stop())
        with self.assertRaises(NotRunning):
            await soon(waiting)
        with self.assertRaises(NotRunning):
            await soon(alice.wait_for_peer("bob-sidecar"))
        self.assertEqual([event async for event in alice.events()], [])

    async def with_a_handler_that_goes_on(self, **settings: Any) -> "tuple[Sidecar, asyncio.Event]":
        """The event: it has been cancelled, and goes on all the same until the test ends."""
        alice = await self.start("alice", **settings)
        begun, cancelled, released = asyncio.Event(), asyncio.Event(), asyncio.Event()

        async def go_on(event: object) -> None:
            begun.set()
            while not released.is_set():
                try:
                    await released.wait()
                except asyncio.CancelledError:
                    cancelled.set()

        async def release() -> None:
            released.set()

        self.addAsyncCleanup(release)
        alice.on_event("peer_list", go_on)
        await soon(alice.list_peers())
        await soon(begun.wait())
        return alice, cancelled

    async def test_a_handler_that_goes_on_does_not_hold_up_the_stop(self) -> None:
        alice, _ = await self.with_a_handler_that_goes_on()
        pid = alice.pid
        assert pid is not None
        with mock.patch.object(cancelling, "CANCEL_SECONDS", 0.1):
            with self.assertLogs("chatixia_client", "WARNING") as logged:
                await soon(alice.stop())
        self.assertIn("handler of 'peer_list' goes on", logged.output[0])
        self.assertFalse(is_alive(pid))

    async def test_a_task_of_the_queue_that_goes_on_does_not_hold_up_the_stop(self) -> None:
        alice, begun, released = await self.start("alice"), asyncio.Event(), asyncio.Event()

        async def go_on(message: Message) -> None:
            begun.set()
            while not released.is_set():
                try:
                    await released.wait()
                except asyncio.CancelledError:
                    pass

        queue = mock.create_autospec(TaskQueue, instance=True)
        queue.take.side_effect = [[{"id": "t"}], []]
        worker = Worker(queue, lambda kind: go_on, lambda: "alice", (), PATIENCE)
        alice._workers.append(worker)
        worker.start()
        await soon(begun.wait())
        pid = alice.pid
        assert pid is not None
        with mock.patch.object(cancelling, "CANCEL_SECONDS", 0.1):
            with self.assertLogs("chatixia_client", "WARNING"):
                await soon(alice.stop())
        self.assertFalse(is_alive(pid))
        released.set()

    async def test_a_stop_that_is_cancelled_leaves_no_sidecar(self) -> None:
        alice, cancelled = await self.with_a_handler_that_goes_on()
        pid = alice.pid
        assert pid is not None
        with mock.patch.object(cancelling, "CANCEL_SECONDS", PATIENCE):
            stopping = asyncio.ensure_future(alice.stop())
            await soon(cancelled.wait())
            stopping.cancel()
            with self.assertRaises(asyncio.CancelledError):
                await soon(stopping)
        self.assertFalse(is_alive(pid))
        with mock.patch.object(cancelling, "CANCEL_SECONDS", 0.1):
            await soon(alice.stop())

    async def test_a_stop_that_is_cancelled_while_the_sidecar_ends_kills_it(self) -> None:
        alice = await self.start("alice")
        pid = alice.pid
        assert pid is not None
        told = asyncio.Event()
        with mock.patch.object(process.SidecarProcess, "terminate", lambda process: told.set()):
            stopping = asyncio.ensure_future(alice.stop())
            await soon(told.wait())
            stopping.cancel()
            with self.assertRaises(asyncio.CancelledError):
                await soon(stopping)
        await until(lambda: not is_alive(pid))
        await soon(alice.stop())

    async def test_a_handler_may_stop_the_client(self) -> None:
        alice = await self.start("alice")
        pid = alice.pid
        assert pid is not None
        ended: "asyncio.Future[None]" = asyncio.get_running_loop().create_future()

        async def stop(event: object) -> None:
            await alice.stop()
            ended.set_result(None)

        alice.on_event("peer_list", stop)
        await alice._core.write({"type": "list_peers"})
        await soon(ended)
        self.assertFalse(is_alive(pid))

    async def test_a_cancelled_agent_stops_its_sidecar(self) -> None:
        started: "asyncio.Future[int]" = asyncio.get_running_loop().create_future()

        async def agent() -> None:
            async with self.new_sidecar("alice") as sidecar:
                started.set_result(sidecar.pid or 0)
                async for _ in sidecar.messages():
                    pass

        running = asyncio.ensure_future(agent())
        pid = await soon(started)
        running.cancel()
        with self.assertRaises(asyncio.CancelledError):
            await soon(running)
        self.assertFalse(is_alive(pid))

    async def test_a_cancelled_start_leaves_no_process(self) -> None:
        sleeper = self.program(
            f"import os, time\nopen({str(self.directory / 'pid')!r}, 'w').write(str(os.getpid()))\n"
            "time.sleep(60)"
        )
        alice = self.new_sidecar("alice", binary=sleeper, start_timeout=60)
        starting = asyncio.ensure_future(alice.start())
        await until(lambda: self.pid_text() != "")
        text = self.pid_text()
        starting.cancel()
        with self.assertRaises(asyncio.CancelledError):
            await soon(starting)
        self.assertFalse(is_alive(int(text)))

    def pid_text(self) -> str:
        path = self.directory / "pid"
        return path.read_text() if path.exists() else ""

    def pid_after(self, then: str, run: str) -> int:
        """The sidecar of an agent that has ended in some way."""
        environment = {**os.environ, **SETTINGS, "PYTHONPATH": str(SOURCE), "TMPDIR": str(self.directory)}
        ended = subprocess.run(
            [sys.executable, "-c", PROGRAM.format(then=then, run=run)],
            env=environment,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
        )
        return int(ended.stdout)

    async def test_the_interpreter_exits_without_a_stop(self) -> None:
        ways = {
            "the loop ends": ("pass", "asyncio.run(main())"),
            "an error": ("1 // 0", "asyncio.run(main())"),
            "sys.exit": ("sys.exit(3)", "asyncio.run(main())"),
            "the loop is left as it is": ("pass", "asyncio.new_event_loop().run_until_complete(main())"),
            "blocking": ("", "print(BlockingSidecar().start()._sidecar.pid, flush=True)"),
            "a blocking handler waits": ("", BLOCKING_HANDLER),
        }
        for name, (then, run) in ways.items():
            with self.subTest(name):
                self.assertFalse(is_alive(self.pid_after(then, run)))
                self.assertEqual(os.listdir(self.directory), [])

    async def test_a_forked_child_leaves_its_parents_sidecar_alone(self) -> None:
        for way in ("sys.exit()", "await sidecar.stop(); os._exit(0)"):
            with self.subTest(way):
                self.in_a_forked_child(way)

    def in_a_forked_child(self, way: str) -> None:
        then = f"""pid = os.fork()
    if pid == 0: {way}
    os.waitpid(pid, 0)
    await sidecar.list_peers()
    print(sidecar.pid)"""
        environment = {**os.environ, **SETTINGS, "PYTHONPATH": str(SOURCE)}
        ended = subprocess.run(
            [sys.executable, "-W", "ignore", "-c", PROGRAM.format(then=then, run="asyncio.run(main())")],
            env=environment,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
        )
        before, after = ended.stdout.split()
        self.assertEqual(before, after, ended.stderr)
