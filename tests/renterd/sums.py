# SPDX-License-Identifier: GPL-2.0-or-later
"""Looks each second at a library in use, until SIGTERM: is each byte in one state, and only in one?

    sums.py CONFIGURATION EVERY     EVERY: seconds between two looks

Only on this disk, accepted and off-site together must be what is on a cartridge, in status and in tape show; and the sums of
status those of its cartridges. What is on a cartridge is known from another figure: used_bytes counts what the host wrote,
and what is stored of noise is that and some framing. While nobody serves, after a kill, a cartridge may be half overwritten,
and what is on it is known once it is loaded: then only the sums are compared. The last line says how many looks there were;
exit status 1 when a sum was wrong.
"""
import json
import signal
import subprocess
import sys
import threading

THREE = ("local_only_bytes", "accepted_bytes", "offsite_bytes")
SERVING, NOT_SERVING = 0, 3
FRAMING = 1 << 16  # header, index and footer of a segment, records of 256 KiB: of each cartridge here less than this and 1 %

config, every = sys.argv[1], float(sys.argv[2])
ended = threading.Event()
signal.signal(signal.SIGTERM, lambda *_: ended.set())
wrong = 0


def ask(*arguments):
    r = subprocess.run(["build/s3vtl", "-c", config, *arguments, "--json"], capture_output=True, text=True, check=False)
    return r.returncode, json.loads(r.stdout) if r.returncode in (SERVING, NOT_SERVING) else None


def check(true, what, answer):
    global wrong
    if not true:
        wrong += 1
        print(f"not so: {what}: {json.dumps(answer)}", flush=True)


def is_whole(c):
    together, used = sum(c[key] for key in THREE), c["used_bytes"]
    return used <= together <= used + used // 100 + FRAMING if used else together <= FRAMING


def look():
    """SERVING or NOT_SERVING; None: it starts or stops at this moment."""
    rc, s = ask("status")
    if s is None:
        return None
    for key in THREE:
        check(s.get(key, 0) == sum(c.get(key, 0) for c in s["cartridges"]), f"{key} is the sum of the cartridges'", s)
    for c in s["cartridges"] if rc == SERVING else []:
        check(is_whole(c), f"the three of {c['barcode']} are the whole of it, in status", c)
        check(c["stored_bytes"] == c["accepted_bytes"] + c["offsite_bytes"], f"{c['barcode']}: stored is two of them", c)
        shown, c = ask("tape", "show", c["barcode"])
        served = shown == SERVING and THREE[2] in c  # else it was killed just then
        check(not served or is_whole(c), "the three are the whole of it, in tape show", c)
    return rc


looks = {SERVING: 0, NOT_SERVING: 0, None: 0}
while True:
    looks[look()] += 1
    if ended.wait(every):
        break
print(f"{looks[SERVING]} looks while it served, {looks[NOT_SERVING]} while it did not, {looks[None]} in between; {wrong} wrong", flush=True)
sys.exit(wrong > 0 or looks[SERVING] == 0)
