"""One call of gRPC whose bytes are as they are told (h2), for t/grpc.t: prints
the answer's grpc-status, all that there are, and its grpc-message.  "-": waits
for what comes.

    h2_client.py PORT KEY PATH HEX...
"""
import socket
import sys

import h2.config
import h2.connection
import h2.events

port, key, path = sys.argv[1:4]
c = h2.connection.H2Connection(h2.config.H2Configuration(
    header_encoding='utf-8'))
s = socket.create_connection(('127.0.0.1', int(port)))
s.settimeout(10)
c.initiate_connection()
c.send_headers(1, [(':method', 'POST'), (':scheme', 'http'),
                   (':authority', 'x'), (':path', path), ('te', 'trailers'),
                   ('content-type', 'application/grpc'), ('x-api-key', key)])
said, over, came = [], False, False


def read():
    global over, came
    s.sendall(c.data_to_send())
    data = s.recv(65536)
    over |= not data
    for e in c.receive_data(data) if data else []:
        if isinstance(e, (h2.events.ResponseReceived,
                          h2.events.TrailersReceived)):
            said.extend(e.headers)
        came |= isinstance(e, h2.events.DataReceived)
        over |= isinstance(e, (h2.events.StreamEnded, h2.events.StreamReset))


for piece in sys.argv[4:]:
    if piece == '-':
        while not over and not came:
            read()
    elif not over:
        c.send_data(1, bytes.fromhex(piece))
        s.sendall(c.data_to_send())
if not over and sys.argv[-1] != '-':
    c.end_stream(1)
while not over:
    read()
print(','.join(v for k, v in said if k == 'grpc-status') or 'none',
      next((v for k, v in said if k == 'grpc-message'), ''))
