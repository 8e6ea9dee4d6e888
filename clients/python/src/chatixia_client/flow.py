"""What has been read from the sidecar and is not done yet, and when reading pauses for it.

While reading is paused the sidecar slows those who send to us, so nothing is lost. But answers come on
the same way as messages: as long as the agent awaits one, reading goes on, up to a hard bound.
"""

from __future__ import annotations

from typing import Callable

PAUSE_BYTES = 1024 * 1024
"""With so much undone, reading pauses unless an answer is awaited."""

PAUSE_EVEN_IF_AWAITED_BYTES = 16 * 1024 * 1024
"""With so much undone, reading pauses in any case: what is awaited may then run into its timeout."""

ITEM_COST_BYTES = 256
"""What a message is taken to cost beside its text."""


class Flow:
    """Counts what is undone, and pauses and resumes reading."""

    def __init__(
        self,
        is_awaiting: Callable[[], bool],
        pause: Callable[[], None],
        resume: Callable[[], None],
    ) -> None:
        self._is_awaiting = is_awaiting
        self._pause = pause
        self._resume = resume
        self._undone_bytes = 0
        self.is_paused = False

    def add(self, size: int) -> None:
        """A line of `size` bytes waits to be done with."""
        self._undone_bytes += size + ITEM_COST_BYTES
        if self._undone_bytes >= PAUSE_BYTES and not self.is_paused:
            self.adjust()

    def remove(self, size: int) -> None:
        """It is done with."""
        self._undone_bytes -= size + ITEM_COST_BYTES
        if self.is_paused:
            self.adjust()

    def adjust(self) -> None:
        """Pauses or resumes as things stand; to be called when an answer begins to be awaited."""
        limit = PAUSE_EVEN_IF_AWAITED_BYTES if self._is_awaiting() else PAUSE_BYTES
        if not self.is_paused and self._undone_bytes >= limit:
            self.is_paused = True
            self._pause()
        elif self.is_paused and self._undone_bytes < limit // 2:
            self.is_paused = False
            self._resume()

    def reconnected(self) -> None:
        """There is a new connection, which is not paused yet."""
        if self.is_paused:
            self._pause()
