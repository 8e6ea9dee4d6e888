"""What cargo builds for a target, for the scripts that look at dependencies."""

import os
import subprocess
from typing import NamedTuple

CARGO = os.environ.get("CARGO", "cargo")
OURS = "chatixia-sidecar"


class Crate(NamedTuple):
    """One crate of the tree; the origin is empty for crates.io, otherwise a path, a repository or a registry."""

    name: str
    version: str
    origin: str
    licence: str


def crates(target, edges):
    """The crates that cargo builds for the target over dependencies of these kinds, ours not among them.

    `cargo tree` decides features as a build does; `cargo metadata` lists crates that no build needs.
    """
    tree = subprocess.check_output(
        [CARGO, "tree", "--quiet", "--locked", "--prefix", "none", "--no-dedupe"]
        + ["--edges", edges, "--target", target, "--format", "{p}\t{l}"],
        text=True,
    )
    found = set()
    for line in tree.splitlines():
        package, licence = line.split("\t")
        name, version, *marks = package.split(" ")
        origin = " ".join(mark for mark in marks if mark != "(proc-macro)")
        found.add(Crate(name, version.removeprefix("v"), origin, licence))
    return {crate for crate in found if crate.name != OURS}
