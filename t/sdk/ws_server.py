"""A server of WebSocket (websockets) for t/websocket_frames.t: says again
what it is told, and does as it is told: "send N" bytes, "close", "quiet".
What became of each connection is a line of the log.

    ws_server.py PORT LOG
"""
import asyncio
import sys

from websockets.asyncio.server import serve
from websockets.exceptions import ConnectionClosed

log = open(sys.argv[2], 'a', buffering=1)


async def talk(ws):
    try:
        async for m in ws:
            word = m.split()[:2] if isinstance(m, str) else []
            if word[:1] == ['send']:
                await ws.send('x' * int(word[1]))
            elif word == ['close']:
                await ws.close(4000, 'asked')
            else:
                await ws.send(m)
    except ConnectionClosed:
        pass
    got = ws.protocol.close_rcvd
    log.write(f'{ws.request.path} {got.code if got else "cut"} '
              f'{got.reason if got else ""}\n')


def choose(ws, offered):
    return next((p for p in ('bad', 'chat') if p in offered), None)


async def main():
    async with serve(talk, '127.0.0.1', int(sys.argv[1]), max_size=None,
                     select_subprotocol=choose, ping_interval=None):
        await asyncio.get_running_loop().create_future()

asyncio.run(main())
