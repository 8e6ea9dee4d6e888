"""Builds the program by the steps of the Dockerfile, in a plain shell."""

import os
import shutil
import subprocess
from pathlib import Path

from dockerfile import stages

HERE = Path(__file__).resolve().parent
PROJECT = HERE.parent.parent

# On which the steps are tried, and the name of its target there.
PLATFORM = {"TARGETARCH": "amd64", "TARGETVARIANT": ""}
TARGET = "x86_64-unknown-linux-musl"


class Build:
    """The build stage, its work directory being `place`."""

    def __init__(self, place):
        self.stage = stages(PROJECT / "Dockerfile")[0]
        self.place = place
        self.outputs = []
        self.environment = {
            **os.environ,
            **PLATFORM,
            "PATH": f"{HERE / 'stand-ins'}:{os.environ['PATH']}",
            "REAL_CARGO": shutil.which(os.environ.get("CARGO", "cargo")),
            "HOST_TARGET_DIR": str(seeded_target_directory()),
        }

    def run(self):
        (shell,) = (self.stage.command("SHELL"),)
        for keyword, rest in self.stage.instructions:
            if keyword == "RUN":
                self.step(shell, rest)
            elif keyword == "COPY":
                *sources, destination = rest.split()
                for source in sources:
                    self.copy(source, self.place / destination)
            elif keyword not in ("SHELL", "WORKDIR", "ARG"):
                raise NotImplementedError(keyword)
        return self.place / "chatixia-sidecar"

    def step(self, shell, script):
        done = subprocess.run(
            [*shell, script],
            cwd=self.place,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        if done.returncode != 0:
            raise AssertionError(f"RUN {script}\n{done.stdout}")
        self.outputs.append(done.stdout)

    def copy(self, source, destination):
        """With the times of the originals, as COPY does."""
        path = PROJECT / source
        if path.is_dir():
            shutil.copytree(path, destination, dirs_exist_ok=True)
        else:
            shutil.copy2(path, destination / path.name)


def seeded_target_directory():
    """A target directory of its own, which begins with the dependencies that were compiled already."""
    compiled = Path(os.environ.get("CARGO_TARGET_DIR", PROJECT / "target"))
    own = compiled / "container"
    if (compiled / "debug").is_dir() and not own.exists():
        skip = shutil.ignore_patterns("*chatixia*", "incremental", "examples", "*.d")
        for part in ("deps", "build", ".fingerprint"):
            shutil.copytree(
                compiled / "debug" / part,
                own / "debug" / part,
                copy_function=os.link,
                ignore=skip if part != "deps" else shutil.ignore_patterns("*chatixia*"),
            )
    return own
