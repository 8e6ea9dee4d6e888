"""What the client knows of the files that the sidecar takes its settings from."""

import json
import os
import shutil
import tempfile
import unittest
from pathlib import Path
from unittest import mock

from . import support  # noqa: F401
from chatixia_client.settings import Settings
from chatixia_client.settings_files import parse, settings_below

CASES = Path(__file__).parent / "env_files.json"
"""The sidecar's own tests have the same."""


class Parsing(unittest.TestCase):
    def test_files_are_read_as_the_sidecar_reads_them(self) -> None:
        cases = json.loads(CASES.read_text(encoding="utf-8"))
        for case in cases:
            with self.subTest(case["text"]):
                values, bad_line = parse(case["text"], {"HOME": "/home/me"}.get)
                self.assertEqual([list(pair) for pair in values], case["values"])
                self.assertEqual(bad_line, case["bad_line"])


class Files(unittest.TestCase):
    def setUp(self) -> None:
        self.directory = Path(tempfile.mkdtemp(prefix="chatixia-test-")).resolve()
        self.addCleanup(shutil.rmtree, self.directory)
        before = os.getcwd()
        self.addCleanup(os.chdir, before)
        (self.directory / "work/deep").mkdir(parents=True)
        os.chdir(self.directory / "work/deep")

    def write(self, name: str, text: str) -> None:
        path = self.directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")

    def settings(self, **environment: str) -> "tuple[dict[str, str], str | None, str | None]":
        """How the registry is asked by a client in this environment, with which certificates, and where it is."""
        settings = Settings()
        with mock.patch.dict(os.environ, environment, clear=True):
            return settings.registry_headers(), settings.ca_file(), settings.registry_url()

    def test_the_environment_wins_over_env_which_wins_over_what_join_wrote(self) -> None:
        self.write("work/.env", "CA_FILE=/env.pem\nAPI_KEY=of-env\n")
        self.write("home/.config/chatixia-sidecar/config", "API_KEY='of-join'\nREGISTRY_URL='https://host/mesh'\n")
        home = str(self.directory / "home")
        self.assertEqual(
            self.settings(HOME=home), ({"x-api-key": "of-env"}, "/env.pem", "https://host/mesh")
        )
        self.assertEqual(self.settings(HOME=home, API_KEY="own")[0], {"x-api-key": "own"})
        self.assertEqual(
            self.settings(HOME=home, ENV_FILE="none"), ({"x-api-key": "of-join"}, None, "https://host/mesh")
        )
        none = self.settings(HOME=home, ENV_FILE="none", CONFIG_FILE="none")
        self.assertEqual(none, ({"x-api-key": "ak_dev_001"}, None, None))
        self.write("other", "DEVICE_TOKEN=dt_1")
        other = self.settings(HOME=home, ENV_FILE=str(self.directory / "other"))
        self.assertEqual(other[0], {"x-device-token": "dt_1"})

    def test_a_key_that_is_set_is_not_outdone_by_a_device_token_of_a_file(self) -> None:
        self.write("work/.env", "DEVICE_TOKEN=dt_1\n")
        settings = Settings(api_key="k")
        with mock.patch.dict(os.environ, {}, clear=True):
            self.assertEqual(settings.registry_headers(), {"x-api-key": "k"})

    def test_a_place_that_gives_a_key_or_a_registry_is_not_outdone_by_one_below(self) -> None:
        self.write("work/.env", "API_KEY=of-env\nREGISTRY_URL=https://host\n")
        self.write("config", "DEVICE_TOKEN=dt_1\nTOKEN_URL=https://other/api/token\n")
        environment = {"CONFIG_FILE": str(self.directory / "config")}
        self.assertEqual(self.settings(**environment)[0], {"x-api-key": "of-env"})
        self.assertNotIn("TOKEN_URL", settings_below(environment))

    def test_a_registry_that_is_told_is_not_outdone_by_the_files(self) -> None:
        self.write("work/.env", "REGISTRY_URL=https://other\nTOKEN_URL=https://other/token\n")
        settings = Settings(registry="https://host")
        with mock.patch.dict(os.environ, {}, clear=True):
            told = settings.sidecar_environment("/s")
            self.assertEqual(settings.registry_url(), "https://host")
        self.assertEqual(told["TOKEN_URL"], "https://host/api/token")
