"""Our sidecar and a peer of another make, introduced to each other by a registry."""

from .events import Failure
from .programs import Peer, Registry, Sidecar

SIDECAR = "ours"
PEER = "theirs"


class Pair:
    """The one who comes later offers; so `role`, the peer's, decides who starts first."""

    def __init__(self, stack, role, directory):
        self.stack, self.role, self.directory = stack, role, directory
        self.registry = self.sidecar = self.peer = None
        directory.mkdir(parents=True)

    def __enter__(self):
        try:
            self.registry = Registry(self.directory)
            if self.role == "offerer":
                self.start_sidecar()
                self.start_peer()
            else:
                self.start_peer()
                self.start_sidecar()
            self._await_connection()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        for program in (self.peer, self.sidecar, self.registry):
            if program is not None:
                program.kill()

    def start_sidecar(self):
        self.sidecar = Sidecar(SIDECAR, self.registry, self.directory)

    def start_peer(self):
        self.peer = Peer(PEER, self.stack, self.registry, self.directory)

    def _await_connection(self):
        ready = self.sidecar.wait("readiness", "ready").body["payload"]
        self.our_limit = ready["max_message_bytes"]
        self.connected = self.sidecar.wait("connection", "peer_connected", peer_id=PEER)
        opened = self.peer.wait("open channel", "open")
        self.their_limit = opened.body["max_send"]
        self.announced = self.peer.wait("description", "described").body["announces"]
        offer = self.peer.wait("offer", "offering" if self.role == "offerer" else "offered")
        self.connect_ms = (self.connected.at - offer.at) * 1000

    def must_be_connected(self):
        """No `peer_disconnected` has come since the beginning, and the list says so too."""
        lost = self.sidecar.events.all(
            lambda event: event["type"] == "peer_disconnected", self.connected.position
        )
        if lost:
            raise Failure("peer_disconnected, though nothing has ended")
        listed = self.sidecar.list_peers()
        if listed != [PEER]:
            raise Failure(f"the list of peers is {listed}")
