"""The same for programs without asyncio: an event loop on a thread of its own."""

from __future__ import annotations

import asyncio
import os
import threading
from concurrent.futures import CancelledError
from types import TracebackType
from typing import (
    Any,
    Callable,
    Coroutine,
    Dict,
    FrozenSet,
    Iterator,
    List,
    Mapping,
    Optional,
    Type,
    TypeVar,
)

from .cancelling import cancel
from .errors import ChatixiaError, NotRunning
from .message import Event, Kind, Message, Receipt
from .settings import Path, Transport
from .sidecar import Sidecar
from .threads import DaemonThreads

HANDLERS_AT_ONCE = 8

_Result = TypeVar("_Result")


class BlockingSidecar:
    """Spawns a sidecar and talks through it: `with BlockingSidecar(...) as sidecar`.

    Takes the arguments of `Sidecar`, whose methods of the same names say more. May be used by several
    threads. Handlers are plain functions, up to 8 at once on threads of their own, and may use it too.
    """

    def __init__(
        self,
        *,
        registry: Optional[str] = None,
        api_key: Optional[str] = None,
        device_token: Optional[str] = None,
        agent: Optional[str] = None,
        socket: Optional[Path] = None,
        binary: Optional[Path] = None,
        environment: Optional[Mapping[str, str]] = None,
        spawn: bool = True,
        start_timeout: float = 5.0,
        log_file: Optional[str] = None,
        transport: Transport = "socket",
    ) -> None:
        """See `Sidecar`."""
        self._sidecar = Sidecar(
            registry=registry,
            api_key=api_key,
            device_token=device_token,
            agent=agent,
            socket=socket,
            binary=binary,
            environment=environment,
            spawn=spawn,
            start_timeout=start_timeout,
            log_file=log_file,
            transport=transport,
        )
        self._handlers = DaemonThreads(HANDLERS_AT_ONCE, "chatixia-handler")
        # What is called goes to the loop under it, so that nothing reaches a loop that is ending.
        # Reentrant, as is the next: a signal may have a handler that stops the client.
        self._lock = threading.RLock()
        # Held while the client is stopped, and so by one thread after the other.
        self._stopping = threading.RLock()
        self._loop: Optional[asyncio.AbstractEventLoop] = None
        self._owner = os.getpid()
        self._was_started = False

    def start(self) -> "BlockingSidecar":
        """Begins the sidecar and waits until it is ready. Once; `with` takes one that is started already."""
        with self._lock:
            if self._was_started:
                raise ChatixiaError("a client is started once; make a new one")
            self._was_started = True
            self._owner = os.getpid()
            loop = asyncio.new_event_loop()
            thread = threading.Thread(target=_run, args=(loop,), name="chatixia-client", daemon=True)
            try:
                thread.start()
            except RuntimeError:
                loop.close()
                raise
            self._loop, self._thread = loop, thread
        try:
            self._call(self._sidecar.start())
        except BaseException:
            with self._stopping:
                self._end_loop()
            raise
        return self

    def stop(self) -> None:
        """Ends the sidecar. Handlers that are at work are not waited for. May be called again.

        If another thread has begun with it, waits for that. In a forked child it does nothing: the sidecar
        is its parent's.
        """
        if not self._is_ours:
            return
        with self._stopping:
            try:
                self._call(self._sidecar.stop())
            except NotRunning:
                pass
            finally:
                self._end_loop()

    def __enter__(self) -> "BlockingSidecar":
        """Begins it, unless `start` has done so already."""
        return self.start() if self._loop is None else self

    def __exit__(
        self,
        kind: Optional[Type[BaseException]],
        error: Optional[BaseException],
        traceback: Optional[TracebackType],
    ) -> None:
        self.stop()

    @property
    def peers(self) -> FrozenSet[str]:
        """The peers that are connected now."""
        return self._sidecar.peers

    @property
    def peer_id(self) -> Optional[str]:
        """The name of our sidecar."""
        return self._sidecar.peer_id

    @property
    def connected(self) -> bool:
        """Whether the sidecar is there."""
        return self._sidecar.connected

    def send(self, peer: str, kind: Kind, payload: Any = None) -> None:
        """Hands a message to the sidecar."""
        self._call(self._sidecar.send(peer, kind, payload))

    def deliver(self, peer: str, kind: Kind, payload: Any = None) -> Receipt:
        """Sends a message and waits until the peer's agent has it."""
        return self._call(self._sidecar.deliver(peer, kind, payload))

    def broadcast(self, kind: Kind, payload: Any = None) -> None:
        """Hands the sidecar a message for every peer that is connected."""
        self._call(self._sidecar.broadcast(kind, payload))

    def request(
        self,
        peer: str,
        kind: Kind,
        payload: Any = None,
        *,
        timeout: Optional[float] = 30.0,
        fallback: Optional[str] = None,
    ) -> Message:
        """Sends a message and waits for the response."""
        request = self._sidecar.request(peer, kind, payload, timeout=timeout, fallback=fallback)
        return self._call(request)

    def respond(self, to: Message, payload: Any = None) -> None:
        """Sends the response to a request that was received."""
        self._call(self._sidecar.respond(to, payload))

    def connect(self, peer: str, *, timeout: Optional[float] = 20.0) -> None:
        """Opens a connection to a peer."""
        self._call(self._sidecar.connect(peer, timeout=timeout))

    def wait_for_peer(self, peer: str, *, timeout: Optional[float] = 20.0) -> None:
        """Waits until a peer is connected."""
        self._call(self._sidecar.wait_for_peer(peer, timeout=timeout))

    def list_peers(self) -> List[str]:
        """The peers that are connected, as the sidecar tells it now."""
        return self._call(self._sidecar.list_peers())

    def stats(self) -> Dict[str, Any]:
        """The sidecar's numbers."""
        return self._call(self._sidecar.stats())

    def receive(self, timeout: Optional[float] = None) -> Optional[Message]:
        """The next message that no handler takes; None when none comes within `timeout` seconds, or ever."""
        try:
            return self._call(self._sidecar.receive(timeout))
        except NotRunning:
            if self._was_started:
                return None
            raise

    def messages(self) -> Iterator[Message]:
        """The messages that no handler takes, until `stop`."""
        while (message := self.receive()) is not None:
            yield message

    def on_message(self, kind: str, handler: Callable[[Message], None]) -> None:
        """Has messages of a type (`*`: any) handled."""
        self._sidecar.on_message(kind, self._on_thread(handler))

    def on_event(self, kind: str, handler: Callable[[Event], None]) -> None:
        """Has events of a type (`*`: any) handled."""
        self._sidecar.on_event(kind, self._on_thread(handler))

    def on_request(self, kind: str, handler: Callable[[Message], Any]) -> None:
        """Has messages of a type responded to with the payload that the function gives."""
        self._sidecar.on_request(kind)(self._on_thread(handler))

    def serve_queue(self, registry: Optional[str] = None, *, interval: float = 5.0) -> None:
        """Has tasks of a registry's task queue done by the handler of `task_request`."""
        self._call(_serve_queue(self._sidecar, registry, interval))

    def _on_thread(self, handler: Callable[[Any], _Result]) -> Callable[[Any], "asyncio.Future[_Result]"]:
        return lambda item: asyncio.wrap_future(self._handlers.submit(handler, item))

    @property
    def _is_ours(self) -> bool:
        """Whether this process has started it, and not the one that has forked this one."""
        return self._owner == os.getpid()

    def _call(self, work: Coroutine[Any, Any, _Result]) -> _Result:
        if not self._is_ours:
            work.close()
            raise NotRunning("the client is that of the process that has forked this one: make a new one")
        with self._lock:
            if self._loop is None:
                work.close()
                if self._was_started:
                    raise NotRunning("the client was stopped")
                raise NotRunning("start the client first: `with BlockingSidecar() as sidecar`")
            future = asyncio.run_coroutine_threadsafe(work, self._loop)
        try:
            return future.result()
        except CancelledError:
            raise NotRunning("the client was stopped") from None
        except BaseException:
            # An interrupt: whoever waited is gone.
            future.cancel()
            raise

    def _end_loop(self) -> None:
        with self._lock:
            loop, self._loop = self._loop, None
        if loop is not None:
            self._handlers.end()
            asyncio.run_coroutine_threadsafe(_cancel_others(), loop).result()
            loop.call_soon_threadsafe(loop.stop)
            self._thread.join()
            loop.close()


def _run(loop: asyncio.AbstractEventLoop) -> None:
    asyncio.set_event_loop(loop)
    loop.run_forever()


async def _cancel_others() -> None:
    await cancel(asyncio.all_tasks())


async def _serve_queue(sidecar: Sidecar, registry: Optional[str], interval: float) -> None:
    sidecar.serve_queue(registry, interval=interval)
