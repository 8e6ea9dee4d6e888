"""Routers that translate addresses in the ways that are found in the world (RFC 4787), in netfilter."""

import contextlib
import ipaddress
import itertools

from .namespaces import Switch

HOLDS_BINDINGS = "2m"
"""How long a cone keeps a binding that nothing leaves by; RFC 4787 asks for two minutes."""


class Router(Switch):
    """A router without hairpinning, that answers nothing from outside and forwards from inside.

    Linux maps a port inside to the same port outside as long as it is free, whatever the
    destination: the mapping is endpoint-independent. And its connection tracking lets in nothing but
    answers: the filtering is address and port-dependent. So plain masquerading is a port-restricted
    NAT, and the others are made from it.
    """

    def __init__(self, name, lan, mapping="masquerade", admits=None, forbids=None):
        """`lan`: the address inside. `admits`: what of the datagrams from outside, that answer none,
        is passed on to the port inside that has the port outside. `forbids`: what is not let out. Both
        are conditions in netfilter's words."""
        super().__init__(name, "lan", lan)
        self.inside = ipaddress.ip_interface(lan)
        self.guests = itertools.count(1)
        self.sysctl("ipv4/ip_forward", "1")
        keep_in = f'iifname "lan" {forbids} drop' if forbids else ""
        pass_on = f'iifname "wan" {admits} dnat ip to udp dport map @bindings' if admits else ""
        self.nft(f"""
            table ip router {{
                map bindings {{
                    type inet_service : ipv4_addr . inet_service
                    flags dynamic, timeout
                    timeout {HOLDS_BINDINGS}
                }}
                set spoken_to {{
                    type ipv4_addr . inet_service
                    flags dynamic, timeout
                    timeout {HOLDS_BINDINGS}
                }}
                chain input {{
                    # What is dropped leaves no trace in connection tracking, so a stranger's
                    # datagram cannot take the port that a host inside is about to use.
                    type filter hook input priority filter; policy drop;
                }}
                chain forward {{
                    type filter hook forward priority filter; policy drop;
                    {keep_in}
                    iifname "lan" oifname "wan" meta l4proto udp jump record
                    iifname "lan" oifname "wan" accept
                    ct state established,related accept
                    ct status dnat accept
                }}
                chain record {{
                    update @bindings {{ udp sport : ip saddr . udp sport }}
                    update @spoken_to {{ ip daddr . udp sport }}
                }}
                chain prerouting {{
                    type nat hook prerouting priority dstnat;
                    {pass_on}
                }}
                chain postrouting {{
                    type nat hook postrouting priority srcnat;
                    oifname "wan" {mapping}
                }}
            }}
        """)

    def connect(self, machine, interface, metric=0):
        """Gives a machine the next address inside, and this router as a gateway."""
        guest = next(self.guests)
        address = f"{self.inside.ip + guest}/{self.inside.network.prefixlen}"
        machine.link(interface, self, f"port{guest}", address, str(self.inside.ip), metric)

    def forget(self):
        """Forgets who inside talks to whom outside."""
        self.run("conntrack", "--flush")
        self.forget_ports()

    def forget_datagrams(self):
        """The same for UDP alone: new datagrams make new bindings."""
        # Nothing to delete is a failure to it.
        with contextlib.suppress(RuntimeError):
            self.run("conntrack", "--delete", "--proto", "udp")
        self.forget_ports()

    def forget_ports(self):
        self.nft("flush map ip router bindings; flush set ip router spoken_to")


FULL_CONE = {"admits": "meta l4proto udp"}
ADDRESS_RESTRICTED = {"admits": "ip saddr . udp dport @spoken_to"}
PORT_RESTRICTED = {}
SYMMETRIC = {"mapping": "masquerade fully-random"}
UDP_BLOCKED = {"forbids": "meta l4proto udp"}
WEB_ONLY = {"forbids": "th dport != { 80, 443 }"}
