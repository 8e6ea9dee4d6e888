"""Which program is spawned."""

import os
import platform
import shutil
import stat
import tempfile
import unittest
from pathlib import Path
from unittest import mock

from . import support  # noqa: F401
from chatixia_client import BinaryNotFound, find_binary


class Finding(unittest.TestCase):
    def setUp(self) -> None:
        self.directory = Path(tempfile.mkdtemp(prefix="chatixia-test-")).resolve()
        self.addCleanup(shutil.rmtree, self.directory)

    def executable(self, name: str) -> str:
        path = self.directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
        path.chmod(path.stat().st_mode | stat.S_IXUSR)
        return str(path)

    def find(self, configured: object = None, variable: str = "", path: str = "") -> str:
        environment = {"PATH": path, **({"SIDECAR_BINARY": variable} if variable else {})}
        with mock.patch.dict(os.environ, environment, clear=True):
            return find_binary(configured)  # type: ignore[arg-type]

    def test_the_configured_path_comes_first_then_the_variable_then_path(self) -> None:
        configured, variable = self.executable("a/configured"), self.executable("b/variable")
        in_path = self.executable("c/chatixia-sidecar")
        path = str(self.directory / "c")
        self.assertEqual(self.find(configured, variable, path), configured)
        self.assertEqual(self.find(Path(configured), variable, path), configured)
        self.assertEqual(self.find(None, variable, path), variable)
        self.assertEqual(self.find(None, "", path), in_path)

    def test_what_cannot_be_run_is_passed_over(self) -> None:
        in_path = self.executable("chatixia-sidecar")
        plain = self.directory / "plain"
        plain.touch()
        self.assertEqual(self.find(str(plain), "/nowhere/sidecar", str(self.directory)), in_path)

    def test_names_are_looked_up_in_path(self) -> None:
        other = self.executable("other-name")
        self.assertEqual(self.find("other-name", "", str(self.directory)), other)
        self.assertEqual(self.find(None, "other-name", str(self.directory)), other)

    def test_a_directory_holds_the_program_of_each_platform(self) -> None:
        self.executable("chatixia-sidecar-x86_64-unknown-linux-gnu")
        arm = self.executable("chatixia-sidecar-armv7-unknown-linux-musleabihf")
        with mock.patch.object(platform, "machine", lambda: "armv7l"):
            with mock.patch.object(platform, "system", lambda: "Linux"):
                self.assertEqual(self.find(self.directory), arm)
                self.assertEqual(self.find(path=str(self.directory)), arm)

    def test_the_error_says_where_it_looked_and_what_to_install(self) -> None:
        with self.assertRaises(BinaryNotFound) as caught:
            self.find("/nowhere/a", "/nowhere/b")
        text = str(caught.exception)
        for part in ("/nowhere/a", "/nowhere/b", "PATH", "cargo install", platform.machine()):
            self.assertIn(part, text)
        self.assertIsInstance(caught.exception, RuntimeError)
