"""What has been read from the sidecar and is not done yet, and how fast reading goes on for it.

While reading is paused the sidecar slows those who send to us, so nothing is lost. But answers come on the
same way as messages, and behind those that the sidecar has queued for us, up to 16 MiB. If handlers await
answers, and reading pauses because these handlers are not done, neither ever happens. So there are three
bounds:

- `PAUSE_BYTES`: reading pauses, unless an answer is awaited.
- `SLOW_BYTES`: reading goes on slowly as long as an answer is awaited. That gives a peer that has got stuck
  some 20 s until it takes what it is sent again, and then brings the answers behind what is queued.
- `GIVE_UP_BYTES`: reading pauses in any case, since memory has to be bounded, and what is awaited fails with
  `Overloaded`. So those who wait are done, and make room: nobody waits for ever.
"""

from __future__ import annotations

from typing import Callable

from .lines import Pace

PAUSE_BYTES = 4 * 1024 * 1024
SLOW_BYTES = 16 * 1024 * 1024
GIVE_UP_BYTES = 64 * 1024 * 1024

ITEM_COST_BYTES = 1024
"""What a message is taken to cost beside its text: so much as it waits, three times that in a handler."""


class Flow:
    """Counts what is undone, and sets the pace of reading."""

    def __init__(
        self,
        is_awaiting: Callable[[], bool],
        set_pace: Callable[[Pace], None],
        give_up_awaiting: Callable[[int], None],
    ) -> None:
        """`is_awaiting`: whether anything is awaited that comes from the sidecar. `give_up_awaiting`: lets
        all of that fail; gets the bytes that are undone."""
        self._is_awaiting = is_awaiting
        self._set_pace = set_pace
        self._give_up_awaiting = give_up_awaiting
        self._undone_bytes = 0
        self._pace = Pace.FULL

    @property
    def is_paused(self) -> bool:
        return self._pace is Pace.PAUSED

    def add(self, size: int) -> None:
        """A line of `size` bytes waits to be done with."""
        self._undone_bytes += size + ITEM_COST_BYTES
        if self._undone_bytes >= PAUSE_BYTES:
            self.adjust()

    def remove(self, size: int) -> None:
        """It is done with."""
        self._undone_bytes -= size + ITEM_COST_BYTES
        if self._pace is not Pace.FULL:
            self.adjust()

    def adjust(self) -> None:
        """Sets the pace as things stand; to be called when something begins to be awaited."""
        if self._undone_bytes >= GIVE_UP_BYTES and self._is_awaiting():
            self._give_up_awaiting(self._undone_bytes)
        pace = self._due_pace()
        if pace is not self._pace:
            self._pace = pace
            self._set_pace(pace)

    def _due_pace(self) -> Pace:
        if self._is_awaiting() and self._undone_bytes < GIVE_UP_BYTES:
            return Pace.FULL if self._undone_bytes < SLOW_BYTES else Pace.SLOW
        # Once below its half only, so that it does not begin and end with each message.
        limit = PAUSE_BYTES if self._pace is Pace.FULL else PAUSE_BYTES // 2
        return Pace.FULL if self._undone_bytes < limit else Pace.PAUSED

    def reconnected(self) -> None:
        """There is a new connection, which is read at full pace so far."""
        if self._pace is not Pace.FULL:
            self._set_pace(self._pace)
