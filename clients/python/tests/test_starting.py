"""How a sidecar comes up, or does not."""

import os
import subprocess
import sys

from .support import SETTINGS, SOURCE, ClientTest, soon
from chatixia_client import (
    BinaryNotFound,
    ChatixiaError,
    CommandFailed,
    NotRunning,
    Sidecar,
    StartFailed,
    Unsupported,
    find_binary,
)

OLDER_SIDECAR = '''
import json, os, socket
listener = socket.socket(socket.AF_UNIX)
listener.bind(os.environ["IPC_SOCKET"])
listener.listen()
agent, _ = listener.accept()

def tell(kind, payload):
    agent.sendall(json.dumps({"type": kind, "payload": payload}).encode() + b"\\n")

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


class Starting(ClientTest):
    async def test_without_a_program_it_is_said_what_to_install(self) -> None:
        sidecar = self.new_sidecar("alice", binary="/nowhere/sidecar")
        before, os.environ["PATH"] = os.environ["PATH"], "/nowhere"
        variable = os.environ.pop("SIDECAR_BINARY", None)
        try:
            with self.assertRaisesRegex(BinaryNotFound, "cargo install"):
                await sidecar.start()
        finally:
            os.environ["PATH"] = before
            if variable is not None:
                os.environ["SIDECAR_BINARY"] = variable

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
        with self.assertRaisesRegex(StartFailed, "(?s)within 0.5 s.*lost in thought"):
            await soon(mute.start())

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
        socket = self.directory / "s"
        environment = {**os.environ, **SETTINGS, "API_KEY": "alice-sidecar", "IPC_SOCKET": str(socket)}
        others = subprocess.Popen(
            [find_binary()], env=environment, stderr=subprocess.DEVNULL, stdin=subprocess.DEVNULL
        )
        self.addCleanup(others.wait)
        self.addCleanup(others.terminate)
        for _ in range(2):
            async with Sidecar(socket=socket, spawn=False) as sidecar:
                self.assertIsNone(sidecar.pid)
                self.assertEqual(await soon(sidecar.list_peers()), [])
                with self.assertRaisesRegex(CommandFailed, "busy"):
                    await soon(Sidecar(socket=socket, spawn=False).start())
        self.assertIsNone(others.poll())

    async def test_a_socket_that_a_dead_sidecar_has_left_is_no_obstacle(self) -> None:
        socket = self.directory / "s"
        socket.touch()
        alice = await self.start("alice", socket=socket)
        self.assertTrue(alice.connected)

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
        agent = readme.split("```python\n")[1].split("```")[0]
        self.assertEqual(len([line for line in agent.splitlines() if line]), 10)
        program = self.directory / "agent.py"
        program.write_text(agent)
        environment = {
            **os.environ,
            **SETTINGS,
            "PYTHONPATH": str(SOURCE),
            "API_KEY": "worker-sidecar",
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
