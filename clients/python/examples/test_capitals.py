import asyncio
from chatixia_client import Sidecar
from chatixia_client.testing import StandInSidecar

def add_handlers(sidecar):  # the agent under test
    @sidecar.on_request("task_request")
    async def work(message):
        await sidecar.send("log-sidecar", "agent_status", "at work")
        return {"result": message.payload["text"].upper()}

async def test():
    async with StandInSidecar(peers=["bob-sidecar", "log-sidecar"]) as mesh:
        async with Sidecar(socket=mesh.path, spawn=False) as sidecar:
            add_handlers(sidecar)
            response = await mesh.ask("bob-sidecar", "task_request", {"text": "hello"})
            assert response.payload == {"result": "HELLO"}
            peer, message = await mesh.sent()
            assert (peer, message.payload) == ("log-sidecar", "at work")

asyncio.run(test())
