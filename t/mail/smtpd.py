#!/usr/bin/python3
"""A mail server for tests: aiosmtpd, with STARTTLS and a login.

smtpd.py PORT FOLDER [CERT KEY]: writes each mail it takes to FOLDER/N.eml,
with the envelope's recipient and who was logged in before it.  Without a
certificate it takes mail in the clear and without a login.  What is in
FOLDER/refuse says what it answers instead: lines of "recipient code".
"""

import asyncio
import os
import ssl
import sys

from aiosmtpd.smtp import SMTP, AuthResult

PORT, FOLDER, TLS = int(sys.argv[1]), sys.argv[2], sys.argv[3:]


class Handler:
    def __init__(self):
        self.taken = sum(n.endswith('.eml') for n in os.listdir(FOLDER))

    async def handle_RCPT(self, server, session, envelope, address, options):
        path = os.path.join(FOLDER, 'refuse')
        rows = open(path).read().split('\n') if os.path.exists(path) else []
        for row in rows:
            words = row.split()
            if len(words) == 2 and words[0] == address:
                return words[1] + ' so the test says'
        envelope.rcpt_tos.append(address)
        return '250 OK'

    async def handle_DATA(self, server, session, envelope):
        self.taken += 1
        name = os.path.join(FOLDER, '%d' % self.taken)
        with open(name + '.new', 'wb') as f:
            who = session.auth_data.login.decode() \
                if session.authenticated else '-'
            f.write(('X-Envelope: %s %s\n' % (','.join(envelope.rcpt_tos),
                                              who)).encode())
            f.write(envelope.content)
        os.rename(name + '.new', name + '.eml')
        return '250 taken'


def login(server, session, envelope, mechanism, data):
    right = (data.login, data.password) == (b'gateway', b'pass:word')
    return AuthResult(success=right, handled=False, auth_data=data)


async def main():
    options = {}
    if TLS:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(*TLS)
        options = dict(tls_context=context, require_starttls=True,
                       authenticator=login, auth_required=True)
    handler = Handler()
    server = await asyncio.get_running_loop().create_server(
        lambda: SMTP(handler, hostname='localhost', **options),
        '127.0.0.1', PORT)
    async with server:
        await server.serve_forever()


asyncio.run(main())
