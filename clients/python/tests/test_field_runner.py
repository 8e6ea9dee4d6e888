"""The field's runner, played to the letter, against our registry."""

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Dict, List

from .support import PATIENCE, SETTINGS, SOURCE, RegistryTest
from chatixia_client import find_binary

RUNNER = Path(__file__).parent / "field_runner.py"


class FieldRunner(RegistryTest):
    def run_agent(self, name: str, binary: Dict[str, str], *more: str) -> "subprocess.Popen[str]":
        """An agent with nothing in its environment but what an agent of the field has, and its key."""
        environment = {
            **SETTINGS,
            **binary,
            "API_KEY": f"{name}-sidecar",
            "PYTHONPATH": str(SOURCE),
            "HEARTBEAT_SECONDS": "0.2",
            "POLL_SECONDS": "0.1",
        }
        command = [sys.executable, "-B", str(RUNNER), self.registry.url, name, str(self.directory / f"{name}.sock")]
        agent = subprocess.Popen(
            [*command, *more], env=environment, stdout=subprocess.PIPE, text=True, cwd=self.directory
        )
        self.addCleanup(agent.wait)
        self.addCleanup(agent.kill)
        assert agent.stdout is not None
        self.addCleanup(agent.stdout.close)
        return agent

    def lines(self, agent: "subprocess.Popen[str]", count: int) -> List[str]:
        assert agent.stdout is not None
        return [agent.stdout.readline().rstrip("\n") for _ in range(count)]

    def delegate(self, binary: Dict[str, str]) -> None:
        worker = self.run_agent("worker", binary)
        log = self.directory / "worker.log"
        expected = ["Registered as worker", f"  Sidecar log: {log}"]
        self.assertEqual(self.lines(worker, 2), expected)
        asker = self.run_agent("asker", binary, "worker")
        expected = ["Registered as asker", f"  Sidecar log: {self.directory / 'asker.log'}"]
        expected += ["over P2P: HELLO", "over the queue: AGAIN", "Deregistered asker"]
        self.assertEqual(self.lines(asker, 5), expected)
        self.assertEqual(asker.wait(PATIENCE), 0)
        worker.terminate()
        self.assertEqual(self.lines(worker, 1), ["Deregistered worker"])
        self.assertEqual(worker.wait(PATIENCE), 0)
        self.assertEqual(sorted(path.name for path in self.directory.iterdir()), ["asker.log", "worker.log"])
        self.assertIn("asker-sidecar", log.read_text())

    def test_agents_delegate_over_p2p_and_over_the_queue(self) -> None:
        path = self.directory.parent / f"{self.directory.name}-bin"
        path.mkdir()
        self.addCleanup(shutil.rmtree, path)
        (path / "chatixia-sidecar").symlink_to(find_binary())
        self.delegate({"PATH": f"{path}:{os.environ['PATH']}"})

    def test_sidecar_binary_is_run_though_the_runner_configures_the_bare_name(self) -> None:
        self.delegate({"PATH": os.environ["PATH"], "SIDECAR_BINARY": find_binary()})
