#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""delay.py HOST:PORT MILLISECONDS PORTFILE: a TCP proxy to HOST:PORT that holds the first bytes of each answer back, as a far store does."""
import socket
import sys
import threading
import time

host, port = sys.argv[1].rsplit(":", 1)
delay = int(sys.argv[2]) / 1000


def pump(source, sink, asked, answering):
    """One direction. An answer that begins waits until delay has passed since the last byte of its request."""
    try:
        while data := source.recv(1 << 18):
            if answering:
                wait = asked[0] + delay - time.monotonic()
                if wait > 0:
                    time.sleep(wait)
            else:
                asked[0] = time.monotonic()
            sink.sendall(data)
    except OSError:
        pass
    for s in (source, sink):
        try:
            s.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass


def serve(client):
    server = socket.create_connection((host, int(port)))
    asked = [0.0]
    for s in (client, server):
        s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    threading.Thread(target=pump, args=(client, server, asked, False), daemon=True).start()
    pump(server, client, asked, True)


listener = socket.create_server(("127.0.0.1", 0))
with open(sys.argv[3], "w", encoding="ascii") as f:
    f.write(str(listener.getsockname()[1]))
while True:
    threading.Thread(target=serve, args=(listener.accept()[0],), daemon=True).start()
