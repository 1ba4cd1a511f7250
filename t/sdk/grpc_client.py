"""Calls by grpcio for t/grpc.t: a line of JSON is a call, a line of JSON is
what came of it.

    grpc_client.py ADDRESS
    {"method": "/s.S/M", "kind": "unary", "key": "..", "send": [".."],
     "timeout": 1.5, "metadata": [[k, v]], "stop": n, "size": n}

size: each message is so long; stop: cancels behind so many answers; wait:
seconds between two messages.
"""
import json
import sys
import time

import grpc

channel = grpc.insecure_channel(sys.argv[1], options=(
    ('grpc.enable_retries', 0), ('grpc.max_receive_message_length', -1)))


def run(q):
    md = [tuple(m) for m in q.get('metadata', [])]
    if q.get('key'):
        md.append(('x-api-key', q['key']))
    send = [str(s).encode() for s in q.get('send', [''])]
    if q.get('size'):
        send = [b'x' * q['size'] for _ in send]

    def messages():
        for s in send:
            yield s
            time.sleep(q.get('wait', 0))

    kind = q.get('kind', 'unary')
    out = {'got': [], 'at': []}
    start = time.time()
    how = {'unary': channel.unary_stream, 'server': channel.unary_stream,
           'client': channel.stream_stream, 'bidi': channel.stream_stream}
    call = how[kind](q['method'])(
        send[0] if kind in ('unary', 'server') else messages(),
        timeout=q.get('timeout', 20), metadata=md)
    try:
        for m in call:
            out['got'].append(m.decode('latin1') if len(m) < 2000
                              else len(m))
            out['at'].append(round(time.time() - start, 3))
            if len(out['got']) == q.get('stop'):
                call.cancel()
    except grpc.RpcError:
        pass
    out['code'] = call.code().value[0]
    out['message'] = call.details()
    out['trailer'] = {k: v for k, v in call.trailing_metadata() or ()
                      if isinstance(v, str)}
    out['header'] = {k: v for k, v in call.initial_metadata() or ()
                     if isinstance(v, str)}
    return out


for line in sys.stdin:
    print(json.dumps(run(json.loads(line))), flush=True)
