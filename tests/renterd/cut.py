#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Cuts puts off until renterd has forgotten a full slab buffer (docs/sia.md); its environment is the rig's.

Each is of a little more than the first buffer lacks, and its connection ends once the last byte was sent: renterd has filled
the buffer up then, and is about to make another one for the rest. When it is there is a matter of luck: exit status 2 says that
it forgot none.
"""
import base64
import json
import os
import random
import socket
import sys
import time
import urllib.request

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "reader"))
import stores  # noqa: E402

MOST_SECONDS, SETTLED_SECONDS, LITTLE = 90, 5, 50000
env = os.environ
bucket = stores.S3(env["S3_URL"], env["S3_BUCKET"], "", env["S3_CREDENTIALS"])


def buffers():
    with open(env["RIG_PASSWORD"], encoding="ascii") as f:
        password = base64.b64encode(b":" + f.read().strip().encode()).decode()
    q = urllib.request.Request(env["RIG_ADMIN"] + "/api/bus/slabbuffers", headers={"Authorization": "Basic " + password})
    with urllib.request.urlopen(q, timeout=30) as answer:
        return [b for b in json.load(answer) or [] if not b["complete"]]


def forgotten():
    """Those that are full and stay so: a put that was cut off may be at work still."""
    full = {b["filename"] for b in buffers() if b["size"] >= b["maxSize"]}
    end = time.monotonic() + SETTLED_SECONDS
    while full and time.monotonic() < end:
        time.sleep(0.2)
        full &= {b["filename"] for b in buffers() if b["size"] >= b["maxSize"]}
    return full


def put(key, size, cut):
    """None, or the seconds until the answer came, if it did."""
    path = f"/{bucket.bucket}/{key}"
    headers = bucket.sign(path, "", "PUT", "UNSIGNED-PAYLOAD") | {"content-length": str(size), "connection": "close"}
    with socket.create_connection((bucket.host, bucket.port), timeout=60) as s:
        lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        s.sendall(f"PUT {path} HTTP/1.1\r\n{lines}\r\n".encode() + bytes(size))
        sent = time.monotonic()
        s.settimeout(cut)
        try:
            s.recv(1)
        except TimeoutError:
            return None
        return time.monotonic() - sent


def main():
    end, n, took = time.monotonic() + MOST_SECONDS, 0, 0.02
    while time.monotonic() < end:
        if forgotten():
            print(f"forgotten after {n} puts")
            return 0
        now = buffers()
        lack = now[0]["maxSize"] - now[0]["size"] if now else 0
        if not now or not now[0]["size"]:
            put("others/whole", 1000000, 60)
        else:
            n += 1
            took = put("others/cut", lack + LITTLE, max(0.001, took * random.uniform(0.1, 1.2))) or took * 1.02
    print(f"renterd forgot no buffer in {n} puts")
    return 2


sys.exit(main())
