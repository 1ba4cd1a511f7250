// The TypeScript SDK v2 as a user has it who was given a URL and nothing else:
// it finds the authorization server, registers, gets a code with PKCE, a token,
// and calls.  node oauth_ts2.mjs URL TOOL JSON [USER PASSWORD]
// prints one JSON line.  The "browser" follows redirects and fills in a form.

import { createRequire } from 'node:module';
import { pathToFileURL } from 'node:url';

const require = createRequire(process.env.STOA_NODE_DIR + '/package.json');
const { Client, StreamableHTTPClientTransport } = await import(pathToFileURL(
    require.resolve('@modelcontextprotocol/client')).href);

const [url, tool, json, user, password] = process.argv.slice(2);
const callback = 'http://127.0.0.1:9/callback';
const saw = { scope: null };
let tokens, information, verifier, discovery, code, iss;

async function browser(start) {
    const cookies = new Map();
    let at = start, options = {};
    for (let i = 0; i < 10; i++) {
        const r = await fetch(at, { redirect: 'manual', ...options, headers: {
            ...options.headers, Cookie: [...cookies].map(([k, v]) =>
                `${k}=${v}`).join('; ') } });
        for (const c of r.headers.getSetCookie()) {
            const [, k, v] = /^([^=]+)=([^;]*)/.exec(c);
            cookies.set(k, v);
        }
        options = {};
        if (r.status >= 300 && r.status < 400) {
            at = new URL(r.headers.get('location'), at).href;
            if (at.startsWith(callback)) {
                return new URL(at).searchParams;
            }
            continue;
        }
        const page = await r.text();
        const form = /<form[^>]*action="([^"]+)"/.exec(page);
        if (!form) {
            throw new Error(`no way on at ${at}: ${r.status} ${page}`);
        }
        at = new URL(form[1].replaceAll('&amp;', '&'), at).href;
        options = { method: 'POST', headers: {
            'Content-Type': 'application/x-www-form-urlencoded' },
            body: new URLSearchParams({ username: user, password,
                                        accept: 'Yes' }) };
    }
    throw new Error('too many redirects');
}

const provider = {
    redirectUrl: callback,
    clientMetadata: { client_name: 'stoa-test', redirect_uris: [callback],
        grant_types: ['authorization_code', 'refresh_token'],
        response_types: ['code'],
        token_endpoint_auth_method: 'none' },
    state: () => 'state-1',
    clientInformation: () => information,
    saveClientInformation: (i) => { information = i; },
    tokens: () => tokens,
    saveTokens: (t) => { tokens = t; },
    codeVerifier: () => verifier,
    saveCodeVerifier: (v) => { verifier = v; },
    discoveryState: () => discovery,
    saveDiscoveryState: (s) => { discovery = s; },
    redirectToAuthorization: async (u) => {
        saw.scope = u.searchParams.get('scope');
        saw.resource = u.searchParams.get('resource');
        const back = await browser(u.href);
        if (back.get('state') !== 'state-1') {
            throw new Error('another state');
        }
        code = back;
    },
};

async function connect() {
    const client = new Client({ name: 'stoa-test', version: '1' });
    const transport = new StreamableHTTPClientTransport(new URL(url),
                                                        { authProvider: provider });
    try {
        await client.connect(transport);
    } catch (e) {
        if (!code || tokens) {
            throw e;
        }
        await transport.finishAuth(code);
        return null;
    }
    return client;
}

const client = await connect() ?? await connect();
const { tools } = await client.listTools();
const result = await client.callTool({ name: tool,
                                       arguments: JSON.parse(json) });
console.log(JSON.stringify({ tools: tools.map((t) => t.name), result,
    ...saw, registered: Boolean(information?.client_id) }));
await client.close();
