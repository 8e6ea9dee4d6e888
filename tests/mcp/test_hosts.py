"""Hosts on the SDKs of others, old and new, in each revision that they know, and the Inspector's command line.

`install` puts what they need into MCP_TOOLS. `SHOW=1` prints a transcript.
"""

import json
import os
import subprocess
import sys
import unittest

from support import BINARY, DEADLINE, Registry, environment

TOOLS = os.environ["MCP_TOOLS"]
HOSTS = os.path.join(os.path.dirname(os.path.abspath(__file__)), "hosts")

SESSIONS = ["2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25"]
ALL = [*SESSIONS, "2026-07-28"]

# The SDKs: how a host on each is started, and which revisions it knows.
SDKS = {
    "python 2": ([f"{TOOLS}/python-new/bin/python", f"{HOSTS}/python_new.py"], ALL),
    "python 1": ([f"{TOOLS}/python-old/bin/python", f"{HOSTS}/python_old.py"], SESSIONS),
    "node client 2": (["node", f"{HOSTS}/node.mjs", "new"], ALL),
    "node sdk 1": (["node", f"{HOSTS}/node.mjs", "old"], SESSIONS),
}


def show(*words):
    if os.environ.get("SHOW"):
        print(*words, file=sys.stderr)


class Host:
    """A host on an SDK."""

    def __init__(self, registry, sdk, revision, key):
        command, _ = SDKS[sdk]
        settings = environment(registry, key, NODE_PACKAGES=f"{TOOLS}/node")
        self.name = f"{key} ({sdk}, {revision})"
        self.process = subprocess.Popen(
            [*command, revision, BINARY],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=settings,
            text=True,
        )

    def begin(self, do, **more):
        self.process.stdin.write(json.dumps({"do": do, **more}) + "\n")
        self.process.stdin.flush()

    def end(self):
        line = self.process.stdout.readline()
        assert line, f"{self.name} has ended"
        return json.loads(line)

    def do(self, do, **more):
        self.begin(do, **more)
        return self.end()

    def begin_call(self, tool, **arguments):
        show(f"> {self.name}: {tool} {json.dumps(arguments)}")
        self.begin("call", tool=tool, arguments=arguments)

    def end_call(self):
        result = self.end()
        show(f"< {self.name}: {result['text']}\n")
        return result

    def call(self, tool, **arguments):
        self.begin_call(tool, **arguments)
        return self.end_call()

    def stop(self):
        self.process.stdin.close()
        self.process.stdout.close()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


class Hosts(unittest.TestCase):
    def setUp(self):
        self.registry = Registry()
        self.addCleanup(self.registry.stop)

    def host(self, sdk, revision, key):
        host = Host(self.registry, sdk, revision, key)
        self.addCleanup(host.stop)
        return host

    def converse(self, alice, bob):
        """Two hosts find each other, ask and answer. The first request starts a server's sidecar."""
        alice.do("tools")
        bob.do("tools")
        while '"bob": connected' not in alice.call("list_peers")["text"]:
            pass
        alice.begin_call("ask", peer="bob", text="Which colour has the sky?")
        inbox = bob.call("inbox", wait_seconds=20)
        self.assertIn("Which colour has the sky?", inbox["text"])
        self.assertIn('words of the peer "alice", another party', inbox["text"])
        handle = inbox["text"].split("Message ", 1)[1].split()[0]
        reply = bob.call("reply", handle=handle, text="Blue.")
        self.assertIn("Arrived", reply["text"])
        answer = alice.end_call()
        self.assertFalse(answer["failed"])
        self.assertIn("\nBlue.\n", answer["text"])
        failed = alice.call("send", peer="nobody", text="x")
        self.assertTrue(failed["failed"])
        self.assertIn("unknown_peer", failed["text"])
        return inbox, answer

    def test_each_sdk_in_each_revision(self):
        for sdk, (_, revisions) in SDKS.items():
            for revision in revisions:
                with self.subTest(sdk=sdk, revision=revision):
                    self.speaks(sdk, revision)
                    print(f"{sdk}, {revision}: ok", file=sys.stderr)

    def speaks(self, sdk, revision):
        alice, bob = (Host(self.registry, sdk, revision, key) for key in ("alice", "bob"))
        try:
            self.assertEqual(alice.do("revision"), revision)
            self.assertIn("ask", alice.do("tools"))
            inbox, answer = self.converse(alice, bob)
            # The SDKs check it against its schema.
            has_structure = revision >= "2025-06-18"
            self.assertEqual(inbox["structured"] is not None, has_structure)
            if has_structure:
                self.assertEqual(answer["structured"]["answer"], {"text": "Blue."})
                for tool in ("status", "list_peers", "broadcast", "inbox"):
                    arguments = {"text": "all"} if tool == "broadcast" else {}
                    self.assertFalse(alice.call(tool, **arguments)["failed"], tool)
            bob.call("inbox")
            bob.begin("await_update")
            self.assertEqual(bob.end(), "listening")
            alice.call("send", peer="bob", text="news")
            self.assertEqual(bob.end(), "told")
            self.assertIn("\nnews\n", bob.do("read"))
            # A call that waits is told how it goes, and can be given up.
            late = alice.call("ask", peer="bob", text="?", timeout_seconds=3)
            self.assertTrue(late["failed"])
            self.assertGreaterEqual(late["progress"], 1)
            alice.do("cancel", tool="inbox", arguments={"wait_seconds": 60})
            self.assertFalse(alice.call("inbox")["failed"])
        finally:
            alice.stop()
            bob.stop()

    def test_hosts_of_different_makes(self):
        pairs = [
            (("python 2", "2026-07-28"), ("node sdk 1", "2025-11-25")),
            (("python 1", "2024-11-05"), ("node client 2", "2026-07-28")),
        ]
        for (one, one_revision), (other, other_revision) in pairs:
            with self.subTest(one=one, other=other):
                alice = Host(self.registry, one, one_revision, "alice")
                bob = Host(self.registry, other, other_revision, "bob")
                try:
                    self.converse(alice, bob)
                finally:
                    alice.stop()
                    bob.stop()

    def test_the_inspector(self):
        def inspect(*arguments):
            command = [f"{TOOLS}/node/node_modules/.bin/mcp-inspector", "--cli", BINARY, "mcp", *arguments]
            settings = environment(self.registry, "alice")
            passed = [flag for name, value in settings.items() for flag in ("-e", f"{name}={value}")]
            done = subprocess.run(
                [*command, *passed],
                env={**os.environ, "HOME": TOOLS},
                capture_output=True,
                text=True,
                timeout=DEADLINE,
            )
            self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
            return json.loads(done.stdout)

        if not os.path.exists(f"{TOOLS}/node/node_modules/.bin/mcp-inspector"):
            self.skipTest("the Inspector is not installed")
        tools = inspect("--method", "tools/list")["tools"]
        self.assertEqual(len(tools), 7)
        called = inspect("--method", "tools/call", "--tool-name", "list_peers")
        self.assertEqual(called["structuredContent"]["own_name"], "alice")
        resources = inspect("--method", "resources/list")["resources"]
        self.assertEqual(resources[0]["uri"], "mesh://inbox")


if __name__ == "__main__":
    unittest.main()
