"""The names of servers, and a name server with bad habits."""

import socket
import threading

from .isolation import replace

REGISTRY = "registry.test"
ACCESS = "access.test"
TURN = "turn.test"
SECOND_TURN = "turn-2.test"
STATIC_TURN = "turn-static.test"
STRICT_TURN = "turn-strict.test"
SILENT = "silent.test"
"""The name of a host that answers nothing."""

ADDRESSES = {
    REGISTRY: "198.51.100.2",
    ACCESS: "198.51.100.3",
    TURN: "198.51.100.10",
    SECOND_TURN: "198.51.100.11",
    STATIC_TURN: "198.51.100.12",
    STRICT_TURN: "198.51.100.13",
    SILENT: "198.51.100.30",
}

UNKNOWN = "unknown.test"
"""The name server says that there is no such name."""

UNANSWERED = "unanswered.test"
"""The name server says nothing."""

NAME_SERVER = "198.51.100.53"

RESPONSE_NO_SUCH_NAME = b"\x81\x83"
"""The flags of a response, recursion desired and available, with NXDOMAIN (RFC 1035 section 4.1.1)."""


def publish(internet):
    """Gives the servers their names in this run, and starts the name server for all others."""
    hosts = ["127.0.0.1 localhost"] + [f"{address} {name}" for name, address in ADDRESSES.items()]
    replace("/etc/hosts", "\n".join(hosts) + "\n")
    replace("/etc/resolv.conf", f"nameserver {NAME_SERVER}\n")
    internet.server("silent", ADDRESSES[SILENT]).nft("""
        table ip silent {
            chain input { type filter hook input priority filter; policy drop; }
        }
    """)
    with internet.server("names", NAME_SERVER).entered():
        server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        server.bind((NAME_SERVER, 53))
    threading.Thread(target=answer, args=[server], daemon=True).start()


def answer(server):
    while True:
        query, source = server.recvfrom(512)
        if UNANSWERED.split(".", maxsplit=1)[0].encode() not in query:
            server.sendto(query[:2] + RESPONSE_NO_SUCH_NAME + query[4:], source)
