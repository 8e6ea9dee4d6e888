"""A sidecar as a process, and its agent, which sends at random and takes what comes."""

import contextlib
import json
import os
import pathlib
import random
import signal
import socket
import subprocess
import threading
import time

BINARY = os.path.abspath(os.environ["SIDECAR_BINARY"])
# Longer than a sidecar takes to make its socket.
PATIENCE = 30
# Commands of one agent that may be unanswered; it waits when there are so many.
UNANSWERED = 100
SIZES = [20] * 10 + [1_000] * 6 + [10_000] * 3 + [60_000, 200_000]


class Node:
    def __init__(self, name, directory, registry_port, settings, account, seed):
        self.name = name
        self.account = account
        self.socket = os.path.join(directory, name)
        self.log = os.path.join(directory, f"{name}.log")
        self.environment = {
            "PATH": os.environ["PATH"],
            "IPC_SOCKET": self.socket,
            "API_KEY": name,
            "SIGNALING_URL": f"ws://127.0.0.1:{registry_port}/ws",
            "TOKEN_URL": f"http://127.0.0.1:{registry_port}/api/token",
            "ENV_FILE": "none",
            "AGENT_LINGER": "inf",
            **settings,
        }
        self.random = random.Random(seed)
        self.others = []
        self.processes = 0
        self.process = None
        self.agent = None
        self.delay = 0.0
        self.is_sending = False

    def start(self):
        self.processes += 1
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen([BINARY], env=self.environment, stderr=log, stdin=subprocess.DEVNULL)
        self.arrive()

    def is_running(self):
        return self.process is not None

    def end(self, how):
        """Ends the process by a signal; its agent notices at once."""
        process, self.process = self.process, None
        process.send_signal(how)
        process.wait(PATIENCE)
        self.leave()
        if how == signal.SIGKILL:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(self.socket)

    def arrive(self):
        """The agent comes."""
        deadline = time.monotonic() + PATIENCE
        stream = socket.socket(socket.AF_UNIX)
        while stream.connect_ex(self.socket) != 0:
            if time.monotonic() > deadline:
                raise AssertionError(f"{self.name} makes no socket; its log: {self.log}")
            time.sleep(0.01)
        self.agent = Agent(self, stream)

    def leave(self):
        """The agent goes without a word."""
        agent, self.agent = self.agent, None
        if agent:
            agent.close()
        self.account.leave(self.name)

    def memory(self):
        """Resident memory in bytes."""
        status = pathlib.Path(f"/proc/{self.process.pid}/status").read_text(encoding="ascii")
        line = next(line for line in status.splitlines() if line.startswith("VmRSS:"))
        return int(line.split()[1]) * 1024

    def open_files(self):
        return len(os.listdir(f"/proc/{self.process.pid}/fd"))


class Agent:
    """One connection of an agent: a thread that reads, and one that sends."""

    def __init__(self, node, stream):
        self.node = node
        self.stream = stream
        self.connected = set()
        self.pending = set()
        self.is_closed = False
        self.threads = [threading.Thread(target=work, daemon=True) for work in (self.read, self.send)]
        for thread in self.threads:
            thread.start()

    def close(self):
        self.is_closed = True
        with contextlib.suppress(OSError):
            self.stream.shutdown(socket.SHUT_RDWR)
        for thread in self.threads:
            thread.join(PATIENCE)
        self.stream.close()

    def read(self):
        with contextlib.suppress(OSError, ValueError), self.stream.makefile("rb") as lines:
            # To the end: what the socket has taken counts as delivered, so an agent reads it before it goes.
            for line in lines:
                if not line.endswith(b"\n"):
                    return
                self.take(json.loads(line))
                if self.node.delay and not self.is_closed:
                    time.sleep(self.node.delay)

    def take(self, event):
        kind, payload = event["type"], event["payload"]
        if kind == "message":
            self.node.account.deliver(int(payload["message"]["request_id"]), self.node.name)
        elif kind == "peer_connected":
            self.connected.add(payload["peer_id"])
        elif kind == "peer_disconnected":
            self.connected.discard(payload["peer_id"])
        elif kind in ("ok", "error") and "id" in event:
            self.pending.discard(event["id"])
            self.node.account.answer(event["id"], payload.get("code", "ok"))

    def send(self):
        node = self.node
        while not self.is_closed:
            if not node.is_sending or len(self.pending) >= UNANSWERED:
                time.sleep(0.02)
                continue
            target = node.random.choice(node.others)
            size = node.random.randrange(1, 2 * node.random.choice(SIZES))
            number = node.account.accept(node.name, node.processes, target, size)
            self.pending.add(number)
            message = {"type": "soak", "request_id": str(number), "payload": "x" * size}
            command = {"type": "send", "id": number, "payload": {"target_peer": target, "message": message}}
            try:
                self.stream.sendall(json.dumps(command).encode() + b"\n")
            except OSError:
                return
            time.sleep(node.random.random() * 0.05)
