"""A host on the package `mcp` 2. Takes orders as lines of JSON, and answers each with one.

    python_new.py REVISION BINARY
"""

import json
import os
import sys

import anyio
import mcp.client.session as session
from mcp import Client, StdioServerParameters

revision, binary = sys.argv[1:]
if revision != "2026-07-28":
    # The package offers the newest only.
    session.LATEST_HANDSHAKE_VERSION = revision

server = StdioServerParameters(command=binary, args=["mcp"], env=dict(os.environ))


async def main():
    mode = "auto" if revision == "2026-07-28" else "legacy"
    updates = []

    async def heard(message):
        updates.append(getattr(message, "method", ""))

    async with Client(server, mode=mode, message_handler=heard) as client:
        while line := await anyio.to_thread.run_sync(sys.stdin.readline):
            order = json.loads(line)
            answer = await obey(client, order, updates)
            print(json.dumps(answer), flush=True)


async def obey(client, order, updates):
    match order["do"]:
        case "revision":
            return client.protocol_version
        case "tools":
            return [tool.name for tool in (await client.list_tools()).tools]
        case "call":
            told = []

            async def progress(*of):
                told.append(of)

            result = await client.call_tool(order["tool"], order["arguments"], progress_callback=progress)
            return {
                "failed": bool(result.is_error),
                "text": result.content[0].text,
                "structured": result.structured_content,
                "progress": len(told),
            }
        case "read":
            return (await client.read_resource("mesh://inbox")).contents[0].text
        case "cancel":
            with anyio.move_on_after(0.2):
                await client.call_tool(order["tool"], order["arguments"])
            return "cancelled"
        case "await_update":
            if revision == "2026-07-28":
                async with client.listen(resource_subscriptions=["mesh://inbox"]) as stream:
                    print(json.dumps("listening"), flush=True)
                    async for _ in stream:
                        return "told"
            await client.session.subscribe_resource("mesh://inbox")
            print(json.dumps("listening"), flush=True)
            while "notifications/resources/updated" not in updates:
                await anyio.sleep(0.01)
            return "told"


anyio.run(main)
