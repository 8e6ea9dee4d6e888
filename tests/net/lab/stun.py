"""A STUN server of two addresses with two ports each, which answers from where it is asked to (RFC 5780)."""

import socket
import struct

from .crossroads import Crossroads

ADDRESSES = ("198.51.100.7", "198.51.100.8")
PORTS = (3478, 3479)

HEADER = struct.Struct("!HHI12s")
ATTRIBUTE = struct.Struct("!HH")
ADDRESS = struct.Struct("!xBH4s")

COOKIE = 0x2112A442
BINDING_REQUEST, BINDING_SUCCESS = 0x0001, 0x0101
CHANGE_REQUEST, XOR_MAPPED_ADDRESS, OTHER_ADDRESS = 0x0003, 0x0020, 0x802C
CHANGE_ADDRESS, CHANGE_PORT = 4, 2
IPV4 = 1


class StunServer(Crossroads):
    """The answer comes from the place that the request names."""

    address = ADDRESSES[0]

    def __init__(self, internet):
        super().__init__(internet, "stun", ADDRESSES, PORTS)

    def answer(self, place, request, source):
        kind, _, _, transaction = HEADER.unpack_from(request)
        if kind != BINDING_REQUEST:
            return None
        changes = requested_changes(request[HEADER.size:])
        answer = xor_mapped_address(source) + other_address(beside(place, CHANGE_ADDRESS | CHANGE_PORT))
        header = HEADER.pack(BINDING_SUCCESS, len(answer), COOKIE, transaction)
        return beside(place, changes), header + answer


def requested_changes(attributes):
    """The flags of the CHANGE-REQUEST, if there is one."""
    while attributes:
        kind, length = ATTRIBUTE.unpack_from(attributes)
        if kind == CHANGE_REQUEST:
            return attributes[ATTRIBUTE.size + 3]
        attributes = attributes[ATTRIBUTE.size + (length + 3) // 4 * 4:]
    return 0


def beside(place, changes):
    """The place that differs from this one in what is to be changed."""
    address, port = ADDRESSES.index(place[0]), PORTS.index(place[1])
    return (
        ADDRESSES[address ^ bool(changes & CHANGE_ADDRESS)],
        PORTS[port ^ bool(changes & CHANGE_PORT)],
    )


def xor_mapped_address(source):
    number = struct.unpack("!I", socket.inet_aton(source[0]))[0] ^ COOKIE
    value = ADDRESS.pack(IPV4, source[1] ^ COOKIE >> 16, struct.pack("!I", number))
    return ATTRIBUTE.pack(XOR_MAPPED_ADDRESS, len(value)) + value


def other_address(place):
    value = ADDRESS.pack(IPV4, place[1], socket.inet_aton(place[0]))
    return ATTRIBUTE.pack(OTHER_ADDRESS, len(value)) + value
