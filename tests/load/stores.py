"""What a store may be and do: behind TLS, found by Sentinels, replaced by another, silent, emptied, cut off."""

import asyncio
import contextlib
import pathlib
import signal
import subprocess
import tempfile

from client import BINARY, PATIENCE, Peer, Registry, Watch, ask, closed
from shared import PASSWORD, Redis, health, until


async def run():
    with tempfile.TemporaryDirectory(prefix="registry-store-") as directory:
        for name, part in (("TLS", tls), ("a store that is silent", silent), ("a store that is gone", gone),
                           ("a store that is emptied", emptied), ("Sentinels", sentinels), ("a wrong password", refused), ("outages", outages),
                           ("a crowd", crowd), ("a busy registry", busy), ("orders", orders),
                           ("lost answers", lost_answers)):
            place = pathlib.Path(directory) / name.replace(" ", "-")
            place.mkdir()
            watch = Watch()
            with Programs() as programs:
                await part(programs, place)
            print(f"stores: {name}: ok, {watch.seconds():.1f} s")


class Programs:
    """Programs that end with the test."""

    def __init__(self):
        self.ends = []

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for end in reversed(self.ends):
            end()

    def redis(self, directory, *arguments):
        redis = Redis(directory, *arguments)
        self.ends.append(redis.stop)
        return redis

    def registry(self, url, *arguments, access=("--open",)):
        registry = Registry(*access, "--registry-store", url, *arguments)

        def end():
            code, log = registry.end()
            assert code == 0 and "panicked" not in log and PASSWORD not in log, log

        self.ends.append(end)
        return registry


async def has_store(registry):
    return (await health(registry))["state"] == "store"


async def is_away(registry):
    return (await health(registry))["state"] == "away"


async def introduce(one, other):
    """An offer from a peer at one registry to a peer at the other."""
    target = await Peer.open(other, "target")
    await target.register()
    sender = await Peer.open(one, "sender")
    assert "target" in await sender.register()
    sender.send("offer", "target", {"sdp": "hello"})
    frame = await asyncio.wait_for(target.receive(), PATIENCE)
    assert frame["payload"] == {"sdp": "hello"}, frame
    return sender, target


async def tls(programs, directory):
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    command += ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"]
    certificate, key = directory / "cert.pem", directory / "key.pem"
    subprocess.run([*command, "-out", certificate, "-keyout", key], check=True, capture_output=True)
    redis = programs.redis(directory)
    tls_port = redis.port + 1
    for name, value in (("tls-cert-file", certificate), ("tls-key-file", key), ("tls-ca-cert-file", certificate),
                        ("tls-auth-clients", "no"), ("tls-port", tls_port)):
        assert redis.cli("CONFIG", "SET", name, str(value)) in ("OK", ""), name
    url = f"rediss://default:{PASSWORD}@localhost:{tls_port}/3"
    registries = [programs.registry(url, "--ca-file", str(certificate)) for _ in range(2)]
    for registry in registries:
        await until(lambda: has_store(registry), PATIENCE, "no store over TLS")
    await introduce(*registries)
    stranger = programs.registry(url)

    async def is_refused():
        return "cannot be used: invalid peer certificate" in stranger.logged()

    await until(is_refused, PATIENCE, "nothing is said about a certificate that is not known")
    assert await is_away(stranger), "a certificate that is not known is trusted"


async def silent(programs, directory):
    redis = programs.redis(directory)
    registries = [programs.registry(redis.url()) for _ in range(2)]
    for registry in registries:
        await until(lambda: has_store(registry), PATIENCE, "no store")
    sender, target = await introduce(*registries)
    leaver = await Peer.open(registries[1], "leaver")
    await leaver.register()
    redis.process.send_signal(signal.SIGSTOP)
    try:
        neighbour = asyncio.create_task(ask(registries[0], "POST", "/api/token", key="neighbour"))
        for registry in registries:
            await until(lambda: is_away(registry), 10, "nobody notices that the store is silent")
        status, _ = await neighbour
        assert status == 503, status
        sender.send("register")
        frame = await asyncio.wait_for(sender.receive(), PATIENCE)
        assert frame["type"] == "peer_list", frame
        # Who leaves meanwhile is offline afterwards.
        before = (await health(registries[1]))["peers"]
        leaver.writer.transport.abort()

        async def has_left():
            return (await health(registries[1]))["peers"] == before - 1

        await until(has_left, PATIENCE, "nobody notices that one leaves")
    finally:
        redis.process.send_signal(signal.SIGCONT)
    for registry in registries:
        await until(lambda: has_store(registry), 2, "the store is not found again")
    for registry in registries:
        async def both_are_listed():
            return (await health(registry))["peers"] == 2

        await until(both_are_listed, 2, "others are listed than are online")
    sender.send("offer", "target", {"sdp": "again"})
    assert (await asyncio.wait_for(target.receive(), PATIENCE))["payload"] == {"sdp": "again"}


async def gone(programs, directory):
    """Who leaves while the store is gone is offline, however often the store is tried, and when it is there again."""
    redis = programs.redis(directory)
    registry = programs.registry(redis.url())
    await until(lambda: has_store(registry), PATIENCE, "no store")
    stays, leaves = [await Peer.open(registry, name) for name in ("stays", "leaves")]
    for peer in (stays, leaves):
        await peer.register()
    redis.stop()
    await until(lambda: is_away(registry), PATIENCE, "nobody notices that the store is gone")
    leaves.writer.transport.abort()

    async def listed(expected):
        return (await health(registry))["peers"] == expected

    await until(lambda: listed(1), PATIENCE, "nobody notices that one leaves")
    # Four tries to reach the store a second.
    watch = Watch()
    while watch.seconds() < 1.5:
        assert await listed(1), "who has left is listed again"
        await asyncio.sleep(0.05)
    redis.start()
    await until(lambda: has_store(registry), PATIENCE, "the store is not found again")
    await until(lambda: listed(1), PATIENCE, "who has left is listed after the store's return")
    assert "leaves" not in await stays.register()

    async def is_kept():
        return redis.cli("HKEYS", "chatixia:1:online") == "stays"

    await until(is_kept, PATIENCE, "the store holds others than are online")


async def emptied(programs, directory):
    redis = programs.redis(directory)
    registries = [programs.registry(redis.url()) for _ in range(2)]
    for registry in registries:
        await until(lambda: has_store(registry), PATIENCE, "no store")
    sender, target = await introduce(*registries)
    redis.cli("FLUSHALL")

    async def are_online_again():
        return [(await health(registry))["peers"] for registry in registries] == [2, 2]

    # Until then they are listed as before, since nobody has noticed.
    async def is_filled_again():
        return redis.cli("HLEN", "chatixia:1:online") == "2"

    await until(is_filled_again, 10, "the store is not told who is online")
    await until(are_online_again, 10, "the peers are not told again")
    sender.send("offer", "target", {"sdp": "again"})
    assert (await asyncio.wait_for(target.receive(), PATIENCE))["payload"] == {"sdp": "again"}


async def sentinels(programs, directory):
    places = [directory / name for name in ("one", "two", "sentinel")]
    for place in places:
        place.mkdir()
    first = programs.redis(places[0], "--masterauth", PASSWORD)
    second = programs.redis(places[1], "--masterauth", PASSWORD, "--replicaof", "127.0.0.1", str(first.port))
    port = second.port + 1
    configuration = places[2] / "sentinel.conf"
    configuration.write_text(
        f"port {port}\nbind 127.0.0.1\ndir {places[2]}\nlogfile sentinel.log\n"
        f"sentinel monitor mesh 127.0.0.1 {first.port} 1\nsentinel auth-pass mesh {PASSWORD}\n"
        "sentinel down-after-milliseconds mesh 1000\nsentinel failover-timeout mesh 5000\n",
        encoding="utf-8",
    )
    sentinel = subprocess.Popen(["redis-server", str(configuration), "--sentinel"])
    programs.ends.append(lambda: (sentinel.terminate(), sentinel.wait(PATIENCE)))
    # The first that is named is not there.
    url = f"redis-sentinel://:{PASSWORD}@127.0.0.1:1,127.0.0.1:{port}/mesh"
    registries = [programs.registry(url) for _ in range(2)]
    for registry in registries:
        await until(lambda: has_store(registry), PATIENCE, "no store by way of a Sentinel")
    sender, target = await introduce(*registries)

    async def replica_follows():
        return "master_link_status:up" in second.cli("INFO", "replication")

    await until(replica_follows, PATIENCE, "the replica does not follow")
    # Sentinels learn of replicas from the master, each ten seconds.
    async def sentinel_knows():
        asked = ["redis-cli", "-p", str(port), "SENTINEL", "replicas", "mesh"]
        return str(second.port) in subprocess.run(asked, capture_output=True, text=True, check=False).stdout

    await until(sentinel_knows, PATIENCE, "the Sentinel does not know the replica")
    first.process.kill()
    for registry in registries:
        await until(lambda: is_away(registry), PATIENCE, "nobody notices")
    for registry in registries:
        await until(lambda: has_store(registry), PATIENCE, "the replica is not found")
    sender.send("offer", "target", {"sdp": "again"})
    assert (await asyncio.wait_for(target.receive(), PATIENCE))["payload"] == {"sdp": "again"}


async def refused(programs, directory):
    redis = programs.redis(directory)
    registry = programs.registry(redis.url().replace(PASSWORD, "guess"))
    await until(lambda: is_told(registry), PATIENCE, "nothing is said about the password")
    assert await is_away(registry)
    assert registry.logged().count("cannot be used") == 1, registry.logged()
    # What needs nothing of the store is answered all the same.
    assert (await ask(registry, "GET", "/nothing"))[0] == 404
    assert (await ask(registry, "POST", "/api/token", key="anybody"))[0] == 503


async def outages(programs, directory):
    """Each outage is told once, though the reason is the same each time."""
    redis = programs.redis(directory)
    registry = programs.registry(redis.url())
    for number in (1, 2):
        await until(lambda: has_store(registry), PATIENCE, "no store")
        redis.process.send_signal(signal.SIGSTOP)
        try:
            await until(lambda: is_away(registry), PATIENCE, "nobody notices")

            async def is_told_again():
                return registry.logged().count("cannot be used: it does not answer within 2 s") == number

            await until(is_told_again, PATIENCE, f"outage {number} is not told")
        finally:
            redis.process.send_signal(signal.SIGCONT)
    await until(lambda: has_store(registry), PATIENCE, "no store")
    assert registry.logged().count("cannot be used") == 2, registry.logged()


async def crowd(programs, directory):
    """Requests that wait for the store take no more than their address's share of the room for bodies."""
    redis = programs.redis(directory)
    registry = programs.registry(redis.url())
    await until(lambda: has_store(registry), PATIENCE, "no store")

    async def posted(own_address):
        reader, writer = await asyncio.open_connection("127.0.0.1", registry.port, local_addr=(own_address, 0))
        body = b" " * 65536
        writer.write(b"POST /api/hub/tasks HTTP/1.1\r\nx-api-key: a\r\ncontent-length: %d\r\n\r\n" % len(body) + body)
        answer = await asyncio.wait_for(reader.read(), PATIENCE)
        await closed(writer)
        return "the store" if b"the store" in answer else answer.partition(b"\r\n\r\n")[2].decode()

    # It is noticed after two seconds; until then all wait.
    redis.process.send_signal(signal.SIGSTOP)
    try:
        asked = [asyncio.create_task(posted("127.0.0.2")) for _ in range(64)]
        asked.append(asyncio.create_task(posted("127.0.0.1")))
        *crowded, other = await asyncio.gather(*asked)
    finally:
        redis.process.send_signal(signal.SIGCONT)
    refused = sum("too many requests are on their way" in answer for answer in crowded)
    assert refused == 32, f"{refused} of 64 bodies of one address are refused"
    assert other == "the store", other


async def busy(programs, directory):
    """Who was at a registry that is killed is offline, however busy the other is."""
    redis = programs.redis(directory)
    survivor = programs.registry(redis.url())
    killed = Registry("--open", "--registry-store", redis.url())
    for registry in (survivor, killed):
        await until(lambda: has_store(registry), PATIENCE, "no store")
    peer = await Peer.open(killed, "peer")
    await peer.register()

    async def counts(peers):
        # A token changes the state that is shared.
        assert (await ask(survivor, "POST", "/api/token", key="other"))[0] == 200
        return (await health(survivor))["peers"] == peers

    await until(lambda: counts(1), PATIENCE, "the peer is not listed")
    killed.stop(signal.SIGKILL)
    try:
        await until(lambda: counts(0), 10, "the dead are still listed")
    finally:
        killed.log.close()
        killed.directory.cleanup()


async def orders(programs, directory):
    """What the owner says at one registry counts at the other."""
    redis = programs.redis(directory)
    first, second = (programs.registry(redis.url(), access=()) for _ in range(2))
    for registry in (first, second):
        await until(lambda: has_store(registry), PATIENCE, "no store")
    key = await order(first, "key", "add", "alice")
    status, content = await ask(second, "POST", "/api/token", key=key)
    assert status == 200 and content["peer_id"] == "alice-sidecar", content
    alice = await Peer.open(second, key)
    alice.name = "alice-sidecar"
    await alice.register()
    await order(first, "revoke", "alice")
    assert await asyncio.wait_for(alice.receive(), 5) is None, "who is revoked stays connected"
    assert (await ask(second, "POST", "/api/token", key=key))[0] == 401

    code = await order(first, "invite")
    body = {"code": code, "agent_name": "laptop"}
    status, device = await ask(second, "POST", "/api/pairing/pair", body=body)
    assert status == 200, device
    await order(first, "approve", "laptop")
    status, shown = await ask(second, "GET", f"/api/pairing/{device['id']}")
    assert status == 200 and shown["device_token"].startswith("dt_"), shown
    assert (await ask(first, "POST", "/api/token", key=shown["device_token"]))[0] == 200
    kept = redis.cli("HGETALL", "chatixia:1:keys") + redis.cli("HGETALL", "chatixia:1:tokens")
    assert key not in kept, "only hashes are kept"


async def lost_answers(programs, directory):
    """The store takes changes, but what it says to that is lost. Who asked hears what has come of it, without asking again."""
    redis = programs.redis(directory)
    way = await Way.open(redis.port)
    registry = programs.registry(redis.url().replace(str(redis.port), str(way.port)))
    await until(lambda: has_store(registry), PATIENCE, "no store")

    async def code():
        status, made = await ask(registry, "POST", "/api/pairing/generate-code", key="owner")
        assert status == 200, made
        return made["code"]

    async def pair(code, name):
        return await ask(registry, "POST", "/api/pairing/pair", body={"code": code, "agent_name": name})

    async def paired(name):
        await until(lambda: has_store(registry), PATIENCE, "no store")
        _, devices = await ask(registry, "GET", "/api/pairing/all", key="owner")
        return [device["agent_name"] for device in devices].count(name)

    # The answer is lost: the code is redeemed, and its device is told so.
    way.breaks("taken", after_answer=True)
    status, device = await pair(await code(), "taken")
    assert status == 200 and device["status"] == "pending_approval", (status, device)
    assert way.has_broken and await paired("taken") == 1

    # The command is lost: the code is as good as before.
    again = await code()
    way.breaks("untaken", after_answer=False)
    status, answer = await pair(again, "untaken")
    assert status == 503 and "try again" in answer["error"], (status, answer)
    assert way.has_broken and await paired("untaken") == 0
    assert (await pair(again, "untaken"))[0] == 200

    # The store does not come back soon: that it may count is told.
    again = await code()
    way.breaks("unknown", after_answer=True, stays=True)
    status, answer = await pair(again, "unknown")
    assert status == 503 and "before it said whether this counts" in answer["error"], (status, answer)
    way.stays_broken = False
    assert await paired("unknown") == 1
    await way.close()


class Way:
    """The way to a store, which breaks when it is told to."""

    @classmethod
    async def open(cls, port):
        way = cls()
        way.store, way.mark, way.stays_broken, way.writers = port, None, False, set()
        way.server = await asyncio.start_server(way.serve, "127.0.0.1", 0)
        way.port = way.server.sockets[0].getsockname()[1]
        return way

    def breaks(self, mark, after_answer, stays=False):
        """Has all connections break at the next command with this text, before or after the store has answered it."""
        self.mark, self.after_answer, self.stays, self.has_broken = mark.encode(), after_answer, stays, False

    async def serve(self, reader, writer):
        if self.stays_broken:
            return await closed(writer)
        below, above = await asyncio.open_connection("127.0.0.1", self.store)
        ends = {writer, above}
        self.writers |= ends
        with contextlib.suppress(OSError):
            await asyncio.gather(self.carry(reader, above, below), self.carry(below, writer))
        self.writers -= ends
        for end in ends:
            end.transport.abort()

    async def carry(self, reader, writer, answers=None):
        while data := await reader.read(1 << 20):
            if answers is not None and self.mark is not None and b"EVAL" in data and self.mark in data:
                self.mark, self.has_broken, self.stays_broken = None, True, self.stays
                if self.after_answer:
                    # On a connection of its own, so that the answer comes here alone.
                    await self.executed(data)
                for end in self.writers:
                    end.transport.abort()
                return
            writer.write(data)
            await writer.drain()
        writer.transport.abort()

    async def executed(self, data):
        reader, writer = await asyncio.open_connection("127.0.0.1", self.store)
        login = f"*2\r\n$4\r\nAUTH\r\n${len(PASSWORD)}\r\n{PASSWORD}\r\n".encode()
        writer.write(login + data)
        assert (await reader.readuntil(b"\r\n")) == b"+OK\r\n"
        answer = await asyncio.wait_for(reader.readuntil(b"\r\n"), PATIENCE)
        assert not answer.startswith(b"-"), answer
        await closed(writer)

    async def close(self):
        """Lets nobody through any more, and waits until nobody is on it."""
        self.stays_broken = True
        for end in self.writers:
            end.transport.abort()

        async def is_empty():
            return not self.writers

        await until(is_empty, PATIENCE, "the way is not left")
        self.server.close()
        await self.server.wait_closed()


async def order(registry, *words):
    """The first line of what an order prints."""
    command = [BINARY, "registry", *words, "--registry-data", f"{registry.directory.name}/data"]
    done = await asyncio.to_thread(subprocess.run, command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()[0]


async def is_told(registry):
    return "cannot be used: it answers: WRONGPASS" in registry.logged()
