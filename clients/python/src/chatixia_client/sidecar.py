"""An agent's sidecar, and all that can be said through it."""

from __future__ import annotations

import asyncio
import itertools
import logging
import uuid
from contextlib import AsyncExitStack
from types import TracebackType
from typing import (
    Any,
    AsyncIterator,
    Awaitable,
    Callable,
    Dict,
    FrozenSet,
    List,
    Mapping,
    Optional,
    Sequence,
    Type,
    TypeVar,
)

from .cancelling import within
from .core import Core
from .errors import ChatixiaError, CommandFailed, RequestTimeout
from .handlers import EventHandler, MessageHandler, RequestHandler
from .message import BroadcastReceipt, Event, Kind, Message, Receipt, agent_of, response_type
from .queue_asker import Asker
from .queue_worker import Worker
from .settings import Path, Settings, Transport
from .task_queue import TaskQueue

log = logging.getLogger("chatixia_client")

NEVER_SENT = frozenset({"unknown_peer", "connect_failed", "peer_stalled", "too_many_peers"})
"""Error codes that say that nothing of the message has left: what is asked elsewhere is asked once."""

_Result = TypeVar("_Result")


class Sidecar:
    """Spawns a sidecar and talks through it: `async with Sidecar(...) as sidecar`.

    Register handlers before that: what comes before its handler goes to `messages()`. It belongs to the
    event loop that runs when it is started. What it can't do raises a `ChatixiaError`.

    **When the sidecar crashes** it is begun anew, after a pause that grows from 0.1 s to 5 s. Handlers,
    iterators and what was set stay. What is awaited at that moment (`request`, `deliver`, ...) fails with
    `SidecarLost`, since the message may have arrived or not: nothing is sent twice behind the agent's back.
    What is sent meanwhile waits. The event `sidecar` tells of it.
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
        """What is not given here is as in this process's environment (contract part 1).

        `registry`: `http://HOST` or `https://HOST`, from which the URLs of its parts follow.
        `agent`: the name of this agent; that of its peer, without `-sidecar`, unless given.
        `socket`: where the sidecar listens; in a private directory unless given.
        `binary`: see `find_binary`.
        `environment`: further settings of the sidecar, as in `{"MESH": "lazy"}`.
        `spawn`: False to use a sidecar that is run by others, at `socket`.
        `start_timeout`: seconds until a sidecar that is not ready is given up.
        `log_file`: where what the sidecar writes is appended, beside the logger `chatixia_client.sidecar`.
        `transport`: `"stdio"` to talk over the sidecar's standard input and output: without a socket, without
        waiting for one, and with a sidecar that ends with this process whatever ends that.
        """
        if transport not in ("socket", "stdio"):
            raise ValueError(f"the transport is {transport!r}, and not 'socket' or 'stdio'")
        if transport == "stdio" and (socket is not None or not spawn):
            raise ValueError(
                "a sidecar on standard input and output is spawned, and has no socket unless `environment` sets "
                "IPC_SOCKET"
            )
        if not spawn and socket is None:
            raise ValueError("say at which socket the sidecar is that is not to be spawned")
        self._settings = Settings(
            registry,
            api_key,
            device_token,
            socket,
            binary,
            environment or {},
            spawn,
            start_timeout,
            log_file,
            transport,
        )
        self._agent = agent
        self._core = Core(self._settings, self.respond)
        self._workers: List[Worker] = []
        self._request_ids = map(f"{uuid.uuid4().hex}-{{}}".format, itertools.count(1))

    # Beginning and end.

    async def start(self) -> "Sidecar":
        """Begins the sidecar and waits until it is ready; it need not be connected to the registry yet.

        Raises `BinaryNotFound`, `StartFailed` with the sidecar's log, `CommandFailed` (`busy`), or
        `NotRunning` if it is stopped meanwhile.
        """
        await self._core.start()
        return self

    async def stop(self) -> None:
        """Ends handlers and sidecar: SIGTERM, and SIGKILL if it has not ended within 5 s.

        Handlers are cancelled; those that go on all the same are left to themselves after 2 s. It does not
        wait until what was sent has arrived; `deliver` does. Even if it is cancelled itself, no sidecar is
        left behind. May be called again. In a forked child it does nothing: the sidecar is its parent's.
        """
        if not self._core.is_ours:
            return
        async with AsyncExitStack() as ending:
            # The last first, and each whatever becomes of the others.
            ending.push_async_callback(self._core.stop)
            for worker in self._workers:
                ending.push_async_callback(worker.stop)

    async def __aenter__(self) -> "Sidecar":
        """Begins it, unless `start` has done so already."""
        return self if self._core.is_running else await self.start()

    async def __aexit__(
        self,
        kind: Optional[Type[BaseException]],
        error: Optional[BaseException],
        traceback: Optional[TracebackType],
    ) -> None:
        await self.stop()

    # What is known.

    @property
    def agent(self) -> str:
        """The name of this agent, as others are told it; empty until it is known."""
        return self._agent or agent_of(self._core.peer_id or "")

    @property
    def peer_id(self) -> Optional[str]:
        """The name of our sidecar; None until the registry has given it, and with older sidecars."""
        return self._core.peer_id

    @property
    def peers(self) -> FrozenSet[str]:
        """The peers that are connected now."""
        return frozenset(self._core.peers)

    @property
    def connected(self) -> bool:
        """Whether the sidecar is there."""
        return self._core.is_up

    @property
    def pid(self) -> Optional[int]:
        """The process that was spawned."""
        return self._core.pid

    # Saying something.

    async def send(
        self, peer: str, kind: Kind, payload: Any = None, *, request_id: str = "", target_agent: str = ""
    ) -> None:
        """Hands a message to the sidecar, which connects to the peer first if need be.

        Waits while the sidecar takes no more (backpressure), and does not wait for the message to arrive.
        If it can't arrive, the event `error` tells. `deliver` waits, and raises. Raises `CommandFailed` at
        once only for what is too long (`message_too_large`, `line_too_long`).
        """
        message = self._message(kind, payload, request_id, target_agent or agent_of(peer))
        await self._core.write({"type": "send", "payload": {"target_peer": peer, "message": message}})

    async def deliver(
        self, peer: str, kind: Kind, payload: Any = None, *, request_id: str = "", target_agent: str = ""
    ) -> Receipt:
        """Sends a message and waits until the peer's agent has it. Raises `CommandFailed` if it can't."""
        message = self._message(kind, payload, request_id, target_agent or agent_of(peer))
        answer = await self._core.command("send", "ok", {"target_peer": peer, "message": message})
        return Receipt(answer.get("target_peer", peer), answer.get("receipt", ""))

    async def broadcast(self, kind: Kind, payload: Any = None, *, request_id: str = "") -> None:
        """Hands the sidecar a message for every peer that is connected."""
        message = self._message(kind, payload, request_id, "*")
        await self._core.write({"type": "broadcast", "payload": {"message": message}})

    async def deliver_to_all(self, kind: Kind, payload: Any = None) -> BroadcastReceipt:
        """Sends to every peer that is connected, and waits until it is known who has got it."""
        message = self._message(kind, payload, "", "*")
        answer = await self._core.command("broadcast", "ok", {"message": message})
        failed = {one["peer_id"]: one["code"] for one in answer.get("failed", ())}
        return BroadcastReceipt(answer.get("delivered", []), failed)

    async def request(
        self,
        peer: str,
        kind: Kind,
        payload: Any = None,
        *,
        timeout: Optional[float] = 30.0,
        fallback: Optional[str] = None,
        direct_timeout: float = 5.0,
        request_id: str = "",
        on_chunk: Optional[Callable[[Message], None]] = None,
    ) -> Message:
        """Sends a message and waits for that peer's message with the same `request_id`.

        `on_chunk` gets the stream chunks that come before it; without it they are messages like others.
        What it raises ends the request.

        `fallback` is a registry (`http://HOST`). If the peer is not connected, and does not become so
        within `direct_timeout` seconds, the task goes through that registry's task queue, and the response
        is what its worker has responded there. Only a `task_request` can. What was handed to a peer is
        never asked a second time through the queue.

        Raises `CommandFailed` when the peer can't be reached, `RequestTimeout` after `timeout` seconds in
        all (None: never, and not with `fallback`, since tasks expire), `SidecarLost`, and `TaskQueueError`.
        """
        message = self._message(kind, payload, request_id or next(self._request_ids), agent_of(peer))
        if fallback is None:
            return await self._core.ask(peer, message, on_chunk, timeout)
        if timeout is None:
            raise ValueError("a request with a fallback needs a timeout: a task expires in the queue")
        asker = Asker(self._task_queue(fallback), agent_of(peer), message, timeout)
        work = self._ask_peer_or_queue(peer, message, on_chunk, asker, direct_timeout, timeout)
        return await _within(timeout, work, f"{peer} has not responded to a {message['type']}")

    async def respond(self, to: Message, payload: Any = None, *, kind: str = "") -> None:
        """Sends the response to a request that was taken from `messages()`.

        Its type follows from the request's (`task_request`: `task_response`) unless given.
        """
        kind = kind or response_type(to.type)
        await self.send(
            to.from_peer, kind, payload, request_id=to.request_id, target_agent=to.source_agent
        )

    async def connect(self, peer: str, *, timeout: Optional[float] = 20.0) -> None:
        """Opens a connection to a peer, and waits for it. Raises `CommandFailed`, `RequestTimeout`."""
        if self._core.is_older:
            await self._core.write({"type": "connect", "payload": {"target_peer_id": peer}})
            await self.wait_for_peer(peer, timeout=timeout)
            return
        command = self._core.command("connect", "ok", {"target_peer_id": peer})
        await _within(timeout, command, f"{peer} is not connected")

    async def wait_for_peer(self, peer: str, *, timeout: Optional[float] = 20.0) -> None:
        """Waits until a peer is connected, without asking for it. Raises `RequestTimeout`."""
        await _within(timeout, self._core.until_connected(peer), f"{peer} is not connected")

    async def list_peers(self) -> List[str]:
        """The peers that are connected, as the sidecar tells it now."""
        answer = await self._core.command("list_peers", "peer_list", {})
        return list(answer.get("peers", []))

    async def stats(self) -> Dict[str, Any]:
        """The sidecar's numbers, as in the contract: `process` and `peers`."""
        return await self._core.command("stats", "stats", {})

    # Hearing something.

    def messages(self) -> AsyncIterator[Message]:
        """The messages that no handler took, those that wait already included. Ends with `stop`.

        Of several iterators each message goes to one. While more than 4 MiB of messages wait here,
        those who send to us are slowed down.
        """
        return self._core.inbox

    async def receive(self, timeout: Optional[float] = None) -> Optional[Message]:
        """The next of these messages; None when none comes within `timeout` seconds, or ever."""
        try:
            return await self._core.inbox.get(timeout)
        except (asyncio.TimeoutError, StopAsyncIteration):
            return None

    async def serve(self) -> None:
        """Lets the handlers work until `stop`, or until it is cancelled. Other messages are dropped."""
        async for message in self.messages():
            log.info("nobody handles a %s of %s", message.type, message.from_peer)

    def events(self) -> AsyncIterator[Event]:
        """The events from now on. Ends with `stop`. Each iterator gets all of them."""
        return self._core.new_stream()

    def on_message(self, kind: str, handler: MessageHandler) -> MessageHandler:
        """Has messages of a type (`*`: any) handled, by a function or coroutine function."""
        self._core.handlers.on_message(kind, handler)
        return handler

    def on_event(self, kind: str, handler: EventHandler) -> EventHandler:
        """Has events of a type (`*`: any) handled, by a function or coroutine function."""
        self._core.handlers.on_event(kind, handler)
        return handler

    def on_request(self, kind: str) -> Callable[[RequestHandler], RequestHandler]:
        """Decorator: the function gives the payload of the response to messages of this type.

        If it fails, or gives what can't be sent, the payload is `{"result": "", "error": text}`.
        """

        def register(handler: RequestHandler) -> RequestHandler:
            self._core.handlers.on_request(kind, handler)
            return handler

        return register

    def serve_queue(
        self, registry: Optional[str] = None, *, skills: Sequence[str] = (), interval: float = 5.0
    ) -> None:
        """Has tasks done that come through a registry's task queue, by the handler of `task_request`.

        `registry` is that of `REGISTRY_URL` unless given. Every `interval` seconds (0.1 at least) the queue is asked for tasks for this agent, and for those
        for anybody with one of the `skills`. One that is handed over again is not done again. Ends with
        `stop`.
        """
        registry = registry or self._settings.registry_url()
        if registry is None:
            raise ChatixiaError("say which registry's queue is meant: here, or as REGISTRY_URL")
        queue = self._task_queue(registry)
        worker = Worker(queue, self._core.handlers.request_handler, lambda: self.agent, skills, interval)
        self._workers.append(worker)
        worker.start()

    async def _ask_peer_or_queue(
        self,
        peer: str,
        message: Dict[str, Any],
        on_chunk: Optional[Callable[[Message], None]],
        asker: Asker,
        direct_timeout: float,
        timeout: float,
    ) -> Message:
        try:
            if peer not in self._core.peers:
                await self.connect(peer, timeout=direct_timeout)
        except (CommandFailed, RequestTimeout) as error:
            return await self._ask_queue(asker, peer, error)
        try:
            return await self._core.ask(peer, message, on_chunk, timeout)
        except CommandFailed as error:
            if error.code not in NEVER_SENT:
                raise
            return await self._ask_queue(asker, peer, error)

    async def _ask_queue(self, asker: Asker, peer: str, reason: ChatixiaError) -> Message:
        log.info("%s can't be reached (%s): its task goes through the registry", peer, reason)
        return await asker.ask()

    def _task_queue(self, registry: str) -> TaskQueue:
        return TaskQueue(registry, self._settings.registry_headers(), self._settings.ca_file())

    def _message(self, kind: Kind, payload: Any, request_id: str, target_agent: str) -> Dict[str, Any]:
        fields = {
            "type": kind,
            "request_id": request_id,
            "source_agent": self.agent,
            "target_agent": target_agent,
            "payload": payload,
        }
        if isinstance(kind, str):
            return fields
        whole = dict(kind)
        if not whole.get("request_id"):
            whole["request_id"] = request_id
        return whole


async def _within(timeout: Optional[float], work: Awaitable[_Result], what: str) -> _Result:
    try:
        return await within(timeout, work)
    except RequestTimeout:
        raise
    except asyncio.TimeoutError as error:
        raise RequestTimeout(f"{what} within {timeout:g} s") from error
