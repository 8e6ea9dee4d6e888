import asyncio
from chatixia_client import Sidecar

sidecar = Sidecar(api_key="worker-sidecar")

@sidecar.on_request("task_request")
def work(message):
    return {"result": message.payload["text"].upper()}

async def main():
    async with sidecar:
        await sidecar.serve()

asyncio.run(main())
