"""For tests of agents: a stand-in for a sidecar, without a process, a registry or a network.

```python
async with StandInSidecar(peers=["bob"]) as mesh:
    async with Sidecar(socket=mesh.path, spawn=False) as sidecar:
        ...  # the agent under test, with this sidecar
        response = await mesh.ask("bob", "task_request", {"text": "hello"})
```

`BlockingSidecar(socket=mesh.path, spawn=False)` and `MeshClient(mesh.path)`, started with
`start(auto_spawn_sidecar=False)`, are served as well.
"""

from __future__ import annotations

import asyncio
import itertools
import shutil
import tempfile
from pathlib import Path
from types import TracebackType
from typing import (
    Any,
    Awaitable,
    Callable,
    Dict,
    Iterable,
    Mapping,
    NamedTuple,
    Optional,
    Set,
    Tuple,
    Type,
    TypeVar,
)

from .cancelling import within
from .lines import decode, encode
from .message import CHUNKS, Message
from .settings import Path as AnyPath

__all__ = ["Sent", "StandInSidecar", "Talk"]

PATIENCE = 5.0
"""Seconds that an agent may take to do what a test waits for, unless the test says otherwise."""

LINE_BYTES = 64 * 1024 * 1024
"""Longest line that an agent may write."""

Talk = Callable[["StandInSidecar"], Awaitable[None]]
"""What a stand-in says to an agent that it has greeted, in place of what a sidecar would."""

_Result = TypeVar("_Result")


class Sent(NamedTuple):
    """A message that the agent has sent."""

    peer: str
    """Whom it is for. Of a broadcast there is one for each peer."""

    message: Message


class StandInSidecar:
    """Takes the place of a sidecar: greets an agent, answers its commands, and lets a test play its peers.

    It has peers as the test says (`peers`, `connect_peer`, `disconnect_peer`). What the agent sends to one of
    them counts as delivered, and is what `ask` and `sent` give; what it sends to anybody else is refused
    (`unknown_peer`), or as `refuse` says.

    One agent at a time; it may go and come back. To be used in one event loop, which need not be the agent's.
    """

    def __init__(
        self,
        path: Optional[AnyPath] = None,
        talk: Optional[Talk] = None,
        *,
        peer_id: str = "stand-in",
        peers: Iterable[str] = (),
    ) -> None:
        """`path`: where its socket is; in a directory of its own unless given.
        `talk`: what is done with each agent after its greeting, with `tell` and `command`, in place of what a
        sidecar does: for tests of what no sidecar says, or not at that moment.
        `peer_id`: the name that the registry would have given.
        `peers`: those who are connected when the agent comes.
        """
        self._directory: Optional[str] = None
        if path is None:
            self._directory = tempfile.mkdtemp(prefix="chatixia-stand-in-")
            path = Path(self._directory) / "s"
        self.path = str(path)
        """The socket, to be given to the client as `socket`."""
        self.ready: Dict[str, Any] = {"protocol": 1, "peer_id": peer_id}
        """The payload of the agent's first event. May be changed before it comes."""
        self.peers: Set[str] = set(peers)
        """Those who are connected."""
        self._talk = talk or _be_a_sidecar
        self._refused: Dict[str, str] = {}
        self._asked: Dict[Tuple[str, str], "asyncio.Future[Message]"] = {}
        self._request_ids = map("asked-{}".format, itertools.count(1))
        self._server: Optional[asyncio.AbstractServer] = None
        self._talking: "Set[asyncio.Task[Any]]" = set()
        self._failure: Optional[Exception] = None
        # Made in `start`: before Python 3.10 they belong to the event loop in which they are made.
        self._sent: "asyncio.Queue[Sent]"
        self._greeted: asyncio.Event
        self._reader: asyncio.StreamReader
        self._writer: Optional[asyncio.StreamWriter] = None

    # Beginning and end.

    async def start(self) -> "StandInSidecar":
        """Listens."""
        self._sent = asyncio.Queue()
        self._greeted = asyncio.Event()
        self._server = await asyncio.start_unix_server(self._serve, self.path, limit=LINE_BYTES)
        return self

    async def stop(self) -> None:
        """Ends the agent's connection, and waits until `talk` is done. Raises what that has raised."""
        if self._server is not None:
            self._server.close()
        if self._writer is not None:
            self._writer.close()
        try:
            await _in_time(PATIENCE, asyncio.gather(*self._talking), "what `talk` does with the agent has not ended")
        finally:
            if self._directory is not None:
                shutil.rmtree(self._directory, ignore_errors=True)
            if self._failure is not None:
                raise self._failure

    async def __aenter__(self) -> "StandInSidecar":
        return await self.start()

    async def __aexit__(
        self,
        kind: Optional[Type[BaseException]],
        error: Optional[BaseException],
        traceback: Optional[TracebackType],
    ) -> None:
        await self.stop()

    # What a test does in the place of peers.

    async def connect_peer(self, peer: str) -> None:
        """A peer comes, which the agent is told."""
        self.peers.add(peer)
        await self.tell("peer_connected", {"peer_id": peer})

    async def disconnect_peer(self, peer: str) -> None:
        """A peer goes, which the agent is told."""
        self.peers.discard(peer)
        await self.tell("peer_disconnected", {"peer_id": peer})

    async def message(
        self, kind: str, payload: Any = None, *, peer: str = "bob", request_id: str = ""
    ) -> None:
        """A peer's message reaches the agent."""
        message = {
            "type": kind,
            "request_id": request_id,
            "source_agent": "",
            "target_agent": "",
            "payload": payload,
        }
        await self.tell("message", {"from_peer": peer, "message": message})

    async def ask(
        self, peer: str, kind: str, payload: Any = None, *, timeout: float = PATIENCE
    ) -> Message:
        """A peer's request reaches the agent; gives the agent's response, which `sent` does not give.

        Raises `AssertionError` when none comes within `timeout` seconds.
        """
        request_id = next(self._request_ids)
        response: "asyncio.Future[Message]" = asyncio.get_running_loop().create_future()
        self._asked[peer, request_id] = response
        try:
            await self.message(kind, payload, peer=peer, request_id=request_id)
            return await _in_time(timeout, response, f"the agent has not responded to the {kind} of {peer}")
        finally:
            del self._asked[peer, request_id]

    async def sent(self, *, timeout: float = PATIENCE) -> Sent:
        """The next message that the agent has sent. Raises `AssertionError` when there is none in time."""
        return await _in_time(timeout, self._sent.get(), "the agent has sent nothing")

    def refuse(self, peer: str, code: Optional[str] = "connect_failed") -> None:
        """From now on what the agent sends to a peer fails with one of the contract's codes; with None it does
        not any more."""
        if code is None:
            self._refused.pop(peer, None)
        else:
            self._refused[peer] = code

    # What it says itself.

    async def tell(self, kind: str, payload: Any, **fields: Any) -> None:
        """Tells the agent an event as it is. Waits for the agent, and while it does not read."""
        await _in_time(PATIENCE, self._greeted.wait(), "no agent has come")
        await self._write(kind, payload, **fields)

    async def command(self) -> Dict[str, Any]:
        """The agent's next command, for `talk`. Raises `ConnectionError` after the last."""
        line = await self._reader.readline()
        if not line:
            raise ConnectionError("the agent has gone")
        command = decode(line)
        assert isinstance(command, dict), command
        return command

    async def answer(self, command: Mapping[str, Any]) -> None:
        """Does a command as a sidecar would, for `talk`."""
        kind, payload = command.get("type"), command.get("payload") or {}
        if kind == "list_peers":
            await self._give(command, "peer_list", {"peers": sorted(self.peers)})
        elif kind == "stats":
            peers = [{"peer_id": peer, "state": "connected"} for peer in sorted(self.peers)]
            await self._give(command, "stats", {"process": dict(self.ready), "peers": peers})
        elif kind == "send":
            peer, message = payload["target_peer"], payload["message"]
            if await self._is_reached(command, peer, message):
                self._take(peer, message)
                await self._give(command, "ok", {"target_peer": peer, "receipt": "agent"}, if_asked=True)
        elif kind == "broadcast":
            reached = sorted(peer for peer in self.peers if peer not in self._refused)
            for peer in reached:
                self._take(peer, payload["message"])
            failed = [
                {"peer_id": peer, "code": self._refused[peer]} for peer in sorted(self.peers - set(reached))
            ]
            await self._give(command, "ok", {"delivered": reached, "failed": failed}, if_asked=True)
        elif kind == "connect":
            if await self._is_reached(command, payload["target_peer_id"], {}):
                await self._give(command, "ok", dict(payload), if_asked=True)
        else:
            error = {"code": "unknown_command", "message": f"there is no command {kind!r}"}
            await self._give(command, "error", error)

    async def _is_reached(
        self, command: Mapping[str, Any], peer: str, message: Mapping[str, Any]
    ) -> bool:
        code = self._refused.get(peer) or (None if peer in self.peers else "unknown_peer")
        if code is None:
            return True
        error = {"code": code, "message": "as the test wants it", "target_peer": peer}
        if "request_id" in message:
            error["request_id"] = message["request_id"]
        await self._give(command, "error", error)
        return False

    def _take(self, peer: str, raw: Dict[str, Any]) -> None:
        message = Message(str(self.ready.get("peer_id", "")), raw)
        response = self._asked.get((peer, message.request_id))
        if response is not None and not response.done() and message.type not in CHUNKS:
            response.set_result(message)
        else:
            self._sent.put_nowait(Sent(peer, message))

    async def _give(
        self, command: Mapping[str, Any], kind: str, payload: Any, *, if_asked: bool = False
    ) -> None:
        """Answers a command; with `if_asked` only one that has an id."""
        if "id" in command:
            await self._write(kind, payload, id=command["id"])
        elif not if_asked:
            await self._write(kind, payload)

    async def _write(self, kind: str, payload: Any, **fields: Any) -> None:
        if self._writer is None:
            raise ConnectionError("the agent has gone")
        self._writer.write(encode({"type": kind, "payload": payload, **fields}))
        await self._writer.drain()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._talking.add(task)
        task.add_done_callback(self._talking.discard)
        if self._writer is not None:
            busy = {"code": "busy", "message": "another agent is connected"}
            writer.write(encode({"type": "error", "payload": busy}))
            writer.close()
            return
        self._reader, self._writer = reader, writer
        try:
            first = await self.command()
            await self._write("ready", self.ready)
            for peer in sorted(self.peers):
                await self._write("peer_connected", {"peer_id": peer})
            await self.answer(first)
            self._greeted.set()
            await self._talk(self)
        except ConnectionError:
            pass
        except Exception as failure:
            # For whoever stops it: nobody awaits this task.
            self._failure = failure
        finally:
            self._greeted.clear()
            self._writer = None
            writer.close()


async def _be_a_sidecar(stand_in: StandInSidecar) -> None:
    while True:
        await stand_in.answer(await stand_in.command())


async def _in_time(timeout: float, work: Awaitable[_Result], what: str) -> _Result:
    try:
        return await within(timeout, work)
    except asyncio.TimeoutError:
        raise AssertionError(f"{what} within {timeout:g} s") from None
