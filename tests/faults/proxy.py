#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""A proxy between s3vtl and a real S3 server that does to requests what networks and stores do on bad days.

    proxy.py UPSTREAM_HOST:PORT DIR      writes the port it listens on to DIR/port

DIR/rule holds the fault in force, one line, looked at for each request (replace it by rename):
    OPERATION KIND FAULT TIMES           "-": none. TIMES: requests that it hits, 0: all until the rule changes
      OPERATION  put get head list delete create part complete abort any
      KIND       seg head map inventory format any      what the key is of; probe: the client's own questions about
                 the store, which "any" means only in a rule without a number of times
      FAULT      reset    the connection breaks before the server sees the request
                 lost     the server does as told, the connection breaks before it answers
                 refuse   as reset, for a new connection too: nothing answers
                 hang     no answer comes
                 stall    the answer stops in the middle
                 cut      the answer ends in the middle
                 short    the same, with the length of what there is: a 200 or 206 that lies
                 flip     one wrong byte in the body: of the answer, or of what is put
                 empty    200 without a body          html   200 with a page of something else
                 stale    LIST: the answer before the last change of the bucket
                 skew     403 RequestTimeTooSkewed    NUMBER that status, with S3's error code
                 slow=MS  the answer comes so much later
DIR/hits gets a line for each request that a rule hit: OPERATION KIND FAULT KEY.
"""
import asyncio
import os
import socket
import struct
import sys
import urllib.parse

CODES = {400: "InvalidRequest", 403: "AccessDenied", 404: "NoSuchKey", 411: "MissingContentLength", 429: "TooManyRequests",
         500: "InternalError", 503: "SlowDown", 507: "InsufficientStorage"}


class Rule:
    """The rule in force, and how often it hit."""

    def __init__(self, folder):
        self.path, self.hits_path = os.path.join(folder, "rule"), os.path.join(folder, "hits")
        self.text, self.hits = None, 0

    def look(self, operation, kind, key):
        try:
            with open(self.path, encoding="ascii") as f:
                text = f.read().strip()
        except FileNotFoundError:
            text = "-"
        if text != self.text:
            self.text, self.hits = text, 0
        if text == "-":
            return None
        want_operation, want_kind, fault, times = text.split()[:4]
        if want_operation not in (operation, "any") or want_kind not in (kind, "any"):
            return None
        if kind == "probe" and want_kind == "any" and int(times):
            return None
        if int(times) and self.hits >= int(times):
            return None
        self.hits += 1
        with open(self.hits_path, "a", encoding="ascii") as f:
            f.write(f"{operation} {kind} {fault} {key}\n")
        return fault


def classify(method, target):
    parts = urllib.parse.urlsplit(target)
    query = urllib.parse.parse_qs(parts.query, keep_blank_values=True)
    key = urllib.parse.unquote(parts.path)
    prefix = query.get("prefix", [""])[0]
    kind = "format"
    for k in ("seg", "head", "map", "inventory"):
        if f"/{k}/" in key or f"/{k}/" in prefix:
            kind = k
    if method == "PUT":
        operation = "part" if "partNumber" in query else "put"
    elif method == "POST":
        operation = "create" if "uploads" in query else "complete" if "uploadId" in query else "delete"
    elif method == "DELETE":
        operation = "abort" if "uploadId" in query else "delete"
    elif method == "HEAD":
        operation = "head"
    else:
        operation = "list" if "list-type" in query or not key.strip("/").count("/") else "get"
    if "-probe" in key or "versioning" in query:
        kind = "probe"
    if operation == "delete" and method == "POST":
        kind = "seg"  # a batch; ours are mostly segments
    return operation, kind, key


def break_connection(writer):
    """With a RST, as a crashed peer's kernel does."""
    sock = writer.get_extra_info("socket")
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


async def read_head(reader):
    head = await reader.readuntil(b"\r\n\r\n")
    lines = head.decode("latin-1").split("\r\n")
    headers = {}
    for line in lines[1:]:
        name, colon, value = line.partition(":")
        if colon:
            headers[name.strip().lower()] = value.strip()
    return head, lines[0], headers


async def read_body(reader, method, status, headers):
    if method == "HEAD" or status in (204, 304):
        return b""
    if headers.get("transfer-encoding", "").lower() == "chunked":
        body = b""
        while True:
            size = int((await reader.readline()).split(b";")[0], 16)
            body += await reader.readexactly(size)
            await reader.readexactly(2)
            if not size:
                return body
    if "content-length" in headers:
        return await reader.readexactly(int(headers["content-length"]))
    return b""


def flipped(body):
    if not body:
        return body
    at = len(body) * 2 // 3
    return body[:at] + bytes([body[at] ^ 0x40]) + body[at + 1:]


def answer(status, headers, body):
    keep = {k: v for k, v in headers.items() if k not in ("content-length", "transfer-encoding", "connection")}
    head = f"HTTP/1.1 {status} X\r\n" + "".join(f"{k}: {v}\r\n" for k, v in keep.items())
    return head.encode("latin-1") + f"content-length: {len(body)}\r\n\r\n".encode() + body


def error(status, code):
    body = f"<?xml version='1.0'?><Error><Code>{code}</Code><Message>made by the test</Message></Error>".encode()
    return answer(status, {"content-type": "application/xml"}, body)


class Proxy:
    def __init__(self, upstream, folder):
        host, _, port = upstream.rpartition(":")
        self.upstream, self.rule, self.lists, self.old_lists = (host, int(port)), Rule(folder), {}, {}

    async def forward(self, method, head, body):
        reader, writer = await asyncio.open_connection(*self.upstream)
        try:
            writer.write(head + body)
            await writer.drain()
            while True:
                _, status_line, headers = await read_head(reader)
                status = int(status_line.split()[1])
                if status != 100:
                    break
            return status, headers, await read_body(reader, method, status, headers)
        finally:
            writer.close()

    async def one(self, reader, writer):
        """One request of a connection; False when it ended."""
        head, line, headers = await read_head(reader)
        method, target, _ = line.split(" ", 2)
        operation, kind, key = classify(method, target)
        if headers.get("expect", "").lower() == "100-continue":
            writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
            head = b"\r\n".join(x for x in head.split(b"\r\n") if not x.lower().startswith(b"expect:"))
        body = await reader.readexactly(int(headers.get("content-length", 0)))
        if operation == "delete" and b"-probe" in body:
            kind = "probe"
        fault = self.rule.look(operation, kind, key)
        if fault in ("reset", "refuse"):
            break_connection(writer)
            return False
        if fault == "hang":
            await reader.read(1)
            return False
        if fault == "skew":
            writer.write(error(403, "RequestTimeTooSkewed"))
            return True
        if fault and fault.isdigit():
            writer.write(error(int(fault), CODES.get(int(fault), "Error")))
            return True
        if fault == "html":
            writer.write(answer(200, {"content-type": "text/html"}, b"<html><body>Please log in</body></html>"))
            return True
        if fault == "empty":
            writer.write(answer(200, {}, b""))
            return True
        if fault and fault.startswith("slow="):
            await asyncio.sleep(int(fault[5:]) / 1000)
        if fault == "flip" and operation in ("put", "part"):
            body = flipped(body)
        status, back, content = await self.forward(method, head, body)
        if operation == "list":
            if self.lists.get(target) != content:
                self.old_lists[target] = self.lists.get(target, content)
            self.lists[target] = content
            if fault == "stale":
                content = self.old_lists.get(target, content)
        if fault == "lost":
            break_connection(writer)
            return False
        if fault == "short":
            content = content[:len(content) // 2]
        elif fault == "flip" and operation not in ("put", "part"):
            content = flipped(content)
        out = answer(status, back, content)
        if method == "HEAD" and "content-length" in back:  # of the body that HEAD doesn't send
            out = out.replace(b"content-length: 0\r\n", f"content-length: {back['content-length']}\r\n".encode())
        if fault in ("cut", "stall"):
            writer.write(out[:len(out) - max(1, len(content) // 2)])
            await writer.drain()
            if fault == "stall":
                await reader.read(1)
            break_connection(writer)
            return False
        writer.write(out)
        await writer.drain()
        return True

    async def connection(self, reader, writer):
        try:
            while await self.one(reader, writer):
                pass
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()


async def main():
    proxy = Proxy(sys.argv[1], sys.argv[2])
    server = await asyncio.start_server(proxy.connection, "127.0.0.1", 0, limit=1 << 20)
    port = os.path.join(sys.argv[2], "port")
    with open(port + ".new", "w", encoding="ascii") as f:
        f.write(str(server.sockets[0].getsockname()[1]))
    os.rename(port + ".new", port)
    async with server:
        await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main())
