"""The Dockerfile: what the linter says, and what its steps make."""

import re
import subprocess
import tempfile
import unittest
from pathlib import Path

from build import PROJECT, TARGET, Build
from dockerfile import stages
from tools import tool


class Linted(unittest.TestCase):
    def test_hadolint_finds_nothing(self):
        linted = subprocess.run(
            [tool("hadolint"), PROJECT / "Dockerfile"], capture_output=True, text=True, check=False
        )
        self.assertEqual(linted.stdout + linted.stderr, "")
        self.assertEqual(linted.returncode, 0)


class Image(unittest.TestCase):
    def setUp(self):
        self.image = stages(PROJECT / "Dockerfile")[-1]

    def test_it_is_empty_but_for_the_program_and_its_user_is_not_root(self):
        self.assertEqual(self.image.base, "scratch")
        self.assertEqual(len(self.image.all("COPY")), 2)
        self.assertNotIn(self.image.all("USER"), ([], ["root"], ["0"]))

    def test_what_it_copies_is_not_ignored(self):
        ignored = (PROJECT / ".dockerignore").read_text(encoding="utf-8").splitlines()
        self.assertEqual(ignored[0], "*")
        for rest in stages(PROJECT / "Dockerfile")[0].all("COPY"):
            for source in rest.split()[:-1]:
                self.assertIn(f"!{source}", ignored)


class Steps(unittest.TestCase):
    def test_the_steps_make_the_program_and_compile_dependencies_once(self):
        with tempfile.TemporaryDirectory() as place:
            build = Build(Path(place))
            program = build.run()
            self.assertEqual((Path(place) / "target-name").read_text(), f"{TARGET}\n")
            version = subprocess.run([program, "--version"], capture_output=True, text=True, check=True)
            self.assertRegex(version.stdout, r"^chatixia-sidecar \d")
            compiled = re.findall(r"Compiling (\S+)", build.outputs[-1])
            self.assertEqual(compiled, ["chatixia-sidecar"])

    def test_a_platform_without_a_target_is_told(self):
        with tempfile.TemporaryDirectory() as place:
            build = Build(Path(place))
            build.environment["TARGETARCH"] = "s390x"
            with self.assertRaisesRegex(AssertionError, "no target for s390x"):
                build.run()


if __name__ == "__main__":
    unittest.main()
