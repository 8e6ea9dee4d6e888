"""A directory of our own for the sidecar's socket, and what agents that were killed have left of theirs."""

from __future__ import annotations

import fcntl
import itertools
import os
import shutil
import stat
import tempfile
import time
import weakref
from typing import Iterator

PREFIX = "chatixia-client-"

LOCK = "agent.lock"
"""A file in the directory that its agent has locked. The system unlocks it when the agent is gone, however
it has ended; a number of a process would say less, since that may be another's by now, or in a container."""

SOCKET = "sidecar.sock"

ENTRIES_READ = 10_000
"""Of the temporary directory, at each start."""

DIRECTORIES_TRIED = 1_000
"""Of these, at each start."""

WITHOUT_LOCK_SECONDS = 60.0
"""A directory that has no lock so long after it was made will not get one."""


class PrivateDirectory:
    """Made with this, and removed with it, at the interpreter's exit at the latest.

    An agent that is killed, or ends by SIGTERM, removes nothing. So each start removes what others of the
    same user have left. A sidecar that still waits there for its agent ends when its socket is gone.
    """

    def __init__(self) -> None:
        """Raises `OSError` where none can be made."""
        _remove_abandoned(tempfile.gettempdir())
        self.path, lock = _make()
        self.socket = os.path.join(self.path, SOCKET)
        self._remove = weakref.finalize(self, _remove, self.path, lock, os.getpid())

    def remove(self) -> None:
        """May be called again."""
        self._remove()


def _make() -> "tuple[str, int]":
    """A directory, and its locked file."""
    while True:
        path = tempfile.mkdtemp(prefix=PREFIX)
        lock = os.open(os.path.join(path, LOCK), os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            pass  # One who looked just before it was locked removes it.
        except OSError:
            return path, lock  # Nothing can be locked here, so nothing is ever taken for abandoned.
        else:
            if os.path.isdir(path):
                return path, lock
        os.close(lock)


def _remove(path: str, lock: int, owner: int) -> None:
    """Removes a directory, unless this is a forked child of its owner."""
    if os.getpid() == owner:
        shutil.rmtree(path, ignore_errors=True)
        os.close(lock)


def _remove_abandoned(parent: str) -> None:
    for path in itertools.islice(_named_so_in(parent), DIRECTORIES_TRIED):
        try:
            directory = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
        except OSError:
            continue
        try:
            _remove_if_abandoned(path, directory)
        except OSError:
            pass  # Its agent is there, or another removes it, or it holds what is not ours.
        finally:
            os.close(directory)


def _named_so_in(parent: str) -> Iterator[str]:
    try:
        with os.scandir(parent) as entries:
            for entry in itertools.islice(entries, ENTRIES_READ):
                if entry.name.startswith(PREFIX):
                    yield entry.path
    except OSError:
        return


def _remove_if_abandoned(path: str, directory: int) -> None:
    found = os.fstat(directory)
    if found.st_uid != os.geteuid():
        return
    try:
        lock = os.open(LOCK, os.O_RDWR | os.O_NOFOLLOW, dir_fd=directory)
    except FileNotFoundError:
        if time.time() - found.st_mtime > WITHOUT_LOCK_SECONDS:
            os.rmdir(path)
        return
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        _empty(directory)
        os.rmdir(path)
    finally:
        os.close(lock)


def _empty(directory: int) -> None:
    """Removes what we and the sidecar make in it, and nothing else."""
    try:
        if stat.S_ISSOCK(os.stat(SOCKET, dir_fd=directory, follow_symlinks=False).st_mode):
            os.unlink(SOCKET, dir_fd=directory)
    except FileNotFoundError:
        pass
    os.unlink(LOCK, dir_fd=directory)
