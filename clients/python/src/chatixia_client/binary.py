"""Finding the sidecar program."""

from __future__ import annotations

import os
import platform
import shutil
from pathlib import Path
from typing import Iterator, Optional, Union

from .errors import BinaryNotFound

NAME = "chatixia-sidecar"

_TARGETS = {
    ("Linux", "x86_64"): ("x86_64-unknown-linux-musl", "x86_64-unknown-linux-gnu"),
    ("Linux", "aarch64"): ("aarch64-unknown-linux-musl",),
    ("Linux", "armv7l"): ("armv7-unknown-linux-musleabihf",),
    ("Linux", "armv6l"): ("arm-unknown-linux-musleabihf",),
    ("Darwin", "arm64"): ("aarch64-apple-darwin",),
    ("Darwin", "x86_64"): ("x86_64-apple-darwin",),
}
"""What the programs of a release are built for, by system and machine."""


def find_binary(configured: Union[str, "os.PathLike[str]", None] = None) -> str:
    """The absolute path of the sidecar program.

    Looked for in the contract's order: the configured path, the environment's `SIDECAR_BINARY`, and
    `PATH`. Both of the first may be a path, a directory that holds a program for this platform, or a name
    to be looked up in `PATH`. What can't be used is passed over.

    Raises `BinaryNotFound`, which says where it looked and what to install.
    """
    tried = []
    candidates = [("configured", configured), ("SIDECAR_BINARY", os.environ.get("SIDECAR_BINARY"))]
    for origin, candidate in candidates:
        if candidate:
            found = _usable(os.fspath(candidate))
            if found is not None:
                return found
            tried.append(f"{os.fspath(candidate)} ({origin})")
    for name in _names():
        found = shutil.which(name)
        if found is not None:
            return os.path.abspath(found)
    tried.append(f"{NAME} in PATH")
    raise BinaryNotFound(
        f"there is no sidecar program to run on this {platform.system()} ({platform.machine()}); "
        f"tried {', '.join(tried)}. Unpack the release for this machine, or run "
        f"`cargo install {NAME}`, and put {NAME} into PATH or set SIDECAR_BINARY to its path."
    )


def _names() -> Iterator[str]:
    """What the program may be called on this platform, the usual name first."""
    yield NAME
    for target in _TARGETS.get((platform.system(), platform.machine()), ()):
        yield f"{NAME}-{target}"


def _usable(candidate: str) -> Optional[str]:
    path = Path(candidate).expanduser()
    paths = [path / name for name in _names()] if path.is_dir() else [path]
    for file in paths:
        if file.is_file() and os.access(file, os.X_OK):
            return str(file.absolute())
    found = shutil.which(candidate)
    return None if found is None else os.path.abspath(found)
