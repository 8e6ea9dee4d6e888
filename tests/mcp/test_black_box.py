"""The real binary as an MCP server, driven by the lines that a host writes."""

import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import unittest

from support import BINARY, CAPABILITIES, DEADLINE, VERSION, Host, Registry, environment

CLIENT = os.path.join(os.path.dirname(__file__), "..", "..", "clients", "python", "src")


def initialize(revision):
    client = {"name": "test", "version": "0"}
    params = {"protocolVersion": revision, "capabilities": {}, "clientInfo": client}
    return {"jsonrpc": "2.0", "id": "begin", "method": "initialize", "params": params}


def message(method, identity=None, **params):
    line = {"jsonrpc": "2.0", "method": method, "params": params}
    return line if identity is None else {**line, "id": identity}


def stateless(method, identity, **params):
    return message(method, identity, _meta={VERSION: "2026-07-28", CAPABILITIES: {}}, **params)


# What a host may get wrong, and what it is answered with: the id, and the code of the error.
MALFORMED = [
    ("no JSON", b"hello\n", None, -32700),
    ("half an object", b'{"jsonrpc":"2.0","id":1,"method":"ping"\n', None, -32700),
    ("not UTF-8", b'{"jsonrpc":"2.0","id":1,"method":"\xff\xfe"}\n', None, -32700),
    ("a deep nest", b'{"jsonrpc":"2.0","id":1,"params":' + b"[" * 100_000 + b"\n", None, -32700),
    ("a number", b"7\n", None, -32600),
    ("an empty array", b"[]\n", None, -32600),
    ("an array without a session", b'[{"jsonrpc":"2.0","id":1,"method":"ping"}]\n', None, -32600),
    ("another version of JSON-RPC", b'{"jsonrpc":"1.0","id":1,"method":"ping"}\n', 1, -32600),
    ("no version of JSON-RPC", b'{"id":"a","method":"ping"}\n', "a", -32600),
    ("no method", b'{"jsonrpc":"2.0","id":1}\n', 1, -32600),
    ("a method that is a number", b'{"jsonrpc":"2.0","id":1,"method":1}\n', 1, -32600),
    ("an id that is null", b'{"jsonrpc":"2.0","id":null,"method":"ping"}\n', None, -32600),
    ("an id that is a fraction", b'{"jsonrpc":"2.0","id":1.5,"method":"ping"}\n', None, -32600),
    ("an id that is an object", b'{"jsonrpc":"2.0","id":{},"method":"ping"}\n', None, -32600),
    ("an id of 300 bytes", b'{"jsonrpc":"2.0","id":"' + b"i" * 300 + b'","method":"ping"}\n', None, -32600),
    ("parameters that are an array", b'{"jsonrpc":"2.0","id":1,"method":"ping","params":[]}\n', 1, -32602),
    ("parameters that are a text", b'{"jsonrpc":"2.0","id":1,"method":"ping","params":""}\n', 1, -32602),
    ("a line of 10 MB", b'{"jsonrpc":"2.0","id":5,"method":"ping","params":{"x":"' + b"x" * 10_000_000 + b'"}}\n', 5, -32600),
    ("10 MB without a beginning", b"x" * 10_000_000 + b"\n", None, -32600),
    ("no _meta", message("tools/list", 1), 1, -32602),
    ("an unknown revision", message("tools/list", 1, _meta={VERSION: "2030-01-01"}), 1, -32022),
    ("a revision that is a number", message("tools/list", 1, _meta={VERSION: 1}), 1, -32602),
    ("no capabilities", message("tools/list", 1, _meta={VERSION: "2026-07-28"}), 1, -32602),
    ("an unknown method", stateless("tools/make", 1), 1, -32601),
    ("a notification with an id", stateless("notifications/cancelled", 1), 1, -32601),
    ("a method of older revisions", stateless("ping", 1), 1, -32601),
    ("an unknown tool", stateless("tools/call", 1, name="shell"), 1, -32602),
    ("a tool without a name", stateless("tools/call", 1), 1, -32602),
    ("a tool's name that is a number", stateless("tools/call", 1, name=1), 1, -32602),
    ("arguments that are an array", stateless("tools/call", 1, name="ask", arguments=[]), 1, -32602),
    ("a cursor that was never given", stateless("tools/list", 1, cursor="x"), 1, -32602),
    ("an unknown resource", stateless("resources/read", 1, uri="file:///etc/passwd"), 1, -32602),
    ("a resource that is a number", stateless("resources/read", 1, uri=1), 1, -32602),
    ("a stream without a filter", stateless("subscriptions/listen", 1), 1, -32602),
    ("initialize without parameters", message("initialize", 1), 1, -32602),
    ("initialize of a number", message("initialize", 1, protocolVersion=1, capabilities={}, clientInfo={}), 1, -32602),
]

# What is answered by nothing, whatever is wrong with it.
SILENT = [
    ("a blank line", b"\n"),
    ("an unknown notification", message("notifications/what")),
    ("a request without an id", message("tools/list")),
    ("a cancellation of nothing", message("notifications/cancelled", requestId=99)),
    ("a cancellation without an id", message("notifications/cancelled")),
    ("an answer to nothing", {"jsonrpc": "2.0", "id": 3, "result": {}}),
    ("an error about nothing", {"jsonrpc": "2.0", "id": 3, "error": {"code": 1, "message": ""}}),
    ("a notification with an array", b'{"jsonrpc":"2.0","method":"x","params":[]}\n'),
]


class BlackBox(unittest.TestCase):
    def setUp(self):
        self.registry = Registry()
        self.addCleanup(self.registry.stop)

    def host(self, key, *arguments, **more):
        host = Host(self.registry, key, arguments, **more)
        self.addCleanup(host.stop)
        # As hosts do. The first request starts the sidecar.
        if "shell" not in arguments:
            host.answer(host.begin("tools/list"))
        return host

    def place(self):
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        return directory.name

    def test_what_is_malformed_gets_its_error_and_the_server_lives(self):
        host = self.host("alice")
        table = []
        for what, line, identity, code in MALFORMED:
            host.write(line if isinstance(line, bytes) else json.dumps(line).encode() + b"\n")
            answer = host.read()
            with self.subTest(what):
                self.assertEqual((answer["id"], answer["error"]["code"]), (identity, code), answer)
                self.assertEqual(answer["jsonrpc"], "2.0")
                self.assertIsInstance(answer["error"]["message"], str)
            table.append(f"{what}: {code}")
        for what, line in SILENT:
            host.write(line if isinstance(line, bytes) else json.dumps(line).encode() + b"\n")
            with self.subTest(what):
                self.assertEqual(host.call("inbox")["messages"], [])
                self.assertEqual(host.others, [])
        if os.environ.get("SHOW_TABLE"):
            print("\n".join(table), file=sys.stderr)
        host.write(b'{"jsonrpc":"2.0","id":1,"meth')
        host.process.stdin.close()
        self.assertEqual(host.read()["error"]["code"], -32700)
        self.assertIsNone(host.read())
        self.assertEqual(host.process.wait(DEADLINE), 0)

    def test_arrays_are_answered_in_the_revision_that_has_them(self):
        host = self.host("alice")
        host.write(json.dumps(initialize("2025-03-26")).encode() + b"\n")
        self.assertEqual(host.read()["result"]["protocolVersion"], "2025-03-26")
        batch = [message("ping", 1), message("notifications/x"), 7, message("tools/list", 2)]
        host.write(json.dumps(batch).encode() + b"\n")
        answers = {str(answer["id"]): answer for answer in host.read()}
        self.assertEqual(answers["1"]["result"], {})
        self.assertEqual(answers["None"]["error"]["code"], -32600)
        self.assertEqual(len(answers["2"]["result"]["tools"]), 7)

    def test_two_hosts_ask_each_other(self):
        alice, bob = self.host("alice"), self.host("bob")
        for asker, other, name in ((alice, bob, "bob"), (bob, alice, "alice")):
            asker.wait_for_peer(name)
            asked = asker.begin_call("ask", peer=name, text="how are you?", _meta={"progressToken": 7})
            [question] = other.call("inbox", wait_seconds=DEADLINE)["messages"]
            self.assertTrue(question["waits_for_reply"])
            self.assertTrue(question["untrusted"])
            self.assertEqual(question["payload"], {"text": "how are you?"})
            # It is told that its question has arrived, or that it still waits.
            told = asker.read()
            self.assertEqual(told["method"], "notifications/progress")
            self.assertEqual(told["params"]["progressToken"], 7)
            reply = other.call("reply", handle=question["handle"], text="well")
            self.assertEqual(reply["outcome"], "arrived")
            answer = asker.result(asked)
            self.assertEqual((answer["from_peer"], answer["answer"]), (name, {"text": "well"}))
        self.assertEqual(alice.call("broadcast", text="all")["delivered"], ["bob"])
        unknown = alice.failure(alice.begin_call("send", peer="nobody", text="x"))
        self.assertIn("unknown_peer", unknown)

    def test_a_host_that_listens_is_told_of_messages(self):
        alice, bob = self.host("alice"), self.host("bob")
        alice.wait_for_peer("bob")
        stream = bob.begin("subscriptions/listen", notifications={"resourceSubscriptions": ["mesh://inbox"]})
        self.assertEqual(bob.read()["method"], "notifications/subscriptions/acknowledged")
        alice.call("send", peer="bob", text="news")
        told = bob.read()
        self.assertEqual(told["method"], "notifications/resources/updated")
        self.assertEqual(told["params"]["_meta"]["io.modelcontextprotocol/subscriptionId"], stream)
        [content] = bob.answer(bob.begin("resources/read", uri="mesh://inbox"))["result"]["contents"]
        self.assertIn("\nnews\n", content["text"])
        self.assertEqual(bob.call("inbox")["messages"][0]["payload"], {"text": "news"})

    def test_a_python_agent_answers(self):
        script = os.path.join(self.place(), "agent.py")
        with open(script, "w", encoding="utf-8") as file:
            file.write(AGENT)
        agent = subprocess.Popen(
            [sys.executable, "-B", script],
            env={**environment(self.registry, "worker"), "PYTHONPATH": CLIENT, "SIDECAR_BINARY": BINARY},
        )
        self.addCleanup(agent.wait)
        self.addCleanup(agent.terminate)
        host = self.host("alice")
        host.wait_for_peer("worker")
        answer = host.call("ask", peer="worker", text="hello")
        self.assertEqual(answer["answer"], {"text": "HELLO"})
        failed = host.failure(host.begin_call("ask", peer="worker", text="fail"))
        self.assertIn("nothing to do", failed)
        # And it asks by itself.
        host.call("send", peer="worker", text="ask me", type="start")
        [question] = host.call("inbox", wait_seconds=DEADLINE)["messages"]
        host.call("reply", handle=question["handle"], text="blue")
        [told] = host.call("inbox", wait_seconds=DEADLINE)["messages"]
        self.assertEqual(told["payload"], {"heard": "blue"})

    def test_a_person_at_a_shell_answers(self):
        path = os.path.join(self.place(), "s.sock")
        sidecar = subprocess.Popen(
            [BINARY], env=environment(self.registry, "person", IPC_SOCKET=path, AGENT_LINGER="inf")
        )
        self.addCleanup(sidecar.wait)
        self.addCleanup(sidecar.kill)
        host = self.host("alice")
        host.wait_for_peer("person")
        person = subprocess.Popen([BINARY, "attach", path], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.addCleanup(person.wait)
        self.addCleanup(person.stdout.close)
        self.addCleanup(person.stdin.close)
        asked = host.begin_call("ask", peer="person", text="lunch?")
        for line in person.stdout:
            event = json.loads(line)
            if event["type"] == "message":
                break
        answer = {"type": "agent_response", "request_id": event["payload"]["message"]["request_id"], "payload": "yes"}
        command = {"type": "send", "payload": {"target_peer": "alice", "message": answer}}
        person.stdin.write(json.dumps(command).encode() + b"\n@alice and you?\n")
        person.stdin.flush()
        self.assertEqual(host.result(asked)["answer"], "yes")
        [question] = host.call("inbox", wait_seconds=DEADLINE)["messages"]
        self.assertEqual(question["payload"], {"text": "and you?"})

    def test_nothing_is_lost_while_the_host_does_not_ask(self):
        alice, bob = self.host("alice", QUEUE_BYTES="262144"), self.host("bob", QUEUE_BYTES="262144")
        alice.wait_for_peer("bob")
        text = "x" * 50_000
        count = 80
        # More than both have room for: the sender has to wait until bob's host reads.
        calls = [alice.begin_call("send", peer="bob", text=f"{number} {text}") for number in range(24)]
        read, begun = [], len(calls)
        while len(read) < count:
            result = bob.call("inbox", wait_seconds=DEADLINE)
            for each in result["messages"]:
                words = each.get("payload_part") or each["payload"]["text"]
                if words[0] != "x":
                    read.append(int(words.split()[0]))
                    if begun < count:
                        calls.append(alice.begin_call("send", peer="bob", text=f"{begun} {text}"))
                        begun += 1
        self.assertEqual(read, list(range(count)))
        for call in calls:
            self.assertEqual(alice.result(call)["outcome"], "arrived")

    def test_a_sidecar_that_ends_is_told_and_started_again(self):
        host, bob = self.host("alice"), self.host("bob")
        host.wait_for_peer("bob")
        asked = host.begin_call("ask", peer="bob", text="?")
        [question] = bob.call("inbox", wait_seconds=DEADLINE)["messages"]
        sidecar = host.sidecar()
        os.kill(sidecar, signal.SIGKILL)
        self.assertIn("signal 9", host.failure(asked))
        deadline = time.monotonic() + DEADLINE
        while host.call("status", check=False)["sidecar"] == "ended":
            self.assertLess(time.monotonic(), deadline)
        host.wait_for_peer("bob")
        self.assertNotEqual(host.sidecar(), sidecar)
        self.assertEqual(bob.call("reply", handle=question["handle"], text="late")["outcome"], "arrived")
        [late] = host.call("inbox", wait_seconds=DEADLINE)["messages"]
        self.assertEqual((late["type"], late["payload"]), ("agent_response", {"text": "late"}))

    def test_a_key_that_is_refused_is_told(self):
        with socket.create_server(("127.0.0.1", 0)) as refusing:
            threading.Thread(target=refuse, args=[refusing], daemon=True).start()
            url = f"http://127.0.0.1:{refusing.getsockname()[1]}"
            host = self.host("wrong", REGISTRY_URL=url)
            deadline = time.monotonic() + DEADLINE
            status = {"sidecar": "running"}
            while status["sidecar"] == "running" and time.monotonic() < deadline:
                status = host.call("status", check=False)
            failed = host.failure(host.begin_call("send", peer="bob", text="x"))
            self.assertTrue("refused the API key" in failed or "not known" in failed, failed)
            host.stop()

    def test_status_tells_what_the_doctor_finds(self):
        host = self.host("alice", STUN_URL="stun:127.0.0.1:9")
        host.call("list_peers")
        status = host.call("status")
        self.assertEqual((status["own_name"], status["registry"]), ("alice", "connected"))
        self.assertIn("stun", [finding["check"] for finding in status["findings"]])
        # The doctor has not taken its place at the registry.
        self.assertEqual(host.call("status", check=False)["registry"], "connected")

    def test_only_what_is_allowed_is_there(self):
        host = self.host("alice", MCP_ALLOW="list_peers, ask")
        tools = host.answer(host.begin("tools/list"))["result"]["tools"]
        self.assertEqual([tool["name"] for tool in tools], ["list_peers", "ask"])
        wrong = self.host("bob", "--mcp-allow", "shell")
        self.assertEqual(wrong.process.wait(DEADLINE), 2)
        wrong.log.seek(0)
        self.assertIn(b"list_peers,send,ask", wrong.log.read())

    def test_a_key_is_not_on_the_command_line_of_the_sidecar(self):
        host = self.host(None, "--api-key", "s3cret", "--mesh", "lazy")
        self.assertEqual(host.call("list_peers")["own_name"], "s3cret")
        with open(f"/proc/{host.sidecar()}/cmdline", "rb") as file:
            command = file.read()
        self.assertIn(b"--mesh=lazy", command)
        self.assertNotIn(b"s3cret", command)

    def test_it_ends_with_its_host_and_so_does_its_sidecar(self):
        alice, bob = self.host("alice"), self.host("bob")
        alice.wait_for_peer("bob")
        sidecar = alice.sidecar()
        # What was accepted still arrives.
        alice.begin_call("send", peer="bob", text="last")
        began = time.monotonic()
        self.assertEqual(alice.leave(), 0)
        self.assertLess(time.monotonic() - began, 2)
        self.assertEqual(bob.call("inbox", wait_seconds=DEADLINE)["messages"][0]["payload"], {"text": "last"})
        deadline = time.monotonic() + DEADLINE
        while is_running(sidecar):
            self.assertLess(time.monotonic(), deadline, "the sidecar goes on")
        # Nor does it outlive a server that is killed.
        sidecar = bob.sidecar()
        bob.process.kill()
        bob.process.wait()
        while is_running(sidecar):
            self.assertLess(time.monotonic(), deadline, "the sidecar goes on")

    def test_the_env_file_of_the_directory_is_not_read(self):
        place = self.place()
        with open(os.path.join(place, ".env"), "w", encoding="utf-8") as file:
            file.write("API_KEY=stolen\n")
        config = os.path.join(place, "config")
        with open(config, "w", encoding="utf-8") as file:
            file.write("API_KEY=joined\n")
        before = os.getcwd()
        os.chdir(place)
        self.addCleanup(os.chdir, before)
        host = self.host(None, CONFIG_FILE=config)
        self.assertEqual(host.call("list_peers")["own_name"], "joined")


# An agent that answers what it is asked in capitals, and asks when it is told to.
AGENT = '''
import asyncio
from chatixia_client import Sidecar

sidecar = Sidecar(api_key="worker")

@sidecar.on_request("agent_prompt")
def answer(message):
    if message.payload["text"] == "fail":
        raise ValueError("nothing to do")
    return {"text": message.payload["text"].upper()}

async def ask(message):
    response = await sidecar.request(message.from_peer, "agent_prompt", {"text": "which colour?"})
    await sidecar.send(message.from_peer, "agent_status", {"heard": response.payload["text"]})

async def main():
    sidecar.on_message("start", ask)
    async with sidecar:
        await sidecar.serve()

asyncio.run(main())
'''


def is_running(process):
    """Whether a process is there and no mere entry."""
    try:
        with open(f"/proc/{process}/stat", encoding="ascii") as file:
            return file.read().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


def refuse(listener):
    """Answers every request as a registry does that does not know the key."""
    while True:
        try:
            connection, _ = listener.accept()
        except OSError:
            return
        with connection:
            connection.recv(65536)
            connection.sendall(b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}")


if __name__ == "__main__":
    unittest.main()
