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

HALF_FAILING = "half-failing.test"
"""The name server knows its IPv4 address, that of the registry, and fails for IPv6 (SERVFAIL)."""

HALF_SILENT = "half-silent.test"
"""The same, but it says nothing for IPv6."""

DEAD_FIRST = "dead-first.test"
TURN_DEAD_FIRST = "turn-dead-first.test"
"""The registry and the relay, each with two IPv6 addresses at which nothing answers beside its IPv4 address."""

DEAD_NETWORK = "2001:db8:dead::/48"
DEAD_ADDRESSES = ["2001:db8:dead::1", "2001:db8:dead::2"]

BY_MULTICAST = "registry-machine.local"
"""The registry's machine answers for it itself, by multicast, and the name server knows nothing of it."""

NAME_SERVER = "198.51.100.53"

RESPONSE = b"\x81\x80"
RESPONSE_FAILURE = b"\x81\x82"
RESPONSE_NO_SUCH_NAME = b"\x81\x83"
"""The flags of a response, recursion desired and available: with an answer, with SERVFAIL, with NXDOMAIN (RFC 1035
section 4.1.1)."""

HEADER_BYTES = 12
TYPE_A = b"\x00\x01"
TYPE_AAAA = b"\x00\x1c"
CLASS_INTERNET = b"\x00\x01"


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
        response = response_to(query)
        if response:
            server.sendto(response, source)


def response_to(query):
    """The name server's response to a query; None if it says nothing."""
    name, end = name_in(query)
    question, kind = query[HEADER_BYTES:end + 4], query[end:end + 2]

    def response(flags, *addresses):
        counts = b"\0\1" + len(addresses).to_bytes(2, "big") + bytes(4)
        records = (address_record(b"\xc0\x0c", address) for address in addresses)
        return query[:2] + flags + counts + question + b"".join(records)

    if name == UNANSWERED:
        return None
    if name in (DEAD_FIRST, TURN_DEAD_FIRST):
        live = ADDRESSES[REGISTRY if name == DEAD_FIRST else TURN]
        return response(RESPONSE, *([live] if kind == TYPE_A else DEAD_ADDRESSES))
    if name not in (HALF_FAILING, HALF_SILENT):
        return response(RESPONSE_NO_SUCH_NAME)
    if kind == TYPE_A:
        return response(RESPONSE, ADDRESSES[REGISTRY])
    return response(RESPONSE_FAILURE) if name == HALF_FAILING else None


def name_in(query):
    """The name in a query, and where it ends."""
    labels, place = [], HEADER_BYTES
    while query[place]:
        labels.append(query[place + 1:place + 1 + query[place]].decode())
        place += 1 + query[place]
    return ".".join(labels).lower(), place + 1


def address_record(name, address):
    """A record of an address that may be kept for a minute."""
    kind, family = (TYPE_AAAA, socket.AF_INET6) if ":" in address else (TYPE_A, socket.AF_INET)
    data = socket.inet_pton(family, address)
    return name + kind + CLASS_INTERNET + b"\0\0\0\x3c" + len(data).to_bytes(2, "big") + data


def answer_by_multicast(machine, name, address):
    """Has a machine answer for its name under `.local` (RFC 6762)."""
    with machine.entered():
        server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        server.bind(("", 5353))
        own, group = socket.inet_aton(address), socket.inet_aton("224.0.0.251")
        server.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, group + own)
        server.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, own)
    threading.Thread(target=serve_multicast, args=[server, name, address], daemon=True).start()


def serve_multicast(server, name, address):
    labels = (bytes([len(label)]) + label.encode() for label in name.split("."))
    on_wire = b"".join(labels) + b"\0"
    header = b"\0\0\x84\0\0\0\0\1\0\0\0\0"
    while True:
        query, _ = server.recvfrom(9000)
        if not query[2] & 0x80 and on_wire in query:
            server.sendto(header + address_record(on_wire, address), ("224.0.0.251", 5353))
