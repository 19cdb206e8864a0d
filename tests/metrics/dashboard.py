#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Is the dashboard what Grafana takes, and does each of its queries find something in a Prometheus that scrapes a library?
dashboard.py FILE NAMES [URL]: NAMES has the metrics that there are, one a line; URL is Prometheus's. One line for each fault."""
import json
import re
import sys
import urllib.parse
import urllib.request

# What there is only while something is wrong, or before the first verify.
MAY_BE_EMPTY = ("s3vtl_store_request_failures_total", "topk(", "s3vtl_cartridge_verified_timestamp_seconds", "s3vtl_store_request_seconds_total")
faults = []


def check(ok, text):
    if not ok:
        faults.append(text)


def ask(url, expr):
    for name, value in (("$__rate_interval", "10s"), ("$instance", ".*")):
        expr = expr.replace(name, value)
    query = url + "/api/v1/query?" + urllib.parse.urlencode({"query": expr})
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(query, timeout=10) as answer:
            return json.load(answer)
    except urllib.error.HTTPError as e:
        return json.load(e)


def check_target(where, target, names, url):
    expr = target.get("expr", "")
    check(expr, f"{where}: no query")
    check(target.get("datasource", {}).get("uid") == "${datasource}", f"{where}: not of the datasource that is chosen")
    used = set(re.findall(r"\bs3vtl_[a-z0-9_]+", expr))
    check(used, f"{where}: no metric of ours")
    for name in used - names:
        faults.append(f"{where}: {name}: there is no such metric")
    check(expr.count('instance=~"$instance"') >= len(used), f"{where}: shows gateways that are not chosen")
    if not url:
        return
    answer = ask(url, expr)
    check(answer.get("status") == "success", f"{where}: {expr}: {answer.get('error')}")
    found = answer.get("data", {}).get("result", [])
    check(found or any(part in expr for part in MAY_BE_EMPTY), f"{where}: {expr}: finds nothing")


def check_layout(panels):
    check(len({p["id"] for p in panels}) == len(panels), "two panels have one id")
    taken = {}
    for p in panels:
        g = p["gridPos"]
        check(0 <= g["x"] and g["x"] + g["w"] <= 24 and g["h"] > 0, f"{p['title']}: outside of the grid")
        for cell in ((x, y) for x in range(g["x"], g["x"] + g["w"]) for y in range(g["y"], g["y"] + g["h"])):
            check(cell not in taken, f"{p['title']}: over {taken.get(cell)}")
            taken[cell] = p["title"]


def main():
    with open(sys.argv[1], encoding="utf-8") as f:
        board = json.load(f)
    with open(sys.argv[2], encoding="utf-8") as f:
        names = set(f.read().split())
    url = sys.argv[3] if len(sys.argv) > 3 else None
    check(board["schemaVersion"] == 37, "schemaVersion: 37 is that of Grafana 9")
    check("id" not in board, "an id is one Grafana's own")
    check([v["name"] for v in board["templating"]["list"]] == ["datasource", "instance"], "the variables are others")
    check_layout(board["panels"])
    shown = [p for p in board["panels"] if p["type"] != "row"]
    for p in shown:
        check(p["targets"], f"{p['title']}: no query")
        check(len({t["refId"] for t in p["targets"]}) == len(p["targets"]), f"{p['title']}: two queries of one name")
        for t in p["targets"]:
            check_target(p["title"], t, names, url)
    print("\n".join(faults) or f"{sum(len(p['targets']) for p in shown)} queries of {len(shown)} panels")
    return 1 if faults else 0


sys.exit(main())
