"""WebSockets that do nothing."""

import asyncio
import os
import pathlib
import ssl
import subprocess
import tempfile

from client import Peer, Registry, Watch, ask

SOCKETS = int(os.environ.get("IDLE_SOCKETS", 10_000))
# How many connect at a time.
AT_ONCE = 100
# How many of them register.
REGISTERED = 100
# What each may take, with the kernel's buffers left aside.
MOST_BYTES = {"plain": 8 * 1024, "tls": 20 * 1024}


async def run():
    await measure("plain", ["--open"], None)
    with tempfile.TemporaryDirectory(prefix="registry-load-") as directory:
        certificate, key = (pathlib.Path(directory) / name for name in ("cert.pem", "key.pem"))
        command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"]
        command += ["-nodes", "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"]
        subprocess.run([*command, "-out", certificate, "-keyout", key], check=True, capture_output=True)
        files = ["--registry-tls-cert", str(certificate), "--registry-tls-key", str(key)]
        await measure("tls", ["--open", *files], ssl.create_default_context(cafile=certificate))


async def measure(kind, arguments, tls):
    registry = Registry(*arguments)
    # What is made with the first connections is not theirs.
    warm = [await Peer.open(registry, f"warm{n}", tls) for n in range(10)]
    before, watch, turns = registry.memory(), Watch(), asyncio.Semaphore(AT_ONCE)

    async def open_one(number):
        async with turns:
            peer = await Peer.open(registry, f"peer{number}", tls)
            # The list of all the others goes to each that registers, so not all of them do.
            if number < REGISTERED:
                await peer.register()
            # Whoever does not read, answers no ping.
            return peer, asyncio.create_task(peer.receive())

    opened = await asyncio.gather(*(open_one(n) for n in range(SOCKETS)))
    peers, reading = zip(*opened)
    took = watch.seconds()
    used = registry.processor_seconds()
    idle_watch = Watch()
    # Longer than two pings are apart.
    await asyncio.sleep(45)
    each = (registry.memory() - before) / len(peers)
    share = 100 * (registry.processor_seconds() - used) / idle_watch.seconds()
    status, _ = await ask(registry, "GET", "/health", tls=tls)
    lost = sum(task.done() for task in reading)
    print(
        f"idle: {len(peers)} WebSockets ({kind}) open in {took:.1f} s, {each / 1024:.1f} KiB each, "
        f"{share:.1f} % of a processor for their pings, {lost} lost"
    )
    for task in reading:
        task.cancel()
    for peer in [*peers, *warm]:
        peer.writer.transport.abort()
    code, log = registry.end()
    assert status == 200 and code == 0 and lost == 0, f"{status} {code} {lost} {log[-2000:]}"
    assert each < MOST_BYTES[kind], f"{each:.0f} bytes for each WebSocket ({kind})"
