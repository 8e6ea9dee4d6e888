"""The relays of this laboratory work, seen with other eyes than the sidecar's."""

import os
import socket
import ssl
import unittest

from lab.relay import PLAIN_PORT, SECRET, TLS_PORTS
from lab.world import world

BINDING_REQUEST = b"\x00\x01\x00\x00\x21\x12\xa4\x42"
"""Type, length and magic cookie (RFC 8489 section 5); a transaction id follows."""

BINDING_SUCCESS = b"\x01\x01"


class Relays(unittest.TestCase):
    def test_a_relay_carries_messages_over_udp_and_tcp(self):
        host = world().site("public", 0).host
        self.relay_messages(host, "udp3478")
        self.relay_messages(host, "tcp3478", "-t")

    def test_a_blocked_site_has_messages_carried_over_tcp(self):
        self.relay_messages(world().site("udp blocked", 0).host, "tcp3478", "-t")

    def test_a_relay_has_a_certificate_for_its_name_on_both_tls_ports(self):
        for kind in ("public", "udp blocked"):
            for port in TLS_PORTS:
                with self.subTest(kind, port=port):
                    self.bind_over_tls(world().site(kind, 0).host, port)

    def relay_messages(self, host, way, *options):
        """Two clients of coturn's own talk through the relay: 5 messages of 100 bytes each."""
        before = world().relay().carried()
        report = host.run(
            "turnutils_uclient", "-y", "-c", "-n", "5", "-m", "1", "-l", "100",
            "-W", SECRET, "-u", "mesh", "-p", str(PLAIN_PORT), *options, world().relay().address,
        )
        self.assertIn("Total lost packets 0", report)
        after = world().relay().carried()
        used = {other for other in after if after[other] > before[other]}
        self.assertEqual(used, {way})

    def bind_over_tls(self, host, port):
        trust = ssl.create_default_context(cafile=world().authority().file)
        with host.entered():
            plain = socket.create_connection((world().relay().address, port), timeout=5)
        with trust.wrap_socket(plain, server_hostname=world().relay().name) as stream:
            stream.sendall(BINDING_REQUEST + os.urandom(12))
            self.assertEqual(stream.recv(1000)[:2], BINDING_SUCCESS)


if __name__ == "__main__":
    unittest.main()
