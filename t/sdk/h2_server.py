"""A server of HTTP/2 (h2) that answers calls of gRPC as none should, by the
last segment of the path, for t/grpc.t.

    h2_server.py PORT
"""
import socket
import sys
import threading

import h2.config
import h2.connection
import h2.events

HEAD = [(':status', '200'), ('content-type', 'application/grpc')]
MESSAGE = b'\0\0\0\0\3abc'


def answer(c, stream, how):
    if how == 'NoTrailers':
        c.send_headers(stream, HEAD)
        c.send_data(stream, MESSAGE, end_stream=True)
    elif how == 'Reset':
        c.send_headers(stream, HEAD)
        c.send_data(stream, MESSAGE)
        c.reset_stream(stream, error_code=2)
    elif how == 'Early':
        c.reset_stream(stream, error_code=7)
    elif how == 'Huge':
        c.send_headers(stream, HEAD + [(f'x-{i}', 'v' * 4000)
                                       for i in range(10)])
        c.send_data(stream, MESSAGE)
        c.send_headers(stream, [('grpc-status', '0')], end_stream=True)
    elif how == 'Html':
        c.send_headers(stream, [(':status', '503'),
                                ('content-type', 'text/html')])
        c.send_data(stream, b'<p>no', end_stream=True)
    elif how == 'Word':
        c.send_headers(stream, HEAD)
        c.send_data(stream, MESSAGE)
        c.send_headers(stream, [('grpc-status', 'fine')], end_stream=True)
    else:
        c.send_headers(stream, HEAD)
        c.send_data(stream, MESSAGE)
        c.send_headers(stream, [('grpc-status', '0')], end_stream=True)


def serve(s):
    c = h2.connection.H2Connection(h2.config.H2Configuration(
        client_side=False, header_encoding='utf-8'))
    c.initiate_connection()
    s.sendall(c.data_to_send())
    how = {}
    while True:
        data = s.recv(65536)
        if not data:
            return
        for e in c.receive_data(data):
            if isinstance(e, h2.events.RequestReceived):
                how[e.stream_id] = dict(e.headers)[':path'].split('/')[-1]
            elif isinstance(e, h2.events.StreamEnded):
                answer(c, e.stream_id, how.pop(e.stream_id, ''))
            elif isinstance(e, h2.events.ConnectionTerminated):
                return
        out = c.data_to_send()
        if out:
            s.sendall(out)


listener = socket.create_server(('127.0.0.1', int(sys.argv[1])))
while True:
    threading.Thread(target=serve, args=(listener.accept()[0],),
                     daemon=True).start()
