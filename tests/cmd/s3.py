#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""An S3 service in memory whose behaviour is a file's content: s3.py PORTFILE MODEFILE.

The mode is read at each request: "ok"; "403", "503": answered to everything; "hang": nothing is answered; "refused": nobody listens; "slow": a PUT takes a second;
"flip": ok, and a byte of each segment that is read is wrong; "phantom": ok, and a list of tapes/ shows a directory that holds nothing, as SeaweedFS does;
"ahead": ok, and its clock is a thousand days ahead. Signatures are not looked at.
"""
import hashlib
import os
import re
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, unquote, urlsplit
from xml.sax.saxutils import escape

objects, lock = {}, threading.Lock()


def mode():
    with open(sys.argv[2], encoding="ascii") as f:
        return f.read().strip()


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *args):
        pass

    def date_time_string(self, timestamp=None):
        return super().date_time_string(time.time() + 1000 * 86400 if mode() == "ahead" else timestamp)

    def answer(self, status, body=b"", **headers):
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("Content-Length", headers.pop("length", len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def error(self, status, code):
        # A message is cut somewhere, and that may be in the middle of a character.
        told = "as told" + " \u20ac" * (300 if status == 503 else 0)
        self.answer(status, f"<Error><Code>{code}</Code><Message>{told}</Message></Error>".encode())

    def list(self, query):
        prefix, after = query.get("prefix", [""])[0], query.get("start-after", [""])[0]
        names = {k for k in objects if k.startswith(prefix) and k > after}
        groups = set()
        if "delimiter" in query:
            for k in sorted(names):
                if "/" in k[len(prefix):]:
                    groups.add(prefix + k[len(prefix):].split("/")[0] + "/")
                    names.discard(k)
            if mode() == "phantom" and prefix == "tapes/":
                groups.add("tapes/GHOST1L8/")
        body = "".join(f"<Contents><Key>{escape(k)}</Key><Size>{len(objects[k])}</Size></Contents>" for k in sorted(names))
        body += "".join(f"<CommonPrefixes><Prefix>{escape(g)}</Prefix></CommonPrefixes>" for g in sorted(groups))
        self.answer(200, f"<ListBucketResult><IsTruncated>false</IsTruncated>{body}</ListBucketResult>".encode())

    def get(self, key):
        data = objects.get(key)
        if data is None:
            return self.error(404, "NoSuchKey")
        if mode() == "flip" and "/seg/" in key:
            data = data[:len(data) // 2] + bytes([data[len(data) // 2] ^ 1]) + data[len(data) // 2 + 1:]
        etag = f'"{hashlib.md5(data).hexdigest()}"'
        span = re.match(r"bytes=(\d+)-(\d+)", self.headers.get("Range", ""))
        if not span:
            return self.answer(200, data, ETag=etag)
        first, last = int(span[1]), int(span[2])
        return self.answer(206, data[first:last + 1], ETag=etag, Content_Range=f"bytes {first}-{last}/{len(data)}")

    def put(self, key, body):
        if mode() == "slow":
            time.sleep(1)
        if key in objects and self.headers.get("If-None-Match"):
            return self.error(412, "PreconditionFailed")
        objects[key] = body
        return self.answer(200, ETag=f'"{hashlib.md5(body).hexdigest()}"')

    def handle_one(self):
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        url = urlsplit(self.path)
        key, query = unquote(url.path).lstrip("/").partition("/")[2], parse_qs(url.query, keep_blank_values=True)
        m = mode()
        while m == "hang":
            time.sleep(0.1)
            m = mode()
        if m == "refused":
            self.close_connection = True
            return None
        if m in ("403", "503"):
            return self.error(int(m), "AccessDenied" if m == "403" else "SlowDown")
        with lock:
            if self.command == "PUT":
                return self.put(key, body)
            if self.command == "POST" and "delete" in query:
                keys = re.findall(rb"<Key>([^<]*)</Key>", body)
                for k in keys:
                    objects.pop(k.decode(), None)
                done = b"".join(b"<Deleted><Key>" + k + b"</Key></Deleted>" for k in keys)
                return self.answer(200, b"<DeleteResult>" + done + b"</DeleteResult>")
            if self.command == "DELETE":
                objects.pop(key, None)
                return self.answer(204)
            if not key:
                return self.list(query) if self.command == "GET" and "list-type" in query else \
                    self.answer(200) if self.command == "HEAD" else self.error(501, "NotImplemented")
            return self.get(key)

    do_GET = do_PUT = do_POST = do_DELETE = do_HEAD = handle_one


class Server(ThreadingHTTPServer):
    daemon_threads = True
    allow_reuse_address = True


port = 0
while True:
    server = Server(("127.0.0.1", port), Handler)
    if not port:
        port = server.server_port
        with open(sys.argv[1] + ".new", "w", encoding="ascii") as out:
            out.write(str(port))
        os.rename(sys.argv[1] + ".new", sys.argv[1])
    threading.Thread(target=server.serve_forever, daemon=True).start()
    while mode() != "refused":
        time.sleep(0.1)
    server.shutdown()
    server.server_close()
    while mode() == "refused":
        time.sleep(0.1)
