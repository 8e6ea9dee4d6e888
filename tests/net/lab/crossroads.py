"""A server of two addresses with two ports each, which may answer from another than it was asked at."""

import selectors
import socket
import threading


class Crossroads:
    """Serves on all its sockets, each named by its place, an address and a port."""

    def __init__(self, internet, name, addresses, ports):
        self.machine = internet.server(name, *addresses)
        self.sockets = {}
        self.selector = selectors.DefaultSelector()
        with self.machine.entered():
            for address in addresses:
                for port in ports:
                    server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
                    server.bind((address, port))
                    self.sockets[address, port] = server
                    self.selector.register(server, selectors.EVENT_READ, (address, port))
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self):
        while True:
            for key, _ in self.selector.select():
                request, source = key.fileobj.recvfrom(1500)
                answer = self.answer(key.data, request, source)
                if answer is not None:
                    place, datagram = answer
                    self.sockets[place].sendto(datagram, source)

    def answer(self, place, request, source):
        """What to answer to a request that came in at a place, and from which place; or None."""
        raise NotImplementedError
