// The TypeScript SDKs as users have them, and programs that are made of them.
// node jobs.mjs v1|v2|sse|remote|inspector: reads
// [{"url", "key", "mode", "calls": [[tool, arguments], ...]}, ...], prints a
// line of JSON for each: {"version", "tools", "results"} or {"error"}; a
// result is its text or {"error"}, and all are of one client object.
// mode: default, auto (v2), legacy (v2), or a version (v2).

import { createRequire } from 'node:module';
import { pathToFileURL } from 'node:url';
import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';

const require = createRequire(process.env.STOA_NODE_DIR + '/package.json');
const load = (name) => import(pathToFileURL(require.resolve(name)).href);
const kind = process.argv[2];
const v1 = kind !== 'v2';
const bin = process.env.STOA_MATRIX_DIR + '/node_modules/.bin/';

const { Client, StreamableHTTPClientTransport, SSEClientTransport,
    StdioClientTransport } = v1 ? {
    ...await load('@modelcontextprotocol/sdk/client/index.js'),
    ...await load('@modelcontextprotocol/sdk/client/streamableHttp.js'),
    ...await load('@modelcontextprotocol/sdk/client/sse.js'),
    ...await load('@modelcontextprotocol/sdk/client/stdio.js'),
} : await load('@modelcontextprotocol/client');

// a program between us and the gateway
const remote = (job) => new StdioClientTransport({
    command: process.execPath, stderr: 'ignore',
    args: [bin + 'mcp-remote', job.url, '--allow-http',
        '--header', `Authorization:Bearer ${job.key}`],
    env: { ...process.env },
});

// one process for each question, so none that would have to survive
async function inspector(job) {
    const ask = (...args) => new Promise((resolve) => execFile(
        process.execPath, [bin + 'mcp-inspector', '--cli', job.url,
            '--transport', 'http', '--header',
            `Authorization: Bearer ${job.key}`, ...args],
        { timeout: 30000, maxBuffer: 1 << 26 }, (e, out, err) => {
            try { resolve(JSON.parse(out)); } catch {
                resolve({ error: String(err || e).slice(0, 300) });
            }
        }));
    const list = await ask('--method', 'tools/list');
    if (list.error) return list;
    const results = [];
    for (const [name, args] of job.calls) {
        const r = await ask('--method', 'tools/call', '--tool-name', name,
            ...Object.entries(args).flatMap(([k, v]) =>
                ['--tool-arg', `${k}=${v}`]));
        results.push(r.error ? { error: JSON.stringify(r.error) }
            : r.content[0].text);
    }
    return { version: null, tools: list.tools.map((t) => t.name), results };
}

async function run(job) {
    if (kind === 'inspector') return inspector(job);
    const client = new Client({ name: 'stoa-test', version: '1' },
        v1 || job.mode === 'default' ? {} : { versionNegotiation: { mode:
            job.mode === 'auto' || job.mode === 'legacy' ? job.mode
            : { pin: job.mode } } });
    const transport = kind === 'remote' ? remote(job)
        : new (kind === 'sse' ? SSEClientTransport
            : StreamableHTTPClientTransport)(new URL(job.url), {
            requestInit: { headers: { Authorization: `Bearer ${job.key}` } },
        });
    await client.connect(transport);
    const tools = [];
    for (let cursor; ;) {
        const page = await client.listTools(cursor ? { cursor } : undefined);
        tools.push(...page.tools.map((t) => t.name));
        // the second generation reads all pages by itself
        if (!(cursor = page.nextCursor)) break;
    }
    const results = [];
    for (const [name, args] of job.calls) {
        results.push(await client.callTool({ name, arguments: args },
            ...(v1 ? [undefined, { timeout: 15000 }]
                : [{ timeout: 15000 }]))
            .then((r) => r.isError ? { error: r.content[0].text }
                : r.content[0].text, (e) => ({ error: String(e.message) })));
    }
    const version = (v1 ? transport.protocolVersion
        : client.getNegotiatedProtocolVersion?.()) ?? null;
    await client.close().catch(() => {});
    return { version, tools, results };
}

for (const job of JSON.parse(readFileSync(0, 'utf8'))) {
    console.log(JSON.stringify(await run(job).catch(
        (e) => ({ error: String(e.message) }))));
}
process.exit(0);
