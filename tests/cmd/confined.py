#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Runs a program with no more than a service file grants, without systemd. Needs root, gcc and systemd-analyze.

    confined.py UNIT_FILE UID GID PROGRAM ARGUMENTS...

In force: the user, an empty bounding set (anything else in the file is refused here), no new privileges, the limits of
core and locked memory, UMask, the system call filter, and no memory that is both writable and executable (Linux 6.3).
"""
import ctypes
import os
import re
import resource
import struct
import subprocess
import sys

PR_SET_SECCOMP, PR_CAPBSET_DROP, PR_SET_NO_NEW_PRIVS, PR_SET_MDWE = 22, 24, 38, 65
ALLOW, FAIL = 0x7FFF0000, 0x00050000  # SECCOMP_RET_ALLOW, SECCOMP_RET_ERRNO
libc = ctypes.CDLL(None, use_errno=True)


def prctl(option, *rest):
    args = [ctypes.c_ulong(a) for a in rest] + [ctypes.c_ulong(0)] * (4 - len(rest))
    return libc.prctl(option, *args)


def settings(path):
    found = {}
    for line in open(path, encoding="utf-8"):
        name, equals, value = line.strip().partition("=")
        if equals and not line.startswith(("#", "[")):
            found.setdefault(name, []).append(value)
    return found


def members(name):
    """The system calls of a word of SystemCallFilter."""
    if not name.startswith("@"):
        return {name}
    text = subprocess.run(["systemd-analyze", "syscall-filter", name], check=True, capture_output=True, text=True).stdout
    words = [line.split("#")[0].strip() for line in text.splitlines()[1:]]
    return set().union(*(members(w) for w in words if w))


def allowed(lines):
    result = members("@default")
    for line in lines:
        names = set().union(*(members(w) for w in line.lstrip("~").split()))
        result = result - names if line.startswith("~") else result | names
    return result


def numbers(names):
    source = "#include <sys/syscall.h>\n" + "".join(f"#ifdef __NR_{n}\n@ __NR_{n}\n#endif\n" for n in sorted(names))
    text = subprocess.run(["gcc", "-E", "-P", "-"], input=source, check=True, capture_output=True, text=True).stdout
    return [int(n) for n in re.findall(r"^@ (\d+)$", text, re.M)]


def set_filter(calls):
    def op(code, jt, jf, k):
        return struct.pack("HBBI", code, jt, jf, k)
    program = op(0x20, 0, 0, 0)  # the number of the call
    for n in calls:
        program += op(0x15, 0, 1, n) + op(0x06, 0, 0, ALLOW)
    program += op(0x06, 0, 0, FAIL | 1)  # EPERM
    code = ctypes.create_string_buffer(program)
    header = ctypes.create_string_buffer(struct.pack("HxxxxxxQ", len(program) // 8, ctypes.addressof(code)))
    if prctl(PR_SET_SECCOMP, 2, ctypes.addressof(header)):
        raise OSError(ctypes.get_errno(), "seccomp")


def main():
    unit, uid, gid = settings(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
    if unit.get("CapabilityBoundingSet") != [""] or unit.get("NoNewPrivileges") != ["yes"] or "User" not in unit:
        sys.exit("confined: the service is to have a user, no capability, and no new privileges")
    calls = numbers(allowed(unit["SystemCallFilter"]))
    core, locked = int(unit["LimitCORE"][0]), int(unit["LimitMEMLOCK"][0].rstrip("M")) << 20
    resource.setrlimit(resource.RLIMIT_CORE, (core, core))
    resource.setrlimit(resource.RLIMIT_MEMLOCK, (locked, locked))
    os.umask(int(unit["UMask"][0], 8))
    for cap in range(64):
        prctl(PR_CAPBSET_DROP, cap)
    os.setgroups([])
    os.setresgid(gid, gid, gid)
    os.setresuid(uid, uid, uid)
    prctl(PR_SET_NO_NEW_PRIVS, 1)
    prctl(PR_SET_MDWE, 1)
    set_filter(calls)
    os.execv(sys.argv[4], sys.argv[4:])


main()
