"""A client of WebSocket (websockets) for t/websocket_frames.t: a line of JSON
is a connection and what is said there, a line of JSON what came.

    ws_client.py PORT
    {"path": "/..", "key": "..", "send": [..], "origin": "..",
     "protocols": [..], "wait": s, "deflate": true, "hold": s}

hold: stays open so long, or until it is closed.
"""
import asyncio
import json
import sys
import time

from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus


async def run(q):
    out = {'got': [], 'pings': 0}
    headers = {'X-API-Key': q['key']} if q.get('key') else {}
    start = time.time()
    try:
        async with connect(
                f'ws://127.0.0.1:{sys.argv[1]}{q["path"]}',
                additional_headers=headers, origin=q.get('origin'),
                subprotocols=q.get('protocols'), ping_interval=None,
                compression='deflate' if q.get('deflate') else None,
                max_size=None, proxy=None) as ws:
            out['protocol'] = ws.subprotocol
            try:
                for m in q.get('send', []):
                    if isinstance(m, list):
                        await ws.send(iter(m))
                        m = ''.join(m)
                    elif isinstance(m, int):
                        await ws.send(b'y' * m)
                    else:
                        await ws.send(m)
                    if q.get('wait') != -1:
                        got = await asyncio.wait_for(ws.recv(), 10)
                        out['got'].append(got if len(got) < 100
                                          and isinstance(got, str)
                                          else len(got))
                if q.get('hold'):
                    await asyncio.wait_for(ws.recv(), q['hold'])
            except TimeoutError:
                pass
            except ConnectionClosed:
                pass
        got = ws.protocol.close_rcvd
        out['code'] = got.code if got else 0
        out['reason'] = got.reason if got else ''
    except InvalidStatus as e:
        out['status'] = e.response.status_code
        out['body'] = e.response.body.decode()
    out['took'] = time.time() - start
    return out


for line in sys.stdin:
    print(json.dumps(asyncio.run(run(json.loads(line)))), flush=True)
