#!/usr/bin/env python3
"""Plays a person who watches `top` on a terminal: `watch.py COLUMNSxROWS... -- COMMAND...`.

Takes on one size after the other, waits each time until the screen was made anew, then ends it: by the key that END
names (`q`, `ctrl-c`) or by a signal (`term`). Prints a JSON object: the screens, and how the terminal was left.
"""

import fcntl
import json
import os
import pty
import select
import signal
import struct
import sys
import termios
import time

PATIENCE = 20
ENTER, LEAVE = b"\x1b[?1049h", b"\x1b[?1049l"


def set_size(terminal, size):
    columns, rows = map(int, size.split("x"))
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))


def read_until(terminal, is_enough):
    """What the program writes until that is enough, or until it has ended."""
    written, deadline = b"", time.monotonic() + PATIENCE
    while not is_enough(written):
        if not select.select([terminal], [], [], max(0, deadline - time.monotonic()))[0]:
            raise SystemExit(f"nothing more came after {written!r}")
        try:
            piece = os.read(terminal, 65536)
        except OSError:
            break
        if not piece:
            break
        written += piece
    return written


def screens(written):
    return [screen for screen in written.split(b"\x1b[H") if screen.endswith(b"\x1b[J")]


def main():
    middle = sys.argv.index("--")
    sizes, command = sys.argv[1:middle], sys.argv[middle + 1 :]
    ours, theirs = pty.openpty()
    set_size(ours, sizes[0])
    before = termios.tcgetattr(theirs)
    child = os.fork()
    if child == 0:
        os.setsid()
        fcntl.ioctl(theirs, termios.TIOCSCTTY, 0)
        for descriptor in range(3):
            os.dup2(theirs, descriptor)
        os.close(ours)
        os.execvp(command[0], command)
    seen, raw = [], b""
    # The first screen has no rates yet.
    for size in [sizes[0], *sizes]:
        if seen:
            set_size(ours, size)
        written = read_until(ours, screens)
        raw += written
        seen.append(screens(written)[-1].decode())
    during = termios.tcgetattr(theirs)
    end = os.environ.get("END", "q")
    if end == "term":
        os.kill(child, signal.SIGTERM)
    else:
        os.write(ours, {"q": b"q", "ctrl-c": b"\x03"}[end])
    raw += read_until(ours, lambda written: LEAVE in written)
    status = os.waitpid(child, 0)[1]
    after = termios.tcgetattr(theirs)
    print(
        json.dumps(
            {
                "screens": seen,
                "status": os.waitstatus_to_exitcode(status),
                "entered": ENTER in raw,
                "left": raw.rstrip().endswith(LEAVE),
                "changed": during[3] != before[3],
                "restored": after == before,
            }
        )
    )


if __name__ == "__main__":
    main()
