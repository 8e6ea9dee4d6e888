"""Support for the tests of `chatixia-sidecar mcp`: a registry, and a host that writes and reads the lines itself."""

import json
import os
import queue
import subprocess
import tempfile
import threading
import time

BINARY = os.path.realpath(os.environ["SIDECAR_BINARY"])

DEADLINE = 60
"""Seconds; longer than anything here takes, so that a test that waits in vain fails."""

VERSION = "io.modelcontextprotocol/protocolVersion"
CAPABILITIES = "io.modelcontextprotocol/clientCapabilities"


def environment(registry, key, **more):
    """What a sidecar of this name is started with, if it has one. Nothing of the machine's own settings."""
    return {
        "PATH": os.environ["PATH"],
        "HOME": "/nonexistent",
        "REGISTRY_URL": f"http://127.0.0.1:{registry.port}",
        "INTERFACES": "lo",
        "RUST_LOG": "warn",
        **({} if key is None else {"API_KEY": key}),
        **more,
    }


class Registry:
    """A registry that lets everybody in."""

    def __init__(self, port=0):
        command = [BINARY, "registry", "--open", "--port", str(port)]
        environment = {"PATH": os.environ["PATH"], "RUST_LOG": "warn"}
        self.process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=environment
        )
        self.port = int(self.process.stdout.readline().split()[-1].rsplit(b":", 1)[-1])

    def stop(self):
        self.process.kill()
        self.process.wait()
        self.process.stdout.close()


class Host:
    """A host on a server of its own, which has a sidecar of its own."""

    def __init__(self, registry, key, arguments=(), **more):
        self.log = tempfile.TemporaryFile()
        self.process = subprocess.Popen(
            [BINARY, "mcp", *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self.log,
            env=environment(registry, key, **more),
        )
        self.lines = queue.Queue()
        self.others = []
        self.last_id = 0
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self):
        for line in self.process.stdout:
            self.lines.put(line)
        self.lines.put(None)

    def write(self, line):
        self.process.stdin.write(line)
        self.process.stdin.flush()

    def read(self, wait=DEADLINE):
        """The next line; `None` at the end. Each has to be JSON."""
        line = self.lines.get(timeout=wait)
        if line is None:
            return None
        assert line.endswith(b"\n"), line
        return json.loads(line)

    def begin(self, method, **params):
        """Sends a stateless request; its id."""
        meta = {VERSION: "2026-07-28", CAPABILITIES: {}, **params.pop("_meta", {})}
        self.last_id += 1
        message = {"jsonrpc": "2.0", "id": self.last_id, "method": method, "params": {"_meta": meta, **params}}
        self.write(json.dumps(message).encode() + b"\n")
        return self.last_id

    def answer(self, request, wait=DEADLINE):
        """The answer to a request. What comes before it goes to `others`."""
        kept = [line for line in self.others if line.get("id") == request]
        if kept:
            self.others.remove(kept[0])
            return kept[0]
        deadline = time.monotonic() + wait
        while True:
            line = self.read(deadline - time.monotonic())
            assert line is not None, "the server has ended"
            if line.get("id") == request:
                return line
            self.others.append(line)

    def begin_call(self, tool, **arguments):
        meta = arguments.pop("_meta", {})
        return self.begin("tools/call", name=tool, arguments=arguments, _meta=meta)

    def result(self, request):
        """The structured result of a call, which has to succeed."""
        result = self.answer(request)["result"]
        assert not result.get("isError"), result
        return result["structuredContent"]

    def failure(self, request):
        result = self.answer(request)["result"]
        assert result.get("isError"), result
        return result["content"][0]["text"]

    def call(self, tool, **arguments):
        return self.result(self.begin_call(tool, **arguments))

    def wait_for_peer(self, peer):
        deadline = time.monotonic() + DEADLINE
        while peer not in [each["peer"] for each in self.call("list_peers")["connected"]]:
            assert time.monotonic() < deadline, f"{peer} does not come"

    def sidecar(self):
        """The process id of its sidecar."""
        children = f"/proc/{self.process.pid}/task/{self.process.pid}/children"
        deadline = time.monotonic() + DEADLINE
        while True:
            with open(children, encoding="ascii") as file:
                found = file.read().split()
            if found:
                return int(found[0])
            assert time.monotonic() < deadline, "there is no sidecar"

    def leave(self):
        """Closes the input; the exit code."""
        self.process.stdin.close()
        return self.process.wait(DEADLINE)

    def stop(self):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        for stream in (self.process.stdin, self.process.stdout):
            stream.close()
        self.log.close()

