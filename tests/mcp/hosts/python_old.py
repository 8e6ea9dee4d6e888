"""A host on the package `mcp` 1. Takes orders as lines of JSON, and answers each with one.

    python_old.py REVISION BINARY
"""

import json
import os
import sys

import anyio
from mcp import ClientSession, StdioServerParameters, types
from mcp.client.stdio import stdio_client
from pydantic import AnyUrl

revision, binary = sys.argv[1:]
# The package offers the newest only.
types.LATEST_PROTOCOL_VERSION = revision

server = StdioServerParameters(command=binary, args=["mcp"], env=dict(os.environ))
INBOX = AnyUrl("mesh://inbox")


async def main():
    updates = []

    async def heard(message):
        updates.append(getattr(getattr(message, "root", None), "method", ""))

    async with stdio_client(server) as (read, write), ClientSession(read, write, message_handler=heard) as client:
        spoken = (await client.initialize()).protocolVersion
        while line := await anyio.to_thread.run_sync(sys.stdin.readline):
            order = json.loads(line)
            answer = spoken if order["do"] == "revision" else await obey(client, order, updates)
            print(json.dumps(answer), flush=True)


async def obey(client, order, updates):
    match order["do"]:
        case "tools":
            return [tool.name for tool in (await client.list_tools()).tools]
        case "call":
            told = []

            async def progress(*of):
                told.append(of)

            result = await client.call_tool(order["tool"], order["arguments"], progress_callback=progress)
            return {
                "failed": bool(result.isError),
                "text": result.content[0].text,
                "structured": result.structuredContent,
                "progress": len(told),
            }
        case "read":
            return (await client.read_resource(INBOX)).contents[0].text
        case "cancel":
            with anyio.move_on_after(0.2):
                await client.call_tool(order["tool"], order["arguments"])
            return "cancelled"
        case "await_update":
            await client.subscribe_resource(INBOX)
            print(json.dumps("listening"), flush=True)
            while "notifications/resources/updated" not in updates:
                await anyio.sleep(0.01)
            return "told"


anyio.run(main)
