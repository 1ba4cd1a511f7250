// The TypeScript SDK v1 as a user has it: lists the tools, calls some.
// node ts1.mjs URL KEY TOOL JSON [TOOL JSON...]; prints one JSON line.
// STOA_SSE: by the transport of 2024-11-05.

import { createRequire } from 'node:module';
import { pathToFileURL } from 'node:url';

const require = createRequire(process.env.STOA_NODE_DIR + '/package.json');
const load = (name) => import(pathToFileURL(require.resolve(name)).href);

const { Client } = await load('@modelcontextprotocol/sdk/client/index.js');
const { StreamableHTTPClientTransport } =
    await load('@modelcontextprotocol/sdk/client/streamableHttp.js');

const { SSEClientTransport } =
    await load('@modelcontextprotocol/sdk/client/sse.js');

const [url, key, ...calls] = process.argv.slice(2);
const client = new Client({ name: 'stoa-test', version: '1' });
const Transport = process.env.STOA_SSE ? SSEClientTransport
    : StreamableHTTPClientTransport;
const transport = new Transport(new URL(url), {
    requestInit: { headers: { Authorization: `Bearer ${key}` } },
});

await client.connect(transport);
const { tools } = await client.listTools();
const results = [];
for (let i = 0; i < calls.length; i += 2) {
    results.push(await client.callTool({
        name: calls[i], arguments: JSON.parse(calls[i + 1]),
    }));
}
console.log(JSON.stringify({
    version: transport.protocolVersion ?? transport._protocolVersion ?? null,
    tools: tools.map((t) => t.name), results,
}));
await client.close();
