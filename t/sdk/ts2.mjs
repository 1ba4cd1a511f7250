// The TypeScript SDK v2: as ts1.mjs, and MODE is default, auto or a version.
// node ts2.mjs URL KEY MODE TOOL JSON [TOOL JSON...]

import { createRequire } from 'node:module';
import { pathToFileURL } from 'node:url';

const require = createRequire(process.env.STOA_NODE_DIR + '/package.json');
const { Client, StreamableHTTPClientTransport } = await import(pathToFileURL(
    require.resolve('@modelcontextprotocol/client')).href);

const [url, key, mode, ...calls] = process.argv.slice(2);
const options = mode === 'default' ? {} : {
    versionNegotiation: { mode: mode === 'auto' || mode === 'legacy'
        ? mode : { pin: mode } },
};
const client = new Client({ name: 'stoa-test', version: '1' }, options);

await client.connect(new StreamableHTTPClientTransport(new URL(url), {
    requestInit: { headers: { Authorization: `Bearer ${key}` } },
}));
const { tools } = await client.listTools();
const results = [];
for (let i = 0; i < calls.length; i += 2) {
    results.push(await client.callTool({
        name: calls[i], arguments: JSON.parse(calls[i + 1]),
    }));
}
console.log(JSON.stringify({
    version: client.getNegotiatedProtocolVersion?.()
        ?? client.protocolVersion ?? null,
    tools: tools.map((t) => t.name), results,
}));
await client.close();
