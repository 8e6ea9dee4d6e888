"""The registry is found although the name server answers for IPv4 only, or knows nothing of the name."""

import unittest

from lab import names
from lab.registry import ADDRESS, PORT
from lab.sidecar import Sidecar
from lab.world import world

SECONDS = 5
"""A second for the system's own try, at the exchange and at the WebSocket, and the rest for a busy machine."""


class LookUps(unittest.TestCase):
    def test_a_name_server_that_fails_for_ipv6(self):
        self.connect(names.HALF_FAILING)

    def test_a_name_server_that_says_nothing_for_ipv6(self):
        self.connect(names.HALF_SILENT)

    def test_a_name_that_only_multicast_knows(self):
        names.answer_by_multicast(world().registry().machine, names.BY_MULTICAST, ADDRESS)
        self.connect(names.BY_MULTICAST)

    def connect(self, name):
        world().registry()
        settings = {
            "SIGNALING_URL": f"ws://{name}:{PORT}/ws",
            "TOKEN_URL": f"http://{name}:{PORT}/api/token",
        }
        sidecar = Sidecar(world().site("public", 0).host, "seeker", settings)
        try:
            events = []

            def is_connected(event):
                events.append(event)
                registry = event["payload"].get("registry" if event["type"] == "ready" else "state")
                return event["type"] in ("ready", "registry") and registry == "connected"

            moment, _ = sidecar.until(is_connected, SECONDS + 15, "registry")
            self.assertLess(moment - sidecar.started, SECONDS, events)
            failures = [event for event in events if event["payload"].get("state") == "disconnected"]
            self.assertEqual(failures, [], "the first try succeeds")
        finally:
            sidecar.stop()


if __name__ == "__main__":
    unittest.main()
