"""The sidecar's process: spawned, watched, and ended whatever happens to the agent."""

from __future__ import annotations

import asyncio
import atexit
import glob
import logging
import os
import signal
import socket
import subprocess
import threading
import time
from collections import deque
from typing import Deque, Mapping, Optional, Set

from .cancelling import within
from .errors import NotRunning, StartFailed
from .log_file import LogFile

STOP_SECONDS = 5.0
"""A sidecar that has not ended so long after SIGTERM is killed."""

LOG_LINES = 30
"""Lines of the sidecar's log that errors quote."""

LOG_LINE_BYTES = 4096

LOG_END_SECONDS = 0.2
"""How long the end of the log is awaited when the sidecar has ended; another may hold it open."""

GROUP_POLL_SECONDS = 0.02

log = logging.getLogger("chatixia_client.sidecar")


class SidecarProcess:
    """A sidecar that this process has spawned. Its log goes to the logger `chatixia_client.sidecar`.

    It has a session of its own, so that Ctrl-C in a terminal reaches the agent only, which then ends the
    sidecar in good order. What is spawned may be a script that runs the sidecar as its child, and so all of
    its process group is ended.
    """

    def __init__(
        self,
        binary: str,
        environment: Mapping[str, str],
        log_file: Optional[str] = None,
        stdio: Optional[socket.socket] = None,
    ) -> None:
        """Spawns it; to be called where an event loop runs. Raises `StartFailed` if the system refuses.

        With a `log_file` all that it logs is appended there as well. `stdio` is its end of a socket pair, which
        becomes its standard input and output; without it its agent is awaited on its socket.
        """
        if is_exiting():
            raise NotRunning("the interpreter is about to exit: no sidecar is spawned any more")
        self._log_file = None if log_file is None else LogFile.open(log_file)
        log_descriptor = subprocess.DEVNULL if self._log_file is None else self._log_file.descriptor
        try:
            self._process = subprocess.Popen(
                [binary] if stdio is None else [binary, "--stdio"],
                env=dict(environment),
                stdin=subprocess.DEVNULL if stdio is None else stdio.fileno(),
                stdout=log_descriptor if stdio is None else stdio.fileno(),
                stderr=subprocess.PIPE,
                start_new_session=True,
            )
        except OSError as error:
            if self._log_file is not None:
                self._log_file.close()
            raise StartFailed(f"{binary} can't be run: {error}") from error
        self.exited = asyncio.Event()
        self._loop = asyncio.get_running_loop()
        self._owner = os.getpid()
        self._tail: Deque[str] = deque(maxlen=LOG_LINES)
        self._log_ended = threading.Event()
        self._is_gone = threading.Event()
        self._is_over = threading.Event()
        _running.add(self)
        try:
            for name, work in (("log", self._read_log), ("end", self._watch)):
                threading.Thread(target=work, name=f"chatixia-sidecar-{name}", daemon=True).start()
        except RuntimeError as error:
            self.kill()
            _running.discard(self)
            raise StartFailed(f"the sidecar can't be watched, and was ended: {error}") from error

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
            state = f"it was ended by {_signal_name(-code)}"
        else:
            state = f"it ended with exit code {code}"
        written = "\n".join(self._tail) or "(nothing)"
        return f"{state}; its log:\n{written}"

    def terminate(self) -> None:
        """Asks it to end."""
        self._signal(signal.SIGTERM)

    def kill(self) -> None:
        """Ends it at once."""
        self._signal(signal.SIGKILL)

    async def stop(self) -> None:
        """Ends it: SIGTERM, and SIGKILL after `STOP_SECONDS`, or at once if this is cancelled."""
        self.terminate()
        try:
            await within(STOP_SECONDS, self.exited.wait())
        except asyncio.TimeoutError:
            log.warning("the sidecar %d did not end within %g s and is killed", self.pid, STOP_SECONDS)
            self.kill()
            await self.exited.wait()
        except asyncio.CancelledError:
            self.kill()
            raise

    def _watch(self) -> None:
        """On a thread of its own: awaits the end of the process, and of what it leaves in its group."""
        self._process.wait()
        self._end_group()
        self._log_ended.wait(LOG_END_SECONDS)
        self._is_over.set()
        _running.discard(self)
        try:
            self._loop.call_soon_threadsafe(self.exited.set)
        except RuntimeError:
            pass  # The loop is closed, so nobody waits.

    def _end_group(self) -> None:
        deadline = time.monotonic() + STOP_SECONDS
        self._signal(signal.SIGTERM)
        while self._signal(0) and _has_living(self.pid):
            if time.monotonic() > deadline:
                self.kill()
                break
            time.sleep(GROUP_POLL_SECONDS)
        self._is_gone.set()

    def _signal(self, number: int) -> bool:
        """To its group, unless this is a forked child: the sidecar is its parent's. Whether there is any."""
        # The group keeps its number as long as it has a process; then another may come to have it.
        if not self.is_ours or self._is_gone.is_set():
            return False
        try:
            os.killpg(self.pid, number)
        except (ProcessLookupError, PermissionError):
            return False
        return True

    def _read_log(self) -> None:
        """On a thread of its own, for as long as anybody holds it open."""
        stderr = self._process.stderr
        assert stderr is not None
        with stderr:
            for line in iter(lambda: stderr.readline(LOG_LINE_BYTES), b""):
                if self._log_file is not None:
                    self._log_file.append(line)
                text = line.decode(errors="replace").rstrip()
                self._tail.append(text)
                log.info("%s", text)
        if self._log_file is not None:
            self._log_file.close()
        self._log_ended.set()

    def _end_now(self, deadline: float) -> None:
        """Without an event loop: waits until `deadline` (monotonic) for it to end, then kills it."""
        if not self._is_over.wait(max(0.0, deadline - time.monotonic())):
            self.kill()


def _has_living(group: int) -> bool:
    """Whether a process group that is there has a process that has not ended. One that has, and that nobody
    reaps, stays in its group for ever. Only Linux shows it; elsewhere all count as living."""
    processes = glob.glob("/proc/[0-9]*/stat")
    return not processes or any(_lives_in(group, process) for process in processes)


def _lives_in(group: int, process: str) -> bool:
    try:
        with open(process, "rb") as file:
            # The name, in parentheses, may have anything in it.
            state, _parent, of_group = file.read().rpartition(b")")[2].split()[:3]
    except OSError:
        return False
    return int(of_group) == group and state not in (b"Z", b"X")


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        # Only the first and the last of the real-time signals have names.
        return f"signal {number}"


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
