"""What a registry may answer, and what comes of it."""

import asyncio
import math
import shutil
import subprocess
import ssl
import tempfile
import threading
import unittest
from pathlib import Path
from typing import Any, Dict, List
from unittest import mock

from .stand_in_registry import DRIPPING, StandInRegistry, http
from .support import SETTINGS, soon, until
from chatixia_client import Message, Sidecar, TaskQueueError, queue_http, queue_worker
from chatixia_client.queue_asker import Asker
from chatixia_client.queue_worker import Worker
from chatixia_client.task_queue import TaskQueue

KEY = {"x-api-key": "hush"}


class Registries(unittest.IsolatedAsyncioTestCase):
    async def registry(self, *answers: Any) -> StandInRegistry:
        registry = await StandInRegistry(*answers).start()
        self.addCleanup(registry.stop)
        return registry


class Exchanges(Registries):
    async def failure(self, registry: StandInRegistry, expected: str) -> TaskQueueError:
        """What a look-up raises, whose text holds what is expected."""
        with self.assertRaisesRegex(TaskQueueError, expected) as caught:
            await soon(TaskQueue(registry.url, KEY).look_up("t"))
        return caught.exception

    async def test_whatever_a_registry_answers_is_a_task_or_one_kind_of_error(self) -> None:
        nested = http(200, "[" * 30_000 + "]" * 30_000)
        for answer, expected, status in (
            (nested, "RecursionError", None),
            (b"SMTP ready\r\n", "BadStatusLine", None),
            (b"", "RemoteDisconnected", None),
            (http(200, "text"), "JSONDecodeError", None),
            (http(200, "[]"), "no JSON object", None),
            (http(404, '{"error": "no such task"}'), "no such task", 404),
            (http(500, "x" * 100_000), "500 x", 500),
            (http(302, "", f"Location: /{'x' * 50_000}\r\n"), "302 redirects", 302),
            (b"HTTP/1.1 503 Cut\r\nContent-Length: 500\r\n\r\nshort", "503 short", 503),
            (b"HTTP/1.1 500 Cut\r\nTransfer-Encoding: chunked\r\n\r\n50\r\n{", "500 Cut", 500),
            (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n{", "IncompleteRead", None),
            (b"HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n{", "JSONDecodeError", None),
            (b"HTTP/1.1 200 OK\r\n" + b"x: y\r\n" * 1000 + b"\r\n", "100 headers", None),
            (b"HTTP/1.1 200 OK\r\nx: " + b"y" * 100_000 + b"\r\n\r\n", "LineTooLong", None),
            (b"HTTP/1.1 200 OK\r\n\r\n\xff\xfe", "JSONDecodeError", None),
            ({"error": "not found"}, "not found", 200),
            ({"error": {"code": 7}}, "refused", 200),
        ):
            with self.subTest(expected=expected):
                error = await self.failure(await self.registry(answer), expected)
                self.assertEqual(error.status, status)
                self.assertLess(len(str(error)), 2000)

    async def test_an_answer_is_bounded(self) -> None:
        with mock.patch.object(queue_http, "ANSWER_BYTES", 1000):
            await self.failure(await self.registry({"state": "x" * 1000}), "over 1000 bytes")

    async def test_a_redirect_is_not_followed_and_the_key_stays_here(self) -> None:
        elsewhere = await self.registry({"state": "completed"})
        location = f"Location: {elsewhere.url}/api/hub/tasks/t\r\n"
        for status in (301, 302, 303, 307, 308):
            here = await self.registry(http(status, "", location))
            error = await self.failure(here, "redirects are not followed")
            self.assertEqual(error.status, status)
            self.assertIn("x-api-key: hush", here.requests[0].head)
        self.assertEqual(elsewhere.requests, [])

    async def test_an_answer_that_drips_has_a_deadline_and_its_thread_ends(self) -> None:
        registry = await self.registry(DRIPPING)
        with mock.patch.object(queue_http, "TIMEOUT_SECONDS", 0.3):
            await self.failure(registry, "no whole answer within 0.3 s")
        await soon(registry.was_left.wait())
        await self.until_threads_end()

    async def test_who_no_longer_waits_leaves_no_thread_behind(self) -> None:
        registry = await self.registry(DRIPPING)
        with self.assertRaises(asyncio.TimeoutError):
            await asyncio.wait_for(TaskQueue(registry.url, KEY).look_up("t"), 0.2)
        await soon(registry.was_left.wait())
        await self.until_threads_end()

    async def until_threads_end(self) -> None:
        async def wait() -> None:
            while any(thread.name == "chatixia-registry" for thread in threading.enumerate()):
                await asyncio.sleep(0.01)

        await soon(wait())

    async def test_a_refusal_that_comes_before_all_was_sent_is_heard(self) -> None:
        async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(http(413, "too much"))
            await writer.drain()
            writer.write_eof()
            # Nothing is read any more: what is still sent meets a closed connection.
            await asyncio.sleep(0)
            writer.close()

        server = await asyncio.start_server(refuse, "127.0.0.1", 0)
        self.addCleanup(server.close)
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        with self.assertRaises(TaskQueueError) as caught:
            await soon(TaskQueue(url, KEY).end("t", "completed", "x" * 20_000_000, ""))
        self.assertEqual(caught.exception.status, 413)

    async def test_what_is_no_json_is_not_sent(self) -> None:
        registry = await self.registry({"task_id": "t"})
        for payload in (float("nan"), object(), {1, 2}):
            with self.assertRaisesRegex(TaskQueueError, "is no JSON"):
                await soon(TaskQueue(registry.url, KEY).submit({"payload": payload}))
        self.assertEqual(registry.requests, [])

    def test_an_address_is_checked_at_once_and_no_password_is_told(self) -> None:
        malformed = ("registry.example", "ftp://host", "file:///etc", "http://", "http://host:x", "http://[")
        for address in (*malformed, "", "http://h\nost", "http://[::1"):
            with self.assertRaisesRegex(TaskQueueError, "http://HOST or https://HOST"):
                TaskQueue(address, KEY)
        for address in ("http://user:hush@host", "user:hush@host", "ftp://user:hu@sh@host:x"):
            with self.assertRaisesRegex(TaskQueueError, "user name or password") as caught:
                TaskQueue(address, KEY)
            self.assertIn("host", str(caught.exception))
            self.assertNotIn("hu", str(caught.exception))
        with self.assertRaises(TaskQueueError) as caught:
            TaskQueue("http://host", {"x-api-key": "hush\n"})
        self.assertNotIn("hush", str(caught.exception))

    async def test_the_sidecar_is_told_of_a_wrong_address_at_once(self) -> None:
        with self.assertRaises(TaskQueueError):
            Sidecar(environment=SETTINGS).serve_queue("registry.example")


@unittest.skipUnless(shutil.which("openssl"), "makes its certificate with openssl")
class Secure(Registries):
    def setUp(self) -> None:
        directory = Path(tempfile.mkdtemp(prefix="chatixia-test-"))
        self.addCleanup(shutil.rmtree, directory, ignore_errors=True)
        self.certificate, key = directory / "certificate.pem", directory / "key.pem"
        words = "openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=localhost -addext"
        name = "subjectAltName=IP:127.0.0.1"
        command = [*words.split(), name, "-keyout", str(key), "-out", str(self.certificate)]
        subprocess.run(command, check=True, capture_output=True, timeout=30)
        self.tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.tls.load_cert_chain(self.certificate, key)

    async def test_a_registry_is_trusted_with_the_sidecars_ca_file_only(self) -> None:
        registry = await StandInRegistry({"state": "pending"}).start(self.tls)
        self.addCleanup(registry.stop)
        # That a client does not trust it would be told on stderr.
        asyncio.get_running_loop().set_exception_handler(lambda loop, context: None)
        with self.assertRaisesRegex(TaskQueueError, "certificate"):
            await soon(TaskQueue(registry.url, KEY).look_up("t"))
        self.assertEqual(registry.requests, [])
        sidecar = Sidecar(environment={**SETTINGS, "CA_FILE": str(self.certificate)})
        task = await soon(sidecar._task_queue(registry.url).look_up("t"))
        self.assertEqual(task, {"state": "pending"})
        with self.assertRaisesRegex(TaskQueueError, "CA_FILE /nowhere can't be used"):
            await soon(TaskQueue(registry.url, KEY, "/nowhere").look_up("t"))

    async def test_a_server_that_says_nothing_of_tls_has_a_deadline(self) -> None:
        left = asyncio.Event()

        async def be_silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.read()
            left.set()
            writer.close()

        server = await asyncio.start_server(be_silent, "127.0.0.1", 0)
        self.addCleanup(server.close)
        url = f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        with mock.patch.object(queue_http, "TIMEOUT_SECONDS", 0.3):
            with self.assertRaises(TaskQueueError):
                await soon(TaskQueue(url, KEY).look_up("t"))
        await soon(left.wait())


class Working(Registries):
    async def worker(self, registry: StandInRegistry, result: Any = "done") -> Worker:
        """Does every task with the same result."""
        self.done: List[Message] = []

        def work(message: Message) -> Any:
            self.done.append(message)
            return result

        queue = TaskQueue(registry.url, KEY)
        worker = Worker(queue, lambda kind: work, lambda: "worker", [], 0.01)
        worker.start()
        self.addAsyncCleanup(worker.stop)
        return worker

    async def test_no_answer_silences_a_worker(self) -> None:
        nested = "[" * 30_000 + "]" * 30_000
        task = {"id": "t", "payload": {}}
        registry = await self.registry(
            http(200, f'{{"pending_tasks": [{{"id": "s", "payload": {nested}}}]}}'),
            b"SMTP ready\r\n",
            http(503, "try later"),
            {"pending_tasks": [{"id": 1, "skill": [], "payload": 7, "source_agent_id": None}]},
            {"pending_tasks": [task]},
            {"pending_tasks": []},
        )
        with self.assertLogs("chatixia_client", "WARNING") as logged:
            await self.worker(registry)
            await soon(registry.has_answered.wait())
        self.assertEqual(len(logged.records), 1, "one line for each time that it is out of reach")
        self.assertEqual(len(self.done), 2)

    async def test_an_end_that_the_registry_has_no_room_for_is_told_without_its_result(self) -> None:
        task = {"id": "t", "payload": {}}
        full = http(503, "full")
        registry = StandInRegistry({"pending_tasks": [task]}, {"pending_tasks": []}, ends=[full, full, full])
        self.addCleanup(registry.stop)
        await registry.start()

        def ends() -> List[Any]:
            return [request.body for request in registry.requests if "/tasks/" in request.line]

        with mock.patch.object(queue_worker, "REPORT_PAUSES", (0.0, 0.0, 0.0)):
            await self.worker(registry)
            await until(lambda: len(ends()) == 4)
        self.assertEqual([end["state"] for end in ends()], ["completed"] * 3 + ["failed"])
        self.assertIn("503", ends()[3]["error"])

    async def test_a_task_that_comes_again_and_again_is_done_once(self) -> None:
        registry = await self.registry({"pending_tasks": [{"id": "t"}, {"id": "t"}]})
        await self.worker(registry)
        await self.heartbeats(registry, 4)
        self.assertEqual([message.request_id for message in self.done], ["t"])

    async def test_what_has_no_usable_id_is_no_task(self) -> None:
        ids: List[Any] = ["", "x" * 201, "\ud800", "a\nb", None, ["t"], 1.5]
        tasks = [{"payload": {}}, *({"id": task_id} for task_id in ids), {"id": 7}]
        registry = await self.registry({"pending_tasks": tasks})
        await self.worker(registry)
        await self.heartbeats(registry, 2)
        self.assertEqual([message.request_id for message in self.done], ["7"])

    async def test_a_worker_pauses_even_when_there_are_always_more_tasks(self) -> None:
        more = [{"pending_tasks": [{"id": str(number)}]} for number in range(100)]
        registry = await self.registry(*more)
        begin = asyncio.get_running_loop().time()
        await self.worker(registry)
        await self.heartbeats(registry, 4)
        self.assertGreater(asyncio.get_running_loop().time() - begin, 2.9 * queue_worker.PAUSE_SECONDS)
        self.assertLess(len(self.done), 100)

    async def heartbeats(self, registry: StandInRegistry, number: int) -> None:
        """Waits until the registry was asked so often for tasks, and those of the first are done."""

        def asked() -> int:
            return sum("heartbeat" in request.line for request in registry.requests)

        await until(lambda: asked() >= number and bool(self.done))

    def test_what_was_done_is_known_for_a_while(self) -> None:
        done = queue_worker._Done()
        for number in range(queue_worker.DONE_KEPT + 1):
            done.add(str(number))
        self.assertNotIn("0", done)
        self.assertIn("1", done)
        with mock.patch.object(queue_worker, "DONE_KEPT_SECONDS", 0):
            self.assertNotIn("1", done)

    async def test_what_nobody_foresaw_does_not_silence_a_worker_either(self) -> None:
        registry = await self.registry({"pending_tasks": []})
        worker = await self.worker(registry)
        with mock.patch.object(worker, "_agent", side_effect=[KeyError("odd"), "worker", "worker"]):
            with self.assertLogs("chatixia_client", "WARNING") as logged:
                await soon(registry.has_answered.wait())
        self.assertIn("odd", logged.output[0])

    async def ended_as(self, result: Any, *answers: Any) -> "List[Dict[str, Any]]":
        """What a worker says of a task with that result, to a registry that answers so to it."""
        registry = StandInRegistry()
        waiting = [{"id": "t", "payload": {}}]
        prepared = list(answers)
        ends: "asyncio.Queue[Dict[str, Any]]" = asyncio.Queue()

        async def exchange(method: str, path: str, body: Any) -> Dict[str, Any]:
            if path.endswith("/heartbeat"):
                return {"pending_tasks": [waiting.pop()] if waiting else []}
            ends.put_nowait(body)
            answer = prepared.pop(0)
            if isinstance(answer, Exception):
                raise answer
            return {"status": "ok"}

        registry.url = "http://127.0.0.1:9"
        with mock.patch.object(queue_http.Server, "exchange", side_effect=exchange):
            worker = await self.worker(registry, result)
            bodies = [await soon(ends.get()) for _ in answers]
            await worker.stop()
        self.assertTrue(ends.empty())
        return bodies

    async def test_a_result_that_is_no_json_fails_its_task(self) -> None:
        loop: List[Any] = []
        loop.append(loop)
        deep: Any = None
        for _ in range(100_000):
            deep = [deep]
        for result in (float("nan"), object(), loop, deep):
            bodies = await self.ended_as(result, "ok")
            self.assertEqual((bodies[0]["state"], bodies[0]["result"]), ("failed", ""))
            self.assertIn("the result is no JSON", bodies[0]["error"])

    async def test_a_result_that_the_registry_does_not_take_fails_its_task(self) -> None:
        with self.assertLogs("chatixia_client", "WARNING"):
            bodies = await self.ended_as("much", TaskQueueError("413 over 65536 bytes", 413), "ok")
        self.assertEqual([body["state"] for body in bodies], ["completed", "failed"])
        self.assertIn("413 over 65536 bytes", bodies[1]["error"])

    async def test_the_end_of_a_task_is_reported_again_unless_it_is_over(self) -> None:
        with self.assertLogs("chatixia_client", "WARNING"):
            bodies = await self.ended_as("r", TaskQueueError("503", 503), "ok")
            self.assertEqual(bodies[0], bodies[1])
            for status in (200, 404, 409):
                await self.ended_as("r", TaskQueueError("over", status))


class Asking(Registries):
    async def ask(self, registry: StandInRegistry) -> Message:
        message = {"type": "task_request", "request_id": "q", "payload": {}}
        return await soon(Asker(TaskQueue(registry.url, KEY), "worker", message, 10.0).ask())

    async def test_polls_that_fail_do_not_end_a_request(self) -> None:
        done = {"state": "completed", "result": "r"}
        failures = (b"", http(502, "proxy"), http(429, "slower"))
        registry = await self.registry({"task_id": "t"}, *failures, done)
        with self.assertLogs("chatixia_client", "WARNING") as logged:
            response = await self.ask(registry)
        self.assertEqual(response.payload, {"result": "r", "error": ""})
        self.assertEqual(len(logged.records), 1)

    async def test_an_id_that_cannot_be_used_ends_the_request(self) -> None:
        for task_id in ("", None, ["t"], "x" * 100_000, "\ud800"):
            with self.assertRaisesRegex(TaskQueueError, "no usable task_id") as caught:
                await self.ask(await self.registry({"task_id": task_id}))
            self.assertLess(len(str(caught.exception)), 2000)

    async def test_a_request_that_never_ends_is_no_task(self) -> None:
        for timeout in (math.inf, math.nan):
            with self.assertRaisesRegex(ValueError, "timeout"):
                Asker(TaskQueue("http://host", KEY), "worker", {"type": "task_request"}, timeout)

    async def test_a_task_that_is_gone_ends_the_request(self) -> None:
        for answer in (http(404, "no such task"), {"error": "not found"}):
            with self.assertRaises(TaskQueueError):
                await self.ask(await self.registry({"task_id": "t"}, answer))
