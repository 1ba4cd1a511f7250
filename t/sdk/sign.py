# Signs requests by the library http-message-signatures: a line of JSON each,
# {method, url, headers, body, keyid, algorithm, key (PEM, or a text), covers,
# nonce}; answers with the headers that there are then.

import json
import sys

from http_message_signatures import (HTTPMessageSigner,
                                     HTTPSignatureKeyResolver, algorithms)


class Keys(HTTPSignatureKeyResolver):
    def __init__(self, key):
        self.key = key

    def resolve_private_key(self, key_id):
        return self.key

    resolve_public_key = resolve_private_key


class Request:
    pass


for line in sys.stdin:
    q = json.loads(line)
    r = Request()
    r.method, r.url, r.headers = q["method"], q["url"], q["headers"]
    body = q["body"].encode() if q.get("body") is not None else None
    HTTPMessageSigner(
        signature_algorithm=getattr(algorithms, q["algorithm"]),
        key_resolver=Keys(q["key"].encode())).sign(
            r, key_id=q["keyid"], nonce=q["nonce"], body=body,
            covered_component_ids=tuple(q["covers"]))
    print(json.dumps(dict(r.headers)), flush=True)
