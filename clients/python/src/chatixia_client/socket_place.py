"""Where the sidecar's socket is, and what is there before it."""

from __future__ import annotations

import asyncio
import hashlib
import os
import socket
import stat
import sys
from contextlib import asynccontextmanager
from typing import AsyncIterator, Optional, Tuple

from .errors import ChatixiaError, StartFailed
from .private_directory import PrivateDirectory
from .settings import Path

PATH_BYTES = 100
"""Longest path of a Unix socket that all systems take."""

CLAIM_POLL_SECONDS = 0.02

_Identity = Tuple[int, int, int]


class SocketPlace:
    """A path that was set, or one in a private directory of our own."""

    def __init__(self, configured: Optional[Path]) -> None:
        self._before: Optional[_Identity] = None
        self._directory: Optional[PrivateDirectory] = None
        if configured is None:
            try:
                self._directory = PrivateDirectory()
            except OSError as error:
                raise ChatixiaError(
                    f"no directory can be made for the socket: {error}; set `socket` to a path"
                ) from error
            self.path = self._directory.socket
        else:
            self.path = os.fspath(configured)
        if not self.path or "\0" in self.path:
            raise ChatixiaError(f"the socket's path is {self.path!r}: set `socket` to a path")
        if len(os.fsencode(self.path)) > PATH_BYTES:
            self.remove()
            raise ChatixiaError(
                f"the socket's path is longer than {PATH_BYTES} bytes, more than systems take: "
                f"{self.path}; set `socket` to a shorter one"
            )

    @asynccontextmanager
    async def claim(self, patience: float) -> AsyncIterator[None]:
        """Meanwhile no other client begins a sidecar here; without this, one of two at once might be taken
        for the agent of the other's.

        Another's claim is respected for `patience` seconds. Only Linux knows names of sockets that are gone
        with their process, and leave no file; elsewhere nothing is claimed.
        """
        is_private = self._directory is not None
        if is_private or not sys.platform.startswith("linux"):
            yield
            return
        path = os.fsencode(os.path.realpath(self.path))
        name = f"\0chatixia-client-{hashlib.sha256(path).hexdigest()}"
        deadline = asyncio.get_running_loop().time() + patience
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as claim:
            while asyncio.get_running_loop().time() < deadline:
                try:
                    claim.bind(name)
                    break
                except OSError:
                    await asyncio.sleep(CLAIM_POLL_SECONDS)
            yield

    def prepare(self) -> None:
        """Makes the place ready for a new sidecar: one that is dead leaves its socket, which older sidecars
        stumble over, so it is removed.

        A socket that is served stays: whether its sidecar gives way is between the two (contract part 5).
        Raises `StartFailed` if there is anything but a socket, which stays as well.
        """
        self._before = found = self._identity()
        if found is None:
            if os.path.lexists(self.path):
                raise StartFailed(
                    f"at the socket's path {self.path} is something that is no socket: remove it, or set "
                    "`socket` to another path"
                )
        elif _is_dead(self.path) and self._identity() == found:
            os.unlink(self.path)

    def has_new_socket(self) -> bool:
        """Whether there is a socket that was not there at `prepare`: the new sidecar's."""
        return self._identity() not in (None, self._before)

    def remove(self) -> None:
        """Removes the directory, if it is ours."""
        if self._directory is not None:
            self._directory.remove()

    def _identity(self) -> Optional[_Identity]:
        """Of the socket that is there, if any."""
        try:
            found = os.lstat(self.path)
        except OSError:
            return None
        # The time too: the number of a file that was removed may be given to the next.
        return (found.st_dev, found.st_ino, found.st_ctime_ns) if stat.S_ISSOCK(found.st_mode) else None


def _is_dead(path: str) -> bool:
    """Whether nobody listens at a socket.

    It is asked with a socket of the wrong type, which is refused in another way if somebody does. A
    sidecar would take a connection for its agent's, and hand over the messages that wait for that.
    """
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as asking:
        try:
            asking.connect(path)
        except ConnectionRefusedError:
            return True
        except OSError:
            return False
    return False
