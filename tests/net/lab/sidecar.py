"""A sidecar on a host, and its agent."""

import itertools
import json
import os
import queue
import signal
import socket
import threading
import time

from . import binary
from .isolation import STATE

START_SECONDS = 10
ANSWER_SECONDS = 10
STOP_SECONDS = 5

LOG_FILTER = os.environ.get("SIDECAR_LOG", "info")
"""The sidecars' RUST_LOG."""

LOG_DIRECTORY = os.path.abspath(os.environ.get("LOG_DIRECTORY", STATE))
"""Where their logs are written."""

GONE = (None, None)
"""In place of an event: there will be no more."""


class Missing(AssertionError):
    """An event did not come in time."""


class Sidecar:
    """The process, and the agent's end of its socket. Each event is kept with its time of arrival, but for those that
    a listener in `listeners` takes: it is given time and event, and returns whether the event is its own."""

    numbers = itertools.count(1)

    def __init__(self, host, name, settings, launcher=()):
        """`launcher`: the command that runs it, if it is not to run by itself."""
        number = next(self.numbers)
        self.peer_id = f"{name}-{number}"
        self.commands = itertools.count(1)
        self.path = os.path.join(STATE, f"{number}.sock")
        self.log = os.path.join(LOG_DIRECTORY, f"{self.peer_id}.log")
        environment = {
            "PATH": os.environ["PATH"],
            "IPC_SOCKET": self.path,
            "API_KEY": self.peer_id,
            "RUST_LOG": LOG_FILTER,
            **settings,
        }
        with open(self.log, "wb") as log:
            self.started = time.monotonic()
            self.process = host.spawn([*launcher, binary.PATH], env=environment, stdout=log, stderr=log)
        self.events = queue.SimpleQueue()
        self.kept = []
        self.listeners = []
        self.writing = threading.Lock()
        self.conversation = threading.Thread(target=self.converse, daemon=True)
        self.conversation.start()

    def converse(self):
        """Connects as soon as there is a socket, and reads what it says."""
        self.stream = socket.socket(socket.AF_UNIX)
        deadline = self.started + START_SECONDS
        while self.stream.connect_ex(self.path) != 0:
            if self.process.poll() is not None or time.monotonic() > deadline:
                self.events.put(GONE)
                return
            time.sleep(0.001)
        with self.stream.makefile("rb") as lines:
            for line in lines:
                moment, event = time.monotonic(), json.loads(line)
                if not any(takes(moment, event) for takes in self.listeners):
                    self.events.put((moment, event))
        self.events.put(GONE)

    def until(self, wanted, seconds, purpose):
        """The first event that is wanted, of those that were not returned before, and its time."""
        deadline = time.monotonic() + seconds
        for index, (moment, event) in enumerate(self.kept):
            if wanted(event):
                del self.kept[index]
                return moment, event
        while True:
            try:
                moment, event = self.events.get(timeout=max(0, deadline - time.monotonic()))
            except queue.Empty:
                raise Missing(f"{self.peer_id}: no {purpose} in time") from None
            if event is None:
                self.events.put(GONE)
                raise Missing(f"{self.peer_id} went away before {purpose}")
            if wanted(event):
                return moment, event
            self.kept.append((moment, event))

    def until_peer(self, kind, peer, seconds):
        """The time of an event of this kind about this peer."""

        def wanted(event):
            return event["type"] == kind and event["payload"]["peer_id"] == peer.peer_id

        return self.until(wanted, seconds, f"{kind} of {peer.peer_id}")[0]

    def until_registered(self, seconds):
        """Waits for the registry's word that has not been waited for, and returns its time."""

        def wanted(event):
            return (
                event["type"] == "registry" and event["payload"]["state"] == "connected"
                or event["type"] == "ready" and event["payload"]["registry"] == "connected"
            )

        return self.until(wanted, seconds, "registry")[0]

    def messages_from(self, peer, count, seconds):
        """The next so many messages of a peer, in the order of their arrival."""

        def wanted(event):
            return event["type"] == "message" and event["payload"]["from_peer"] == peer.peer_id

        deadline = time.monotonic() + seconds
        messages = []
        for number in range(count):
            purpose = f"message {number + 1} of {count} of {peer.peer_id}"
            _, event = self.until(wanted, max(0, deadline - time.monotonic()), purpose)
            messages.append(event["payload"]["message"])
        return messages

    def ask(self, kind, payload=None, seconds=ANSWER_SECONDS):
        """Gives a command and returns its answer."""
        number = next(self.commands)
        self.tell(kind, payload or {}, id=number)
        return self.until(lambda event: event.get("id") == number, seconds, f"answer to {kind}")[1]

    def send(self, peer, message):
        """Gives a message for a peer, without asking for a receipt."""
        self.tell("send", {"target_peer": peer.peer_id, "message": message})

    def tell(self, kind, payload, **more):
        self.write(json.dumps({"type": kind, "payload": payload, **more}))

    def write(self, line):
        """Writes a line; blocks while the sidecar takes none."""
        with self.writing:
            self.stream.sendall(line.encode() + b"\n")

    def heard_so_far(self, kind):
        """The payloads of all events of a kind that no test has taken."""
        while not self.events.empty():
            found = self.events.get()
            if found == GONE:
                self.events.put(GONE)
                break
            self.kept.append(found)
        return [event["payload"] for _, event in self.kept if event["type"] == kind]

    def ends_of_path_to(self, peer):
        """The kinds of the two ends of the path to a peer, local and remote: `host`, `srflx`, `prflx`
        or `relay`; None while there is no path."""
        path = self.statistics_of(peer).get("path")
        return (path["local"]["kind"], path["remote"]["kind"]) if path else None

    def restarts_of(self, peer):
        """How often the connection to a peer was replaced."""
        return self.statistics_of(peer).get("restarts", 0)

    def statistics_of(self, peer):
        """What `stats` tells of a peer; nothing of one that is not known."""
        peers = self.ask("stats")["payload"]["peers"]
        return next((found for found in peers if found["peer_id"] == peer.peer_id), {})

    def log_lines(self):
        with open(self.log, encoding="utf-8", errors="replace") as file:
            return file.read().splitlines()

    def account(self):
        """What it has said lately, for the reader of a failure."""
        events = ", ".join(event["type"] for _, event in self.kept[-10:]) or "none"
        return "\n".join([f"{self.peer_id}: unused events: {events}; log:", *self.log_lines()[-30:]])

    def stop(self):
        """Ends it as an agent does."""
        self.process.send_signal(signal.SIGTERM)
        code = self.process.wait(STOP_SECONDS)
        self.close()
        if code != 0:
            raise AssertionError(f"{self.peer_id} ended with {code}")

    def kill(self):
        """Ends it if it still runs."""
        self.process.kill()
        self.process.wait()
        self.close()

    def close(self):
        self.conversation.join()
        self.stream.close()
