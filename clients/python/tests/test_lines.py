"""Lines over a socket."""

import asyncio
import os
import unittest
from typing import Any, List
from unittest import mock

from .support import soon, until
from chatixia_client.lines import WRITE_BATCH_BYTES, LineConnection, decode, encode


class Lines(unittest.IsolatedAsyncioTestCase):
    async def asyncSetUp(self) -> None:
        self.lines: List[bytes] = []
        self.lost = asyncio.Event()
        self.connection = LineConnection(self.lines.append, lambda connection: self.lost.set())

    def feed(self, data: bytes) -> None:
        while data:
            buffer = self.connection.get_buffer(len(data))
            part, data = data[: len(buffer)], data[len(buffer) :]
            buffer[: len(part)] = part
            self.connection.buffer_updated(len(part))

    async def test_lines_come_out_however_they_are_cut(self) -> None:
        text = b"one\n\ntwo\nthree"
        for cut in range(len(text)):
            self.feed(text[:cut])
            self.feed(text[cut:] + b"\n")
            self.assertEqual(self.lines, [b"one", b"", b"two", b"three"])
            self.lines.clear()

    async def test_half_a_character_is_written_as_it_was_read(self) -> None:
        for text in (b'{"a":"\\ud83d"}\n', b'{"\\udc00":"\xc3\xbc\\ud800"}\n'):
            self.assertEqual(encode(decode(text)), text)

    async def test_transports_of_other_event_loops_will_do(self) -> None:
        transport = mock.Mock(spec=["write"])
        self.connection.connection_made(transport)
        self.connection.write(b"line\n")
        transport.write.assert_called_once_with(b"line\n")

    async def test_a_long_line_in_many_pieces_is_one_line(self) -> None:
        for _ in range(1000):
            self.feed(b"x" * 10_000)
        self.feed(b"\nnext")
        self.assertEqual([len(line) for line in self.lines], [10_000_000])

    async def test_what_is_written_arrives_in_order_and_a_full_socket_is_waited_for(self) -> None:
        received = bytearray()
        begun, go_on = asyncio.Event(), asyncio.Event()

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            begun.set()
            await go_on.wait()
            while chunk := await reader.read(1 << 20):
                received.extend(chunk)
            writer.close()
            go_on.clear()

        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        loop = asyncio.get_running_loop()
        await loop.create_connection(lambda: self.connection, "127.0.0.1", port)
        await soon(begun.wait())

        async def write(count: int) -> None:
            for number in range(count):
                self.connection.write(b"%d " % number + b"x" * 1000 + b"\n")
                await self.connection.drain()

        writing = asyncio.ensure_future(write(30_000))
        done, _ = await asyncio.wait({writing}, timeout=0.3)
        self.assertFalse(done, "nobody reads, and 30 MB are written")
        go_on.set()
        await soon(writing)
        self.connection.close()
        await soon(self.lost.wait())
        server.close()
        await until(lambda: not go_on.is_set())
        numbers = [int(line.split()[0]) for line in bytes(received).splitlines()]
        self.assertEqual(numbers, list(range(30_000)))

    async def test_what_is_read_between_two_writings_changes_nothing_about_their_order(self) -> None:
        transport = mock.create_autospec(asyncio.Transport, instance=True)
        self.connection.connection_made(transport)
        self.connection.write(b"A\n")
        self.connection.write(b"B\n")
        self.feed(b"read\n")
        self.connection.write(b"C\n")
        self.connection.flush()
        written = b"".join(call.args[0] for call in transport.write.call_args_list)
        self.assertEqual(written, b"A\nB\nC\n")

    async def test_others_have_their_turn_while_one_writes_without_end(self) -> None:
        reads, writes = os.pipe()
        turns = 0

        def count() -> None:
            nonlocal turns
            turns += 1
            loop.call_soon(count)

        loop = asyncio.get_running_loop()
        loop.call_soon(count)
        # Without a transport: what is written goes nowhere.
        for _ in range(20):
            self.connection.write(b"x" * WRITE_BATCH_BYTES)
            await self.connection.drain()
        self.assertGreaterEqual(turns, 9)
        os.close(reads)
        os.close(writes)


class Json(unittest.TestCase):
    def test_what_is_no_json_is_refused(self) -> None:
        for value in (float("nan"), float("inf"), {1, 2}, object()):
            with self.assertRaises((TypeError, ValueError)):
                encode({"payload": value})

    def test_values_survive(self) -> None:
        value: Any = {"näme": "grüße 🚀\n", "n": 2**70, "f": 0.1, "l": [None, True, {}]}
        line = encode(value)
        self.assertEqual(line.count(b"\n"), 1)
        self.assertEqual(decode(line), value)
