"""Which program is spawned."""

import os
import platform
import shutil
import stat
import sys
import tempfile
import types
import unittest
from pathlib import Path
from unittest import mock

from . import support  # noqa: F401
from chatixia_client import BinaryNotFound, find_binary


def machine(name: str, system: str = "Linux") -> "mock._patch[object]":
    """As if this were another machine."""
    return mock.patch.multiple(platform, machine=lambda: name, system=lambda: system)


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

    def test_what_is_given_and_not_there_is_passed_over_in_the_contracts_order(self) -> None:
        good = self.executable("variable")
        in_path = self.executable("c/chatixia-sidecar")
        path = str(self.directory / "c")
        plain = self.directory / "plain"
        plain.touch()
        (self.directory / "empty").mkdir()
        for given, problem in (
            ("/nowhere/sidecar", "/nowhere/sidecar, is not there"),
            (str(plain), "plain, can't be executed"),
            ("no-such-name", "no-such-name is not in PATH"),
            (str(self.directory / "empty"), "empty, has no chatixia-sidecar for this machine"),
        ):
            with self.subTest(given):
                self.assertEqual(self.find(given, good, path), good)
                with self.assertLogs("chatixia_client", "WARNING") as logged:
                    self.assertEqual(self.find(given, "", path), in_path)
                    self.assertEqual(self.find(None, given, path), in_path)
                for record in logged.records:
                    self.assertIn(problem, record.getMessage())
                with self.assertRaisesRegex(BinaryNotFound, problem):
                    self.find(given, "", "/nowhere")

    def test_a_bare_name_is_a_file_here_then_the_variable_then_in_path(self) -> None:
        """So the field's runner, which always configures the bare name, honours SIDECAR_BINARY."""
        variable = self.executable("variable")
        in_path = self.executable("c/chatixia-sidecar")
        path = str(self.directory / "c")
        name = "chatixia-sidecar"
        self.assertEqual(self.find(name, variable, path), variable)
        self.assertEqual(self.find(name, "/nowhere", path), in_path)
        self.assertEqual(self.find(name, "", path), in_path)
        before = os.getcwd()
        self.addCleanup(os.chdir, before)
        os.chdir(self.directory)
        here = self.executable(name)
        self.assertEqual(self.find(name, variable, path), here)

    def test_the_program_of_the_package_is_found_without_path(self) -> None:
        program = self.executable("scripts/chatixia-sidecar")
        package = types.ModuleType("chatixia_sidecar")
        package.find_sidecar_bin = lambda: program  # type: ignore[attr-defined]
        with mock.patch.dict(sys.modules, {"chatixia_sidecar": package}):
            self.assertEqual(self.find("chatixia-sidecar", "", "/nowhere"), program)
            self.assertEqual(self.find(None, "", "/nowhere"), program)
            in_path = self.executable("c/chatixia-sidecar")
            self.assertEqual(self.find(None, "", str(self.directory / "c")), in_path)

    def test_names_are_looked_up_in_path(self) -> None:
        other = self.executable("other-name")
        self.assertEqual(self.find("other-name", "", str(self.directory)), other)
        self.assertEqual(self.find(None, "other-name", str(self.directory)), other)

    def test_a_directory_may_hold_unpacked_archives_of_which_the_newest_for_this_machine_is_taken(
        self,
    ) -> None:
        for version in ("0.9.0", "0.10.0"):
            for target in ("x86_64-unknown-linux-musl", "arm-unknown-linux-musleabihf"):
                self.executable(f"chatixia-sidecar-{version}-{target}/chatixia-sidecar")
        armv7 = self.executable(
            "chatixia-sidecar-0.1.0-armv7-unknown-linux-musleabihf/chatixia-sidecar"
        )
        arm = "chatixia-sidecar-0.10.0-arm-unknown-linux-musleabihf"
        for name, expected in (
            ("x86_64", "chatixia-sidecar-0.10.0-x86_64-unknown-linux-musl/chatixia-sidecar"),
            ("armv6l", f"{arm}/chatixia-sidecar"),
            ("armv7l", armv7),
        ):
            with machine(name):
                self.assertEqual(self.find(self.directory), str(self.directory / expected))
        self.assertEqual(self.find(self.directory / arm), str(self.directory / arm / "chatixia-sidecar"))
        with machine("aarch64"), self.assertRaisesRegex(BinaryNotFound, "aarch64"):
            self.find(self.directory)

    def test_the_error_says_where_it_looked_and_what_to_do(self) -> None:
        with machine("aarch64"), self.assertRaises(BinaryNotFound) as caught:
            self.find(path="/nowhere")
        for part in (
            "no chatixia-sidecar in PATH",
            "cargo install --path .",
            "chatixia-sidecar-VERSION-aarch64-unknown-linux-musl.tar.gz",
            "SIDECAR_BINARY",
        ):
            self.assertIn(part, str(caught.exception))
        self.assertIsInstance(caught.exception, RuntimeError)

        with machine("riscv64"), self.assertRaisesRegex(BinaryNotFound, "riscv64.*from source") as bare:
            self.find(path="/nowhere")
        self.assertNotIn("tar.gz", str(bare.exception))
