#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Logs in to a target again and again (RFC 7143 11.12), until one login succeeds, and counts what is heard.

  knock.py PORT TARGET      prints "REFUSED CLOSED OTHER": connections refused, ended without an answer, other answers than 00/00"""

import socket
import struct
import sys
import time


def login(port, target):
    """Status class and detail, or None: the connection ended."""
    keys = f"InitiatorName=iqn.2026-11.test:knock\0TargetName={target}\0SessionType=Normal\0AuthMethod=None\0".encode()
    bhs = struct.pack(">BBBBB3s6sHIHHII16s", 0x43, 0x81, 0, 0, 0, len(keys).to_bytes(3, "big"), b"\x80\0\0\0\0\1", 0, 1, 0, 0,
                      0, 0, bytes(16))
    with socket.create_connection(("127.0.0.1", port), 1) as s:
        s.settimeout(5)
        try:
            s.sendall(bhs + keys + bytes(-len(keys) % 4))
            answer = s.recv(48, socket.MSG_WAITALL)
        except ConnectionError:
            return None
    return (answer[36], answer[37]) if len(answer) == 48 else None


def main():
    port, target = int(sys.argv[1]), sys.argv[2]
    refused = closed = other = 0
    until = time.monotonic() + 30
    while time.monotonic() < until:
        try:
            status = login(port, target)
        except OSError:
            if not refused:
                print("refused", file=sys.stderr, flush=True)
            refused += 1
            time.sleep(0.001)
            continue
        if status == (0, 0):
            print(refused, closed, other)
            return
        closed += status is None
        other += status is not None
    sys.exit(f"no login succeeds: {refused} refused, {closed} closed, {other} other answers")


main()
