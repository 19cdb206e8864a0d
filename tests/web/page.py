#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""page.py URL: the page in a headless Chromium: TOKEN, CONFIG (of the library), PICTURES (a directory), PROXY (whose rule is
obeyed on the way to the store), WRITE (the command that writes to drive @)."""
import os
import re
import subprocess
import sys

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import sync_playwright

url = sys.argv[1]
pictures = os.environ["PICTURES"]


def s3vtl(*words):
    subprocess.run(["build/s3vtl", "-c", os.environ["CONFIG"], "-q", *words], check=True)


def accessible(page, where):
    found = Axe().run(page)
    assert found.violations_count == 0, f"{where}: {found.generate_report()}"


def rule(text):
    """What happens on the way to the store, from now on."""
    path = os.environ["PROXY"]
    with open(f"{path}/new", "w") as f:
        f.write(text + "\n")
    os.replace(f"{path}/new", f"{path}/rule")


def write(drive, barcode):
    """Writes more than ends while this test runs."""
    command = [drive if w == "@" else w for w in os.environ["WRITE"].split()]
    return subprocess.Popen([*command, f"load {barcode}", "fill 100000000000 262144"], stdout=subprocess.DEVNULL)


def busy(page, barcodes):
    """Both drives write: their rows say so, and at what rate."""
    for barcode in barcodes:
        page.locator("#drives tr", has_text=barcode).filter(has_text="writing").filter(has_text=re.compile(r" [kMG]B/s")).wait_for(timeout=20000)


def at_work(page):
    """Two drives write; the store fails, and heals."""
    barcodes = ["WEB010L8", "WEB011L8"]
    writers = [write(str(i), b) for i, b in enumerate(barcodes)]
    alert, events = page.locator("#alert"), page.locator("#events")
    try:
        busy(page, barcodes)
        page.wait_for_function("() => [...document.querySelectorAll('.plot')].filter((p) => / now [0-9.]+ [kMG]B\\/s written/.test(p.getAttribute('aria-label'))).length === 2")
        page.wait_for_timeout(6000)  # a curve to be looked at
        rule("any any 503 0")
        page.locator("#alert", has_text="503").wait_for(timeout=20000)
        events.get_by_text("store: ").first.wait_for()
        page.locator('.plot[aria-label*="now 0 B/s written"]').first.wait_for(timeout=20000)  # nothing fits any more
        page.wait_for_timeout(1000)
        page.screenshot(path=f"{pictures}/console-store-down.png", full_page=True)
        accessible(page, "in trouble")
        rule("-")
        alert.wait_for(state="hidden", timeout=40000)
        events.get_by_text("store: well again").wait_for()
        busy(page, barcodes)
        page.wait_for_timeout(4000)
        page.screenshot(path=f"{pictures}/console.png", full_page=True)
    finally:
        rule("-")
        for w in writers:
            w.kill()
            w.wait()
    for i, b in enumerate(barcodes):
        s3vtl("tape", "move", b, "slot", str(10 + i))


def keyboard(page):
    """A cartridge is chosen and moved without a mouse; what changes meanwhile takes the focus from nobody."""
    chosen = page.get_by_role("button", name="WEB006L8")
    page.get_by_label("Search", exact=True).focus()
    for _ in range(30):
        page.keyboard.press("Tab")
        if page.evaluate("() => document.activeElement.dataset.barcode") == "WEB006L8":
            break
    page.keyboard.press("Enter")
    page.locator("[data-barcode=WEB006L8][aria-pressed=true]").wait_for()
    s3vtl("tape", "move", "WEB005L8", "slot", "1001")
    page.locator("#tapes tr", has_text="WEB005L8").get_by_text("slot 1001").wait_for(timeout=5000)
    assert chosen.evaluate("(b) => b === document.activeElement")
    page.get_by_role("button", name="Move").focus()
    page.keyboard.press("Enter")
    page.keyboard.type("slot 1002")
    page.keyboard.press("Escape")  # not after all
    page.get_by_role("dialog").wait_for(state="hidden")
    page.keyboard.press("Enter")  # the button has the focus again
    page.keyboard.type("slot 1003")
    page.keyboard.press("Enter")
    page.locator("#tapes tr", has_text="WEB006L8").get_by_text("slot 1003").wait_for(timeout=5000)
    page.get_by_role("button", name="WEB003L8").click()


def rules(page):
    """Shown as they are in force, figures included; a reload is told."""
    def shown(name, *texts):
        for text in texts:
            page.locator(f"#rules dt:text-is('{name}') + dd", has_text=text).wait_for(timeout=40000)
    shown("Retention", "KEEP*: each write locks it for 90 days (governance)", "YEAR*: each write locks it for 3650 days (compliance)",
          re.compile(r"1 cartridge locked now; the lock ends on \d{4}-\d\d-\d\d"))
    shown("Quotas", re.compile(r"all cartridges: .* of 22.0 TB"), re.compile(r"WEB\*: .* of 16.5 TB"))
    shown("Blank cartridges", re.compile(r"WEB001L8 to WEB040L8: \d+ there, 2 wanted"))
    shown("Upload", "16M 00:00-24:00, 8M; now 16.8 MB/s")
    shown("Download", "unlimited")
    shown("Verification", "not by itself")
    with open(os.environ["CONFIG"], "a") as f:
        f.write("[verify]\nevery = 30d\nwindow = 20M 01:00-06:00, sat-sun\nbudget = 200GB\n[store]\ndownload_limit = 50MB 00:00-24:00\n")
    s3vtl("reload")
    shown("Verification", "each cartridge every 30 days, 20M 01:00-06:00, sat-sun; at most 200 GB a day")
    shown("Download", "50MB 00:00-24:00; now 50.0 MB/s")


def run(browser):
    page = browser.new_page(viewport={"width": 1280, "height": 900}, color_scheme="light")
    asked, complaints = [], []
    page.on("request", lambda r: asked.append(r.url))
    page.on("console", lambda m: complaints.append(m.text) if m.type == "error" else None)
    page.on("pageerror", lambda e: complaints.append(str(e)))
    page.goto(url)
    page.screenshot(path=f"{pictures}/console-login.png")
    accessible(page, "sign in")
    page.keyboard.press("Tab")
    page.keyboard.type(os.environ["TOKEN"])
    page.keyboard.press("Enter")  # by keyboard alone
    page.get_by_role("button", name="WEB001L8").wait_for()
    assert page.get_by_role("status").inner_text() == "serving"
    assert "slot: 41 of 1500 full" in page.locator("#legend").inner_text()

    s3vtl("tape", "move", "WEB002L8", "drive", "1")
    page.locator("#drives tr", has_text="WEB002L8").wait_for(timeout=5000)  # by an event

    page.get_by_role("button", name="WEB003L8").click()
    page.get_by_role("button", name="Move").click()
    page.get_by_role("dialog").get_by_role("button", name="Cancel").click()
    page.get_by_role("button", name="Move").click()
    page.get_by_label("To: slot 7").fill("import/export 1")
    page.get_by_role("dialog").get_by_role("button", name="Move").click()
    page.locator("#tapes tr", has_text="WEB003L8").get_by_text("import/export 1").wait_for(timeout=5000)
    page.locator("#events").get_by_text("WEB003L8: from slot 3 to import/export 1").wait_for()
    page.get_by_role("button", name="Protect").click()
    page.get_by_role("dialog").get_by_role("button", name="Protect").click()
    page.locator("#tapes tr", has_text="WEB003L8").get_by_text("write-protected").wait_for(timeout=5000)
    s3vtl("tape", "lock", "WEB004L8", "governance", "30d")
    page.locator("#tapes tr", has_text="WEB004L8").get_by_text(re.compile(r"governance lock until \d{4}-")).wait_for(timeout=5000)
    rules(page)

    keyboard(page)
    accessible(page, "by day")
    page.get_by_role("button", name="Export").click()
    accessible(page, "dialog")
    page.get_by_role("dialog").get_by_role("button", name="Export").click()
    page.locator("#legend", has_text=re.compile("import/export: 0 of .*; shelf: 1$")).wait_for(timeout=5000)
    page.locator("#tapes tr", has_text="WEB003L8").get_by_text("shelf").wait_for()
    page.get_by_role("button", name="Import").click()
    page.get_by_role("dialog").get_by_role("button", name="Import").click()  # its barcode is there already
    page.locator("#tapes tr", has_text="WEB003L8").get_by_text("import/export 1").wait_for(timeout=5000)

    s3vtl("tape", "move", "WEB002L8", "slot", "2")
    at_work(page)
    page.locator("#safe", has_text="of 2 written cartridges").wait_for()

    page.get_by_label("Search", exact=True).fill("new0")
    page.locator("#count", has_text="1 of").wait_for()
    page.get_by_label("Search", exact=True).fill("")

    page.emulate_media(color_scheme="dark")
    page.set_viewport_size({"width": 1281, "height": 900})
    page.wait_for_timeout(100)
    page.screenshot(path=f"{pictures}/console-dark.png", full_page=True)

    accessible(page, "by night")

    assert all(u.startswith(url) for u in asked), asked
    assert not complaints, complaints
    assert sum("/api/" in u and "/actions/" not in u for u in asked) == 1, asked  # one request for the state
    assert not page.context.cookies()


with sync_playwright() as p:
    browser = p.chromium.launch(executable_path="/usr/bin/chromium", args=["--no-sandbox", "--no-proxy-server"])
    try:
        run(browser)
    except Exception:
        for page in [page for context in browser.contexts for page in context.pages]:
            page.screenshot(path=f"{pictures}/console-failed.png", full_page=True)
        raise
    finally:
        browser.close()
