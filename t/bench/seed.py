#!/usr/bin/env python3
"""Fills the feed of a stopped stoa-control (SQLite) with many records.

seed.py DB KEYS ROUTES PORT SAMPLES OUT

Writes KEYS credentials in KEYS/100 applications, each subscribed to one of
ROUTES apis with its own base path and the upstream on PORT, straight into the
feed's table with the right digests, and SAMPLES lines "key path" to OUT.
"""

import hashlib
import json
import os
import random
import sqlite3
import string
import sys
import zlib

ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"
BASE62 = string.digits + string.ascii_letters


def make_id(kind, n):
    """16 characters, spread over the key space as ids made over time are not
    better than: sorted by n within a kind."""
    value = (kind << 72) + (n << 30) + (n * 2654435761 & 0x3FFFFFFF)
    out = ""
    for _ in range(16):
        out = ALPHABET[value & 31] + out
        value >>= 5
    return out


def make_key(cid, rnd):
    secret = "".join(rnd.choice(BASE62) for _ in range(32))
    head = f"stoa_live_{cid}_{secret}"
    return f"{head}_{zlib.crc32(head.encode()):08x}"


def records(keys, routes, port, rnd, samples):
    tenant, plan = make_id(1, 1), make_id(2, 1)
    yield f"tenant:{tenant}", "tenant", {
        "id": tenant, "name": "scale", "state": "active"}
    yield f"plan:{plan}", "plan", {
        "id": plan, "tenant": tenant, "name": "p", "state": "active",
        "rate": 10000000, "per_ms": 1000, "burst": 10000000, "quota_day": 0,
        "quota_month": 0, "concurrency": 0, "limit_by": "subscription"}

    for n in range(routes):
        aid = make_id(3, n)
        yield f"api:{aid}", "api", {
            "id": aid, "tenant": tenant, "tenant_name": "scale",
            "name": f"api-{n}", "title": "", "kind": "rest", "version": "1",
            "state": "published", "audience": "internal",
            "base_path": f"/area-{n % 997}/api-{n}", "strip_base_path": True,
            "targets": [{"tls": False, "host": "127.0.0.1", "port": port,
                         "path": "", "weight": 1}],
            "balance": "round_robin"}

    apps = max(1, keys // 100)
    for n in range(apps):
        app, api = make_id(4, n), make_id(3, n % routes)
        yield f"app:{app}", "application", {
            "id": app, "tenant": tenant, "name": f"app-{n}",
            "state": "active"}
        yield f"sub:{app}:{api}", "subscription", {
            "id": make_id(5, n), "tenant": tenant, "application": app,
            "target": api, "target_kind": "api", "plan": plan,
            "state": "active", "expires_ms": 0}

    chosen = set(rnd.sample(range(keys), min(len(samples), keys)))
    slot = 0
    for n in range(keys):
        cid = make_id(6, n)
        if n in chosen:
            key = make_key(cid, rnd)
            digest = hashlib.sha256(key.encode()).hexdigest()
            route = (n % apps) % routes
            samples[slot] = f"{key} /area-{route % 997}/api-{route}/x"
            slot += 1
        else:
            digest = f"{rnd.getrandbits(256):064x}"
        yield f"cred:{cid}", "credential", {
            "id": cid, "tenant": tenant, "application": make_id(4, n % apps),
            "digest": digest, "alg": "sha256", "state": "active",
            "expires_ms": 0}


def signed(value):
    return value - (1 << 64) if value >> 63 else value


def main():
    path, keys, routes, port, nsamples, out = sys.argv[1:7]
    keys, routes, port = int(keys), int(routes), int(port)
    samples = [None] * min(int(nsamples), keys)
    rnd = random.Random(7)

    db = sqlite3.connect(path, isolation_level=None)
    db.execute("PRAGMA synchronous = OFF")
    db.execute("BEGIN IMMEDIATE")
    rev = db.execute("SELECT rev FROM feed_head").fetchone()[0]
    row = db.execute("SELECT hi, lo, live FROM feed_digest"
                     " WHERE group_id = ''").fetchone() or (0, 0, 0)
    mask = (1 << 64) - 1
    hi, lo, live = row[0] & mask, row[1] & mask, row[2]
    batch = []

    def flush():
        db.executemany("INSERT INTO feed (key, rev, kind, body, group_ids,"
                       " digest_hi, digest_lo, deleted, changed_ms)"
                       " VALUES (?, ?, ?, ?, NULL, ?, ?, 0, 0)", batch)
        batch.clear()

    for key, kind, body in records(keys, routes, port, rnd, samples):
        rev += 1
        text = json.dumps(body, separators=(",", ":"))
        inner = hashlib.sha256(text.encode()).hexdigest()
        digest = hashlib.sha256(f"{key}\n{rev}\n{inner}".encode()).digest()
        h = int.from_bytes(digest[:8], "big")
        low = int.from_bytes(digest[8:16], "big")
        hi, lo, live = hi ^ h, lo ^ low, live + 1
        batch.append((key, rev, kind, text, signed(h), signed(low)))
        if len(batch) == 10000:
            flush()
    flush()

    db.execute("UPDATE feed_head SET rev = ?", (rev,))
    db.execute("INSERT INTO feed_digest (group_id, hi, lo, live)"
               " VALUES ('', ?, ?, ?) ON CONFLICT (group_id) DO UPDATE SET"
               " hi = excluded.hi, lo = excluded.lo, live = excluded.live",
               (signed(hi), signed(lo), live))
    db.execute("COMMIT")

    with open(out, "w", encoding="ascii") as f:
        f.write("\n".join(samples) + "\n")
    os.sync()


main()
