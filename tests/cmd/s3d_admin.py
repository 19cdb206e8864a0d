#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Answers as s3d's admin interface does, on a free port.

    s3d_admin.py DIR    writes the port to DIR/port; GET /stats/uploads is answered with DIR/stats, POST /objects/flush with the status and the
                        text in DIR/flush; both are read at each request, and DIR/posts gets a line for each POST. The password is "s3d".
                        POST /system/sqlite3/backup writes a file, and runs DIR/during, if it is there, before it answers; then DIR/later,
                        if it is there, is DIR/stats until the next flush.
"""
import base64
import http.server
import json
import pathlib
import shutil
import subprocess
import sys

DIR = pathlib.Path(sys.argv[1])
AUTH = "Basic " + base64.b64encode(b":s3d").decode()


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def answer(self, status, body):
        if self.headers.get("Authorization") != AUTH:
            status, body = 401, b"unauthorized\n"
        self.send_response_only(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self):
        known = self.path == "/stats/uploads"
        self.answer(200 if known else 404, (DIR / "stats").read_bytes() if known else b"404 page not found\n")

    def do_POST(self):
        status, _, text = (DIR / "flush").read_text().partition(" ")
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        with open(DIR / "posts", "a") as f:
            f.write(self.path + "\n")
        if self.path == "/system/sqlite3/backup":
            pathlib.Path(json.loads(body)["path"]).write_bytes(b"catalogue" * 1000)
            if (DIR / "during").exists():
                subprocess.run(["bash", str(DIR / "during")], check=True, stdout=subprocess.DEVNULL)
            if (DIR / "later").exists():
                shutil.copy(DIR / "stats", DIR / "before")
                shutil.copy(DIR / "later", DIR / "stats")
            status, text = 200, ""
        elif (DIR / "before").exists():
            (DIR / "before").replace(DIR / "stats")
        self.answer(int(status), text.encode())


server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
(DIR / "port.new").write_text(str(server.server_address[1]))
(DIR / "port.new").rename(DIR / "port")
server.serve_forever()
