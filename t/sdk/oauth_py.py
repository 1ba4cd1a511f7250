"""The Python SDK as a user has it who was given a URL and nothing else: it
finds the authorization server, registers, gets a code with PKCE, a token, and
calls.  oauth_py.py URL TOOL JSON [USER PASSWORD] prints one JSON line.  The
"browser" follows redirects and fills in a form."""

import asyncio
import html
import json
import re
import sys
from urllib.parse import parse_qs, urljoin, urlsplit

import httpx2
from mcp import Client
from mcp.client.auth import OAuthClientProvider
from mcp.client.streamable_http import (
    create_mcp_http_client, streamable_http_client)
from mcp.shared.auth import AuthorizationCodeResult, OAuthClientMetadata

CALLBACK = "http://127.0.0.1:9/callback"
saw = {}


class Storage:
    tokens = None
    client = None

    async def get_tokens(self):
        return self.tokens

    async def set_tokens(self, tokens):
        self.tokens = tokens

    async def get_client_info(self):
        return self.client

    async def set_client_info(self, client):
        self.client = client


async def browser(at, user, password):
    cookies = {}                    # whatever they say about TLS
    form = None
    for _ in range(10):
        async with httpx2.AsyncClient() as http:
            header = {"Cookie": "; ".join(
                f"{k}={v}" for k, v in cookies.items())}
            r = await (http.post(at, data=form, headers=header) if form
                       else http.get(at, headers=header))
        for line in r.headers.get_list("set-cookie"):
            name, value = line.split(";")[0].split("=", 1)
            cookies[name] = value
        form = None
        if r.is_redirect:
            at = urljoin(at, r.headers["location"])
            if at.startswith(CALLBACK):
                return parse_qs(urlsplit(at).query)
            continue
        found = re.search(r'<form[^>]*action="([^"]+)"', r.text)
        if not found:
            raise RuntimeError(f"no way on at {at}: {r.status_code}")
        at = urljoin(at, html.unescape(found[1]))
        form = {"username": user, "password": password, "accept": "Yes"}
    raise RuntimeError("too many redirects")


async def main(url, tool, arguments, user="", password=""):
    back = {}

    async def redirect(at):
        query = parse_qs(urlsplit(at).query)
        saw["scope"] = query.get("scope", [None])[0]
        saw["resource"] = query.get("resource", [None])[0]
        back.update(await browser(at, user, password))

    async def callback():
        one = {k: v[0] for k, v in back.items()}
        return AuthorizationCodeResult(
            **{k: one[k] for k in ("code", "state", "iss") if k in one})

    storage = Storage()
    auth = OAuthClientProvider(
        url,
        OAuthClientMetadata(
            client_name="stoa-test", redirect_uris=[CALLBACK],
            grant_types=["authorization_code", "refresh_token"],
            response_types=["code"], token_endpoint_auth_method="none"),
        storage, redirect, callback)
    async with create_mcp_http_client(auth=auth) as http:
        async with Client(streamable_http_client(
                url, http_client=http)) as client:
            tools = (await client.list_tools()).tools
            result = await client.call_tool(tool, json.loads(arguments))
            print(json.dumps({
                "tools": [t.name for t in tools],
                "result": result.model_dump(mode="json", by_alias=True),
                "registered": bool(storage.client), **saw}))


asyncio.run(main(*sys.argv[1:]))
