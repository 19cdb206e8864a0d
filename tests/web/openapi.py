#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""openapi.py URL: openapi.json against what is served, with TOKEN; and against the source's table of actions."""
import json
import os
import re
import sys
import urllib.error
import urllib.request

url = sys.argv[1]
opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))


def ask(path, method, token=True):
    headers = {"Authorization": "Bearer " + os.environ["TOKEN"]} if token else {}
    request = urllib.request.Request(url + path, method=method, headers=headers, data=b"[]" if method == "POST" else None)
    try:
        return opener.open(request, timeout=10).status
    except urllib.error.HTTPError as e:
        return e.code


paths = json.load(opener.open(url + "/openapi.json"))["paths"]
bad = []
for path, methods in paths.items():
    for method, said in methods.items():
        got = ask(path, method.upper())
        if got != (400 if method == "post" else 200):
            bad.append(f"{method} {path}: {got}")
        if ask(path, method.upper(), token=False) != 401:
            bad.append(f"{method} {path}: without the token not 401")
        if not {"200", "401"} <= set(said["responses"]):
            bad.append(f"{method} {path}: does not tell of 200 and 401")
served = {"/api/actions/" + name for name in re.findall(r'\{"([a-z]+)", "tape-', open("vtl/web/web_api.c").read())} | {"/api/status", "/api/events"}
if served != set(paths):
    bad.append(f"only in one of the two: {sorted(served ^ set(paths))}")
print("\n".join(bad))
sys.exit(bool(bad))
