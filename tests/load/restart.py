"""Sidecars of ours on one registry that ends and starts again."""

import asyncio
import os
import pathlib
import signal
import tempfile

from client import BINARY, PATIENCE, Registry, Watch, ask

SIDECARS = int(os.environ.get("SIDECARS", 1000))
# How long all may take to come back.
BACK_SECONDS = float(os.environ.get("BACK_SECONDS", 60))


async def online(registry):
    status, content = await ask(registry, "GET", "/health")
    assert status == 200, content
    return content["peers"]


async def until_all_are_online(registry, sidecars):
    watch = Watch()
    while (count := await online(registry)) < SIDECARS:
        dead = [process.returncode for process in sidecars if process.returncode is not None]
        assert not dead, f"sidecars have ended: {dead}"
        assert watch.seconds() < 3 * BACK_SECONDS, f"{count} of {SIDECARS} are online"
        await asyncio.sleep(0.05)
    return watch.seconds()


async def run():
    registry = Registry("--open")
    sidecars = []
    with tempfile.TemporaryDirectory(prefix="registry-load-") as directory:
        try:
            # Who offers to whom is not what is measured: they connect when something is sent.
            for number in range(SIDECARS):
                environment = {
                    "API_KEY": f"peer{number}",
                    "SIGNALING_URL": f"ws://127.0.0.1:{registry.port}/ws",
                    "TOKEN_URL": f"http://127.0.0.1:{registry.port}/api/token",
                    "IPC_SOCKET": str(pathlib.Path(directory) / f"{number}.sock"),
                    "AGENT_LINGER": "inf",
                    "MESH": "lazy",
                    "BIND_ADDRESS": "127.0.0.1",
                    "ICE_SERVERS_FROM_REGISTRY": "off",
                    "RUST_LOG": "error",
                }
                sidecar = await asyncio.create_subprocess_exec(BINARY, env=environment)
                sidecars.append(sidecar)
            first = await until_all_are_online(registry, sidecars)
            print(f"restart: {SIDECARS} sidecars are online {first:.1f} s after the last was started")
            for how in (signal.SIGTERM, signal.SIGKILL):
                registry.stop(how)
                await asyncio.sleep(5)
                registry.start()
                back = await until_all_are_online(registry, sidecars)
                used, memory = registry.processor_seconds(), registry.memory()
                print(
                    f"restart: back {back:.1f} s after it was there again ({how.name}, away for 5 s); it took "
                    f"{used:.2f} s of a processor and {memory / SIDECARS / 1024:.1f} KiB for each"
                )
                assert back < BACK_SECONDS, f"all are back only after {back:.1f} s"
        finally:
            for sidecar in sidecars:
                if sidecar.returncode is None:
                    sidecar.terminate()
            waiting = [asyncio.wait_for(sidecar.wait(), PATIENCE) for sidecar in sidecars]
            await asyncio.gather(*waiting, return_exceptions=True)
    code, log = registry.end()
    assert code == 0 and "panicked" not in log, log[-2000:]
