"""A server of gRPC (grpcio) for t/grpc.t: messages are bytes, and every
method of every service is one of these, by its name.

    grpc_server.py PORT [CERT KEY]
"""
import sys
import time
from concurrent import futures

import grpc


def metadata(context):
    return ';'.join(f'{k}={v}' for k, v in context.invocation_metadata()
                    if isinstance(v, str)).encode()


def unary(name):
    def run(message, context):
        if name == 'Fail':
            code = int(message)
            context.set_trailing_metadata((('x-why', 'asked'),))
            context.abort([c for c in grpc.StatusCode
                           if c.value[0] == code][0], 'as asked: ü')
        if name == 'Slow':
            time.sleep(float(message))
        if name == 'Large':
            return b'x' * int(message)
        if name == 'Meta':
            return metadata(context)
        context.set_trailing_metadata((('x-end', 'unary'),))
        return message.upper()
    return run


def server_stream(message, context):
    n, pause = message.split()
    for i in range(int(n)):
        yield b'%d' % i
        time.sleep(float(pause))


def client_stream(messages, context):
    return b'+'.join(messages)


def bidi(messages, context):
    for m in messages:
        yield m.upper()


class Any(grpc.GenericRpcHandler):
    def service(self, details):
        name = details.method.split('/')[-1]
        if name == 'Count':
            return grpc.unary_stream_rpc_method_handler(server_stream)
        if name == 'Join':
            return grpc.stream_unary_rpc_method_handler(client_stream)
        if name == 'Chat':
            return grpc.stream_stream_rpc_method_handler(bidi)
        if name == 'None':
            return None
        return grpc.unary_unary_rpc_method_handler(unary(name))


server = grpc.server(futures.ThreadPoolExecutor(16), handlers=(Any(),))
address = '127.0.0.1:' + sys.argv[1]
if len(sys.argv) > 2:
    with open(sys.argv[2], 'rb') as cert, open(sys.argv[3], 'rb') as key:
        server.add_secure_port(address, grpc.ssl_server_credentials(
            [(key.read(), cert.read())]))
else:
    server.add_insecure_port(address)
server.start()
server.wait_for_termination()
