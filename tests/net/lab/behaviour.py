"""How a network treats UDP, in the words of RFC 4787, and which pairs of networks can talk directly."""

from dataclasses import dataclass
from enum import Enum
from typing import Optional


class Mapping(Enum):
    """On what of the destination the port outside depends."""

    ENDPOINT_INDEPENDENT = "endpoint-independent"
    ADDRESS_DEPENDENT = "address-dependent"
    ADDRESS_AND_PORT_DEPENDENT = "address and port-dependent"


class Filtering(Enum):
    """Who may send to the port outside."""

    ENDPOINT_INDEPENDENT = "endpoint-independent"
    ADDRESS_DEPENDENT = "address-dependent"
    ADDRESS_AND_PORT_DEPENDENT = "address and port-dependent"


@dataclass(frozen=True)
class Behaviour:
    """What a host can expect of the network between it and the internet; both are None where UDP
    does not pass at all."""

    mapping: Optional[Mapping]
    filtering: Optional[Filtering]

    def __str__(self):
        if self == BLOCKED:
            return "no UDP"
        return f"mapping {self.mapping.value}, filtering {self.filtering.value}"


BLOCKED = Behaviour(None, None)


def can_be_direct(one, other):
    """Whether ICE (RFC 8445) can find a path between hosts of two sites without a relay.

    Each side knows the other's address as a STUN server has seen it, and both send to what they know.
    It is enough that one side's datagram arrives: the other answers to where it came from.
    """
    return BLOCKED not in (one, other) and (arrives(one, other) or arrives(other, one))


def arrives(sender, receiver):
    """Whether the receiver gets what is sent to its known address, after it has sent to the sender's."""
    if receiver.mapping is not Mapping.ENDPOINT_INDEPENDENT:
        # It is known by a port that is for the STUN server only.
        return False
    if receiver.filtering is Filtering.ADDRESS_AND_PORT_DEPENDENT:
        # It has sent to the sender's known port, so the sender must come from there.
        return sender.mapping is Mapping.ENDPOINT_INDEPENDENT
    return True
