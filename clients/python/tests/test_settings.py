"""What the sidecar is told at its start, and what nobody else is shown."""

import os
import unittest
from typing import Dict, Optional
from unittest import mock

from . import support  # noqa: F401
from chatixia_client import ChatixiaError, Sidecar
from chatixia_client.settings import Settings, signaling_url, without_user

ODD_URL = "http://user:secret@host\u2100"
"""Python itself refuses it, with a text that quotes all of it."""


class Environment(unittest.TestCase):
    def told(self, settings: Settings, **inherited: str) -> Dict[str, str]:
        with mock.patch.dict(os.environ, inherited, clear=True):
            return settings.sidecar_environment("/s")

    def headers(self, settings: Settings, **inherited: str) -> Dict[str, str]:
        with mock.patch.dict(os.environ, inherited, clear=True):
            return settings.registry_headers()

    def test_what_is_set_goes_over_what_is_inherited(self) -> None:
        settings = Settings(registry="https://host/", environment={"MESH": "lazy"})
        told = self.told(settings, MESH="full", OTHER="1", TOKEN_URL="http://elsewhere")
        self.assertEqual(
            told,
            {
                "IPC_SOCKET": "/s",
                "MESH": "lazy",
                "OTHER": "1",
                "SIGNALING_URL": "wss://host/ws",
                "TOKEN_URL": "https://host/api/token",
            },
        )

    def test_a_key_that_is_set_is_not_outdone_by_a_device_token_that_is_inherited(self) -> None:
        def token(**settings: Optional[str]) -> Optional[str]:
            told = self.told(Settings(**settings), DEVICE_TOKEN="inherited")  # type: ignore[arg-type]
            return told.get("DEVICE_TOKEN")

        self.assertIsNone(token(api_key="k"))
        self.assertEqual(token(), "inherited")
        self.assertEqual(token(api_key="k", device_token="set"), "set")
        headers = self.headers(Settings(api_key="k"), DEVICE_TOKEN="inherited")
        self.assertEqual(headers, {"x-api-key": "k"})
        explicit = Settings(api_key="k", environment={"DEVICE_TOKEN": "set"})
        self.assertEqual(self.told(explicit)["DEVICE_TOKEN"], "set")

    def test_the_sidecar_does_not_speak_to_the_agents_service_manager(self) -> None:
        told = self.told(Settings(), NOTIFY_SOCKET="/n", WATCHDOG_USEC="1", WATCHDOG_PID="2", A="3")
        self.assertEqual(told, {"A": "3", "IPC_SOCKET": "/s"})


class Secrets(unittest.TestCase):
    def test_settings_do_not_show_them(self) -> None:
        settings = Settings(
            registry="https://user:secret1@host",
            api_key="secret2",
            device_token="secret3",
            environment={"TURN_SECRET": "secret4"},
        )
        self.assertNotIn("secret", repr(settings))

    def test_a_url_is_shown_without_its_user(self) -> None:
        for url, shown in (
            ("ftp://user:secret@host/a", "ftp://host/a"),
            ("ftp://us/er:sec/ret@host", "ftp://host"),
            ("http:/user:secret@host", "host"),
            ("user:secret@host", "host"),
            ("https://host/a", "https://host/a"),
        ):
            self.assertEqual(without_user(url), shown)

    def test_a_registry_that_is_none_is_told_without_its_user(self) -> None:
        for url in ("ftp://user:secret@host", "user:secret@host", "http://user:secret@[::1", ODD_URL):
            with self.assertRaisesRegex(ChatixiaError, "host|::1") as caught:
                signaling_url(url)
            self.assertNotIn("secret", str(caught.exception))

    def test_it_has_to_be_said_where_a_sidecar_is_that_others_run(self) -> None:
        with self.assertRaises(ValueError):
            Sidecar(spawn=False)
