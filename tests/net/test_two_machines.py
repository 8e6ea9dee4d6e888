"""A laptop and a Pi with a router between, as docs/two-machines.md has them: a registry, two tickets, no settings."""

import json
import os
import subprocess
import tempfile
import unittest

from lab import binary
from lab.waiting import until
from lab.world import world

SECONDS = 20
PORT = 8080


class Machine:
    """A host with a user on it, whose settings are in his home directory alone."""

    def __init__(self, case, host, name):
        self.host = host
        self.home = tempfile.mkdtemp(prefix=f"{name}-")
        self.environment = {"HOME": self.home, "IPC_SOCKET": os.path.join(self.home, "s"), "AGENT_LINGER": "inf"}
        self.case = case

    def run(self, *words, **options):
        """Runs a subcommand to its end, and gives what it prints."""
        with self.host.entered():
            command = [binary.PATH, *words]
            done = subprocess.run(
                command, env=self.environment, cwd=self.home, capture_output=True, text=True, timeout=SECONDS, **options
            )
        self.case.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        return done.stdout

    def start(self, *words, before=(), **options):
        """Starts it; it ends with the test. `before`: a command that runs it."""
        with open(os.path.join(self.home, "log"), "ab") as log:
            process = self.host.spawn(
                [*before, binary.PATH, *words], env=self.environment, cwd=self.home, stderr=log, **options
            )
        self.case.addCleanup(process.wait)
        self.case.addCleanup(process.kill)
        return process

    def tell(self, *commands):
        """What the sidecar says to an agent that gives these commands, each of which bears an id."""
        lines = "".join(json.dumps(command) + "\n" for command in commands)
        return [json.loads(line) for line in self.run("attach", input=lines).splitlines()]


class TwoMachines(unittest.TestCase):
    def test_they_meet_with_two_tickets_and_a_message_arrives(self):
        places = [world().builder.build(kind) for kind in ("public", "port restricted")]
        for place in places:
            self.addCleanup(place.remove)
        laptop, pi = (Machine(self, place.host, name) for place, name in zip(places, ("laptop", "pi")))
        registry = ["registry", "--listen", "0.0.0.0", "--registry-data", os.path.join(laptop.home, "registry")]
        laptop.start(*registry, stdout=subprocess.DEVNULL)
        until(lambda: os.path.exists(os.path.join(laptop.home, "registry/control.sock")), SECONDS)
        url = f"http://{places[0].public_address}:{PORT}"
        for machine, name in ((laptop, "laptop"), (pi, "pi")):
            ticket = laptop.run("invite", name, "--registry", url, "--registry-data", registry[-1])
            self.assertIn(url, machine.run("join", ticket.strip()))
        for machine in (laptop, pi):
            machine.start(stdout=subprocess.DEVNULL)
            until(lambda: os.path.exists(machine.environment["IPC_SOCKET"]), SECONDS)
        # An agent whose input does not end.
        stays = ["sh", "-c", 'sleep "$0" | "$@"', str(SECONDS)]
        receiving = pi.start("attach", before=stays, stdout=subprocess.PIPE)
        self.addCleanup(receiving.stdout.close)
        message = {"type": "task_request", "payload": "hello"}
        for line in receiving.stdout:
            if json.loads(line).get("payload", {}).get("peer_id") == "laptop-sidecar":
                break
        sent = laptop.tell({"type": "send", "id": 1, "payload": {"target_peer": "pi-sidecar", "message": message}})
        answer = next(event for event in sent if event.get("id") == 1)
        self.assertEqual(answer["payload"], {"target_peer": "pi-sidecar", "receipt": "agent"})
        for line in receiving.stdout:
            event = json.loads(line)
            if event["type"] == "message":
                self.assertEqual(event["payload"]["from_peer"], "laptop-sidecar")
                self.assertEqual(event["payload"]["message"]["payload"], "hello")
                break
