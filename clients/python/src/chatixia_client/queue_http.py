"""One HTTP exchange with a registry: bounded in time and size, and nowhere but there.

As with the sidecar itself, redirects are not followed, since they would carry the key elsewhere, and
proxies that the environment names are not used.
"""

from __future__ import annotations

import asyncio
import http.client
import json
import re
import socket
import ssl
import threading
from typing import Any, Dict, Mapping, Optional
from urllib.parse import SplitResult, urlsplit

from .errors import TaskQueueError
from .settings import without_user

TIMEOUT_SECONDS = 10.0
"""For a whole exchange, from the look-up of the name to the last byte of the answer."""

ANSWER_BYTES = 16 * 1024 * 1024
"""A longer answer of the registry is refused."""

REASON_BYTES = 1000
"""So much of a refusal is told."""

_HEADER_VALUE = re.compile(r"[\t\x20-\x7e\x80-\xff]*")


class Server:
    """A registry, and what shows it who we are."""

    def __init__(self, registry: str, headers: Mapping[str, str], ca_file: Optional[str]) -> None:
        """`ca_file`: certificates trusted beside the system's. Raises `TaskQueueError`."""
        parts = _parts(registry)
        if not all(_HEADER_VALUE.fullmatch(value) for value in headers.values()):
            raise TaskQueueError("the key for the registry has characters that no HTTP header can hold")
        self.is_secure = parts.scheme == "https"
        self.host = parts.hostname or ""
        self.port = parts.port or (443 if self.is_secure else 80)
        self.path = parts.path.rstrip("/")
        self.url = f"{parts.scheme}://{parts.netloc}{self.path}"
        self.headers = {"Content-Type": "application/json", "Connection": "close", **headers}
        self._ca_file = ca_file
        self._context: Optional[ssl.SSLContext] = None

    async def exchange(self, method: str, path: str, body: Any) -> Dict[str, Any]:
        """The JSON object that answers a request. `body`: to be sent as JSON, unless None.

        Raises `TaskQueueError`, whatever goes wrong.
        """
        exchange = Exchange(self, method, path, body)
        loop = asyncio.get_running_loop()
        answered: "asyncio.Future[Dict[str, Any]]" = loop.create_future()

        def work() -> None:
            try:
                answer, error = exchange.run(), None
            except TaskQueueError as failure:
                answer, error = {}, failure
            try:
                loop.call_soon_threadsafe(_settle, answered, answer, error)
            except RuntimeError:
                pass  # The loop is closed: nobody waits any more.

        # A thread of an executor would keep the event loop and the interpreter from their end.
        thread = threading.Thread(target=work, name="chatixia-registry", daemon=True)
        try:
            thread.start()
        except RuntimeError as error:
            raise TaskQueueError(f"{exchange.name}: {error}") from error
        late = TaskQueueError(f"{exchange.name}: no whole answer within {TIMEOUT_SECONDS:g} s")
        # Not `wait_for`: up to Python 3.11 it forgets a cancellation that comes together with the answer.
        timer = loop.call_later(TIMEOUT_SECONDS, _settle, answered, {}, late)
        try:
            return await answered
        finally:
            timer.cancel()
            exchange.abort()

    def tls(self) -> Optional[ssl.SSLContext]:
        """How to verify it; None for `http`. Reads files."""
        if self.is_secure and self._context is None:
            context = ssl.create_default_context()
            if self._ca_file:
                try:
                    context.load_verify_locations(self._ca_file)
                except OSError as error:
                    raise TaskQueueError(f"CA_FILE {self._ca_file} can't be used: {error}") from error
            self._context = context
        return self._context


class Exchange:
    """A request and its answer, by blocking calls, which another thread may cut short."""

    def __init__(self, server: Server, method: str, path: str, body: Any) -> None:
        self._server = server
        self._method = method
        self._path = path
        self._body = body
        self._connection: Optional[_Connection] = None
        self._is_aborted = False
        self.name = f"{method} {server.url}{path}"

    def run(self) -> Dict[str, Any]:
        """Gives the answer, or raises `TaskQueueError`."""
        try:
            data = None if self._body is None else json.dumps(self._body, allow_nan=False).encode()
        except (TypeError, ValueError, RecursionError) as error:
            raise TaskQueueError(f"{self.name}: what is to be sent is no JSON: {error}") from error
        try:
            connection = self._connection = _Connection(self._server)
            if self._is_aborted:
                connection.abort()
            try:
                return self._ask(connection, data)
            finally:
                connection.close()
        except (OSError, ValueError, RecursionError, http.client.HTTPException) as error:
            text = f"{type(error).__name__}: {error}"[:REASON_BYTES]
            raise TaskQueueError(f"{self.name}: {text}") from error

    def abort(self) -> None:
        """Ends it as soon as can be, if it has not ended. From any thread."""
        self._is_aborted = True
        if self._connection is not None:
            self._connection.abort()

    def _ask(self, connection: _Connection, data: Optional[bytes]) -> Dict[str, Any]:
        connection.connect()
        try:
            connection.request(self._method, self._server.path + self._path, data, self._server.headers)
        except (BrokenPipeError, ConnectionResetError):
            pass  # It may have answered before it had read everything, which is more than it takes.
        with connection.getresponse() as response:
            if not 200 <= response.status < 300:
                text = f"{self.name}: {response.status} {_reason(response)[:REASON_BYTES]}"
                raise TaskQueueError(text, response.status)
            content = response.read(ANSWER_BYTES + 1)
        if len(content) > ANSWER_BYTES:
            raise TaskQueueError(f"{self.name}: the answer is over {ANSWER_BYTES} bytes")
        answer = json.loads(content)
        if not isinstance(answer, dict):
            raise TaskQueueError(f"{self.name}: the answer is no JSON object")
        return answer


class _Connection(http.client.HTTPConnection):
    """One whose socket another thread may shut down, at any moment."""

    def __init__(self, server: Server) -> None:
        self._tls = server.tls()
        self._socket: Optional[socket.socket] = None
        self._is_aborted = False
        if self._tls is not None:
            self.default_port = 443
        super().__init__(server.host, server.port, timeout=TIMEOUT_SECONDS)

    def connect(self) -> None:
        self._hold(socket.create_connection((self.host, self.port), self.timeout))
        if self._tls is not None:
            tls = self._tls.wrap_socket(
                self.sock, server_hostname=self.host, do_handshake_on_connect=False
            )
            self._hold(tls)
            tls.do_handshake()

    def _hold(self, connected: socket.socket) -> None:
        self.sock = self._socket = connected
        if self._is_aborted:
            raise ConnectionAbortedError("nobody waits for it any more")

    def abort(self) -> None:
        self._is_aborted = True
        if self._socket is not None:
            try:
                # A TLS socket's own would say goodbye first.
                socket.socket.shutdown(self._socket, socket.SHUT_RDWR)
            except OSError:
                pass  # It is closed already.


def _reason(response: http.client.HTTPResponse) -> str:
    """Why a request is refused, as far as that comes: the status alone says what to do about it."""
    if 300 <= response.status < 400:
        return f"redirects are not followed ({response.getheader('Location')})"
    try:
        return response.read(REASON_BYTES).decode(errors="replace")
    except (OSError, http.client.HTTPException):
        return response.reason


def _parts(registry: str) -> SplitResult:
    """The parts of a registry's address. Errors tell no password."""
    shown = without_user(registry)
    if shown != registry:
        raise TaskQueueError(f"the registry {shown!r} has a user name or password before it: leave it out")
    try:
        parts = urlsplit(registry)
        is_usable = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
    except ValueError:
        is_usable = False
    # `urlsplit` leaves line breaks out, which makes it another address.
    if not is_usable or not registry.isprintable():
        raise TaskQueueError(f"the registry is {registry!r}, and not http://HOST or https://HOST")
    return parts


def _settle(
    future: "asyncio.Future[Dict[str, Any]]", answer: Dict[str, Any], error: Optional[TaskQueueError]
) -> None:
    if future.done():
        return
    if error is not None:
        future.set_exception(error)
    else:
        future.set_result(answer)
