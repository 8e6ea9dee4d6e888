"""Clients that come, talk, go and misbehave, for a while."""

import asyncio
import contextlib
import os
import random
import signal

from client import Peer, Registry, Watch, ask, closed, connect

SECONDS = float(os.environ.get("SOAK_SECONDS", 120))
PEERS, AGENTS, HOSTILE = 60, 20, 20
# Until then what is bounded fills, such as the tasks that have ended, which are kept for a minute. From there on
# nothing may grow.
SETTLED_SECONDS = min(75, 0.7 * SECONDS)
# The growth that is still a matter of the allocator.
GROWTH = 1.25
# A health check has to be answered within this, on a machine that does other things, too.
HEALTH_SECONDS = 5


class Account:
    """What was sent and what came of it."""

    def __init__(self):
        self.offers = self.arrived = self.tasks = self.done = self.refusals = self.slowest = 0
        self.online = {}


async def run():
    registry = Registry("--open")
    account, watch = Account(), Watch()
    clients = [introduce(registry, account, f"peer{n}", watch) for n in range(PEERS)]
    clients += [work(registry, account, f"agent{n}", watch) for n in range(AGENTS)]
    clients += [misbehave(registry, account, n, watch) for n in range(HOSTILE)]
    clients += [check(registry, account, watch), hang_up(registry, watch)]
    at_rest = registry.open_files()
    settled, _ = await asyncio.gather(memory_when_settled(registry, watch), asyncio.gather(*clients))
    memory = registry.memory()
    left = Watch()
    while registry.open_files() > at_rest:
        assert left.seconds() < 30, f"{registry.open_files()} files stay open, {at_rest} at the start"
        await asyncio.sleep(0.1)
    used = registry.processor_seconds()
    code, log = registry.end()
    print(
        f"soak: {watch.seconds():.0f} s, {account.offers} introductions, {account.offers - account.arrived} lost, "
        f"{account.tasks} tasks, {account.tasks - account.done} lost, {account.refusals} bad clients, memory "
        f"{settled / 2**20:.1f} MiB when settled and {memory / 2**20:.1f} MiB at the end, {used:.0f} s of a "
        f"processor, slowest health check {account.slowest * 1000:.0f} ms"
    )
    assert code == 0 and "panicked" not in log, log[-2000:]
    assert account.offers == account.arrived > 0 and account.tasks == account.done > 0
    assert account.slowest < HEALTH_SECONDS
    assert memory < settled * GROWTH, "memory grows"


async def memory_when_settled(registry, watch):
    await asyncio.sleep(max(0, SETTLED_SECONDS - watch.seconds()))
    return registry.memory()


async def introduce(registry, account, name, watch):
    """Comes, offers to others that are there, answers, and goes; again and again."""
    while watch.seconds() < SECONDS:
        peer = await Peer.open(registry, name)
        others = await peer.register()
        arrived = asyncio.Queue()
        account.online[name] = arrived

        async def listen():
            while (frame := await peer.receive()) is not None:
                if frame["type"] == "offer":
                    arrived.put_nowait(frame["payload"]["sdp"])

        listening = asyncio.create_task(listen())
        for target in random.sample(others, min(5, len(others))):
            queue = account.online.get(target)
            if queue is None:
                continue
            sdp = f"{name} {random.random()} " + "x" * random.choice([100, 5_000, 60_000])
            peer.send("heartbeat", payload={"mesh_peers": others[:20]})
            peer.send("offer", target, {"sdp": sdp})
            await peer.writer.drain()
            try:
                found = await asyncio.wait_for(queue_has(queue, sdp), 10)
            except asyncio.TimeoutError:
                found = False
            # It may have gone while the offer was under way, and then it is not to arrive.
            if account.online.get(target) is queue:
                account.offers += 1
                account.arrived += found
        await asyncio.sleep(random.random())
        # Whoever offers to it from now on does not count.
        del account.online[name]
        if random.random() < 0.5:
            peer.writer.transport.abort()
        await peer.close()
        listening.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await listening


async def queue_has(queue, wanted):
    """Waits until this is in the queue; puts back what is for others."""
    while True:
        found = await queue.get()
        if found == wanted:
            return True
        queue.put_nowait(found)
        await asyncio.sleep(0.01)


async def work(registry, account, name, watch):
    """Registers, gives itself tasks, does them, and leaves."""
    while watch.seconds() < SECONDS:
        agent = {"agent_id": name, "hostname": "h", "capabilities": {"skills": [name, "any"]}}
        await expect(registry, "POST", "/api/registry/agents", agent)
        for _ in range(5):
            task = {"target_agent_id": name, "source_agent_id": name, "payload": "x" * random.randrange(5_000)}
            answer = await expect(registry, "POST", "/api/hub/tasks", task)
            account.tasks += 1
            beat = await expect(registry, "POST", "/api/hub/heartbeat", {"agent_id": name})
            for pending in beat["pending_tasks"]:
                end = {"state": "completed", "result": "y" * random.randrange(5_000)}
                await expect(registry, "POST", f"/api/hub/tasks/{pending['id']}", end)
            shown = await expect(registry, "GET", f"/api/hub/tasks/{answer['task_id']}")
            account.done += shown["state"] == "completed"
            await expect(registry, "GET", "/api/registry/route?skill=any")
            await expect(registry, "GET", "/api/hub/network/topology")
            await asyncio.sleep(2)
        await expect(registry, "DELETE", f"/api/registry/agents/{name}")


async def expect(registry, method, path, body=None):
    status, content = await ask(registry, method, path, body=body)
    assert status == 200, f"{method} {path}: {status} {content}"
    return content


async def misbehave(registry, account, number, watch):
    """Sends nonsense, too much, too little, or too slowly."""
    kinds = [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"GET / HTTP/1.1\r\n" + b"x: y\r\n" * 200,
        b"POST /api/hub/tasks HTTP/1.1\r\ncontent-length: 60000\r\n\r\n" + b"x" * 30_000,
        b"POST /api/registry/agents HTTP/1.1\r\ncontent-length: 40\r\n\r\n" + b"[" * 40,
        b"POST /api/pairing/pair HTTP/1.1\r\ncontent-length: 40\r\n\r\n" + b'{"code": "000000", "agent_name": "me"}  ',
        b"POST /api/pairing/none/approve HTTP/1.1\r\n\r\n",
        b"POST /api/pairing/generate-code HTTP/1.1\r\n\r\n",
        b"OPTIONS * HTTP/1.1\r\n\r\n",
        b"DELETE /api/keys/x HTTP/1.1\r\n\r\n",
    ]
    while watch.seconds() < SECONDS:
        account.refusals += 1
        with contextlib.suppress(OSError, ConnectionError, asyncio.TimeoutError, RuntimeError):
            if random.random() < 0.3:
                await flood(registry, number)
            else:
                reader, writer = await connect(registry)
                writer.write(random.choice(kinds))
                await asyncio.wait_for(reader.read(random.choice([1, 100_000])), random.random() * 3)
                await closed(writer)
        await asyncio.sleep(random.random() / 10)


async def flood(registry, number):
    """A peer that breaks the rules of WebSocket, or of frames."""
    peer = await Peer.open(registry, f"hostile{number}")
    kind = random.randrange(4)
    if kind == 0:
        peer.writer.write(os.urandom(1000))
    elif kind == 1:
        peer.write(1, b"x" * 300_000)
    elif kind == 2:
        names = [str(random.random()) * 10 for _ in range(2_000)]
        await peer.register()
        peer.send("heartbeat", payload={"mesh_peers": names})
    else:
        for _ in range(1000):
            peer.send("register")
    await asyncio.wait_for(peer.writer.drain(), 1)
    await asyncio.sleep(random.random())
    peer.writer.transport.abort()
    await peer.close()


async def check(registry, account, watch):
    """Health checks, as whatever runs the registry does them."""
    while watch.seconds() < SECONDS:
        asked = Watch()
        await expect(registry, "GET", "/health")
        account.slowest = max(account.slowest, asked.seconds())
        await asyncio.sleep(1)


async def hang_up(registry, watch):
    while watch.seconds() < SECONDS:
        registry.process.send_signal(signal.SIGHUP)
        await asyncio.sleep(5)
