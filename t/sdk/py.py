"""The Python SDK as a user has it: py.py URL KEY MODE TOOL JSON [TOOL JSON...]
prints one JSON line.  MODE: auto, legacy, a version, or sse (the transport of
2024-11-05)."""

import asyncio
import json
import sys

from mcp import Client
from mcp.client.sse import sse_client
from mcp.client.streamable_http import (
    create_mcp_http_client, streamable_http_client)


async def main(url, key, mode, calls):
    async with create_mcp_http_client(
        headers={"Authorization": f"Bearer {key}"}
    ) as http:
        transport = streamable_http_client(url, http_client=http)
        if mode == "sse":
            transport = sse_client(
                url, headers={"Authorization": f"Bearer {key}"})
            mode = "legacy"
        async with Client(transport, mode=mode) as client:
            tools = (await client.list_tools()).tools
            results = []
            for name, arguments in zip(calls[::2], calls[1::2]):
                result = await client.call_tool(name, json.loads(arguments))
                results.append(
                    result.model_dump(mode="json", by_alias=True))
            print(json.dumps({
                "version": client.protocol_version,
                "tools": [t.name for t in tools],
                "results": results,
            }))


asyncio.run(main(*sys.argv[1:4], sys.argv[4:]))
