"""The sidecar's process: spawned, watched, and ended whatever happens to the agent."""

from __future__ import annotations

import asyncio
import atexit
import logging
import os
import signal
import subprocess
import threading
import time
from collections import deque
from typing import IO, Deque, Mapping, Optional, Set

from .errors import NotRunning, StartFailed

STOP_SECONDS = 5.0
"""A sidecar that has not ended so long after SIGTERM is killed."""

LOG_LINES = 30
"""Lines of the sidecar's log that errors quote."""

LOG_LINE_BYTES = 4096

log = logging.getLogger("chatixia_client.sidecar")


class SidecarProcess:
    """A sidecar that this process has spawned. Its log goes to the logger `chatixia_client.sidecar`.

    It has a session of its own, so that Ctrl-C in a terminal reaches the agent only, which then ends the
    sidecar in good order.
    """

    def __init__(self, binary: str, environment: Mapping[str, str]) -> None:
        """Spawns it; to be called where an event loop runs. Raises `StartFailed` if the system refuses."""
        if is_exiting():
            raise NotRunning("the interpreter is about to exit: no sidecar is spawned any more")
        try:
            self._process = subprocess.Popen(
                [binary],
                env=dict(environment),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                start_new_session=True,
            )
        except OSError as error:
            raise StartFailed(f"{binary} can't be run: {error}") from error
        self.exited = asyncio.Event()
        self._loop = asyncio.get_running_loop()
        self._owner = os.getpid()
        self._tail: Deque[str] = deque(maxlen=LOG_LINES)
        _running.add(self)
        threading.Thread(target=self._watch, name="chatixia-sidecar-log", daemon=True).start()

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def is_ours(self) -> bool:
        return self._owner == os.getpid()

    @property
    def exit_code(self) -> Optional[int]:
        """None while it runs; negative: the signal that ended it."""
        return self._process.poll()

    def last_words(self) -> str:
        """How it has ended, or that it runs, and the end of its log."""
        code = self.exit_code
        if code is None:
            state = "it is running"
        elif code < 0:
            state = f"it was ended by {signal.Signals(-code).name}"
        else:
            state = f"it ended with exit code {code}"
        written = "\n".join(self._tail) or "(nothing)"
        return f"{state}; its log:\n{written}"

    def terminate(self) -> None:
        """Asks it to end, unless this is a forked child: the sidecar is its parent's."""
        if self.is_ours:
            self._process.terminate()

    async def stop(self) -> None:
        """Ends it: SIGTERM, and SIGKILL after `STOP_SECONDS`, or at once if this is cancelled."""
        self.terminate()
        try:
            await asyncio.wait_for(self.exited.wait(), STOP_SECONDS)
        except asyncio.TimeoutError:
            log.warning("the sidecar %d did not end within %g s and is killed", self.pid, STOP_SECONDS)
            self._process.kill()
            await self.exited.wait()
        except asyncio.CancelledError:
            self._process.kill()
            raise

    def _watch(self) -> None:
        """On a thread of its own: reads the log to its end, and then awaits the end of the process."""
        stderr = self._process.stderr
        if stderr is not None:
            self._read_log(stderr)
        self._process.wait()
        _running.discard(self)
        try:
            self._loop.call_soon_threadsafe(self.exited.set)
        except RuntimeError:
            pass  # The loop is closed, so nobody waits.

    def _read_log(self, stderr: IO[bytes]) -> None:
        with stderr:
            for line in iter(lambda: stderr.readline(LOG_LINE_BYTES), b""):
                text = line.decode(errors="replace").rstrip()
                self._tail.append(text)
                log.info("%s", text)

    def _end_now(self, deadline: float) -> None:
        """Without an event loop: waits until `deadline` (monotonic) for it to end, then kills it."""
        try:
            self._process.wait(max(0.0, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            self._process.kill()


_running: Set[SidecarProcess] = set()
_at_exit = threading.Event()


def is_exiting() -> bool:
    """Whether the interpreter is about to exit, which ends all sidecars."""
    return _at_exit.is_set()


@atexit.register
def _end_all() -> None:
    """No sidecar outlives the interpreter that spawned it."""
    _at_exit.set()
    ours = [process for process in list(_running) if process.is_ours]
    for process in ours:
        process.terminate()
    deadline = time.monotonic() + STOP_SECONDS
    for process in ours:
        process._end_now(deadline)
