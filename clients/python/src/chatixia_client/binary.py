"""Finding the sidecar program."""

from __future__ import annotations

import logging
import os
import platform
import re
import shutil
from importlib import import_module
from pathlib import Path
from typing import Iterator, List, Optional, Tuple, Union

from .errors import BinaryNotFound

log = logging.getLogger("chatixia_client")

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

    In the contract's order: the configured path and the environment's `SIDECAR_BINARY`, each if it is there
    and can be run, then the configured name, that of `SIDECAR_BINARY`, and `chatixia-sidecar`, each in `PATH`.
    At last where the package `chatixia-sidecar` has put it. Both of the first may also be a directory with
    the program in it, or with the unpacked archives of releases (`chatixia-sidecar-VERSION-TARGET`), of
    which the newest for this machine is taken. What is given and passed over is logged.

    Raises `BinaryNotFound`, which says where it looked and what to do.
    """
    given = [
        (os.fspath(configured or ""), "the configured sidecar program"),
        (os.environ.get("SIDECAR_BINARY") or "", "the sidecar program of SIDECAR_BINARY"),
    ]
    passed_over: List[str] = []
    for candidate, what in given:
        if candidate:
            found, problem = _at(Path(candidate).expanduser())
            if found is not None:
                return _taken(found, passed_over)
            if os.sep in candidate:
                passed_over.append(f"{what}, {candidate}, {problem}")
    for name in dict.fromkeys([*(candidate for candidate, _ in given if candidate), NAME]):
        found = shutil.which(name)
        if found is not None:
            return _taken(os.path.abspath(found), passed_over)
        if name != NAME and os.sep not in name:
            passed_over.append(f"{name} is not in PATH")
    installed = _installed()
    if installed is not None:
        return _taken(installed, passed_over)
    raise BinaryNotFound(". ".join([*passed_over, f"There is no {NAME} in PATH", _advice()]))


def _taken(found: str, passed_over: "List[str]") -> str:
    if passed_over:
        log.warning("%s is run, since %s", found, "; ".join(passed_over))
    return found


def _at(path: Path) -> "Tuple[Optional[str], str]":
    """The program at a path, or in a directory; or None, and why there is none."""
    if path.is_dir():
        for file in _programs_in(path):
            return str(file.absolute()), ""
        return None, f"has no {NAME} for this machine ({_machine()})"
    if path.is_file() and os.access(path, os.X_OK):
        return str(path.absolute()), ""
    return None, "can't be executed" if path.exists() else "is not there"


def _installed() -> Optional[str]:
    """The program of the package `chatixia-sidecar`, which need not be in `PATH`."""
    try:
        # By name, since it need not be there.
        return str(import_module("chatixia_sidecar").find_sidecar_bin())
    except (ImportError, FileNotFoundError):
        return None


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
        f"Either install the wheel {NAME} of a release beside this package; or {build}; or unpack "
        f"{NAME}-VERSION-{target}.tar.gz of a release, and put the {NAME} in it into PATH, or set "
        "SIDECAR_BINARY to its path."
    )


def _targets() -> "tuple[str, ...]":
    return _TARGETS.get((platform.system(), platform.machine()), ())


def _machine() -> str:
    return f"{platform.system()}, {platform.machine()}"
