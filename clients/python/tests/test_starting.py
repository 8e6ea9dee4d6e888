"""How a sidecar comes up, or does not."""

import asyncio
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any, Mapping, Optional
from unittest import mock

from .support import (
    PATIENCE,
    SETTINGS,
    SOURCE,
    WITH_AN_AGENT,
    ClientTest,
    is_running,
    soon,
    until,
)
from chatixia_client import (
    BinaryNotFound,
    ChatixiaError,
    CommandFailed,
    NotRunning,
    Sidecar,
    StartFailed,
    Unsupported,
    find_binary,
    link,
)
from chatixia_client.process import SidecarProcess

OLDER_SIDECAR = WITH_AN_AGENT + '''
tell("peer_connected", {"peer_id": "bob-sidecar"})
for line in agent.makefile():
    command = json.loads(line)
    payload = command.get("payload", {})
    if command["type"] == "list_peers":
        tell("peer_list", {"peers": ["bob-sidecar"]})
    elif command["type"] == "connect":
        tell("peer_connected", {"peer_id": payload["target_peer_id"]})
    elif command["type"] == "send":
        message = dict(payload["message"], type="pong")
        tell("message", {"from_peer": payload["target_peer"], "message": message})
'''


class Heard(SidecarProcess):
    """One whose first line has been read before anybody goes on."""

    def __init__(
        self, binary: str, environment: Mapping[str, str], log_file: Optional[str] = None
    ) -> None:
        super().__init__(binary, environment, log_file)
        deadline = time.monotonic() + PATIENCE
        while not self._tail:
            if time.monotonic() > deadline:
                raise AssertionError("it has not said anything")
            time.sleep(0.01)


class Starting(ClientTest):
    async def test_without_a_program_it_is_said_what_to_install(self) -> None:
        nothing_there = mock.patch.dict(os.environ, {"PATH": "/nowhere"})
        with nothing_there, self.assertRaisesRegex(BinaryNotFound, "/nowhere/sidecar.*cargo install"):
            del os.environ["SIDECAR_BINARY"]
            await self.new_sidecar("alice", binary="/nowhere/sidecar").start()

    async def test_a_sidecar_that_dies_at_its_start_is_quoted(self) -> None:
        sidecar = self.new_sidecar("alice", environment={"UDP_PORT": "no-port"})
        with self.assertRaises(StartFailed) as caught:
            await soon(sidecar.start())
        self.assertEqual(caught.exception.exit_code, 2)
        self.assertIn("UDP_PORT=no-port", str(caught.exception))
        self.assertIsInstance(caught.exception, RuntimeError)

    async def test_what_is_no_program_and_what_never_answers_are_told(self) -> None:
        broken = self.directory / "broken"
        broken.write_text("")
        broken.chmod(0o755)
        with self.assertRaisesRegex(StartFailed, "broken can't be run"):
            await soon(self.new_sidecar("alice", binary=broken).start())

        text = "import sys, time\nprint('lost in thought', file=sys.stderr, flush=True)\ntime.sleep(60)"
        mute = self.new_sidecar("alice", binary=self.program(text), start_timeout=0.5)
        with mock.patch.object(link, "SidecarProcess", Heard):
            with self.assertRaisesRegex(StartFailed, "(?s)within 0.5 s.*lost in thought"):
                await soon(mute.start())

    async def test_a_program_whose_child_goes_on_is_told_at_once_and_the_child_is_ended(self) -> None:
        script = self.directory / "script"
        script.write_text(f"#!/bin/sh\nsleep 60 &\necho $! > {self.directory / 'pid'}\nexit 5\n")
        script.chmod(0o755)
        with self.assertRaisesRegex(StartFailed, "exit code 5") as caught:
            await self.new_sidecar("alice", binary=script, start_timeout=PATIENCE / 2).start()
        self.assertEqual(caught.exception.exit_code, 5)
        child = int((self.directory / "pid").read_text())
        await until(lambda: not is_running(child))

    async def test_a_child_of_its_own_session_holds_up_nothing(self) -> None:
        text = (
            "import subprocess, sys\n"
            "child = subprocess.Popen(['sleep', '60'], start_new_session=True)\n"
            f"open({str(self.directory / 'pid')!r}, 'w').write(str(child.pid))\nsys.exit(5)"
        )
        with self.assertRaisesRegex(StartFailed, "exit code 5"):
            await self.new_sidecar("alice", binary=self.program(text), start_timeout=PATIENCE / 2).start()
        os.kill(int((self.directory / "pid").read_text()), signal.SIGKILL)

    async def test_where_no_socket_can_be_is_told(self) -> None:
        (self.directory / "file").touch()
        for path, told in (
            (self.directory, "directory|no sidecar"),
            (self.directory / "file" / "s", "file/s: .*Not a directory"),
            ("", "path is ''"),
            ("s\0", "path is 's"),
        ):
            with self.subTest(path), self.assertRaisesRegex(ChatixiaError, told):
                await soon(Sidecar(socket=path, spawn=False, start_timeout=0.1).start())
            with self.subTest(path, spawn=True), self.assertRaises(ChatixiaError):
                await soon(self.new_sidecar("alice", socket=path).start())

    async def test_a_sidecar_that_cannot_be_watched_is_not_left_behind(self) -> None:
        spawned = []

        class Noted(subprocess.Popen):  # type: ignore[type-arg]
            def __init__(self, *args: Any, **settings: Any) -> None:
                super().__init__(*args, **settings)
                spawned.append(self)

        with mock.patch.object(subprocess, "Popen", Noted):
            with mock.patch.object(threading.Thread, "start", side_effect=RuntimeError("no thread")):
                with self.assertRaisesRegex(StartFailed, "no thread"):
                    await soon(self.new_sidecar("alice").start())
        for process in spawned:
            self.assertEqual(process.wait(PATIENCE), -signal.SIGKILL)
            assert process.stderr is not None
            process.stderr.close()

    async def test_without_room_for_a_directory_it_is_told_what_to_set(self) -> None:
        with mock.patch("tempfile.mkdtemp", side_effect=OSError("no space")):
            with self.assertRaisesRegex(ChatixiaError, "no space; set `socket`"):
                await self.new_sidecar("alice").start()

    async def test_an_older_sidecar_does_what_it_can(self) -> None:
        alice = await self.start("alice", binary=self.program(OLDER_SIDECAR))
        self.assertEqual(alice.peers, {"bob-sidecar"})
        self.assertEqual(await soon(alice.list_peers()), ["bob-sidecar"])
        response = await soon(alice.request("bob-sidecar", "ping", 7))
        self.assertEqual((response.type, response.payload), ("pong", 7))
        await soon(alice.connect("carol-sidecar"))
        self.assertIn("carol-sidecar", alice.peers)
        with self.assertRaises(Unsupported):
            await alice.deliver("bob-sidecar", "ping")
        with self.assertRaises(Unsupported):
            await alice.stats()

    async def test_a_sidecar_that_others_run_is_used_and_left_running(self) -> None:
        path = self.directory / "s"
        others = self.run_by_others(path)
        for _ in range(2):
            async with Sidecar(socket=path, spawn=False) as sidecar:
                self.assertIsNone(sidecar.pid)
                self.assertEqual(await soon(sidecar.list_peers()), [])
                with self.assertRaisesRegex(CommandFailed, "busy"):
                    await soon(Sidecar(socket=path, spawn=False).start())
        self.assertIsNone(others.poll())

    def run_by_others(self, path: Path) -> "subprocess.Popen[bytes]":
        """A sidecar without an agent."""
        environment = {**os.environ, **SETTINGS, "API_KEY": "alice-sidecar", "IPC_SOCKET": str(path)}
        others = subprocess.Popen(
            [find_binary()], env=environment, stderr=subprocess.DEVNULL, stdin=subprocess.DEVNULL
        )
        self.addCleanup(others.wait)
        self.addCleanup(others.terminate)
        return others

    async def test_a_socket_that_a_dead_sidecar_has_left_is_no_obstacle(self) -> None:
        for name, binary in (("ours", None), ("older", self.program(OLDER_SIDECAR))):
            path = self.directory / name
            with socket.socket(socket.AF_UNIX) as dead:
                dead.bind(str(path))
                dead.listen()
            with self.subTest(name):
                alice = await self.start("alice", socket=path, binary=binary)
                self.assertTrue(alice.connected)
                await soon(alice.stop())

    async def test_what_is_no_socket_is_left_as_it_is(self) -> None:
        notes = self.directory / "notes.txt"
        notes.write_text("precious")
        with self.assertRaisesRegex(StartFailed, "notes.txt is something that is no socket"):
            await soon(self.new_sidecar("alice", socket=notes).start())
        self.assertEqual(notes.read_text(), "precious")

    async def test_the_socket_of_a_sidecar_with_an_agent_is_in_use(self) -> None:
        path = self.directory / "s"
        alice = await self.start("alice", socket=path)
        with self.assertRaisesRegex(StartFailed, "another sidecar with an agent") as caught:
            await soon(self.new_sidecar("bob", socket=path).start())
        self.assertEqual(caught.exception.exit_code, 4)
        self.assertTrue(path.is_socket())
        self.assertEqual(await soon(alice.list_peers()), [])

    async def test_of_two_that_start_at_once_on_one_socket_one_is_told_that_it_is_in_use(self) -> None:
        path = self.directory / "s"
        both = [self.new_sidecar(name, socket=path) for name in ("alice", "bob")]
        starts = (one.start() for one in both)
        outcomes = await soon(asyncio.gather(*starts, return_exceptions=True))
        failures = [outcome for outcome in outcomes if isinstance(outcome, StartFailed)]
        self.assertEqual([failure.exit_code for failure in failures], [4])
        one, other = sorted(both, key=lambda sidecar: sidecar.connected)
        self.assertEqual((one.pid, await soon(other.list_peers())), (None, []))

    async def test_a_sidecar_without_an_agent_gives_way(self) -> None:
        path = self.directory / "s"
        others = self.run_by_others(path)
        await until(path.is_socket)
        alice = await self.start("alice", socket=path)
        self.assertEqual(others.wait(PATIENCE), 0)
        self.assertEqual(await soon(alice.list_peers()), [])
        self.assertTrue(alice.connected)

    async def test_a_client_that_is_started_can_be_used_with_with(self) -> None:
        alice = await self.start("alice")
        async with alice as same:
            self.assertIs(same, alice)
            self.assertEqual(await soon(alice.list_peers()), [])
        self.assertFalse(alice.connected)

    async def test_a_path_that_is_too_long_is_named(self) -> None:
        sidecar = self.new_sidecar("alice", socket=self.directory / ("x" * 100))
        with self.assertRaisesRegex(ChatixiaError, "xxx"):
            await sidecar.start()

    async def test_before_and_after_its_time_it_says_so(self) -> None:
        sidecar = self.new_sidecar("alice")
        with self.assertRaises(NotRunning):
            await sidecar.send("bob", "ping")
        await soon(sidecar.start())
        await soon(sidecar.stop())
        with self.assertRaises(NotRunning):
            await sidecar.send("bob", "ping")
        with self.assertRaises(ChatixiaError):
            await sidecar.start()


class Example(ClientTest):
    async def test_the_agent_of_the_readme_answers(self) -> None:
        readme = (SOURCE.parent / "README.md").read_text()
        program = SOURCE.parent / "examples" / "worker.py"
        agent = program.read_text()
        self.assertIn(f"```python\n{agent}```", readme)
        self.assertEqual(len([line for line in agent.splitlines() if line]), 10)
        environment = {
            **os.environ,
            **SETTINGS,
            "PYTHONPATH": str(SOURCE),
            "SIGNALING_URL": self.registry.url.replace("http", "ws") + "/ws",
            "TOKEN_URL": self.registry.url + "/api/token",
        }
        worker = subprocess.Popen([sys.executable, str(program)], env=environment)
        self.addCleanup(worker.wait)
        self.addCleanup(worker.kill)
        alice = await self.start("alice")
        await alice.wait_for_peer("worker-sidecar")
        response = await soon(alice.request("worker-sidecar", "task_request", {"text": "hello"}))
        self.assertEqual(response.payload, {"result": "HELLO"})
        worker.terminate()
