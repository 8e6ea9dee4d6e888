"""What a registry in the field says of ICE servers: credentials that last a while, new ones for whoever asks."""

import http.server
import json
import threading
import urllib.request

from . import names, registry
from .relay import PLAIN_PORT, credentials

ADDRESS = names.ADDRESSES[names.ACCESS]
PORT = 80


class Access:
    """The HTTP side of a registry: passes requests for tokens on to the real one, and gives a relay's
    URL with credentials."""

    def __init__(self, internet, relay, credential_seconds):
        self.machine = internet.server("access", ADDRESS)
        self.relay = relay
        self.credential_seconds = credential_seconds
        self.given = 0
        with self.machine.entered():
            server = http.server.ThreadingHTTPServer((ADDRESS, PORT), self.handler())
            # Its threads, and what they open, stay in the namespace that they start in.
            threading.Thread(target=server.serve_forever, daemon=True).start()

    def settings(self):
        """What a sidecar needs to know to come here for its token, and to the registry then."""
        return {"TOKEN_URL": f"http://{names.ACCESS}:{PORT}/api/token", "ICE_SERVERS_FROM_REGISTRY": "on"}

    def configuration(self):
        self.given += 1
        user, password = credentials(self.credential_seconds)
        url = f"turn:{self.relay.name}:{PLAIN_PORT}?transport=udp"
        return {"iceServers": [{"urls": [url], "username": user, "credential": password}]}

    def handler(self):
        access = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                url = f"http://{registry.ADDRESS}:{registry.PORT}{self.path}"
                headers = {"x-api-key": self.headers["x-api-key"]}
                request = urllib.request.Request(url, data=b"", headers=headers)
                with urllib.request.urlopen(request, timeout=5) as token:
                    self.answer(token.read())

            def do_GET(self):
                self.answer(json.dumps(access.configuration()).encode())

            def answer(self, body):
                self.send_response(200)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_):
                pass

        return Handler
