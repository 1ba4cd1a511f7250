"""A server of the Python SDK by HTTP+SSE: sse_server.py PORT."""

import sys

from mcp.server.mcpserver import Context, MCPServer

m = MCPServer("sse")


@m.tool()
def add(a: int, b: int) -> str:
    return str(a + b)


@m.tool()
async def steps(ctx: Context) -> str:
    for i in range(3):
        await ctx.report_progress(i, 3)
    return "done"


m.run(transport="sse", port=int(sys.argv[1]))
