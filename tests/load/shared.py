"""Three registries over one Redis: peers spread over them, a registry that is killed, a store that is stopped."""

import asyncio
import collections
import json
import os
import pathlib
import random
import signal
import subprocess
import tempfile

from client import BINARY, PATIENCE, Peer, Registry, Watch, ask, closed, connect

REGISTRIES = 3
# Light peers, each a WebSocket that introduces itself to others all the time, and sidecars of ours.
PEERS = int(os.environ.get("SHARED_PEERS", 280))
SIDECARS = int(os.environ.get("SHARED_SIDECARS", 20))
# How many introductions are made while nothing happens.
INTRODUCTIONS = 4 * PEERS
# How soon all is whole again once the store is back.
WHOLE_SECONDS = float(os.environ.get("WHOLE_SECONDS", 2))
PASSWORD = "opensesame"


class Redis:
    """A `redis-server` on a free port, that keeps what it is told."""

    def __init__(self, directory, *arguments):
        self.directory, self.arguments, self.port = directory, arguments, None
        self.start()

    def start(self):
        while True:
            port = self.port or random.randrange(20_000, 32_000)
            command = ["redis-server", "--bind", "127.0.0.1", "--port", str(port), "--dir", str(self.directory)]
            command += ["--appendonly", "yes", "--save", "", "--requirepass", PASSWORD, "--logfile", "redis.log"]
            command += self.arguments
            self.process = subprocess.Popen(command)
            watch = Watch()
            while watch.seconds() < PATIENCE and self.process.poll() is None:
                if self.cli("PING") == "PONG":
                    self.port = port
                    return
            assert self.port is None, "redis-server does not start again"

    def cli(self, *command):
        port = self.process.args[4]
        environment = {**os.environ, "REDISCLI_AUTH": PASSWORD}
        asked = subprocess.run(
            ["redis-cli", "-p", port, *command], env=environment, capture_output=True, text=True, check=False
        )
        return asked.stdout.strip()

    def stop(self):
        self.process.terminate()
        self.process.wait(PATIENCE)

    def url(self):
        return f"redis://:{PASSWORD}@127.0.0.1:{self.port}"


class Account:
    """Introductions that were made, and those that did not arrive, by the time they were made in."""

    def __init__(self):
        self.phase = "quiet"
        self.made = collections.Counter()
        self.lost = collections.Counter()
        self.slowest = 0.0
        self.arrivals = {}

    async def has_made(self, count, phase):
        """Waits until so many introductions more were made in this phase."""
        wanted = self.made[phase] + count

        async def are_made():
            return self.made[phase] >= wanted

        await until(are_made, PATIENCE, f"fewer than {count} introductions are made {phase}")

    def shown(self):
        phases = (f"{self.made[name]} made and {self.lost[name]} lost {name}" for name in self.made)
        return ", ".join(phases)


class LightPeer:
    """A WebSocket at any registry that comes back at another when it loses it."""

    def __init__(self, number, registries, account):
        self.name = f"light{number}"
        self.number, self.registries, self.account = number, registries, account
        self.others, self.place, self.peer = [], None, None

    async def live(self):
        turn = self.number
        while True:
            place = turn % len(self.registries)
            turn += 1
            try:
                self.peer = await Peer.open(self.registries[place], self.name)
                self.others = await self.peer.register()
                self.place = place
                await self.listen()
            except (OSError, RuntimeError, ConnectionError, asyncio.TimeoutError, asyncio.IncompleteReadError):
                await asyncio.sleep(0.2)
            finally:
                self.place = None
                if self.peer is not None:
                    self.peer.writer.transport.abort()
                    self.peer = None

    async def listen(self):
        while (frame := await self.peer.receive()) is not None:
            if frame["type"] == "offer":
                arrived = self.account.arrivals.pop(frame["payload"]["sdp"], None)
                if arrived is not None:
                    arrived.set()
            elif frame["type"] == "peer_list":
                self.others = frame["payload"]["peers"]

    async def introduce(self, targets):
        """Offers to another again and again; counts those to whom both ends were there all the time."""
        while True:
            await asyncio.sleep(random.uniform(1, 3))
            target = random.choice(targets)
            mine, theirs = self.peer, target.peer
            if target is self or self.place is None or target.place is None:
                continue
            mark, arrived = f"{self.name} {random.random()}", asyncio.Event()
            self.account.arrivals[mark] = arrived
            phase, watch = self.account.phase, Watch()
            mine.send("offer", target.name, {"sdp": mark})
            try:
                await asyncio.wait_for(arrived.wait(), 5)
                self.account.made[phase] += 1
                self.account.slowest = max(self.account.slowest, watch.seconds())
            except asyncio.TimeoutError:
                # If one of them has lost its WebSocket meanwhile, that is not the registries' doing.
                if self.peer is mine and target.peer is theirs:
                    self.account.made[phase] += 1
                    self.account.lost[phase] += 1
            self.account.arrivals.pop(mark, None)


class Sidecar:
    """A sidecar of ours with an agent that asks it whom it is connected to."""

    def __init__(self, number, registry, directory):
        self.name, self.socket = f"mesh{number}", directory / f"{number}.sock"
        environment = {
            "API_KEY": self.name,
            "REGISTRY_URL": f"http://127.0.0.1:{registry.port}",
            "IPC_SOCKET": str(self.socket),
            "AGENT_LINGER": "inf",
            "BIND_ADDRESS": "127.0.0.1",
            # The light peers answer no offer, so nobody is connected to unless the agent says so.
            "MESH": "lazy",
            "ICE_SERVERS_FROM_REGISTRY": "off",
            "RUST_LOG": "error",
        }
        self.process = subprocess.Popen([BINARY], env=environment)

    async def connect_to_all(self):
        """Has it connect to all the others."""
        others = [f"mesh{n}" for n in range(SIDECARS) if f"mesh{n}" != self.name]
        commands = [{"type": "connect", "id": other, "payload": {"target_peer_id": other}} for other in others]
        answers = await self.exchange(commands, ("ok", "error"))
        failed = [answer for answer in answers if answer["type"] == "error"]
        assert not failed, f"{self.name}: {failed}"

    async def connected(self):
        """The peers that it is connected to."""
        (answer,) = await self.exchange([{"type": "list_peers", "payload": {}}], ("peer_list",))
        return answer["payload"]["peers"]

    async def exchange(self, commands, kinds):
        """Gives commands, and returns the answers to them, which are of these kinds."""
        reader, writer = await asyncio.open_unix_connection(str(self.socket))
        writer.write("".join(json.dumps(command) + "\n" for command in commands).encode())
        answers = []
        try:
            while len(answers) < len(commands):
                event = json.loads(await asyncio.wait_for(reader.readline(), PATIENCE))
                if event["type"] in kinds:
                    answers.append(event)
        finally:
            await closed(writer)
        return answers


async def until(condition, seconds, what):
    watch = Watch()
    while not await condition():
        assert watch.seconds() < seconds, f"{what} within {seconds} s"
        await asyncio.sleep(0.02)
    return watch.seconds()


async def health(registry):
    status, content = await ask(registry, "GET", "/health")
    assert status == 200, content
    return content


async def run():
    with tempfile.TemporaryDirectory(prefix="registry-store-") as directory:
        directory = pathlib.Path(directory)
        redis = Redis(directory)
        registries, sidecars, tasks = [], [], []
        try:
            registries += [Registry("--open", "--registry-store", redis.url()) for _ in range(REGISTRIES)]
            await play(redis, registries, sidecars, tasks, directory)
        finally:
            await end(tasks)
            for sidecar in sidecars:
                sidecar.process.terminate()
            for sidecar in sidecars:
                sidecar.process.wait(PATIENCE)
            for registry in registries:
                if registry.process.poll() is None:
                    registry.stop()
            redis.stop()


async def end(tasks):
    """Cancels tasks until they have ended: `wait_for` before Python 3.12 may return as if it was not cancelled."""
    while tasks:
        for task in tasks:
            task.cancel()
        _, tasks = await asyncio.wait(tasks, timeout=1)


async def play(redis, registries, sidecars, tasks, directory):
    account = Account()

    async def all_are_there():
        return all([(await health(registry))["state"] == "store" for registry in registries])

    await until(all_are_there, PATIENCE, "the registries do not find the store")
    await share_state(registries)
    await decide_once(registries)

    peers = [LightPeer(number, registries, account) for number in range(PEERS)]
    watch = Watch()
    tasks += [asyncio.create_task(peer.live()) for peer in peers]

    async def peers_are_online(alive=registries):
        counts = [(await health(registry))["peers"] for registry in alive]
        are_there = [peer.place is not None and registries[peer.place] in alive for peer in peers]
        return all(are_there) and min(counts) == max(counts) >= PEERS

    await until(peers_are_online, PATIENCE, "the peers do not come")
    print(f"shared: {PEERS} peers are online at {REGISTRIES} registries, {watch.seconds():.1f} s after the first")
    sidecars += [Sidecar(n, registries[n % REGISTRIES], directory) for n in range(SIDECARS)]
    await until(lambda: everybody(registries), PATIENCE, "the sidecars do not come")
    watch = Watch()
    await asyncio.gather(*(sidecar.connect_to_all() for sidecar in sidecars))

    async def mesh_is_full():
        connected = [await sidecar.connected() for sidecar in sidecars]
        return all(len(peers) == SIDECARS - 1 for peers in connected)

    await until(mesh_is_full, PATIENCE, "the mesh is not full")
    print(f"shared: {SIDECARS} sidecars at {REGISTRIES} registries are a full mesh after {watch.seconds():.1f} s")
    tasks += [asyncio.create_task(peer.introduce(peers)) for peer in peers]
    await account.has_made(INTRODUCTIONS, "quiet")

    # One of the registries is killed: its peers come back at the others.
    account.phase = "while a registry is killed"
    await asyncio.to_thread(registries[0].stop, signal.SIGKILL)
    alive = registries[1:]
    back = await until(lambda: peers_are_online(alive), PATIENCE, "the peers do not come back")
    print(f"shared: a registry is killed; its peers are all online at the others after {back:.1f} s")
    # The sidecars that were there have no other registry to go to: their places are given up.
    gone = len(range(0, SIDECARS, REGISTRIES))

    async def the_dead_are_gone():
        return {(await health(registry))["peers"] for registry in alive} == {PEERS + SIDECARS - gone}

    forgotten = await until(the_dead_are_gone, 10, "the dead are still listed")
    print(f"shared: the {gone} sidecars that had no other are offline {back + forgotten:.1f} s after the kill")
    await asyncio.to_thread(registries[0].start)
    returned = await until(lambda: everybody(registries), PATIENCE, "the sidecars do not come back")
    account.phase = "before the store is stopped"
    print(f"shared: it is started again; all {PEERS + SIDECARS} are online after {returned:.1f} s")

    # The store is stopped: who is connected stays so, newcomers are told to wait.
    account.phase = "while the store is away"
    await asyncio.to_thread(redis.stop)

    async def all_say_so():
        return all([(await health(registry))["state"] == "away" for registry in registries])

    noticed = await until(all_say_so, 10, "nobody notices that the store is away")
    status, head = await raw_status(registries[1], "newcomer")
    assert status == 503 and b"retry-after: 1" in head.lower(), head
    within = await introduce_within(peers, account)
    await asyncio.to_thread(redis.start)
    whole = await until(all_are_there, 10, "the registries do not find the store again")
    whole += await until(lambda: everybody(registries), 10, "not all are online again")
    crossed = await until(lambda: crosses(peers), 10, "no introduction crosses registries")
    newcomer = await Peer.open(registries[1], "newcomer")
    newcomer.writer.transport.abort()
    account.phase = "after the store has come back"
    print(
        f"shared: the store was away; noticed after {noticed:.1f} s, {within} introductions within a registry "
        f"meanwhile, whole again {whole + crossed:.2f} s after its return"
    )
    assert whole + crossed < WHOLE_SECONDS, "all is whole too late"
    await account.has_made(INTRODUCTIONS, account.phase)
    await until(mesh_is_full, PATIENCE, "the mesh is not full any more")
    await share_state(registries)
    used = [registry.processor_seconds() for registry in registries]
    memory = [registry.memory() / 2**20 for registry in registries]
    print(f"shared: introductions: {account.shown()}; the slowest took {account.slowest * 1000:.0f} ms")
    print(f"shared: processor {[round(s, 1) for s in used]} s, memory {[round(m, 1) for m in memory]} MiB")
    assert account.made["quiet"] > 0 and account.lost["quiet"] == 0
    for phase in ("before the store is stopped", "after the store has come back"):
        assert account.lost[phase] == 0, account.shown()
    assert account.made[account.phase] > 0
    for registry in registries:
        log = registry.logged()
        assert "panicked" not in log, log[-2000:]


async def everybody(registries):
    counts = {(await health(registry))["peers"] for registry in registries}
    return counts == {PEERS + SIDECARS}


async def crosses(peers):
    """Whether an offer to a peer at another registry arrives, for each pair of registries."""
    for place in range(REGISTRIES):
        sender = next((peer for peer in peers if peer.place == place), None)
        target = next((peer for peer in peers if peer.place == (place + 1) % REGISTRIES), None)
        if sender is not None and target is not None and not await offers(sender, target):
            return False
    return True


async def offers(sender, target):
    mark, arrived = f"probe {random.random()}", asyncio.Event()
    sender.account.arrivals[mark] = arrived
    sender.peer.send("offer", target.name, {"sdp": mark})
    try:
        await asyncio.wait_for(arrived.wait(), 1)
    except asyncio.TimeoutError:
        return False
    finally:
        sender.account.arrivals.pop(mark, None)
    return True


async def introduce_within(peers, account):
    """Introductions within each registry while the store is away; all of them arrive."""
    count = 0
    for place in range(REGISTRIES):
        here = [peer for peer in peers if peer.place == place]
        for sender, target in zip(here, here[1:10]):
            assert await offers(sender, target), f"{sender.name} does not reach {target.name}"
            assert target.name in await registered_again(sender)
            count += 1
    assert count > 0
    return count


async def registered_again(peer):
    peer.others = None
    peer.peer.send("register")

    async def is_answered():
        return peer.others is not None

    await until(is_answered, 5, "registering again is not answered")
    return peer.others


async def raw_status(registry, key):
    reader, writer = await connect(registry)
    writer.write(f"POST /api/token HTTP/1.1\r\nx-api-key: {key}\r\n\r\n".encode())
    head = await asyncio.wait_for(reader.read(), PATIENCE)
    await closed(writer)
    return int(head.split()[1]), head


async def expect(registry, method, path, body=None):
    status, content = await ask(registry, method, path, key="agent", body=body)
    assert status == 200, f"{method} {path}: {status} {content}"
    return content


async def share_state(registries):
    """What one registry is told all know: agents, tasks, tokens."""
    first, second, third = registries
    agent = {"agent_id": "worker", "hostname": "h", "capabilities": {"skills": ["dig"]}}
    await expect(first, "POST", "/api/registry/agents", agent)
    assert (await expect(second, "GET", "/api/registry/route?skill=dig"))["agent_id"] == "worker"
    task = await expect(second, "POST", "/api/hub/tasks", {"target_agent_id": "worker", "payload": 7})
    beat = await expect(third, "POST", "/api/hub/heartbeat", {"agent_id": "worker"})
    assert [pending["id"] for pending in beat["pending_tasks"]] == [task["task_id"]]
    await expect(first, "POST", f"/api/hub/tasks/{task['task_id']}", {"state": "completed", "result": 8})
    assert (await expect(second, "GET", f"/api/hub/tasks/{task['task_id']}"))["result"] == 8
    # A token opens a WebSocket anywhere; who comes again elsewhere is no longer here.
    status, token = await ask(first, "POST", "/api/token", key="mover")
    assert status == 200
    early = await Peer.open(first, "mover")
    await early.register()
    late = await Peer.open(second, "mover")
    await late.register()
    assert await asyncio.wait_for(early.receive(), 5) is None, "the older connection stays"
    for peer in (early, late):
        peer.writer.transport.abort()

    async def is_gone():
        return all([(await health(registry))["peers"] % (PEERS + SIDECARS) == 0 for registry in registries])

    await until(is_gone, 10, "the one who has gone is still listed")
    await expect(third, "DELETE", "/api/registry/agents/worker")


async def decide_once(registries):
    """Of many who ask at all registries at once one redeems a code, and one gets a task."""
    redeemed = handed_out = 0
    for number in range(4):
        code = (await expect(registries[0], "POST", "/api/pairing/generate-code"))["code"]
        body = {"code": code, "agent_name": f"device{number}"}
        asked = [ask(registry, "POST", "/api/pairing/pair", body=body) for registry in registries]
        statuses = sorted([status for status, _ in await asyncio.gather(*asked)])
        assert statuses == [200, 401, 401], statuses
        redeemed += 1
    for number in range(50):
        task = {"skill": "any", "payload": number}
        await expect(registries[number % REGISTRIES], "POST", "/api/hub/tasks", task)
        beats = [
            expect(registry, "POST", "/api/hub/heartbeat", {"agent_id": f"a{n}", "skill_names": ["any"]})
            for n, registry in enumerate([*registries, *registries])
        ]
        given = [len(beat["pending_tasks"]) for beat in await asyncio.gather(*beats)]
        assert sum(given) == 1, given
        handed_out += 1
    for number in range(6):
        await expect(registries[0], "DELETE", f"/api/registry/agents/a{number}")
    print(f"shared: of {redeemed} codes and {handed_out} tasks that {REGISTRIES} registries were asked for at once, each was given once")
