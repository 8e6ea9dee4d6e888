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

    def __init__(self, case, place, name):
        self.host, self.address = place.host, place.public_address
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
        """The laptop, to which the registry belongs, has a public address; the Pi is behind a router."""
        laptop, pi = self.machines("public", "port restricted")
        self.meet(laptop, laptop, pi)

    def test_behind_two_symmetric_routers_the_registry_relays(self):
        """Nothing but a registry with a public address: it is the relay, too."""
        server, laptop, pi = self.machines("public", "symmetric", "symmetric")
        self.meet(server, laptop, pi, "--relay")
        peer = next(peer for peer in self.stats(laptop)["peers"] if peer["peer_id"] == "pi-sidecar")
        self.assertIn("relay", [peer["path"][end]["kind"] for end in ("local", "remote")])

    def machines(self, *kinds):
        places = [world().builder.build(kind) for kind in kinds]
        for place in places:
            self.addCleanup(place.remove)
        return [Machine(self, place, name) for place, name in zip(places, ("first", "second", "third"))]

    def stats(self, machine):
        told = machine.tell({"type": "stats", "id": "stats"})
        return next(event for event in told if event.get("id") == "stats")["payload"]

    def meet(self, server, laptop, pi, *more):
        """Has both join, their sidecars start without any settings, and one send the other a message."""
        data = os.path.join(server.home, "registry")
        server.start("registry", "--listen", "0.0.0.0", "--registry-data", data, *more, stdout=subprocess.DEVNULL)
        until(lambda: os.path.exists(os.path.join(data, "control.sock")), SECONDS)
        url = f"http://{server.address}:{PORT}"
        for machine, name in ((laptop, "laptop"), (pi, "pi")):
            ticket = server.run("invite", name, "--registry", url, "--registry-data", data)
            # By standard input: arguments are seen by everybody on the machine.
            self.assertIn(url, machine.run("join", input=ticket))
        for machine in (laptop, pi):
            machine.start(stdout=subprocess.DEVNULL)
            until(lambda: os.path.exists(machine.environment["IPC_SOCKET"]), SECONDS)
        # An agent whose input does not end.
        stays = ["sh", "-c", 'sleep "$0" | "$@"', str(SECONDS)]
        receiving = pi.start("attach", before=stays, stdout=subprocess.PIPE)
        self.addCleanup(receiving.stdout.close)
        for line in receiving.stdout:
            if json.loads(line).get("payload", {}).get("peer_id") == "laptop-sidecar":
                break
        message = {"type": "task_request", "payload": "hello"}
        sent = laptop.tell({"type": "send", "id": 1, "payload": {"target_peer": "pi-sidecar", "message": message}})
        answer = next(event for event in sent if event.get("id") == 1)
        self.assertEqual(answer["payload"], {"target_peer": "pi-sidecar", "receipt": "agent"})
        events = (json.loads(line) for line in receiving.stdout)
        event = next(event for event in events if event["type"] == "message")
        self.assertEqual(event["payload"]["from_peer"], "laptop-sidecar")
        self.assertEqual(event["payload"]["message"]["payload"], "hello")
