#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""What a doctor may meet where a store should be, each on a port of its own, before a real S3 server or without one.

    stand_in.py UPSTREAM_HOST:PORT FILE     writes "NAME=PORT ..." to FILE, then serves until it is killed

      admin    401 with a Basic realm, as s3d's admin interface
      api      401 without one, and no XML
      page     a web page
      other    404 to everything, and no XML
      hang     takes connections, never answers
      skew     the upstream, whose clock is 400 s behind
      noput    the upstream, to a key that may not put
      nodel    the upstream, to a key that may not delete
      flip     the upstream; one byte of what is read is wrong
      stall    the upstream, which never answers a PUT of more than a MiB
"""
import email.utils
import http.client
import http.server
import os
import socket
import sys
import threading
import time

DENIED = b"<Error><Code>AccessDenied</Code><Message>Access Denied.</Message></Error>"


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def answer(self, status, headers, body):
        self.send_response_only(status)
        for name, value in headers:
            self.send_header(name, value)
        if not any(n.lower() == "content-length" for n, _ in headers):
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def pass_on(self, body):
        c = http.client.HTTPConnection(self.server.upstream)
        c.putrequest(self.command, self.path, skip_host=True, skip_accept_encoding=True)
        for name, value in self.headers.items():
            c.putheader(name, value)
        c.endheaders(body or None)
        r = c.getresponse()
        data = r.read()
        headers = [(n, v) for n, v in r.getheaders() if n.lower() not in ("connection", "transfer-encoding")]
        c.close()
        return r.status, headers, data

    def serve(self):
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        kind = self.server.kind
        xml = [("Content-Type", "application/xml")]
        if kind == "admin":
            return self.answer(401, [("WWW-Authenticate", 'Basic realm="s3d"')], b"Unauthorized\n")
        if kind == "api":
            return self.answer(401, [("Content-Type", "text/plain")], b"unauthorized\n")
        if kind == "page":
            return self.answer(200, [("Content-Type", "text/html; charset=utf-8")], b"<html>hello</html>")
        if kind == "other":
            return self.answer(404, [("Content-Type", "text/plain")], b"404 page not found\n")
        if kind == "noput" and self.command == "PUT":
            return self.answer(403, xml, DENIED)
        if kind == "nodel" and (self.command == "DELETE" or "?delete" in self.path):
            return self.answer(403, xml, DENIED)
        if kind == "stall" and self.command == "PUT" and len(body) > 1 << 20:
            return time.sleep(3600)
        status, headers, data = self.pass_on(body)
        if kind == "skew":
            headers = [(n, email.utils.formatdate(time.time() - 400, usegmt=True) if n.lower() == "date" else v)
                       for n, v in headers]
        if kind == "flip" and "/doctor/doctor-" in self.path and self.command == "GET" and data:
            data = data[:-1] + bytes([data[-1] ^ 1])
        return self.answer(status, headers, data)

    do_GET = do_PUT = do_POST = do_HEAD = do_DELETE = serve


def main():
    found = {}
    for kind in ("admin", "api", "page", "other", "skew", "noput", "nodel", "flip", "stall"):
        s = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        s.daemon_threads = True
        s.kind, s.upstream = kind, sys.argv[1]
        threading.Thread(target=s.serve_forever, daemon=True).start()
        found[kind] = s.server_address[1]
    hang = socket.create_server(("127.0.0.1", 0), backlog=64)
    found["hang"] = hang.getsockname()[1]
    with open(sys.argv[2] + ".new", "w") as f:
        f.write(" ".join(f"{k}={v}" for k, v in found.items()) + "\n")
    os.rename(sys.argv[2] + ".new", sys.argv[2])
    kept = []
    while True:
        kept.append(hang.accept())


main()
