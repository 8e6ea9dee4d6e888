"""Finding the sidecar program."""

from __future__ import annotations

import os
import platform
import re
import shutil
from pathlib import Path
from typing import Iterator, List, Union

from .errors import BinaryNotFound

NAME = "chatixia-sidecar"

_TARGETS = {
    ("Linux", "x86_64"): ("x86_64-unknown-linux-musl",),
    ("Linux", "aarch64"): ("aarch64-unknown-linux-musl",),
    ("Linux", "armv8l"): ("armv7-unknown-linux-musleabihf", "arm-unknown-linux-musleabihf"),
    ("Linux", "armv7l"): ("armv7-unknown-linux-musleabihf", "arm-unknown-linux-musleabihf"),
    ("Linux", "armv6l"): ("arm-unknown-linux-musleabihf",),
}
"""Which archives of a release have a program for a system and machine, the best one first."""


def find_binary(configured: Union[str, "os.PathLike[str]", None] = None) -> str:
    """The absolute path of the sidecar program.

    In the contract's order: the configured path, the environment's `SIDECAR_BINARY`, `PATH`. What is given
    first is taken, or nothing is: another program is never run in its place. Both of the first may be a
    path, a name to be looked up in `PATH`, or a directory with the program in it, or with the unpacked
    archives of releases (`chatixia-sidecar-VERSION-TARGET`), of which the newest for this machine is taken.

    Raises `BinaryNotFound`, which says where it looked and what to do.
    """
    variable = os.environ.get("SIDECAR_BINARY")
    if configured:
        return _given(os.fspath(configured), "the configured sidecar program")
    if variable:
        return _given(variable, "the sidecar program of SIDECAR_BINARY")
    found = shutil.which(NAME)
    if found is None:
        raise BinaryNotFound(f"there is no {NAME} in PATH. {_advice()}")
    return os.path.abspath(found)


def _given(candidate: str, what: str) -> str:
    named = shutil.which(candidate) if os.sep not in candidate else None
    if named is not None:
        return os.path.abspath(named)
    path = Path(candidate).expanduser()
    if path.is_dir():
        for file in _programs_in(path):
            return str(file.absolute())
        problem = f"has no {NAME} for this machine ({_machine()})"
    elif path.is_file() and os.access(path, os.X_OK):
        return str(path.absolute())
    else:
        problem = "can't be executed" if path.exists() else "is not there"
    raise BinaryNotFound(f"{what}, {candidate}, {problem}. {_advice()}")


def _programs_in(directory: Path) -> Iterator[Path]:
    """Those that can be run on this machine, the best one first."""
    files = [directory / NAME]
    for target in _targets():
        folders = directory.glob(f"{NAME}-*-{target}")
        files += [folder / NAME for folder in sorted(folders, key=_version, reverse=True)]
    return (file for file in files if file.is_file() and os.access(file, os.X_OK))


def _version(folder: Path) -> List[int]:
    """Of a release that is unpacked there; what follows the number, as in `-rc1`, is not looked at."""
    number = re.match(rf"{NAME}-([\d.]+)", folder.name)
    return [int(part) for part in number[1].split(".") if part] if number else []


def _advice() -> str:
    target = next(iter(_targets()), None)
    build = f"`cargo install --path .` in a checkout of {NAME} puts it into PATH"
    if target is None:
        return f"For this machine ({_machine()}) it is built from source: {build}."
    return (
        f"Either {build}; or unpack {NAME}-VERSION-{target}.tar.gz of a release, and put the {NAME} "
        "in it into PATH, or set SIDECAR_BINARY to its path."
    )


def _targets() -> "tuple[str, ...]":
    return _TARGETS.get((platform.system(), platform.machine()), ())


def _machine() -> str:
    return f"{platform.system()}, {platform.machine()}"
