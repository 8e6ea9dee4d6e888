"""JSON lines over the sidecar's socket, of any length."""

from __future__ import annotations

import asyncio
import enum
import json
from typing import Any, Callable, List, Mapping, Optional, cast

WRITE_BATCH_BYTES = 64 * 1024
"""Lines that wait for the end of a turn of the event loop do not wait for more than so much."""

READ_BUFFER_BYTES = 64 * 1024

SLOW_READ_SECONDS = 0.025
"""From one reading of a buffer to the next, at the slow pace: 2.5 MiB/s."""

_encoder = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":"))
_decoder = json.JSONDecoder()


def encode(value: Mapping[str, Any]) -> bytes:
    """A JSON object as a line. Raises `ValueError` or `TypeError` for what is no JSON, NaN included.

    Half of a surrogate pair, which `decode` takes from others, has no UTF-8: it is written as the escape that
    it came as.
    """
    return _encoder.encode(value).encode(errors="backslashreplace") + b"\n"


def decode(line: bytes) -> Any:
    """The JSON value of a line. Raises `ValueError` or `RecursionError` for what can't be read."""
    return _decoder.decode(line.decode())


class Pace(enum.Enum):
    """How fast a connection is read."""

    FULL = enum.auto()
    SLOW = enum.auto()
    PAUSED = enum.auto()


class LineConnection(asyncio.BufferedProtocol):
    """One connection to a sidecar. `on_line` is called with each line, in order, without its end.

    `on_lost` is called with this connection when it is over, after the last line.

    It brings its own buffer: asyncio would have a new one of 256 KiB for each reading, most of a message's
    whole time here.
    """

    def __init__(
        self,
        on_line: Callable[[bytes], None],
        on_lost: Callable[["LineConnection"], None],
    ) -> None:
        self._on_line = on_line
        self._on_lost = on_lost
        self._loop = asyncio.get_running_loop()
        self._transport: Optional[asyncio.Transport] = None
        self._read_buffer = memoryview(bytearray(READ_BUFFER_BYTES))
        self._line_parts: List[bytes] = []
        self._pace = Pace.FULL
        self._unsent: List[bytes] = []
        self._unsent_bytes = 0
        self._has_written = False
        self._owes_a_turn = False
        self._writable = asyncio.Event()
        self._writable.set()

    def write(self, line: bytes) -> None:
        """Sends a line: the first since something was read at once, those that follow it together after
        the turn of the event loop. Follow it with `drain`.
        """
        if not self._has_written and not self._unsent:
            self._has_written = True
            if self._transport is not None:
                self._transport.write(line)
            return
        if not self._unsent:
            self._loop.call_soon(self._end_turn)
        self._unsent.append(line)
        self._unsent_bytes += len(line)
        if self._unsent_bytes >= WRITE_BATCH_BYTES:
            self.flush()
            self._owes_a_turn = True

    @property
    def is_writable(self) -> bool:
        """Whether the sidecar takes more."""
        return self._writable.is_set()

    async def drain(self) -> None:
        """Waits until the sidecar takes more, and lets others have their turn now and then."""
        if not self._writable.is_set():
            await self._writable.wait()
        elif self._owes_a_turn:
            self._owes_a_turn = False
            await asyncio.sleep(0)

    def _end_turn(self) -> None:
        self._has_written = False
        self.flush()

    def flush(self) -> None:
        """Hands over what was written to the system."""
        if self._unsent and self._transport is not None:
            self._transport.write(b"".join(self._unsent))
        self._unsent.clear()
        self._unsent_bytes = 0

    def close(self) -> None:
        """Ends the connection, after what was written."""
        self.flush()
        if self._transport is not None:
            self._transport.close()

    def set_pace(self, pace: Pace) -> None:
        """What has been read into the buffer already goes to `on_line` in any case."""
        self._pace = pace
        if self._transport is None:
            return
        if pace is Pace.PAUSED:
            self._transport.pause_reading()
        else:
            self._transport.resume_reading()

    def _rest(self) -> None:
        """Pauses reading for a moment."""
        if self._transport is not None:
            self._transport.pause_reading()
            self._loop.call_later(SLOW_READ_SECONDS, self._read_on)

    def _read_on(self) -> None:
        if self._transport is not None and self._pace is not Pace.PAUSED:
            self._transport.resume_reading()

    # What asyncio calls.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # Other event loops have classes of their own.
        self._transport = cast(asyncio.Transport, transport)

    def get_buffer(self, sizehint: int) -> memoryview:
        return self._read_buffer

    def buffer_updated(self, nbytes: int) -> None:
        self._take(nbytes)
        if self._pace is Pace.SLOW:
            self._rest()

    def _take(self, nbytes: int) -> None:
        """Hands on the lines that end in what has been read."""
        self._has_written = False
        first, *others = bytes(self._read_buffer[:nbytes]).split(b"\n")
        self._line_parts.append(first)
        if not others:
            return
        self._on_line(b"".join(self._line_parts))
        self._line_parts = [others.pop()]
        for line in others:
            self._on_line(line)

    def connection_lost(self, exc: Optional[Exception]) -> None:
        self._transport = None
        self._writable.set()
        self._on_lost(self)

    def pause_writing(self) -> None:
        self._writable.clear()

    def resume_writing(self) -> None:
        self._writable.set()
