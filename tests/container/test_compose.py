"""compose.yaml: against the schema of its specification, and played with plain processes."""

import contextlib
import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import unittest
from pathlib import Path

import yaml
from build import PROJECT
from dockerfile import stages
from tools import tool

COMPOSE = PROJECT / "compose.yaml"
PATIENCE = 30


def services():
    """The services without a profile, in the order in which they may start."""
    composed = yaml.safe_load(COMPOSE.read_text(encoding="utf-8"))
    left = {
        name: service
        for name, service in composed["services"].items()
        if "profiles" not in service
    }
    ordered = {}
    while left:
        ready = [name for name in left if set(left[name].get("depends_on", {})) <= set(ordered)]
        ordered |= {name: left.pop(name) for name in ready}
    return ordered


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return str(probe.getsockname()[1])


class Stage:
    """This machine in place of the containers: where they say `registry:8080`, `/chatixia-sidecar` and so on,
    it has other names."""

    def __init__(self, place, program):
        self.place, self.port = place, free_port()
        self.program = program
        self.image = stages(PROJECT / "Dockerfile")[-1]
        self.processes = {}

    def here(self, service, text):
        # ${NAME:-default}, with none of them set.
        text = re.sub(r"\$\{\w+:-([^}]*)\}", r"\1", text)
        volumes = dict(volume.split(":")[1::-1] for volume in service.get("volumes", []))
        for inside, outside in volumes.items():
            outside = PROJECT / outside if outside.startswith(".") else self.place / outside
            text = text.replace(inside, str(outside))
        for name, ours in {
            "/chatixia-sidecar": str(self.program),
            "//registry:8080": f"//127.0.0.1:{self.port}",
            "8080": self.port,
            "0.0.0.0": "127.0.0.1",
        }.items():
            text = text.replace(name, ours)
        return text

    def environment(self, service):
        of_image = self.image.environment() if "build" in service else {}
        own = {**of_image, **service.get("environment", {})}
        return {
            "PATH": os.environ["PATH"],
            "INTERFACES": "lo",
            "RUST_LOG": "warn",
            **{name: self.here(service, value) for name, value in own.items()},
        }

    def start(self, name, service):
        if "build" in service:
            command = self.image.command("ENTRYPOINT") + service.get("command", [])
        else:
            command = [sys.executable, *service["command"][1:]]
        for volume in service.get("volumes", []):
            if not volume.startswith("."):
                (self.place / volume.split(":")[0]).mkdir(exist_ok=True)
        self.processes[name] = subprocess.Popen(
            [self.here(service, word) for word in command],
            env=self.environment(service),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            text=True,
        )

    def await_health(self, name, service):
        if "healthcheck" in service:
            check = service["healthcheck"]["test"][1:]
        else:
            check = self.image.command("HEALTHCHECK")
        command = [self.here(service, word) for word in check]
        deadline = time.monotonic() + PATIENCE
        while True:
            asked = subprocess.run(
                command, env=self.environment(service), capture_output=True, text=True, check=False
            )
            if asked.returncode == 0:
                return
            if time.monotonic() > deadline:
                raise AssertionError(f"{name} does not become healthy: {asked.stderr}")
            time.sleep(0.05)

    def close(self):
        for process in reversed(self.processes.values()):
            process.kill()
            process.communicate()


class Compose(unittest.TestCase):
    def test_it_is_what_the_specification_says(self):
        checked = subprocess.run(
            [tool("check-jsonschema"), "--builtin-schema", "vendor.compose-spec", COMPOSE],
            capture_output=True,
            text=True,
            check=False,
        )
        self.assertEqual(checked.returncode, 0, checked.stdout + checked.stderr)

    def test_the_services_find_each_other(self):
        program = shutil.which(os.environ["SIDECAR_BINARY"])
        # Short, since the paths of sockets are.
        with (
            tempfile.TemporaryDirectory(dir="/tmp") as place,
            contextlib.closing(Stage(Path(place), program)) as stage,
        ):
            for name, service in services().items():
                stage.start(name, service)
                if "build" in service:
                    stage.await_health(name, service)
            said, _ = stage.processes["alice"].communicate(timeout=PATIENCE)
            self.assertEqual(said, "HELLO FROM A CONTAINER\n")
            self.assertEqual(stage.processes["alice"].returncode, 0)


if __name__ == "__main__":
    unittest.main()
