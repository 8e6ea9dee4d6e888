"""Cables on which everything takes its time, made of two network interfaces in software and a program between them."""

import collections
import contextlib
import fcntl
import os
import struct
import threading
import time

from .namespaces import Namespace

DEVICE = "/dev/net/tun"
TUNSETIFF = 0x400454CA
IFF_TAP = 0x0002
IFF_NO_PI = 0x1000

FRAME_BYTES = 65536

ARP = b"\x08\x06"
"""The type of a frame that asks for a neighbour's address, or tells one."""


class DistantMachine(Namespace):
    """A machine whose cables take so many seconds, each way. `interfaces`: those that do, if not all."""

    def __init__(self, name, seconds, interfaces=None):
        super().__init__(name)
        self.seconds = seconds
        self.interfaces = interfaces

    def lay(self, interface, other, port):
        if self.interfaces is not None and interface not in self.interfaces:
            super().lay(interface, other, port)
            return
        near, far = open_tap(self, interface), open_tap(other, port)
        for source, sink in ((near, far), (far, near)):
            OneWay(source, sink, self.seconds)


def open_tap(machine, interface):
    """Makes an interface whose frames this program writes and reads."""
    with machine.entered():
        tap = os.open(DEVICE, os.O_RDWR)
        fcntl.ioctl(tap, TUNSETIFF, struct.pack("16sH", interface.encode(), IFF_TAP | IFF_NO_PI))
    return tap


class OneWay:
    """Carries frames from one interface to the other, in their order."""

    def __init__(self, source, sink, seconds):
        self.source = source
        self.sink = sink
        self.seconds = seconds
        self.under_way = collections.deque()
        self.more = threading.Semaphore(0)
        for work in (self.take, self.deliver):
            threading.Thread(target=work, daemon=True).start()

    def take(self):
        """Ends when the interface is taken away."""
        while frame := self.next_frame():
            # The delay stands for the path behind the next machine, which answers this itself, and at once.
            if frame[12:14] == ARP:
                os.write(self.sink, frame)
                continue
            self.under_way.append((time.monotonic() + self.seconds, frame))
            self.more.release()

    def next_frame(self):
        with contextlib.suppress(OSError):
            return os.read(self.source, FRAME_BYTES)
        os.close(self.source)
        return None

    def deliver(self):
        while True:
            self.more.acquire()
            due, frame = self.under_way.popleft()
            time.sleep(max(0, due - time.monotonic()))
            with contextlib.suppress(OSError):
                os.write(self.sink, frame)
