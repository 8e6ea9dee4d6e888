"""coturn, the STUN and TURN server, with a certificate authority of its own."""

import base64
import hashlib
import hmac
import os
import socket
import time

from . import names
from .isolation import STATE, run

SECRET = "the secret of the relays"
USER = "static-user"
PASSWORD = "the password of the static user"

PLAIN_PORT = 3478
TLS_PORTS = (5349, 443)

START_SECONDS = 10

COUNTERS = f"""
    table ip traffic {{
        counter udp3478 {{}}
        counter tcp3478 {{}}
        counter tls5349 {{}}
        counter tls443 {{}}
        chain input {{
            type filter hook input priority filter;
            udp dport {PLAIN_PORT} counter name udp3478
            tcp dport {PLAIN_PORT} counter name tcp3478
            tcp dport {TLS_PORTS[0]} counter name tls5349
            tcp dport {TLS_PORTS[1]} counter name tls443
        }}
        chain output {{
            type filter hook output priority filter;
            udp sport {PLAIN_PORT} counter name udp3478
            tcp sport {PLAIN_PORT} counter name tcp3478
            tcp sport {TLS_PORTS[0]} counter name tls5349
            tcp sport {TLS_PORTS[1]} counter name tls443
        }}
    }}
"""


class Authority:
    """Signs the certificates of relays; who trusts it is told so by `file`."""

    def __init__(self):
        self.key = os.path.join(STATE, "authority.key")
        self.file = os.path.join(STATE, "authority.pem")
        new_key(self.key)
        run(
            "openssl", "req", "-x509", "-new", "-key", self.key, "-out", self.file,
            "-days", "2", "-subj", "/CN=Test authority",
            "-addext", "basicConstraints=critical,CA:TRUE", "-addext", "keyUsage=keyCertSign",
        )

    def certify(self, name):
        """Makes a key and a certificate for a host name; returns their files."""
        key, request, certificate, extensions = (
            os.path.join(STATE, f"{name}.{suffix}") for suffix in ("key", "csr", "pem", "ext")
        )
        new_key(key)
        with open(extensions, "w", encoding="ascii") as file:
            file.write(f"subjectAltName=DNS:{name}\nbasicConstraints=CA:FALSE\n")
        run("openssl", "req", "-new", "-key", key, "-out", request, "-subj", f"/CN={name}")
        run(
            "openssl", "x509", "-req", "-in", request, "-out", certificate, "-days", "2",
            "-CA", self.file, "-CAkey", self.key, "-CAcreateserial", "-extfile", extensions,
        )
        return key, certificate


def new_key(path):
    run("openssl", "genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", "-out", path)


class Relay:
    """A relay on a machine of its own, and what went through it."""

    def __init__(self, internet, name, authority, access="secret", **options):
        """`access`: `secret` for credentials made from `SECRET`, `static` for `USER`. `options`: more
        lines for coturn's configuration, with `_` for `-`."""
        self.name = name
        self.address = names.ADDRESSES[name]
        self.machine = internet.server(name.removesuffix(".test"), self.address)
        self.machine.nft(COUNTERS)
        key, certificate = authority.certify(name)
        state = os.path.join(STATE, name)
        os.makedirs(state)
        lines = [
            f"listening-ip={self.address}",
            f"relay-ip={self.address}",
            f"listening-port={PLAIN_PORT}",
            f"tls-listening-port={TLS_PORTS[0]}",
            f"aux-server={self.address}:{TLS_PORTS[1]}",
            f"cert={certificate}",
            f"pkey={key}",
            f"userdb={state}/users.sqlite",
            f"pidfile={state}/pid",
            "realm=test",
            "fingerprint",
            "no-cli",
            "log-file=stdout",
            "simple-log",
            "verbose",
        ]
        if access == "secret":
            lines += ["use-auth-secret", f"static-auth-secret={SECRET}"]
        else:
            lines += ["lt-cred-mech", f"user={USER}:{PASSWORD}"]
        lines += [f"{key.replace('_', '-')}={value}" for key, value in options.items()]
        self.configuration = os.path.join(state, "turnserver.conf")
        with open(self.configuration, "w", encoding="ascii") as file:
            file.write("\n".join(lines) + "\n")
        self.log = os.path.join(state, "log")
        self.start()

    def start(self):
        """Starts coturn and waits until it listens."""
        with open(self.log, "ab") as log:
            command = ["turnserver", "-c", self.configuration]
            self.process = self.machine.spawn(command, stdout=log, stderr=log)
        deadline = time.monotonic() + START_SECONDS
        for port in (PLAIN_PORT, *TLS_PORTS):
            while not self.listens(port):
                if self.process.poll() is not None or time.monotonic() > deadline:
                    raise RuntimeError(f"coturn does not listen on port {port}: {self.log_text()}")
                time.sleep(0.02)

    def listens(self, port):
        with self.machine.entered(), socket.socket() as client:
            return client.connect_ex((self.address, port)) == 0

    def kill(self):
        """Ends coturn as a crash does."""
        self.process.kill()
        self.process.wait()

    def log_text(self):
        with open(self.log, encoding="utf-8", errors="replace") as file:
            return file.read()

    def carried(self):
        """Bytes so far between the relay and its clients, both ways, by transport: `udp3478`, `tcp3478`,
        `tls5349` and `tls443`."""
        return self.machine.counters("traffic")

    def allocations(self):
        """What coturn has logged of allocations that it made."""
        return [line for line in self.log_text().splitlines() if " new, realm=" in line]

    def url(self, transport):
        """The URL for one of the transports of `carried`."""
        return {
            "udp3478": f"turn:{self.name}:{PLAIN_PORT}?transport=udp",
            "tcp3478": f"turn:{self.name}:{PLAIN_PORT}?transport=tcp",
            "tls5349": f"turns:{self.name}:{TLS_PORTS[0]}",
            "tls443": f"turns:{self.name}:{TLS_PORTS[1]}",
        }[transport]


def credentials(seconds):
    """A user name that is good for so many seconds, and its password."""
    user = f"{int(time.time()) + seconds}:mesh"
    digest = hmac.new(SECRET.encode(), user.encode(), hashlib.sha1).digest()
    return user, base64.b64encode(digest).decode()
