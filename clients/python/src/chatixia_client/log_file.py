"""The file beside the socket to which a sidecar's output is appended."""

from __future__ import annotations

import logging
import os
from typing import Optional

log = logging.getLogger("chatixia_client")


class LogFile:
    """A file that is open for appending. It is made readable by its owner only."""

    def __init__(self, path: str, descriptor: int) -> None:
        self._path = path
        self.descriptor = descriptor
        self._is_good = True

    @classmethod
    def open(cls, path: str) -> "Optional[LogFile]":
        """None, with a warning, if it can't be had: the sidecar runs without it.

        A link is not followed, since others may have made it in a directory like /tmp.
        """
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK
        try:
            return cls(path, os.open(path, flags, 0o600))
        except OSError as error:
            log.warning("the sidecar's log is not kept: %s", error)
            return None

    def append(self, line: bytes) -> None:
        """Adds a line, until the first that can't be added."""
        if not self._is_good:
            return
        try:
            os.write(self.descriptor, line)
        except OSError as error:
            self._is_good = False
            log.warning("the sidecar's log is kept no longer, %s: %s", self._path, error)

    def close(self) -> None:
        os.close(self.descriptor)
