"""The Python SDKs as users have them; jobs and answers as jobs.mjs has them.
jobs.py v2 (mcp 2), v1 (mcp 1), sse (mcp 1, the transport of 2024-11-05) or
fastmcp (its client)."""

import asyncio
import contextlib
import json
import sys

kind = sys.argv[1]
LIMIT = 15


def text(result):
    # FastMCP and the SDK say it in their own ways
    error = getattr(result, "isError", None) or getattr(
        result, "is_error", None)
    said = result.content[0].text
    return {"error": said} if error else said


@contextlib.asynccontextmanager
async def v2(job):
    from mcp import Client
    from mcp.client.streamable_http import (
        create_mcp_http_client, streamable_http_client)

    mode = "auto" if job["mode"] == "default" else job["mode"]
    async with create_mcp_http_client(
        headers={"Authorization": "Bearer " + job["key"]}
    ) as http:
        transport = streamable_http_client(job["url"], http_client=http)
        async with Client(transport, mode=mode) as client:
            yield client, lambda: client.protocol_version


@contextlib.asynccontextmanager
async def v1(job):
    from mcp import ClientSession
    from mcp.client.sse import sse_client
    from mcp.client.streamable_http import streamablehttp_client

    headers = {"Authorization": "Bearer " + job["key"]}
    connect = sse_client if kind == "sse" else streamablehttp_client
    async with connect(job["url"], headers=headers) as streams:
        async with ClientSession(*streams[:2]) as session:
            answer = await session.initialize()
            yield session, lambda: answer.protocolVersion


@contextlib.asynccontextmanager
async def fastmcp(job):
    from fastmcp import Client
    from fastmcp.client.transports import StreamableHttpTransport

    headers = {"Authorization": "Bearer " + job["key"]}
    async with Client(StreamableHttpTransport(
            job["url"], headers=headers)) as client:
        yield client, lambda: getattr(
            getattr(client, "initialize_result", None), "protocolVersion",
            None) or getattr(client, "protocol_version", None) or "?"


async def names(client):
    if kind == "fastmcp":
        return [t.name for t in await client.list_tools()]
    found, cursor = [], None
    while True:
        page = await (client.list_tools(cursor=cursor) if cursor
                      else client.list_tools())
        found += [t.name for t in page.tools]
        cursor = getattr(page, "next_cursor", None) or getattr(
            page, "nextCursor", None)
        if not cursor:
            return found


async def run(job):
    out = {"results": []}
    async with {"v1": v1, "sse": v1, "v2": v2, "fastmcp": fastmcp}[kind](job) as (
            client, version):
        out["tools"] = await names(client)
        for name, arguments in job["calls"]:
            try:
                out["results"].append(text(await asyncio.wait_for(
                    client.call_tool(name, arguments), LIMIT)))
            except Exception as e:
                out["results"].append(
                    {"error": str(e) or type(e).__name__})
        out["version"] = version()
    return out


def cause(e):
    while getattr(e, "exceptions", None):
        e = e.exceptions[0]
    return str(e) or type(e).__name__


for job in json.load(sys.stdin):
    try:
        answer = asyncio.run(asyncio.wait_for(run(job), 4 * LIMIT))
    except BaseException as e:
        answer = {"error": cause(e)}
    print(json.dumps(answer), flush=True)
