"""Directories that agents have left, and those that they have not."""

import fcntl
import os
import signal
import socket
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path
from unittest import mock

from .support import PATIENCE, SETTINGS, SOURCE
from chatixia_client import private_directory
from chatixia_client.private_directory import LOCK, PREFIX, SOCKET, PrivateDirectory

AGENT = """
import asyncio
from chatixia_client import Sidecar

async def main():
    async with Sidecar() as sidecar:
        print("started", flush=True)
        await asyncio.sleep(60)

asyncio.run(main())
"""


class Abandoned(unittest.TestCase):
    def setUp(self) -> None:
        parent = tempfile.TemporaryDirectory(prefix="chatixia-test-")
        self.addCleanup(parent.cleanup)
        self.parent = Path(parent.name)
        patch = mock.patch.object(tempfile, "tempdir", parent.name)
        patch.start()
        self.addCleanup(patch.stop)

    def abandoned(self, name: str) -> Path:
        path = self.parent / (PREFIX + name)
        path.mkdir()
        (path / LOCK).touch()
        return path

    def start(self) -> PrivateDirectory:
        directory = PrivateDirectory()
        self.addCleanup(directory.remove)
        return directory

    def test_one_whose_agent_is_there_stays_and_goes_with_it(self) -> None:
        first, second = self.start(), self.start()
        self.assertEqual(len(os.listdir(self.parent)), 2)
        first.remove()
        first.remove()
        self.assertEqual(os.listdir(self.parent), [os.path.basename(second.path)])

    def test_one_whose_agent_is_gone_is_removed_with_the_socket_in_it(self) -> None:
        self.abandoned("empty")
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(str(self.abandoned("socket") / SOCKET))
        directory = self.start()
        self.assertEqual(os.listdir(self.parent), [os.path.basename(directory.path)])

    def test_what_is_not_ours_stays(self) -> None:
        notes = self.abandoned("notes") / "notes.txt"
        notes.touch()
        other = self.parent / "other"
        other.mkdir()
        (other / LOCK).touch()
        link = self.parent / (PREFIX + "link")
        link.symlink_to(other)
        file = self.parent / (PREFIX + "file")
        file.touch()
        socket_in_name_only = self.abandoned("named") / SOCKET
        socket_in_name_only.touch()
        self.start()
        for path in (notes, other / LOCK, link, file, socket_in_name_only):
            self.assertTrue(os.path.lexists(path), path)

    def test_one_of_another_user_stays(self) -> None:
        path = self.abandoned("other")
        with mock.patch.object(os, "geteuid", lambda: os.getuid() + 1):
            self.start()
        self.assertTrue(path.exists())

    def test_one_that_has_no_lock_yet_stays_until_it_would_have_one(self) -> None:
        path = self.parent / (PREFIX + "young")
        path.mkdir()
        self.start()
        self.assertTrue(path.exists())
        with mock.patch.object(private_directory, "WITHOUT_LOCK_SECONDS", -1):
            self.start()
        self.assertFalse(path.exists())

    def test_one_that_is_taken_for_abandoned_as_it_is_made_is_made_again(self) -> None:
        looks = iter([False, True])
        with mock.patch.object(os.path, "isdir", lambda path: next(looks)):
            self.start()
        self.assertIsNone(next(looks, None))
        self.assertEqual(len(os.listdir(self.parent)), 2)

    def test_where_nothing_can_be_locked_nothing_is_removed(self) -> None:
        path = self.abandoned("unknown")
        with mock.patch.object(fcntl, "flock", side_effect=OSError("no locks")):
            self.assertTrue(os.path.isdir(self.start().path))
        self.assertTrue(path.exists())

    def test_the_directory_of_an_agent_that_was_killed_goes_with_the_next_start(self) -> None:
        environment = {
            **os.environ,
            **SETTINGS,
            "PYTHONPATH": str(SOURCE),
            "TMPDIR": str(self.parent),
            "SIGNALING_URL": "ws://127.0.0.1:9/ws",
            "TOKEN_URL": "http://127.0.0.1:9/api/token",
            "AGENT_LINGER": "0",
        }
        for number in (signal.SIGTERM, signal.SIGKILL):
            with self.subTest(number):
                agent = subprocess.Popen(
                    [sys.executable, "-c", AGENT], env=environment, stdout=subprocess.PIPE
                )
                self.addCleanup(agent.wait, PATIENCE)
                self.addCleanup(agent.kill)
                assert agent.stdout is not None
                with agent.stdout:
                    self.assertEqual(agent.stdout.readline(), b"started\n")
                self.start()
                left = {path.name for path in self.parent.iterdir()}
                agent.send_signal(number)
                agent.wait(PATIENCE)
                self.assertEqual({path.name for path in self.parent.iterdir()}, left)
                self.start().remove()
                self.assertEqual(len(left - {path.name for path in self.parent.iterdir()}), 1)
